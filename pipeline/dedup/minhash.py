"""Near duplicates of text: candidates by banded MinHash signatures, verified by sketches.

1. The step measure gives every document a signature and a sketch (`filters.text.minhash`).
2. `write_bands`, a task per run of partitions: a key for each band of a signature, and one for all of the text's key, sent to key ranges.
3. `find_groups`, a task per key range: documents that have a key in common are a group of candidates. Similar documents have several
   bands in common, and make the same group in several ranges: groups are sent to a home, which the first document of the group decides.
4. `answer`, a task per run, sends facts and sketches of the documents to these homes (`pipeline.dedup.facts`).
5. `find_pairs`, a task per home: candidates whose sketches are similar enough are verified pairs.
6. `pipeline.dedup.clusters`: verified pairs make clusters, and the best document of a cluster survives.

Memory is bounded by the size of a key range, and of a home. No task opens more than `exchange.FAN_IN` files at a time or in turn, but
those of its own partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from filters.kernels import jit, mix64
from pipeline.core.engine import Task
from pipeline.core.errors import BuildError
from pipeline.core.storage import write_array
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup import bands as banding
from pipeline.dedup import clusters
from pipeline.dedup.bands import band_keys, range_of
from pipeline.dedup.exchange import SMALL, Exchange
from pipeline.dedup.facts import FACTS, Inquiry, answer, best_first, receive_answers, sort_distinct
from pipeline.dedup.runs import divide_into_runs
from pipeline.dedup.verification import SKETCHES, verified_pairs
from pipeline.workspace import Layout, RecordIds

_BAND = np.dtype([("key", np.uint64), ("document", np.int64)])
_COUNTER_BITS = 24  # 16 MB: eight counters for every key of a range
_MEMBER = np.dtype([("group", np.uint64), ("document", np.int64)])  # a group's members are neighbours


class _Plan(NamedTuple):
    """Who sends what to whom: runs of partitions, key ranges, and homes of groups, as many as ranges."""

    runs: int
    ranges: int
    bands: Exchange  # from runs to key ranges
    groups: Exchange  # from key ranges to homes
    inquiry: Inquiry  # requests from key ranges, answers to homes


def _plan(layout: Layout) -> _Plan:
    bands, _ = banding.banding(layout.settings)
    runs = len(divide_into_runs(layout)) - 1
    ranges = max(1, -(-layout.kept * (bands + 1) // banding.ROWS_PER_RANGE))
    return _Plan(
        runs,
        ranges,
        Exchange(layout.folder, "bands", runs, ranges),
        Exchange(layout.folder, "groups", ranges, ranges, SMALL),
        Inquiry.of(layout, "groups", ranges, ranges),
    )


def rounds(layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
    """Yield the rounds of tasks; a round needs what the one before it wrote, and what none needs any more is removed."""
    plan = _plan(layout)
    yield [(write_bands, (layout, run)) for run in range(plan.runs)]
    yield from plan.bands.passes()
    yield [(find_groups, (layout, number)) for number in range(plan.ranges)]
    plan.bands.remove()
    yield from plan.groups.passes()
    yield from plan.inquiry.requests.passes()
    yield [(answer, (layout, plan.inquiry, run, None)) for run in range(plan.runs)]
    yield from plan.inquiry.answers.passes()
    yield [(find_pairs, (layout, number)) for number in range(plan.ranges)]
    plan.groups.remove()
    plan.inquiry.remove()
    yield from clusters.rounds(layout, ids, plan.ranges, SKETCHES)


def priorities(quality: np.ndarray, chars: np.ndarray) -> np.ndarray:
    """Return uint64[n], by which survivors are chosen, largest first: by quality, then length.

    `quality` 0 to 1 (above it for what is better whatever its quality, at most 3,000), `chars` in characters. Of equal documents the
    earlier in the input is better (`facts.best_first`).
    """
    quality_steps = np.round(np.nan_to_num(quality) * 20).astype(np.uint64)
    return (quality_steps << np.uint64(48)) | (np.minimum(chars, 0xFFFFFF).astype(np.uint64) << np.uint64(24))


@resumable(lambda layout, run: layout.folder / f"bands-{run:05d}.json")
def write_bands(layout: Layout, run: int) -> Counts:
    """Write the facts of every partition of a run, and send the band keys of its documents."""
    plan = _plan(layout)
    rows = [_band_rows(layout, index) for index in range(*divide_into_runs(layout)[run : run + 2].tolist())]
    joined = np.concatenate(rows)
    del rows
    plan.bands.send(run, joined, range_of(joined["key"], plan.ranges))
    return {"keys": len(joined)}


def _band_rows(layout: Layout, index: int) -> np.ndarray:
    """Write the facts of one partition; return its band keys."""
    names = {name: f"{layout.prefix}{name}" for name in ("exact", "key_hash", "key_length")}
    quality = "score" if layout.prefix else "m:quality"
    table = read_parquet(layout.part(index).table, columns=[*names.values(), quality, "amount"])
    facts = np.empty(len(table), FACTS)
    facts["priority"] = priorities(table[quality].to_numpy(), table["amount"].to_numpy())
    facts["exact"], facts["key"] = table[names["exact"]].to_numpy(), table[names["key_hash"]].to_numpy()
    facts["key_length"] = table[names["key_length"]].to_numpy()
    write_array(layout.facts(index), facts)
    bands, rows_per_band = banding.banding(layout.settings)
    keys, documents = band_keys(
        np.ascontiguousarray(np.load(layout.array("signatures", index), mmap_mode="r")),
        np.flatnonzero(layout.kept_mask(index)),
        np.ascontiguousarray(facts["key"]),
        facts["key_length"] >= layout.settings.shingle,
        bands,
        rows_per_band,
    )
    rows = np.empty(len(keys), _BAND)
    rows["key"] = keys
    rows["document"] = documents
    rows["document"] += layout.bases[index]
    return rows


@resumable(lambda layout, number: layout.folder / f"groups-{number:05d}.json")
def find_groups(layout: Layout, number: int) -> Counts:
    """Send the groups of candidates of one key range to their homes, and requests for their sketches."""
    plan = _plan(layout)
    rows = np.concatenate([np.empty(0, _BAND), *plan.bands.receive_rows(number, _BAND)])
    documents, sizes = _shared_keys(rows)
    del rows
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    names, first = _name_groups(documents, starts)
    members = np.empty(len(documents), _MEMBER)
    members["group"], members["document"] = np.repeat(names, sizes), documents
    homes = np.repeat(range_of(first, plan.ranges), sizes)
    plan.groups.send(number, members, homes)
    plan.inquiry.ask(layout, number, documents, homes)
    return {"groups": len(sizes), "members": len(members)}


def _shared_keys(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the documents of every key that several rows have, group after group, and the groups' sizes."""
    keys = np.ascontiguousarray(rows["key"])
    repeated = np.flatnonzero(_may_repeat(keys, _COUNTER_BITS))  # most keys are those of one document: less is sorted
    order = repeated[np.argsort(keys[repeated])]
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    sizes = np.diff(np.append(starts, len(keys)))
    return rows["document"][order[np.repeat(sizes > 1, sizes)]], sizes[sizes > 1]


