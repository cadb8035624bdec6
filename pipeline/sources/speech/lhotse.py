"""lhotse's manifests: cuts, supervisions and recordings, a JSON object a line; cuts of Shar, whose audio is in tars beside them.

lhotse numbers the channels of a recording, which may lie in several files; a cut or a supervision has one of them, or a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.sources.values import stringify_scalars

_CUT_TYPES = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut", "DataCut")
_NO_RECORDING = ("MixedCut", "PaddingCut")
_SAME_TIME = 1e-3  # seconds: a stretch that ends so near to the end of a recording is the whole of it
_LONGEST_TIME = 1e9  # seconds


# What changes neither the words nor their times. (`Resample` changes the rate that a manifest states.)
_HARMLESS_TRANSFORMS = ("Resample", "Volume", "LoudnessNormalization", "ReverbWithImpulseResponse", "Narrowband")


class LhotseRow(NamedTuple):
    """A stretch of a recording, or the whole of it where `start` and `end` are None. Times in seconds.

    `channels` are those of the file, from 0; None for all. `path` is the id of the cut where the audio is in Shar's tar.
    """

    id: str | None
    path: str | None = None
    transcript: str | None = None
    speaker: str | None = None
    programme: str | None = None
    start: float | None = None
    end: float | None = None
    duration: float | None = None
    total: float | None = None
    sampling_rate: int | None = None
    channels: list[int] | None = None
    problem: str | None = None


class _Source(NamedTuple):
    """The file of a recording and the channels in it that are meant, or why there is none."""

    path: str | None = None
    channels: list[int] | None = None
    problem: str | None = None


def find_type(value: Mapping[str, Any]) -> str | None:
    """Return what an object is: a "cut", a "recording" or a "supervision"; None where it is not lhotse's."""
    if value.get("type") in _CUT_TYPES or isinstance(value.get("recording"), dict):
        return "cut"
    if isinstance(value.get("sources"), list):
        return "recording"
    return "supervision" if isinstance(value.get("recording_id"), str) else None


def read_recording(value: dict[str, Any]) -> LhotseRow:
    return _build_row(value, value, {}, 0.0, _to_number(value.get("duration")), None)


def read_supervision(value: dict[str, Any], recording: Any) -> LhotseRow:
    start, duration = _to_number(value.get("start")) or 0.0, _to_number(value.get("duration"))
    return _build_row(value, recording, value, start, duration, value.get("channel"))


def read_cut(value: dict[str, Any]) -> list[LhotseRow]:
    """Return a row for every supervision of a cut, for the stretch that it covers, or one for a cut without any."""
    recording = value.get("recording")
    if value.get("type") in _NO_RECORDING:
        problem = f"no audio: a {value['type']} is no stretch of a recording"
        return [LhotseRow(stringify_scalars(value).get("id"), problem=problem)]
    start, duration = _to_number(value.get("start")) or 0.0, _to_number(value.get("duration"))
    channel = value.get("channel")
    supervisions = value.get("supervisions")
    supervisions = [item for item in supervisions if isinstance(item, dict)] if isinstance(supervisions, list) else []
    if not supervisions:
        return [_build_row(value, recording, {}, start, duration, channel)]
    rows = []
    for supervision in supervisions:
        named = supervision if len(supervisions) > 1 else value
        own_start, own_duration = _to_number(supervision.get("start")) or 0.0, _to_number(supervision.get("duration"))
        # A cut of several channels says with each supervision which of them it is in.
        own_channel = supervision.get("channel") if isinstance(channel, list) and "channel" in supervision else channel
        length = duration if own_duration is None else own_duration
        rows.append(_build_row(named, recording, supervision, start + own_start, length, own_channel, value.get("id")))
    return rows


