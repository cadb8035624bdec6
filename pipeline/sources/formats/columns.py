"""Columns of a table: standard names for whatever a corpus calls them, and a column that says what is wrong with a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.values import make_distinct

PROBLEM = "seimai:problem"  # the column of every format's frames that says what is wrong with a row; null where nothing is
MISFIT = "seimai:misfit:"  # begins the names of columns with what a kept column of text has that does not fit its type
UNFINISHED = "the input ends inside this line"  # the problem of a last row that may lack something

Synonyms = Mapping[str, Sequence[str]]  # names in the wild, best first and in lower case, by standard name


def distinct_names(names: list[str]) -> list[str]:
    """Return names of columns that are all different: the second of the same gets ~2, and `PROBLEM` counts as taken."""
    return make_distinct(pl.Series(names, dtype=pl.String), {PROBLEM}).to_list()


def match_columns(names: Iterable[str], synonyms: Synonyms, fits: Callable[[str, str], bool] | None = None) -> dict[str, str]:
    """Return which column of a table stands for which standard name: the first of its synonyms that the table has, case aside.

    `fits` tells of a standard name and a column whether the column's type is right for it.
    """
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.strip().lower(), name)
    matches = {}
    for standard, words in synonyms.items():
        candidates = (by_lower[word] for word in words if word in by_lower)
        column = next((name for name in candidates if fits is None or fits(standard, name)), None)
        if column is not None:
            matches[standard] = column
    return matches


def rename_columns(frame: pl.DataFrame, standard_names: Mapping[str, str]) -> pl.DataFrame:
    """Return `frame` with the columns that the manifest names under their standard names.

    A column that has the standard name of another goes. Raises InputError where the table lacks a named column.
    """
    if not standard_names:
        return frame
    if missing := [name for name in standard_names if name not in frame.columns]:
        raise missing_column(missing[0], frame.columns)
    taken = [name for name in standard_names.values() if name in frame.columns and name not in standard_names]
    return frame.drop(taken).rename(dict(standard_names))


def missing_column(name: str, columns: Sequence[str]) -> InputError:
    return InputError(f"has no column {name!r}, which source.columns names. Its columns: {', '.join(columns[:20])}")


def list_names(frame: pl.DataFrame) -> str:
    """Return the names of a table's columns as a message says them, `PROBLEM` aside."""
    return ", ".join([repr(name) for name in frame.columns if name != PROBLEM][:20])
