"""What a ledger adds up to: records by verdict, rule and source, and how the values of a measure are distributed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from pipeline.inspect.tables import NumberedTable

BINS = 40
_STEPS = 200  # of a slider: quantiles of a measure
_SAMPLED_GROUPS = 16  # row groups from all over the ledger that quantiles are taken of
_LOST = pl.col("verdict") != "kept"


class Loss(NamedTuple):
    """Records of a source that a rule took, by their verdict; `step` and `rule` are None for those that were kept."""

    verdict: str
    step: str | None
    rule: str | None
    records: int
    amount: float


@dataclass(frozen=True)
class Histogram:
    """How many records have a value in each of `BINS` bins of equal width: those that were kept, and the others.

    The first and the last bin also have what lies beyond `low` and `high`. `missing`: records without a value.
    """

    low: float
    high: float
    kept: list[int]
    others: list[int]
    missing: int

    def height(self, records: int) -> float:
        """Return how high the bar of so many records is, 0 to 1: by their logarithm, so that few are seen beside many."""
        return math.log1p(records) / math.log1p(max(1, *self.kept, *self.others))

    @property
    def bars(self) -> list[tuple[int, int]]:
        """Kept records and others, by bin."""
        return list(zip(self.kept, self.others, strict=True))

    @property
    def edges(self) -> list[float]:
        """Where bins begin, and the last one ends."""
        return np.linspace(self.low, self.high, BINS + 1).tolist()

    def place(self, value: float) -> float:
        """Return where a value stands between `low`, 0, and `high`, 1; beyond them at the edge."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


class Totals:
    """Sums over a ledger. `amount`: the column that is added up beside records, None where there is none."""

    def __init__(self, ledger: NumberedTable, amount: str | None) -> None:
        self.ledger, self.amount = ledger, amount
        self._quantiles = dict[str, list[float]]()

    @cached_property
    def reasons(self) -> pl.DataFrame:
        """Records and amounts by `source` `verdict` `step` `rule`."""
        amount = pl.lit(0.0) if self.amount is None else pl.col(self.amount).cast(pl.Float64).fill_null(0).sum()
        keys = ("source", "verdict", "step", "rule")
        return self.ledger.scan().group_by(keys).agg(records=pl.len(), amount=amount).collect().sort(keys)

    @cached_property
    def verdicts(self) -> dict[str, tuple[int, float]]:
        """Records and amount by verdict."""
        summed = self.reasons.group_by("verdict").agg(pl.sum("records"), pl.sum("amount"))
        return {verdict: (records, amount) for verdict, records, amount in summed.iter_rows()}

    @cached_property
    def losses(self) -> list[Loss]:
        """What each rule took, the most first."""
        return _list_losses(self.reasons.filter(_LOST))

    @cached_property
    def sources(self) -> pl.DataFrame:
        """`source`, `records`, how many of them had which verdict, `amount` and the share that was `lost`; those that lost most first."""
        sums = [
            pl.col("records").filter(pl.col("verdict") == name).sum().alias(name)
            for name in ("kept", "dropped", "duplicate", "unreadable")
        ]
        summed = self.reasons.group_by("source").agg(pl.sum("records"), *sums, pl.sum("amount"))
        return summed.with_columns(lost=1 - pl.col("kept") / pl.col("records")).sort(
            pl.col("records") - pl.col("kept"), "source", descending=[True, False]
        )

    def list_losses(self, source: str) -> list[Loss]:
        """Return what a source lost, and by what; what was kept comes last."""
        of_source = self.reasons.filter(pl.col("source") == source)
        return _list_losses(of_source.filter(_LOST)) + _list_losses(of_source.filter(~_LOST))

    def find_quantiles(self, column: str) -> list[float]:
        """Return `_STEPS` + 1 values of a measure from its least to its greatest, as many records between each two.

        Of a large ledger they are those of row groups from all over it, with the least and the greatest value of all.
        """
        if column not in self._quantiles:
            self._quantiles[column] = self._compute_quantiles(column)
        return self._quantiles[column]

    def _compute_quantiles(self, column: str) -> list[float]:
        groups = self.ledger.row_groups
        chosen = groups[:: max(1, len(groups) // _SAMPLED_GROUPS)]
        frames = [self.ledger.scan().slice(group.first, group.rows).select(column) for group in chosen]
        if not frames:
            return []
        values = pl.concat(frames).collect()[column].cast(pl.Float64).drop_nulls().drop_nans().to_numpy()
        if not len(values):
            return []
        found = np.quantile(values, np.linspace(0, 1, _STEPS + 1), method="nearest")
        low, high = self.ledger.find_limits(column)
        found[0], found[-1] = min(found[0], low), max(found[-1], high)
        is_single = self.ledger.scan().collect_schema()[column] == pl.Float32
        return [
            float(str(np.float32(value))) if is_single else float(value) for value in found
        ]  # as few digits as tell it apart

    def count_values(self, column: str, bounds: Sequence[float]) -> Histogram | None:
        """Return the histogram of a measure, from its first to its last percentile and around its bounds. None without a value."""
        frame = self.ledger.scan().select(pl.col(column).cast(pl.Float64).fill_nan(None), pl.col("verdict") == "kept").collect()
        given = frame.drop_nulls(column)
        if not len(given):
            return None
        values, kept = given[column].to_numpy(), given["verdict"].to_numpy()
        finite = values[np.isfinite(values)]
        if not len(finite):
            return None
        low, high = np.quantile(finite, [0.01, 0.99]).tolist()
        beyond = 0.2 * (max([high, *bounds]) - min([low, *bounds]))  # of the width, so that a bound has two sides
        low = min([low, *(bound - beyond for bound in bounds if bound - beyond >= values.min())])
        high = max([high, *(bound + beyond for bound in bounds if bound + beyond <= values.max())])
        low, high = min([low, *bounds]), max([high, *bounds])
        if low == high:
            low, high = low - 0.5, high + 0.5
        bins = np.clip((values - low) / (high - low) * BINS, 0, BINS - 1).astype(np.int64)
        of_others, of_kept = np.bincount(bins + BINS * kept, minlength=2 * BINS).reshape(2, BINS).tolist()
        return Histogram(low, high, of_kept, of_others, len(frame) - len(given))


def _list_losses(reasons: pl.DataFrame) -> list[Loss]:
    summed = reasons.group_by("verdict", "step", "rule").agg(pl.sum("records"), pl.sum("amount"))
    ordered = summed.sort("records", "rule", descending=[True, False], nulls_last=True)
    return [Loss(*row) for row in ordered.iter_rows()]
