"""Recordings with transcripts: the rows of a shard, as FLAC. A recording that is too long is cut at silences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from filters.audio.decoding import decode, resample
from filters.audio.encoding import encode_flac
from filters.audio.samples import RATE
from filters.audio.silence import silences
from pipeline.core.errors import InputError
from pipeline.core.tables import read_arrow_file
from pipeline.modalities.base import huggingface_schema, select_columns, split_by_payload
from pipeline.modalities.speech.manifest import SpeechManifest
from pipeline.modalities.speech.measure import digest_sound, encoded_sound
from pipeline.sources.rows import BATCH_BYTES, Rows
from pipeline.workspace import Part

_AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_FIELDS = (
    ("id", pa.string(), "string"),
    ("audio", _AUDIO, None),
    ("transcript", pa.string(), "string"),
    ("reading", pa.string(), "string"),
    ("duration", pa.float32(), "float32"),
    ("sampling_rate", pa.int32(), "int32"),
    ("speaker", pa.string(), "string"),
    ("programme", pa.string(), "string"),
    ("source", pa.string(), "string"),
    ("license", pa.string(), "string"),
    ("cluster_size", pa.uint32(), "uint32"),
)


def shard_schema(manifest: SpeechManifest) -> pa.Schema:
    features: dict[str, Any] = {name: {"dtype": kind, "_type": "Value"} for name, _, kind in _FIELDS}
    features["audio"] = {"sampling_rate": manifest.recordings.rate, "_type": "Audio"}
    return huggingface_schema([pa.field(name, kind) for name, kind, _ in _FIELDS], features)


class EncodedClip(NamedTuple):
    """FLAC of a shard row: `record` is the batch's row, `number` counts the clips of a recording that was cut (0: not cut)."""

    record: int
    flac: bytes
    seconds: float
    number: int


