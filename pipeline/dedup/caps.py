"""A cap on how many records may have one key, such as a domain, over a corpus of any size: the best are kept.

1. `send_keys`, a task per run of partitions: of every key the best records, as many as the cap, and how many records have it there.
2. `find_limits`, a task per key range: of every key that too many records have, the last record that is kept. Runs that have such
   records hear of it.
3. `write_late`, a task per run: what comes after that record breaks the rule. `count_late` sums the counts.

Counted are records that the rules kept and that are no duplicates. A task holds the keys of its run, or of its range.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from pipeline.core.engine import Task
from pipeline.core.storage import write_atomically
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.core.vouching import load_counts
from pipeline.dedup.bands import range_of
from pipeline.dedup.exchange import Exchange
from pipeline.dedup.runs import divide_into_runs, run_of_records
from pipeline.workspace import Layout, exceed_cap

RECORDS_PER_RANGE = 2_000_000
# A record with the key, and how many records of the run have it (0 but for the best one).
_KEY = np.dtype([("key", np.uint64), ("priority", np.uint64), ("record", np.int64), ("count", np.int64)])
# The last record of a key that is kept, and how many records have the key.
_LIMIT = _KEY


class Cap(NamedTuple):
    """At most `most` records have one value of `column` (uint64 of the measured table, null: none); others break `rule`."""

    rule: str
    most: int
    column: str


class _Plan(NamedTuple):
    """Who sends what to whom."""

    keys: Exchange  # from runs to key ranges
    limits: Exchange  # from key ranges to runs


def _plan(layout: Layout, cap: Cap) -> _Plan:
    runs = len(divide_into_runs(layout)) - 1
    ranges = max(1, -(-layout.kept // RECORDS_PER_RANGE))
    return _Plan(
        Exchange(layout.folder, f"{cap.rule}-keys", runs, ranges), Exchange(layout.folder, f"{cap.rule}-limits", ranges, runs)
    )


def rounds(layout: Layout, cap: Cap) -> Iterator[list[Task]]:
    """Yield the rounds of tasks, which write `Layout.late_verdicts`."""
    plan = _plan(layout, cap)
    yield [(send_keys, (layout, cap, run)) for run in range(plan.keys.senders)]
    yield from plan.keys.passes()
    yield [(find_limits, (layout, cap, number)) for number in range(plan.keys.receivers)]
    plan.keys.remove()
    yield from plan.limits.passes()
    yield [(write_late, (layout, cap, run)) for run in range(plan.limits.receivers)]
    plan.limits.remove()
    yield [(count_late, (layout, cap))]


def _partitions(layout: Layout, run: int) -> range:
    return range(*divide_into_runs(layout)[run : run + 2].tolist())


def _counted_records(layout: Layout, cap: Cap, index: int) -> np.ndarray:
    """Return the records of a partition that have a key, and that neither rules nor duplicates have dropped."""
    keys = read_parquet(layout.part(index).table, columns=[cap.column]).to_series()
    clusters = read_parquet(layout.clusters(index), columns=["row", "survivor"])
    duplicates = clusters.filter(pl.col("row").cast(pl.Int64) + layout.bases[index] != pl.col("survivor"))["row"].to_numpy()
    counted = layout.kept_mask(index) & keys.is_not_null().to_numpy()
    counted[duplicates] = False
    rows = np.flatnonzero(counted)
    out = np.zeros(len(rows), _KEY)
    out["key"] = keys.gather(rows).to_numpy()
    out["priority"] = np.load(layout.facts(index), mmap_mode="r")["priority"][rows]
    out["record"] = rows + layout.bases[index]
    return out


def _rank(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows by key and, within one, from best to worst; where each key begins; and the rank of each row within its key, from 0."""
    rows = rows[np.lexsort((rows["record"], ~rows["priority"], rows["key"]))]
    starts = np.flatnonzero(np.concatenate([[True], rows["key"][1:] != rows["key"][:-1]])[: len(rows)])
    ranks = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    return rows, starts, ranks


