"""Shards: the Parquet files that trainers read, in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.kernels import buffers, jit, mix64

_LARGEST_SLICE = 1 << 30  # bytes per row group at most: Arrow's plain strings end at 2 GB


def shard_name(split: str, index: int, count: int) -> str:
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


@jit
def hashes(data, offsets):
    """uint64[n] of strings by their bytes: FNV-1a, mixed."""
    out = np.empty(len(offsets) - 1, np.uint64)
    for i in range(len(out)):
        h = np.uint64(0xCBF29CE484222325)
        for j in range(offsets[i], offsets[i + 1]):
            h = (h ^ np.uint64(data[j])) * np.uint64(0x100000001B3)
        out[i] = mix64(h)
    return out


def held_out(cluster_ids: pl.Series, share: float) -> np.ndarray:
    """bool[n]: which records belong to the validation split, by a hash of their cluster's id (FNV-1a, 64 bits, mixed)."""
    return hashes(*buffers(cluster_ids)) < np.uint64(min(share, 1 - 2**-53) * 2**64)


class ShardWriter:
    """Writes records to one Parquet file in row groups.

    Without `weighed`, a group has exactly `row_group` records (the last may have fewer). `weighed` names a struct's field of binary
    values, as "image.bytes": then a group ends with the record that brings these to `row_group` bytes or more, and they are not
    compressed again.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, row_group: int, weighed: str | None, compression_level: int, repeated: list[str]
    ) -> None:
        self.schema, self.row_group, self.weighed = schema, row_group, weighed
        self._pending: list[pa.Table] = []
        self._pending_weight = 0
        leaves = {leaf for field in schema for leaf in _leaves(field)}
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression={leaf: "none" if leaf == weighed else "zstd" for leaf in leaves},
            compression_level={leaf: compression_level for leaf in leaves if leaf != weighed},
            use_dictionary=repeated,
            write_statistics=False,
        )

    def _weights(self, table: pa.Table) -> np.ndarray:
        if self.weighed is None:
            return np.ones(len(table), np.int64)
        column, _, field = self.weighed.partition(".")
        sizes = pc.binary_length(pc.struct_field(table[column], field))
        return np.maximum(pc.fill_null(sizes, 0).to_numpy(), 1).astype(np.int64)

    def write(self, table: pa.Table) -> None:
        weights = self._weights(table)
        ends = np.cumsum(weights) + self._pending_weight
        at = 0
        while len(ends) > at and ends[-1] >= self.row_group:
            end = at + int(np.searchsorted(ends[at:], self.row_group)) + 1
            self._flush(pa.concat_tables([*self._pending, table.slice(at, end - at)]))
            self._pending, self._pending_weight = [], 0
            ends, at = ends - ends[end - 1], end
        if at < len(table):
            self._pending.append(table.slice(at))
            self._pending_weight = int(ends[-1])

    def _flush(self, table: pa.Table) -> None:
        steps = max(1, -(-table.nbytes // _LARGEST_SLICE))
        size = -(-len(table) // steps)
        for at in range(0, len(table), size):
            self._writer.write_table(table.slice(at, size).cast(self.schema), row_group_size=len(table))

    def close(self) -> None:
        if self._pending:
            self._flush(pa.concat_tables(self._pending))
            self._pending = []
        self._writer.close()


def _leaves(field: pa.Field) -> list[str]:
    """Names of the leaf columns of a field, as Parquet has them."""
    if pa.types.is_struct(field.type):
        return [f"{field.name}.{leaf}" for child in field.type for leaf in _leaves(child)]
    return [f"{field.name}.list.element"] if pa.types.is_list(field.type) else [field.name]
