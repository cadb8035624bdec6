"""Records in a shuffled order that a seed decides, from any position on.

An epoch has one order of all records. Row groups are shuffled, then rows within windows of row groups, each as large as the
buffer; with `LengthBatches`, the rows of a window come in batches of like length. Every rank takes the records of a stretch of
that order; a window at the edge of two stretches is read by both. A rank's position is one number: how many records it has taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from trainers.data.arrow_rows import ArrowRows
from trainers.data.length_batches import BatchedRows, LengthBatches
from trainers.data.record_assignment import Span
from trainers.data.shards import Shards

BUFFER = 256_000_000  # bytes

Columns = dict[str, Any]  # values by name of column


class Order(NamedTuple):
    """The order of one epoch. `window_groups` and `window_records` have one more entry, the end of the last window."""

    row_groups: np.ndarray  # their numbers
    window_groups: np.ndarray  # at which row group of the order each window starts
    window_records: np.ndarray  # and at which record


class WindowSlice(NamedTuple):
    """Consecutive records of one window."""

    epoch: int
    window: int
    start: int
    end: int


class Reader:
    """Read batches of columns in the order that `seed` decides, or in the order of the shards if it is None."""

    def __init__(
        self, shards: Shards, seed: int | None, buffer: int = BUFFER, length_batches: LengthBatches | None = None
    ) -> None:
        self.shards, self.seed, self.buffer, self.length_batches = shards, seed, buffer, length_batches
        self._order: tuple[int, Order] | None = None

    def one_pass(self, rank: int, ranks: int, limit: int) -> Iterator[Span]:
        """Yield the stretch of one rank in a single pass over the first `limit` records."""
        number = min(limit, self.shards.total)
        yield Span(0, number * rank // ranks, number * (rank + 1) // ranks)

    def batches(self, spans: Iterator[Span], size: int) -> Iterator[list[Columns]]:
        """Yield batches of `size` records; if the spans end, the last batch may be smaller.

        A batch is a list, because its records may come from several windows. The column `__key__` identifies each record by
        (epoch, window, row); with `LengthBatches`, `__batch__` has (epoch, window, number) of the batch that it belongs to.
        """
        pieces = self._split_at_windows(spans)
        batch, records = list[Columns](), 0
        with ThreadPoolExecutor(1) as background:
            loading: deque[tuple[WindowSlice, Future[tuple[ArrowRows, BatchedRows]]]] = deque()

            def load_next() -> None:
                for piece in islice(pieces, 1):
                    loading.append((piece, background.submit(self._load, piece.epoch, piece.window)))

            load_next()
            while loading:
                (epoch, window, start, end), window_rows = loading.popleft()
                table, order = window_rows.result()
                load_next()  # one window is read while another is used
                while start < end:
                    number = min(end - start, size - records)
                    rows = order.rows[start : start + number]
                    columns = table.take(rows) | {"__key__": [(epoch, window, int(row)) for row in rows]}
                    if self.length_batches:
                        numbers = order.numbers[start : start + number].tolist()
                        columns["__batch__"] = [(epoch, window, each) for each in numbers]
                    batch.append(columns)
                    start, records = start + number, records + number
                    if records == size:
                        yield batch
                        batch, records = [], 0
            if batch:
                yield batch

    def _order_of(self, epoch: int) -> Order:
        cached = self._order  # read once: the thread that loads asks, too
        if cached is not None and cached[0] == epoch:
            return cached[1]
        number = len(self.shards.rows)
        groups = np.arange(number) if self.seed is None else np.random.default_rng([self.seed, epoch]).permutation(number)
        ends = np.cumsum(self.shards.bytes[groups])
        starts = np.append(np.flatnonzero(np.diff((ends - 1) // self.buffer, prepend=-1)), number)
        order = Order(groups, starts, np.concatenate([[0], np.cumsum(self.shards.rows[groups])])[starts])
        self._order = epoch, order
        return order

    def _split_at_windows(self, spans: Iterator[Span]) -> Iterator[WindowSlice]:
        for epoch, start, end in spans:
            window_starts = self._order_of(epoch).window_records
            while start < end:
                window = int(np.searchsorted(window_starts, start, "right")) - 1
                offset, window_end = int(window_starts[window]), int(window_starts[window + 1])
                yield WindowSlice(epoch, window, start - offset, min(end, window_end) - offset)
                start = min(end, window_end)

    def _load(self, epoch: int, window: int) -> tuple[ArrowRows, BatchedRows]:
        """Read a window, and draw the order of its rows."""
        order = self._order_of(epoch)
        rows = np.arange(order.window_records[window + 1] - order.window_records[window])
        rng = None if self.seed is None else np.random.default_rng([self.seed, epoch, window])
        if rng:
            rng.shuffle(rows)
        groups = order.row_groups[order.window_groups[window] : order.window_groups[window + 1]]
        table = self.shards.read(groups.tolist())
        if self.length_batches:
            return table, self.length_batches.arrange(table.take(rows), rows, rng)
        return table, BatchedRows(rows, np.zeros(0, np.int64))
