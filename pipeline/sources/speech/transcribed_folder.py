"""A folder of loose recordings with their transcripts.

- JSUT and JVS: `ID:text` in transcript_utf8.txt above wav/ID.wav; the folder jvs001 is the speaker
- LibriSpeech: `ID text` in SPEAKER-CHAPTER.trans.txt in the folder of ID.flac
- LJSpeech, ITA and other lists of `pipeline.sources.speech.id_lists`, whatever they are called
- ID.txt, ID.normalized.txt (LibriTTS), ID.lab or ID.json in the folder of ID.wav; ID.txt elsewhere (VCTK), where one alone is so called
- audio and nothing else

A list is looked for in the folders above a recording, the nearest first, and then in all others.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipeline.core.errors import InputError
from pipeline.core.names import make_printable
from pipeline.sources.folders import describe_loose_file, is_utf8, list_files
from pipeline.sources.formats.jsonl import parse_object
from pipeline.sources.formats.lines import BOM, peek_stored_lines, read_file_lines
from pipeline.sources.speech import columns
from pipeline.sources.speech.columns import strip_audio_suffix
from pipeline.sources.speech.id_lists import LIST_NAME, SUFFIXES, ListLayout, find_layout, split_ids
from pipeline.sources.speech.manifests import find_type
from pipeline.sources.speech.tables import is_table
from pipeline.sources.speech.transcript_lists import NOT_IN_INPUT
from pipeline.sources.speech.unused_lists import find_unused, is_list_name, tell_unused
from pipeline.sources.values import decode_text, make_distinct

_CHAPTER_SUFFIX = ".trans.txt"
_TRANSCRIPT_SUFFIXES = (".txt", ".normalized.txt", ".lab")
_MOST_BESIDE = 100  # files that are looked into
_PHONEME_TIMES = re.compile(r"^\d+ \d+ \S")  # a .lab of phonemes with their times is no transcript
_SPEAKER_FOLDER = re.compile(r"(?i)^(jvs|spk|speaker)[-_]?\d+$")


class _Transcript(NamedTuple):
    text: str | None
    problem: str | None
    speaker: str | None = None


class _List(NamedTuple):
    """A list of transcripts, and how its lines are divided."""

    path: Path
    layout: ListLayout


class _Lists:
    """The lists of transcripts in a folder: transcripts by ID and by the folder of the list, and who speaks in which chapter."""

    def __init__(self, folder: Path, lists: list[_List]) -> None:
        self._folder = folder
        self.by_folder: dict[Path, dict[str, list[_Transcript]]] = {}
        self._chapters: dict[tuple[Path, str], tuple[str, str]] = {}
        for one in lists:
            self._add(one.path, _read_list(one, folder))
        self._times = Counter(key for transcripts in self.by_folder.values() for key in transcripts)

    def _add(self, path: Path, listed: dict[str, list[_Transcript]]) -> None:
        if path.name.lower().endswith(_CHAPTER_SUFFIX) and "-" in (stem := path.name[: -len(_CHAPTER_SUFFIX)]):
            speaker, _, chapter = stem.partition("-")
            self._chapters |= {(path.parent, key): (speaker, chapter) for key in listed}
        for name, transcripts in listed.items():
            # A name may have the folder of the recording, and its suffix. One that leads out of the folder is no recording's.
            parent, _, base = name.rpartition("/")
            inside = path.parent / parent
            is_inside = not parent.startswith("/") and ".." not in parent.split("/")
            key, at = (_normalise(strip_audio_suffix(base)), inside) if is_inside else (name, path.parent)
            earlier = self.by_folder.setdefault(at, {}).setdefault(key, [])
            earlier += [transcript for transcript in transcripts if transcript not in earlier]

    def find_folder(self, path: Path, is_only: bool) -> Path | None:
        """Return the nearest folder above a recording that has a list with its name, else the only one that has.

        `is_only`: no other recording is so called.
        """
        key = _normalise(strip_audio_suffix(path.name))
        for parent in path.parents:
            if key in self.by_folder.get(parent, ()):
                return parent
            if parent == self._folder:
                break
        if not is_only or self._times[key] != 1:
            return None
        return next(folder for folder, by_key in self.by_folder.items() if key in by_key)

    def _build_locator(self, key: str, list_folder: Path) -> str:
        """Return an ID; where other lists have it, too, with the folder of its list before it."""
        if self._times[key] == 1 or list_folder == self._folder:
            return make_printable(key)
        return make_printable(f"{list_folder.relative_to(self._folder)}/{key}")

    def describe(self, key: str, list_folder: Path, nth: int, path: Path) -> dict[str, Any]:
        """Return what a list says of an ID in its `nth` transcript; `path` may have the speaker's folder in it."""
        transcript = self.by_folder[list_folder][key][nth]
        speaker, chapter = self._chapters.get((list_folder, key), (_find_speaker(path.relative_to(self._folder)), None))
        row = {"locator": self._build_locator(key, list_folder), "transcript": transcript.text, "problem": transcript.problem}
        return row | {"speaker": transcript.speaker or speaker, "programme": chapter}


