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
def find_components(count, a, b):
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
def choose_survivors(starts, neighbours, sketches, exact, key_length, accept, kind):
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

    `ids` turns locators and files of a partition's records into record ids; `kind` says what the sketches are. Returns counts over the
    corpus.
    """
    began = time.perf_counter()
    pairs = np.unique(np.concatenate([np.load(layout.pairs(number)) for number in range(files)]), axis=0)
    records, facts, sketches = _gather_by_priority(layout, np.unique(pairs))
    better, worse = _nodes_of_pairs(pairs, records)
    exact, key_length = np.ascontiguousarray(facts["exact"]), np.ascontiguousarray(facts["key_length"])
    starts, neighbours = _better_neighbours(better, worse, len(records))
    duplicate_of, similar = choose_survivors(starts, neighbours, sketches, exact, key_length, layout.settings.accept, kind)
    # The smallest node of a component is its best record, which names the cluster.
    head = find_components(len(records), better, worse)
    is_duplicate = duplicate_of >= 0
    survivor = np.where(is_duplicate, duplicate_of, np.arange(len(records)))
    is_exact = (exact == exact[survivor]) & (key_length == key_length[survivor])
    names = pl.Series(_record_ids(layout, records, ids).tolist(), dtype=pl.String)
    of_duplicates = pl.when(pl.Series(is_duplicate))
    frame = pl.DataFrame({"record": records, "survivor": records[survivor]}).with_columns(
        of_duplicates.then(names.gather(survivor)).alias("duplicate_of"),
        of_duplicates.then(pl.Series(similar.astype(np.float32))).alias("similarity"),
        of_duplicates.then(pl.Series(is_exact)).alias("exact"),
        names.gather(head).alias("cluster_id"),
        pl.Series("cluster_size", np.bincount(head, minlength=len(records))[head].astype(np.uint32)),
    )
    _write_parts(layout, frame.sort("record"))
    return {
        "pairs": len(pairs),
        "clusters": len(np.unique(head)),
        "in_clusters": len(records),
        "exact": int((is_duplicate & is_exact).sum()),
        "near": int((is_duplicate & ~is_exact).sum()),
        "seconds": round(time.perf_counter() - began, 3),
    }


def _gather_by_priority(layout: Layout, records: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return records, given by ascending number, best first, with their facts and sketches. The index here is a record's node."""
    facts, sketches = load_facts(layout, records)
    best_first = np.argsort(facts["priority"])[::-1]
    ordered = allocate_sketches(layout.folder, len(records), sketches.shape[1])
    for at in range(0, len(records), 4096):  # both may be on disk
        ordered[at : at + 4096] = sketches[best_first[at : at + 4096]]
    return records[best_first], facts[best_first], ordered


def _nodes_of_pairs(pairs: np.ndarray, records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes of the better and of the worse record of every pair."""
    by_number = np.argsort(records)
    nodes = by_number[np.searchsorted(records, pairs, sorter=by_number)]
    return nodes.min(axis=1), nodes.max(axis=1)


def _better_neighbours(better: np.ndarray, worse: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `(starts, neighbours)` as `choose_survivors` takes them."""
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(worse, minlength=count), out=starts[1:])
    return starts, better[np.argsort(worse, kind="stable")]


def _write_parts(layout: Layout, frame: pl.DataFrame) -> None:
    """Write the rows of every partition to a file of its own."""
    for index, span in layout.spans(frame["record"].to_numpy()):
        part = frame[span].with_columns(row=(pl.col("record") - layout.bases[index]).cast(pl.UInt32)).select(*CLUSTER_SCHEMA)
        with write_atomically(layout.clusters(index)) as temporary:
            part.write_parquet(temporary)


def _record_ids(layout: Layout, records: np.ndarray, ids: RecordIds) -> np.ndarray:
    """Return the ids of records given by number, in any order."""
    order = np.argsort(records)
    ascending = records[order]
    names = np.empty(len(records), dtype=object)
    for index, span in layout.spans(ascending):
        if span.stop > span.start:
            records_of_part = pl.read_parquet(layout.part(index).table, columns=["locator", "file"])
            names[order[span]] = ids(index, records_of_part[ascending[span] - layout.bases[index]]).to_numpy()
    return names
