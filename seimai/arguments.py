"""Arguments of `seimai` as programs give them, told by their names where they are of another type."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.core.names import shorten
from pipeline.core.paths import find_path_problem

_SHOWN = 80  # characters of a path that is none

AnyPath = str | os.PathLike[str]


def read_path(name: str, value: Any) -> str:
    """Return a path as a string. Raises UsageError for what is none."""
    if not isinstance(value, str | os.PathLike) or not isinstance(path := os.fspath(value), str):
        raise UsageError(f"{name} = {value!r}: expected a path")
    if (problem := find_path_problem(path)) is not None:
        raise UsageError(f"{name} = {shorten(path, _SHOWN)!r}: {problem}")
    return path


def check_flag(name: str, value: Any) -> None:
    """Raise UsageError for what is neither True nor False: "no" would count as yes."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} = {value!r}: expected True or False")


def read_paths(name: str, value: AnyPath | Iterable[AnyPath] | None) -> tuple[str, ...]:
    """Return a path, or several, as strings; None is none. Raises UsageError for what are none."""
    if value is None:
        return ()
    if isinstance(value, str | os.PathLike):
        return (read_path(name, value),)
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        raise UsageError(f"{name} = {value!r}: expected a path, or a list of paths")
    return tuple(read_path(name, one) for one in value)


def read_settings(value: Any) -> list[tuple[str, Any]]:
    """Return keys of a manifest with their values; None is none. Raises UsageError for what is no mapping of names."""
    if value is None:
        return []
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise UsageError(f'set = {value!r}: expected keys of the manifest with values, such as {{"rules.chars.at_least": 100}}')
    return [*value.items()]
