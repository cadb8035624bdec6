"""Shards: the Parquet files that trainers read, in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.kernels import buffers, jit, mix64

MAX_GROUP_BYTES = 96 << 20  # of text or binary values: the Hub's viewer refuses row groups of more than some hundred megabytes
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
        self._writer = pq.ParquetWriter(
            path, schema, **writer_options(schema, weight_column, compression_level, dictionary_columns)
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
        ends = np.cumsum(_count_bytes(table))
        start = 0
        while start < len(table):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + MAX_GROUP_BYTES, side="right")))
            # In one piece, since where a page ends may depend on pieces.
            group = table.slice(start, stop - start).cast(self.schema).combine_chunks()
            self._writer.write_table(group, row_group_size=len(table))
            start = stop


def writer_options(
    schema: pa.Schema, weight_column: str | None, compression_level: int, dictionary_columns: list[str]
) -> dict[str, Any]:
    """Return the options of `pq.ParquetWriter`; docs/benchmarks/shards.md has what they cost and save.

    Pages of text end where the content says so, so that storage that keeps equal chunks once, such as the Hub's, uploads little of a
    shard that changed a little. Images and recordings are long enough to be found again as they are.
    """
    leaves = {leaf: kind for field in schema for leaf, kind in _list_leaves(field)}
    return {
        "compression": {leaf: "none" if leaf == weight_column else "zstd" for leaf in leaves},
        "compression_level": {leaf: compression_level for leaf in leaves if leaf != weight_column},
        "use_dictionary": dictionary_columns,
        "use_content_defined_chunking": weight_column is None,
        "write_page_index": True,
        "write_page_checksum": True,
        # Of ids and numbers, which readers look records up by; of long values they would be as long.
        "write_statistics": [leaf for leaf, kind in leaves.items() if leaf == "id" or pa.types.is_primitive(kind)],
    }


def _count_bytes(table: pa.Table) -> np.ndarray:
    """Return int64[n]: the bytes of the text and binary values of each record. Lists, which are short, count nothing."""
    sizes = np.zeros(len(table), np.int64)
    columns = [(field.type, table[field.name]) for field in table.schema]
    while columns:
        kind, column = columns.pop()
        if pa.types.is_struct(kind):
            columns += [(child.type, pc.struct_field(column, child.name)) for child in kind]
        elif (
            pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
            or pa.types.is_binary(kind)
            or pa.types.is_large_binary(kind)
        ):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return sizes


def _list_leaves(field: pa.Field) -> list[tuple[str, pa.DataType]]:
    """Return the names that Parquet gives to the leaf columns of a field, and their types."""
    if pa.types.is_struct(field.type):
        return [(f"{field.name}.{leaf}", kind) for child in field.type for leaf, kind in _list_leaves(child)]
    if pa.types.is_list(field.type):
        return [(f"{field.name}.list.element", field.type.value_type)]
    return [(field.name, field.type)]
