"""Tasks that leave a marker: a JSON file with their counts, written last, so that a killed build does none of them twice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

from pipeline.core.storage import read_json, write_json

Counts = dict[str, Any]
P = ParamSpec("P")


def resumable(marker: Callable[P, Path]) -> Callable[[Callable[P, Counts]], Callable[P, Counts]]:
    """Cache a function's result in the JSON file `marker(*arguments)`: where that exists, return what is in it."""

    def decorate(function: Callable[P, Counts]) -> Callable[P, Counts]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> Counts:
            path = marker(*args, **kwargs)
            counts = read_json(path)
            if counts is None:
                counts = function(*args, **kwargs)
                write_json(path, counts)
            return counts

        return run

    return decorate