def _build_row(
    named: dict[str, Any], recording: Any, supervision: dict[str, Any], start: float, duration: float | None, channel: Any,
    cut_id: Any = None,
) -> LhotseRow:  # fmt: skip
    """Return the row of a stretch; `named` has its id, `supervision` what is said."""
    source = _find_source(recording, channel, str(cut_id or named.get("id")))
    facts = recording if isinstance(recording, dict) else {}
    total = _to_number(facts.get("duration"))
    first = max(start, 0.0)
    last = None if duration is None else first + max(duration, 0.0)
    is_whole = first == 0 and (last is None or total is not None and abs(last - total) < _SAME_TIME)
    said = stringify_scalars(supervision)
    return LhotseRow(
        id=stringify_scalars(named).get("id"),
        path=source.path,
        transcript=said.get("text"),
        speaker=said.get("speaker"),
        programme=None if is_whole and source.channels is None else stringify_scalars(facts).get("id"),
        start=None if is_whole else first,
        end=None if is_whole else last,
        duration=duration if duration is not None else total,
        total=total,
        sampling_rate=_find_sampling_rate(facts),
        channels=source.channels,
        problem=source.problem,
    )


def _find_source(recording: Any, channel: Any, cut_id: str) -> _Source:
    """Return the file of a recording in which its channel is. Commands are never run, nor URLs fetched."""
    if not isinstance(recording, dict):
        return _Source(problem="no audio: the manifest has no recording of this id")
    if changed := [name for name in _list_transforms(recording) if name not in _HARMLESS_TRANSFORMS]:
        return _Source(
            problem=f"the recording is to be changed by {changed[0]}, which is not done: build from what it was made of"
        )
    wanted = [channel] if isinstance(channel, int) else channel if isinstance(channel, list) else None
    sources = recording.get("sources")
    sources = [source for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
    if wanted is not None and sources:
        numbers = [_list_channels(source) for source in sources]
        if missing := [number for number in wanted if not any(number in one for one in numbers)]:
            of_recording = ", ".join(str(number) for one in numbers for number in one) or "none"
            return _Source(problem=f"no channel {missing[0]}: the recording has {of_recording}")
        sources = [source for source, one in zip(sources, numbers, strict=True) if set(one) & set(wanted)]
    if len(sources) > 1:
        return _Source(problem=f"the channels of the recording lie in {len(sources)} files, which are not read as one")
    first = sources[0] if sources else {}
    own = _list_channels(first)
    # The only channel there is need not be chosen.
    channels = None if wanted is None or len(own) == 1 else sorted(own.index(number) for number in {*wanted})
    if first.get("type") == "shar":
        return _Source(cut_id, channels)
    if first.get("type") != "file":
        kind = str(first.get("type"))[:40]
        return _Source(problem=f"no audio: the source of the recording is no file but of type {kind!r}")
    return _Source(stringify_scalars(first).get("source"), channels)


def is_shar(value: Mapping[str, Any]) -> bool:
    """Return whether the audio of a cut is in a tar beside its manifest."""
    recording = value.get("recording")
    sources = recording.get("sources") if isinstance(recording, dict) else None
    return isinstance(sources, list) and any(isinstance(one, dict) and one.get("type") == "shar" for one in sources)


def _list_channels(source: Mapping[str, Any]) -> list[int]:
    channels = source.get("channels")
    return [number for number in channels if isinstance(number, int)] if isinstance(channels, list) else []


def _list_transforms(recording: Mapping[str, Any]) -> list[str]:
    transforms = recording.get("transforms")
    items = transforms if isinstance(transforms, list) else []
    return [str(item.get("name") if isinstance(item, dict) else item)[:40] for item in items]


def _find_sampling_rate(recording: Mapping[str, Any]) -> int | None:
    """Return the rate of the file: what is stated, unless the recording was to be resampled."""
    rate = recording.get("sampling_rate")
    return rate if isinstance(rate, int) and rate > 0 and "Resample" not in _list_transforms(recording) else None


def _to_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _LONGEST_TIME else None
