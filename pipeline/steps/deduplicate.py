"""Step 3, deduplicate: exact, then near duplicates, over signature columns. Never reads content.

How pairs are found is the modality's: rounds of tasks that leave files of verified pairs. `cluster`, the last of them, joins the pairs
and chooses survivors; its memory is bounded by the number of records that have a duplicate.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.dedup.clusters import SKETCHES, THUMBNAILS, components, survivors
from pipeline.steps.measure import Part

__all__ = ["CLUSTER_SCHEMA", "FACTS", "SKETCHES", "THUMBNAILS", "VERSION", "Layout", "cluster", "gather"]

VERSION = 3
_IN_MEMORY = 512 << 20  # bytes of sketches
# What a record contributes to the choice of survivors; one array of these per partition, memory-mapped.
FACTS = np.dtype([("priority", np.uint64), ("exact", np.uint64), ("key_length", np.int32)])
CLUSTER_SCHEMA = {
    "row": pl.UInt32,
    "duplicate_of": pl.String,
    "similarity": pl.Float32,
    "exact": pl.Boolean,
    "cluster_id": pl.String,
    "cluster_size": pl.UInt32,
    "survivor": pl.Int64,  # its number in the corpus
}


@dataclass(frozen=True)
class Layout:
    """Which partitions there are and how their documents are numbered: partition i holds `bases[i]` to `bases[i + 1]` - 1."""

    measured: Path
    decided: Path
    folder: Path
    bases: tuple[int, ...]
    kept: int  # records that enter the step
    settings: Any  # the manifest's table `deduplicate`
    of: str = (
        ""  # what the arrays and columns begin with that are compared: "" those of the record, "text_" of its transcript alone
    )

    @property
    def parts(self) -> int:
        return len(self.bases) - 1

    def array(self, name: str, index: int) -> Path:
        return Part(self.measured, index).array(f"{self.of}{name}")

    def facts(self, index: int) -> Path:
        return self.folder / f"facts-{index:05d}.npy"

    def pairs(self, number: int) -> Path:
        return self.folder / f"pairs-{number:05d}.npy"

    def clusters(self, index: int) -> Path:
        """Parquet: a row for every document of the partition that is in a cluster."""
        return self.folder / f"clusters-{index:05d}.parquet"


def _array(folder: Path, rows: int, width: int) -> np.ndarray:
    """uint8[rows, width]; on disk where it is large, so that memory stays bounded. The file goes with the array."""
    if rows * width < _IN_MEMORY:
        return np.empty((rows, width), np.uint8)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, np.uint8, "w+", shape=(rows, width))


def gather(layout: Layout, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Facts and sketches of records given by ascending number, one partition's files at a time."""
    facts = np.empty(len(documents), FACTS)
    width = np.load(layout.array("sketches", 0), mmap_mode="r").shape[1]
    sketches = _array(layout.folder, len(documents), width)
    cuts = np.searchsorted(documents, layout.bases)
    for index in range(layout.parts):
        here = slice(cuts[index], cuts[index + 1])
        if here.stop > here.start:
            rows = documents[here] - layout.bases[index]
            facts[here] = np.load(layout.facts(index), mmap_mode="r")[rows]
            sketches[here] = np.load(layout.array("sketches", index), mmap_mode="r")[rows]
    return facts, sketches


def cluster(layout: Layout, ids: Any, files: int, kind: int) -> dict[str, Any]:
    """Join the pairs of all `files` to clusters and choose survivors; one small Parquet file per partition.

    `ids` turns a partition's index and locators into record ids; `kind` says what the sketches are. Returns counts over the corpus.
    """
    done = layout.folder / "cluster.json"
    if (known := read_json(done)) is not None:
        return known
    began = time.perf_counter()
    edges = np.unique(np.concatenate([np.load(layout.pairs(r)) for r in range(files)]), axis=0)
    documents = np.unique(edges)
    facts, sketches = gather(layout, documents)
    # Nodes from here on are in order of priority, best first.
    order = np.argsort(facts["priority"])[::-1]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    documents_by_rank, facts, by_rank = documents[order], facts[order], _array(layout.folder, len(order), sketches.shape[1])
    for at in range(0, len(order), 4096):
        by_rank[at : at + 4096] = sketches[order[at : at + 4096]]
    ends = rank[np.searchsorted(documents, edges)] if len(edges) else np.zeros((0, 2), np.int64)
    better, worse = ends.min(axis=1), ends.max(axis=1)
    by_worse = np.argsort(worse, kind="stable")
    starts = np.zeros(len(order) + 1, np.int64)
    np.cumsum(np.bincount(worse, minlength=len(order)), out=starts[1:])
    exact, key_length = np.ascontiguousarray(facts["exact"]), np.ascontiguousarray(facts["key_length"])
    duplicate_of, similar = survivors(starts, better[by_worse], by_rank, exact, key_length, layout.settings.accept, kind)
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
            "survivor": documents_by_rank[survivor],
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
        with write_atomically(layout.clusters(index)) as temporary:
            piece.write_parquet(temporary)
    counts = {
        "pairs": len(edges),
        "clusters": len(np.unique(head)),
        "in_clusters": len(order),
        "exact": int((frame["duplicate"] & frame["exact"].fill_null(False)).sum()),
        "near": int((frame["duplicate"] & ~frame["exact"].fill_null(True)).sum()),
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
            locators = pl.read_parquet(Part(layout.measured, index).table, columns=["locator"])["locator"]
            names[order[here]] = ids(index, locators.gather(ascending[here] - layout.bases[index]))
    return names
