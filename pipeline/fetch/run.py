"""One run over lists: shards are opened in order, fetched at the same time, and finished as they become complete."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.language import translate
from pipeline.core.progress import ProgressDisplay
from pipeline.core.storage import format_size
from pipeline.core.tables import read_parquet
from pipeline.fetch.lists import cut_lists
from pipeline.fetch.outcomes import Outcome
from pipeline.fetch.scheduler import QueuedUrl, Scheduler
from pipeline.fetch.settings import FetchSettings
from pipeline.fetch.shards import FetchedShard, sidecar_path

_MAX_UNFINISHED = 20_000  # URLs; at so many no more of the list is read
_MAX_OPEN_SHARDS = 64


@dataclass(frozen=True)
class FetchSummary:
    """What a run fetched. `statuses` and `reasons` count all rows; `requested`, `bytes` and `seconds` are of this run."""

    rows: int
    shards: int
    requested: int  # URLs
    statuses: dict[str, int]
    reasons: dict[str, int]
    bytes: int
    seconds: float


class FetchRun:
    """One run of the command over the files `paths`."""

    def __init__(self, paths: list[str], out: Path, settings: FetchSettings, console: Console) -> None:
        self.paths, self.out, self.settings = paths, out, settings
        self.progress = ProgressDisplay(console)
        self._step = self.progress.step("fetch")
        self._shard_rows: list[int] = []  # by shard
        self._requested = self._bytes = self._images = self._rows_done = 0
        self._began = self._last_shown = time.monotonic()
        self._total: int | None = None  # URLs, once all lists are read
        self._open: set[FetchedShard] = set()
        self._finishing: set[asyncio.Task[None]] = set()
        self._write_lock = asyncio.Lock()  # one shard is written at a time

    async def fetch_all(self) -> None:
        """Fetch every shard. Raises UsageError where the lists have no URL."""
        try:
            async with Scheduler(self.settings) as scheduler:
                frames = cut_lists(self.paths, self.settings.shard_size)
                while (frame := await asyncio.to_thread(next, frames, None)) is not None:
                    shard = FetchedShard(len(self._shard_rows), frame, self.out, self.settings.shard_size)
                    await self._start(shard, scheduler)
                    self._shard_rows.append(frame.height)
                    await scheduler.wait_until(
                        lambda: scheduler.unfinished < _MAX_UNFINISHED and len(self._open) < _MAX_OPEN_SHARDS
                    )
                if not self._shard_rows:
                    raise UsageError(f"{' '.join(self.paths)}: no URL in there")
                self._total = sum(self._shard_rows)
                await scheduler.wait_until(lambda: not self._open)
                self._show_progress()
                self._step.finish()
        finally:
            for shard in self._open:
                shard.close()

    async def _start(self, shard: FetchedShard, scheduler: Scheduler) -> None:
        """Queue the URLs of a shard that are not fetched yet."""
        if await asyncio.to_thread(shard.is_done, self.settings):
            self._count_rows(shard.frame.height)
            return
        self._open.add(shard)
        missing = await asyncio.to_thread(shard.open, self.settings)
        self._requested += len(missing)
        self._count_rows(shard.frame.height - sum(map(len, missing.values())))
        unfinished = set(missing)

        def add_outcome(url: str, outcome: Outcome) -> None:
            shard.add(missing[url], outcome)
            unfinished.discard(url)
            self._bytes += len(outcome.body)
            self._images += outcome.status == "success"
            self._count_rows(len(missing[url]))
            if not unfinished:
                self._finish(shard, scheduler)

        for url in missing:
            scheduler.add(QueuedUrl(url, partial(add_outcome, url)))
        if not missing:
            self._finish(shard, scheduler)

    def _finish(self, shard: FetchedShard, scheduler: Scheduler) -> None:
        """Write the shard in a thread while others are fetched."""

        async def finish() -> None:
            try:
                async with self._write_lock:
                    await asyncio.to_thread(shard.finish)
                self._open.discard(shard)
                scheduler.notify()
            except Exception as error:
                scheduler.notify(error)

        task = asyncio.get_running_loop().create_task(finish())
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    def _count_rows(self, rows: int) -> None:
        self._rows_done += rows
        if time.monotonic() - self._last_shown > 0.1:
            self._show_progress()

    def _show_progress(self) -> None:
        self._last_shown = time.monotonic()
        seconds = max(self._last_shown - self._began, 1e-6)
        note = translate("{0} URLs  {1} images  {2}/s  {3}/s")
        values = self._rows_done, self._images, round(self._images / seconds)
        self._step.note = note.format(*(f"{value:,}" for value in values), format_size(self._bytes / seconds))
        if self._total:
            self._step.set_share(self._rows_done / self._total)

    def summarise(self) -> FetchSummary:
        """Count what the sidecars say of all rows. Raises BuildError unless they have exactly the rows of the lists."""
        statuses: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for number, rows in enumerate(self._shard_rows):
            sidecar = read_parquet(sidecar_path(self.out, number), columns=["status", "error_message"])
            if sidecar.height != rows:
                raise BuildError(
                    f"shard {number:05d} has {sidecar.height:,} rows for {rows:,} of the list; remove it and fetch again"
                )
            statuses.update(sidecar["status"])
            reasons.update(sidecar["error_message"].drop_nulls())
        sidecars = [path for path in self.out.glob("*.parquet") if re.fullmatch(r"\d{5,}", path.stem)]
        surplus = [path.name for path in sidecars if int(path.stem) >= len(self._shard_rows)]
        if surplus:
            raise BuildError(
                f"{self.out} holds {min(surplus)}, which the list has no rows for: it was fetched from another list"
            )
        return FetchSummary(
            rows=sum(self._shard_rows),
            shards=len(self._shard_rows),
            requested=self._requested,
            statuses=dict(statuses.most_common()),
            reasons=dict(reasons.most_common()),
            bytes=self._bytes,
            seconds=time.monotonic() - self._began,
        )
