"""Paths as users write them on a command line or in a manifest."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.core.errors import UsageError


def expand_home(path: Path | str) -> Path:
    """Return a path with the user's home for `~`. Raises UsageError where the user has none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: there is no home folder for ~ to stand for; write the path out") from None


def refuse_unwritable(option: str, folder: Path) -> None:
    """Raise UsageError where a folder cannot be made, or this user may not write to it."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise UsageError(f"{option} {folder}: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {folder}: you may not write in {existing}: name another folder with {option}")


def follow_parents(path: Path) -> Path:
    """Return a path without `..`: after a link that leads elsewhere than its text says. The last part stays, which may be a link itself."""
    if ".." not in path.parts:
        return path
    return Path(os.path.realpath(path)) if path.name == ".." else Path(os.path.realpath(path.parent), path.name)


def shorten_path(path: Path | str) -> str:
    """Return a path as a command in the current folder may name it: relative where that is shorter, and never up into other folders."""
    try:
        relative = os.path.relpath(path)
    except (ValueError, OSError):  # no current folder, or none on the same drive
        return str(path)
    return str(path) if relative.startswith(("..", "-")) or len(relative) >= len(str(path)) else relative
