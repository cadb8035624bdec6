"""Texts and tables as Python programs have them, as the rows that a build measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.core.errors import UsageError
from pipeline.sources.base import Fields
from pipeline.sources.formats.table_files import PROBLEM, strings_to_bytes
from pipeline.sources.rows import Rows
from pipeline.sources.text.columns import ColumnError, choose_columns
from pipeline.sources.text.tables import describe_schema, make_rows

TEXT = "text"
_BATCH = 20_000  # documents that are in memory several times, as they are cleaned


def to_table(texts: Any, column: str | None = None) -> pa.Table:
    """Return texts as an Arrow table with a row for each.

    They are a string, strings, a Series (polars, pandas), an Arrow array, or a table of these libraries or a mapping of columns, whose
    other columns stay. A single column is called `column`, or "text". Raises UsageError for what holds no strings.
    """
    if isinstance(texts, pl.LazyFrame):
        texts = texts.collect()
    if isinstance(texts, pl.DataFrame):
        return texts.to_arrow()
    if isinstance(texts, pa.RecordBatch):
        return pa.Table.from_batches([texts])
    if isinstance(texts, pa.Table):
        return texts
    try:
        if isinstance(texts, Mapping):
            return pa.table(dict(texts))
        if _is_of_pandas(texts) and texts.ndim == 2:
            return pa.Table.from_pandas(texts, preserve_index=False)
        strings = _to_array(texts)
        return pa.table({column or TEXT: strings.cast(pa.large_string()) if pa.types.is_null(strings.type) else strings})
    except (pa.ArrowException, TypeError) as error:
        raise UsageError(f"expected strings or a table with a column of them: {error}") from None
    except UnicodeEncodeError as error:
        raise UsageError(f"a text holds half of a surrogate pair, which is no character: {error}") from None


def read_rows(texts: Any, fields: Fields, column: str | None = None) -> Iterator[Rows]:
    """Yield texts as the rows of a source of documents, some thousand at a time. `column`: that of the text, whatever `fields` call it.

    Raises UsageError where there is no column of text.
    """
    named = dict(fields.columns) | ({TEXT: column} if column is not None else {})
    table = to_table(texts, named.get(TEXT))
    if len(table.column_names) == 1:  # texts alone have none of the other columns that a manifest may name
        named = {name: named[name] for name in named if name == TEXT}
    fields = replace(fields, columns=named)
    try:
        choice = choose_columns(describe_schema(table.schema), fields)
    except ColumnError as error:
        sentence = str(error).partition(" Say which one it is:")[0]
        raise UsageError(f"the table {sentence} Name the column of text with column=") from None
    chosen = table.select(choice.names)
    for start in range(0, max(len(table), 1), _BATCH):
        piece = strings_to_bytes(chosen.slice(start, _BATCH))
        stored = piece.with_columns(pl.lit(None, pl.String).alias(PROBLEM)) if PROBLEM not in piece.columns else piece
        yield make_rows(stored, table.schema, choice, fields, start)


def _to_array(texts: Any) -> pa.Array | pa.ChunkedArray:
    """Return single texts or a column of them as Arrow's strings. What is none raises an error of Arrow, or TypeError."""
    if isinstance(texts, str):
        return pa.array([texts], pa.large_string())
    if isinstance(texts, pl.Series):
        return texts.to_arrow()
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return texts
    if _is_of_pandas(texts):
        return pa.Array.from_pandas(texts)
    if isinstance(texts, bytes | Set) or not isinstance(texts, Iterable):  # a set has no order, in which answers could come
        raise TypeError(f"{type(texts).__name__} is neither")
    return pa.array(list(texts), pa.large_string())


def _is_of_pandas(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas"
