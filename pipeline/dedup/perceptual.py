"""Duplicates by what content looks or sounds like: the same bytes, or perceptual hashes within a Hamming distance, verified.

Images and recordings share these rounds: `collect` per partition; `index_hashes` over all partitions, which also finds exact duplicates;
`find_near_groups` and `find_near_pairs`, each for a slice of the index at a time; clusters, as for text. Afterwards a modality may call
`cap_records`, which bounds how many records may have one key, such as a caption, and writes `Layout.late_verdicts`. `index_hashes` and
`cap_records` hold in memory some tens of bytes per record that the rules kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from pipeline.core.engine import Task
from pipeline.core.storage import write_array, write_atomically
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.core.vouching import load_counts
from pipeline.dedup import clusters
from pipeline.dedup.facts import FACTS, Inquiry, answer, best_first, receive_answers
from pipeline.dedup.hamming import HammingIndex
from pipeline.dedup.runs import divide_into_runs
from pipeline.dedup.verification import verified_groups
from pipeline.workspace import REASON, Layout, RecordIds, exceed_cap

SLICE = 100_000  # hashes whose neighbours one task looks for


def rounds(layout: Layout, ids: RecordIds, kind: int) -> Iterator[list[Task]]:
    """Yield the rounds of tasks that find clusters; `kind` says what the sketches are.

    Tables of the measure step have `size` and `score`, by which `priorities` chooses survivors, `flat` (its hash says nothing) and
    `key` (a hash of what a cap counts by, null: nothing); `hashes` is a matrix of one hash per view of a record.
    """
    yield [(collect, (layout, index)) for index in range(layout.partitions)]
    yield [(index_hashes, (layout,))]
    slices = load_counts(_index_marker(layout))["slices"]
    inquiry = Inquiry.of(layout, "near", slices, slices)
    yield [(find_near_groups, (layout, inquiry, number)) for number in range(slices)]
    yield from inquiry.requests.passes()
    yield [(answer, (layout, inquiry, run, None)) for run in range(len(divide_into_runs(layout)) - 1)]
    yield from inquiry.answers.passes()
    yield [(find_near_pairs, (layout, inquiry, number, kind)) for number in range(slices)]
    inquiry.remove()
    yield from clusters.rounds(layout, ids, slices + 1, kind)


def _kept_file(layout: Layout, index: int) -> Path:
    return layout.folder / f"facts-kept-{index:05d}.npy"


def _index_marker(layout: Layout) -> Path:
    return layout.folder / "index.json"


def priorities(size: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return uint64[n], by which survivors are chosen, largest first: by size (in steps of 16), then score, 0 to 1.

    Of equal records the earlier in the input is better (`facts.best_first`).
    """
    steps = np.minimum(size // 16, (1 << 26) - 1).astype(np.uint64)
    return (steps << np.uint64(38)) | (np.round(np.clip(score, 0, 1) * 63).astype(np.uint64) << np.uint64(32))


@resumable(lambda layout, index: layout.folder / f"facts-{index:05d}.json")
def collect(layout: Layout, index: int) -> Counts:
    """Write the facts of one partition and, of the records that the rules kept, hashes and keys."""
    part = layout.part(index)
    table = read_parquet(part.table, columns=["exact", "key_length", "flat", "size", "score", "key"])
    facts = np.empty(len(table), FACTS)
    facts["priority"] = priorities(table["size"].to_numpy(), table["score"].to_numpy())
    facts["exact"], facts["key_length"] = table["exact"].to_numpy(), table["key_length"].to_numpy()
    facts["key"] = facts["exact"]
    rows = np.flatnonzero(layout.kept_mask(index))
    views = np.load(part.array("hashes"), mmap_mode="r")
    fields = [
        ("row", np.uint32), ("hashes", np.uint64, (views.shape[1],)), ("flat", np.bool_), ("key", np.uint64), ("has_key", np.bool_)
    ]  # fmt: skip
    kept = np.empty(len(rows), np.dtype(fields))
    kept["row"], kept["hashes"], kept["flat"] = rows, views[rows], table["flat"].to_numpy()[rows]
    keys = table["key"].gather(rows)
    kept["key"], kept["has_key"] = keys.fill_null(0).to_numpy(), keys.is_not_null().to_numpy()
    write_array(layout.facts(index), facts)
    write_array(_kept_file(layout, index), kept)
    return {"kept": len(rows)}


class KeptRecords(NamedTuple):
    """All records that the rules kept: their numbers, `FACTS`, and hashes and keys as `collect` wrote them."""

    numbers: np.ndarray
    facts: np.ndarray
    kept: np.ndarray

    def take(self, positions: np.ndarray) -> KeptRecords:
        return KeptRecords(*(values[positions] for values in self))


def load_kept(layout: Layout) -> KeptRecords:
    kept = [np.load(_kept_file(layout, index)) for index in range(layout.partitions)]
    numbers = [part["row"].astype(np.int64) + base for part, base in zip(kept, layout.bases[:-1], strict=True)]
    facts = [np.load(layout.facts(index), mmap_mode="r")[part["row"]] for index, part in enumerate(kept)]
    return KeptRecords(np.concatenate(numbers), np.concatenate(facts), np.concatenate(kept))


@resumable(_index_marker)
def index_hashes(layout: Layout) -> Counts:
    """Find exact duplicates, and index the hashes of one record of each."""
    records = load_kept(layout)
    facts = records.facts
    records = records.take(best_first(records.numbers, facts, facts["key_length"], facts["exact"]))
    numbers, facts, kept = records
    repeats = (facts["exact"][1:] == facts["exact"][:-1]) & (facts["key_length"][1:] == facts["key_length"][:-1])
    is_first = np.concatenate([[True], ~repeats])[: len(numbers)]
    firsts = np.maximum.accumulate(np.where(is_first, np.arange(len(numbers)), 0)) if len(numbers) else np.zeros(0, np.int64)
    clusters.write_pairs(layout, 0, np.stack([numbers[firsts][~is_first], numbers[~is_first]], axis=1))
    indexed = np.flatnonzero(is_first & ~kept["flat"])
    # A record is listed under the hash of each of its views; under a hash, the best records come first.
    hashes, members = kept["hashes"][indexed].ravel(), np.repeat(indexed, kept["hashes"].shape[1])
    order = best_first(numbers[members], facts[members], hashes)
    hashes, members = hashes[order], members[order]
    repeats = (hashes[1:] == hashes[:-1]) & (members[1:] == members[:-1])
    once = np.concatenate([[True], ~repeats])[: len(members)]
    distinct, starts = np.unique(hashes[once], return_index=True)
    members = numbers[members[once]]
    write_array(layout.folder / "index-members.npy", members)
    write_array(layout.folder / "index-starts.npy", np.append(starts, len(members)).astype(np.int64))
    HammingIndex.build(distinct, layout.settings.distance).save(layout.folder)
    return {"slices": -(-len(distinct) // SLICE), "hashes": len(distinct)}


class _Slice(NamedTuple):
    """Candidates of one slice: groups of records with one hash, and pairs `left[k]`, `right[k]` of such groups."""

    hashes: np.ndarray  # the slice's own groups, numbered as in `starts`
    groups: np.ndarray
    left: np.ndarray
    right: np.ndarray
    starts: np.ndarray
    records: np.ndarray  # of group g: records[starts[g]:starts[g + 1]], best first


def _load_slice(layout: Layout, number: int) -> _Slice:
    members, starts = (np.load(layout.folder / f"index-{name}.npy", mmap_mode="r") for name in ("members", "starts"))
    left, right = np.load(_near_file(layout, number))
    hashes = np.arange(number * SLICE, min((number + 1) * SLICE, len(starts) - 1))
    groups = np.unique(np.concatenate([hashes, left, right]))
    sizes = starts[groups + 1] - starts[groups]
    group_starts = np.concatenate([[0], np.cumsum(sizes)])
    records = members[np.repeat(starts[groups] - group_starts[:-1], sizes) + np.arange(group_starts[-1])]
    return _Slice(hashes, groups, left, right, group_starts, records)


def _near_file(layout: Layout, number: int) -> Path:
    return layout.folder / f"hamming-pairs-{number:05d}.npy"


@resumable(lambda layout, inquiry, number: _near_file(layout, number).with_suffix(".json"))
def find_near_groups(layout: Layout, inquiry: Inquiry, number: int) -> Counts:
    """Find pairs of hashes within the distance, for one slice of the index, and request the sketches of their records."""
    tables = HammingIndex.load(layout.folder)
    left, right, _ = tables.pairs(number * SLICE, min((number + 1) * SLICE, len(tables)), layout.settings.distance)
    write_array(_near_file(layout, number), np.stack([left, right]))
    records = np.unique(_load_slice(layout, number).records)
    inquiry.ask(layout, number, records, np.full(len(records), number))
    return {"candidates": len(left)}


@resumable(lambda layout, inquiry, number, kind: layout.pairs(number + 1).with_suffix(".json"))
def find_near_pairs(layout: Layout, inquiry: Inquiry, number: int, kind: int) -> Counts:
    """Write verified pairs among the candidates of one slice of the index, as int64[pairs, 2] of record numbers."""
    hashes, groups, left, right, starts, records = _load_slice(layout, number)
    nodes, _, sketches, *_ = receive_answers(layout, inquiry, number)
    a, b = verified_groups(
        starts, np.searchsorted(nodes, records), np.searchsorted(groups, hashes), np.searchsorted(groups, left),
        np.searchsorted(groups, right), sketches, layout.settings.accept, kind,
    )  # fmt: skip
    pairs = np.unique(np.stack([nodes[a], nodes[b]], axis=1), axis=0)
    clusters.write_pairs(layout, number + 1, pairs)
    return {"pairs": len(pairs)}


# -- caps


def load_clusters(layout: Layout, column: str = "survivor") -> pl.DataFrame:
    """Return `number` and `survivor` (or another column) of every record in a cluster, in order of number."""
    return pl.concat(
        read_parquet(layout.clusters(i), columns=["row", column]).select(column, number=pl.col("row").cast(pl.Int64) + base)
        for i, base in enumerate(layout.bases[:-1])
    )


def load_copies(layout: Layout, least: float) -> pl.DataFrame:
    """Return `number` and `survivor` of survivors in clusters, and of duplicates whose similarity to theirs is `least` or more."""
    frame = load_clusters(layout).with_columns(load_clusters(layout, "similarity")["similarity"])
    is_survivor = pl.col("number") == pl.col("survivor")
    return frame.filter(is_survivor | (pl.col("similarity") >= pl.lit(least, pl.Float32))).select("survivor", "number")


def surviving_records(layout: Layout) -> pl.DataFrame:
    """Return the records that the rules kept and that are no duplicates, in order of number.

    The columns are `number`, `key` (a hash, null: none) and `priority`, the higher the better, no two alike.
    """
    records = load_kept(layout)
    duplicates = load_clusters(layout).filter(pl.col("number") != pl.col("survivor"))["number"]
    numbers, facts, kept = records.take(~np.isin(records.numbers, duplicates.to_numpy()))
    key = pl.Series("key", kept["key"]).set(pl.Series(~kept["has_key"]), None)
    priority = np.empty(len(numbers), np.int64)
    priority[best_first(numbers, facts)[::-1]] = np.arange(len(numbers))
    return pl.DataFrame({"number": numbers, "key": key, "priority": priority}).sort("number")


@dataclass(frozen=True)
class Cap:
    """At most `most` records with one `key` (a column; null: none); others break `rule`. `count_column` is to hold how many have it."""

    rule: str
    most: int | None
    count_column: str
    key: str = "key"


def cap_records(layout: Layout, frame: pl.DataFrame, *caps: Cap) -> dict[str, list[int]]:
    """Apply caps to `surviving_records` and write `Layout.late_verdicts`; return records and amounts by rule.

    Caps are tried one after the other, each on what the ones before have left. Further columns of `frame` go to the verdicts.
    """
    internal = {"number", "priority", *(cap.key for cap in caps)}
    frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in REASON.items())
    for cap in caps:
        frame = _apply_cap(frame, cap)
    dropped: dict[str, list[int]] = {}
    for index, span in layout.spans(frame["number"].to_numpy()):
        verdicts = frame[span].with_columns(row=(pl.col("number") - layout.bases[index]).cast(pl.UInt32))
        broken = verdicts.filter(pl.col("rule").is_not_null())
        amounts = read_parquet(layout.part(index).table, columns=["amount"]).to_series().gather(broken["row"])
        sums = broken.select("rule", amount=amounts).group_by("rule").agg(pl.len(), pl.sum("amount"))
        for rule, *counts in sums.sort("rule").iter_rows():
            dropped[rule] = [a + b for a, b in zip(dropped.get(rule, [0, 0]), counts, strict=True)]
        with write_atomically(layout.late_verdicts(index)) as temporary:
            verdicts.select("row", pl.exclude("row", *internal)).write_parquet(temporary)
    return dropped


def _apply_cap(frame: pl.DataFrame, cap: Cap) -> pl.DataFrame:
    counted = pl.col(cap.key).is_not_null() & pl.col("rule").is_null()
    frame = frame.with_columns(counted=counted).with_columns(
        pl.when("counted").then(pl.col("counted").sum().over(cap.key)).cast(pl.UInt32).alias(cap.count_column),
        rank=pl.col("priority").rank("ordinal", descending=True).over(cap.key, "counted"),
    )
    surplus = pl.col("counted") & (pl.col("rank") > cap.most) if cap.most is not None else pl.lit(False)
    reason = exceed_cap(cap.rule, pl.col(cap.count_column), cap.most)
    frame = frame.with_columns(pl.when(surplus).then(value).otherwise(name).alias(name) for name, value in reason.items())
    return frame.drop("rank", "counted")
