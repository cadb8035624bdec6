"""Shards to batches: shuffled, dealt out over ranks, and taken up again at any record.

An epoch has one order of all records, which a seed decides: row groups are shuffled, then rows within windows of row groups (as many as
fit the buffer). Every rank has a stretch of that order, so that no rank reads another's row groups. Where a rank stands is one number,
how many records it has taken. What is left of an epoch can be dealt out anew to any number of ranks, nothing twice and nothing missed.
Loader workers are threads: images and sound are decoded outside Python's lock, and arrive in the same order whatever their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputError, UsageError
from pipeline.core.storage import fingerprint
from trainers.data.arrow_rows import Columns
from trainers.data.record_assignment import Span

BUFFER = 256_000_000  # bytes


class Skip(ValueError):
    """A record that cannot be used: it is left out and counted."""


class Shards:
    """The shards of one split. `beside`: folders with files of the same names and row groups, that have further columns.

    Raises UsageError, which ends with `hint`, where there are none, or one lacks a column.
    """

    def __init__(self, folder: Path, split: str, columns: Sequence[str], hint: str, beside: Sequence[Path] = ()) -> None:
        below = folder / "data" if (folder / "data").is_dir() else folder
        files = sorted(below.glob(f"{split}-*.parquet"))
        if not files:
            raise UsageError(f"there are no {split} shards in {folder}: {hint}")
        self.columns, self.split = list(columns), split
        self.files: list[tuple[list[Path], int, int]] = []  # files that stand beside one another, row group, rows
        sizes = []
        for file in files:
            same = [file, *(place / file.name for place in beside)]
            found = [self._footer(path, hint) for path in same]
            missing = [c for c in columns if c not in {name for schema, _ in found for name in schema.names}]
            if missing:
                raise UsageError(f"{file} has no column {missing[0]!r}: {hint}")
            groups = [[m.row_group(i).num_rows for i in range(m.num_row_groups)] for _, m in found]
            if any(g != groups[0] for g in groups):
                raise UsageError(f"{same[-1]} does not have the rows of {file}: make it anew")
            self.files += [(same, i, rows) for i, rows in enumerate(groups[0])]
            sizes += [m.row_group(i).total_byte_size for m in [found[0][1]] for i in range(m.num_row_groups)]
        self.rows, self.bytes = np.array([rows for *_, rows in self.files], np.int64), np.array(sizes, np.int64)
        self.total = int(self.rows.sum())
        if not self.total:
            raise UsageError(f"the {split} shards in {folder} hold no record: {hint}")
        self.fingerprint = fingerprint([file.name for file in files], self.rows.tolist(), self.bytes.tolist())

    @staticmethod
    def _footer(path: Path, hint: str) -> tuple[pa.Schema, Any]:
        try:
            with pq.ParquetFile(path) as file:
                return file.schema_arrow, file.metadata
        except FileNotFoundError:
            raise UsageError(f"{path} is missing: {hint}") from None
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} is no whole Parquet file ({str(error).rstrip('.')}): {hint}") from None

    def read(self, numbers: Sequence[int]) -> Columns:
        """The columns of some row groups, one after the other."""
        tables = []
        for number in numbers:
            paths, index, _ = self.files[number]
            found: dict[str, pa.ChunkedArray] = {}
            for path in paths:
                try:
                    with pq.ParquetFile(path) as file:
                        wanted = [c for c in self.columns if c in file.schema_arrow.names]
                        table = file.read_row_group(index, wanted, use_threads=False)
                except (pa.ArrowException, OSError) as error:
                    raise InputError(f"row group {index} of {path} cannot be read: {error}") from None
                found |= dict(zip(table.column_names, table.columns, strict=True))
            tables.append(pa.table({name: found[name] for name in self.columns}))
        return Columns(pa.concat_tables(tables, promote_options="permissive").combine_chunks())


class Reader:
    """Batches of columns in an order that `seed` decides; without one, in the order of the shards."""

    def __init__(self, shards: Shards, seed: int | None, buffer: int = BUFFER) -> None:
        self.shards, self.seed, self.buffer = shards, seed, buffer
        self._order: tuple[int, tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None

    def order(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row groups in order; where windows of them begin, in row groups and in records."""
        known = self._order  # two threads ask
        if known is not None and known[0] == epoch:
            return known[1]
        number = len(self.shards.rows)
        groups = np.arange(number) if self.seed is None else np.random.default_rng([self.seed, epoch]).permutation(number)
        ends = np.cumsum(self.shards.bytes[groups])
        begins = np.append(np.flatnonzero(np.diff((ends - 1) // self.buffer, prepend=-1)), number)
        found = groups, begins, np.concatenate([[0], np.cumsum(self.shards.rows[groups])])[begins]
        self._order = epoch, found
        return found

    def once(self, rank: int, ranks: int, limit: int) -> Iterator[Span]:
        """A rank's stretch of the first `limit` records, for one evaluation."""
        there = min(limit, self.shards.total)
        return iter([(0, there * rank // ranks, there * (rank + 1) // ranks)])

    def _pieces(self, spans: Iterator[Span]) -> Iterator[tuple[int, int, int, int]]:
        """Epoch, window, first and last record in it."""
        for epoch, first, last in spans:
            starts = self.order(epoch)[2]
            while first < last:
                window = int(np.searchsorted(starts, first, "right")) - 1
                end = min(last, int(starts[window + 1]))
                yield epoch, window, first - int(starts[window]), end - int(starts[window])
                first = end

    def _load(self, epoch: int, window: int) -> tuple[Columns, np.ndarray]:
        groups, begins, starts = self.order(epoch)
        rows = np.arange(starts[window + 1] - starts[window])
        if self.seed is not None:
            np.random.default_rng([self.seed, epoch, window]).shuffle(rows)
        return self.shards.read(groups[begins[window] : begins[window + 1]].tolist()), rows

    def batches(self, spans: Iterator[Span], size: int) -> Iterator[list[dict[str, Any]]]:
        """Columns of `size` records (the last of finite spans may have fewer), in parts where they come from several windows.

        Every part also says where it stands, in `__key__`: (epoch, window, row), which no other record has.
        """
        with ThreadPoolExecutor(1) as ahead:
            loading: deque[tuple[tuple[int, int, int, int], Future[Any]]] = deque()
            pieces, parts, have = self._pieces(spans), list[dict[str, Any]](), 0
            # One window is read while another is used.
            for piece in islice(pieces, 1):
                loading.append((piece, ahead.submit(self._load, *piece[:2])))
            while loading:
                (epoch, window, first, last), future = loading.popleft()
                columns, order = future.result()
                for piece in islice(pieces, 1):
                    loading.append((piece, ahead.submit(self._load, *piece[:2])))
                while first < last:
                    step = min(last - first, size - have)
                    rows = order[first : first + step]
                    parts.append(columns.take(rows) | {"__key__": [(epoch, window, int(row)) for row in rows]})
                    first, have = first + step, have + step
                    if have == size:
                        yield parts
                        parts, have = [], 0
            if parts:
                yield parts


@dataclass(frozen=True)
class Batch:
    inputs: dict[str, Any]  # arguments of the model
    amount: float  # of what a trainer counts: tokens, images, seconds
    taken: int  # records that the rank has taken, with this batch
    skipped: int  # of them


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One batch of its parts."""
    if len(parts) == 1:
        return parts[0]
    columns = {name: [part[name] for part in parts] for name in parts[0]}
    square = {name: all(isinstance(p, np.ndarray) for p in these) for name, these in columns.items()}
    return {n: np.concatenate(these) if square[n] else [x for p in these for x in p] for n, these in columns.items()}


def _decoded(decode: Callable[[dict[str, Any]], Any], records: list[dict[str, Any]]) -> list[Any]:
    found = list[Any]()
    for record in records:
        try:
            found.append(decode(record))
        except Skip as reason:
            found.append(reason)
    return found


def stream(
    reader: Reader, spans: Iterator[Span], size: int, collate: Callable[[Any], tuple[dict[str, Any], float]],
    decode: Callable[[dict[str, Any]], Any] | None = None, taken: int = 0, threads: int = 4,
) -> Iterator[Batch]:  # fmt: skip
    """Batches of `size` records for a model.

    `collate` makes (inputs, amount) of columns; with `decode`, of a list of what `decode` made of each record. A record for which it
    raises Skip is left out, and the next takes its place.
    """
    if decode is None:
        for parts in reader.batches(spans, size):
            columns = joined(parts)
            taken += len(columns["__key__"])
            yield Batch(*collate(columns), taken, 0)
        return
    with ThreadPoolExecutor(max(1, threads)) as workers:
        records = (
            {name: part[name][i] for name in part}
            for parts in reader.batches(spans, size) for part in parts for i in range(len(part["__key__"]))
        )  # fmt: skip
        chunk = max(1, min(8, size // threads))  # records of one task: to hand one over costs as much as decoding a small image
        waiting: deque[Future[list[Any]]] = deque()
        items, skipped, useless = [], 0, 0
        while True:
            while len(waiting) * chunk < 2 * size + 2 * threads and (some := list(islice(records, chunk))):
                waiting.append(workers.submit(_decoded, decode, some))
            if not waiting:
                break
            for found in waiting.popleft().result():
                taken += 1
                if isinstance(found, Skip):
                    skipped, useless = skipped + 1, useless + 1
                    if useless > reader.shards.total:  # a stream without end would go on for ever
                        raise InputError(f"not one record of {reader.shards.total:,} can be used; the last one: {found}")
                    continue
                items.append(found)
                useless = 0
                if len(items) == size:
                    yield Batch(*collate(items), taken, skipped)
                    items, skipped = [], 0
        if items:
            yield Batch(*collate(items), taken, skipped)
