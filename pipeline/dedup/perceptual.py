"""Duplicates by what content looks or sounds like: the same bytes, or perceptual hashes within a Hamming distance, verified.

Rounds that images and recordings share: `facts` per partition; `index` over all of them, which also finds exact duplicates; `near_pairs`
for a slice of the index at a time; `cluster`, as for text. `cap_records` bounds how many records may have one key, such as
a caption, and writes `Layout.late_verdicts`. What is held in memory by `index` and the last is some tens of bytes per record that the
rules kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.engine import Task
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.dedup.clusters import cluster
from pipeline.dedup.facts import FACTS, gather_facts
from pipeline.dedup.hamming import HammingIndex
from pipeline.dedup.verification import verified_groups
from pipeline.workspace import Layout, RecordIds

SLICE = 100_000  # hashes whose neighbours one task looks for


def rounds(layout: Layout, ids: RecordIds, kind: int) -> Iterator[list[Task]]:
    """The tasks that find clusters; `kind` says what the sketches are.

    Tables of the measure step have `size` and `score`, by which `priorities` chooses survivors, `flat` (its hash says nothing) and
    `key` (a hash of what a cap counts by, null: nothing); `hashes` is a matrix of one hash per view of a record.
    """
    yield [(facts, (layout, i)) for i in range(layout.partitions)]
    yield [(index, (layout,))]
    slices = read_json(_index_done(layout))["slices"]
    yield [(near_pairs, (layout, number, kind)) for number in range(slices)]
    yield [(cluster, (layout, ids, slices + 1, kind))]


def _kept(layout: Layout, index: int) -> Any:
    return layout.folder / f"facts-kept-{index:05d}.npy"


def _index_done(layout: Layout) -> Any:
    return layout.folder / "index.json"


def priorities(size: np.ndarray, score: np.ndarray, first: int) -> np.ndarray:
    """uint64[n]: the larger, the better a survivor: by size (in steps of 16), then score, then the earlier in the input.

    `score` 0 to 1, `first` the number of the first record. No two records have the same.
    """
    order = np.uint64(0xFFFFFFFF) - np.arange(first, first + len(size), dtype=np.uint64)
    steps = np.minimum(size // 16, (1 << 26) - 1).astype(np.uint64)
    return (steps << np.uint64(38)) | (np.round(np.clip(score, 0, 1) * 63).astype(np.uint64) << np.uint64(32)) | order


def facts(layout: Layout, index: int) -> dict[str, Any]:
    """Write what one partition contributes."""
    done = layout.folder / f"facts-{index:05d}.json"
    if (counts := read_json(done)) is not None:
        return counts
    part = layout.part(index)
    table = pl.read_parquet(part.table, columns=["exact", "key_length", "flat", "size", "score", "key"])
    found = np.empty(len(table), FACTS)
    found["priority"] = priorities(table["size"].to_numpy(), table["score"].to_numpy(), layout.bases[index])
    found["exact"], found["key_length"] = table["exact"].to_numpy(), table["key_length"].to_numpy()
    rows = np.flatnonzero(layout.kept_mask(index))
    views = np.load(part.array("hashes"), mmap_mode="r")
    # What a kept record contributes beyond FACTS.
    kind = [
        ("row", np.uint32),
        ("hashes", np.uint64, (views.shape[1],)),
        ("flat", np.bool_),
        ("key", np.uint64),
        ("keyed", np.bool_),
    ]
    here = np.empty(len(rows), np.dtype(kind))
    here["row"], here["hashes"], here["flat"] = rows, views[rows], table["flat"].to_numpy()[rows]
    keys = table["key"].gather(rows)
    here["key"], here["keyed"] = keys.fill_null(0).to_numpy(), keys.is_not_null().to_numpy()
    for path, values in ((layout.facts(index), found), (_kept(layout, index), here)):
        with write_atomically(path) as temporary, open(temporary, "wb") as file:
            np.save(file, values)
    counts = {"kept": len(rows)}
    write_json(done, counts)
    return counts


def load_kept(layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, FACTS and what else is known of all records that the rules kept."""
    kept = [np.load(_kept(layout, i)) for i in range(layout.partitions)]
    numbers = [k["row"].astype(np.int64) + base for k, base in zip(kept, layout.bases[:-1], strict=True)]
    whole = [np.load(layout.facts(i), mmap_mode="r")[k["row"]] for i, k in enumerate(kept)]
    return np.concatenate(numbers), np.concatenate(whole), np.concatenate(kept)


