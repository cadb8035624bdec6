"""Parquet files as one table whose rows are numbered: read by number, a row group at a time, never as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.tables import open_parquet, scan_parquet

_THREADS = 2  # row groups read at once: memory is that of so many


class RowGroup(NamedTuple):
    """Where a row group is: its file's number, its number in the file, the number of its first row in the table, its rows."""

    file: int
    number: int
    first: int
    rows: int


@dataclass(frozen=True)
class NumberedTable:
    """Consecutive Parquet files of one schema. Rows are numbered from 0 over all of them."""

    files: tuple[Path, ...]

    @cached_property
    def _metadata(self) -> list[pq.FileMetaData]:
        return [pq.read_metadata(file) for file in self.files]

    @cached_property
    def row_groups(self) -> list[RowGroup]:
        groups, first = list[RowGroup](), 0
        for file, metadata in enumerate(self._metadata):
            for number in range(metadata.num_row_groups):
                rows = metadata.row_group(number).num_rows
                groups.append(RowGroup(file, number, first, rows))
                first += rows
        return groups

    @cached_property
    def rows(self) -> int:
        return sum(metadata.num_rows for metadata in self._metadata)

    def scan(self, row: str | None = None) -> pl.LazyFrame:
        """Return the table as a frame that is read when it is needed; `row` names a column of row numbers, which comes first."""
        return scan_parquet(*self.files, row_index=row)

    def cut(self, column: str, most: int) -> list[range]:
        """Cut the table into runs of row groups in which a column has about `most` bytes before compression; return their rows."""
        parts, first, size = list[range](), 0, 0
        for group in self.row_groups:
            metadata = self._metadata[group.file]
            size += metadata.row_group(group.number).column(metadata.schema.names.index(column)).total_uncompressed_size
            if size >= most:
                parts.append(range(first, group.first + group.rows))
                first, size = group.first + group.rows, 0
        return [*parts, range(first, self.rows)] if first < self.rows or not parts else parts

    def find_limits(self, column: str) -> tuple[float, float]:
        """Return the least and the greatest value of a column of numbers as its statistics have them, infinities where they have none."""
        low, high = math.inf, -math.inf
        for metadata in self._metadata:
            index = metadata.schema.names.index(column)
            for number in range(metadata.num_row_groups):
                statistics = metadata.row_group(number).column(index).statistics
                if statistics is not None and statistics.has_min_max:
                    low, high = min(low, statistics.min), max(high, statistics.max)
        return low, high

    def read(self, numbers: Sequence[int] | np.ndarray, columns: Sequence[str]) -> pl.DataFrame:
        """Return rows by their numbers, in that order. Only row groups that have one are read, and their pages are compared with their
        checksums."""
        wanted = np.asarray(numbers, np.int64)
        starts = np.array([group.first for group in self.row_groups], np.int64)
        indices = np.searchsorted(starts, wanted, side="right") - 1

        def take(index: int) -> pa.Table:
            group = self.row_groups[index]
            with open_parquet(self.files[group.file]) as file:
                table = file.read_row_group(group.number, columns=[*columns], use_threads=False)
            return table.take(pa.array(wanted[indices == index] - group.first))

        needed = np.unique(indices).tolist()
        if not needed:
            return pl.DataFrame(schema=self.scan().select(columns).collect_schema())
        with ThreadPoolExecutor(_THREADS) as pool:
            tables = list(pool.map(take, needed))
        order = np.concatenate([np.flatnonzero(indices == index) for index in needed])
        frame = pl.DataFrame(pl.from_arrow(pa.concat_tables(tables))).select(columns)
        return frame[np.argsort(order, kind="stable")]
