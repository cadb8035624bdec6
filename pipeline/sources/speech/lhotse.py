"""lhotse's manifests: cuts, supervisions and recordings, a JSON object a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.sources.values import stringify_scalars

_CUT_TYPES = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut", "DataCut")
_SAME_TIME = 1e-3  # seconds: a stretch that ends so near to the end of a recording is the whole of it
_LONGEST_TIME = 1e9  # seconds


class LhotseRow(NamedTuple):
    """A stretch of a recording, or the whole of it where `start` and `end` are None. Times in seconds."""

    id: str | None
    path: str | None
    transcript: str | None
    speaker: str | None
    programme: str | None
    start: float | None
    end: float | None
    duration: float | None
    problem: str | None


def find_type(value: Mapping[str, Any]) -> str | None:
    """Return what an object is: a "cut", a "recording" or a "supervision"; None where it is not lhotse's."""
    if value.get("type") in _CUT_TYPES or isinstance(value.get("recording"), dict):
        return "cut"
    if isinstance(value.get("sources"), list):
        return "recording"
    return "supervision" if isinstance(value.get("recording_id"), str) else None


def read_recording(value: dict[str, Any]) -> LhotseRow:
    return _build_row(value, value, {}, 0.0, _to_number(value.get("duration")))


def read_supervision(value: dict[str, Any], recording: Any) -> LhotseRow:
    start, duration = _to_number(value.get("start")) or 0.0, _to_number(value.get("duration"))
    return _build_row(value, recording, value, start, duration)


def read_cut(value: dict[str, Any]) -> list[LhotseRow]:
    """Return a row for every supervision of a cut, for the stretch that it covers, or one for a cut without any."""
    recording = value.get("recording")
    start, duration = _to_number(value.get("start")) or 0.0, _to_number(value.get("duration"))
    supervisions = value.get("supervisions")
    supervisions = [item for item in supervisions if isinstance(item, dict)] if isinstance(supervisions, list) else []
    if not supervisions:
        return [_build_row(value, recording, {}, start, duration)]
    rows = []
    for supervision in supervisions:
        named = supervision if len(supervisions) > 1 else value
        own_start, own_duration = _to_number(supervision.get("start")) or 0.0, _to_number(supervision.get("duration"))
        rows.append(
            _build_row(named, recording, supervision, start + own_start, duration if own_duration is None else own_duration)
        )
    return rows


def _build_row(
    named: dict[str, Any], recording: Any, supervision: dict[str, Any], start: float, duration: float | None
) -> LhotseRow:
    """Return the row of a stretch; `named` has its id, `supervision` what is said."""
    path, problem = _find_source(recording)
    total = _to_number(recording.get("duration")) if isinstance(recording, dict) else None
    first = max(start, 0.0)
    last = None if duration is None else first + max(duration, 0.0)
    is_whole = first == 0 and (last is None or total is not None and abs(last - total) < _SAME_TIME)
    said = stringify_scalars(supervision)
    return LhotseRow(
        id=stringify_scalars(named).get("id"),
        path=path,
        transcript=said.get("text"),
        speaker=said.get("speaker"),
        programme=None if is_whole else stringify_scalars(recording).get("id"),
        start=None if is_whole else first,
        end=None if is_whole else last,
        duration=duration if duration is not None else total,
        problem=problem,
    )


def _find_source(recording: Any) -> tuple[str | None, str | None]:
    """Return the path of a recording, or why it has none. Commands are never run, nor URLs fetched."""
    if not isinstance(recording, dict):
        return None, "no audio: the manifest has no recording of this id"
    sources = recording.get("sources")
    first = sources[0] if isinstance(sources, list) and sources and isinstance(sources[0], dict) else {}
    if first.get("type") != "file":
        return None, f"no audio: the source of the recording is no file but of type {str(first.get('type'))[:40]!r}"
    return stringify_scalars(first).get("source"), None


def _to_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _LONGEST_TIME else None
