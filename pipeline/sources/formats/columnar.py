"""Parquet and Arrow files as frames, with what is damaged told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputError
from pipeline.sources.values import distinct

PROBLEM = "seimai:problem"  # the column of a table's frames that says what is wrong with a row
# What reading a damaged Parquet or Arrow file raises: a page is an OSError, a column's name a ValueError, a nested one's a panic.
DAMAGED = (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
Needed = Callable[[pa.Schema], Set[str]]  # names of the columns of a table that are to be read
_UNKNOWN = (
    pa.types.is_decimal256, pa.types.is_interval, pa.types.is_union, pa.types.is_run_end_encoded,
    pa.types.is_list_view, pa.types.is_large_list_view,
)  # fmt: skip


def is_parquet(head: bytes) -> bool:
    return head.startswith(b"PAR1")


def is_arrow(head: bytes) -> bool:
    """An Arrow stream or file, as `Dataset.save_to_disk` writes them."""
    return head.startswith((b"ARROW1", b"\xff\xff\xff\xff"))


def readable(schema: pa.Schema) -> Set[str]:
    """Names of the columns that polars has a type for."""
    return {field.name for field in schema if _is_known(field.type) or pa.types.is_decimal256(field.type)}


def parquet(path: Path, rows: int, with_content: int, needed: Needed = readable) -> Iterator[pl.DataFrame]:
    """The table in frames of `rows` rows, or `with_content` where they may hold content. Raises InputError at damage.

    Columns that are not `needed` have their names and nothing else.
    """
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        chosen = needed(schema)
        kinds = [field.type for field in schema if field.name in chosen]
        size = with_content if any(is_binary(kind) or pa.types.is_struct(kind) for kind in kinds) else rows
        for group in range(file.num_row_groups):  # one at a time: a damaged one costs itself and what follows
            for batch in file.iter_batches(size, row_groups=[group], columns=[*chosen]):
                yield _frame(pa.Table.from_batches([batch]), schema.names, chosen)
    except DAMAGED as error:
        raise InputError(f"is not a whole Parquet file ({error})") from None


def whole_parquet(path: Path, needed: Needed) -> pl.DataFrame:
    """The table in one frame, as `parquet` gives it. Raises InputError at damage."""
    try:
        file = pq.ParquetFile(path)
        chosen = needed(file.schema_arrow)
        return _frame(file.read(columns=[*chosen]), file.schema_arrow.names, chosen)
    except DAMAGED as error:
        raise InputError(f"is not a whole Parquet file ({error})") from None


def arrow(path: Path, rows: int, needed: Needed = readable) -> Iterator[pl.DataFrame]:
    """The table in frames of at most `rows` rows, with columns as `parquet` gives them. Raises InputError at damage."""
    try:
        with open(path, "rb") as file:
            of_file = file.read(6) == b"ARROW1"
        with pa.memory_map(str(path)) as mapped:
            if of_file:
                reader = pa.ipc.open_file(mapped)
                batches: Iterator[pa.RecordBatch] = (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                batches = iter(pa.ipc.open_stream(mapped))
            for batch in batches:
                names = batch.schema.names
                chosen = needed(batch.schema)
                table = pa.Table.from_batches([batch]).select([i for i, name in enumerate(names) if name in chosen])
                for at in range(0, len(batch), rows):
                    yield _frame(table.slice(at, rows), names, chosen)
    except DAMAGED as error:
        raise InputError(f"is not a whole Arrow file ({error})") from None


def _frame(table: pa.Table, names: list[str], chosen: Set[str]) -> pl.DataFrame:
    """`table` with the columns of `names`, null where they are not `chosen`."""
    table.validate(full=True)  # polars trusts offsets and UTF-8
    waiting: dict[str, list[pa.ChunkedArray]] = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        waiting.setdefault(name, []).append(column)
    columns = [_readable(waiting[name].pop(0), name) if name in chosen else pa.nulls(len(table)) for name in names]
    if len(set(names)) < len(names) or PROBLEM in names:
        names = distinct_names(names)
    return pl.DataFrame(pl.from_arrow(pa.Table.from_arrays(columns, names=names)))


def is_binary(kind: pa.DataType) -> bool:
    kind = _stored(kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _stored(kind: pa.DataType) -> pa.DataType:
    """What values of a type are in the end, whatever they are called or referred to by."""
    while pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind.storage_type
    return kind


def _readable(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """`column` in a type that polars has: at others it panics, and says so on stderr. Raises InputError where there is none."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if _is_known(column.type):
        return column
    try:
        return column.cast(pa.string())  # numbers of 256 bits
    except pa.ArrowException:
        raise InputError(f"has a column {name!r} of type {column.type}, which cannot be read") from None


def _is_known(kind: pa.DataType) -> bool:
    kind = _stored(kind)
    return not any(unknown(kind) for unknown in _UNKNOWN) and all(_is_known(kind.field(i).type) for i in range(kind.num_fields))


def distinct_names(names: list[str]) -> list[str]:
    """Names of columns, the second of the same with its number; `PROBLEM` is taken."""
    return distinct(pl.Series(names, dtype=pl.String), {PROBLEM}).to_list()


def called(frame: pl.DataFrame, theirs: Mapping[str, str]) -> pl.DataFrame:
    """`frame` with its columns under the standard names that the manifest gives them. Raises InputError where one is not there."""
    if missing := [name for name in theirs if name not in frame.columns]:
        raise no_column(missing[0], frame.columns)
    taken = [name for name in theirs.values() if name in frame.columns and name not in theirs]
    return frame.drop(taken).rename(dict(theirs))


def no_column(name: str, there: list[str]) -> InputError:
    return InputError(f"has no column {name!r}, which source.columns names. Its columns: {', '.join(there[:20])}")
