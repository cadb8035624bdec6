"""A folder of loose recordings with their transcripts.

- JSUT and JVS: `ID:text` in transcript_utf8.txt above wav/ID.wav; the folder jvs001 is the speaker
- LibriSpeech: `ID text` in SPEAKER-CHAPTER.trans.txt in the folder of ID.flac
- ID.txt, ID.normalized.txt (LibriTTS), ID.lab or ID.json in the folder of ID.wav
- audio and nothing else
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipeline.core.errors import InputError
from pipeline.core.names import make_printable
from pipeline.sources.folders import describe_loose_file, is_utf8, list_files
from pipeline.sources.formats.jsonl import parse_object
from pipeline.sources.formats.lines import BOM, peek_stored_lines, read_file_lines
from pipeline.sources.speech import columns
from pipeline.sources.speech.transcript_lists import NOT_IN_INPUT, split_transcripts
from pipeline.sources.values import decode_text, make_distinct

_LIST_NAME = re.compile(r"(?i)^(transcripts?(_utf-?8)?\.txt|.*\.trans\.txt)$")
_CHAPTER_SUFFIX = ".trans.txt"
_TRANSCRIPT_SUFFIXES = (".txt", ".normalized.txt", ".lab")
_PHONEME_TIMES = re.compile(r"^\d+ \d+ \S")  # a .lab of phonemes with their times is no transcript
_SPEAKER_FOLDER = re.compile(r"(?i)^(jvs|spk|speaker)[-_]?\d+$")


class _Transcript(NamedTuple):
    text: str | None
    problem: str | None


class _Lists:
    """The lists of transcripts in a folder: transcripts by ID and by the folder of the list, and who speaks in which chapter."""

    def __init__(self, folder: Path, paths: list[Path]) -> None:
        self._folder = folder
        self.by_folder: dict[Path, dict[str, list[_Transcript]]] = {}
        self._chapters: dict[tuple[Path, str], tuple[str, str]] = {}
        for path in paths:
            self._add(path, _read_list(path, folder))
        self._times = Counter(key for transcripts in self.by_folder.values() for key in transcripts)

    def _add(self, path: Path, listed: dict[str, list[_Transcript]]) -> None:
        if path.name.lower().endswith(_CHAPTER_SUFFIX) and "-" in (stem := path.name[: -len(_CHAPTER_SUFFIX)]):
            speaker, _, chapter = stem.partition("-")
            self._chapters |= {(path.parent, key): (speaker, chapter) for key in listed}
        by_key = self.by_folder.setdefault(path.parent, {})
        for key, transcripts in listed.items():
            earlier = by_key.setdefault(key, [])
            earlier += [transcript for transcript in transcripts if transcript not in earlier]

    def find_folder(self, path: Path) -> Path | None:
        """Return the nearest folder above a recording that has a list, where that names the recording."""
        parents = (p for p in path.parents if p in self.by_folder and p.is_relative_to(self._folder))
        nearest = next(parents, None)
        return nearest if nearest is not None and path.stem in self.by_folder[nearest] else None

    def _build_locator(self, key: str, list_folder: Path) -> str:
        """Return an ID; where other lists have it, too, with the folder of its list before it."""
        if self._times[key] == 1 or list_folder == self._folder:
            return key
        return make_printable(f"{list_folder.relative_to(self._folder)}/{key}")

    def describe(self, key: str, list_folder: Path, nth: int, path: Path) -> dict[str, Any]:
        """Return what a list says of an ID in its `nth` transcript; `path` may have the speaker's folder in it."""
        transcript = self.by_folder[list_folder][key][nth]
        speaker, chapter = self._chapters.get((list_folder, key), (_find_speaker(path.relative_to(self._folder)), None))
        row = {"locator": self._build_locator(key, list_folder), "transcript": transcript.text, "problem": transcript.problem}
        return row | {"speaker": speaker, "programme": chapter}


