"""What a file of text is, by its first bytes: the name of the source that reads it, or why none does and what to do about it.

File names are not looked at: they lie. `FILE` in an advice stands for the file.
"""

from __future__ import annotations

import csv
import json
import re
from functools import lru_cache
from typing import NamedTuple

from pipeline.sources.formats.arrow import is_arrow
from pipeline.sources.formats.encodings import HEAD_BYTES, find_encoding
from pipeline.sources.formats.parquet import is_parquet
from pipeline.sources.formats.tar import BLOCK, is_tar
from pipeline.sources.text import sniffing_binary

KNOWN_BY_CONTENT = frozenset({"jsonl", "parquet", "arrow", "warc", "wikipedia-xml", "cirrussearch", "cc100", "text"})  # sources
_BOM = b"\xef\xbb\xbf"


class Sniffed(NamedTuple):
    """What a file is. `name`: the source that reads it, or None. `label`: what messages call it. `advice`: what to do if `name` is None."""

    name: str | None
    label: str
    advice: str = ""

    @property
    def is_plain_text(self) -> bool:
        """Whether it is text, of which only a person knows what a document is."""
        return self.name == "cc100" or self.label in ("text without empty lines", "TSV", "CSV")


EMPTY = Sniffed(None, "an empty file", "There is nothing in it.")
JSON_ARRAY = Sniffed(None, "a JSON array", "Write it as JSON lines, one object in each line: jq -c '.[]' FILE > FILE.jsonl")
JSON_OVER_LINES = Sniffed(
    None,
    "JSON over several lines",
    "Write it as JSON lines, one object in each line: jq -c 'if type == \"array\" then .[] else . end' FILE > FILE.jsonl",
)
JSON_VALUES = Sniffed(
    None, "JSON lines that are no objects", "Give every line a key: jq -c '{text: .}' FILE > FILE.jsonl (or {text: .[0]})"
)
TAR = Sniffed(
    None, "a tar", "Unpack it (tar -xf FILE) and name the files in it. Tars of images are input of laion-ja and its like."
)
PLAIN_TEXT = Sniffed(
    None,
    "text without empty lines",
    "If every line is a document: --set source.format=lines. If the whole file is one: --set source.format=files. "
    "(Where documents have several lines, an empty line between them tells them apart, as in CC-100's format.)",
)
_MEND_LINE_ENDS = "Make \\n of every line end: perl -pe '{}' FILE > FILE.lf"
CARRIAGE_RETURNS = Sniffed(None, "text whose lines end with carriage returns", _MEND_LINE_ENDS.format(r"s/\r*\n|\r/\n/g"))
LINE_SEPARATORS = Sniffed(
    None, "text whose lines end with U+2028 or U+0085", _MEND_LINE_ENDS.format(r"s/\xe2\x80[\xa8\xa9]|\xc2\x85/\n/g")
)
_RETURNS_PER_LINE = 0.1  # carriage returns alone for each line end: fewer are a slip of single lines
WIKI_EXTRACTOR = Sniffed(
    None, "WikiExtractor's <doc> output", "Run WikiExtractor with --json: JSON lines are read as they are."
)
XML = Sniffed(None, "XML", 'Of XML only Wikipedia\'s dumps and HTML are read: write its texts as JSON lines, {"text": …} each.')


@lru_cache(maxsize=4)  # several ask of one file, one after the other
def sniff_format(head: bytes) -> Sniffed:
    """Return what a file is that begins, uncompressed, with `head`: its first `HEAD_BYTES`, or all of it."""
    if not head.strip(b" \t\r\n"):
        return EMPTY
    if is_parquet(head):
        return Sniffed("parquet", "Parquet")
    if is_arrow(head):
        return Sniffed("arrow", "Arrow")
    if re.match(rb"\s*WARC/\d", head):
        return Sniffed("warc", "WARC")
    if head.startswith(b"filedesc://"):
        return Sniffed(None, "an ARC, the format before WARC", "Make a WARC of it: warcio recompress FILE FILE.warc.gz")
    if head[:BLOCK].strip(b"\0") and is_tar(head[:BLOCK]):
        return Sniffed(
            None,
            "a tar",
            "Unpack it (tar -xf FILE) and name the files in it. Tars of images are input of laion-ja and its like.",
        )
    if kind := sniffing_binary.find_kind(head):
        return Sniffed(None, *kind)
    start = head.removeprefix(_BOM).lstrip()
    if start.startswith(b"<") and (markup := _sniff_markup(start)):
        return markup  # before encodings: HTML and XML say their own
    if encoding := find_encoding(head):
        return Sniffed(None, encoding.label, encoding.advice)
    if sniffing_binary.has_control_characters(head):
        return Sniffed(None, "binary", "It is no text, nor any format that is known here.")
    if has_lone_returns(head):
        return CARRIAGE_RETURNS
    if start[:1] in (b"{", b"["):
        if sniffed := _sniff_json(start, len(head) < HEAD_BYTES):
            return sniffed
    return _sniff_table(head) or _sniff_plain_text(head)


