"""Lists of transcripts by the id of a recording, a line each, without a header.

- JSUT, JVS: `BASIC5000_0001:text`
- ITA: `RECITATION324_001:text,reading`, the reading in katakana, which is left out
- LibriSpeech, Kaldi: `ID text`
- LJSpeech: `LJ001-0001|text|text with numbers spelt out`; a quote in it is a quote
- whatever else has one separator between names of recordings and texts
"""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl

from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.speech.transcript_lists import split_transcripts

LIST_NAME = re.compile(r"(?i)^(transcripts?(_utf-?8)?\.txt|.*\.trans\.txt|.*transcript.*\.txt)$")
SUFFIXES = (".txt", ".tsv", ".csv", ".list", ".lst", ".trans", ".psv")
_SEPARATORS = ("\t", "|", ":", ",", " ")
_ID = re.compile(r"[\w.\-/+@#~()\[\] ]{1,200}")
_READING = r",[\p{Katakana}ー・、。，．！？!?,. 　ヽヾ―〜～「」『』（）()]+$"


def find_separator(lines: list[str], is_recording: Callable[[str], bool] | None = None) -> str | None:
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


def split_ids(lines: pl.DataFrame, separator: str) -> pl.DataFrame:
    """Return `name`, `transcript` and `problem` of the lines of a list."""
    frame = split_transcripts(lines, separator)
    if separator == "|":
        text = pl.col("transcript").str.splitn("|", 2).struct.field("field_0")
        frame = frame.with_columns(transcript=text)
    elif separator == ":":
        text = pl.col("transcript")
        without = text.str.replace(_READING, "")
        frame = frame.with_columns(transcript=pl.when(without != "").then(without).otherwise(text))
    return frame


def read_id_list(lines: pl.DataFrame, separator: str) -> pl.DataFrame:
    """Return `path`, `transcript` and `PROBLEM` of the lines of a list that is an input of its own."""
    return split_ids(lines, separator).rename({"name": "path", "problem": PROBLEM})
