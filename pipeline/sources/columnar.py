"""Parquet and Arrow files as frames, with what is damaged told in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.sources.values import distinct

PROBLEM = "seimai:problem"  # the column of a table's frames that says what is wrong with a row
# What reading a damaged Parquet or Arrow file raises: a page is an OSError, a column's name a ValueError, a nested one's a panic.
DAMAGED = (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


def is_parquet(head: bytes) -> bool:
    return head.startswith(b"PAR1")


def is_arrow(head: bytes) -> bool:
    """An Arrow stream or file, as `Dataset.save_to_disk` writes them."""
    return head.startswith((b"ARROW1", b"\xff\xff\xff\xff"))


def parquet(path: Path, rows: int, with_content: int) -> Iterator[pl.DataFrame]:
    """The table in frames of `rows` rows, or `with_content` where they may hold content. Raises InputError at damage."""
    try:
        file = pq.ParquetFile(path)
        kinds = file.schema_arrow.types
        size = with_content if any(map(pa.types.is_binary, kinds)) or any(map(pa.types.is_struct, kinds)) else rows
        for group in range(file.num_row_groups):  # one at a time: a damaged one costs itself and what follows
            for batch in file.iter_batches(size, row_groups=[group]):
                yield _frame(batch)
    except DAMAGED as error:
        raise InputError(f"is not a whole Parquet file ({error})") from None


def arrow(path: Path, rows: int) -> Iterator[pl.DataFrame]:
    """The table in frames of at most `rows` rows. Raises InputError at damage."""
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
                for at in range(0, len(batch), rows):
                    yield _frame(batch.slice(at, rows))
    except DAMAGED as error:
        raise InputError(f"is not a whole Arrow file ({error})") from None


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    batch.validate(full=True)  # polars trusts offsets and UTF-8
    names = batch.schema.names
    if len(set(names)) < len(names):
        batch = batch.rename_columns(distinct_names(names))
    return pl.DataFrame(pl.from_arrow(batch))


def distinct_names(names: list[str]) -> list[str]:
    """Names of columns, the second of the same with its number."""
    return distinct(pl.Series(names, dtype=pl.String), {PROBLEM}).to_list()


def called(frame: pl.DataFrame, theirs: Mapping[str, str]) -> pl.DataFrame:
    """`frame` with its columns under the standard names that the manifest gives them. Raises InputError where one is not there."""
    if missing := [name for name in theirs if name not in frame.columns]:
        raise InputError(
            f"has no column {missing[0]!r}, which source.columns names. Its columns: {', '.join(frame.columns[:20])}"
        )
    taken = [name for name in theirs.values() if name in frame.columns and name not in theirs]
    return frame.drop(taken).rename(dict(theirs))
