"""Progress lines in the terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


def make_progress(console: Console) -> Progress:
    """Return the display that progress lines are part of."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[info]}"),
        console=console,
        transient=False,
    )


class StepProgress:
    """The progress line of one step: records, megabytes per second, time left."""

    def __init__(self, progress: Progress, name: str, total: float | None) -> None:
        self._progress, self.name, self.began = progress, name, time.perf_counter()
        self.records, self.bytes, self.total = 0, 0.0, total
        self._task = progress.add_task(name, total=total, info="")

    def advance(self, size: float, records: int = 0, total: float | None = None) -> None:
        """Add `size` bytes and `records`; `total` replaces the estimate of all bytes."""
        self.bytes += size
        self.records += records
        self.total = total if total is not None else self.total
        seconds = max(time.perf_counter() - self.began, 1e-6)
        left = ""
        if self.total and self.bytes and self.bytes < self.total:
            remaining = int(seconds * (self.total - self.bytes) / self.bytes)
            left = f"{remaining // 3600}:{remaining // 60 % 60:02d}:{remaining % 60:02d} left"
        info = f"{self.records:>11,} records  {self.bytes / 1e6 / seconds:7.1f} MB/s  {left}"
        self._progress.update(self._task, completed=self.bytes, total=self.total, info=info)

    def set_share(self, share: float) -> None:
        """Show how much is done, from 0 to 1, of work that is not counted in bytes."""
        seconds = time.perf_counter() - self.began
        self._progress.update(self._task, completed=share, total=1.0, info=f"{seconds:>11.1f} s")

    def finish(self) -> float:
        """Show the step as done; return its seconds."""
        seconds = time.perf_counter() - self.began
        speed = f"{self.bytes / 1e6 / max(seconds, 1e-6):7.1f} MB/s  " if self.bytes else ""
        self._progress.update(
            self._task,
            completed=self.bytes or 1,
            total=self.bytes or 1,
            info=f"{self.records:>11,} records  {speed}{seconds:.1f} s",
        )
        return seconds
