"""Shards: the Parquet files that trainers read, in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.kernels import buffers, jit, mix64

_MAX_GROUP_BYTES = 1 << 30  # Arrow's plain strings end at 2 GB
_LARGEST_SHARE = 1 - 2**-53  # the largest float below 1: its 64-bit bound still fits a uint64


def name_shard(split: str, index: int, count: int) -> str:
    """Return the file name of shard `index` of `count`, such as train-00000-of-00012.parquet."""
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


@jit
def hash_strings(data, offsets):
    """Return uint64[n]: FNV-1a over the bytes of each string, then mixed. `data`, `offsets`: Arrow's buffers."""
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for i in range(len(hashes)):
        h = np.uint64(0xCBF29CE484222325)
        for j in range(offsets[i], offsets[i + 1]):
            h = (h ^ np.uint64(data[j])) * np.uint64(0x100000001B3)
        hashes[i] = mix64(h)
    return hashes


def choose_held_out(group_ids: pl.Series, share: float) -> np.ndarray:
    """Return bool[n]: which records belong to the validation split.

    A hash of the group's id decides, so records of one group (such as a cluster) are never split, and a larger share keeps what a
    smaller one chose.
    """
    return hash_strings(*buffers(group_ids)) < np.uint64(min(share, _LARGEST_SHARE) * 2**64)


class ShardWriter:
    """Write records to one Parquet file in row groups.

    Without `weight_column`, a row group has exactly `row_group` records; the last may have fewer. `weight_column` names a struct's
    field of binary values, such as "image.bytes": then a row group ends with the record that brings these to `row_group` bytes or
    more, and they are not compressed again. `dictionary_columns` hold few different values.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        row_group: int,
        weight_column: str | None,
        compression_level: int,
        dictionary_columns: list[str],
    ) -> None:
        self.schema, self.row_group, self.weight_column = schema, row_group, weight_column
        self._pending: list[pa.Table] = []
        self._pending_weight = 0
        leaves = {leaf for field in schema for leaf in _list_leaves(field)}
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression={leaf: "none" if leaf == weight_column else "zstd" for leaf in leaves},
            compression_level={leaf: compression_level for leaf in leaves if leaf != weight_column},
            use_dictionary=dictionary_columns,
            write_statistics=False,
        )

    def write(self, table: pa.Table) -> None:
        """Add records. Row groups do not depend on how the records are cut into tables."""
        ends = np.cumsum(self._weigh(table)) + self._pending_weight
        start = 0
        while len(ends) > start and ends[-1] >= self.row_group:
            end = start + int(np.searchsorted(ends[start:], self.row_group)) + 1
            self._write_group(pa.concat_tables([*self._pending, table.slice(start, end - start)]))
            self._pending, self._pending_weight = [], 0
            ends, start = ends - ends[end - 1], end
        if start < len(table):
            self._pending.append(table.slice(start))
            self._pending_weight = int(ends[-1])

    def close(self) -> None:
        """Write the last row group and the file's footer."""
        if self._pending:
            self._write_group(pa.concat_tables(self._pending))
            self._pending = []
        self._writer.close()

    def _weigh(self, table: pa.Table) -> np.ndarray:
        """Return int64[n]: what each record counts towards the size of a row group."""
        if self.weight_column is None:
            return np.ones(len(table), np.int64)
        column, _, field = self.weight_column.partition(".")
        sizes = pc.binary_length(pc.struct_field(table[column], field))
        return np.maximum(pc.fill_null(sizes, 0).to_numpy(), 1).astype(np.int64)

    def _write_group(self, table: pa.Table) -> None:
        """Write a row group, or several where it is too large for one."""
        groups = max(1, -(-table.nbytes // _MAX_GROUP_BYTES))
        size = -(-len(table) // groups)
        for start in range(0, len(table), size):
            self._writer.write_table(table.slice(start, size).cast(self.schema), row_group_size=len(table))


def _list_leaves(field: pa.Field) -> list[str]:
    """Return the names that Parquet gives to the leaf columns of a field."""
    if pa.types.is_struct(field.type):
        return [f"{field.name}.{leaf}" for child in field.type for leaf in _list_leaves(child)]
    return [f"{field.name}.list.element"] if pa.types.is_list(field.type) else [field.name]
