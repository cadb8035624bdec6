"""The columns of lists in text: by their header, or where there is none by what their first lines hold."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import distinct_names
from pipeline.sources.image_text import columns
from pipeline.sources.image_text.list_cells import BASE64_IMAGE

_LINES_TO_GUESS = 1000  # lines that say which column is which
_URL = r"(?i)^\s*https?://"
_WORDS = r"[^\x21-\x7e]"  # what captions have and URLs have not: a space, or a character beyond ASCII
_SEPARATORS = ",;|"
_SAME_WIDTH = 0.9  # of the first lines of a table without header that are separated by something else than tabs


class Header(NamedTuple):
    """The names of a table's columns, and whether the first line has them."""

    names: list[str]
    is_first_line: bool


def split_header(line: str, separator: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(separator)]


def is_header(cells: list[str], standard: set[str], standard_names: Mapping[str, str]) -> bool:
    """Return whether cells name one of the `standard` columns, or one that the manifest names."""
    return bool(standard & set(columns.match(cells)) or standard_names.keys() & set(cells))


def find_header(lines: list[str], standard_names: Mapping[str, str]) -> Header:
    """Return the columns of tab-separated lines. Where there is no header, what the first lines hold says which they are."""
    cells = split_header(lines[0], "\t")
    if is_header(cells, {"url", "file"}, standard_names) and not any(cell.startswith("http") for cell in cells):
        return Header(distinct_names(cells), True)
    names = _guess_names([split_header(line, "\t") for line in islice(lines, _LINES_TO_GUESS)])
    if names is not None:
        return Header(names, False)
    if any(BASE64_IMAGE.search(line) for line in lines[:_LINES_TO_GUESS]):
        raise InputError(
            "holds images in base64 without a header that says so: give it a first line of names between tabs, image and caption among them"
        )
    raise InputError(
        "has neither a header that Seimai knows (url or file_name, and caption) nor a column of URLs or image file names; "
        f"its first line is {lines[0][:80]!r}"
    )


def find_header_separator(line: str) -> str:
    """Return what separates the names of a header: a semicolon or a bar where only they make one of it, else a comma."""
    widths = {separator: len(split_header(line, separator)) for separator in _SEPARATORS}
    wanted = {"url", "caption", "file"}
    known = [s for s in _SEPARATORS if widths[s] > 1 and wanted & set(columns.match(split_header(line, s)))]
    return known[0] if known else ","


def guess_separated(lines: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return separator and names of a table without header that has no tabs; None where it is none.

    Its rows have one width, and words stand beside the URL: a list of URLs with commas in them is no table.
    """
    for separator in _SEPARATORS:
        try:
            rows = [row for row in csv.reader(islice(lines, _LINES_TO_GUESS), delimiter=separator) if row]
        except csv.Error:
            continue
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
        if width < 2 or count < _SAME_WIDTH * len(rows):
            continue
        cells = [[cell.strip() for cell in row] for row in rows if len(row) == width]
        names = _guess_names(cells)
        if names is None:
            continue
        shares = [sum(re.search(_WORDS, row[i]) is not None for row in cells) / len(cells) for i in range(width)]
        best = max((i for i in range(width) if names[i] not in ("url", "file")), key=shares.__getitem__)
        if shares[best] > 0.5:
            names = [f"column_{i}" if name == "caption" else name for i, name in enumerate(names)]
            names[best] = "caption"
            return separator, names
    return None


def _guess_names(rows: list[list[str]]) -> list[str] | None:
    """Return names of columns, of which most of one hold URLs or names of images; None where no column does."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    schema = {str(i): pl.String for i in range(width)}
    table = pl.DataFrame([row for row in rows if len(row) == width], schema=schema, orient="row")
    for name, pattern in (("url", _URL), ("file", columns.IMAGE_NAME.pattern)):
        shares = [float(table[column].str.contains(pattern).mean() or 0) for column in table.columns]  # type: ignore[arg-type]
        best = max(range(width), key=shares.__getitem__)
        if shares[best] > 0.5:
            names = [f"column_{i}" for i in range(width)]
            names[best] = name
            if width > 1:
                names[1 if best == 0 else 0] = "caption"
            return names
    return None