def read_transcribed_folder(folder: Path) -> pl.DataFrame:
    """Return a row for every recording, and for every transcript of a list without one, sorted by locator.

    IDs that only one list has are locators; where several have one, the list's folder goes before it. Other recordings have their path.
    A second, different transcript of one ID is a row with a problem.
    """
    files = list_files(folder)
    named_in_utf8 = {path for path in files if is_utf8(path)}
    lists = _Lists(folder, [path for path in files if path in named_in_utf8 and _LIST_NAME.match(path.name)])
    rows: list[dict[str, Any]] = []
    used: set[tuple[Path, str]] = set()
    for path in files:
        if not columns.is_audio_name(path.name):
            continue
        row = describe_loose_file(path)
        list_folder = lists.find_folder(path)
        if list_folder is not None:
            used.add((list_folder, path.stem))
            listed = lists.describe(path.stem, list_folder, 0, path)
            row |= listed | {"problem": row["problem"] or listed["problem"]}
        else:
            relative = path.relative_to(folder)
            row |= {"locator": make_printable(str(relative)), "speaker": _find_speaker(relative)}
            row |= _read_companion(path, named_in_utf8, row["problem"])
        rows.append(row)
    frame = columns.conform(pl.DataFrame(rows + _build_rows_without_audio(lists, used), schema=columns.SCHEMA))
    frame = frame.with_columns(order=pl.col("content_path").is_null()).sort("locator", "order", "content_path").drop("order")
    return frame.with_columns(make_distinct(frame["locator"], set()))


def _build_rows_without_audio(lists: _Lists, used: set[tuple[Path, str]]) -> list[dict[str, Any]]:
    """Return rows for transcripts that have no recording, or whose recording has another transcript."""
    rows = []
    for list_folder, by_key in lists.by_folder.items():
        for key, transcripts in by_key.items():
            for nth in range(int((list_folder, key) in used), len(transcripts)):
                row = lists.describe(key, list_folder, nth, list_folder / "-")
                no_audio = f"no audio: a second transcript for {key}" if nth else NOT_IN_INPUT
                rows.append(row | {"problem": row["problem"] or no_audio})
    return rows


def _read_list(path: Path, folder: Path) -> dict[str, list[_Transcript]]:
    """Return the different transcripts of each ID in a list."""
    lines = peek_stored_lines(path)
    separator = " "
    if lines and not path.name.lower().endswith(_CHAPTER_SUFFIX):
        separator = next((candidate for candidate in ("\t", "|", ":") if candidate in lines[0]), " ")
    by_key: dict[str, list[_Transcript]] = {}
    try:
        for frame in read_file_lines(path):
            for key, text, problem in split_transcripts(frame, separator).iter_rows():
                transcripts = by_key.setdefault(key, [])
                if (text, problem) not in transcripts:
                    transcripts.append(_Transcript(text, problem))
    except InputError as error:
        raise InputError(f"holds {path.relative_to(folder)}, which {error}") from None
    return by_key


def _find_speaker(path: Path) -> str | None:
    return next((part for part in path.parts[:-1] if _SPEAKER_FOLDER.match(part)), None)


def _read_companion(path: Path, files: set[Path], problem: str | None) -> dict[str, Any]:
    """Return what the files say that have the name of a recording with another suffix."""
    row: dict[str, Any] = {"problem": problem}
    for suffix in _TRANSCRIPT_SUFFIXES:
        companion = path.with_suffix(suffix)
        if companion in files and not _LIST_NAME.match(companion.name):
            if (size := companion.stat().st_size) > columns.LONGEST_TRANSCRIPT:
                row["problem"] = problem or f"transcript of {size} bytes, over {columns.LONGEST_TRANSCRIPT}"
                return row
            text, wrong = decode_text(companion.read_bytes().removeprefix(BOM), "transcript")
            if suffix == ".lab" and _PHONEME_TIMES.match(text):
                continue
            return row | {"transcript": text, "problem": problem or wrong}
    companion = path.with_suffix(".json")
    if companion in files and companion.stat().st_size <= columns.LONGEST_TRANSCRIPT:
        value = parse_object(companion.read_bytes())
        if value is not None:
            table = columns.standardise_objects([value], {}).drop("id", "path", "start", "end", strict=False)
            row |= {k: v for k, v in (table.row(0, named=True) if table.width else {}).items() if v is not None}
    return row
