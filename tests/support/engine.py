"""An engine without workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.progress import Progress

from pipeline.core.engine import StepProgress


class InProcessEngine:
    """Run tasks where they are submitted, in order."""

    worker_count, peak_memory = 1, 0

    def run(self, what: str, tasks: Any, in_flight: Any = None, meanwhile: Any = None) -> Iterator[tuple[int, Any]]:
        for number, (function, arguments) in enumerate(tasks):
            yield number, function(*arguments)

    def produce(self, what: str, function: Any, arguments: Any, ahead: Any) -> Any:
        return function(*arguments)

    def step(self, name: str, total: float | None = None) -> StepProgress:
        return StepProgress(Progress(disable=True), name, total)
