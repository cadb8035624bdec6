"""Comma-separated lists, with quotes as RFC 4180 has them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columnar import PROBLEM, distinct_names
from pipeline.sources.values import UNFINISHED


def frames(path: Path, whole: bool, longest: int, batch: int) -> Iterator[pl.DataFrame]:
    """Rows under a header, as text, with `PROBLEM`; a quoted field may hold line ends, and has at most `longest` bytes; `batch` at a time.

    Raises InputError, after the rows before it, where a quote is not closed or a field is longer.
    """
    quotes, unfinished = 0, False

    def lines(file: io.TextIOWrapper) -> Iterator[str]:
        nonlocal quotes, unfinished
        for line in file:
            quotes += line.count('"')
            unfinished = not line.endswith(("\n", "\r"))
            yield line

    csv.field_size_limit(longest)
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(lines(file))
        names: list[str] = []
        table: list[list[str | None]] = []
        error: InputError | None = None
        ended = False
        while not ended:
            begun = reader.line_num
            try:
                cells = next(reader, None)
            except csv.Error as wrong:
                error = InputError(f"is not CSV from line {begun + 1:,} on ({wrong}): a quote may not be closed there")
                cells = None
            ended = cells is None
            if cells and not names:
                names = distinct_names([cell.strip() for cell in cells])
            elif cells:
                count, width = len(cells), len(names)
                fault = None if count == width else f"the row has {count} fields instead of {width}"
                table.append([*cells[:width], *[None] * (width - count), fault])
                # A quote that is never closed takes all lines to the end for one field.
                torn = quotes % 2 == 1 and reader.line_num > begun + 1
            if table and (ended or len(table) == batch + 1):
                # The last row is kept back until it is known whether it is the last.
                now, table = (table, []) if ended else (table[:-1], table[-1:])
                if ended and torn and error is None:
                    error = InputError(f"has a quote that is not closed, in its last row of {len(now):,} that were read")
                    now[-1][-1] = "a quote in this row is not closed"
                elif ended and unfinished and not whole:
                    now[-1][-1] = UNFINISHED
                yield pl.DataFrame(now, schema=dict.fromkeys([*names, PROBLEM], pl.String), orient="row")
        if error:
            raise error
