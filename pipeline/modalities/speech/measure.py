"""Recordings with transcripts: from rows to cleaned transcripts, readings, measures and acoustic fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from xxhash import xxh64_intdigest

from filters import MEASURES, compute
from filters.audio.decoding import Source as EncodedSound
from filters.audio.encoding import encode_flac
from filters.audio.inspection import InspectedRecordings, inspect
from filters.inspected import gather_rows
from filters.kernels import buffers
from filters.text.minhash import SKETCH_BINS, Signatures, signatures
from filters.text.normalisation import normalise
from filters.transcript.agreement import reading_error_rates
from filters.transcript.edit_distance import error_rates
from filters.transcript.readings import morae, readings
from filters.transcript.spoken import Treatment, spoken
from pipeline.core.shards import hash_strings
from pipeline.modalities.base import EXCERPT, MeasuredRecords, own_terms
from pipeline.modalities.speech.manifest import SpeechManifest
from pipeline.sources.rows import BATCH_BYTES, Rows, batches

UNTRANSCRIBED = "untranscribed"  # a count: recordings without transcript
_ERRORS = ("surface_error", "reading_error")
# Seconds by which a list and a recording may differ. lhotse allows 0.5 (`LHOTSE_AUDIO_DURATION_MISMATCH_TOLERANCE`), whatever the length;
# half of a short sentence is less than that, so that it is a twentieth here. MP3 encoders add up to 0.1, and lists round to as much.
_MOST_DIFFERENCE, _LEAST_DIFFERENCE, _SHARE = 0.5, 0.1, 0.05
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz: Opus is decoded at one of these, whatever was encoded


def measure_recordings(manifest: SpeechManifest, recordings: Rows) -> MeasuredRecords:
    """Clean transcripts, decode every recording once, compute every measure."""
    try:
        frame = recordings.frame = _forget_empty_names(recordings.frame)
        raw = frame["transcript"]
        texts = clean_transcripts(raw, manifest)
        sound, sizes, digests = _inspect(manifest, recordings)
    finally:
        recordings.close()
    fillers = manifest.clean.fillers
    said = _as_said(raw, manifest, "keep" if fillers == "mark" else fillers)
    spoken_readings = readings(said, manifest.transcripts.dictionary)
    given: dict[str, np.ndarray] = dict(sound.counters)
    given["n_morae"] = morae(spoken_readings.fill_null("")).to_numpy()
    given |= _compare_with_second(manifest, raw, frame["second"])
    text = texts.fill_null("")
    measures = compute(*buffers(text), manifest.measures, given)
    problems = _problems(frame, sound)
    unreadable = problems.is_not_null()
    milliseconds = np.rint(sound.counters["duration"].astype(np.float64) * 1000).astype(np.int64)
    declared = (frame["duration"].fill_null(0).clip(0, 1e6) * 1000).cast(pl.Int64).to_numpy()
    columns: Mapping[str, Any] = {
        "file": frame["file"].to_arrow(),
        "locator": frame["locator"].to_arrow(),
        "bytes": sizes,
        "amount_in": np.where(unreadable.to_numpy(), declared, milliseconds),
        "amount": np.where(unreadable.to_numpy(), 0, milliseconds),
        "payload": np.where(unreadable.to_numpy(), 0, sizes),
        "unreadable": problems.to_arrow(),
        "head": pl.select(pl.when(unreadable).then(raw.str.head(EXCERPT))).to_series().to_arrow(),
        "exact": sound.exact,
        "key_length": milliseconds.astype(np.int32),
        "flat": sound.flat,
        "size": milliseconds,
        "score": (measures["snr"].fill_null(0).clip(0, 60) / 60).fill_nan(0).cast(pl.Float32).to_arrow(),
        "key": _sentence_keys(frame["speaker"], spoken_readings),
        "reencode": sound.needs_reencoding,
        "speaker": frame["speaker"].to_arrow(),
        "programme": frame["programme"].to_arrow(),
        "second_excerpt": frame["second"].str.head(EXCERPT).to_arrow(),
        **own_terms(frame),
        "name": frame["name"].to_arrow(),
        "digest": digests,
        "start": frame["start"].to_arrow(),
        "end": frame["end"].to_arrow(),
        "channels": frame["channels"].to_arrow(),
        "said": texts.is_not_null().to_arrow(),
        "reading": spoken_readings.to_arrow(),
        **{f"m:{name}": measures[name].to_arrow() for name in measures.columns},
        "text": text.to_arrow(),
    }
    arrays = {"sketches": sound.descriptors, "hashes": sound.hashes}
    if manifest.deduplicate.similar_transcripts is not None:
        keys = _text_signatures(manifest, text)
        arrays |= {"text_signatures": keys.minima.astype(np.uint16), "text_sketches": keys.sketches}
        columns = {**columns, "text_exact": keys.exact, "text_key_hash": keys.keys, "text_key_length": keys.lengths}
    untranscribed = int((raw.is_null() & problems.is_null()).sum())
    return MeasuredRecords(pa.table(columns), arrays, {UNTRANSCRIBED: untranscribed})


# -- recordings


def encoded_sound(recordings: Rows, row: int) -> EncodedSound | None:
    """Return the encoded recording of a row: its bytes, or the path of a large file of its own, which need not be in memory."""
    path = recordings.path(row)
    return path if path is not None and path.stat().st_size > BATCH_BYTES else recordings.content(row)


def digest_sound(sound: Any) -> int:
    """Return 64 bits that change when a recording does: of its bytes, or of a large file's time and size."""
    if isinstance(sound, Path):
        status = sound.stat()
        sound = f"{status.st_mtime_ns}-{status.st_size}".encode()
    data = np.frombuffer(sound or b"", np.uint8)
    # XXH64 of what makes whole samples of 16 bits, and an odd byte beside it.
    return xxh64_intdigest(data[: len(data) // 2 * 2].data) ^ (int(data[-1]) if len(data) % 2 else 0)


def _inspect(manifest: SpeechManifest, recordings: Rows) -> tuple[InspectedRecordings, np.ndarray, np.ndarray]:
    """Return what `inspect` says of every row, with sizes and digests of the encoded recordings."""
    frame, settings = recordings.frame, manifest.recordings
    readable = np.flatnonzero(frame["problem"].is_null().to_numpy())
    stretches = frame.select(pl.col("start").fill_null(0.0), "end").rows()
    sizes, digests = np.zeros(len(frame), np.int64), np.zeros(len(frame), np.uint64)
    inspected = []
    for rows, sounds in batches(readable, partial(encoded_sound, recordings)):
        spans = [stretches[row] for row in rows.tolist()]
        channels = frame["channels"].gather(rows).to_list()
        inspected.append(inspect(sounds, spans=spans, channels=channels, rate=settings.rate, max_seconds=settings.longest))
        sizes[rows] = [recordings.size(row) for row in rows.tolist()]
        digests[rows] = [digest_sound(sound) for sound in sounds]
    position = np.full(len(frame), -1)
    position[readable] = np.arange(len(readable))
    # The last row stands for what has no recording.
    return gather_rows([*inspected, inspect([None], rate=settings.rate)], position), sizes, digests


def _problems(frame: pl.DataFrame, sound: InspectedRecordings) -> pl.Series:
    """Return why each record cannot be read, or null."""
    problems: list[str | None] = []
    rows = frame.select("problem", "start", "end", "duration", "total", "sampling_rate").iter_rows()
    found = zip(
        sound.counters["duration"], sound.total, sound.counters["sampling_rate"], sound.counters["audio_format"], strict=True
    )
    for (problem, *declared), unsound, true in zip(rows, sound.problems, found, strict=True):
        reason = problem or (unsound and unsound.replace("max_seconds", "recordings.longest"))
        problems.append(reason or _find_difference(_Declared(*declared), _True(*true)))
    return pl.Series(problems, dtype=pl.String)


class _Declared(NamedTuple):
    """What a list says of a record, in seconds and Hz: `total` and `sampling_rate` of the whole recording."""

    start: float | None
    end: float | None
    duration: float | None
    total: float | None
    sampling_rate: int | None


class _True(NamedTuple):
    """What was decoded; `total` is NaN where it is not known."""

    duration: float
    total: float
    sampling_rate: int
    audio_format: str | None


def _find_difference(declared: _Declared, true: _True) -> str | None:
    """Return in what a recording is not what its list says, or None."""
    start, end, duration, total, sampling_rate = declared
    if end is not None and end - (start or 0) > true.duration + _tolerance(end - (start or 0)):
        return f"the recording ends before the stretch from {start or 0:g} to {end:g} s does"
    # A list may say of a stretch how long the whole recording is.
    if duration is not None and _differs(duration, true.duration) and (end is None or _differs(duration, true.total)):
        return f"the list says {duration:.2f} s, the recording has {true.duration:.2f} s"
    if total is not None and not np.isnan(true.total) and _differs(total, true.total):
        return f"the list says that the whole recording has {total:.2f} s, it has {true.total:.2f} s"
    is_opus = true.audio_format == "OGG" and true.sampling_rate in _OPUS_RATES
    if sampling_rate and sampling_rate != true.sampling_rate and not is_opus:
        return f"the list says {sampling_rate:,} Hz, the recording has {true.sampling_rate:,} Hz"
    return None


def _differs(declared: float, true: float) -> bool:
    return not abs(declared - true) <= _tolerance(declared)


def _tolerance(seconds: float) -> float:
    return min(_MOST_DIFFERENCE, max(_LEAST_DIFFERENCE, _SHARE * seconds)) + 1e-6


# -- transcripts


def _forget_empty_names(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with null for names of speakers and programmes that are empty: nobody is called so."""
    names = ("speaker", "programme")
    return frame.with_columns(pl.when(pl.col(name).str.strip_chars() != "").then(name).alias(name) for name in names)


def clean_transcripts(transcripts: pl.Series, manifest: SpeechManifest) -> pl.Series:
    """Return transcripts normalised and put as they are spoken; null stays null."""
    settings = manifest.clean
    normalised = normalise(transcripts.fill_null(""), settings.compatibility, settings.width)
    cleaned = spoken(normalised, settings.tags, settings.speakers, settings.fillers)
    return cleaned.set(transcripts.is_null(), None)


def _as_said(transcripts: pl.Series, manifest: SpeechManifest, fillers: Treatment) -> pl.Series:
    """Return what is read aloud of transcripts as they came: nobody pronounces tags and marks."""
    normalised = normalise(transcripts.fill_null(""), manifest.clean.compatibility, manifest.clean.width)
    cleaned = spoken(normalised, "remove", manifest.clean.speakers, fillers)
    return cleaned.set(transcripts.is_null(), None)


def _compare_with_second(manifest: SpeechManifest, texts: pl.Series, second: pl.Series) -> dict[str, np.ndarray]:
    """Return error rates of second transcripts, NaN where there is none.

    Fillers stay: they can only be recognised where punctuation stands.
    """
    errors = {name: np.full(len(texts), np.nan, np.float32) for name in _ERRORS}
    rows = np.flatnonzero((second.is_not_null() & texts.is_not_null()).to_numpy())
    if len(rows):
        pair = texts.gather(rows), second.gather(rows)
        surfaces = [clean_transcripts(t, manifest).str.replace_all(r"[^\p{L}\p{N}]", "") for t in pair]
        errors["surface_error"][rows] = error_rates(*surfaces).to_numpy()
        said = [_as_said(t, manifest, "keep") for t in pair]
        errors["reading_error"][rows] = reading_error_rates(said[0], said[1], manifest.transcripts.dictionary).to_numpy()
    return errors


def _text_signatures(manifest: SpeechManifest, texts: pl.Series) -> Signatures:
    d = manifest.deduplicate.transcripts
    return signatures(*buffers(texts), d.permutations, d.seed, d.shingle, SKETCH_BINS)


def _sentence_keys(speakers: pl.Series, spoken_readings: pl.Series) -> pa.Array:
    """Return hashes of speaker and reading: null where either is unknown or empty."""
    complete = speakers.is_not_null() & (spoken_readings.fill_null("") != "")
    joined = pl.select(pl.concat_str(speakers.fill_null(""), spoken_readings.fill_null(""), separator="\0")).to_series()
    return pl.Series(hash_strings(*buffers(joined))).set(~complete, None).to_arrow()


def warm_kernels(manifest: SpeechManifest) -> None:
    """Compile (or load from numba's cache) every kernel, and load the dictionary."""
    rate = manifest.recordings.rate
    time = np.arange(rate) / rate
    sound = inspect([encode_flac((0.1 * np.sin(2000 * time) * (time > 0.3)).astype(np.float32), rate)], rate=rate)
    given: dict[str, np.ndarray] = dict(sound.counters) | {name: np.zeros(1, np.float32) for name in _ERRORS}
    given["n_morae"] = np.zeros(1, np.int32)
    cleaned = clean_transcripts(pl.Series(["えー、（笑）田中さんは３台のﾊﾞｽ。"]), manifest)
    reading_error_rates(cleaned, pl.Series(["田中さんは４台のバス。"]), manifest.transcripts.dictionary)
    names = [name for name in manifest.measures if MEASURES[name].kind in manifest.kinds]
    compute(*buffers(cleaned), names, given)
    if manifest.deduplicate.similar_transcripts is not None:
        _text_signatures(manifest, cleaned)
