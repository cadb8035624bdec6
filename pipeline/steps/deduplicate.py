"""Step 3, deduplicate: exact, then near duplicates, over signature columns. Never reads text.

Three rounds of tasks: `band` writes every partition's keys grouped by key range; `pair` merges one key range of all partitions and
verifies its candidates; `cluster` joins the pairs and chooses survivors. Memory is bounded by a range's size in the first two, and in
the last by the number of documents that have a duplicate.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from filters.minhash import SKETCH_BINS
from pipeline.dedup.bands import ROWS_PER_RANGE, BandFile, band_keys, banding, priorities
from pipeline.dedup.clusters import components, survivors, verified_pairs
from pipeline.files import atomic, read_json, write_json
from pipeline.manifest import Deduplicate
from pipeline.steps.decide import decided
from pipeline.steps.measure import Part

VERSION = 1
_IN_MEMORY = 512 << 20  # bytes of sketches
# What a document contributes to the choice of survivors; one array of these per partition, memory-mapped.
FACTS = np.dtype([("priority", np.uint64), ("exact", np.uint64), ("key_length", np.int32)])
CLUSTER_SCHEMA = {
    "row": pl.UInt32,
    "duplicate_of": pl.String,
    "similarity": pl.Float32,
    "exact": pl.Boolean,
    "cluster_id": pl.String,
    "cluster_size": pl.UInt32,
}


@dataclass(frozen=True)
class Layout:
    """Which partitions there are and how their documents are numbered: partition i holds `bases[i]` to `bases[i + 1]` - 1."""

    measured: Path
    decided: Path
    folder: Path
    bases: tuple[int, ...]
    kept: int  # documents that enter the step
    settings: Deduplicate

    @property
    def parts(self) -> int:
        return len(self.bases) - 1

    @property
    def lsh(self) -> tuple[int, int]:
        return banding(self.settings)

    @property
    def ranges(self) -> int:
        return max(1, -(-self.kept * (self.lsh[0] + 1) // ROWS_PER_RANGE))

    @property
    def accept(self) -> float:
        return self.settings.accept

    def bands(self, index: int) -> BandFile:
        return BandFile(self.folder / f"bands-{index:05d}.bin")

    def facts(self, index: int) -> Path:
        return self.folder / f"facts-{index:05d}.npy"

    def pairs(self, number: int) -> Path:
        return self.folder / f"pairs-{number:05d}.npy"

    def clusters(self, index: int) -> Path:
        """Parquet: a row for every document of the partition that is in a cluster."""
        return self.folder / f"clusters-{index:05d}.parquet"


def band(layout: Layout, index: int) -> dict[str, Any]:
    """Write band keys and facts of one partition."""
    done = layout.folder / f"bands-{index:05d}.json"
    if (known := read_json(done)) is not None:
        return known
    part = Part(layout.measured, index)
    table = pl.read_parquet(part.table, columns=["exact", "key_length", "m:quality", "m:chars"])
    kept = pl.read_parquet(decided(layout.decided, index), columns=["verdict"])["verdict"] == "kept"
    signatures = np.load(part.signatures, mmap_mode="r")
    facts = np.empty(len(table), FACTS)
    facts["priority"] = priorities(table["m:quality"].to_numpy(), table["m:chars"].to_numpy(), layout.bases[index])
    facts["exact"], facts["key_length"] = table["exact"].to_numpy(), table["key_length"].to_numpy()
    with atomic(layout.facts(index)) as temporary, open(temporary, "wb") as file:
        np.save(file, facts)
    rows = np.flatnonzero(kept.to_numpy())
    has_signature = facts["key_length"] >= layout.settings.shingle
    bands, width = layout.lsh
    keys, documents = band_keys(
        np.ascontiguousarray(signatures), rows, np.ascontiguousarray(facts["exact"]), has_signature, bands, width
    )
    layout.bands(index).write(keys, documents, layout.ranges)
    counts = {"keys": len(keys)}
    write_json(done, counts)
    return counts


def _array(folder: Path, rows: int) -> np.ndarray:
    """uint8[rows, SKETCH_BINS]; on disk where it is large, so that memory stays bounded. The file goes with the array."""
    if rows * SKETCH_BINS < _IN_MEMORY:
        return np.empty((rows, SKETCH_BINS), np.uint8)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, np.uint8, "w+", shape=(rows, SKETCH_BINS))


def _gather(layout: Layout, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Facts and sketches of documents given by ascending number, one partition's files at a time."""
    facts = np.empty(len(documents), FACTS)
    sketches = _array(layout.folder, len(documents))
    cuts = np.searchsorted(documents, layout.bases)
    for index in range(layout.parts):
        here = slice(cuts[index], cuts[index + 1])
        if here.stop > here.start:
            rows = documents[here] - layout.bases[index]
            facts[here] = np.load(layout.facts(index), mmap_mode="r")[rows]
            sketches[here] = np.load(Part(layout.measured, index).sketches, mmap_mode="r")[rows]
    return facts, sketches


