"""Whether the quotes in a table between tabs are quotes of its cells, as CSV has them, or characters that somebody wrote.

Tab-separated lists come both ways: CC12M's have 「5" screen」 as it is, and what Excel or pandas write has "5"" screen". A table is quoted
where every cell with a quote in it is quoted rightly, and one of them had to be: it holds a tab, a line end, a comma or a doubled quote,
or all cells of its column are quoted. A line inside quotes that has all the cells of a row is a row: then the quotes are characters.
"""

from __future__ import annotations

import re
from pathlib import Path

_JUDGED = 1 << 20  # bytes of a table, from its first quote on
_BLOCK = 4 << 20
_LONGEST_CELL = 1 << 16  # characters of a quoted cell whose end is beyond what is judged
_CELL = re.compile(r'"((?:[^"]|"")*)"(?=[\t\r\n]|\Z)|[^\t\r\n]+')
_LINE_END = re.compile(r"\r?\n|\r")
_NEEDS_QUOTES = re.compile(r'[\t\r\n,]|""')
_FEWEST_ROWS = 2  # of a column, the header's among them, whose cells are all quoted


def is_quoted(path: Path) -> bool:
    """Return whether the cells of a tab-separated table may be quoted. What is judged is the first megabyte that has a quote."""
    text, is_whole = _read_around_quote(path)
    has_need = False
    for match in _CELL.finditer(text):
        inside, cell = match.group(1), match.group()
        if inside is None and '"' in cell:
            is_cut = not is_whole and cell.startswith('"') and len(text) - match.start() < _LONGEST_CELL
            return has_need if is_cut and '"' not in text[match.start() + 1 :] else False
        if inside is not None:
            if _holds_row(text, match):
                return False
            has_need = has_need or _NEEDS_QUOTES.search(inside) is not None
    return has_need or _has_quoted_column(text, is_whole)


def _read_around_quote(path: Path) -> tuple[str, bool]:
    """Return a megabyte of lines from that of the first quote on, and whether the file ends there; nothing where it has no quote."""
    with open(path, "rb") as file:
        line_start = 0
        while block := file.read(_BLOCK):
            at = block.find(b'"')
            end = max(block.rfind(b"\n", 0, at if at >= 0 else None), block.rfind(b"\r", 0, at if at >= 0 else None)) + 1
            line_start = file.tell() - len(block) + end if end else line_start
            if at >= 0:
                file.seek(line_start)
                raw = file.read(_JUDGED)
                return raw.decode("utf-8-sig", "replace"), not file.read(1)
    return "", True


def _holds_row(text: str, match: re.Match[str]) -> bool:
    """Return whether a line inside a quoted cell has as many tabs as the row that the cell begins in."""
    inner = _LINE_END.split(match.group(1))[1:-1]
    if not inner:
        return False
    line_start = max(text.rfind("\n", 0, match.start()), text.rfind("\r", 0, match.start())) + 1
    before = text.count("\t", line_start, match.start())
    end = _LINE_END.search(text, match.end())
    tabs = before + text.count("\t", match.end(), end.start() if end else len(text))
    return tabs > 0 and any(line.count("\t") == tabs for line in inner)


def _has_quoted_column(text: str, is_whole: bool) -> bool:
    lines = _LINE_END.split(text)
    rows = [line.split("\t") for line in (lines if is_whole else lines[:-1]) if line]
    width = min(map(len, rows), default=0)
    return len(rows) >= _FEWEST_ROWS and any(all(row[i].startswith('"') for row in rows) for i in range(width))