@jit
def _may_repeat(keys, bits):
    """Return bool[n]: False for keys that are there once only. Keys share counters, so that some of those are True, too."""
    counters = np.zeros(1 << bits, np.uint8)
    mask = np.uint64((1 << bits) - 1)
    out = np.empty(len(keys), np.bool_)
    for i in range(len(keys)):
        counters[keys[i] & mask] = min(counters[keys[i] & mask] + 1, 2)
    for i in range(len(keys)):
        out[i] = counters[keys[i] & mask] > 1
    return out


@jit
def _name_groups(documents, starts):
    """Return, for every group, a hash of the set of its documents, and one of the first of them; uint64 both."""
    names, first = np.empty(len(starts) - 1, np.uint64), np.empty(len(starts) - 1, np.uint64)
    for g in range(len(names)):
        total, least = np.uint64(0), documents[starts[g]]
        for m in range(starts[g], starts[g + 1]):
            total += mix64(np.uint64(documents[m]) + np.uint64(0x9E3779B97F4A7C15))  # of 0 it is 0
            least = min(least, documents[m])
        names[g], first[g] = mix64(total), mix64(np.uint64(least))
    return names, first


@resumable(lambda layout, number: layout.pairs(number).with_suffix(".json"))
def find_pairs(layout: Layout, number: int) -> Counts:
    """Write verified pairs among the groups of one home, as int64[pairs, 2] of document numbers."""
    plan = _plan(layout)
    members, sizes = _distinct_groups(plan.groups.receive_rows(number, _MEMBER))
    documents, facts, sketches, *_ = receive_answers(layout, plan.inquiry, number)
    rows = np.searchsorted(documents, members)
    if len(members) and (rows.max() == len(documents) or (documents[rows] != members).any()):
        raise BuildError(f"sketches are missing in {layout.folder}. Delete that folder and run the same command again.")
    group = np.repeat(np.arange(len(sizes)), sizes)
    a, b = verified_pairs(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        rows[best_first(members, facts[rows], group)],
        sketches,
        np.ascontiguousarray(facts["key"]),
        np.ascontiguousarray(facts["key_length"]),
        layout.settings.accept,
    )
    pairs = sort_distinct((a.astype(np.uint64) << np.uint64(32)) | b.astype(np.uint64))
    found = documents[np.stack([pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)], axis=1).astype(np.int64)]
    clusters.write_pairs(layout, number, found)
    return {"candidates": int((sizes - 1).sum()), "pairs": len(found)}


def _distinct_groups(received: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the documents of every group, each group once, and the groups' sizes."""
    documents, all_sizes, known = [np.empty(0, np.int64)], [np.empty(0, np.int64)], np.empty(0, np.uint64)
    for rows in received:
        names = np.ascontiguousarray(rows["group"])
        starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]])[: len(names)])
        sizes = np.diff(np.append(starts, len(names)))
        _, once = np.unique(names[starts], return_index=True)
        is_new = np.zeros(len(starts), bool)
        is_new[once] = True
        is_new &= ~np.isin(names[starts], known)
        known = np.concatenate([known, names[starts[is_new]]])
        documents.append(rows["document"][np.repeat(is_new, sizes)])
        all_sizes.append(sizes[is_new])
    return np.concatenate(documents), np.concatenate(all_sizes)
