"""JSON lines that name recordings: NeMo's (and whatever has a path and a text a line), and lhotse's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.jsonl import NOT_AN_OBJECT, parse_object
from pipeline.sources.formats.lines import peek_stored_lines, read_file_lines, read_lines, split_frames
from pipeline.sources.inputs import describe_file
from pipeline.sources.speech import columns, lhotse
from pipeline.sources.speech.lhotse import LhotseRow
from pipeline.sources.streams import Stream

BATCH = 20_000  # rows at a time
_LHOTSE_SCHEMA = {PROBLEM if name == "problem" else name: columns.SCHEMA.get(name, pl.String) for name in LhotseRow._fields}


class _PlainRow(NamedTuple):
    """A line that is not lhotse's: its object, and what is wrong with the line."""

    value: dict[str, Any]
    problem: str | None


def find_type(path: Path) -> str | None:
    """Return what the first line of a file is: lhotse's "cut", "recording" or "supervision", or a "row" that has a path."""
    value = peek_object(path)
    return None if value is None else lhotse.find_type(value) or ("row" if "path" in columns.match(value) else None)


def peek_object(path: Path) -> dict[str, Any] | None:
    """Return the object in the first line of a file, or None."""
    lines = peek_stored_lines(path)
    return parse_object(lines[0]) if lines else None


def read_manifest(
    path: Path, complete: bool, named_columns: Mapping[str, str], recordings_files: tuple[str, ...]
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a manifest in its order: standard columns, with `id`, `path` and `PROBLEM`.

    `recordings_files` are lhotse's recordings that go with supervisions; those that no supervision names are rows at the end.
    """
    recordings = {str(recording.get("id")): recording for recording in _read_recordings(recordings_files)}
    used: set[str] = set()
    for batch in split_frames(read_file_lines(path, complete), BATCH):
        rows: list[_PlainRow | LhotseRow] = []
        for line, problem in batch.select("line", PROBLEM).iter_rows():
            rows += _read_line(line, problem, recordings, used)
        for _, group in groupby(rows, type):
            yield _build_frame([*group], named_columns)
    unused = [lhotse.read_recording(recording) for key, recording in recordings.items() if key not in used]
    for start in range(0, len(unused), BATCH):
        yield _build_frame(unused[start : start + BATCH], named_columns)


def _read_line(
    line: str, problem: str | None, recordings: Mapping[str, Any], used: set[str]
) -> list[_PlainRow] | list[LhotseRow]:
    value = parse_object(line)
    if value is None:
        return [_PlainRow({}, problem or NOT_AN_OBJECT)]
    match lhotse.find_type(value):
        case "cut":
            rows = lhotse.read_cut(value)
        case "recording":
            rows = [lhotse.read_recording(value)]
        case "supervision":
            key = str(value.get("recording_id"))
            used.add(key)
            rows = [lhotse.read_supervision(value, recordings.get(key))]
        case _:
            return [_PlainRow(value, problem)]
    return [row._replace(problem=row.problem or problem) for row in rows]


def _build_frame(rows: Sequence[_PlainRow | LhotseRow], named_columns: Mapping[str, str]) -> pl.DataFrame:
    """Return rows that are all of one kind, in standard columns with `PROBLEM`."""
    plain = [row for row in rows if isinstance(row, _PlainRow)]
    if not plain:
        return pl.DataFrame(rows, schema=_LHOTSE_SCHEMA, orient="row")
    problems = pl.Series(PROBLEM, [row.problem for row in plain], pl.String)
    frame = columns.standardise_objects([row.value for row in plain], named_columns)
    return frame.with_columns(problems) if frame.width else problems.to_frame()


def _read_recordings(files: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for url in files:
        stream = Stream(describe_file(url))
        try:
            for lines in read_lines(stream.read):
                yield from (value for line in lines["line"] if (value := parse_object(line)) is not None)
        except InputError as error:
            raise InputError(f"goes with {url}, which cannot be read: {error}") from None
        finally:
            stream.close()
