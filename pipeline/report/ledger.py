"""The ledger of a build as the report reads it: columns of all records, and single rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from pipeline.core.tables import open_parquet, read_parquet_schema, scan_parquet

VERDICTS = ("kept", "duplicate", "dropped", "unreadable")
# Multiples of this, modulo 2^64, spread evenly: records with the smallest ones are examples from all over the corpus.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Ledger:
    """The files of a ledger, or of a measured partition, in input order. Rows are numbered from 0 over all of them."""

    files: tuple[Path, ...]

    @cached_property
    def schema(self) -> pl.Schema:
        return read_parquet_schema(self.files[0]) if self.files else pl.Schema()

    @cached_property
    def firsts(self) -> list[int]:
        """The number of the first row of every file, and of all rows at the end."""
        return [0, *np.cumsum([pq.read_metadata(file).num_rows for file in self.files]).tolist()]

    @property
    def rows(self) -> int:
        return self.firsts[-1]

    def scan(self) -> pl.LazyFrame:
        return scan_parquet(*self.files)

    def read(self, *columns: str) -> pl.DataFrame:
        """Return columns of all rows."""
        return self.scan().select(columns).collect()

    @cached_property
    def verdicts(self) -> np.ndarray:
        """uint8[rows]: the number of each row's verdict in VERDICTS."""
        codes = pl.col("verdict").replace_strict({name: code for code, name in enumerate(VERDICTS)}, return_dtype=pl.UInt8)
        return self.scan().select(codes).collect().to_series().to_numpy()

    def find(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the numbers of rows by id."""
        wanted = pl.Series("id", sorted(set(ids)), dtype=pl.String)
        if not len(wanted):
            return {}
        found = self.scan().select("id").with_row_index("row").filter(pl.col("id").is_in(wanted.implode())).collect()
        return dict(zip(found["id"], found["row"], strict=True))

    def rows_at(self, numbers: Iterable[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Return some columns of some rows by their number. Only row groups that have one are read."""
        wanted = np.array(sorted(set(numbers)), np.int64)
        rows: dict[int, dict[str, Any]] = {}
        for file, (first, stop) in zip(self.files, pairwise(self.firsts), strict=True):
            of_file = wanted[(wanted >= first) & (wanted < stop)]
            if not len(of_file):
                continue
            with open_parquet(file) as parquet:
                sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
                for group, (low, high) in enumerate(pairwise([first, *(first + np.cumsum(sizes)).tolist()])):
                    of_group = of_file[(of_file >= low) & (of_file < high)]
                    if len(of_group):
                        frame = pl.DataFrame(pl.from_arrow(parquet.read_row_group(group, columns=[*columns])))
                        rows |= zip(of_group.tolist(), frame[(of_group - low).tolist()].to_dicts(), strict=True)
        return rows


def order_by_seed(rows: np.ndarray) -> np.ndarray:
    """Return uint64[n]: numbers by which rows are drawn."""
    return rows.astype(np.uint64) * _GOLDEN


def draw(rows: np.ndarray, most: int) -> list[int]:
    """Return at most so many of ascending row numbers, drawn by a seed."""
    return np.sort(_first(rows, order_by_seed(rows), most)).tolist()


def nearest(rows: np.ndarray, distance: np.ndarray, most: int) -> list[int]:
    """Return at most so many rows with the smallest distance, the nearest first; of equal ones those that `draw` would take first."""
    usable = np.isfinite(distance)
    rows, distance = rows[usable], distance[usable]
    if len(rows) > most:
        limit = np.partition(distance, most - 1)[most - 1]
        rows, distance = rows[distance <= limit], distance[distance <= limit]
    return rows[np.lexsort((order_by_seed(rows), distance))][:most].tolist()


def _first(rows: np.ndarray, keys: np.ndarray, most: int) -> np.ndarray:
    return rows if len(rows) <= most else rows[np.argpartition(keys, most - 1)[:most]]
