"""Comma-separated values, and tables between tabs, with quotes as RFC 4180 has them.

They are in UTF-8 or an encoding that `encodings` knows, such as Excel's CP932.

Ours around Python's `csv`: polars and pandas do not say which row is torn, and a quote that is not closed must not swallow the rest.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM, UNFINISHED, distinct_names
from pipeline.sources.formats.encodings import find_file_encoding

_SEPARATOR_LINE = re.compile(r"(?i)\A\"?sep=([,;|\t])\"?\s*\Z")


def find_separator(first_line: str) -> str | None:
    """Return what Excel's line `sep=;` says that cells are separated by; None where a first line is another."""
    match = _SEPARATOR_LINE.match(first_line)
    return match.group(1) if match else None


class _CountedLines:
    """The lines of a file. `quotes` counts those that were read so far; `unfinished` says that the last line has no end.

    `has_broken` says that a line since it was last set had bytes that are not of the file's encoding, which are U+FFFD now.
    """

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file = file
        self._broken = re.compile("[\ud800-\udfff]" if file.errors == "surrogateescape" else "\N{REPLACEMENT CHARACTER}")
        self.quotes, self.unfinished, self.has_broken = 0, False, False

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.quotes += line.count('"')
            self.unfinished = not line.endswith(("\n", "\r"))
            if not line.isascii() and self._broken.search(line):
                self.has_broken, line = True, line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            yield line


def read_csv(
    path: Path, complete: bool, longest_field: int, batch: int, separator: str = ",", names: list[str] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows under a header, as strings and with `PROBLEM`, in frames of `batch` rows. A quoted field may hold line ends.

    `names` are those of the columns where there is no header. Excel's line `sep=;` says what separates, instead of `separator`. A row
    that is not of the file's encoding has a problem, and so has the last row, where it has no end, of a file that is not `complete`. Raises
    InputError, after the rows before it, where a quote is not closed or a field has more than `longest_field` bytes.
    """
    csv.field_size_limit(longest_field)
    encoding = find_file_encoding(path)
    # Only UTF-8's bytes can be told from U+FFFD that was written.
    errors = "replace" if encoding else "surrogateescape"
    with open(path, encoding=encoding or "utf-8-sig", errors=errors, newline="") as file:
        lines = _CountedLines(file)
        first = file.readline()
        by_excel = find_separator(first)
        if by_excel is None:
            file.seek(0)
        # Where spaces follow the separators of the first line, one may stand before a quote.
        is_spaced = by_excel is None and re.fullmatch(rf'[^"{separator}]*(?:{re.escape(separator)} [^"{separator}]*)+', first)
        reader = csv.reader(iter(lines), delimiter=by_excel or separator, skipinitialspace=is_spaced is not None)
        header: list[str] = names or []
        rows: list[list[str | None]] = []
        error: InputError | None = None
        ended = torn = False
        while not ended:
            line = reader.line_num
            try:
                cells = next(reader, None)
            except csv.Error as wrong:
                error = InputError(f"is not CSV from line {line + 1:,} on ({wrong}): a quote may not be closed there")
                cells = None
            ended = cells is None
            if cells and not header:
                header = distinct_names([cell.strip() for cell in cells])
            elif cells:
                rows.append(_fit_row(cells, len(header)))
                if lines.has_broken:
                    rows[-1][-1], lines.has_broken = f"the row is not {encoding or 'UTF-8'}", False
                # A quote that is never closed takes all lines to the end for one field.
                torn = lines.quotes % 2 == 1 and reader.line_num > line + 1
            if rows and (ended or len(rows) == batch + 1):
                # The last row is kept back until it is known whether it is the last.
                ready, rows = (rows, []) if ended else (rows[:-1], rows[-1:])
                if ended and torn and error is None:
                    error = InputError(f"has a quote that is not closed, in its last row of {len(ready):,} that were read")
                    ready[-1][-1] = "a quote in this row is not closed"
                elif ended and lines.unfinished and not complete:
                    ready[-1][-1] = UNFINISHED
                yield pl.DataFrame(ready, schema=dict.fromkeys([*header, PROBLEM], pl.String), orient="row")
        if error:
            raise error


def _fit_row(cells: list[str], width: int) -> list[str | None]:
    """Return `width` cells, and as the last value what is wrong with their number. Empty cells beyond the last are none."""
    problem = (
        None
        if len(cells) == width or (len(cells) > width and not any(cells[width:]))
        else f"the row has {len(cells)} fields instead of {width}"
    )
    return [*cells[:width], *[None] * (width - len(cells)), problem]
