"""Which records a view has: their numbers in the ledger, and the code that selects the same ones with polars."""

from __future__ import annotations

import glob
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import polars as pl

from pipeline.core.errors import UsageError
from pipeline.inspect.tables import NumberedTable
from pipeline.inspect.view import PAGE, View

SEARCHED_BYTES = 256_000_000  # of excerpts, and of texts, that one search reads: about a second on two cores
_CACHED_ROWS = 40_000_000  # numbers of rows that are kept in memory, at four bytes each
_CACHED = 64  # selections
_FIRST = 1000  # records of a sorted view that are found without sorting all: twenty pages
_ROW = "row"


@dataclass(frozen=True)
class Searched:
    """What a text was searched for in: rows of the ledger, by their excerpts, and rows of the shards, by their texts."""

    part: int
    parts: int
    excerpts: range
    texts: range


@dataclass(frozen=True)
class Selection:
    """Records of a view in its order: numbers of rows of the ledger (None: all rows, in order), how many, and what was searched.

    Of a sorted view, `numbers` may be those of the first records alone.
    """

    numbers: np.ndarray | None
    records: int
    searched: Searched | None = None

    @property
    def pages(self) -> int:
        return max(1, -(-self.records // PAGE))

    def has(self, records: int) -> bool:
        """Return whether the first so many records are in `numbers`, as far as there are so many."""
        return self.numbers is None or len(self.numbers) >= min(records, self.records)

    def page(self, number: int) -> np.ndarray:
        """Return the rows of a page, counted from 1."""
        rows = range((number - 1) * PAGE, min(number * PAGE, self.records))
        return np.arange(rows.start, rows.stop) if self.numbers is None else self.numbers[rows.start : rows.stop]


class Selector:
    """Selects records of a corpus. `text_column`: what the shards call the text of a record; `own_ids`: columns of the ledger by which
    records are found, too.
    """

    def __init__(self, ledger: NumberedTable, shards: NumberedTable, text_column: str, own_ids: Sequence[str] = ()) -> None:
        self.ledger, self.shards, self.text_column, self.own_ids = ledger, shards, text_column, tuple(own_ids)
        self._cache = OrderedDict[Hashable, Selection]()
        self._lock = Lock()

    def select(self, view: View, until: int | None = None) -> Selection:
        """Return the records of a view; those of views that were asked for lately are remembered.

        `until`: how many of the first are needed, those up to the view's page without it. Raises UsageError for parts beyond the last.
        """
        until = view.page * PAGE if until is None else until
        with self._lock:
            if (found := self._cache.get(view.selection)) and found.has(until):
                self._cache.move_to_end(view.selection)
                return found
        selection = self._select(view, until)
        with self._lock:
            self._cache[view.selection] = selection
            while len(self._cache) > 1 and (len(self._cache) > _CACHED or self._count_cached() > _CACHED_ROWS):
                self._cache.popitem(last=False)
        return selection

    def find_first(self, view: View, count: int) -> np.ndarray:
        """Return the first numbers of a sorted view without a text, as `select` orders them, without sorting the rest."""
        assert view.order is not None and not view.text, "other views are not sorted"
        rows = self._scan_rows(view, [condition.expression for condition in view.conditions])
        first = rows.bottom_k(count, by=["by", _ROW], reverse=[view.order.descending, False]).collect()
        return self._sort(first.sort(_ROW), view)[_ROW].to_numpy()

    def _count_cached(self) -> int:
        return sum(len(one.numbers) for one in self._cache.values() if one.numbers is not None)

    def _select(self, view: View, until: int) -> Selection:
        filters = [condition.expression for condition in view.conditions]
        if not filters and view.order is None and not view.text:
            return Selection(None, self.ledger.rows)
        if not view.text and view.order is not None and until <= _FIRST:
            records = self.ledger.scan().filter(*filters).select(pl.len()).collect().item() if filters else self.ledger.rows
            return Selection(self.find_first(view, _FIRST), records)
        if not view.text:
            return self._sort_all(self._read_rows(view, filters), view)
        searched = self._find_part(view)
        in_excerpts = pl.col("excerpt").str.contains(view.text, literal=True)
        rows = self._read_rows(view, [*filters, in_excerpts], searched.excerpts)
        is_called_so = [pl.col(name).cast(pl.String) == view.text for name in self.own_ids]
        is_named = pl.any_horizontal(pl.col("id").str.ends_with(view.text), *is_called_so)
        named = self._read_rows(view, [*filters, is_named])  # ids are short: all of them
        rows = pl.concat([rows, named]).unique(_ROW).sort(_ROW)
        if len(ids := self._find_texts(view.text, searched.texts)):
            more = self._read_rows(view, [*filters, pl.col("id").is_in(ids.implode())])
            rows = pl.concat([rows, more]).unique(_ROW).sort(_ROW)
        return replace(self._sort_all(rows, view), searched=searched)

    def _read_rows(self, view: View, filters: list[pl.Expr], rows: range | None = None) -> pl.DataFrame:
        """Return the numbers of rows that meet all filters, in order, and what they are sorted `by`. `rows`: those that are looked at."""
        return self._scan_rows(view, filters, rows).collect()

    def _scan_rows(self, view: View, filters: list[pl.Expr], rows: range | None = None) -> pl.LazyFrame:
        frame = self.ledger.scan(_ROW)
        if rows is not None and len(rows) < self.ledger.rows:
            frame = frame.slice(rows.start, len(rows))
        if filters:
            frame = frame.filter(*filters)
        by = [view.order.expression.alias("by")] if view.order is not None else []
        return frame.select(_ROW, *by)

    def _sort(self, rows: pl.DataFrame, view: View) -> pl.DataFrame:
        if view.order is None:
            return rows
        return rows.sort("by", descending=view.order.descending, nulls_last=True, maintain_order=True)

    def _sort_all(self, rows: pl.DataFrame, view: View) -> Selection:
        return Selection(self._sort(rows, view)[_ROW].to_numpy(), len(rows))

    @cached_property
    def _parts(self) -> tuple[list[range], list[range]]:
        return self.ledger.cut("excerpt", SEARCHED_BYTES), self.shards.cut(self.text_column, SEARCHED_BYTES)

    def _find_part(self, view: View) -> Searched:
        parts = max(map(len, self._parts))
        if view.part > parts:
            raise UsageError(f"part = {view.part}: texts are searched in {parts:,} parts")
        excerpts, texts = (ranges[view.part - 1] if view.part <= len(ranges) else range(0) for ranges in self._parts)
        return Searched(view.part, parts, excerpts, texts)

    def _find_texts(self, text: str, rows: range) -> pl.Series:
        """Return the ids of kept records whose text has `text`."""
        if not rows:
            return pl.Series("id", [], pl.String)
        frame = self.shards.scan().slice(rows.start, len(rows)).select("id", self.text_column)
        return frame.filter(pl.col(self.text_column).str.contains(text, literal=True)).select("id").collect()["id"]

    def write_code(self, view: View, selection: Selection) -> str:
        """Return Python that gives the page of a view: a frame `page` with all columns of the ledger."""
        searched, filters = selection.searched, [condition.code for condition in view.conditions]
        is_partial = searched is not None and len(searched.excerpts) < self.ledger.rows
        options = f", row_index_name={_ROW!r}" if is_partial else ""
        lines = ["import polars as pl", "", f"ledger = pl.scan_parquet({_pattern(self.ledger.files)}{options})"]
        if searched is not None:
            matches = f"pl.col('excerpt').str.contains({view.text!r}, literal=True)"
            if is_partial:
                first, stop = searched.excerpts.start, searched.excerpts.stop
                matches += f" & (pl.col({_ROW!r}) >= {first}) & (pl.col({_ROW!r}) < {stop})"
            if searched.texts:
                cut = f".slice({searched.texts.start}, {len(searched.texts)})" * (len(searched.texts) < self.shards.rows)
                column = f"pl.col({self.text_column!r})"
                lines.append(f"shards = pl.scan_parquet({_pattern(self.shards.files)}){cut}")
                lines.append(
                    f"texts = shards.filter({column}.str.contains({view.text!r}, literal=True)).select('id').collect()['id']"
                )
                matches = f"({matches}).fill_null(False) | pl.col('id').is_in(texts.implode())"
            else:
                matches = f"({matches}).fill_null(False)"
            matches += f" | pl.col('id').str.ends_with({view.text!r})"
            for name in self.own_ids:
                matches += f" | (pl.col({name!r}).cast(pl.String) == {view.text!r}).fill_null(False)"
            filters.append(matches)
        lines.append(
            "view = ledger" + f".filter({', '.join(filters)})" * bool(filters) + (view.order.code if view.order else "")
        )
        lines.append(f"page = view.slice({(view.page - 1) * PAGE}, {PAGE}).collect()" + f".drop({_ROW!r})" * is_partial)
        return "\n".join(lines) + "\n"


def _pattern(files: tuple[Path, ...]) -> str:
    """Return the pattern, as Python writes it, that stands for all Parquet files beside the first."""
    return repr(f"{glob.escape(str(files[0].parent))}/*.parquet") if files else "[]"
