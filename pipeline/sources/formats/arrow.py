"""Arrow files and streams, as `datasets` saves them, and what Parquet shares with them: Arrow tables as polars frames.

polars panics at some types and trusts what it is given, so damage is looked for here and reported as InputError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM, distinct_names

# What reading a damaged Parquet or Arrow file raises: a page is an OSError, a column's name a ValueError, a nested one's a panic.
DAMAGED = (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
ColumnChoice = Callable[[pa.Schema], Set[str]]  # names of the columns of a table that are to be read
_NOT_IN_POLARS = (
    pa.types.is_decimal256, pa.types.is_interval, pa.types.is_union, pa.types.is_run_end_encoded,
    pa.types.is_list_view, pa.types.is_large_list_view,
)  # fmt: skip


def is_arrow(head: bytes) -> bool:
    """Return whether a file that begins with `head` is an Arrow stream or file, as `Dataset.save_to_disk` writes them."""
    return head.startswith((b"ARROW1", b"\xff\xff\xff\xff"))


def readable_columns(schema: pa.Schema) -> Set[str]:
    """Return the names of the columns that polars has a type for."""
    return {field.name for field in schema if is_readable(field.type)}


def is_readable(kind: pa.DataType) -> bool:
    """Return whether polars has a type for values, or strings stand for them, as for numbers of 256 bits."""
    return is_in_polars(kind) or pa.types.is_decimal256(kind)


def read_arrow(path: Path, rows: int, choose: ColumnChoice = readable_columns) -> Iterator[pl.DataFrame]:
    """Yield the table in frames of at most `rows` rows. Columns that are not chosen are null. Raises InputError at damage."""
    try:
        with open(path, "rb") as file:
            is_file = file.read(6) == b"ARROW1"
        with pa.memory_map(str(path)) as mapped:
            if is_file:
                reader = pa.ipc.open_file(mapped)
                batches: Iterator[pa.RecordBatch] = (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                batches = iter(pa.ipc.open_stream(mapped))
            for batch in batches:
                names = batch.schema.names
                chosen = choose(batch.schema)
                table = pa.Table.from_batches([batch]).select([i for i, name in enumerate(names) if name in chosen])
                for start in range(0, len(batch), rows):
                    yield to_polars(table.slice(start, rows), names, chosen)
    except DAMAGED as error:
        raise InputError(f"is not a whole Arrow file ({error})") from None


def to_polars(table: pa.Table, names: list[str], chosen: Set[str]) -> pl.DataFrame:
    """Return the columns `names`, in their order: those that are `chosen` from `table`, the others null."""
    table.validate(full=True)  # polars trusts offsets and UTF-8
    by_name: dict[str, list[pa.ChunkedArray]] = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        by_name.setdefault(name, []).append(column)
    columns = [_to_known_type(by_name[name].pop(0), name) if name in chosen else pa.nulls(len(table)) for name in names]
    if len(set(names)) < len(names) or PROBLEM in names:
        names = distinct_names(names)
    return pl.DataFrame(pl.from_arrow(pa.Table.from_arrays(columns, names=names)))


def is_binary(kind: pa.DataType) -> bool:
    kind = storage_type(kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def storage_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that the values of a dictionary or an extension are stored in."""
    while pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind.storage_type
    return kind


def _to_known_type(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return `column` in a type that polars has: it panics at others, and prints so. Raises InputError where there is none."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if is_in_polars(column.type):
        return column
    try:
        return column.cast(pa.string())  # numbers of 256 bits
    except pa.ArrowException:
        raise InputError(f"has a column {name!r} of type {column.type}, which cannot be read") from None


def is_in_polars(kind: pa.DataType) -> bool:
    kind = storage_type(kind)
    children = (kind.field(i).type for i in range(kind.num_fields))
    return not any(is_type(kind) for is_type in _NOT_IN_POLARS) and all(map(is_in_polars, children))
