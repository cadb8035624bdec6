"""Shards: the Parquet files that trainers read, in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from filters.kernels import buffers, jit, mix64

TEXT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("license", pa.string()),
        pa.field("language", pa.string()),
        pa.field("language_score", pa.float32()),
        pa.field("chars", pa.int32()),
        pa.field("cluster_size", pa.uint32()),
    ]
)
_LARGEST_SLICE = 1 << 30  # bytes of text per row group at most: Arrow's plain strings end at 2 GB


def shard_name(split: str, index: int, count: int) -> str:
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


@jit
def _hashes(data, offsets):
    out = np.empty(len(offsets) - 1, np.uint64)
    for i in range(len(out)):
        h = np.uint64(0xCBF29CE484222325)
        for j in range(offsets[i], offsets[i + 1]):
            h = (h ^ np.uint64(data[j])) * np.uint64(0x100000001B3)
        out[i] = mix64(h)
    return out


def held_out(cluster_ids: pl.Series, share: float) -> np.ndarray:
    """bool[n]: which records belong to the validation split, by a hash of their cluster's id (FNV-1a, 64 bits, mixed)."""
    return _hashes(*buffers(cluster_ids)) < np.uint64(min(share, 1 - 2**-53) * 2**64)


class ShardWriter:
    """Writes records to one Parquet file in row groups of exactly `row_group` records (the last may be smaller)."""

    def __init__(
        self, path: Path, schema: pa.Schema, row_group: int, compression_level: int, strings_with_dictionary: list[str]
    ) -> None:
        self.schema, self.row_group, self.rows = schema, row_group, 0
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=compression_level,
            use_dictionary=strings_with_dictionary,
            write_statistics=False,
        )

    def write(self, table: pa.Table) -> None:
        self._pending.append(table)
        self._pending_rows += len(table)
        self.rows += len(table)
        if self._pending_rows >= self.row_group:
            whole = pa.concat_tables(self._pending)
            keep = len(whole) - len(whole) % self.row_group
            self._flush(whole.slice(0, keep))
            self._pending = [whole.slice(keep)]
            self._pending_rows = len(whole) - keep

    def _flush(self, table: pa.Table) -> None:
        for start in range(0, len(table), self.row_group):
            piece = table.slice(start, self.row_group)
            steps = max(1, -(-piece.nbytes // _LARGEST_SLICE))
            size = -(-len(piece) // steps)
            for at in range(0, len(piece), size):
                self._writer.write_table(piece.slice(at, size).cast(self.schema), row_group_size=self.row_group)

    def close(self) -> None:
        if self._pending_rows:
            self._flush(pa.concat_tables(self._pending))
            self._pending, self._pending_rows = [], 0
        self._writer.close()
