"""A folder of loose recordings, with the transcripts beside them.

- JSUT and JVS: `ID:text` in transcript_utf8.txt above wav/ID.wav; the folder jvs001 is the speaker
- LibriSpeech: `ID text` in SPEAKER-CHAPTER.trans.txt beside ID.flac
- ID.txt, ID.normalized.txt (LibriTTS), ID.lab or ID.json beside ID.wav
- audio and nothing else
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.folders import is_utf8, regular_files
from pipeline.sources.speech import rows
from pipeline.sources.speech.lines import NOT_THERE, beginning, lines_of, split
from pipeline.sources.values import decoded, distinct, printable

_LIST = re.compile(r"(?i)^(transcripts?(_utf-?8)?\.txt|.*\.trans\.txt)$")
_BESIDE = (".txt", ".normalized.txt", ".lab")
_TIMES = re.compile(r"^\d+ \d+ \S")  # a .lab of phonemes with their times is no transcript
_SPEAKER = re.compile(r"(?i)^(jvs|spk|speaker)[-_]?\d+$")
_BOM = b"\xef\xbb\xbf"
_Said = tuple[str | None, str | None]  # a transcript and what is wrong with it


def read(folder: Path) -> pl.DataFrame:
    """A row for every recording, and for every transcript of a list without one, sorted by locator.

    IDs of lists that are there once are locators; where they are not, the list's folder goes before them. Other recordings have their
    path. A second, different transcript of one ID is a row with a problem.
    """
    files = regular_files(folder)
    known = {path for path in files if is_utf8(path)}
    lists: dict[Path, dict[str, list[_Said]]] = {}
    chapters: dict[tuple[Path, str], tuple[str, str]] = {}
    for path in files:
        if path in known and _LIST.match(path.name):
            said = _list(path, folder)
            for key in said:
                if path.name.lower().endswith(".trans.txt") and (parts := path.name[: -len(".trans.txt")].split("-", 1))[1:]:
                    chapters[path.parent, key] = (parts[0], parts[1])
            into = lists.setdefault(path.parent, {})
            for key, texts in said.items():
                into.setdefault(key, []).extend(text for text in texts if text not in into.get(key, []))
    times = Counter(key for said in lists.values() for key in said)
    found: list[dict[str, Any]] = []
    used: set[tuple[Path, str]] = set()
    for path in files:
        if not rows.is_audio_name(path.name):
            continue
        row: dict[str, Any] = {"name": printable(path.name), "speaker": _speaker(path.relative_to(folder))}
        if path in known:
            row |= {"place": str(path), "at": 0, "size": path.stat().st_size}
        else:
            row["problem"] = "the name of the file is not UTF-8: rename it"
        above = _list_above(path, folder, lists)
        if above is not None and path.stem in lists[above]:
            key = path.stem
            used.add((above, key))
            row |= {"locator": _locator(key, above, folder, times), "transcript": lists[above][key][0][0]}
            row["problem"] = row.get("problem") or lists[above][key][0][1]
            row["speaker"], row["programme"] = chapters.get((above, key), (row["speaker"], None))
        else:
            row |= {"locator": printable(str(path.relative_to(folder)))} | _beside(path, known, row.get("problem"))
        found.append(row)
    for above, said in lists.items():
        for key, texts in said.items():
            first = int((above, key) in used)
            for nth, (text, wrong) in enumerate(texts[first:], first):
                speaker, programme = chapters.get((above, key), (_speaker(above.relative_to(folder) / "-"), None))
                locator = _locator(key, above, folder, times)
                problem = wrong or (f"no audio: a second transcript for {key}" if nth else NOT_THERE)
                found.append(
                    {"locator": locator, "transcript": text, "problem": problem, "speaker": speaker, "programme": programme}
                )
    frame = rows.finished(pl.DataFrame(found, schema=rows.SCHEMA))
    frame = frame.with_columns(order=pl.col("place").is_null()).sort("locator", "order", "place").drop("order")
    return frame.with_columns(distinct(frame["locator"], set()).alias("locator"))


def _list(path: Path, folder: Path) -> dict[str, list[_Said]]:
    """What a list says of its IDs."""
    head = beginning(path)
    separator = " "
    if not path.name.lower().endswith(".trans.txt"):
        separator = next((s for s in ("\t", "|", ":") if head and s in head[0]), " ")
    found: dict[str, list[_Said]] = {}
    try:
        for frame in lines_of(path):
            for name, text, problem in split(frame, separator).iter_rows():
                texts = found.setdefault(name, [])
                if (text, problem) not in texts:
                    texts.append((text, problem))
    except InputError as error:
        raise InputError(f"holds {path.relative_to(folder)}, which {error}") from None
    return found


def _list_above(path: Path, folder: Path, lists: dict[Path, Any]) -> Path | None:
    """The nearest folder above a recording that has a list."""
    return next((p for p in path.parents if p in lists and p.is_relative_to(folder)), None)


def _locator(key: str, above: Path, folder: Path, times: Counter[str]) -> str:
    return key if times[key] == 1 or above == folder else printable(f"{above.relative_to(folder)}/{key}")


def _speaker(path: Path) -> str | None:
    return next((part for part in path.parts[:-1] if _SPEAKER.match(part)), None)


def _beside(path: Path, known: set[Path], problem: str | None) -> dict[str, Any]:
    """What the files say that have the name of a recording with another ending."""
    found: dict[str, Any] = {"problem": problem}
    for suffix in _BESIDE:
        beside = path.with_suffix(suffix)
        if beside in known and not (_LIST.match(beside.name)):
            if (size := beside.stat().st_size) > rows.LONGEST:
                found["problem"] = problem or f"transcript of {size} bytes, over {rows.LONGEST}"
                return found
            text, wrong = decoded(beside.read_bytes().removeprefix(_BOM), "transcript")
            if suffix == ".lab" and _TIMES.match(text):
                continue
            return found | {"transcript": text, "problem": problem or wrong}
    beside = path.with_suffix(".json")
    if beside in known and beside.stat().st_size <= rows.LONGEST:
        try:
            value = json.loads(beside.read_bytes())
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            table = rows.from_objects([value], {}).drop("id", "path", "start", "end", strict=False)
            found |= {k: v for k, v in (table.row(0, named=True) if table.width else {}).items() if v is not None}
    return found
