"""Files that are complete or absent, since everything is written under a temporary name first, and durable; sizes and fingerprints."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

# Of the task at work: the files that it has written, which its marker is to vouch for (`pipeline.core.vouching`).
_written: ContextVar[list[Path] | None] = ContextVar("written", default=None)


@contextmanager
def collect_written() -> Iterator[list[Path]]:
    """Yield the list of the files that `write_atomically` completes in the block. Whoever collects them syncs them, all at once."""
    files: list[Path] = []
    token = _written.set(files)
    try:
        yield files
    finally:
        _written.reset(token)


@contextmanager
def write_atomically(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` when the block succeeds, and removed when it fails.

    The file outlives a power cut from then on, unless `collect_written` leaves that to its caller or it need not be `durable`.

    Example: `with write_atomically(path) as temporary: temporary.write_text("…")`
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    collected = _written.get()
    try:
        yield temporary
        if durable and collected is None:
            sync_file(temporary)
        os.replace(temporary, path)
        if collected is not None:
            collected.append(path)
        elif durable:
            sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_file(path: Path) -> None:
    """Return when the content of a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk, where its filesystem can say so."""
    with suppress(OSError):  # some network filesystems cannot sync a folder
        sync_file(path)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that never changes a second name, replacing what has it; copy it where the file system has no links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with write_atomically(target) as temporary:
            shutil.copyfile(source, temporary)


def sync_folders(files: Iterable[Path]) -> None:
    """Sync the folders of these files, each once."""
    for folder in sorted({path.parent for path in files}):
        sync_folder(folder)


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Write a JSON file atomically."""
    with write_atomically(path, durable) as temporary:
        temporary.write_text(to_json(value, indent=1), "utf-8")


def to_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON, with null for the numbers that JSON does not have: NaN and the infinite ones.

    >>> to_json({"loss": math.nan, "more": [math.inf, 0.5]})
    '{"loss": null, "more": [null, 0.5]}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_replace_nonfinite(value), ensure_ascii=False, indent=indent, allow_nan=False)


def _replace_nonfinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_nonfinite(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_nonfinite(element) for element in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Return the value in `path`, or None where there is no file or it is not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None


def write_array(path: Path, values: np.ndarray) -> None:
    with write_atomically(path) as temporary, open(temporary, "wb") as file:  # np.save would add .npy to a path
        np.save(file, values)


def is_temporary(name: str) -> bool:
    """Return whether a file name is one that `write_atomically` gives to what is not written to its end.

    >>> is_temporary(".a.parquet.0123abcd.tmp"), is_temporary(".notes.tmp")
    (True, False)
    """
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", name, re.DOTALL) is not None


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of killed writers. Only call this while holding the lock of the folder's writers."""
    if folder.is_dir():
        for path in folder.rglob(".*.tmp"):
            if is_temporary(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)


def find_leftovers(path: Path, suffix: str) -> list[Path]:
    """Return the neighbours of `path` named `.<its name>-<suffix>`, where `suffix` is a regular expression."""
    if not path.parent.is_dir():
        return []
    pattern = re.compile(rf"\.{re.escape(path.name)}-{suffix}")
    return [neighbour for neighbour in path.parent.iterdir() if pattern.fullmatch(neighbour.name)]


def sum_file_sizes(folder: Path) -> int:
    """Return the bytes of all files below `folder`; 0 where there is no such folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def format_size(size: float) -> str:
    """Return `size`, in bytes, as a person reads it: 999 B, 1.5 KB, 2.0 TB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def fingerprint(*values: Any) -> str:
    """Return sixteen hexadecimal digits that change when any of the JSON-like values changes."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
