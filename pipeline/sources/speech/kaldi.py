"""Kaldi's data folders (kaldi-asr.org/doc/data_prep.html): wav.scp, and beside it text, segments, utt2spk, reco2file_and_channel.

- wav.scp: `recording path`; a command that ends in | is never run, and neither is an offset into an archive followed
- segments: `utterance recording start end [channel]`, in seconds; an end of -1 is the end of the recording
- text: `utterance what is said`; utt2spk: `utterance speaker`; reco2dur: `recording seconds`
- reco2file_and_channel: `recording file A|B`: the channel of the file in which a recording is
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.lines import read_file_lines
from pipeline.sources.values import make_all_printable

WAV_SCP = "wav.scp"
COMPANIONS = ("text", "segments", "utt2spk", "reco2dur", "reco2file_and_channel")
_COMMAND = (
    "no audio: wav.scp has a command for this recording, and commands are never run: write its output to a file and name that"
)
_ARCHIVE = "no audio: wav.scp points into an archive, which is not read: name a file"
_NO_SEGMENT_OF = "no audio: segments names a recording that wav.scp does not have"
_NO_UTTERANCE = "no audio: text names it, {} does not have it"
_CHANNELS = {"A": 0, "B": 1}
_SPACE = r"^\s*(\S+)\s*(.*?)\s*$"


def find_companions(path: Path) -> list[Path]:
    return [companion for name in COMPANIONS if (companion := path.with_name(name)).is_file()]


def read_folder(wav_scp: Path, complete: bool) -> pl.DataFrame:
    """Return a row for every utterance, in the order of segments, else of wav.scp; then those that text names and nothing else does.

    The columns are those of `columns.SCHEMA` with `id` and `path`, and `PROBLEM`.
    """
    recordings = _read_pairs(wav_scp, complete).rename({"key": "recording", "value": "path"})
    recordings = _refuse_commands(recordings)
    recordings = _add_column(recordings, "recording", wav_scp.with_name("reco2dur"), "total").with_columns(
        total=pl.col("total").cast(pl.Float64, strict=False)
    )
    recordings = _add_channels(recordings, wav_scp.with_name("reco2file_and_channel"))
    segments = wav_scp.with_name("segments")
    if segments.is_file():
        frame = _read_segments(segments, recordings)
    else:
        frame = recordings.with_columns(id="recording", programme=pl.lit(None, pl.String), duration="total")
    frame = _add_column(frame, "id", wav_scp.with_name("text"), "transcript")
    frame = pl.concat([frame, _list_unused(frame, wav_scp.with_name("text"), segments.is_file())], how="diagonal")
    frame = _add_column(frame, "id", wav_scp.with_name("utt2spk"), "speaker")
    return frame.with_columns(make_all_printable(frame["id"]))


def _read_pairs(path: Path, complete: bool = True) -> pl.DataFrame:
    """Return `key`, `value` and `PROBLEM` of lines `key value`. A key that is there twice, with another value, is a problem of both."""
    try:
        frames = [
            lines.select(
                key=pl.col("line").str.extract(_SPACE, 1),
                value=pl.col("line").str.extract(_SPACE, 2).fill_null(""),
                problem=PROBLEM,
            )
            for lines in read_file_lines(path, complete)
        ]
    except InputError as error:
        raise InputError(f"goes with {path.name}, which {error}") from None
    schema = {"key": pl.String, "value": pl.String, "problem": pl.String}
    pairs = (pl.concat(frames) if frames else pl.DataFrame(schema=schema)).unique(maintain_order=True)
    twice = pl.format(f"{path.name} has {{}} with several values", "key")
    return pairs.with_columns(pl.coalesce("problem", pl.when(pl.col("key").is_duplicated()).then(twice)).alias(PROBLEM)).drop(
        "problem"
    )


def _refuse_commands(recordings: pl.DataFrame) -> pl.DataFrame:
    path = pl.col("path")
    reason = (
        pl.when(path.str.contains(r"\|\s*$|^\s*\|"))
        .then(pl.lit(_COMMAND))
        .when(path.str.contains(r":\d+(\[[^\]]*\])?$"))
        .then(pl.lit(_ARCHIVE))
    )
    problem = pl.coalesce(PROBLEM, reason)
    return recordings.with_columns(problem.alias(PROBLEM)).with_columns(path=pl.when(reason.is_null()).then(path))


def _add_column(frame: pl.DataFrame, key: str, path: Path, name: str) -> pl.DataFrame:
    """Return `frame` with what another file says of its `key`, null where it says nothing, or there is none."""
    if not path.is_file():
        return frame.with_columns(pl.lit(None, pl.String).alias(name))
    pairs = _read_pairs(path).unique("key", keep="first", maintain_order=True)
    pairs = pairs.select(pl.col("key").alias(key), pl.col("value").alias(name), other=PROBLEM)
    frame = frame.join(pairs, on=key, how="left", maintain_order="left")
    return frame.with_columns(pl.coalesce(PROBLEM, "other").alias(PROBLEM)).drop("other")


def _add_channels(recordings: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return recordings with the channel that reco2file_and_channel says; where it says one that is none, with a problem."""
    frame = _add_column(recordings, "recording", path, "side")
    side = pl.col("side").str.extract(r"\s(\S+)$")
    number = side.replace_strict(_CHANNELS, default=None, return_dtype=pl.Int64)
    # Where every recording is a file of its own, side A is all of it.
    shared = pl.col("path").is_duplicated() | (number > 0)
    wrong = pl.when(side.is_not_null() & number.is_null()).then(
        pl.format("no channel {}: reco2file_and_channel has A and B", side)
    )
    return frame.with_columns(
        pl.coalesce(PROBLEM, wrong).alias(PROBLEM), channels=pl.when(shared & number.is_not_null()).then(pl.concat_list(number))
    ).drop("side")


