"""From verified pairs to clusters with survivors: `cluster`, the last task of every search for duplicates.

The answer does not depend on the order of the pairs: survivors are chosen in order of priority over the whole graph. Memory is bounded by
the number of records that have a duplicate.
"""

from __future__ import annotations

import time

import numpy as np
import polars as pl

from filters.kernels import jit
from pipeline.core.storage import write_atomically
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup.facts import allocate_sketches, load_facts
from pipeline.dedup.verification import similarity
from pipeline.workspace import Layout, RecordIds

CLUSTER_SCHEMA = {
    "row": pl.UInt32,
    "duplicate_of": pl.String,
    "similarity": pl.Float32,
    "exact": pl.Boolean,
    "cluster_id": pl.String,
    "cluster_size": pl.UInt32,
    "survivor": pl.Int64,  # its number in the corpus
}


@jit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def components(count, a, b):
    """Return int64[count]: the smallest node of each node's component in the graph with edges (a[k], b[k]), by union-find."""
    parent = np.arange(count)
    for k in range(len(a)):
        x, y = _root(parent, a[k]), _root(parent, b[k])
        if x < y:
            parent[y] = x
        elif y < x:
            parent[x] = y
    for i in range(count):
        parent[i] = _root(parent, i)
    return parent


@jit
def survivors(starts, neighbours, sketches, exact, key_length, accept, kind):
    """Choose survivors, for nodes in order of priority (node 0 is best).

    `neighbours[starts[i]:starts[i + 1]]` are the *better* nodes that node i was found similar to. A node is a duplicate of a
    survivor that it is verified to be similar to: a better neighbour, or the survivor that such a neighbour is a duplicate of.
    Where there is none it survives. Returns `duplicate_of` (int64, -1 for survivors) and `similarity` (float64).
    """
    n = len(starts) - 1
    duplicate_of = np.full(n, -1, np.int64)
    similar = np.zeros(n, np.float64)
    for i in range(n):
        best, best_similarity = np.int64(-1), -1.0
        for k in range(starts[i], starts[i + 1]):
            other = neighbours[k]
            if duplicate_of[other] >= 0:
                other = duplicate_of[other]
            if exact[other] == exact[i] and key_length[other] == key_length[i]:
                value = 1.0
            else:
                value = similarity(kind, sketches, other, i)
                if value < accept:
                    continue
            if value > best_similarity or value == best_similarity and other < best:
                best, best_similarity = other, value
        if best >= 0:
            duplicate_of[i], similar[i] = best, best_similarity
    return duplicate_of, similar


@resumable(lambda layout, ids, files, kind: layout.folder / "cluster.json")
def cluster(layout: Layout, ids: RecordIds, files: int, kind: int) -> Counts:
    """Join the pairs of all `files` to clusters and choose survivors; one small Parquet file per partition.

    `ids` turns a partition's index and locators into record ids; `kind` says what the sketches are. Returns counts over the corpus.
    """
    began = time.perf_counter()
    edges = np.unique(np.concatenate([np.load(layout.pairs(r)) for r in range(files)]), axis=0)
    documents = np.unique(edges)
    facts, sketches = load_facts(layout, documents)
    # Nodes from here on are in order of priority, best first.
    order = np.argsort(facts["priority"])[::-1]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    documents_by_rank, facts, by_rank = (
        documents[order],
        facts[order],
        allocate_sketches(layout.folder, len(order), sketches.shape[1]),
    )
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
    for index, span in layout.spans(frame["document"].to_numpy()):
        piece = frame[span]
        piece = piece.with_columns(row=(pl.col("document") - layout.bases[index]).cast(pl.UInt32)).select(*CLUSTER_SCHEMA)
        with write_atomically(layout.clusters(index)) as temporary:
            piece.write_parquet(temporary)
    return {
        "pairs": len(edges),
        "clusters": len(np.unique(head)),
        "in_clusters": len(order),
        "exact": int((frame["duplicate"] & frame["exact"].fill_null(False)).sum()),
        "near": int((frame["duplicate"] & ~frame["exact"].fill_null(True)).sum()),
        "seconds": round(time.perf_counter() - began, 3),
    }


def _names(layout: Layout, documents: np.ndarray, ids: RecordIds) -> np.ndarray:
    """Return the record ids of documents given by number, in any order."""
    order = np.argsort(documents)
    ascending = documents[order]
    names = np.empty(len(documents), dtype=object)
    for index, span in layout.spans(ascending):
        if span.stop > span.start:
            locators = pl.read_parquet(layout.part(index).table, columns=["locator"])["locator"]
            names[order[span]] = ids(index, locators.gather(ascending[span] - layout.bases[index]))
    return names
