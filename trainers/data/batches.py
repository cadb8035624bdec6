"""Batches for a model: records decoded in threads and collated, in the same order whatever the number of threads.

Images and recordings are decoded outside Python's lock, so threads are enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from pipeline.core.errors import InputError
from trainers.data.reader import Columns, Reader
from trainers.data.record_assignment import Span

Record = dict[str, Any]
Collate = Callable[[Any], tuple[dict[str, Any], float]]  # records or columns -> the model's inputs, and their amount


class Skip(ValueError):
    """A record that cannot be used: it is left out and counted."""


@dataclass(frozen=True)
class Batch:
    inputs: dict[str, Any]  # arguments of the model
    amount: float  # tokens, images or seconds: what the trainer counts
    taken: int  # records that the rank has taken, this batch included
    skipped: int  # records left out since the last batch


def stream(
    reader: Reader, spans: Iterator[Span], size: int, collate: Collate,
    decode: Callable[[Record], Any] | None = None, taken: int = 0, threads: int = 4,
) -> Iterator[Batch]:  # fmt: skip
    """Yield batches of `size` records, or those of the reader's `LengthBatches`.

    `collate` gets the columns of a batch; with `decode`, the list of what `decode` returned for each record. If that raises
    Skip, the next record takes its place, or the batch of like length is a record smaller. Raises InputError if no record of the
    shards can be used.
    """
    if decode is None:
        for pieces in reader.batches(spans, size):
            columns = _concatenate(pieces)
            taken += len(columns["__key__"])
            yield Batch(*collate(columns), taken, 0)
        return
    items, skipped, skipped_in_a_row = list[Any](), 0, 0
    current: Any = None  # the batch of like length, where there are such
    for number, item in _decode_in_threads(_records(reader.batches(spans, size)), decode, size, threads):
        if items and number != current:
            yield Batch(*collate(items), taken, skipped)
            items, skipped = [], 0
        current, taken = number, taken + 1
        if isinstance(item, Skip):
            skipped, skipped_in_a_row = skipped + 1, skipped_in_a_row + 1
            if skipped_in_a_row > reader.shards.total:  # endless spans would go on for ever
                raise InputError(f"not one record of {reader.shards.total:,} can be used; the last one: {item}")
            continue
        items.append(item)
        skipped_in_a_row = 0
        if len(items) == size:
            yield Batch(*collate(items), taken, skipped)
            items, skipped = [], 0
    if items:
        yield Batch(*collate(items), taken, skipped)


def _concatenate(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]

    def join(values: list[Any]) -> Any:
        if all(isinstance(value, np.ndarray) for value in values):
            return np.concatenate(values)
        return [element for value in values for element in value]

    return {name: join([piece[name] for piece in pieces]) for name in pieces[0]}


def _records(batches: Iterator[list[Columns]]) -> Iterator[Record]:
    for pieces in batches:
        for piece in pieces:
            for i in range(len(piece["__key__"])):
                yield {name: values[i] for name, values in piece.items()}


def _decode_in_threads(
    records: Iterator[Record], decode: Callable[[Record], Any], size: int, threads: int
) -> Iterator[tuple[Any, Any]]:
    """Yield the `__batch__` of each record, and what `decode` returned or the Skip that it raised. At most two batches wait."""

    def decode_all(chunk: list[Record]) -> list[tuple[Any, Any]]:
        items = list[tuple[Any, Any]]()
        for record in chunk:
            number = record.pop("__batch__", None)
            try:
                items.append((number, decode(record)))
            except Skip as reason:
                items.append((number, reason))
        return items

    length = max(1, min(8, size // threads))  # records per task: handing over one costs as much as decoding a small image
    with ThreadPoolExecutor(max(1, threads)) as workers:
        waiting: deque[Future[list[tuple[Any, Any]]]] = deque()
        while True:
            while len(waiting) * length < 2 * size + 2 * threads and (chunk := list(islice(records, length))):
                waiting.append(workers.submit(decode_all, chunk))
            if not waiting:
                return
            yield from waiting.popleft().result()
