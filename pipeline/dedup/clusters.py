"""From verified pairs to clusters with survivors: the last rounds of every search for duplicates.

1. `join_pairs`, one task, finds the components of the graph of verified pairs: which records are in one cluster. It holds two numbers
   in memory for each record that has a duplicate, and nothing for others.
2. `route_pairs`, a task per file of pairs, sends the pairs of a cluster to its bucket, and requests for the facts of its records.
3. `answer`, a task per run of partitions, sends these facts, sketches and ids (`pipeline.dedup.facts`).
4. `choose`, a task per bucket, chooses survivors and sends what it found out to the runs.
5. `write_clusters`, a task per run, writes a small Parquet file per partition; `count_clusters` sums the counts.

The answer does not depend on the order of the pairs: survivors are chosen in order of priority over whole clusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from filters.kernels import jit, mix64, to_arrow
from filters.text.replacements import replacement_tables, tells_other_facts
from pipeline.core.engine import Task
from pipeline.core.storage import write_array, write_atomically
from pipeline.core.tasks import Counts, resumable
from pipeline.core.vouching import load_counts
from pipeline.dedup.bands import range_of
from pipeline.dedup.exchange import SMALL, Exchange
from pipeline.dedup.facts import FACTS, Inquiry, answer, best_first, receive_answers, receive_texts, sort_distinct
from pipeline.dedup.runs import divide_into_runs
from pipeline.dedup.verification import SKETCHES, similarity
from pipeline.workspace import Layout, RecordIds

NEARLY_EQUAL = 0.9999  # similarity of texts that differ in what their sketches do not tell: 1 is for those that are equal
RECORDS_PER_BUCKET = 25_000  # with texts of 4 kB: 115 MB; a cluster that has more is in one bucket nevertheless
FRAME, READ = 256, 3  # survivors of one frame that a record is compared with by sketches, and of these by reading them
CLUSTER_SCHEMA = {
    "row": pl.UInt32,
    "duplicate_of": pl.String,
    "similarity": pl.Float32,
    "exact": pl.Boolean,
    "cluster_id": pl.String,
    "cluster_size": pl.UInt32,
    "survivor": pl.Int64,  # its number in the corpus
}
_PAIR = np.dtype([("left", np.int64), ("right", np.int64)])


def rounds(layout: Layout, ids: RecordIds, files: int, kind: int) -> Iterator[list[Task]]:
    """Yield the rounds of tasks, given the number of files of pairs. `kind` says what the sketches are; `ids` makes record ids."""
    with_texts = kind == SKETCHES and layout.settings.compares_content
    yield [(join_pairs, (layout, files))]
    buckets = load_counts(_joined_marker(layout))["buckets"]
    runs = len(divide_into_runs(layout)) - 1
    plan = _Plan(
        Exchange(layout.folder, "cluster-pairs", files, buckets, SMALL),
        Inquiry.of(layout, "cluster", files, buckets, with_texts),
        Exchange(layout.folder, "cluster-chosen", buckets, runs, SMALL),
    )
    yield [(route_pairs, (layout, plan, number)) for number in range(files)]
    yield from plan.pairs.passes()
    yield from plan.inquiry.requests.passes()
    yield [(answer, (layout, plan.inquiry, run, ids)) for run in range(runs)]
    yield from plan.inquiry.answers.passes()
    yield from plan.inquiry.names.passes()
    if plan.inquiry.texts is not None:
        yield from plan.inquiry.texts.passes()
    yield [(choose, (layout, plan, bucket, kind)) for bucket in range(buckets)]
    plan.pairs.remove()
    plan.inquiry.remove()
    yield from plan.chosen.passes()
    yield [(write_clusters, (layout, plan, run)) for run in range(runs)]
    plan.chosen.remove()
    yield [(count_clusters, (layout, buckets))]


class _Plan(NamedTuple):
    """Who sends what to whom."""

    pairs: Exchange  # from files of pairs to buckets
    inquiry: Inquiry  # requests from files of pairs, answers to buckets
    chosen: Exchange  # from buckets to runs


@jit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def unite_two(parent, a, b):
    """Join the components of two nodes."""
    x, y = _root(parent, a), _root(parent, b)
    if x < y:
        parent[y] = x
    elif y < x:
        parent[x] = y


@jit
def unite(parent, a, b):
    """Join the components of nodes a[k] and b[k] in int64[n] `parent`, by union-find: a root is the smallest node of its component."""
    for k in range(len(a)):
        unite_two(parent, a[k], b[k])


@jit
def find_roots(parent):
    """Replace the parent of every node by its root."""
    for i in range(len(parent)):
        parent[i] = _root(parent, i)


def find_components(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return int64[count]: the smallest node of each node's component in the graph with edges (a[k], b[k])."""
    parent = np.arange(count)
    unite(parent, a, b)
    find_roots(parent)
    return parent


