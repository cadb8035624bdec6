"""Progress of steps: lines that move in a terminal; elsewhere a line now and then, and one for each finished step."""

from __future__ import annotations

import threading
import time
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

from pipeline.core.estimates import Estimate, format_duration
from pipeline.core.language import translate, translate_message

LOG_SECONDS = 10.0  # between two lines where there is no terminal
_NAME_CELLS = 12
_WIDE = 100  # columns, from which on there is room for a long bar


class StepProgress:
    """The progress of one step: records, megabytes per second, time left. `total`: its bytes, or whatever `advance` counts."""

    def __init__(self, display: ProgressDisplay, name: str, total: float | None = None, workers: int = 1) -> None:
        self._display, self.name, self.total = display, name, total
        self.records, self.bytes, self.note = 0, 0.0, ""
        self.seconds: float | None = None  # once it is finished
        self._share: float | None = None
        self._workers = workers
        self.restart_clock()
        display.add(self)

    def restart_clock(self) -> None:
        """Begin now: what was counted so far was there already, and says nothing of the speed."""
        self.began, self._already = time.perf_counter(), self.bytes
        self._estimate = Estimate(self._workers)

    def advance(self, size: float, records: int = 0) -> None:
        """Add `size` bytes and `records`."""
        self.bytes += size
        self.records += records
        self._estimate.add(time.perf_counter(), self.bytes)
        self._display.update(self)

    def expect(self, total: float | None) -> None:
        """Replace the estimate of all bytes."""
        self.total = total
        self._display.update(self)

    def set_share(self, share: float) -> None:
        """Show how much is done, from 0 to 1, of work that is not counted in bytes."""
        self._share = share
        self._estimate.add(time.perf_counter(), share)
        self._display.update(self)

    def finish(self) -> float:
        """Show the step as done; return its seconds."""
        self.seconds = time.perf_counter() - self.began
        self._display.finish(self)
        return self.seconds

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None where nothing is known of it yet."""
        if self.seconds is not None:
            return 1.0
        if self._share is not None:
            return min(self._share, 1.0)
        return min(self.bytes / self.total, 1.0) if self.total and self.bytes else None

    def describe(self) -> str:
        """Return what the line says after the bar."""
        now = time.perf_counter()
        seconds = now - self.began if self.seconds is None else self.seconds
        parts = [translate_message(f"{self.records:,} records").rjust(19)] if self.records else []
        if (done := self.bytes - self._already) and self._share is None:
            parts.append(f"{done / 1e6 / max(seconds, 1e-6):.1f} MB/s".rjust(10))
        parts += [self.note] if self.note else []
        if self.seconds is not None:
            return "  ".join([*parts, f"{seconds:.1f} s"])
        total = 1.0 if self._share is not None else self.total
        left = self._estimate.compute_seconds_left(now, total) if total else None
        if left is not None:
            return "  ".join([*parts, translate("about {0} left").format(format_duration(left))])
        return "  ".join([*parts, translate("{0} so far").format(format_duration(seconds))])

    def format_line(self) -> str:
        """Return the progress as a line of a log."""
        share = "" if self.share is None else f"{self.share:.0%}"
        name = translate(self.name)
        return f"{name}{' ' * max(_NAME_CELLS - cell_len(name), 0)} {share:>4} {self.describe()}".rstrip()


class ProgressDisplay:
    """Shows the steps of a command as they go on. Use it as a context manager."""

    def __init__(self, console: Console, seconds: float = LOG_SECONDS) -> None:
        self.console, self._seconds = console, seconds
        self._running: list[StepProgress] = []
        self._tasks: dict[int, Any] = {}  # of rich, by the step's identity
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._live: Progress | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            bar = BarColumn(24 if console.width >= _WIDE else 12)
            room = console.width - _NAME_CELLS - int(bar.bar_width or 0) - 4 - 3  # share, and gaps
            columns = _Name(), bar, _Share(), _Description(max(room, 10))
            self._live = Progress(*columns, console=console, refresh_per_second=4)

    def __enter__(self) -> ProgressDisplay:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        if self._live is not None:
            self._live.start()
        else:
            threading.Thread(target=self._log, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        if self._live is not None:
            self._live.stop()

    def step(self, name: str, total: float | None = None, workers: int = 1) -> StepProgress:
        """Begin a step; return what its progress is told to."""
        return StepProgress(self, name, total, workers)

    def say(self, text: str) -> None:
        """Print a line above those of progress."""
        self.console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def add(self, step: StepProgress) -> None:
        with self._lock:
            self._running.append(step)
        if self._live is not None:
            self._tasks[id(step)] = self._live.add_task(step.name, total=None, step=step)

    def update(self, step: StepProgress) -> None:
        if self._live is not None and (share := step.share) is not None:
            self._live.update(self._tasks[id(step)], total=1.0, completed=share)

    def finish(self, step: StepProgress) -> None:
        with self._lock:
            self._running.remove(step)
        self.update(step)
        if self._live is None:
            self._print_line(step)

    def _log(self) -> None:
        while not self._stop.wait(self._seconds):
            with self._lock:
                running = [*self._running]
            for step in running:
                self._print_line(step)

    def _print_line(self, step: StepProgress) -> None:
        self.console.print(step.format_line(), soft_wrap=True)


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        name = translate(task.fields["step"].name)
        return Text(name + " " * max(_NAME_CELLS - cell_len(name), 0))


class _Share(ProgressColumn):
    def render(self, task: Task) -> Text:
        share = task.fields["step"].share
        return Text("    " if share is None else f"{share:>4.0%}")


class _Description(ProgressColumn):
    """What stands behind the bar, cut where there is no room: rich would take it from other columns."""

    def __init__(self, room: int) -> None:
        self._room = room
        super().__init__()

    def render(self, task: Task) -> Text:
        text = Text(task.fields["step"].describe(), no_wrap=True)
        text.truncate(self._room, overflow="ellipsis")
        return text
