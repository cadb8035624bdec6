"""Lists of transcripts that lie with tars or recordings: the name of a recording and what is said, a line each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.lines import read_lines
from pipeline.sources.inputs import InputFile
from pipeline.sources.names import normalise_name
from pipeline.sources.speech import fleurs
from pipeline.sources.speech.columns import is_audio_name, match
from pipeline.sources.streams import Stream

NOT_IN_INPUT = "no audio: the list of transcripts names it, the input does not have it"


def is_transcript_list(lines: list[str]) -> bool:
    """Return whether lines are a list without a header: the name of a recording, a tab, what is said."""
    if not lines or "path" in match(lines[0].split("\t")):
        return False
    named = [is_audio_name(line.partition("\t")[0]) and "\t" in line for line in lines]
    return sum(named) * 2 > len(named)


def is_list_of_tar(lines: list[str]) -> bool:
    """Return whether lines are a list of the recordings in tars: ReazonSpeech's, or FLEURS's."""
    return is_transcript_list(lines) or fleurs.is_fleurs(lines)


def _split_lines(file: InputFile, lines: pl.DataFrame, is_fleurs: bool) -> pl.DataFrame:
    """Return `name` in the tar, `transcript`, `problem` and `duration` of the lines of a list."""
    if not is_fleurs:
        return split_transcripts(lines, "\t").with_columns(duration=pl.lit(None, pl.Float64))
    # FLEURS's dev.tar.gz, which goes with dev.tsv, has the folder dev.
    frame = fleurs.read_lines(lines)
    folder = Path(file.url).name.split(".")[0]
    return frame.select(pl.format(f"{folder}/{{}}", "path").alias("name"), "transcript", "duration", problem=PROBLEM)


def split_transcripts(lines: pl.DataFrame, separator: str) -> pl.DataFrame:
    """Return `name`, `transcript` and `problem` of lines: what is before and after the first separator; whatever follows it is said."""
    parts = pl.col("line").str.splitn(separator, 2).struct
    return lines.select(
        name=parts.field("field_0").str.strip_chars().str.strip_prefix("./"),
        transcript=parts.field("field_1"),
        problem=PROBLEM,
    )


@dataclass
class TranscriptLists:
    """The union of some lists, by the folder of the names: `name`, `transcript`, `problem` and `nth`.

    `nth` is 0 for the transcript of a name, and more for others that the same list has for it.
    """

    frame: pl.DataFrame
    warnings: list[str] = field(default_factory=list)
    damage: str | None = None

    def __post_init__(self) -> None:
        folder = pl.when(pl.col("name").str.contains("/", literal=True)).then(pl.col("name").str.replace(r"/[^/]*$", ""))
        frame = self.frame.with_columns(folder=folder.otherwise(pl.lit(""))).sort("folder", maintain_order=True)
        counts = frame.group_by("folder", maintain_order=True).len()
        starts = counts["len"].cum_sum() - counts["len"]
        self._slices = dict(zip(counts["folder"], zip(starts, counts["len"], strict=True), strict=True))
        self.frame = frame.drop("folder")

    def select_folders(self, folders: Iterable[str]) -> pl.DataFrame:
        """Return what the lists have of some folders."""
        frames = [self.frame.slice(*self._slices[folder]) for folder in sorted(folders) if folder in self._slices]
        return pl.concat(frames) if frames else self.frame.clear()

    def find_like(self, folders: Iterable[str]) -> set[str]:
        """Return the lists' folders that differ from some of `folders` in their Unicode form only."""
        forms = {normalise_name(folder) for folder in folders if not folder.isascii()}
        return {folder for folder in self._slices if normalise_name(folder) in forms} if forms else set()

    @property
    def folders(self) -> set[str]:
        return set(self._slices)


@lru_cache(maxsize=2)
def load_lists(files: tuple[InputFile, ...]) -> TranscriptLists:
    """Return the union of lists, the largest first: ReazonSpeech's small.tsv has what tiny.tsv has, and more.

    A transcript that is there twice is one. Where two lists differ about a name, that of the larger is taken, with a warning; where
    one list has two transcripts for a name, both stay, `nth` 0 and 1.
    """
    ordered = sorted(files, key=lambda file: (-(file.size or 0), file.url))
    frames, damage = [], None
    for number, file in enumerate(ordered):
        stream, is_fleurs = Stream(file), None
        try:
            for lines in read_lines(stream.read):
                is_fleurs = fleurs.is_fleurs(lines["line"].head(20).to_list()) if is_fleurs is None else is_fleurs
                split = _split_lines(file, lines, is_fleurs).select("name", "transcript", "problem", "duration")
                frames.append(split.with_columns(list=pl.lit(number, pl.UInt16)))
        except InputError as error:
            damage = damage or (str(error) if str(error).startswith(file.shown_url) else f"{file.shown_url} {error}")
        finally:
            stream.close()
    schema = {"name": pl.String, "transcript": pl.String, "problem": pl.String, "duration": pl.Float64, "list": pl.UInt16}
    union = pl.concat(frames) if frames else pl.DataFrame(schema=schema)
    # By hashes: groups of strings would take several times the lists' size, and ReazonSpeech's largest has 15 million lines.
    union = union.with_columns(key=pl.col("name").hash(0))
    if union["key"].n_unique() == len(union):
        return TranscriptLists(union.drop("list", "key").with_columns(nth=pl.lit(0, pl.Int64)), [], damage)
    union = union.filter((pl.col("key") ^ pl.col("transcript").hash(1)).is_first_distinct())
    first_list = pl.col("list").first().over("key")
    other = union.filter(pl.col("list") != first_list)
    union = union.filter(pl.col("list") == first_list).with_columns(nth=pl.int_range(pl.len()).over("key")).drop("list", "key")
    warnings = []
    if len(other):
        names = ", ".join(Path(file.url).name for file in ordered)
        warnings.append(
            f"{names} have different transcripts for {other['name'].n_unique():,} recordings, such as {other['name'][0]}: "
            "those of the largest list were taken"
        )
    return TranscriptLists(union, warnings, damage)
