"""Paths as users write them on a command line or in a manifest."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from pipeline.core.errors import UsageError

_LONGEST_NAME = 255  # bytes, NAME_MAX of the file systems of Linux and macOS


def find_path_problem(path: str) -> str | None:
    """Return what is amiss with the text of a path, whatever there is on the disk; None where nothing is."""
    if not path:
        return "no path is given"
    if "\0" in path or any("\ud800" <= character <= "\udfff" for character in path):
        return "expected a path in UTF-8 without NUL characters"
    if "://" not in path and any(len(name.encode()) > _LONGEST_NAME for name in path.split("/")):
        return f"no name in a path is longer than {_LONGEST_NAME} bytes"
    return None


def refuse_missing(path: str) -> None:
    """Raise UsageError where nothing is at a path. URLs and globs are another matter."""
    if "://" not in path and not glob.has_magic(path) and path and not os.path.lexists(path):
        raise UsageError(f"{path}: there is no such file")


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