def _read_segments(path: Path, recordings: pl.DataFrame) -> pl.DataFrame:
    pairs = _read_pairs(path)
    fields = pl.col("value").str.extract_all(r"\S+")
    count = fields.list.len()

    def get(i: int) -> pl.Expr:
        return fields.list.get(i, null_on_oob=True)

    start, end = get(1).cast(pl.Float64, strict=False), get(2).cast(pl.Float64, strict=False)
    channel = get(3).replace({"A": "0", "B": "1"}).cast(pl.Int64, strict=False)
    is_wrong = ~count.is_in([3, 4]) | start.is_null() | end.is_null() | ((count == 4) & channel.is_null())
    wrong = pl.when(is_wrong).then(pl.lit("segments: the line is not: utterance recording start end [channel]"))
    frame = pairs.select(
        id="key",
        recording=get(0),
        start=start,
        end=pl.when(end != -1).then(end),
        channel=pl.when(channel >= 0).then(channel),
        own=pl.coalesce(PROBLEM, wrong),
    )
    known = recordings.unique("recording", keep="first", maintain_order=True).with_columns(is_known=True)
    frame = frame.join(known, on="recording", how="left", maintain_order="left")
    missing = pl.when(pl.col("is_known").is_null()).then(pl.lit(_NO_SEGMENT_OF))
    return frame.with_columns(
        pl.coalesce("own", missing, PROBLEM).alias(PROBLEM),
        programme="recording",
        channels=pl.when(pl.col("channel").is_not_null()).then(pl.concat_list("channel")).otherwise("channels"),
    ).drop("own", "is_known", "channel")


def _list_unused(frame: pl.DataFrame, text: Path, has_segments: bool) -> pl.DataFrame:
    """Return rows for what text has, and no utterance is called."""
    if not text.is_file():
        return frame.clear()
    problem = _NO_UTTERANCE.format("segments" if has_segments else WAV_SCP)
    unused = _read_pairs(text).filter(~pl.col("key").is_in(frame["id"].implode()))
    return unused.select(id="key", transcript="value").with_columns(pl.lit(problem).alias(PROBLEM))
