"""Recordings with transcripts: both measured, what is said compared with what is written, deduplicated by sound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from filters import MEASURES, compute
from filters.audio.decoding import RATE, Source, decode, reencode, resampled
from filters.audio.measures import Inspected, concatenated, inspect
from filters.audio.spectrum import silences, xxh64
from filters.kernels import buffers
from filters.text.minhash import SKETCH_BINS, Signatures, signatures
from filters.text.normalisation import normalise
from filters.transcript.edit_distance import error_rates
from filters.transcript.readings import morae, readings
from filters.transcript.spoken import Treatment, spoken
from pipeline.core.errors import InputError
from pipeline.core.shards import hash_strings
from pipeline.dedup.recordings import late, near, rounds
from pipeline.ledger import EXCERPT
from pipeline.manifest.loading import SpeechManifest
from pipeline.modalities import Measured, Words
from pipeline.sources import Partition, source
from pipeline.sources.content import BATCH_BYTES, Held, batches
from pipeline.steps.measure import Part

__all__ = [
    "WORDS",
    "kept_together",
    "late",
    "ledger_fields",
    "measured",
    "near",
    "rounds",
    "row_group",
    "schema",
    "shard_rows",
    "warm",
    "warnings",
]

_HOUR = 3_600_000  # milliseconds, in which amounts are counted
WORDS = Words(
    ("recordings", "録音"),
    ("hours", "時間"),
    ("hours", "時間"),
    "automatic-speech-recognition",
    "trainers.hubert",
    (),
    (0.1, 1.0),
    _HOUR,
    (
        "Split by a hash of the speaker, else of the programme, else of the duplicate cluster: none of them stands on both sides.",
        "話者、なければ番組、なければ重複クラスタのハッシュで分割しているため、同じものが両側に分かれることはありません。",
    ),
)
_FIELDS = (
    ("id", pa.string(), "string"),
    ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), None),
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
_ERRORS = ("surface_error", "reading_error")


# -- measure


def _sound(held: Held, row: int) -> Source | None:
    """The encoded recording of a row: its bytes, or its path where it is a large file of its own, which need not be in memory."""
    path = held.alone(row)
    return path if path is not None and path.stat().st_size > BATCH_BYTES else held.content(row)


def _digest(sound: Any) -> int:
    """64 bits that change when a recording does: of its bytes, or of a large file's time and size."""
    if isinstance(sound, Path):
        status = sound.stat()
        sound = f"{status.st_mtime_ns}-{status.st_size}".encode()
    data = np.frombuffer(sound or b"", np.uint8)
    # XXH64 of what makes whole samples of 16 bits, and an odd byte beside it.
    return int(xxh64(data[: len(data) // 2 * 2].view(np.int16))) ^ (int(data[-1]) if len(data) % 2 else 0)


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with null for names of speakers and programmes that are empty: nobody is called so."""
    names = ("speaker", "programme")
    return frame.with_columns(pl.when(pl.col(name).str.strip_chars() != "").then(name).alias(name) for name in names)


def _inspected(manifest: SpeechManifest, held: Held) -> tuple[Inspected, np.ndarray, np.ndarray]:
    """What `inspect` says of every row, with sizes and digests of the encoded recordings."""
    frame, settings = held.frame, manifest.recordings
    chosen = np.flatnonzero(frame["problem"].is_null().to_numpy())
    spans = frame.select(pl.col("start").fill_null(0.0), "end").rows()
    sizes, digests = np.zeros(len(frame), np.int64), np.zeros(len(frame), np.uint64)
    pieces = []
    for rows, sounds in batches(chosen, partial(_sound, held)):
        here = [spans[row] for row in rows.tolist()]
        pieces.append(inspect(sounds, spans=here, rate=settings.rate, max_seconds=settings.longest))
        sizes[rows] = [held.size(row) for row in rows.tolist()]
        digests[rows] = [_digest(sound) for sound in sounds]
    position = np.full(len(frame), -1)
    position[chosen] = np.arange(len(chosen))
    # The last row stands for what has no recording.
    return concatenated([*pieces, inspect([None], rate=settings.rate)], position), sizes, digests


def _compared(manifest: SpeechManifest, texts: pl.Series, second: pl.Series) -> dict[str, np.ndarray]:
    """Error rates of second transcripts, NaN where there is none. Fillers stay: they can only be told where punctuation stands."""
    found = {name: np.full(len(texts), np.nan, np.float32) for name in _ERRORS}
    rows = np.flatnonzero((second.is_not_null() & texts.is_not_null()).to_numpy())
    if len(rows):
        both = texts.gather(rows), second.gather(rows)
        bare = [_cleaned(t, manifest).str.replace_all(r"[^\p{L}\p{N}]", "") for t in both]
        found["surface_error"][rows] = error_rates(bare[0], bare[1]).to_numpy()
        read = [_read(t, manifest, "keep") for t in both]
        found["reading_error"][rows] = error_rates(read[0], read[1], by_sound=True).to_numpy()
    return found


def _cleaned(texts: pl.Series, manifest: SpeechManifest) -> pl.Series:
    """Transcripts normalised and put as they are spoken; null stays null."""
    settings = manifest.clean
    whole = normalise(texts.fill_null(""), settings.compatibility)
    found = spoken(whole, settings.tags, settings.speakers, settings.fillers)
    return found.set(texts.is_null(), None)


def _read(texts: pl.Series, manifest: SpeechManifest, fillers: Treatment) -> pl.Series:
    """Readings of transcripts as they came: nobody pronounces tags and marks."""
    whole = normalise(texts.fill_null(""), manifest.clean.compatibility)
    found = spoken(whole, "remove", manifest.clean.speakers, fillers)
    return readings(found.set(texts.is_null(), None), manifest.transcripts.dictionary)


def measured(manifest: SpeechManifest, partition: Partition, part: Part) -> Measured:
    """Clean the transcripts of a partition, decode every recording once, compute every measure."""
    held: Held = source(manifest.source.format).read(partition, part.raw)
    try:
        frame = held.frame = _named(held.frame)
        raw = frame["transcript"]
        texts = _cleaned(raw, manifest)
        found, sizes, digests = _inspected(manifest, held)
    finally:
        held.close()
    fillers = manifest.clean.fillers
    read = _read(raw, manifest, "keep" if fillers == "mark" else fillers)
    given: dict[str, np.ndarray] = dict(found.counters)
    given["n_morae"] = morae(read.fill_null("")).to_numpy()
    given |= _compared(manifest, raw, frame["second"])
    plain = texts.fill_null("")
    measures = compute(*buffers(plain), manifest.measures, given)
    problems = [b and b.replace("max_seconds", "recordings.longest") for b in found.problems]
    reasons = [a or b for a, b in zip(frame["problem"], problems, strict=True)]
    for i, (start, end) in enumerate(frame.select("start", "end").iter_rows()):
        # Half a second: what encoders add and headers round.
        if reasons[i] is None and end is not None and end - (start or 0) > found.counters["duration"][i] + 0.5:
            reasons[i] = f"the recording ends before the stretch from {start or 0:g} to {end:g} s does"
    unreadable = pl.Series(reasons, dtype=pl.String)
    bad = unreadable.is_not_null()
    milliseconds = np.rint(found.counters["duration"].astype(np.float64) * 1000).astype(np.int64)
    promised = (frame["duration"].fill_null(0).clip(0, 1e6) * 1000).cast(pl.Int64).to_numpy()
    table = pa.table(
        {
            "locator": frame["locator"].to_arrow(),
            "bytes": sizes,
            "amount_in": np.where(bad.to_numpy(), promised, milliseconds),
            "amount": np.where(bad.to_numpy(), 0, milliseconds),
            "payload": np.where(bad.to_numpy(), 0, sizes),
            "unreadable": unreadable.to_arrow(),
            "head": pl.select(pl.when(bad).then(raw.str.head(EXCERPT))).to_series().to_arrow(),
            "exact": found.exact,
            "key_length": milliseconds.astype(np.int32),
            "flat": found.flat,
            "size": milliseconds,
            "score": (measures["snr"].fill_null(0).clip(0, 60) / 60).fill_nan(0).cast(pl.Float32).to_arrow(),
            "key": _sentence_keys(frame["speaker"], read),
            "reencode": found.needs_reencoding,
            "speaker": frame["speaker"].to_arrow(),
            "programme": frame["programme"].to_arrow(),
            "second_excerpt": frame["second"].str.head(EXCERPT).to_arrow(),
            "license": frame["license"].to_arrow(),
            "name": frame["name"].to_arrow(),
            "digest": digests,
            "start": frame["start"].to_arrow(),
            "end": frame["end"].to_arrow(),
            "said": texts.is_not_null().to_arrow(),
            "reading": read.to_arrow(),
            **{f"m:{name}": measures[name].to_arrow() for name in measures.columns},
            "text": plain.to_arrow(),
        }
    )
    arrays = {"sketches": found.descriptors, "hashes": found.hashes}
    if manifest.deduplicate.similar_transcripts is not None:
        of_text = _compared_as_text(manifest, plain)
        arrays |= {"text_signatures": of_text.minima.astype(np.uint16), "text_sketches": of_text.sketches}
        table = table.append_column("text_exact", pa.array(of_text.exact)).append_column(
            "text_key_length", pa.array(of_text.lengths)
        )
    return Measured(table, arrays, {}, keeps_raw=True)


def _compared_as_text(manifest: SpeechManifest, texts: pl.Series) -> Signatures:
    d = manifest.deduplicate.transcripts
    return signatures(*buffers(texts), d.permutations, d.seed, d.shingle, SKETCH_BINS)


def _sentence_keys(speakers: pl.Series, read: pl.Series) -> pa.Array:
    """Hashes of speaker and reading: null where either is unknown or empty."""
    known = speakers.is_not_null() & (read.fill_null("") != "")
    keys = hash_strings(
        *buffers(pl.select(pl.concat_str(speakers.fill_null(""), read.fill_null(""), separator="\0")).to_series())
    )
    return pl.Series(keys).set(~known, None).to_arrow()


def warm(manifest: SpeechManifest) -> None:
    """Compile (or load from numba's cache) every kernel, and load the dictionary, so that no partition waits for it."""
    rate = manifest.recordings.rate
    time = np.arange(rate) / rate
    found = inspect([reencode((0.1 * np.sin(2000 * time) * (time > 0.3)).astype(np.float32), rate)], rate=rate)
    given: dict[str, np.ndarray] = dict(found.counters) | {name: np.zeros(1, np.float32) for name in _ERRORS}
    given["n_morae"] = np.zeros(1, np.int32)
    text = pl.Series(["えー、（笑）田中さんは３台のﾊﾞｽ。"])
    cleaned = _cleaned(text, manifest)
    read = readings(cleaned, manifest.transcripts.dictionary)
    error_rates(read, read, by_sound=True)
    named = [name for name in manifest.measures if MEASURES[name].kind in manifest.kinds]
    compute(*buffers(cleaned), named, given)
    if manifest.deduplicate.similar_transcripts is not None:
        _compared_as_text(manifest, cleaned)
    source(manifest.source.format).warm()


def warnings(total: dict[str, int]) -> list[str]:
    return []


# -- write


def ledger_fields(manifest: SpeechManifest) -> list[pa.Field]:
    """Who speaks, and where; how many recordings of a sentence a speaker has, of records that were left after deduplication."""
    d = manifest.deduplicate
    names = ["sentence_recordings", *(["similar_recordings"] if d.similar_transcripts is not None else [])]
    counts = [pa.field(name, pa.uint32()) for name in names] if d.enabled else []
    return [*(pa.field(name, pa.string()) for name in ("speaker", "programme", "second_excerpt")), *counts]


def kept_together(batch: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """A speaker's recordings, else a programme's, else near duplicates: a model must not be tried on voices that it knows."""
    return pl.select(pl.coalesce(batch["speaker"], batch["programme"], rows["cluster_id"])).to_series()


def schema(manifest: SpeechManifest) -> pa.Schema:
    """With what `datasets` takes for the type of every column."""
    features: dict[str, Any] = {name: {"dtype": kind, "_type": "Value"} for name, _, kind in _FIELDS}
    features["audio"] = {"sampling_rate": manifest.recordings.rate, "_type": "Audio"}
    fields = [pa.field(name, kind) for name, kind, _ in _FIELDS]
    return pa.schema(fields).with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def row_group(manifest: SpeechManifest) -> tuple[int, str | None]:
    return manifest.shards.row_group, "audio.bytes"


def shard_rows(
    manifest: SpeechManifest, part: Part, batch: pl.DataFrame, rows: pl.DataFrame
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Tables of at most some 64 MB of audio: FLAC as it came where it has the rate of the corpus, else encoded anew, or cut."""
    settings = manifest.recordings
    held = Held(pl.read_ipc(part.raw).gather(batch["row"]))
    seconds = batch["amount"].to_numpy() / 1000
    long = seconds > settings.cut if settings.cut is not None else np.zeros(len(batch), bool)
    spanned = (batch["start"].is_not_null() | batch["end"].is_not_null()).to_numpy()
    anew = long | spanned | batch["reencode"].to_numpy()
    ends = np.cumsum(batch["payload"].to_numpy()) // BATCH_BYTES
    try:
        for chosen in np.split(np.arange(len(batch)), np.flatnonzero(np.diff(ends)) + 1) if len(batch) else ():
            if not anew[chosen].any():
                content = held.contents(chosen.tolist())
                for i, blob in zip(chosen.tolist(), content, strict=True):
                    _check_unchanged(blob.as_buffer(), batch, i)
                yield _table(manifest, batch, rows, chosen, content, seconds[chosen], np.zeros(len(chosen), np.int64)), chosen
                continue
            size = 0
            waiting: list[tuple[int, bytes, float, int]] = []  # record, FLAC, seconds, number of the piece (0: all of it)
            for i in chosen.tolist():
                for nth, (content, length) in enumerate(_made(manifest, held, batch, i, bool(anew[i]), bool(long[i]))):
                    waiting.append((i, content, length, nth + 1 if long[i] else 0))
                    size += len(content)
                    if size >= BATCH_BYTES:
                        yield _joined(manifest, batch, rows, waiting)
                        waiting, size = [], 0
            if waiting:
                yield _joined(manifest, batch, rows, waiting)
    finally:
        held.close()


def _made(
    manifest: SpeechManifest, held: Held, batch: pl.DataFrame, i: int, anew: bool, long: bool
) -> Iterator[tuple[bytes, float]]:
    """FLAC and seconds of record i of a batch: as it came, encoded anew, or in pieces."""
    sound = _sound(held, i) or b""
    _check_unchanged(sound, batch, i)
    if anew:
        yield from _encoded(manifest, sound, batch["start"][i], batch["end"][i], long)
    else:
        yield (sound if isinstance(sound, bytes) else held.content(i) or b""), batch["amount"][i] / 1000


def _check_unchanged(sound: Any, batch: pl.DataFrame, i: int) -> None:
    """Raises InputError where a recording is not the one that was measured: a shard must hold what the ledger tells of."""
    if _digest(sound) != batch["digest"][i]:
        raise InputError(f"the recording {batch['locator'][i]} has changed since it was measured: run the same command again")


def _joined(
    manifest: SpeechManifest, batch: pl.DataFrame, rows: pl.DataFrame, made: list[tuple[int, bytes, float, int]]
) -> tuple[pa.Table, np.ndarray]:
    of, content, seconds, pieces = zip(*made, strict=True)
    which = np.array(of, np.int64)
    table = _table(manifest, batch, rows, which, pa.array(content, pa.binary()), np.array(seconds), np.array(pieces))
    return table, which


def _encoded(
    manifest: SpeechManifest, sound: Source, start: float | None, end: float | None, long: bool
) -> Iterator[tuple[bytes, float]]:
    """FLAC and seconds of a recording, or of its pieces where it is too long."""
    settings = manifest.recordings
    samples = decode(sound, rate=settings.rate, start=start or 0.0, end=end, max_seconds=settings.longest).samples
    for first, last in _pieces(samples, settings.rate, settings.cut) if long and settings.cut else [(0, len(samples))]:
        yield reencode(samples[first:last], settings.rate), (last - first) / settings.rate


def _pieces(samples: np.ndarray, rate: int, longest: float) -> list[tuple[int, int]]:
    """Where to cut: pieces of at most `longest` seconds, about equally long, each ending in the middle of the nearest silence if any."""
    starts, ends = silences(samples if rate == RATE else resampled(samples, rate, RATE))
    middles = ((starts + ends) * (rate / RATE) / 2).astype(np.int64)
    most, found, at = int(longest * rate), [], 0
    while len(samples) - at > most:
        left = len(samples) - at
        equal = at + left // -(-left // most)
        # None so short, the last one included, that it is a sliver.
        within = middles[(middles > at + most // 4) & (middles <= min(at + most, len(samples) - most // 4))]
        end = int(within[np.argmin(np.abs(within - equal))]) if len(within) else equal
        found.append((at, end))
        at = end
    return [*found, (at, len(samples))]


def _table(
    manifest: SpeechManifest, batch: pl.DataFrame, rows: pl.DataFrame, of: np.ndarray, content: pa.Array, seconds: np.ndarray,
    pieces: np.ndarray,
) -> pa.Table:  # fmt: skip
    nth = pl.Series("nth", pieces, dtype=pl.Int64)
    tail = pl.when(pl.col("nth") > 0).then(pl.format("-{}", pl.col("nth").cast(pl.String).str.zfill(4))).otherwise(pl.lit(""))
    name = pl.coalesce("name", "locator").str.replace(r"^.*/", "").str.replace(r"(.)\.[^.]*$", "${1}")
    whole = (pl.col("nth") == 0) & pl.col("said")
    here = batch[of].with_columns(nth, ids=rows["id"].gather(of), size_of=rows["cluster_size"].gather(of))
    here = here.select(
        "speaker",
        "programme",
        "size_of",
        id=pl.concat_str("ids", tail),
        path=pl.concat_str(pl.when(name == "").then(pl.lit("audio")).otherwise(name), tail, pl.lit(".flac")),
        transcript=pl.when(whole).then("text"),
        reading=pl.when(whole).then("reading"),
        license=pl.col("license").fill_null(manifest.license),
    )
    columns = {
        "id": here["id"].to_arrow(),
        "audio": pa.StructArray.from_arrays([content, here["path"].to_arrow().cast(pa.string())], fields=[*_FIELDS[1][1]]),
        "transcript": here["transcript"].to_arrow(),
        "reading": here["reading"].to_arrow(),
        "duration": pa.array(seconds.astype(np.float32)),
        "sampling_rate": pa.repeat(pa.scalar(manifest.recordings.rate, pa.int32()), len(of)),
        "speaker": here["speaker"].to_arrow(),
        "programme": here["programme"].to_arrow(),
        "source": pa.repeat(pa.scalar(manifest.name), len(of)),
        "license": here["license"].to_arrow(),
        "cluster_size": here["size_of"].to_arrow(),
    }
    return pa.table(columns).cast(schema(manifest))
