"""What tests of sources that point to content share."""

import io
import tarfile
from typing import NamedTuple

from pipeline.sources.base import CutState, Range

BOM = b"\xef\xbb\xbf"


class Result(NamedTuple):
    """What a source made of an input file: its ranges, their rows as dictionaries, and what it found out about the file."""

    ranges: list[Range]
    rows: list[dict]
    state: CutState


def archive(path, members, mode="w"):
    """Write a tar of (name, content), or of (TarInfo, content)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pick(rows, *names):
    """Return columns of rows as tuples."""
    return [tuple(row[name] for name in names) for row in rows]


def problems(rows):
    return {row["locator"]: row["problem"] for row in rows if row["problem"]}
