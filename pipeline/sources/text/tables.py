"""Documents in tables: what Parquet and Arrow have in common.

A range is a run of rows: several row groups, one, or a stretch of a large one. Nothing is copied: a worker reads the rows of a range, and
of them the columns that are wanted, from where they are. A locator is a row's number in its file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.sources.base import CutState, Fields, Range
from pipeline.sources.formats.arrow import is_binary
from pipeline.sources.formats.columns import MISFIT, PROBLEM
from pipeline.sources.formats.table_files import Group, TableFile, fits_type, holds_scalars, holds_text
from pipeline.sources.inputs import InputFile, is_url
from pipeline.sources.pointers import hash_in_background
from pipeline.sources.rows import Rows, Spans
from pipeline.sources.text.base import METADATA, DocumentSource, pick_local
from pipeline.sources.text.columns import (
    SYNONYMS,
    Choice,
    ColumnError,
    Frozen,
    Table,
    choose_columns,
    explain_missing_column,
    freeze,
    list_columns,
    thaw,
)
from pipeline.sources.text.conversions import convert_column
from pipeline.sources.text.range_buffer import EXCERPT_BYTES

MOST_ROWS = 100_000  # in a range
_SPLIT = 2  # partitions of text in a row group from which on it is divided
_SPLIT_REMOTE = 8  # the same where each stretch of a row group means to fetch all of it


class TableSource(DocumentSource):
    """A source of documents in the rows of tables. A subclass says which files hold them: `table`."""

    table: ClassVar[type[TableFile]]
    columns: ClassVar[tuple[str, ...]] = (*SYNONYMS,)
    any_column: ClassVar[bool] = True
    keep: ClassVar[tuple[str, ...]] = ("url", "title", "date")
    groups_small_files: ClassVar[bool] = True

    def check_fields(self, files: list[InputFile], fields: Fields) -> None:
        wanted = {name: fields.columns.get(name, name) for name in fields.keep if name not in METADATA}
        missing, seen = dict(wanted), None
        for file in pick_local(files):
            try:
                table = open_table(self.table, file)
                choose_from_schema(table, fields)
            except ColumnError as error:
                raise UsageError(f"{file.url} {error}") from None
            except InputError:
                continue  # damage is told where the file is cut
            seen = seen or (file, table)
            missing = {name: column for name, column in missing.items() if column not in {*table.schema.names}}
        if seen and missing:
            file, table = seen
            column = next(iter(missing.values()))
            described = describe_table(table)
            raise explain_missing_column(file.url, column, described.names, list_columns(described))

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, None]]:
        """Cut a table into ranges of about `state.partition` bytes of text. `start` and `end` are numbers of rows."""
        hashing: AbstractContextManager[Any] = nullcontext() if is_url(file.url) else hash_in_background(file, state)
        with hashing:
            groups = self._list_groups(file, state)
            split = _SPLIT_REMOTE if is_url(file.url) else _SPLIT
            rows = sum(group.rows for group in groups)
            for start, end, size in cut_rows(groups, state.partition, split * state.partition):
                state.reached += size
                state.consumed = (file.size or 0) * end // max(rows, 1)
                if end <= state.start or state.limit is not None and state.limit <= 0:
                    continue
                limit = state.limit
                records = end - start if limit is None else min(end - start, limit)
                state.limit = None if limit is None else limit - records
                yield Range(number, start, end, size, limit=limit, records=records, format=self.name), None
            state.size = sum(group.size for group in groups)

    def cut_record(self, file: InputFile, number: int, locator: str, state: CutState) -> Iterator[tuple[Range, None]]:
        """Cut one row out of a table."""
        row = int(locator)
        yield Range(number, row, row + 1, 0, limit=1, records=1, format=self.name), None

    def _list_groups(self, file: InputFile, state: CutState) -> list[Group]:
        """Return the groups of rows of a table that can be read, and set `state.damage` where it is damaged."""
        try:
            table = open_table(self.table, file)
            groups, damage = table.groups(choose_from_schema(table, Fields(state.columns)).text)
        except InputError as error:
            groups, damage = [], str(error)
        state.damage = damage and f"{file.url} {damage}"
        return groups

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        table = open_table(self.table, file)
        try:
            choice = choose_from_schema(table, fields)
        except ColumnError as error:
            raise BuildError(f"{file.url} {error}") from None
        count = piece.end - piece.start if piece.limit is None else min(piece.end - piece.start, piece.limit)
        return make_rows(table.read(piece.start, count, choice.names), table.schema, choice, fields, piece.start)

    def warm(self) -> None:
        """There is nothing to compile."""


def make_rows(stored: pl.DataFrame, schema: pa.Schema, choice: Choice, fields: Fields, start: int = 0) -> Rows:
    """Return the chosen columns of a table as rows, the first of which is row number `start`.

    `stored`: as `TableFile.read` has them, strings as bytes and beside them why a row cannot be read. `schema`: of the table.
    """
    text = as_bytes(stored[choice.text])
    problem = pl.coalesce(stored[PROBLEM], pl.when(text.is_null()).then(pl.lit(f"no text: {choice.text!r} is null")))
    size = text.bin.size().cast(pl.Int64)
    too_long = pl.format(f"document of {{}} bytes, over source.max_document = {fields.max_document:,}", size)
    problem = pl.coalesce(problem, pl.when(size > fields.max_document).then(too_long))
    if (size > fields.max_document).any():
        text = text.zip_with((size <= fields.max_document).fill_null(True), text.bin.slice(0, EXCERPT_BYTES))  # noqa: FBT003
    columns = []
    for name, (column, kind) in choice.others.items():
        converted, misfits = convert_column(stored[column], kind)
        columns.append(converted.alias(name))
        if name in METADATA and name not in fields.columns and is_binary(schema.field(column).type):
            continue  # nobody said that these bytes are a title, say
        if misfits.null_count() < len(misfits):
            columns.append(misfits.alias(f"{MISFIT}{name}"))
    locator = pl.int_range(start, start + len(stored), eager=True).alias("locator")
    frame = pl.DataFrame([locator, *columns]).with_columns(problem=problem)
    return Rows(frame, _spans(text))


def _spans(texts: pl.Series) -> Spans:
    """Return texts, which are bytes, as spans of Arrow's buffer. Null is empty."""
    array = texts.fill_null(b"").rechunk().to_arrow()
    _, offsets, data = array.cast(pa.large_binary()).buffers()
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8) if len(array) else np.zeros(1, np.int64)
    return Spans(
        np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8), ends[:-1], ends[1:]
    )


