"""Records that a report shows as examples: for every rule, near its bound and far from it, kept ones, and duplicates with survivors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from pipeline.report.difference import find_difference
from pipeline.report.ledger import VERDICTS, Ledger, draw, nearest
from pipeline.report.model import Examples, Pair, Passage, Record

NEAR, RANDOM, KEPT, PAIRS = 4, 4, 16, 4
_COLUMNS = ("id", "source", "verdict", "rule", "value", "value_text", "bound", "bound_text", "cluster_size", "excerpt", "url")


@dataclass
class Choice:
    """Row numbers of the examples of a rule, by the lists of `Examples`; `kept_near` with the measure's value."""

    near: list[int] = field(default_factory=list)
    far: list[int] = field(default_factory=list)
    random: list[int] = field(default_factory=list)
    kept_near: list[tuple[int, float]] = field(default_factory=list)

    @property
    def rows(self) -> list[int]:
        return [*self.near, *self.far, *self.random, *(row for row, _ in self.kept_near)]


def choose_examples(ledger: Ledger) -> dict[str, Choice]:
    """Return examples by rule of what rules dropped, or could not be read: without those that are kept."""
    frame = ledger.scan().select("rule", "value", "bound", "verdict").with_row_index("row")
    wanted = frame.filter(pl.col("verdict").is_in(["dropped", "unreadable"])).drop("verdict").collect()
    chosen: dict[str, Choice] = {}
    for (rule,), rows in wanted.group_by("rule", maintain_order=True):
        numbers = rows["row"].to_numpy().astype(np.int64)
        distance = (rows["value"] - rows["bound"]).abs().to_numpy().astype(np.float64)
        choice = Choice(nearest(numbers, distance, NEAR), nearest(numbers, -distance, NEAR))
        choice.far = [row for row in choice.far if row not in choice.near]
        taken = {*choice.near, *choice.far}
        choice.random = [row for row in draw(numbers, RANDOM + len(taken)) if row not in taken][:RANDOM]
        chosen[str(rule)] = choice
    return chosen


def choose_pairs(ledger: Ledger) -> list[int]:
    """Return rows of duplicates: the least similar near ones, others by a seed, and an exact one."""
    frame = ledger.scan().select("rule", "similarity", "verdict").with_row_index("row")
    wanted = frame.filter(pl.col("verdict") == "duplicate").collect()
    is_exact = wanted["rule"] == "exact"
    near, exact = wanted.filter(~is_exact), wanted.filter(is_exact)
    numbers = near["row"].to_numpy().astype(np.int64)
    least = nearest(numbers, near["similarity"].to_numpy().astype(np.float64), PAIRS)
    others = [row for row in draw(numbers, 2 * PAIRS) if row not in least][:PAIRS]
    return [*least, *others, *draw(exact["row"].to_numpy().astype(np.int64), 1)]


def choose_kept(ledger: Ledger) -> list[int]:
    """Return rows of kept records by a seed."""
    return draw(np.flatnonzero(ledger.verdicts == VERDICTS.index("kept")), KEPT)


class Rows:
    """Rows of the ledger that examples show, read at once."""

    def __init__(self, ledger: Ledger, numbers: Iterable[int], further: Sequence[str] = ()) -> None:
        columns = [name for name in (*_COLUMNS, *further) if name in ledger.schema]
        self._rows = ledger.rows_at(numbers, columns)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self._rows[number]

    def record(self, number: int, measured: float | None = None, evidence: Sequence[Passage] = ()) -> Record:
        """Return a row as an example."""
        row = self._rows[number]
        return Record(**{name: row.get(name) for name in _COLUMNS}, measured=measured, evidence=[*evidence])

    def examples(self, choice: Choice, passages: Mapping[int, Sequence[Passage]] = MappingProxyType({})) -> Examples:
        """Return the examples of a rule. `passages`: what counts for it in texts near its bound, by row."""
        return Examples(
            near=[self.record(row, None, passages.get(row, ())) for row in choice.near],
            far=[*map(self.record, choice.far)],
            random=[*map(self.record, choice.random)],
            kept_near=[self.record(row, value, passages.get(row, ())) for row, value in choice.kept_near],
        )


def describe_pairs(rows: Rows, duplicates: Sequence[int], survivors: Mapping[str, int], texts: Mapping[int, str]) -> list[Pair]:
    """Return duplicates beside their survivors. `survivors`: row numbers by id; `texts` are those that were compared, by row number."""
    pairs = []
    for number in duplicates:
        survivor = survivors.get(rows[number]["duplicate_of"])
        difference = find_difference(texts[number], texts[survivor]) if survivor is not None and number in texts else []
        pairs.append(
            Pair(
                duplicate=rows.record(number),
                survivor=None if survivor is None else rows.record(survivor),
                similarity=rows[number]["similarity"],
                difference=difference,
            )
        )
    return pairs
