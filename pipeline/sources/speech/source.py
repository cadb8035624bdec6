"""Recordings with transcripts in the forms that they come in, recognised by content.

- ReazonSpeech: tars of FLAC, with lists of transcripts (TSV without a header) in the same folder or, of v2, in v2-tsv; FLEURS
- WebDataset tars of KEY.flac (mp3, wav, …) with KEY.txt or KEY.json, such as Emilia's
- Common Voice: TSV under a header, with the recordings in clips/, or all of it in the tar that it comes in
- CSV and TSV under a header that names a path and what is said
- JSON lines: NeMo's manifests, tarred ones, too; lhotse's cuts, Shar, or supervisions with recordings; a path in them leads into their
  folder or `source.audio`
- Kaldi's folders with wav.scp
- a folder of recordings: JSUT, JVS, ITA, LibriSpeech, LJSpeech, VITS, VCTK, KEY.txt with KEY.wav, or audio alone
- what `datasets` saves, Parquet or Arrow with an Audio feature, and corpora that Seimai built

What of a folder is not read, and may have transcripts, is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.core.names import make_printable
from pipeline.sources.base import CutState, Fields, Range
from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.lines import peek_lines
from pipeline.sources.formats.other_files import refuse_other_files
from pipeline.sources.formats.tar import BLOCK, is_tar
from pipeline.sources.inputs import InputFile, is_url
from pipeline.sources.pointers import PointerSource, RowKind, add_warnings
from pipeline.sources.rows import Rows
from pipeline.sources.speech import common_voice, inputs, kaldi, tables, tars
from pipeline.sources.speech.columns import LONGEST_TRANSCRIPT, conform
from pipeline.sources.speech.file_index import FileIndex, find_shard_number
from pipeline.sources.speech.manifests import read_manifest
from pipeline.sources.speech.recording_lookup import RecordingLookup
from pipeline.sources.speech.transcribed_folder import read_transcribed_folder
from pipeline.sources.speech.unused_lists import tell_unlisted

_NEMO_SHARDS = "sharded_manifests"  # a folder beside the tars


class SpeechSource(PointerSource):
    """Recordings with transcripts."""

    name: ClassVar[str] = "speech"
    modality: ClassVar[str] = "speech"
    options: ClassVar[tuple[str, ...]] = ("audio", "transcripts")
    columns: ClassVar[tuple[str, ...]] = (
        "audio", "id", "path", "transcript", "second", "speaker", "programme", "start", "end", "duration",
        "sampling_rate", "channel", "license", "source",
    )  # fmt: skip
    row_kind: ClassVar[RowKind] = RowKind("audio", "transcript", LONGEST_TRANSCRIPT, shared=True)

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        """Return the input files of paths, globs, URLs and folders, each with the files that are read along with it."""
        return inputs.find_inputs(patterns, **options)

    def frames(self, file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
        """Yield the rows of an input file with the columns of `SCHEMA`."""
        if file.note:
            add_warnings(state, [file.note])
        if path.is_dir():
            folder = read_transcribed_folder(path)
            add_warnings(state, folder.warnings)
            yield folder.frame
            return
        with open(path, "rb") as opened:
            head = opened.read(BLOCK)
        if not head:
            raise InputError("is empty")
        if is_tar(head) or file.url.split("?")[0].endswith(".tar"):
            yield from tars.read_tar(file, path, state)
        else:
            yield from _read_table(file, path, state)

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        """Return the rows of a range, with their transcripts read."""
        rows = super().read(piece, file, body, fields)
        frame, _ = rows.texts("transcript")
        rows.frame = frame.with_columns(text_offset=pl.lit(None, pl.Int64), text_size=pl.lit(None, pl.Int64))
        return rows


def _read_table(file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    refuse_other_files(path)
    is_complete, first_lines = state.damage is None, peek_lines(path)
    folders = [folder for url in file.companions if (folder := Path(url)).is_dir()]
    companions = tuple(url for url in file.companions if not Path(url).is_dir())
    earlier: set[str] = set()
    if Path(file.url).name == kaldi.WAV_SCP and not is_url(file.url):
        frames = iter([kaldi.read_folder(Path(file.url), is_complete)])
    elif first_lines and first_lines[0].lstrip().startswith("{"):
        frames = read_manifest(path, is_complete, state.columns, companions)
    else:
        frames = tables.read_table(path, is_complete, state.columns)
        earlier = _read_paths(companions, state)
    lookup = _build_lookup(file, state)
    durations = None if is_url(file.url) else common_voice.read_durations(Path(file.url).parent)
    count, locators = 0, set[str]()
    for frame in frames:
        if durations is not None and "path" in frame.columns and "duration" not in frame.columns:
            frame = frame.join(durations, on="path", how="left", maintain_order="left").rename({"declared": "duration"})
        if earlier:
            frame = frame.filter(~pl.col("path").is_in(list(earlier)).fill_null(False))
        frame = tables.add_locators(frame, count, locators)
        count += len(frame)
        yield _locate_recordings(frame, lookup, file, state)
    for folder in folders:
        add_warnings(state, _find_unlisted(folder, lookup, file))


def _find_unlisted(folder: Path, lookup: RecordingLookup, file: InputFile) -> list[str]:
    """Return a warning about recordings in a folder, in its tars as well, that its only list does not name."""
    entries = FileIndex([folder]).entries
    unlisted = [one for one in entries if (os.path.realpath(one.file), one.offset) not in lookup.used]
    return tell_unlisted(len(unlisted), make_printable(unlisted[0].name) if unlisted else "", file.name)


def _read_paths(lists: tuple[str, ...], state: CutState) -> set[str]:
    """Return the recordings in lists that are inputs before this one."""
    frames = (frame for path in lists for frame in tables.read_table(Path(path), True, state.columns))
    return {path for frame in frames for path in frame["path"].drop_nulls()}


def _build_lookup(file: InputFile, state: CutState) -> RecordingLookup:
    parent = [] if is_url(file.url) else [Path(file.url).parent]
    clips = [folder / "clips" for folder in parent if (folder / "clips").is_dir()]
    above = [folder.parent for folder in parent if folder.name == _NEMO_SHARDS]
    audio = Path(state.content) if state.content else None
    return RecordingLookup([*clips, *parent, *above], audio, Path(file.url).name.split(".")[0], find_shard_number(file.url))


def _locate_recordings(frame: pl.DataFrame, lookup: RecordingLookup, file: InputFile, state: CutState) -> pl.DataFrame:
    """Return `frame` with the columns of `SCHEMA`, which say where its recordings are: in it, or in files that it names."""
    if "path" not in frame.columns:
        frame = frame.with_columns(path=pl.lit(None, pl.String))
    has_bytes = pl.col("content_bytes").is_not_null() if "content_bytes" in frame.columns else pl.lit(False)
    wanted = frame.select(pl.when(~has_bytes).then("path")).to_series()
    if is_url(file.url) and not state.content and wanted.is_not_null().any():
        raise UsageError(f"{file.url} names recordings without holding them: say with --audio which folder they are in")
    shards = frame["shard"].cast(pl.Int64, strict=False) if "shard" in frame.columns else None
    frame = frame.with_columns(lookup.locate(wanted, shards).get_columns())
    if "start" in frame.columns:  # a stretch is of what it was cut from
        programme = pl.col("programme") if "programme" in frame.columns else pl.lit(None, pl.String)
        frame = frame.with_columns(programme=pl.coalesce(programme, pl.when(pl.col("start").is_not_null()).then("path")))
    problem = pl.col(PROBLEM) if PROBLEM in frame.columns else pl.lit(None, pl.String)
    return conform(
        frame.with_columns(
            name=pl.col("path").str.replace(r"^.*/", ""),
            problem=pl.coalesce(problem, pl.when(~has_bytes).then(pl.col("no_audio"))),
        )
    )