class Texts(NamedTuple):
    """The texts of records in `data`, from `offsets[row]` to `offsets[row + 1]`, and what comparing them takes; or none."""

    compared: bool
    data: np.ndarray
    offsets: np.ndarray
    tables: tuple[Any, ...]


def make_texts(data: np.ndarray | None = None, offsets: np.ndarray | None = None) -> Texts:
    """Return the texts to compare records by, none without `data`. Their tables take a tenth of a second: they are not made at import."""
    if data is None or offsets is None:
        return Texts(False, np.empty(0, np.uint8), np.zeros(1, np.int64), replacement_tables())
    return Texts(True, data, offsets, replacement_tables())


@jit
def _are_other_facts(texts, i, j):
    data, offsets = texts.data, texts.offsets
    return tells_other_facts(data, offsets[i], offsets[i + 1], offsets[j], offsets[j + 1], *texts.tables)


@jit
def choose_survivors(starts, neighbours, rows, sketches, exact, key_hashes, key_length, accept, kind, texts):
    """Choose survivors, for nodes in order of priority (node 0 is best); node i has row `rows[i]` of `sketches` and `texts`.

    `neighbours[starts[i]:starts[i + 1]]` are the *better* nodes that node i was found similar to. A node is a duplicate of a
    survivor that it is verified to be similar to: a better neighbour, or the survivor that such a neighbour is a duplicate of.
    Where texts are compared, one frame around other facts is no duplicate; of nodes that are of one frame with the same survivor, the
    most similar are compared with one another. Where there is none it survives. Returns `duplicate_of` (int64, -1 for survivors),
    `similarity` (float64), `parent` (int64: nodes that were verified to be duplicates of one another, as `unite` has them), and how
    many pairs of one frame were told apart.
    """
    n = len(starts) - 1
    duplicate_of = np.full(n, -1, np.int64)
    similar = np.zeros(n, np.float64)
    parent = np.arange(n)
    # Survivors that are of one frame with node i: the latest is `newest[i]`, the one before it `before[newest[i]]`.
    newest, before = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    told_apart = 0
    for i in range(n):
        best, best_similarity = np.int64(-1), -1.0
        frame = np.int64(-1)
        for k in range(starts[i], starts[i + 1]):
            other = neighbours[k]
            if duplicate_of[other] >= 0:
                other = duplicate_of[other]
            if exact[other] == exact[i] and key_length[other] == key_length[i]:
                value = 1.0
            elif kind == SKETCHES and key_hashes[other] == key_hashes[i] and key_length[other] == key_length[i]:
                value = NEARLY_EQUAL
            else:
                value = similarity(kind, sketches, rows[other], rows[i])
                if value < accept:
                    continue
                if kind == SKETCHES:
                    value = min(value, NEARLY_EQUAL)
                if texts.compared and other != best and _are_other_facts(texts, rows[other], rows[i]):
                    told_apart += 1
                    if frame < 0 or other < frame:
                        frame = other
                    continue
            unite_two(parent, other, i)
            if value > best_similarity or value == best_similarity and other < best:
                best, best_similarity = other, value
        if frame >= 0 and best < 0:
            best, best_similarity = _find_in_frame(newest[frame], before, i, rows, sketches, accept, texts)
            if best >= 0:
                unite_two(parent, best, i)
            else:
                before[i], newest[frame] = newest[frame], i
        if best >= 0:
            duplicate_of[i], similar[i] = best, best_similarity
    return duplicate_of, similar, parent, told_apart


