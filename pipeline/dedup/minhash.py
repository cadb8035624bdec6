"""Near duplicates of text: candidates by banded MinHash signatures, verified by sketches.

1. The step measure gives every document a signature and a sketch (`filters.text.minhash`).
2. `write_bands`, a task per partition: a key for each band of a signature, and one for the whole text, grouped by key range.
3. `find_pairs`, a task per key range: documents of all partitions that have a key in common are candidates; a candidate whose sketches
   are similar enough is a verified pair.
4. `cluster`, one task: verified pairs make clusters, and the best document of a cluster survives.

Memory is bounded by the size of a key range and, in the last task, by the number of documents that have a duplicate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from pipeline.core.engine import Task
from pipeline.core.storage import write_array
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup.bands import ROWS_PER_RANGE, BandFile, band_keys, banding
from pipeline.dedup.clusters import cluster
from pipeline.dedup.facts import FACTS, load_facts
from pipeline.dedup.verification import SKETCHES, verified_pairs
from pipeline.workspace import Layout, RecordIds


def rounds(layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
    """Yield the rounds of tasks; a round needs what the one before it wrote."""
    ranges = _count_ranges(layout)
    yield [(write_bands, (layout, index)) for index in range(layout.partitions)]
    yield [(find_pairs, (layout, number)) for number in range(ranges)]
    yield [(cluster, (layout, ids, ranges, SKETCHES))]


def _count_ranges(layout: Layout) -> int:
    bands, _ = banding(layout.settings)
    return max(1, -(-layout.kept * (bands + 1) // ROWS_PER_RANGE))


def _band_file(layout: Layout, index: int) -> BandFile:
    return BandFile(layout.folder / f"bands-{index:05d}.bin")


def priorities(quality: np.ndarray, chars: np.ndarray, first: int) -> np.ndarray:
    """Return uint64[n], by which survivors are chosen, largest first: by quality, then length, then the earlier in the input.

    `quality` 0 to 1, `chars` in characters, `first` the number of the first document. No two documents have the same priority.
    """
    order = np.uint64(0xFFFFFFFF) - np.arange(first, first + len(chars), dtype=np.uint64)
    quality_steps = np.round(np.nan_to_num(quality) * 20).astype(np.uint64)
    return (quality_steps << np.uint64(56)) | (np.minimum(chars, 0xFFFFFF).astype(np.uint64) << np.uint64(32)) | order


@resumable(lambda layout, index: layout.folder / f"bands-{index:05d}.json")
def write_bands(layout: Layout, index: int) -> Counts:
    """Write band keys and facts of one partition."""
    exact, key_length = f"{layout.prefix}exact", f"{layout.prefix}key_length"
    quality = "score" if layout.prefix else "m:quality"
    table = pl.read_parquet(layout.part(index).table, columns=[exact, key_length, quality, "amount"])
    facts = np.empty(len(table), FACTS)
    facts["priority"] = priorities(table[quality].to_numpy(), table["amount"].to_numpy(), layout.bases[index])
    facts["exact"], facts["key_length"] = table[exact].to_numpy(), table[key_length].to_numpy()
    write_array(layout.facts(index), facts)
    bands, rows_per_band = banding(layout.settings)
    keys, documents = band_keys(
        np.ascontiguousarray(np.load(layout.array("signatures", index), mmap_mode="r")),
        np.flatnonzero(layout.kept_mask(index)),
        np.ascontiguousarray(facts["exact"]),
        facts["key_length"] >= layout.settings.shingle,
        bands,
        rows_per_band,
    )
    _band_file(layout, index).write(keys, documents, _count_ranges(layout))
    return {"keys": len(keys)}


@resumable(lambda layout, number: layout.pairs(number).with_suffix(".json"))
def find_pairs(layout: Layout, number: int) -> Counts:
    """Write verified pairs among the candidates of one key range, as int64[pairs, 2] of document numbers."""
    members, sizes = _candidates(layout, number)
    documents, rows = np.unique(members, return_inverse=True)
    facts, sketches = load_facts(layout, documents)
    group = np.repeat(np.arange(len(sizes)), sizes)
    best_first = np.lexsort((~facts["priority"][rows], group))
    a, b = verified_pairs(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        rows[best_first].astype(np.int64),
        sketches,
        np.ascontiguousarray(facts["exact"]),
        np.ascontiguousarray(facts["key_length"]),
        layout.settings.accept,
    )
    pairs = np.unique(np.stack([documents[a], documents[b]], axis=1), axis=0) if len(a) else np.zeros((0, 2), np.int64)
    write_array(layout.pairs(number), pairs)
    return {"candidates": int((sizes - 1).sum()), "pairs": len(pairs)}


def _candidates(layout: Layout, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the documents of every key of a range that several have, group after group, and the groups' sizes."""
    ranges = _count_ranges(layout)
    slices = [_band_file(layout, index).read(number, ranges) for index in range(layout.partitions)]
    keys = np.concatenate([keys for keys, _ in slices])
    documents = np.concatenate([d.astype(np.int64) + base for (_, d), base in zip(slices, layout.bases[:-1], strict=True)])
    del slices
    order = np.argsort(keys, kind="stable")
    keys, documents = keys[order], documents[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1]).astype(np.int64)
    sizes = np.diff(np.append(starts, len(keys)))
    shared = np.repeat(sizes > 1, sizes) if len(keys) else np.zeros(0, bool)
    return documents[shared], sizes[sizes > 1]