def pair(layout: Layout, number: int) -> dict[str, Any]:
    """Verified pairs among the candidates of one key range, written as int64[pairs, 2] of document numbers."""
    done = layout.pairs(number).with_suffix(".json")
    if (known := read_json(done)) is not None:
        return known
    slices = [layout.bands(index).read(number, layout.ranges) for index in range(layout.parts)]
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
    facts, sketches = _gather(layout, nodes)
    group = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((np.iinfo(np.uint64).max - facts["priority"][rows], group))
    a, b = verified_pairs(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        rows[order].astype(np.int64),
        sketches,
        np.ascontiguousarray(facts["priority"]),
        np.ascontiguousarray(facts["exact"]),
        np.ascontiguousarray(facts["key_length"]),
        layout.accept,
    )
    found = np.unique(np.stack([nodes[a], nodes[b]], axis=1), axis=0) if len(a) else np.zeros((0, 2), np.int64)
    with atomic(layout.pairs(number)) as temporary, open(temporary, "wb") as file:
        np.save(file, found)
    counts = {"candidates": int((sizes - 1).sum()), "pairs": len(found)}
    write_json(done, counts)
    return counts


def cluster(layout: Layout, ids: Any) -> dict[str, Any]:
    """Join the pairs of all key ranges to clusters and choose survivors; one small Parquet file per partition.

    `ids` turns a partition's index and offsets into record ids. Returns counts over the corpus.
    """
    done = layout.folder / "clusters.json"
    if (known := read_json(done)) is not None:
        return known
    began = time.perf_counter()
    edges = np.unique(np.concatenate([np.load(layout.pairs(r)) for r in range(layout.ranges)]), axis=0)
    documents = np.unique(edges)
    facts, sketches = _gather(layout, documents)
    # Nodes from here on are in order of priority, best first.
    order = np.argsort(facts["priority"])[::-1]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    documents_by_rank, facts, by_rank = documents[order], facts[order], _array(layout.folder, len(order))
    for at in range(0, len(order), 4096):
        by_rank[at : at + 4096] = sketches[order[at : at + 4096]]
    ends = rank[np.searchsorted(documents, edges)] if len(edges) else np.zeros((0, 2), np.int64)
    better, worse = ends.min(axis=1), ends.max(axis=1)
    by_worse = np.argsort(worse, kind="stable")
    starts = np.zeros(len(order) + 1, np.int64)
    np.cumsum(np.bincount(worse, minlength=len(order)), out=starts[1:])
    exact, key_length = np.ascontiguousarray(facts["exact"]), np.ascontiguousarray(facts["key_length"])
    duplicate_of, similar = survivors(starts, better[by_worse], by_rank, exact, key_length, layout.accept)
    # The smallest rank of a component is its best document, which names the cluster.
    head = components(len(order), better, worse)
    sizes = np.bincount(head, minlength=len(order))
    names = pl.Series(_names(layout, documents_by_rank, ids).tolist(), dtype=pl.String)
    survivor = np.where(duplicate_of >= 0, duplicate_of, np.arange(len(order)))
    frame = pl.DataFrame(
        {
            "document": documents_by_rank,
            "duplicate_of": names.gather(survivor),
            "similarity": similar.astype(np.float32),
            "exact": (exact == exact[survivor]) & (key_length == key_length[survivor]),
            "cluster_id": names.gather(head),
            "cluster_size": sizes[head].astype(np.uint32),
            "duplicate": duplicate_of >= 0,
        }
    ).sort("document")
    null = pl.when("duplicate").then
    frame = frame.with_columns(
        null("duplicate_of").alias("duplicate_of"), null("similarity").alias("similarity"), null("exact").alias("exact")
    )
    cuts = np.searchsorted(frame["document"].to_numpy(), layout.bases)
    for index in range(layout.parts):
        piece = frame[int(cuts[index]) : int(cuts[index + 1])]
        piece = piece.with_columns(row=(pl.col("document") - layout.bases[index]).cast(pl.UInt32)).select(*CLUSTER_SCHEMA)
        with atomic(layout.clusters(index)) as temporary:
            piece.write_parquet(temporary)
    counts = {
        "pairs": len(edges),
        "clusters": len(np.unique(head)),
        "in_clusters": len(order),
        "exact": int((frame["duplicate"] & frame["exact"].fill_null(False)).sum()),
        "near": int((frame["duplicate"] & ~frame["exact"].fill_null(True)).sum()),
        "bands": layout.lsh[0],
        "rows": layout.lsh[1],
        "seconds": round(time.perf_counter() - began, 3),
    }
    write_json(done, counts)
    return counts


def _names(layout: Layout, documents: np.ndarray, ids: Any) -> np.ndarray:
    """Record ids of documents given by number, in any order."""
    order = np.argsort(documents)
    ascending = documents[order]
    cuts = np.searchsorted(ascending, layout.bases)
    names = np.empty(len(documents), dtype=object)
    for index in range(layout.parts):
        here = slice(cuts[index], cuts[index + 1])
        if here.stop > here.start:
            offsets = pl.read_parquet(Part(layout.measured, index).table, columns=["offset"])["offset"].to_numpy()
            names[order[here]] = ids(index, offsets[ascending[here] - layout.bases[index]])
    return names
