"""JSON lines that name recordings: NeMo's (and whatever has a path and a text a line), and lhotse's cuts, supervisions and recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columnar import PROBLEM
from pipeline.sources.inputs import resolve
from pipeline.sources.speech import rows
from pipeline.sources.speech.lines import beginning, lines, lines_of
from pipeline.sources.streams import Stream
from pipeline.sources.values import scalars

BATCH = 20_000  # rows at a time
_FIELDS = {
    "id": pl.String, "path": pl.String, "transcript": pl.String, "speaker": pl.String, "programme": pl.String,
    "start": pl.Float64, "end": pl.Float64, "duration": pl.Float64, PROBLEM: pl.String,
}  # fmt: skip
_CUTS = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut", "DataCut")


def kind(value: Any) -> str | None:
    """What a line of JSON is: a cut, a supervision, a recording, or a row that has a path."""
    if not isinstance(value, dict):
        return None
    if value.get("type") in _CUTS or isinstance(value.get("recording"), dict):
        return "cut"
    if isinstance(value.get("sources"), list):
        return "recording"
    if isinstance(value.get("recording_id"), str):
        return "supervision"
    return "row" if "path" in rows.matched([*value]) else None


def kind_of(path: Path) -> str | None:
    """`kind` of the first line of a file."""
    found = beginning(path)[:1]
    return kind(_value(found[0])) if found and found[0].lstrip().startswith("{") else None


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def frames(path: Path, whole: bool, columns: Mapping[str, str], beside: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """The rows of a manifest, in its order: standard columns, with `id`, `path` and `PROBLEM`. `beside`: lhotse's recordings."""
    recordings = {str(r.get("id")): r for r in _recordings(beside)}
    used: set[str] = set()
    for frame in lines_of(path, whole):
        for at in range(0, len(frame), BATCH):
            piece = frame[at : at + BATCH]
            values = [_value(line) for line in piece["line"]]
            found: list[pl.DataFrame] = []
            plain: list[dict[str, Any]] = []
            odd: list[dict[str, Any]] = []
            for value, problem in zip(values, piece["problem"], strict=True):
                sort = kind(value)
                listed = _listed(sort, value, recordings, used)
                if (listed is None and odd) or (listed is not None and plain):  # in the manifest's order
                    found += _tables(plain, odd, columns)
                    plain, odd = [], []
                if listed is None:
                    plain.append((value if isinstance(value, dict) else {}) | {PROBLEM: _wrong(value, problem)})
                else:
                    odd += [row | {PROBLEM: row.get(PROBLEM) or problem} for row in listed]
            yield from found + _tables(plain, odd, columns)
    left = [row for key, r in recordings.items() if key not in used for row in _of_recording(r)]
    for at in range(0, len(left), BATCH):
        yield from _tables([], left[at : at + BATCH], columns)


def _wrong(value: Any, problem: str | None) -> str | None:
    return problem or (None if isinstance(value, dict) else "the line is not a JSON object")


def _tables(plain: list[dict[str, Any]], odd: list[dict[str, Any]], columns: Mapping[str, str]) -> list[pl.DataFrame]:
    found = []
    if plain:
        problems = pl.Series(PROBLEM, [row.pop(PROBLEM) for row in plain], pl.String)
        table = rows.from_objects(plain, columns)
        found.append(table.with_columns(problems) if table.width else problems.to_frame())
    if odd:
        columns_of = {name: [row.get(name) for row in odd] for name in _FIELDS}
        found.append(pl.DataFrame(columns_of, schema=_FIELDS))
    return found


def _recordings(places: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for place in places:
        stream = Stream(resolve([place])[0])
        try:
            for frame in lines(stream.read):
                yield from (r for line in frame["line"] if isinstance(r := _value(line), dict))
        except InputError as error:
            raise InputError(f"goes with {place}, which cannot be read: {error}") from None
        finally:
            stream.close()


# -- lhotse


def _listed(sort: str | None, value: Any, recordings: Mapping[str, Any], used: set[str]) -> list[dict[str, Any]] | None:
    """The rows of a line of lhotse's; None where it is another's."""
    if sort == "cut":
        return _of_cut(value)
    if sort == "recording":
        return _of_recording(value)
    if sort != "supervision":
        return None
    key = str(value.get("recording_id"))
    used.add(key)
    return [_row(value, recordings.get(key), 0.0, _number(value.get("start")), _number(value.get("duration")), value)]


def _of_recording(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [_row(value, value, 0.0, 0.0, _number(value.get("duration")), {})]


def _of_cut(value: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for every supervision, for the stretch that it covers; a cut without any is one row."""
    recording = value.get("recording")
    start, duration = _number(value.get("start")) or 0.0, _number(value.get("duration"))
    said = value.get("supervisions")
    said = [s for s in said if isinstance(s, dict)] if isinstance(said, list) else []
    if not said:
        return [_row(value, recording, 0.0, start, duration, {})]
    found = []
    for supervision in said:
        own = _number(supervision.get("duration"))
        row = _row(
            supervision if len(said) > 1 else value, recording, start, _number(supervision.get("start")) or 0.0,
            duration if own is None else own, supervision,
        )  # fmt: skip
        found.append(row)
    return found


def _row(
    named: dict[str, Any], recording: Any, base: float, start: float | None, duration: float | None, said: dict[str, Any]
) -> dict[str, Any]:
    path, problem = _source(recording)
    of_recording = _number(recording.get("duration")) if isinstance(recording, dict) else None
    first = max(base + (start or 0.0), 0.0)
    last = None if duration is None else first + max(duration, 0.0)
    # The whole of a recording, up to a sample or so.
    whole = first == 0 and (last is None or of_recording is not None and abs(last - of_recording) < 1e-3)
    texts, of_name = scalars(said), scalars(named)
    key = scalars(recording).get("id") if isinstance(recording, dict) else None
    return {
        "id": of_name.get("id"),
        "path": path,
        "transcript": texts.get("text"),
        "speaker": texts.get("speaker"),
        "programme": None if whole else key,
        "start": None if whole else first,
        "end": None if whole else last,
        "duration": duration if duration is not None else of_recording,
        PROBLEM: problem,
    }


def _source(recording: Any) -> tuple[str | None, str | None]:
    """Where the file of a recording is. Commands are never run, nor URLs fetched."""
    if not isinstance(recording, dict):
        return None, "no audio: the manifest has no recording of this id"
    sources = recording.get("sources")
    first = sources[0] if isinstance(sources, list) and sources and isinstance(sources[0], dict) else {}
    if first.get("type") != "file":
        return None, f"no audio: the source of the recording is no file but of type {str(first.get('type'))[:40]!r}"
    return scalars(first).get("source"), None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < 1e9 else None
