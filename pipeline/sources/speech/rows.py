"""What a reader of recordings yields: frames of one standard form, whatever the columns were called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.sources.pointers import LONGEST_TEXT
from pipeline.sources.values import all_printable, completed, scalars

# The columns of a row. A recording is `size` bytes at `at` of the file `place`, or else it is `blob`; where `start` or `end` are given,
# the record is that stretch of it. `second` is another transcript, such as a recogniser's; `programme` what the recording is a part of.
# `problem` says why there is no audio. Audio that nobody transcribed has no transcript and no problem.
SCHEMA = pl.Schema(
    {
        "locator": pl.String,
        "transcript": pl.String,
        "second": pl.String,
        "speaker": pl.String,
        "programme": pl.String,
        "start": pl.Float64,
        "end": pl.Float64,
        "duration": pl.Float64,
        "license": pl.String,
        "name": pl.String,
        "problem": pl.String,
        "place": pl.String,
        "at": pl.Int64,
        "size": pl.Int64,
        "text_at": pl.Int64,
        "text_size": pl.Int64,
        "blob": pl.Binary,
    }
)
LONGEST = LONGEST_TEXT  # bytes of a transcript; a longer one is not read

# Names in the wild beside the standard one, best first, case aside: Common Voice, NeMo, WeNet, Emilia, `datasets`, and Seimai's own shards.
SYNONYMS = {
    "id": ("key", "__key__", "utt_id", "utterance_id", "segment_id"),
    "path": ("audio_filepath", "file_name", "filename", "wav", "audio_path", "audio_file", "wav_path", "filepath", "file", "audio"),
    "transcript": ("transcription", "sentence", "text", "txt"),
    "second": ("pred_text", "hypothesis"),
    "speaker": ("speaker_id", "client_id", "spk_id", "spk"),
    "programme": ("program", "album", "book", "chapter_id", "chapter"),
    "start": ("offset", "begin"),
    "end": (),
    "duration": (),
    "license": ("licence",),
}  # fmt: skip
_KNOWN = {name for ours, words in SYNONYMS.items() for name in (ours, *words)}
_NUMBERS = ("start", "end", "duration")

AUDIO_SUFFIXES = frozenset(
    "wav wave flac mp3 mp2 ogg oga opus m4a m4b mp4 aac wma aif aiff aifc au snd caf w64 amr sph webm".split()
)
_AUDIO_NAME = re.compile(r"(?i)[^/]\.(" + "|".join(sorted(AUDIO_SUFFIXES)) + r")$")


def is_audio_name(name: str) -> bool:
    return _AUDIO_NAME.search(name) is not None


def matched(names: list[str]) -> dict[str, str]:
    """Which column of a table stands for which standard one: itself, or the first of its synonyms that is there."""
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.strip().lower(), name)
    return {
        ours: next(by_lower[word] for word in (ours, *words) if word in by_lower)
        for ours, words in SYNONYMS.items()
        if any(word in by_lower for word in (ours, *words))
    }


def renamed(frame: pl.DataFrame) -> pl.DataFrame:
    """The standard columns that a table has, with standard names and types; a value that is no number becomes null."""
    chosen = []
    for ours, theirs in matched(frame.columns).items():
        kind = frame.schema[theirs]
        if kind.is_nested() or kind == pl.Binary:
            continue
        column = pl.col(theirs)
        if ours in _NUMBERS:
            number = column.cast(pl.Float64, strict=False)
            # NaN is a time that was given and is none: it must not become the whole recording.
            otherwise = pl.when(column.is_not_null() & pl.lit(ours != "duration")).then(float("nan"))
            column = pl.when(number.is_finite() & (number >= 0)).then(number).otherwise(otherwise)
        else:
            column = column.cast(pl.String, strict=False)
        chosen.append(column.alias(ours))
    found = frame.select(chosen)
    if {"start", "duration"} <= set(found.columns) and "end" not in found.columns:
        found = found.with_columns(end=pl.col("start") + pl.col("duration"))
    return found


def from_objects(found: list[dict[str, Any]], columns: Mapping[str, str]) -> pl.DataFrame:
    """Standard columns of flat JSON objects; values that are no scalars are left out. `columns` are names that a manifest gives."""
    theirs = {value: name for name, value in columns.items()}
    # Only what is known becomes a column: keys that differ from line to line would be as many columns.
    flat = [
        {
            theirs.get(k, k): v
            for k, v in scalars(one).items()
            if k in theirs or (k not in columns and k.strip().lower() in _KNOWN)
        }
        for one in found
    ]
    names = list(dict.fromkeys(name for one in flat for name in one))
    table = pl.DataFrame({n: [one.get(n) for one in flat] for n in names}, schema=dict.fromkeys(names, pl.String))
    return renamed(table)


def finished(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with every column of `SCHEMA`, names printable, and no second transcript that is too long to be read."""
    frame = completed(frame, SCHEMA)
    length = pl.col("second").str.len_bytes()
    long = (length > LONGEST).fill_null(False)
    problem = pl.format(f"second transcript of {{}} bytes, over {LONGEST}", length)
    return frame.with_columns(
        all_printable(frame["name"]),
        second=pl.when(~long).then("second"),
        problem=pl.coalesce("problem", pl.when(long).then(problem)),
    )
