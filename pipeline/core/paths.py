"""Paths as users write them on a command line or in a manifest."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import UsageError


def expand_home(path: Path | str) -> Path:
    """Return a path with the user's home for `~`. Raises UsageError where the user has none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: there is no home folder for ~ to stand for; write the path out") from None
