"""Columns of many lines of JSON at once.

pyarrow's reader does the work, all lines at once or a few megabytes of them, where every line is an object and nothing is unusual. It is
stricter than Python's `json` in nearly everything: where it refuses, or is known to be more lenient (several values in a line, `Inf`), the
lines are read one by one as `json_values` says. The values are the same either way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from filters.kernels import jit
from pipeline.sources.formats.columns import MISFIT, PROBLEM
from pipeline.sources.formats.json_values import DEEPEST, LineError, parse_line
from pipeline.sources.rows import Spans
from pipeline.sources.values import decode_text

EXCERPT_BYTES = 4096  # kept of a line that cannot be read, for the ledger's excerpt
_CHUNK = 2 << 20  # bytes; a broken line makes the others in its chunk slower


class ParsedLines(NamedTuple):
    """What lines say: the texts as an Arrow column, and a frame with the other values and `PROBLEM`.

    Where values of a key do not fit its type, the frame has them, as they are shown, in a column of its name after `MISFIT`.
    """

    text: pa.Array | pa.ChunkedArray
    frame: pl.DataFrame


def parse_lines(raw: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return what `parse_texts` does as one frame, the texts under their key."""
    parsed = parse_texts(raw, text, wanted)
    return pl.DataFrame([pl.Series(text, parsed.text), *parsed.frame])


def parse_texts(raw: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> ParsedLines:
    """Return the values of the keys `text` and `wanted` in lines of JSON objects, under these names, and `PROBLEM`.

    `text` must be a string in every record; else the line has a problem, and its text is its beginning; of an object that has no such
    text the other values are there. Missing keys, null and values of `wanted` that do not fit their types are null.
    """
    wanted = {name: kind for name, kind in wanted.items() if name != text}
    if not len(raw.starts):
        return _parse_exactly(raw, text, wanted)
    at_once = _parse_quickly(raw, text, wanted)
    if at_once is not None:
        return _explain_nulls(at_once, raw, text, wanted)
    parsed = []
    for first, last in _cut_chunks(raw):
        lines = Spans(raw.data, raw.starts[first:last], raw.ends[first:last])
        quick = _parse_quickly(lines, text, wanted)
        parsed.append(_parse_exactly(lines, text, wanted) if quick is None else _explain_nulls(quick, lines, text, wanted))
    return _join(parsed)


def _join(parsed: list[ParsedLines]) -> ParsedLines:
    columns = [one.text for one in parsed]
    chunks = [chunk for column in columns for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])]
    return ParsedLines(pa.chunked_array(chunks, pa.large_string()), pl.concat([one.frame for one in parsed], how="diagonal"))


