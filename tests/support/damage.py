"""Damage as a power cut or a disk leaves it, and builds that are looked at after every round of their tasks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.engine import Engine
from pipeline.core.inline import InlineEngine
from pipeline.core.vouching import find_damage, read_vouched


def _flip_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :] if content else b"\1"


def _zero_tail(content: bytes) -> bytes:
    kept = len(content) // 2
    return content[:kept] + bytes(len(content) - kept)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "halved": lambda content: content[: len(content) // 2],
    "zero tail": _zero_tail,
    "flipped bit": _flip_bit,
}


def damage(path: Path, how: str) -> bool:
    """Damage a file in place; return whether that changed it."""
    before = path.read_bytes()
    after = DAMAGES[how](before)
    if after != before:
        path.write_bytes(after)
    return after != before


def name_kind(path: Path) -> str:
    """Return what a path has in common with others of its kind: numbers and fingerprints are left out."""
    return re.sub(r"(?<![A-Z\d])\d+", "N", re.sub(r"-[0-9a-f]{16}(?=/)", "", path.as_posix()))


def list_kinds(folder: Path) -> dict[str, Path]:
    """Return one file of every kind below a folder, the first, by kind. What Dask keeps there is left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "dask" not in path.relative_to(folder).parts)
    kinds: dict[str, Path] = {}
    for path in files:
        kinds.setdefault(name_kind(path.relative_to(folder)), path)
    return kinds


@contextmanager
def record_stages(folder: Path, stages: Path) -> Iterator[list[Path]]:
    """Copy `folder` after every round of tasks in the block, as a kill between two rounds leaves it; yield the list of copies."""
    copies: list[Path] = []
    runs: dict[type[Engine], Callable[..., Any]] = {kind: kind.run for kind in (Engine, InlineEngine)}

    def run_and_copy(self: Engine, activity: str, *arguments: Any, **options: Any) -> Iterator[tuple[int, Any]]:
        yield from runs[type(self)](self, activity, *arguments, **options)
        copy = stages / f"{len(copies):03d} {activity}"
        shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns("dask", "*.tmp"))
        copies.append(copy)

    with pytest.MonkeyPatch.context() as patch:
        for kind in runs:
            patch.setattr(kind, "run", run_and_copy)
        yield copies
    assert copies, "no round of tasks was seen"


def list_vouched(folder: Path) -> dict[Path, list[Path]]:
    """Return the markers that vouch for every file below a folder; a marker does for itself."""
    markers: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*.json")):
        vouched = read_vouched(path)
        if vouched or not find_damage(path):
            for file in (path, *vouched):
                markers.setdefault(file, []).append(path)
    return markers


def find_new_kinds(stages: list[Path]) -> list[tuple[Path, dict[str, Path]]]:
    """Return the stages at which files of a new kind appear, each with these files: whatever comes next reads them."""
    seen: set[str] = set()
    found = []
    for stage in stages:
        new = {kind: path for kind, path in list_kinds(stage).items() if kind not in seen}
        seen |= set(new)
        if new:
            found.append((stage, new))
    return found
