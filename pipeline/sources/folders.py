"""Folders and groups of files as input."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from pipeline.sources.inputs import InputFile, refuse_repeated


def regular_files(folder: Path) -> list[Path]:
    """All regular files below a folder, in order of their relative path. Symbolic links are not followed, nor hidden folders."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here, name) for name in sorted(names)]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def is_utf8(path: Path) -> bool:
    """Whether a name can stand in a table; names from old archives may be in another encoding."""
    return not any(0xD800 <= ord(c) <= 0xDFFF for c in str(path))


def identity(files: list[Path], folder: Path) -> str:
    """What changes when one of the files in a folder does."""
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        status = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def told_apart(found: list[InputFile]) -> list[InputFile]:
    """`found` with names that differ: where some do not, as much of every path as it takes. Raises UsageError where one is twice."""
    refuse_repeated(found)
    if len({f.name for f in found}) == len(found):
        return found
    common = os.path.commonprefix([f.url.rsplit("/", 1)[0] + "/" for f in found])
    return [replace(f, name=f.url[common.rfind("/") + 1 :]) for f in found]