@resumable(lambda layout, cap, run: layout.folder / f"{cap.rule}-keys-{run:05d}.json")
def send_keys(layout: Layout, cap: Cap, run: int) -> Counts:
    """Send the best records of every key of a run, as many as the cap, with how many records have the key."""
    plan = _plan(layout, cap)
    counted = [_counted_records(layout, cap, index) for index in _partitions(layout, run)]
    rows, starts, ranks = _rank(np.concatenate([np.empty(0, _KEY), *counted]))
    rows["count"][starts] = np.diff(np.append(starts, len(rows)))
    best = rows[ranks < cap.most]
    plan.keys.send(run, best, range_of(np.ascontiguousarray(best["key"]), plan.keys.receivers))
    return {"capped_keys": len(starts)}


@resumable(lambda layout, cap, number: layout.folder / f"{cap.rule}-limits-{number:05d}.json")
def find_limits(layout: Layout, cap: Cap, number: int) -> Counts:
    """Send the limits of the keys in one range that more records have than may, to the runs that have such records."""
    plan = _plan(layout, cap)
    rows, starts, ranks = _rank(np.concatenate([np.empty(0, _KEY), *plan.keys.receive_rows(number, _KEY)]))
    totals = np.add.reduceat(rows["count"], starts) if len(rows) else np.empty(0, np.int64)
    limits = rows[ranks == cap.most - 1]  # one of each key that so many records have
    limits["count"] = totals[np.searchsorted(rows["key"][starts], limits["key"])]
    limits = limits[limits["count"] > cap.most]
    firsts = rows[(rows["count"] > 0) & np.isin(rows["key"], limits["key"])]  # one of each key and run
    wanted = limits[np.searchsorted(limits["key"], firsts["key"])]
    plan.limits.send(number, wanted, run_of_records(layout, firsts["record"]))
    return {"capped": len(limits)}


def _run_marker(layout: Layout, cap: Cap, run: int) -> Path:
    return layout.folder / f"{cap.rule}-late-{run:05d}.json"


@resumable(lambda layout, cap, run: _run_marker(layout, cap, run))
def write_late(layout: Layout, cap: Cap, run: int) -> Counts:
    """Write the records of a run that are beyond the limits of their keys, a file per partition; return their number and amount."""
    received = np.concatenate([np.empty(0, _LIMIT), *_plan(layout, cap).limits.receive_rows(run, _LIMIT)])
    limits = received[np.argsort(received["key"])]
    dropped = amount = 0
    for index in _partitions(layout, run):
        rows = _counted_records(layout, cap, index)
        of_key = np.minimum(np.searchsorted(limits["key"], rows["key"]), max(0, len(limits) - 1))
        limit = limits[of_key] if len(limits) else np.zeros(len(rows), _LIMIT)
        has_limit = limit["key"] == rows["key"] if len(limits) else np.zeros(len(rows), bool)
        is_worse = (rows["priority"] < limit["priority"]) | (
            (rows["priority"] == limit["priority"]) & (rows["record"] > limit["record"])
        )
        surplus = np.flatnonzero(has_limit & is_worse)
        numbers = (rows["record"][surplus] - layout.bases[index]).astype(np.uint32)
        counts = pl.lit(pl.Series(limit["count"][surplus]))
        late = pl.DataFrame({"row": numbers}).with_columns(**exceed_cap(cap.rule, counts, cap.most))
        with write_atomically(layout.late_verdicts(index)) as temporary:
            late.write_parquet(temporary)
        amounts = read_parquet(layout.part(index).table, columns=["amount"]).to_series()
        dropped, amount = dropped + len(late), amount + int(amounts.gather(numbers).sum())
    return {"late_records": dropped, "late_amount": amount}


@resumable(lambda layout, cap: layout.folder / f"{cap.rule}.json")
def count_late(layout: Layout, cap: Cap) -> Counts:
    """Return records and amount that the cap dropped, as `rules` of the step."""
    counts = [load_counts(_run_marker(layout, cap, run)) for run in range(len(divide_into_runs(layout)) - 1)]
    records, amount = (sum(count[name] for count in counts) for name in ("late_records", "late_amount"))
    return {"rules": {cap.rule: [records, amount]} if records else {}}
