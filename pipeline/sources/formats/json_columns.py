"""Columns of many lines of JSON at once.

pyarrow's reader does the work, a few megabytes at a time, where every line is an object and nothing in them is unusual. It is stricter than
Python's `json` in nearly everything: where it refuses, or where it is known to be more lenient (several values in a line, `Inf`), the
lines are read one by one as `json_values` says. The values are the same either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json as pj

from filters.kernels import jit
from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.json_values import DEEPEST, LineError, parse_line
from pipeline.sources.rows import Spans
from pipeline.sources.values import decode_text

EXCERPT_BYTES = 4096  # kept of a line that cannot be read, for the ledger's excerpt
_ODD_CONSTANTS = r"-NaN|Inf[\s,\]}]"  # -NaN and Inf are numbers to pyarrow, but not to Python
_CHUNK = 4 << 20  # bytes; a broken line makes the others in its chunk slower


def parse_lines(raw: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the values of the keys `text` and `wanted` in lines of JSON objects, under these names, and `PROBLEM`.

    `text` must be a string in every record, and `wanted` fit their types; else the line has a problem, and `text` is its beginning.
    Missing keys and null are null.
    """
    wanted = {name: kind for name, kind in wanted.items() if name != text}
    frames = [_parse_chunk(Spans(raw.data, raw.starts[a:b], raw.ends[a:b]), text, wanted) for a, b in _cut_chunks(raw)]
    return pl.concat(frames) if frames else _build_frame([], text, wanted)


def _cut_chunks(raw: Spans) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the first line of every chunk, and of the first beyond it."""
    first = 0
    while first < len(raw.starts):
        last = max(int(np.searchsorted(raw.ends, raw.starts[first] + _CHUNK, side="right")), first + 1)
        yield first, last
        first = last


def _parse_chunk(lines: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame:
    frame = _parse_quickly(lines, text, wanted)
    if frame is None:
        return _parse_exactly(lines, text, wanted)
    if not frame[text].null_count():
        return frame
    nulls = frame[text].is_null().to_numpy()
    explained = _parse_exactly(Spans(lines.data, lines.starts[nulls], lines.ends[nulls]), text, wanted)
    rows = np.flatnonzero(nulls)
    return frame.with_columns(frame[name].scatter(rows, explained[name]) for name in (text, PROBLEM, *wanted))


def _parse_quickly(lines: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    """Return the frame of lines in which nothing is unusual, else None."""
    if not are_objects(*lines, DEEPEST):
        return None
    body = lines.data[lines.starts[0] : lines.ends[-1]]
    stored = body.tobytes()
    if not _is_plain(stored):
        return None
    types = {text: pa.string(), **{name: _stored_type(kind) for name, kind in wanted.items()}}
    try:
        table = pj.read_json(
            pa.BufferReader(stored),
            pj.ReadOptions(use_threads=False, block_size=len(stored) + 1),
            pj.ParseOptions(explicit_schema=pa.schema([*types.items()]), unexpected_field_behavior="ignore"),
        )
        if len(table) != len(lines.starts):
            return None
        frame = pl.DataFrame(pl.from_arrow(table.select([*types])))
        if any(frame[name].is_infinite().any() for name, kind in wanted.items() if kind.is_float()):
            return None
        return frame.with_columns(
            *(pl.col(name).cast(kind) for name, kind in wanted.items() if frame[name].dtype != kind),
            pl.lit(None, pl.String).alias(PROBLEM),
        )
    except (pa.ArrowInvalid, pl.exceptions.PolarsError):
        return None


def _stored_type(kind: pl.DataType) -> pa.DataType:
    if kind.is_integer():
        return pa.int64()
    return pa.bool_() if kind == pl.Boolean else pa.float64() if kind.is_float() else pa.string()


def _is_plain(stored: bytes) -> bool:
    """Return whether bytes are UTF-8, and have no number that pyarrow alone takes for one. polars searches ten times as fast as `re`."""
    try:
        text = pl.Series([stored], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return not text.str.contains(_ODD_CONSTANTS)[0]


def _parse_exactly(lines: Spans, text: str, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the frame of lines of any kind, read one by one."""
    rows = []
    for start, end in zip(lines.starts.tolist(), lines.ends.tolist(), strict=True):
        line = lines.data[start:end].tobytes()
        try:
            rows.append(parse_line(line, text, wanted))
        except LineError as error:
            rows.append({text: decode_text(line[:EXCERPT_BYTES], text)[0], PROBLEM: str(error)})
    return _build_frame(rows, text, wanted)


def _build_frame(rows: list[dict[str, object]], text: str, wanted: Mapping[str, pl.DataType]) -> pl.DataFrame:
    schema = {text: pl.String(), **wanted, PROBLEM: pl.String()}
    return pl.DataFrame([pl.Series(name, [row.get(name) for row in rows], kind) for name, kind in schema.items()])


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
