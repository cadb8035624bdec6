"""Expressions that several measures are made of."""

from __future__ import annotations

import polars as pl


def share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Return `part` divided by `whole`, 0 where the whole is 0."""
    return (part / pl.when(whole > 0).then(whole).otherwise(1)).cast(pl.Float32)


def given(name: str) -> pl.Expr:
    """Return a counter of floats that the caller gives, null where it is NaN."""
    return pl.col(name).cast(pl.Float32).fill_nan(None)
