"""Tasks that leave a marker: a JSON file with their counts, written last, so that a killed build does none of them twice."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec

from pipeline.core.engine import Engine
from pipeline.core.storage import collect_written
from pipeline.core.vouching import (
    SPENT_FILE,
    Counts,
    find_damage,
    find_damaged_markers,
    list_markers,
    read_marker,
    write_marker,
)

__all__ = ["Counts", "discard_damaged", "find_damaged", "resumable"]
_MARKERS = 64  # that one task checks
P = ParamSpec("P")


def resumable(marker: Callable[P, Path]) -> Callable[[Callable[P, Counts]], Callable[P, Counts]]:
    """Cache a function's result in the marker `marker(*arguments)`, which vouches for the files that the function writes.

    Where there is a marker an earlier run wrote it: its files are read once, and where one is not as it was written the function is
    called again.
    """

    def decorate(function: Callable[P, Counts]) -> Callable[P, Counts]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> Counts:
            path = marker(*args, **kwargs)
            counts = read_marker(path)
            if counts is None or find_damage(path):
                path.unlink(missing_ok=True)
                with collect_written() as files:
                    counts = function(*args, **kwargs)
                write_marker(path, counts, files)
            return counts

        return run

    return decorate


def find_damaged(engine: Engine, markers: Sequence[Path], may_be_gone: bool = False) -> list[Path]:
    """Return which markers of an earlier run are damaged, or vouch for files that are. All workers read."""
    chunks = [list(markers[at : at + _MARKERS]) for at in range(0, len(markers), _MARKERS)]
    tasks = [(find_damaged_markers, (chunk, may_be_gone)) for chunk in chunks]
    return [path for _, damaged in engine.run("checking", tasks) for path in damaged]


def discard_damaged(engine: Engine, folder: Path) -> None:
    """Remove all markers below a folder of intermediates in which anything is damaged, so that the step begins anew.

    For steps that never read content: they take less time than finding out which of their tasks need what others have removed since.
    """
    markers = list_markers(folder)
    if find_damaged(engine, markers):
        for path in [*markers, *folder.rglob(SPENT_FILE)]:
            path.unlink(missing_ok=True)
