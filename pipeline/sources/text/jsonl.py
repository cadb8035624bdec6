"""JSON lines: a document is an object in a line. C4 and mC4 (`text`, `timestamp`, `url`), and anybody's.

The columns are known by their usual names, as the first lines have them; `source.columns` names others. A line that is no object, or has
no text, is one unreadable record.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
import polars as pl

from filters.kernels import buffers
from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import CutState, Fields, Range
from pipeline.sources.formats.columns import MISFIT, PROBLEM
from pipeline.sources.formats.json_columns import are_objects, has_odd_numbers, parse_texts
from pipeline.sources.formats.json_values import DEEPEST, name_type
from pipeline.sources.inputs import InputFile
from pipeline.sources.rows import Rows, Spans
from pipeline.sources.streams import Stream
from pipeline.sources.text.base import METADATA, TextSource, pick_local
from pipeline.sources.text.columns import (
    SYNONYMS,
    Choice,
    Column,
    ColumnError,
    Frozen,
    Table,
    choose_columns,
    explain_missing_column,
    freeze,
    list_columns,
    thaw,
)
from pipeline.sources.text.dividers import LINES, Divider
from pipeline.sources.text.sniffing import HEAD_BYTES

_MOST_LINES = 100  # that tell which keys there are
_LONGEST_FIRST_LINE = 16 << 20  # bytes that are read for the columns, where the head has no whole line


class JsonlSource(TextSource):
    """JSON objects, one in each line."""

    name: ClassVar[str] = "jsonl"
    label: ClassVar[str] = "JSON lines"
    divider: ClassVar[Divider] = LINES
    columns: ClassVar[tuple[str, ...]] = (*SYNONYMS,)
    any_column: ClassVar[bool] = True
    keep: ClassVar[tuple[str, ...]] = ("url", "title", "date")

    def check_fields(self, files: list[InputFile], fields: Fields) -> None:
        local = pick_local(files)
        for file in local:
            try:
                check_keys(file, fields)
            except ColumnError as error:
                raise UsageError(f"{file.url} {error}") from None
        _refuse_misspelt(local, fields)

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, bytes | None]]:
        try:
            check_keys(file, Fields(state.columns))
        except ColumnError as error:
            state.damage = f"{file.url} {error}"
            return
        yield from super().cut(file, number, state)

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        if piece.problem is not None:
            piece = replace(piece, problem=f"line {piece.line}: {piece.problem}")
        choice = choose_keys(file, freeze(fields))
        return super().read(
            piece, file, body, Fields({"text": choice.text, **{n: c.name for n, c in choice.others.items()}}, fields.keep)
        )

    def parse_rows(self, frame: pl.DataFrame, raw: Spans, piece: Range, fields: Fields) -> Rows:
        """Return the rows of a range of lines; `fields.columns` has the key of each value that is wanted."""
        text = fields.columns["text"]
        kinds = {name: fields.keep.get(name, pl.String()) for name in fields.columns if name != "text"}
        # A key that is wanted twice is read as the number, which can be written out as a string.
        by_key = {fields.columns[name]: kind for name, kind in sorted(kinds.items(), key=lambda item: item[1] != pl.String)}
        parsed = parse_texts(raw, text, by_key)
        problems = parsed.frame[PROBLEM]
        if problems.null_count() < len(problems):
            problems = _add_line_numbers(problems, raw, piece.line or 1)
        values = {
            name: parsed.frame[key] if key != text else pl.Series(parsed.text)
            for name, key in fields.columns.items()
            if name != "text"
        }
        others = [values[name].cast(kind, strict=False).alias(name) for name, kind in kinds.items()]
        misfits = [
            parsed.frame[f"{MISFIT}{key}"].alias(f"{MISFIT}{name}")
            for name, key in fields.columns.items()
            if f"{MISFIT}{key}" in parsed.frame.columns
        ]
        data, offsets = buffers(parsed.text)
        columns = [frame["locator"], problems.alias("problem"), *others, *misfits]
        return Rows(pl.DataFrame(columns), Spans(data, offsets[:-1], offsets[1:]))

    def warm(self) -> None:
        super().warm()
        data = np.frombuffer(b"{}", np.uint8)
        are_objects(data, np.array([0]), np.array([2]), DEEPEST)
        has_odd_numbers(data)


def _refuse_misspelt(files: list[InputFile], fields: Fields) -> None:
    """Raise MissingColumnError where a key that `source.keep` names is in no line that was looked at, but one much like it is.

    Keys may be rare: what is like none of those that were seen may come later.
    """
    seen = {key: kinds for file in files for key, kinds in (peek_keys(file) or {}).items()}
    for name in fields.keep:
        column = fields.columns.get(name, name)
        if seen and name not in METADATA and column not in seen and difflib.get_close_matches(column, seen, 1):
            raise explain_missing_column(files[0].url, column, seen, list_columns(_describe_keys(seen)))


def _add_line_numbers(problems: pl.Series, raw: Spans, first: int) -> pl.Series:
    line_ends = np.flatnonzero(raw.data == 10)
    numbers = pl.Series(first + np.searchsorted(line_ends, raw.starts))
    return pl.select(pl.when(problems.is_not_null()).then(pl.format("line {}: {}", numbers, problems))).to_series()


# -- which keys are read


@lru_cache(maxsize=256)
def choose_keys(file: InputFile, frozen: Frozen) -> Choice:
    """Return the keys that are read of a file of JSON lines; `frozen` are `Fields` that can be hashed. Raises ColumnError.

    Other lines may have keys that the first ones lack: metadata is looked for under its standard name, and what is kept under its own.
    """
    fields = thaw(frozen)
    kinds = peek_keys(file)
    mapped = {name: fields.columns.get(name, name) for name in [*METADATA, *fields.keep]}
    fallback = {name: Column(column, fields.keep.get(name, pl.String())) for name, column in mapped.items()}
    if kinds is None:  # every line is broken, which is a matter of records
        return Choice(fields.columns.get("text", "text"), fallback)

    choice = choose_columns(_describe_keys(kinds), fields)
    return Choice(choice.text, fallback | choice.others)


def _describe_keys(kinds: dict[str, list[str]]) -> Table:
    """Return what is known of keys, by the types of the values that were seen."""

    def holds_text(key: str) -> bool:
        return "a string" in kinds[key] or kinds[key] == ["null"]

    return Table(kinds, lambda key: " or ".join(kinds[key]), holds_text, lambda key: True, lambda key, kind: True)


@lru_cache(maxsize=256)
def peek_keys(file: InputFile) -> dict[str, list[str]] | None:
    """Return the keys in the first lines of a file with the types of their values; None where no line is an object."""
    stream, head = Stream(file), b""
    try:
        while len(head) < HEAD_BYTES or b"\n" not in head and len(head) < _LONGEST_FIRST_LINE:
            block = stream.read(HEAD_BYTES)
            if not block:
                break
            head += block
    except InputError:
        pass  # damage is told where the file is cut
    finally:
        stream.close()
    kinds: dict[str, dict[str, None]] | None = None
    for line in head.split(b"\n", _MOST_LINES)[:_MOST_LINES]:
        try:
            value = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            kinds = {} if kinds is None else kinds
            for key, one in value.items():
                kinds.setdefault(key, {})[name_type(one)] = None
    return None if kinds is None else {key: [*names] for key, names in kinds.items()}


def check_keys(file: InputFile, fields: Fields) -> None:
    """Raise ColumnError where a file of JSON lines has no key of text, or lacks one that the manifest names."""
    choose_keys(file, freeze(fields))
