"""Lists of transcripts by the id of a recording, a line each, without a header.

- JSUT, JVS: `BASIC5000_0001:text`
- ITA: `RECITATION324_001:text,reading`, the reading in katakana, which is left out
- LibriSpeech, Kaldi: `ID text`
- LJSpeech: `LJ001-0001|text|text with numbers spelt out`; a quote in it is a quote
- VITS, piper and Style-Bert-VITS2: `path|speaker|text`, `path|speaker|JP|text`
- whatever else has one separator between names of recordings and texts
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.speech.transcript_lists import split_transcripts

LIST_NAME = re.compile(r"(?i)^(transcripts?(_utf-?8)?\.txt|.*\.trans\.txt|.*transcript.*\.txt)$")
SUFFIXES = (".txt", ".tsv", ".csv", ".list", ".lst", ".trans", ".psv")
_SEPARATORS = ("\t", "|", ":", ",", " ")
_ID = re.compile(r"[\w.\-/+@#~()\[\] ]{1,200}")
_LANGUAGE = re.compile(r"[A-Z]{2}")
_SPEAKER = re.compile(r"[\w.\-]{1,64}", re.ASCII)
_JAPANESE = re.compile(r"[\u3041-\u30ff\u3400-\u9fff]")
_READING = r",[\p{Katakana}ー・、。，．！？!?,. 　ヽヾ―〜～「」『』（）()]+$"


class ListLayout(NamedTuple):
    """How the lines of a list are divided, and which of their fields (0 is the id) is the speaker, if any, and which the text."""

    separator: str
    text: int = 1
    speaker: int | None = None


def find_layout(lines: list[str], is_recording: Callable[[str], bool] | None = None) -> ListLayout | None:
    """Return how the first lines of a list are divided, or None where they are no list, as `_find_separator` finds out."""
    separator = _find_separator(lines, is_recording)
    if separator is None:
        return None
    return _find_columns(lines) if separator == "|" else ListLayout(separator)


def _find_columns(lines: list[str]) -> ListLayout:
    """Return which column between | is the text: speakers come again and again, or are Latin names beside Japanese."""
    rows = [line.split("|") for line in dict.fromkeys(lines)]  # a line that comes twice tells nothing of speakers
    rows = [row for row in rows if len(row) == len(rows[0])]
    width = len(rows[0])
    if width < 3:
        return ListLayout("|")
    second, third = [row[1].strip() for row in rows], [row[2].strip() for row in rows]
    if width > 3 and all(_LANGUAGE.fullmatch(one) for one in third):
        return ListLayout("|", 3, 1)
    is_latin = all(_SPEAKER.fullmatch(one) for one in second) and any(_JAPANESE.search(one) for one in third)
    return ListLayout("|", 2, 1) if is_latin or len({*second}) * 2 <= len(rows) else ListLayout("|")


def _find_separator(lines: list[str], is_recording: Callable[[str], bool] | None) -> str | None:
    """Return what separates ids from texts in the first lines of a list, or None where they are no list.

    `is_recording` tells whether an id is one of a recording. Without it, all lines must have ids that differ, without spaces.
    """
    best, most = None, 0
    for separator in _SEPARATORS:
        ids = [line.partition(separator)[0].strip() for line in lines if separator in line]
        if is_recording is not None:
            # Who has only some of the recordings may have a list of all; a word before a space is often no id.
            matches = sum(map(is_recording, ids))
            enough = matches * 2 > len(lines) if separator == " " else matches > 0 and len(ids) * 2 > len(lines)
            if enough and matches > most:
                best, most = separator, matches
            continue
        is_plain = all(_ID.fullmatch(one) and " " not in one and any(c.isdigit() for c in one) for one in ids)
        if lines and len(ids) == len(lines) and is_plain and len({*ids}) == len(ids) and separator != " ":
            return separator
    return best


def split_ids(lines: pl.DataFrame, layout: ListLayout) -> pl.DataFrame:
    """Return `name`, `transcript`, `problem` and `speaker` of the lines of a list."""
    frame = split_transcripts(lines, layout.separator).with_columns(speaker=pl.lit(None, pl.String))
    text = pl.col("transcript")
    if layout.separator == "|":
        fields = text.str.split("|")
        speaker = pl.lit(None, pl.String) if layout.speaker is None else fields.list.get(layout.speaker - 1, null_on_oob=True)
        frame = frame.with_columns(
            transcript=fields.list.get(layout.text - 1, null_on_oob=True),
            speaker=speaker,
            problem=pl.coalesce(
                "problem", pl.when(fields.list.len() < layout.text).then(pl.lit("the line has too few fields"))
            ),
        )
    elif layout.separator == ":":
        without = text.str.replace(_READING, "")
        frame = frame.with_columns(transcript=pl.when(without != "").then(without).otherwise(text))
    return frame.select("name", "transcript", "problem", "speaker")


def read_id_list(lines: pl.DataFrame, layout: ListLayout) -> pl.DataFrame:
    """Return `path`, `transcript`, `speaker` and `PROBLEM` of the lines of a list that is an input of its own."""
    return split_ids(lines, layout).rename({"name": "path", "problem": PROBLEM})