def shard_tables(
    manifest: SpeechManifest, part: Part, batch: pl.DataFrame, ledger_rows: pl.DataFrame
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Yield tables of at most some 64 MB of audio: FLAC as it came where it has the rate of the corpus, else encoded anew, or cut."""
    if not len(batch):
        return
    settings = manifest.recordings
    seconds = batch["amount"].to_numpy() / 1000  # amounts are milliseconds
    too_long = seconds > settings.cut if settings.cut is not None else np.zeros(len(batch), bool)
    stretch = (batch["start"].is_not_null() | batch["end"].is_not_null()).to_numpy()
    encode = too_long | stretch | batch["reencode"].to_numpy()
    recordings = Rows(read_arrow_file(part.raw).gather(batch["row"]))
    try:
        for rows in split_by_payload(batch):
            if not encode[rows].any():
                content = recordings.contents(rows.tolist())
                for row, blob in zip(rows.tolist(), content, strict=True):
                    _check_unchanged(blob.as_buffer(), batch, row)
                numbers = np.zeros(len(rows), np.int64)
                yield _table(manifest, batch, ledger_rows, rows, content, seconds[rows], numbers), rows
                continue
            size = 0
            clips: list[EncodedClip] = []
            for row in rows.tolist():
                for clip in _encode_recording(manifest, recordings, batch, row, encode=encode[row], too_long=too_long[row]):
                    clips.append(clip)
                    size += len(clip.flac)
                    if size >= BATCH_BYTES:
                        yield _clips_table(manifest, batch, ledger_rows, clips)
                        clips, size = [], 0
            if clips:
                yield _clips_table(manifest, batch, ledger_rows, clips)
    finally:
        recordings.close()


def _encode_recording(
    manifest: SpeechManifest, recordings: Rows, batch: pl.DataFrame, row: int, *, encode: bool, too_long: bool
) -> Iterator[EncodedClip]:
    """Yield the FLAC of a recording: as it came, encoded anew, or cut into clips."""
    sound = encoded_sound(recordings, row) or b""
    _check_unchanged(sound, batch, row)
    if not encode:
        flac = sound if isinstance(sound, bytes) else recordings.content(row) or b""
        yield EncodedClip(row, flac, batch["amount"][row] / 1000, 0)
        return
    settings = manifest.recordings
    start, end = batch["start"][row] or 0.0, batch["end"][row]
    channels = None if batch["channels"][row] is None else batch["channels"][row].to_list()
    samples = decode(sound, rate=settings.rate, start=start, end=end, channels=channels, max_seconds=settings.longest).samples
    spans = [(0, len(samples))]
    if too_long and settings.cut:
        spans = cut_at_silences(samples, settings.rate, settings.cut)
    for number, (first, last) in enumerate(spans, start=int(too_long)):
        yield EncodedClip(row, encode_flac(samples[first:last], settings.rate), (last - first) / settings.rate, number)


def _check_unchanged(sound: Any, batch: pl.DataFrame, row: int) -> None:
    """Raise InputError where a recording is not the one that was measured: a shard must hold what the ledger tells of."""
    if digest_sound(sound) != batch["digest"][row]:
        raise InputError(f"the recording {batch['locator'][row]} has changed since it was measured: run the same command again")


def cut_at_silences(samples: np.ndarray, rate: int, longest: float) -> list[tuple[int, int]]:
    """Return spans of at most `longest` seconds, about equally long, each ending in the middle of the nearest silence if any."""
    starts, ends = silences(samples if rate == RATE else resample(samples, rate, RATE))
    middles = ((starts + ends) * (rate / RATE) / 2).astype(np.int64)
    most, spans, at = int(longest * rate), [], 0
    while len(samples) - at > most:
        left = len(samples) - at
        equal = at + left // -(-left // most)
        # No clip, the last one included, is shorter than a quarter of the longest.
        candidates = middles[(middles > at + most // 4) & (middles <= min(at + most, len(samples) - most // 4))]
        end = int(candidates[np.argmin(np.abs(candidates - equal))]) if len(candidates) else equal
        spans.append((at, end))
        at = end
    return [*spans, (at, len(samples))]


def _clips_table(
    manifest: SpeechManifest, batch: pl.DataFrame, ledger_rows: pl.DataFrame, clips: list[EncodedClip]
) -> tuple[pa.Table, np.ndarray]:
    records, flacs, seconds, numbers = zip(*clips, strict=True)
    rows = np.array(records, np.int64)
    content = pa.array(flacs, pa.binary())
    return _table(manifest, batch, ledger_rows, rows, content, np.array(seconds), np.array(numbers)), rows


def _table(
    manifest: SpeechManifest, batch: pl.DataFrame, ledger_rows: pl.DataFrame, rows: np.ndarray, content: pa.Array,
    seconds: np.ndarray, numbers: np.ndarray,
) -> pa.Table:  # fmt: skip
    """Return shard rows of the records `rows`. Clips of a recording that was cut have no transcript."""
    number = pl.Series("number", numbers, dtype=pl.Int64)
    padded = pl.format("-{}", pl.col("number").cast(pl.String).str.zfill(4))
    suffix = pl.when(pl.col("number") > 0).then(padded).otherwise(pl.lit(""))
    name = pl.coalesce("name", "locator").str.replace(r"^.*/", "").str.replace(r"(.)\.[^.]*$", "${1}")
    transcribed = (pl.col("number") == 0) & pl.col("said")
    of_ledger = ledger_rows.select("source", "cluster_size", record_id="id")[rows]
    records = batch[rows].with_columns(number, *of_ledger)
    columns = records.select(
        "speaker",
        "programme",
        "source",
        "cluster_size",
        id=pl.concat_str("record_id", suffix),
        path=pl.concat_str(pl.when(name == "").then(pl.lit("audio")).otherwise(name), suffix, pl.lit(".flac")),
        transcript=pl.when(transcribed).then("text"),
        reading=pl.when(transcribed).then("reading"),
        license=pl.col("own:license").fill_null(manifest.license),
        duration=pl.Series(seconds.astype(np.float32)),
        sampling_rate=pl.lit(manifest.recordings.rate, pl.Int32),
    )
    audio = pa.StructArray.from_arrays([content, columns["path"].to_arrow().cast(pa.string())], fields=[*_AUDIO])
    return select_columns(shard_schema(manifest), columns, audio=audio)