def _sniff_markup(start: bytes) -> Sniffed | None:
    """Return what markup is; None where a text merely begins with "<"."""
    declared = re.sub(rb"\A<\?xml[^>]*>\s*", b"", start)
    declared = re.sub(rb"\A(<!--.*?-->\s*)+", b"", declared, flags=re.DOTALL)
    if re.match(rb"<mediawiki[\s>]", declared):
        return Sniffed("wikipedia-xml", "Wikipedia's XML dump")
    if re.match(rb"(?i)<!doctype\s+html|<(html|head|body|title|meta|script|div|table|p|h1|center|font)[\s>/]", declared):
        return Sniffed("files", "HTML")
    if re.match(rb'<doc id="', declared):
        return WIKI_EXTRACTOR
    return XML if start.startswith(b"<?xml") or re.match(rb"<!(DOCTYPE|ELEMENT)\s", declared) else None


def _sniff_json(start: bytes, is_complete: bool) -> Sniffed | None:
    """Return what JSON is that begins with a bracket; None where it is text that merely does."""
    first, line_end, rest = start.partition(b"\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return _sniff_broken_json(start, bool(line_end) or is_complete)
    if not isinstance(value, dict):
        return JSON_VALUES if rest.strip() else JSON_ARRAY
    if [*value] == ["index"] and isinstance(value["index"], dict) and "_id" in value["index"]:
        return Sniffed("cirrussearch", "a CirrusSearch dump of Wikipedia")
    return Sniffed("jsonl", "JSON lines")


def _sniff_broken_json(start: bytes, has_whole_line: bool) -> Sniffed | None:
    """Return what begins like JSON, but whose first line is none: torn, broken, or part of a value that goes over several lines."""
    if re.match(rb'\[\s*(\{\s*["}]|"[^"\n]*"\s*[,\]]|\[\s*["{\d])', start):
        return JSON_ARRAY
    if re.match(rb'\{[ \t\r]*\n\s*(["}]|\Z)|\{\s*"[^"\n]*"\s*:[^\n]*[,{\[][ \t\r]*\n\s*"', start):
        return JSON_OVER_LINES
    if re.match(rb'\{\s*"(?:[^"\\\n]|\\.)*"\s*:', start):
        return Sniffed("jsonl", "JSON lines")  # the first line is broken, or goes on beyond the head: a matter of records
    if has_whole_line and any(line.startswith(b'{"') for line in start.split(b"\n")[1:20]):
        return Sniffed("jsonl", "JSON lines")
    return None


_COLUMN_NAME = re.compile(r"[^\W\d][\w .-]{0,40}")
_TEXT_COLUMNS = {"text", "content", "body", "url", "title"}


def _sniff_table(head: bytes) -> Sniffed | None:
    """Return whether text is a table: tabs, the same number in every line, or a header of names between commas."""
    lines = _whole_lines(head)
    if len(lines) < 2 or b"" in lines[:-1]:
        return None
    tabs = {line.count(b"\t") for line in lines[:100]}
    if len(tabs) == 1 and tabs != {0}:
        return _explain_table("TSV", ", separator='\\t', quote_char=None")
    try:
        header, *rows = csv.reader(line.decode("utf-8", "replace") for line in [lines[0].removeprefix(_BOM), *lines[1:20]])
    except csv.Error:  # a field without end
        return None
    names = [cell.strip().lower() for cell in header]
    is_header = len(names) > 1 and len({*names}) == len(names) and all(map(_COLUMN_NAME.fullmatch, names))
    if not is_header:
        return None
    if all(name.isascii() for name in names):
        is_table = all(b"," in line for line in lines[1:4]) or not {*names}.isdisjoint(_TEXT_COLUMNS)
    else:  # in Japanese a line of two words and a comma is no header yet
        is_table = len(rows) > 1 and all(len(row) == len(names) for row in rows[:-1])
    return _explain_table("CSV", "") if is_table else None


def _explain_table(kind: str, options: str) -> Sniffed:
    convert = (
        f"import sys, polars as pl; [pl.scan_csv(f{options}, infer_schema=False, glob=False).sink_parquet(f + '.parquet') "
        "for f in sys.argv[1:]]"
    )
    build = "python -m pipeline.build ja-web --input FILE.parquet"
    return Sniffed(None, kind, f'Convert it to Parquet, whose columns have names: python -c "{convert}" FILE && {build}')


def _sniff_plain_text(head: bytes) -> Sniffed:
    """Return what text without any structure is. Empty lines tell documents apart; without them nobody knows."""
    text = head.removeprefix(_BOM).strip(b"\r\n")
    if re.search(rb"\n\r{0,2}\n", text):
        return Sniffed("cc100", "text with empty lines between documents")
    if b"\n" not in text and re.search(rb".(\xe2\x80[\xa8\xa9]|\xc2\x85).", text, re.DOTALL):
        return LINE_SEPARATORS
    if b"\n" not in text and len(head) < HEAD_BYTES:
        return Sniffed("cc100", "text of one line")  # one document, whichever source reads it
    return PLAIN_TEXT


def has_lone_returns(text: bytes) -> bool:
    """Return whether so many carriage returns have no line feed after them that they end lines of their own."""
    if b"\r" not in text:
        return False
    text = text.rstrip(b"\r")  # the end of a head may part one from its line feed
    lone = text.count(b"\r") - text.count(b"\r\n") - text.count(b"\r\r\n")
    return lone > 0 and lone >= _RETURNS_PER_LINE * text.count(b"\n")


def _whole_lines(head: bytes) -> list[bytes]:
    """Return the lines of a head, the last one only where it has an end or nothing follows."""
    lines = [line.rstrip(b"\r") for line in head.split(b"\n")]
    return lines[:-1] if not lines[-1] or len(head) >= HEAD_BYTES else lines
