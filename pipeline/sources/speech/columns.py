"""Columns of recordings with transcripts: the schema of rows, and the names that corpora in the wild have for its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from pipeline.sources.formats.columns import PROBLEM, match_columns
from pipeline.sources.formats.jsonl import build_string_columns
from pipeline.sources.pointers import LONGEST_TEXT
from pipeline.sources.rows import CONTENT_POINTERS, TEXT_POINTERS
from pipeline.sources.values import conform_to_schema, make_all_printable, stringify_scalars

# The columns of a row; for the last ones see `Rows`. Where `start` or `end` are given, in seconds, the record is that stretch of the
# recording. `duration` is what the list says of the record, `total` and `sampling_rate` what it says of the whole recording. `channels` are
# those of the file that are meant, from 0, null for all. `second` is another transcript, such as a recogniser's; `programme` what the
# recording is a part of; `license` and `source` are its own. `problem` says why there is no audio. Audio that nobody transcribed has no
# transcript and no problem.
_COLUMNS: dict[str, Any] = (
    dict.fromkeys(("locator", "transcript", "second", "speaker", "programme"), pl.String)
    | dict.fromkeys(("start", "end", "duration", "total"), pl.Float64)
    | {"sampling_rate": pl.Int64, "channels": pl.List(pl.Int64)}
    | dict.fromkeys(("license", "source", "name", "problem"), pl.String)
    | CONTENT_POINTERS
    | TEXT_POINTERS
    | {"content_bytes": pl.Binary}
)
SCHEMA = pl.Schema(_COLUMNS)
LONGEST_TRANSCRIPT = LONGEST_TEXT  # bytes; a longer one is not read

# Names in the wild, best first, case aside: Common Voice, NeMo, WeNet, Emilia, `datasets`, and Seimai's own shards.
SYNONYMS = {
    "id": ("id", "key", "__key__", "utt_id", "utterance_id", "segment_id"),
    "path": (
        "path", "audio_filepath", "file_name", "filename", "wav", "audio_path", "audio_file", "wav_path", "filepath", "file", "audio",
    ),
    "transcript": ("transcript", "transcription", "sentence", "text", "txt"),
    "second": ("second", "pred_text", "hypothesis"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk_id", "spk"),
    "programme": ("programme", "program", "album", "book", "chapter_id", "chapter"),
    "start": ("start", "offset", "begin"),
    "end": ("end",),
    "duration": ("duration",),
    "sampling_rate": ("sampling_rate", "sample_rate", "samplerate"),
    "channel": ("channel",),
    "shard": ("shard_id",),
    "license": ("license", "licence", "ライセンス"),
    "source": ("source", "source_name", "出典"),
}  # fmt: skip
AUDIO_COLUMNS = {"audio", "speech", "recording", "wav", "flac", "mp3", "ogg", "opus", "bytes"}
_KNOWN = {word for words in SYNONYMS.values() for word in words}
_NUMBERS = ("start", "end", "duration", "sampling_rate")

AUDIO_SUFFIXES = frozenset(
    "wav wave flac mp3 mp2 ogg oga opus m4a m4b mp4 aac wma aif aiff aifc au snd caf w64 amr sph webm".split()
)
_AUDIO_NAME = re.compile(r"(?i)[^/]\.(" + "|".join(sorted(AUDIO_SUFFIXES)) + r")$")


def is_audio_name(name: str) -> bool:
    return _AUDIO_NAME.search(name) is not None


def strip_audio_suffix(name: str) -> str:
    """Return a name without .wav or its like."""
    return name[: name.rfind(".")] if is_audio_name(name) else name


def match(names: Iterable[str]) -> dict[str, str]:
    """Return which column of a table stands for which standard one."""
    return match_columns(names, SYNONYMS)


def standardise(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the standard columns that a table has, with standard names and types, and its `PROBLEM` where it has one.

    A value that is no number becomes null, but a start or an end that is none becomes NaN.
    """
    columns = []
    for standard, name in match(frame.columns).items():
        kind = frame.schema[name]
        if not kind.is_nested() and kind != pl.Binary:
            column = _to_number(pl.col(name), standard) if standard in _NUMBERS else pl.col(name).cast(pl.String, strict=False)
            columns.append(column.alias(standard))
    table = frame.select(*columns, *([PROBLEM] if PROBLEM in frame.columns else []))
    if {"start", "duration"} <= set(table.columns):
        end = pl.col("end") if "end" in table.columns else pl.lit(None, pl.Float64)
        table = table.with_columns(end=pl.coalesce(end, pl.col("start") + pl.col("duration")))
    if "channel" in table.columns:
        # The name of a station is no channel of a file.
        channel = pl.col("channel").str.extract(r"^\s*(\d{1,4})(\.0)?\s*$").cast(pl.Int64)
        table = table.with_columns(channels=pl.when(channel.is_not_null()).then(pl.concat_list(channel))).drop("channel")
    return table


def _to_number(column: pl.Expr, standard: str) -> pl.Expr:
    number = column.cast(pl.Float64, strict=False)
    # NaN is a time that was given and is none: it must not become the whole recording.
    otherwise = pl.when(column.is_not_null() & pl.lit(standard in ("start", "end"))).then(float("nan"))
    return pl.when(number.is_finite() & (number >= 0)).then(number).otherwise(otherwise)


def standardise_objects(objects: list[dict[str, Any]], named_columns: Mapping[str, str]) -> pl.DataFrame:
    """Return the standard columns of flat JSON objects; values that are no scalars are left out.

    `named_columns` says what the manifest calls some of the standard ones.
    """
    standard_names = {name: standard for standard, name in named_columns.items()}
    # Only what is known becomes a column: keys that differ from line to line would be as many columns.
    rows = [
        {
            standard_names.get(key, key): value
            for key, value in stringify_scalars(one).items()
            if key in standard_names or (key not in named_columns and key.strip().lower() in _KNOWN)
        }
        for one in objects
    ]
    return standardise(build_string_columns(rows))


def conform(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with the columns of `SCHEMA`, names printable, and no second transcript that is too long to be read."""
    frame = conform_to_schema(frame, SCHEMA)
    length = pl.col("second").str.len_bytes()
    is_long = (length > LONGEST_TRANSCRIPT).fill_null(False)
    problem = pl.format(f"second transcript of {{}} bytes, over {LONGEST_TRANSCRIPT}", length)
    return frame.with_columns(
        make_all_printable(frame["name"]),
        second=pl.when(~is_long).then("second"),
        problem=pl.coalesce("problem", pl.when(is_long).then(problem)),
    )
