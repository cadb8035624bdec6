"""Licenses of what is in the shards, summed for the card: records come with their own, or have that of the manifest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

REMEMBERED = 1000  # licenses that a task counts by name
SHOWN = 20  # that the card names, those of most records

_SCHEMA = pl.Schema({"license": pl.String(), "records": pl.Int64(), "amount": pl.Int64()})


class LicenseCounts:
    """Records and amounts by license. Beyond `REMEMBERED` names the rarest are summed without a name."""

    def __init__(self) -> None:
        self._counts = pl.DataFrame(schema=_SCHEMA)

    def add(self, licenses: pl.Series, amounts: pl.Series) -> None:
        """Count records, given what each has."""
        rows = pl.DataFrame({"license": licenses, "amount": amounts.cast(pl.Int64)}).with_columns(records=pl.lit(1, pl.Int64))
        self._counts = _sum(pl.concat([self._counts, rows.select(_SCHEMA.names())]), REMEMBERED)

    def rows(self) -> list[list[Any]]:
        """Return license, records and amount, as JSON has them, those of most records first and null last."""
        return [list(row) for row in self._counts.iter_rows()]


def sum_licenses(counts: Iterable[list[list[Any]]]) -> list[list[Any]]:
    """Return the sum of what tasks counted, at most `SHOWN` licenses by name.

    >>> sum_licenses([[["CC0", 2, 20], ["MIT", 1, 10]], [["MIT", 2, 30]]])
    [['MIT', 3, 40], ['CC0', 2, 20]]
    """
    rows = pl.DataFrame([row for one in counts for row in one], schema=_SCHEMA, orient="row")
    return [list(row) for row in _sum(rows, SHOWN).iter_rows()]


def _sum(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    def add_up(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.group_by("license").agg(pl.sum("records"), pl.sum("amount")).select(_SCHEMA.names())

    order = [pl.col("license").is_null(), -pl.col("records"), "license"]
    counts = add_up(rows).sort(order)
    named = counts.filter(pl.col("license").is_not_null())
    if len(named) <= most:
        return counts
    keep = pl.col("license").is_in(named["license"].head(most).implode())
    return add_up(counts.with_columns(pl.when(keep).then("license").alias("license"))).sort(order)