class TranscribedFolder(NamedTuple):
    """The rows of a folder, and what there is to say about its lists."""

    frame: pl.DataFrame
    warnings: list[str]


def read_transcribed_folder(folder: Path) -> TranscribedFolder:
    """Return a row for every recording, and for every transcript of a list without one, sorted by locator.

    IDs that only one list has are locators; where several have one, the list's folder goes before it. Other recordings have their path.
    A second, different transcript of one ID is a row with a problem. Raises InputError where lists name no recording of the folder.
    """
    files = list_files(folder)
    named_in_utf8 = {path for path in files if is_utf8(path)}
    audio = [path for path in files if columns.is_audio_name(path.name)]
    stems = Counter(_normalise(strip_audio_suffix(path.name)) for path in audio if path in named_in_utf8)
    found = [one for path in files if path in named_in_utf8 and (one := _find_list(path, stems))]
    lists = _Lists(folder, found)
    companions = _Companions(files, named_in_utf8, {one.path for one in found}, stems)
    rows: list[dict[str, Any]] = []
    used: set[tuple[Path, str]] = set()
    for path in audio:
        row = describe_loose_file(path)
        stem = _normalise(strip_audio_suffix(path.name))
        list_folder = lists.find_folder(path, stems[stem] == 1) if path in named_in_utf8 else None
        if list_folder is not None:
            used.add((list_folder, stem))
            listed = lists.describe(stem, list_folder, 0, path)
            row |= listed | {"problem": row["problem"] or listed["problem"]}
        else:
            relative = path.relative_to(folder)
            row |= {"locator": make_printable(str(relative)), "speaker": _find_speaker(relative)}
            row |= companions.read(path, row["problem"])
        rows.append(row)
    if found and not used and not companions.used:
        listed_name = next((key for by_key in lists.by_folder.values() for key in by_key), "nothing")
        raise InputError(
            f"holds {found[0].path.relative_to(folder)}, which names none of its {len(audio):,} recordings: it has {listed_name!r}, the "
            f"folder {audio[0].name!r}. Rename them, or put the list elsewhere to build without it"
        )
    frame = columns.conform(pl.DataFrame(rows + _build_rows_without_audio(lists, used), schema=columns.SCHEMA))
    frame = frame.with_columns(order=pl.col("content_path").is_null()).sort("locator", "order", "content_path").drop("order")
    unused = find_unused(files, {one.path for one in found} | companions.used, folder)
    warnings = tell_unused(unused, folder.name)
    if not used and not companions.used:
        warnings += tell_unused(_find_lists_beside(folder, stems), f"{folder.parent.name}/")
    return TranscribedFolder(frame.with_columns(make_distinct(frame["locator"], set())), warnings)