def compile_choice() -> None:
    """Compile what chooses survivors, or load it from numba's cache. It takes two fifths of what a build compiles."""
    none, facts = np.empty(0, np.int64), np.empty(0, FACTS)
    columns = [np.ascontiguousarray(facts[name]) for name in ("exact", "key", "key_length")]
    sketches = np.empty((0, 1), np.uint8)
    choose_survivors(*_better_neighbours(none, none, 0), none, sketches, *columns, 0.5, SKETCHES, make_texts())


@jit
def _find_in_frame(newest, before, i, rows, sketches, accept, texts):
    """Return the survivor of one frame that node i is a duplicate of, and their similarity; -1 where there is none.

    The `FRAME` latest are looked at, and the `READ` most similar of them are read.
    """
    nearest, values = np.full(READ, -1, np.int64), np.zeros(READ)
    other, seen = newest, 0
    while other >= 0 and seen < FRAME:
        value = min(similarity(SKETCHES, sketches, rows[other], rows[i]), NEARLY_EQUAL)
        at = np.argmin(values)
        if value >= accept and value > values[at]:
            nearest[at], values[at] = other, value
        other = before[other]
        seen += 1
    for at in np.argsort(-values):
        if nearest[at] >= 0 and not _are_other_facts(texts, rows[nearest[at]], rows[i]):
            return nearest[at], values[at]
    return np.int64(-1), -1.0


def _joined_marker(layout: Layout) -> Path:
    return layout.folder / "cluster-joined.json"


def _components_file(layout: Layout, name: str) -> Path:
    return layout.folder / f"cluster-{name}.npy"


def write_pairs(layout: Layout, number: int, pairs: np.ndarray) -> None:
    """Write one file of verified pairs, int64[n, 2], and one of links: no more pairs than join the same records, for `join_pairs`."""
    records = sort_distinct(pairs.ravel())
    roots = find_components(len(records), np.searchsorted(records, pairs[:, 0]), np.searchsorted(records, pairs[:, 1]))
    is_linked = roots < np.arange(len(records))
    write_array(_links_file(layout, number), np.stack([records[roots[is_linked]], records[is_linked]], axis=1))
    write_array(layout.pairs(number), pairs)


def _links_file(layout: Layout, number: int) -> Path:
    return layout.folder / f"pairs-links-{number:05d}.npy"