def _cut_chunks(raw: Spans) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the first line of every chunk, and of the first beyond it."""
    first = 0
    while first < len(raw.starts):
        last = max(int(np.searchsorted(raw.ends, raw.starts[first] + _CHUNK, side="right")), first + 1)
        yield first, last
        first = last


def _explain_nulls(parsed: ParsedLines, lines: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> ParsedLines:
    """Return lines with the reasons why some have no text."""
    if not parsed.text.null_count:
        return parsed
    nulls = np.asarray(parsed.text.is_null())
    explained = _parse_exactly(Spans(lines.data, lines.starts[nulls], lines.ends[nulls]), text, wanted)
    rows = np.flatnonzero(nulls)
    blank = pl.Series([None], dtype=pl.String).new_from_index(0, len(parsed.frame))
    frame = parsed.frame.with_columns(
        (parsed.frame[name] if name in parsed.frame.columns else blank.alias(name)).scatter(rows, explained.frame[name])
        for name in explained.frame.columns
    )
    return ParsedLines(pc.replace_with_mask(parsed.text, pa.array(nulls), explained.text), frame)


def _parse_quickly(lines: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> ParsedLines | None:
    """Return what lines say in which nothing is unusual, else None."""
    body = lines.data[lines.starts[0] : lines.ends[-1]]
    if not are_objects(*lines, DEEPEST) or has_odd_numbers(body):
        return None
    raw = body.tobytes()
    if not _is_utf8(raw):
        return None
    first = raw[: int(lines.ends[0] - lines.starts[0])]
    types = {text: pa.string(), **{name: _stored_type(kind) for name, kind in _guess_kinds(first, wanted).items()}}
    try:
        table = pj.read_json(
            pa.BufferReader(raw),
            pj.ReadOptions(use_threads=False, block_size=len(raw) + 1),
            pj.ParseOptions(explicit_schema=pa.schema([*types.items()]), unexpected_field_behavior="ignore"),
        )
        if len(table) != len(lines.starts):
            return None
        frame = pl.DataFrame(pl.from_arrow(table.select([*wanted]))) if wanted else pl.DataFrame(height=len(table))
        if any(frame[name].is_infinite().any() for name, kind in wanted.items() if kind.is_float()):
            return None
        columns = [frame[name] if frame[name].dtype == kind else frame[name].cast(kind) for name, kind in wanted.items()]
        problem = pl.Series(PROBLEM, [None], pl.String).new_from_index(0, len(table))
        return ParsedLines(table[text].cast(pa.large_string()).combine_chunks(), pl.DataFrame([*columns, problem]))
    except (pa.ArrowInvalid, pl.exceptions.PolarsError):
        return None


def _guess_kinds(line: bytes, wanted: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return the kinds of columns as the first line has them: what is wanted as strings may be integers or booleans throughout."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = {}
    guesses = {bool: pl.Boolean(), int: pl.Int64()}
    return {name: guesses.get(type(value.get(name)), kind) if kind == pl.String else kind for name, kind in wanted.items()}


def _stored_type(kind: pl.DataType) -> pa.DataType:
    if kind.is_integer():
        return pa.int64()
    return pa.bool_() if kind == pl.Boolean else pa.float64() if kind.is_float() else pa.string()


def _is_utf8(stored: bytes) -> bool:
    try:
        pl.Series([stored], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True


def _parse_exactly(lines: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> ParsedLines:
    """Return what lines of any kind say, read one by one."""
    rows: list[dict[str, object]] = []
    for start, end in zip(lines.starts.tolist(), lines.ends.tolist(), strict=True):
        line = lines.data[start:end].tobytes()
        try:
            rows.append(parse_line(line, text, wanted))
        except LineError as error:
            rows.append({**error.values, text: decode_text(line[:EXCERPT_BYTES], text)[0], PROBLEM: str(error)})
    misfits = dict.fromkeys(name for row in rows for name in row if name.startswith(MISFIT))
    kinds = {**wanted, PROBLEM: pl.String(), **dict.fromkeys(misfits, pl.String())}
    frame = pl.DataFrame([pl.Series(name, [row.get(name) for row in rows], kind) for name, kind in kinds.items()])
    return ParsedLines(pa.array([row[text] for row in rows], pa.large_string()), frame)


@jit
def are_objects(data, starts, ends, deepest):
    """Return whether every line begins and ends as an object does, and none is nested in more than `deepest` levels."""
    for k in range(len(starts)):
        start, end = starts[k], ends[k]
        while end > start and (data[end - 1] == 32 or data[end - 1] == 9 or data[end - 1] == 13):
            end -= 1
        while start < end and (data[start] == 32 or data[start] == 9 or data[start] == 13):
            start += 1
        if end - start < 2 or data[start] != 123 or data[end - 1] != 125:
            return False
        brackets = 0
        for i in range(start, end):
            brackets += (data[i] == 91) | (data[i] == 123)
        if brackets <= deepest:
            continue
        depth = 0
        in_string = False
        i = start
        while i < end:
            c = data[i]
            if in_string:
                if c == 92:
                    i += 1
                elif c == 34:
                    in_string = False
            elif c == 34:
                in_string = True
            elif c == 91 or c == 123:
                depth += 1
                if depth > deepest:
                    return False
            elif c == 93 or c == 125:
                depth -= 1
            i += 1
    return True


@jit
def has_odd_numbers(data):
    """Return whether -NaN or Inf may stand for a number somewhere: pyarrow takes them for one, and Python does not."""
    for i in range(len(data) - 3):
        if data[i] == 73:
            after = data[i + 3]
            if data[i + 1] == 110 and data[i + 2] == 102 and (after <= 32 or after == 44 or after == 93 or after == 125):
                return True
        elif data[i] == 45 and data[i + 1] == 78 and data[i + 2] == 97 and data[i + 3] == 78:
            return True
    return False
