"""Markers: JSON files, written last, that vouch for the files of a piece of work by the size and hash of each.

A marker is `{"counts", "files", "check"}`: what its writer found out, `[size, hash]` of every file by its path from the marker's folder,
and a hash of the two. Files and their folders are on the disk itself before the marker is written. The marker need not be: one that
a power cut took, or left damaged, vouches for nothing, and the work is done again.

What the work no longer needs is removed by `remove_spent`, which writes down that it was: a file that is gone otherwise is damage.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from pipeline.core.errors import BuildError
from pipeline.core.storage import read_json, sync_folders, to_json, write_json

Counts = dict[str, Any]
SPENT_FILE = "spent.json"  # in a folder of intermediates: patterns of the names that `remove_spent` removed
# Of tasks: words and numbers; of steps, and of tasks that a step has one of, these words.
_MARKER_NAME = re.compile(
    r"(?:(?:[a-z_]+-)*(?:\d-)?\d{3,}(?:-\d{3,})*|duplicates|cluster(?:-joined)?|recurring|index|sentences|captions|mixed"
    r"|bands|losses|validation|(?:same|similar)_[a-z_]+)\.json"
)
_CHUNK = 1 << 20


def write_marker(path: Path, counts: Mapping[str, Any], files: Iterable[Path] = ()) -> None:
    """Sync files and their folders, then write the marker that vouches for them."""
    listed = sorted(set(files))
    hashes = {os.path.relpath(file, path.parent): list(hash_file(file, durable=True)) for file in listed}
    sync_folders(listed)
    write_json(path, {"counts": counts, "files": hashes, "check": _check([counts, hashes])}, durable=False)


def read_marker(path: Path) -> Counts | None:
    """Return the counts of a marker; None where there is none or it is damaged. Its files are not looked at."""
    marker = _load(path)
    return None if marker is None else marker["counts"]


def write_checked(path: Path, content: Mapping[str, Any]) -> None:
    """Write a description as JSON, with a hash of itself as `check`."""
    write_json(path, {**content, "check": _check(content)})


def read_checked(path: Path) -> dict[str, Any] | None:
    """Return what `write_checked` wrote, without `check`; None where there is nothing or it is damaged."""
    content = read_json(path)
    if not isinstance(content, dict) or "check" not in content:
        return None
    check = content.pop("check")
    return content if check == _check(content) else None


def load_counts(path: Path) -> Counts:
    """Return the counts of a marker that was just written. Raises BuildError where it is gone or damaged."""
    counts = read_marker(path)
    if counts is None:
        raise BuildError(f"{path} is damaged or was removed while the build was at work; run the same command again")
    return counts


def read_vouched(path: Path) -> dict[Path, tuple[int, str]]:
    """Return size and hash of the files that a marker vouches for; none where there is no sound marker."""
    marker = _load(path)
    return {_locate(path.parent, name): (size, digest) for name, (size, digest) in (marker["files"] if marker else {}).items()}


def find_damage(path: Path, may_be_gone: bool = False) -> list[str]:
    """Return a line for everything that is not as a marker says: the marker itself, or files that it vouches for.

    Reads all of the files. `may_be_gone`: whoever needs them looks for them.
    """
    if _load(path) is None:
        return [f"{path} is damaged" if path.exists() else f"{path} is missing"]
    lines = []
    for file, (size, digest) in read_vouched(path).items():
        try:
            found = file.stat().st_size
        except FileNotFoundError:
            if not may_be_gone and not _is_spent(file):
                lines.append(f"{file} is missing")
            continue
        if found != size:
            lines.append(f"{file} has {found:,} bytes instead of {size:,}")
        elif hash_file(file)[1] != digest:
            lines.append(f"{file} is not what was written: its bytes have changed")
    return lines


def find_damaged_markers(markers: Sequence[Path], may_be_gone: bool = False) -> list[Path]:
    """Return the markers that are damaged or whose files are."""
    return [path for path in markers if find_damage(path, may_be_gone)]


def list_markers(folder: Path) -> list[Path]:
    """Return all markers below a folder of intermediates, damaged ones by their names. Other JSON files are somebody else's."""
    return sorted(path for path in folder.rglob("*.json") if _MARKER_NAME.fullmatch(path.name))


def remove_spent(folder: Path, patterns: Iterable[str], is_known: Callable[[str], bool]) -> None:
    """Remove the files below `folder` that no work needs any more, given by patterns of their names.

    `is_known` gets their paths from `folder`, and tells which of them Seimai wrote.
    """
    for pattern in patterns:
        files = [path for path in folder.rglob(pattern) if is_known(path.relative_to(folder).as_posix())]
        for parent in {file.parent for file in files}:
            spent = _load_spent(parent)
            if pattern not in spent:
                write_json(parent / SPENT_FILE, [*spent, pattern], durable=False)
        for file in files:
            file.unlink(missing_ok=True)


def hash_file(path: Path, durable: bool = False) -> tuple[int, str]:
    """Return the size of a file and the hexadecimal digits of its XXH3-128; sync it where it is to be `durable`.

    XXH3 reads 10 GB/s and more, so that it costs what reading does. It tells damage, not malice: what is published has SHA-256.
    """
    state, size, buffer = xxhash.xxh3_128(), 0, memoryview(bytearray(_CHUNK))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            state.update(buffer[:count])
            size += count
        if durable:
            os.fsync(file.fileno())
    return size, state.hexdigest()


def _locate(folder: Path, name: str) -> Path:
    """Return the path of a file by its path from the folder of its marker.

    `folder` stays as it is written: a `..` in it may come after a link, and whoever looks for the file has it written in the same way.
    """
    while name.startswith("../") and folder.name not in ("", ".."):
        folder, name = folder.parent, name[3:]
    return folder / name


def _check(content: Any) -> str:
    return xxhash.xxh3_64_hexdigest(to_json(content).encode())


def _load(path: Path) -> dict[str, Any] | None:
    marker = read_json(path)
    if not isinstance(marker, dict) or set(marker) != {"counts", "files", "check"}:
        return None
    return marker if marker["check"] == _check([marker["counts"], marker["files"]]) else None


def _load_spent(folder: Path) -> list[str]:
    spent = read_json(folder / SPENT_FILE)
    return [pattern for pattern in spent if isinstance(pattern, str)] if isinstance(spent, list) else []


def _is_spent(file: Path) -> bool:
    return any(fnmatch.fnmatch(file.name, pattern) for pattern in _load_spent(file.parent))