def cut_rows(groups: list[Group], partition: int, largest: int) -> Iterator[tuple[int, int, int]]:
    """Yield the first row, the row after the last, and the bytes of text of each range of rows.

    Groups are joined up to `partition` bytes; one of more than `largest` bytes, or `MOST_ROWS`, is divided into equal stretches.
    """
    start = rows = size = 0
    for group in groups:
        if not group.rows:
            continue
        if rows and (size + group.size > partition or rows + group.rows > MOST_ROWS):
            yield start, start + rows, size
            start, rows, size = start + rows, 0, 0
        if group.size > largest or group.rows > MOST_ROWS:
            pieces = min(max(math.ceil(group.size / partition), math.ceil(group.rows / MOST_ROWS)), group.rows)
            ends = [group.rows * i // pieces for i in range(pieces + 1)]
            for first, last in zip(ends, ends[1:], strict=False):
                yield start + first, start + last, group.size * (last - first) // group.rows
            start += group.rows
        else:
            rows, size = rows + group.rows, size + group.size
    if rows:
        yield start, start + rows, size


@lru_cache(maxsize=64)
def open_table(kind: type[TableFile], file: InputFile) -> TableFile:
    """Return the table in a file; what is known of it is kept for the next range. Raises InputError where it cannot be read."""
    return kind(file)


def choose_from_schema(table: TableFile, fields: Fields) -> Choice:
    """Return which columns of a table are read. Raises ColumnError where there is none of text, or a named one is missing or unfit."""
    return _choose_frozen(table, freeze(fields))


@lru_cache(maxsize=256)
def _choose_frozen(table: TableFile, fields: Frozen) -> Choice:
    return choose_columns(describe_table(table), thaw(fields))


def describe_table(table: TableFile) -> Table:
    """Return what choosing its columns asks of a table. Columns that share a name are left out."""
    return describe_schema(table.schema)


def describe_schema(schema: pa.Schema) -> Table:
    """Return what choosing columns asks of a table with this schema."""
    counts = Counter(schema.names)
    types = {field.name: field.type for field in schema if counts[field.name] == 1}
    return Table(
        types,
        lambda name: str(types[name]),
        lambda name: holds_text(types[name]),
        lambda name: holds_scalars(types[name]),
        lambda name, kind: fits_type(types[name], kind),
        {name for name, count in counts.items() if count > 1},
    )


def as_bytes(texts: pl.Series) -> pl.Series:
    return texts if texts.dtype == pl.Binary else texts.cast(pl.String).cast(pl.Binary)
