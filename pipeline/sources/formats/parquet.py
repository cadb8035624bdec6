"""Parquet files as polars frames, and Arrow files where a corpus may come in either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError
from pipeline.core.tables import open_parquet
from pipeline.sources.formats.arrow import DAMAGED, ColumnChoice, is_arrow, is_binary, read_arrow, readable_columns, to_polars


def is_parquet(head: bytes) -> bool:
    """Return whether a file that begins with `head` is Parquet."""
    return head.startswith(b"PAR1")


def read_parquet(
    path: Path, rows: int, rows_with_content: int, choose: ColumnChoice = readable_columns
) -> Iterator[pl.DataFrame]:
    """Yield the table in frames of `rows` rows, or of `rows_with_content` where columns may hold images or recordings.

    Columns that are not chosen are null. Raises InputError at damage.
    """
    try:
        file = open_parquet(path)
        schema = file.schema_arrow
        chosen = choose(schema)
        types = [field.type for field in schema if field.name in chosen]
        size = rows_with_content if any(is_binary(kind) or pa.types.is_struct(kind) for kind in types) else rows
        for group in range(file.num_row_groups):  # one at a time: a damaged one costs itself and what follows
            for batch in file.iter_batches(size, row_groups=[group], columns=[*chosen]):
                yield to_polars(pa.Table.from_batches([batch]), schema.names, chosen)
    except DAMAGED as error:
        raise InputError(f"is not a whole Parquet file ({error})") from None


def read_whole_parquet(path: Path, choose: ColumnChoice) -> pl.DataFrame:
    """Return the table in one frame. Columns that are not chosen are null. Raises InputError at damage."""
    try:
        file = open_parquet(path)
        chosen = choose(file.schema_arrow)
        return to_polars(file.read(columns=[*chosen]), file.schema_arrow.names, chosen)
    except DAMAGED as error:
        raise InputError(f"is not a whole Parquet file ({error})") from None


def read_parquet_or_arrow(
    path: Path, rows: int, rows_with_content: int, choose: ColumnChoice = readable_columns
) -> Iterator[pl.DataFrame] | None:
    """Return the frames of a file by what its first bytes say; None where it is neither Parquet nor Arrow."""
    with open(path, "rb") as file:
        head = file.read(8)
    if is_parquet(head):
        return read_parquet(path, rows, rows_with_content, choose)
    return read_arrow(path, rows_with_content, choose) if is_arrow(head) else None
