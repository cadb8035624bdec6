"""What every record contributes to finding duplicates: facts and sketches.

Who compares records asks for them: it sends a request (`pack_requests`) for every record to the run that has it. `answer`, a task per
run, reads the files of its partitions in order and sends facts, sketches and, where they are wanted, ids to all who asked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from filters.kernels import buffers
from pipeline.core.allocation import allocate
from pipeline.core.errors import BuildError
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup.exchange import SMALL, Exchange
from pipeline.dedup.runs import divide_into_runs, run_of_records
from pipeline.workspace import Layout, RecordIds

_IN_MEMORY = 512 << 20  # bytes of sketches
_CHUNK = 8192  # records that are copied at a time
# What a record contributes to the choice of survivors; one array of these per partition, memory-mapped. Of two records the one with the
# higher priority is better and, where that is equal, the one that is earlier in the input. `exact`: equal for exact duplicates; `key`: a
# hash of the key, which near duplicates of text may share, too (of images and recordings it is `exact`).
FACTS = np.dtype([("priority", np.uint64), ("exact", np.uint64), ("key", np.uint64), ("key_length", np.int32)])
# A request is a uint64: the record's number, and in the low bits who asks.
_ASKER_BITS = 24


def best_first(records: np.ndarray, facts: np.ndarray, *groups: np.ndarray) -> np.ndarray:
    """Return the order of records from best to worst within groups, which are in ascending order of the last of `groups`."""
    return np.lexsort((records, ~facts["priority"], *groups))


def sort_distinct(values: np.ndarray) -> np.ndarray:
    """Return the distinct values in ascending order: `np.unique`, which takes several times as long where it hashes."""
    ordered = np.sort(values)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]]


def allocate_sketches(folder: Path, rows: int, width: int) -> np.ndarray:
    """Return uint8[rows, width], on disk where it is large, so that memory stays bounded. The file goes with the array."""
    if rows * width < _IN_MEMORY:
        return np.empty((rows, width), np.uint8)
    with tempfile.TemporaryFile(dir=folder) as file:
        allocate(file.fileno(), rows * width, folder)
        return np.memmap(file, np.uint8, "r+", shape=(rows, width))


def sketch_width(layout: Layout) -> int:
    return np.load(layout.array("sketches", 0), mmap_mode="r").shape[1] + _rare_width(layout, 0)


_ROW_BYTES = 4  # of a row's number, before what it has


def pack_rare_sketches(rows: np.ndarray, sketches: np.ndarray) -> np.ndarray:
    """Return the array `rare_sketches` of a part: what only some records have beside their sketch, behind the numbers of their rows."""
    numbers = rows.astype("<u4").view(np.uint8).reshape(-1, _ROW_BYTES)
    return np.concatenate([numbers, sketches], axis=1)


def _rare_width(layout: Layout, index: int) -> int:
    path = layout.array("rare_sketches", index)
    return np.load(path, mmap_mode="r").shape[1] - _ROW_BYTES if path.exists() else 0


def _fill_sketches(layout: Layout, index: int, rows: np.ndarray, out: np.ndarray) -> None:
    """Fill in the sketches of some rows of a partition, by ascending number; what is rare comes last, zeros where there is none."""
    sketches = np.load(layout.array("sketches", index), mmap_mode="r")
    out[:, : sketches.shape[1]] = sketches[rows]
    if _rare_width(layout, index):
        out[:, sketches.shape[1] :] = 0
        rare = np.load(layout.array("rare_sketches", index), mmap_mode="r")
        having = np.ascontiguousarray(rare[:, :_ROW_BYTES]).view("<u4").ravel()
        found = np.flatnonzero(np.isin(rows, having))
        out[found, sketches.shape[1] :] = rare[np.searchsorted(having, rows[found]), _ROW_BYTES:]


# -- requests


@dataclass(frozen=True)
class Inquiry:
    """Requests of `askers` tasks, which `senders` tasks send, and the answers."""

    requests: Exchange  # to runs
    answers: Exchange  # from runs to those who asked
    names: Exchange  # bytes of record ids, where they are wanted
    texts: Exchange | None = None  # the texts themselves, where they are wanted

    @classmethod
    def of(cls, layout: Layout, name: str, senders: int, askers: int, with_texts: bool = False) -> Inquiry:
        if layout.bases[-1] > 1 << (64 - _ASKER_BITS) or askers > 1 << _ASKER_BITS:
            raise BuildError(
                f"{layout.bases[-1]:,} records are more than can be deduplicated at once, {1 << (64 - _ASKER_BITS):,}. "
                "Build them as several corpora."
            )
        runs = len(divide_into_runs(layout)) - 1
        return cls(
            Exchange(layout.folder, f"{name}-requests", senders, runs, SMALL),
            Exchange(layout.folder, f"{name}-answers", runs, askers),
            Exchange(layout.folder, f"{name}-names", runs, askers, SMALL),
            Exchange(layout.folder, f"{name}-texts", runs, askers) if with_texts else None,
        )

    def ask(self, layout: Layout, sender: int, records: np.ndarray, askers: np.ndarray) -> None:
        """Send the requests of one sender: for every record, who asks."""
        packed = sort_distinct((records.astype(np.uint64) << np.uint64(_ASKER_BITS)) | askers.astype(np.uint64))
        self.requests.send(sender, packed, run_of_records(layout, (packed >> np.uint64(_ASKER_BITS)).astype(np.int64)))

    def remove(self) -> None:
        for exchange in (self.requests, self.answers, self.names, self.texts):
            if exchange is not None:
                exchange.remove()


def _answer_type(width: int) -> np.dtype:
    numbers = [("record", np.int64), ("facts", FACTS), ("name_length", np.int32), ("text_length", np.int64)]
    return np.dtype([*numbers, ("sketch", np.uint8, (width,))])


def _text_chunks(texts: pl.Series, rows: np.ndarray) -> Iterator[np.ndarray]:
    for at in range(0, len(rows), _CHUNK):
        data, offsets = buffers(texts.gather(rows[at : at + _CHUNK]))
        yield data[offsets[0] : offsets[-1]]


@resumable(lambda layout, inquiry, run, ids: layout.folder / f"{inquiry.answers.name}-{run:05d}.json")
def answer(layout: Layout, inquiry: Inquiry, run: int, ids: RecordIds | None) -> Counts:
    """Send what one run has of the records that were asked for; with `ids` their record ids, too."""
    received = [np.empty(0, np.uint64), *inquiry.requests.receive_rows(run, np.dtype(np.uint64))]
    packed = sort_distinct(np.concatenate(received))
    del received
    asked = (packed >> np.uint64(_ASKER_BITS)).astype(np.int64)
    askers = (packed & np.uint64((1 << _ASKER_BITS) - 1)).astype(np.int64)
    is_first = np.diff(asked, prepend=-1) > 0
    records, rows = asked[is_first], np.cumsum(is_first) - 1
    partitions = range(*divide_into_runs(layout)[run : run + 2].tolist())
    facts, sketches = load_facts(layout, records, partitions)
    order = np.argsort(askers, kind="stable")
    rows = rows[order]
    row_type, counts = _answer_type(sketches.shape[1]), np.bincount(askers, minlength=inquiry.answers.receivers)
    name_lengths = np.zeros(len(rows), np.int32)
    if ids is not None:
        data, offsets = buffers(_load_ids(layout, records, partitions, ids).gather(rows))
        name_lengths = np.diff(offsets).astype(np.int32)
        inquiry.names.send_chunks(run, np.diff(offsets[np.concatenate([[0], np.cumsum(counts)])]), [data[: offsets[-1]]])
    text_lengths = np.zeros(len(rows), np.int64)
    if inquiry.texts is not None:
        texts = _load_texts(layout, records, partitions)
        text_lengths = texts.str.len_bytes().to_numpy().astype(np.int64)[rows]
        ends = np.concatenate([[0], np.cumsum(text_lengths)])[np.concatenate([[0], np.cumsum(counts)])]
        inquiry.texts.send_chunks(run, np.diff(ends), _text_chunks(texts, rows))

    def chunks() -> Iterator[memoryview]:
        for at in range(0, len(rows), _CHUNK):
            some = rows[at : at + _CHUNK]
            chunk = np.empty(len(some), row_type)
            chunk["record"], chunk["facts"], chunk["sketch"] = records[some], facts[some], sketches[some]
            chunk["name_length"], chunk["text_length"] = name_lengths[at : at + _CHUNK], text_lengths[at : at + _CHUNK]
            yield chunk.view(np.uint8).data

    inquiry.answers.send_chunks(run, counts * row_type.itemsize, chunks())
    return {"records": len(records), "answers": len(rows)}


class Answers(NamedTuple):
    """What was answered about records, by ascending number. Lengths are in bytes."""

    records: np.ndarray
    facts: np.ndarray
    sketches: np.ndarray
    name_lengths: np.ndarray
    text_lengths: np.ndarray


def receive_answers(layout: Layout, inquiry: Inquiry, asker: int) -> Answers:
    """Return facts, sketches, and the lengths of ids and texts of the records that one task asked for."""
    width = sketch_width(layout)
    row_type = _answer_type(width)
    count = inquiry.answers.size(asker) // row_type.itemsize
    records, facts, lengths = np.empty(count, np.int64), np.empty(count, FACTS), np.empty(count, np.int32)
    text_lengths = np.empty(count, np.int64)
    sketches = allocate_sketches(layout.folder, count, width)
    at = 0
    for rows in inquiry.answers.receive_rows(asker, row_type):
        span = slice(at, at + len(rows))
        records[span], facts[span], sketches[span], lengths[span], text_lengths[span] = (
            rows[name] for name in ("record", "facts", "sketch", "name_length", "text_length")
        )
        at += len(rows)
    return Answers(records, facts, sketches, lengths, text_lengths)


def receive_texts(layout: Layout, inquiry: Inquiry, asker: int, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `(data, offsets)` of the texts of the records that one task asked for; empty ones where none were sent."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    data = allocate_sketches(layout.folder, 1, int(offsets[-1]))[0] if offsets[-1] else np.empty(0, np.uint8)
    if inquiry.texts is not None:
        at = 0
        for body in inquiry.texts.receive(asker):
            data[at : at + len(body)] = np.frombuffer(body, np.uint8)
            at += len(body)
        if at != len(data):
            raise BuildError(f"texts are missing in {layout.folder}. Delete that folder and run the same command again.")
    return np.asarray(data), offsets


def load_facts(layout: Layout, records: np.ndarray, partitions: range) -> tuple[np.ndarray, np.ndarray]:
    """Return facts and sketches of records of some partitions, given by ascending number; one partition's files are open at a time."""
    facts = np.empty(len(records), FACTS)
    sketches = allocate_sketches(layout.folder, len(records), sketch_width(layout))
    for index, span, rows in _rows_by_partition(layout, records, partitions):
        facts[span] = np.load(layout.facts(index), mmap_mode="r")[rows]
        _fill_sketches(layout, index, rows, sketches[span])
    return facts, sketches


def _load_ids(layout: Layout, records: np.ndarray, partitions: range, ids: RecordIds) -> pl.Series:
    names = [pl.Series("id", [], pl.String)]
    for index, _, rows in _rows_by_partition(layout, records, partitions):
        names.append(ids(index, read_parquet(layout.part(index).table, columns=["locator", "file"])[rows]).alias("id"))
    return pl.concat(names)


def _load_texts(layout: Layout, records: np.ndarray, partitions: range) -> pl.Series:
    texts = [pl.Series("text", [], pl.String)]
    for index, _, rows in _rows_by_partition(layout, records, partitions):
        texts.append(read_parquet(layout.part(index).table, columns=["text"])["text"].gather(rows))
    return pl.concat(texts)


def _rows_by_partition(layout: Layout, records: np.ndarray, partitions: range) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Yield, for partitions with any of the records, which of them these are, and their rows in the partition."""
    cuts = np.searchsorted(records, layout.bases[partitions.start : partitions.stop + 1]).tolist()
    for index, first, last in zip(partitions, cuts[:-1], cuts[1:], strict=True):
        if last > first:
            yield index, slice(first, last), records[first:last] - layout.bases[index]