def _find_lists_beside(folder: Path, stems: Collection[str]) -> list[str]:
    """Return the lists in the folder above that have transcripts of these recordings, or may have: who gives wav/ leaves them out."""
    paths = [path for path in sorted(folder.parent.iterdir()) if is_list_name(path.name) and path.is_file() and is_utf8(path)]
    return [
        path.name
        for path in paths[:_MOST_BESIDE]
        if _find_list(path, stems) or is_table(peek_stored_lines(path)) or find_type(path)
    ]


def _normalise(name: str) -> str:
    """Return a name as NFC: macOS writes ガ as two characters."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _find_list(path: Path, stems: Collection[str]) -> _List | None:
    """Return a list of transcripts, by its name or by what its first lines are called."""
    is_named = LIST_NAME.match(path.name) is not None
    if not is_named and (not path.name.lower().endswith(SUFFIXES) or strip_audio_suffix(path.stem) in stems):
        return None
    lines = peek_stored_lines(path)
    if path.name.lower().endswith(_CHAPTER_SUFFIX):
        return _List(path, ListLayout(" "))
    layout = find_layout(lines, lambda one: _normalise(strip_audio_suffix(Path(one).name)) in stems)
    if layout is None and is_named and lines:
        layout = ListLayout(next((candidate for candidate in ("\t", "|", ":") if candidate in lines[0]), " "))
    return None if layout is None else _List(path, layout)


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


def _read_list(one: _List, folder: Path) -> dict[str, list[_Transcript]]:
    """Return the different transcripts of each ID in a list."""
    by_key: dict[str, list[_Transcript]] = {}
    try:
        for frame in read_file_lines(one.path):
            for key, *said in split_ids(frame, one.layout).iter_rows():
                transcript, transcripts = _Transcript(*said), by_key.setdefault(key, [])
                if transcript not in transcripts:
                    transcripts.append(transcript)
    except InputError as error:
        raise InputError(f"holds {one.path.relative_to(folder)}, which {error}") from None
    return by_key


def _find_speaker(path: Path) -> str | None:
    return next((part for part in path.parts[:-1] if _SPEAKER_FOLDER.match(part)), None)


class _Companions:
    """Files with the name of a recording and another suffix, beside it or, where only one is so called, elsewhere in the folder."""

    def __init__(
        self, files: list[Path], named_in_utf8: Collection[Path], lists: Collection[Path], stems: Counter[str]
    ) -> None:
        self._files = {path for path in named_in_utf8 if path not in lists}
        self._stems = stems
        self.used: set[Path] = set()
        self._elsewhere: dict[str, list[Path]] = {}
        for path in files:
            if path in self._files and path.suffix.lower() in (".txt", ".lab"):
                self._elsewhere.setdefault(_normalise(path.stem), []).append(path)

    def read(self, path: Path, problem: str | None) -> dict[str, Any]:
        """Return what the files say that go with a recording."""
        row: dict[str, Any] = {"problem": problem}
        stem = _normalise(strip_audio_suffix(path.name))
        beside = [companion for suffix in _TRANSCRIPT_SUFFIXES if (companion := path.with_suffix(suffix)) in self._files]
        elsewhere = self._elsewhere.get(stem, [])
        if not beside and len(elsewhere) == 1 and self._stems[stem] == 1:
            beside = elsewhere
        for companion in beside:
            self.used.add(companion)
            if (size := companion.stat().st_size) > columns.LONGEST_TRANSCRIPT:
                row["problem"] = problem or f"transcript of {size} bytes, over {columns.LONGEST_TRANSCRIPT}"
                return row
            text, wrong = decode_text(companion.read_bytes().removeprefix(BOM), "transcript")
            if companion.suffix == ".lab" and _PHONEME_TIMES.match(text):
                continue
            return row | {"transcript": text, "problem": problem or wrong}
        companion = path.with_suffix(".json")
        if companion in self._files and companion.stat().st_size <= columns.LONGEST_TRANSCRIPT:
            self.used.add(companion)
            value = parse_object(companion.read_bytes())
            if value is not None:
                table = columns.standardise_objects([value], {}).drop("id", "path", "start", "end", "shard", strict=False)
                row |= {k: v for k, v in (table.row(0, named=True) if table.width else {}).items() if v is not None}
        return row