@resumable(lambda layout, files: _joined_marker(layout))
def join_pairs(layout: Layout, files: int) -> Counts:
    """Write the records that are in clusters, by ascending number, and the first record of each one's cluster."""
    records = np.empty(0, np.int64)
    waiting: list[np.ndarray] = []
    for number in range(files):
        waiting.append(sort_distinct(np.load(_links_file(layout, number)).ravel()))
        # As large as what is there already: every number is sorted a few times, and a list of all never exists.
        if number == files - 1 or sum(map(len, waiting)) > max(len(records), 1 << 22):
            records, waiting = sort_distinct(np.concatenate([records, *waiting])), []
    parent = np.arange(len(records))
    for number in range(files):
        links = np.load(_links_file(layout, number))
        unite(parent, np.searchsorted(records, links[:, 0]), np.searchsorted(records, links[:, 1]))
    find_roots(parent)
    write_array(_components_file(layout, "records"), records)
    write_array(_components_file(layout, "heads"), records[parent])
    return {"records": len(records), "buckets": max(1, -(-len(records) // RECORDS_PER_BUCKET))}


@jit
def _mix(values):
    out = np.empty(len(values), np.uint64)
    for i in range(len(values)):
        out[i] = mix64(np.uint64(values[i]))
    return out


@resumable(lambda layout, plan, number: layout.folder / f"cluster-pairs-{number:05d}.json")
def route_pairs(layout: Layout, plan: _Plan, number: int) -> Counts:
    """Send one file of pairs to the buckets of their clusters, and requests for the facts of their records."""
    pairs = np.load(layout.pairs(number))
    records, heads = (np.load(_components_file(layout, name), mmap_mode="r") for name in ("records", "heads"))
    buckets = range_of(_mix(heads[np.searchsorted(records, pairs[:, 0])]), plan.pairs.receivers)
    rows = np.empty(len(pairs), _PAIR)
    rows["left"], rows["right"] = pairs[:, 0], pairs[:, 1]
    plan.pairs.send(number, rows, buckets)
    plan.inquiry.ask(layout, number, pairs.ravel(), np.repeat(buckets, 2))
    return {"pairs": len(pairs)}


def _bucket_marker(layout: Layout, bucket: int) -> Path:
    return layout.folder / f"cluster-chosen-{bucket:05d}.json"


@resumable(lambda layout, plan, bucket, kind: _bucket_marker(layout, bucket))
def choose(layout: Layout, plan: _Plan, bucket: int, kind: int) -> Counts:
    """Choose the survivors of the clusters of one bucket, and send what is found out about their records to the runs."""
    records, facts, sketches, name_lengths, text_lengths = receive_answers(layout, plan.inquiry, bucket)
    texts = make_texts()
    if plan.inquiry.texts is not None:
        texts = make_texts(*receive_texts(layout, plan.inquiry, bucket, text_lengths))
    pairs = np.concatenate([np.empty(0, _PAIR), *plan.pairs.receive_rows(bucket, _PAIR)])
    left, right = np.searchsorted(records, pairs["left"]), np.searchsorted(records, pairs["right"])
    packed = sort_distinct((left.astype(np.uint64) << np.uint64(32)) | right.astype(np.uint64))  # another file may have it, too
    # The index here is a record's node: the best record's is 0.
    order = best_first(records, facts)
    nodes = np.empty(len(order), np.int64)
    nodes[order] = np.arange(len(order))
    left, right = nodes[(packed >> np.uint64(32)).astype(np.int64)], nodes[(packed & np.uint64(0xFFFFFFFF)).astype(np.int64)]
    better, worse = np.minimum(left, right), np.maximum(left, right)
    records, facts = records[order], facts[order]
    exact, keys, key_length = (np.ascontiguousarray(facts[name]) for name in ("exact", "key", "key_length"))
    starts, neighbours = _better_neighbours(better, worse, len(records))
    accept = layout.settings.accept
    duplicate_of, similar, head, told_apart = choose_survivors(
        starts, neighbours, order, sketches, exact, keys, key_length, accept, kind, texts
    )
    # The smallest node of a component is its best record, which names the cluster.
    if texts.compared:
        find_roots(head)
    else:
        head = find_components(len(records), better, worse)
    is_duplicate = duplicate_of >= 0
    survivor = np.where(is_duplicate, duplicate_of, np.arange(len(records)))
    is_exact = (exact == exact[survivor]) & (key_length == key_length[survivor])
    names = _receive_names(plan.inquiry, bucket, name_lengths).gather(order)
    of_duplicates = pl.when(pl.Series(is_duplicate))
    frame = pl.DataFrame({"record": records, "survivor": records[survivor]}).with_columns(
        of_duplicates.then(names.gather(survivor)).alias("duplicate_of"),
        of_duplicates.then(pl.Series(similar.astype(np.float32))).alias("similarity"),
        of_duplicates.then(pl.Series(is_exact)).alias("exact"),
        names.gather(head).alias("cluster_id"),
        pl.Series("cluster_size", np.bincount(head, minlength=len(records))[head].astype(np.uint32)),
    )
    frame = frame.filter(pl.col("cluster_size") > 1)  # of one frame with others, but no duplicate
    _send_frame(layout, plan.chosen, bucket, frame.sort("record"))
    return {
        "pairs": len(packed),
        "clusters": frame["cluster_id"].n_unique(),
        "in_clusters": len(frame),
        "exact": int((is_duplicate & is_exact).sum()),
        "near": int((is_duplicate & ~is_exact).sum()),
        "told_apart": told_apart,
    }


def _better_neighbours(better: np.ndarray, worse: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `(starts, neighbours)` as `choose_survivors` takes them."""
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(worse, minlength=count), out=starts[1:])
    return starts, better[np.argsort(worse, kind="stable")]


def _receive_names(inquiry: Inquiry, bucket: int, lengths: np.ndarray) -> pl.Series:
    """Return the ids of the records of a bucket, given their lengths in bytes."""
    data = np.frombuffer(b"".join(inquiry.names.receive(bucket)), np.uint8)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return pl.Series("names", to_arrow(data, offsets), pl.String)


def _send_frame(layout: Layout, exchange: Exchange, sender: int, frame: pl.DataFrame) -> None:
    """Send rows to the runs of their records, as Arrow's streams."""
    bases = np.asarray(layout.bases, np.int64)[divide_into_runs(layout)]
    cuts = np.searchsorted(frame["record"].to_numpy(), bases).tolist()
    table, streams = frame.to_arrow(compat_level=pl.CompatLevel.oldest()), []
    for first, stop in zip(cuts[:-1], cuts[1:], strict=True):
        stream = pa.BufferOutputStream()
        if first < stop:
            with pa.ipc.new_stream(stream, table.schema) as writer:
                writer.write_table(table.slice(first, stop - first))
        streams.append(stream.getvalue())
    exchange.send_chunks(sender, [len(stream) for stream in streams], streams)


@resumable(lambda layout, plan, run: layout.folder / f"clusters-run-{run:05d}.json")
def write_clusters(layout: Layout, plan: _Plan, run: int) -> Counts:
    """Write what was found out about the records of every partition of a run to a file of its own."""
    tables = []
    for body in plan.chosen.receive(run):
        reader = pa.BufferReader(body)
        while reader.tell() < len(body):  # a stream from every bucket
            tables.append(pa.ipc.open_stream(reader).read_all())
    empty = pl.DataFrame(schema={"record": pl.Int64} | {n: kind for n, kind in CLUSTER_SCHEMA.items() if n != "row"})
    frame = pl.DataFrame(pl.from_arrow(pa.concat_tables(tables))).select(empty.columns).sort("record") if tables else empty
    partitions = range(*divide_into_runs(layout)[run : run + 2].tolist())
    cuts = np.searchsorted(frame["record"].to_numpy(), layout.bases[partitions.start : partitions.stop + 1]).tolist()
    for index, first, stop in zip(partitions, cuts[:-1], cuts[1:], strict=True):
        part = frame[first:stop].with_columns(row=(pl.col("record") - layout.bases[index]).cast(pl.UInt32))
        with write_atomically(layout.clusters(index)) as temporary:
            part.select(*CLUSTER_SCHEMA).write_parquet(temporary)
    return {"records": len(frame)}


@resumable(lambda layout, buckets: layout.folder / "cluster.json")
def count_clusters(layout: Layout, buckets: int) -> Counts:
    """Return the counts over the corpus."""
    counts = [load_counts(_bucket_marker(layout, bucket)) for bucket in range(buckets)]
    return {name: sum(count[name] for count in counts) for name in counts[0]}