def index(layout: Layout) -> dict[str, Any]:
    """Find exact duplicates, and index the hashes of one record of each."""
    if (counts := read_json(_index_done(layout))) is not None:
        return counts
    numbers, found, kept = load_kept(layout)
    order = np.lexsort((~found["priority"], found["key_length"], found["exact"]))
    numbers, found, kept = numbers[order], found[order], kept[order]
    same = (found["exact"][1:] == found["exact"][:-1]) & (found["key_length"][1:] == found["key_length"][:-1])
    first = np.concatenate([[True], ~same])[: len(numbers)]
    leader = numbers[np.maximum.accumulate(np.where(first, np.arange(len(numbers)), 0))] if len(numbers) else numbers
    pairs = np.stack([leader[~first], numbers[~first]], axis=1)
    with write_atomically(layout.pairs(0)) as temporary, open(temporary, "wb") as file:
        np.save(file, pairs)
    chosen = np.flatnonzero(first & ~kept["flat"])
    # A record is a member of every hash that one of its views has; within a hash, the best records first.
    views, members = kept["hashes"][chosen].ravel(), np.repeat(chosen, kept["hashes"].shape[1])
    order = np.lexsort((~found["priority"][members], views))
    views, members = views[order], members[order]
    again = (views[1:] == views[:-1]) & (members[1:] == members[:-1])
    alone = np.concatenate([[True], ~again])[: len(members)]
    distinct, starts = np.unique(views[alone], return_index=True)
    members = numbers[members[alone]]
    for name, values in (("members", members), ("starts", np.append(starts, len(members)).astype(np.int64))):
        with write_atomically(layout.folder / f"index-{name}.npy") as temporary, open(temporary, "wb") as file:
            np.save(file, values)
    HammingIndex.build(distinct, layout.settings.distance).save(layout.folder)
    counts = {"slices": -(-len(distinct) // SLICE), "hashes": len(distinct)}
    write_json(_index_done(layout), counts)
    return counts


def near_pairs(layout: Layout, number: int, kind: int) -> dict[str, Any]:
    """Verified pairs among the candidates of one slice of the index, written as int64[pairs, 2] of record numbers."""
    target = layout.pairs(number + 1)
    done = target.with_suffix(".json")
    if (counts := read_json(done)) is not None:
        return counts
    tables = HammingIndex.load(layout.folder)
    members, starts = (np.load(layout.folder / f"index-{name}.npy", mmap_mode="r") for name in ("members", "starts"))
    first, last = number * SLICE, min((number + 1) * SLICE, len(starts) - 1)
    left, right, _ = tables.pairs(first, last, layout.settings.distance)
    # Candidates are groups of records with one hash, and pairs of such groups.
    groups = np.unique(np.concatenate([np.arange(first, last), left, right]))
    sizes = starts[groups + 1] - starts[groups]
    where = np.concatenate([[0], np.cumsum(sizes)])
    records = members[np.repeat(starts[groups] - where[:-1], sizes) + np.arange(where[-1])]
    nodes, rows = np.unique(records, return_inverse=True)
    _, sketches = gather_facts(layout, nodes)
    a, b = verified_groups(
        where, rows, np.searchsorted(groups, np.arange(first, last)), np.searchsorted(groups, left),
        np.searchsorted(groups, right), sketches, layout.settings.accept, kind,
    )  # fmt: skip
    pairs = np.unique(np.stack([nodes[a], nodes[b]], axis=1), axis=0)
    with write_atomically(target) as temporary, open(temporary, "wb") as file:
        np.save(file, pairs)
    counts = {"candidates": len(left), "pairs": len(pairs)}
    write_json(done, counts)
    return counts


def surviving_records(layout: Layout) -> pl.DataFrame:
    """Records that the rules kept and that are no duplicates, by number: `number`, `key` (a hash, null: none) and `priority`."""
    numbers, found, kept = load_kept(layout)
    stays = ~np.isin(numbers, clusters(layout).filter(pl.col("number") != pl.col("survivor"))["number"].to_numpy())
    key = pl.Series("key", kept["key"][stays]).set(pl.Series(~kept["keyed"][stays]), None)
    return pl.DataFrame({"number": numbers[stays], "key": key, "priority": found["priority"][stays]}).sort("number")


def clusters(layout: Layout, column: str = "survivor") -> pl.DataFrame:
    """`number` and `survivor` (or another column) of every record in a cluster, in order of number."""
    return pl.concat(
        pl.read_parquet(layout.clusters(i), columns=["row", column]).select(column, number=pl.col("row").cast(pl.Int64) + base)
        for i, base in enumerate(layout.bases[:-1])
    )


@dataclass(frozen=True)
class Cap:
    """At most so many records with one `key` (a column; null: none); others break `rule`. `counted`: a column for how many have it."""

    rule: str
    most: int | None
    counted: str
    key: str = "key"


def cap_records(layout: Layout, frame: pl.DataFrame, *caps: Cap) -> dict[str, list[int]]:
    """Of the records `left`, those beyond a cap break its rule; writes `Layout.late_verdicts`. Returns records and amounts by rule.

    Further columns of `frame` go along. Caps are tried one after the other, each on what the ones before have left.
    """
    inner = {"number", "priority", *(one.key for one in caps)}
    frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in ("rule", "value", "bound"))
    for one in caps:
        counts = pl.col(one.key).is_not_null() & pl.col("rule").is_null()
        frame = frame.with_columns(counts=counts).with_columns(
            pl.when("counts").then(pl.col("counts").sum().over(one.key)).cast(pl.UInt32).alias(one.counted),
            rank=pl.col("priority").rank("ordinal", descending=True).over(one.key, "counts"),
        )
        surplus = pl.col("counts") & (pl.col("rank") > one.most) if one.most is not None else pl.lit(False)
        told = {"rule": pl.lit(one.rule), "value": pl.col(one.counted).cast(pl.String), "bound": pl.lit(f"<= {one.most}")}
        frame = frame.with_columns(pl.when(surplus).then(value).otherwise(name).alias(name) for name, value in told.items())
        frame = frame.drop("rank", "counts")
    dropped: dict[str, list[int]] = {}
    cuts = np.searchsorted(frame["number"].to_numpy(), layout.bases)
    for i, base in enumerate(layout.bases[:-1]):
        piece = frame[int(cuts[i]) : int(cuts[i + 1])].with_columns(row=(pl.col("number") - base).cast(pl.UInt32))
        broken = piece.filter(pl.col("rule").is_not_null())
        amounts = pl.read_parquet(layout.part(i).table, columns=["amount"]).to_series().gather(broken["row"])
        sums = broken.select("rule", amount=amounts).group_by("rule").agg(pl.len(), pl.sum("amount"))
        for rule, *new in sums.sort("rule").iter_rows():
            dropped[rule] = [a + b for a, b in zip(dropped.get(rule, [0, 0]), new, strict=True)]
        with write_atomically(layout.late_verdicts(i)) as temporary:
            piece.select("row", pl.exclude("row", *inner)).write_parquet(temporary)
    return dropped
