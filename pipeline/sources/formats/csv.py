"""Comma-separated values, with quotes as RFC 4180 has them, in UTF-8 or an encoding that `encodings` knows, such as Excel's CP932.

Ours around Python's `csv`: polars and pandas do not say which row is torn, and a quote that is not closed must not swallow the rest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM, UNFINISHED, distinct_names
from pipeline.sources.formats.encodings import find_file_encoding


class _CountedLines:
    """The lines of a file. `quotes` counts those that were read so far; `unfinished` says that the last line has no end."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file = file
        self.quotes, self.unfinished = 0, False

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.quotes += line.count('"')
            self.unfinished = not line.endswith(("\n", "\r"))
            yield line


def read_csv(path: Path, complete: bool, longest_field: int, batch: int) -> Iterator[pl.DataFrame]:
    """Yield the rows under a header, as strings and with `PROBLEM`, in frames of `batch` rows. A quoted field may hold line ends.

    The last row of a file that is not `complete` has a problem where it has no end. Raises InputError, after the rows before it, where
    a quote is not closed or a field has more than `longest_field` bytes.
    """
    csv.field_size_limit(longest_field)
    with open(path, encoding=find_file_encoding(path) or "utf-8-sig", errors="replace", newline="") as file:
        lines = _CountedLines(file)
        reader = csv.reader(iter(lines))
        header: list[str] = []
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
    """Return `width` cells, and as the last value what is wrong with their number."""
    problem = None if len(cells) == width else f"the row has {len(cells)} fields instead of {width}"
    return [*cells[:width], *[None] * (width - len(cells)), problem]
