"""Near duplicates of text: candidates by banded MinHash signatures, verified by sketches.

`band` writes every partition's keys grouped by key range; `pair` merges one key range of all partitions and verifies its candidates.
Memory is bounded by a range's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.engine import Task
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.dedup.bands import ROWS_PER_RANGE, BandFile, band_keys, banding, priorities
from pipeline.dedup.clusters import cluster
from pipeline.dedup.facts import FACTS, gather_facts
from pipeline.dedup.verification import SKETCHES, verified_pairs
from pipeline.workspace import Layout, RecordIds


def rounds(layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
    """Yield the rounds of tasks."""
    count = _ranges(layout)
    yield [(band, (layout, i)) for i in range(layout.partitions)]
    yield [(pair, (layout, number)) for number in range(count)]
    yield [(cluster, (layout, ids, count, SKETCHES))]


def _ranges(layout: Layout) -> int:
    return max(1, -(-layout.kept * (banding(layout.settings)[0] + 1) // ROWS_PER_RANGE))


def _band_file(layout: Layout, index: int) -> BandFile:
    return BandFile(layout.folder / f"bands-{index:05d}.bin")


def band(layout: Layout, index: int) -> dict[str, Any]:
    """Write band keys and facts of one partition."""
    done = layout.folder / f"bands-{index:05d}.json"
    if (counts := read_json(done)) is not None:
        return counts
    part = layout.part(index)
    exact, key_length, quality = (
        f"{layout.prefix}exact",
        f"{layout.prefix}key_length",
        "score" if layout.prefix else "m:quality",
    )
    table = pl.read_parquet(part.table, columns=[exact, key_length, quality, "amount"])
    signatures = np.load(layout.array("signatures", index), mmap_mode="r")
    facts = np.empty(len(table), FACTS)
    facts["priority"] = priorities(table[quality].to_numpy(), table["amount"].to_numpy(), layout.bases[index])
    facts["exact"], facts["key_length"] = table[exact].to_numpy(), table[key_length].to_numpy()
    with write_atomically(layout.facts(index)) as temporary, open(temporary, "wb") as file:
        np.save(file, facts)
    rows = np.flatnonzero(layout.kept_mask(index))
    has_signature = facts["key_length"] >= layout.settings.shingle
    bands, width = banding(layout.settings)
    keys, documents = band_keys(
        np.ascontiguousarray(signatures), rows, np.ascontiguousarray(facts["exact"]), has_signature, bands, width
    )
    _band_file(layout, index).write(keys, documents, _ranges(layout))
    counts = {"keys": len(keys)}
    write_json(done, counts)
    return counts


def pair(layout: Layout, number: int) -> dict[str, Any]:
    """Verified pairs among the candidates of one key range, written as int64[pairs, 2] of document numbers."""
    done = layout.pairs(number).with_suffix(".json")
    if (counts := read_json(done)) is not None:
        return counts
    slices = [_band_file(layout, index).read(number, _ranges(layout)) for index in range(layout.partitions)]
    keys = np.concatenate([k for k, _ in slices])
    documents = np.concatenate([d.astype(np.int64) + layout.bases[i] for i, (_, d) in enumerate(slices)])
    del slices
    order = np.argsort(keys, kind="stable")
    keys, documents = keys[order], documents[order]
    edges = np.flatnonzero(np.diff(keys)) + 1
    starts = np.concatenate([[0], edges]).astype(np.int64)
    sizes = np.diff(np.append(starts, len(keys)))
    several = np.repeat(sizes > 1, sizes) if len(keys) else np.zeros(0, bool)
    members, sizes = documents[several], sizes[sizes > 1]
    nodes, rows = np.unique(members, return_inverse=True)
    facts, sketches = gather_facts(layout, nodes)
    group = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((np.iinfo(np.uint64).max - facts["priority"][rows], group))
    a, b = verified_pairs(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        rows[order].astype(np.int64),
        sketches,
        np.ascontiguousarray(facts["priority"]),
        np.ascontiguousarray(facts["exact"]),
        np.ascontiguousarray(facts["key_length"]),
        layout.settings.accept,
    )
    found = np.unique(np.stack([nodes[a], nodes[b]], axis=1), axis=0) if len(a) else np.zeros((0, 2), np.int64)
    with write_atomically(layout.pairs(number)) as temporary, open(temporary, "wb") as file:
        np.save(file, found)
    counts = {"candidates": int((sizes - 1).sum()), "pairs": len(found)}
    write_json(done, counts)
    return counts
