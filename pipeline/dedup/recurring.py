"""Furniture: lines of menus, headers and footers, found since the same sequence of them stands in many documents of a corpus of any size.

1. `send_windows`, a task per run of partitions: how many documents of the run have each window of lines.
2. `find_recurring`, a task per range of hashes: the windows that enough documents of the corpus have. `join_recurring` makes one file of
   them, by ascending hash.
3. `Search.find_furniture`, by whoever has a partition: the lines of its documents that stand in such windows.

Documents that the rules dropped, and duplicates, neither count nor are looked at: copies of a page would make all of its lines recur.
A task holds the lines of a partition and, of the windows of its run or its range, some millions (`ROWS`): a run with more lines is read
several times, each for a part of the hashes, and there are more ranges the more records there are. What recurs is read from a mapped file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.core.engine import Task
from pipeline.core.storage import write_array, write_atomically
from pipeline.core.tables import read_parquet, read_parquet_schema
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup.bands import range_of
from pipeline.dedup.exchange import Exchange
from pipeline.dedup.furniture import COUNTED, RecurringLines, Survivors, leave_recurring, sum_counts
from pipeline.dedup.runs import divide_into_runs
from pipeline.workspace import Layout, remove_step_files

ROWS = 4_000_000  # windows that a task holds: 48 MB, four times as much while they are sorted
WINDOWS_PER_RECORD = 100  # to expect of web pages, for the number of ranges; those of one run are summed before they are sent
WINDOWS_PER_LINE = 2.5  # to expect of a run: a window, a label, and the edges of a document
_CHUNK = 1 << 22  # bytes that are sent at a time


@dataclass(frozen=True)
class Search:
    """What tasks need: the records, the step's folder and the manifest's table."""

    layout: Layout
    folder: Path
    settings: RecurringLines

    @property
    def exchange(self) -> Exchange:
        runs = len(divide_into_runs(self.layout)) - 1
        ranges = max(1, -(-WINDOWS_PER_RECORD * self.layout.kept // ROWS))
        return Exchange(self.folder, "windows", runs, ranges)

    def partitions(self, run: int) -> range:
        return range(*divide_into_runs(self.layout)[run : run + 2].tolist())

    def range_file(self, number: int) -> Path:
        return self.folder / f"recurring-range-{number:05d}.npy"

    @property
    def recurring(self) -> Path:
        """Windows that recur, and how many documents have each, by ascending hash."""
        return self.folder / "recurring.npy"

    def find_furniture(self, index: int) -> pl.DataFrame:
        """Return the records of a partition that have furniture, as `Survivors.describe` does."""
        survivors = load_survivors(self.layout, index)
        return survivors.describe(survivors.mark(self.settings, np.load(self.recurring, mmap_mode="r")))


def rounds(search: Search) -> Iterator[list[Task]]:
    """Yield the rounds of tasks after which `Search.find_furniture` knows what recurs."""
    exchange = search.exchange
    yield [(send_windows, (search, run)) for run in range(exchange.senders)]
    yield from exchange.passes()
    yield [(find_recurring, (search, number)) for number in range(exchange.receivers)]
    exchange.remove()
    yield [(join_recurring, (search,))]
    remove_step_files(search.folder, ["recurring-range-*.npy"])


def load_survivors(layout: Layout, index: int) -> Survivors:
    """Return the lines of the records of a partition that neither rules nor deduplication dropped."""
    part, survives = layout.part(index), layout.kept_mask(index)
    clusters = read_parquet(layout.clusters(index), columns=["row", "survivor"])
    duplicates = clusters.filter(pl.col("row").cast(pl.Int64) + layout.bases[index] != pl.col("survivor"))["row"]
    survives[duplicates.to_numpy()] = False
    if layout.late_verdicts(index).is_file():
        late = read_parquet(layout.late_verdicts(index), columns=["row", "rule"])
        survives[late.filter(pl.col("rule").is_not_null())["row"].to_numpy()] = False
    has_sites = "domain" in read_parquet_schema(part.table)
    table = read_parquet(part.table, columns=["lines", *["domain"] * has_sites])
    numbers, rows = table["lines"].to_numpy(), np.flatnonzero(survives)
    keys = np.load(part.array("lines"), mmap_mode="r")[np.repeat(survives, numbers)]
    starts = np.concatenate([[0], np.cumsum(numbers[rows], dtype=np.int64)])
    sites = table["domain"].fill_null(0).to_numpy()[rows] if has_sites else np.zeros(len(rows), np.uint64)
    return Survivors(rows, starts, keys, sites)


@resumable(lambda search, run: search.folder / f"windows-{run:05d}.json")
def send_windows(search: Search, run: int) -> Counts:
    """Send, of every window of a run, how many documents have it, and how many documents each site has."""
    lines = sum(len(np.load(search.layout.part(index).array("lines"), mmap_mode="r")) for index in search.partitions(run))
    parts = max(1, -(-int(WINDOWS_PER_LINE * lines) // ROWS))
    receivers = search.exchange.receivers
    sizes = np.zeros(receivers, np.int64)
    with tempfile.TemporaryFile(dir=search.folder) as spool:
        for part in range(parts):  # by ascending hash, which is the order of the receivers
            rows = _count_run(search, run, part, parts)
            sizes += np.bincount(range_of(np.ascontiguousarray(rows["hash"]), receivers), minlength=receivers)
            spool.write(rows.tobytes())
        spool.seek(0)
        search.exchange.send_chunks(run, sizes * COUNTED.itemsize, iter(lambda: spool.read(_CHUNK), b""))
    return {"windows": int(sizes.sum())}


def _count_run(search: Search, run: int, part: int, parts: int) -> np.ndarray:
    """Return the windows of a run in one part of the hashes. Those of several partitions are summed as soon as they are many."""
    total, waiting = np.empty(0, COUNTED), [np.empty(0, COUNTED)]
    for index in search.partitions(run):
        waiting.append(load_survivors(search.layout, index).count(search.settings, part, parts))
        if sum(map(len, waiting)) > max(len(total), ROWS // 4):
            total, waiting = sum_counts(np.concatenate([total, *waiting])), []
    return sum_counts(np.concatenate([total, *waiting]))


@resumable(lambda search, number: search.range_file(number).with_suffix(".json"))
def find_recurring(search: Search, number: int) -> Counts:
    """Write the windows (and the sites) in one range of hashes that enough documents have."""
    rows = np.concatenate([np.empty(0, COUNTED), *search.exchange.receive_rows(number, COUNTED)])
    rows = leave_recurring(search.settings, sum_counts(rows))
    write_array(search.range_file(number), rows)
    return {"recurring": len(rows)}


@resumable(lambda search: search.recurring.with_suffix(".json"))
def join_recurring(search: Search) -> Counts:
    """Write what recurs in all ranges to one file."""
    ranges = [np.load(search.range_file(number), mmap_mode="r") for number in range(search.exchange.receivers)]
    count = sum(map(len, ranges))
    if count == 0:
        write_array(search.recurring, np.empty(0, COUNTED))
        return {"recurring": 0}
    with write_atomically(search.recurring) as temporary:
        joined = np.lib.format.open_memmap(temporary, "w+", COUNTED, (count,))
        at = 0
        for rows in ranges:
            joined[at : at + len(rows)] = rows
            at += len(rows)
        joined.flush()
    return {"recurring": count}
