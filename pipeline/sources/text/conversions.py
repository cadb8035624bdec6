"""Columns of tables in the types that the shards have. A value that would not be the same there is a misfit, as for JSON lines."""

from __future__ import annotations

import polars as pl

from pipeline.sources.values import decode_texts

_UNITS_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # of the years 1 to 9999, since 1970: polars panics far beyond them


def convert_column(column: pl.Series, kind: pl.DataType) -> tuple[pl.Series, pl.Series]:
    """Return a column as the type `kind`, and those of its values, as strings, that do not fit that type: they become null.

    NaN where there are no floats is null: it is what pandas has for a value that is missing.
    """
    broken = pl.repeat(False, len(column), dtype=pl.Boolean, eager=True)
    if column.dtype == pl.Binary:
        column, problems = decode_texts(column, column.name)
        broken = problems.is_not_null()
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype.is_float() and not kind.is_float():
        column = column.fill_nan(None)
    if column.dtype.is_nested():
        converted = shown = _write_json(column)
        converted = converted if kind == pl.String else pl.repeat(None, len(column), dtype=kind, eager=True)
    elif column.dtype.is_temporal():
        converted, shown = _convert_times(column, kind)
    else:
        converted, shown = _convert_scalars(column, kind), column.cast(pl.String, strict=False)
    misfit = broken | (converted.is_null() & column.is_not_null())
    return converted.set(misfit, None), shown.set(~misfit, None)


def _convert_scalars(column: pl.Series, kind: pl.DataType) -> pl.Series:
    """Return strings, numbers or booleans as another type; null where they are not the same in it."""
    if kind == pl.Boolean and column.dtype == pl.String:
        return column.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    converted = column.cast(kind, strict=False)
    if kind == pl.Boolean and column.dtype.is_numeric():
        number = column.cast(pl.Float64, strict=False)
        return converted.set((number != 0) & (number != 1), None)
    if kind.is_integer() and column.dtype.is_float():
        return converted.set(column != column.round(), None)
    if kind.is_integer() and column.dtype.is_decimal():
        return converted.set(converted.cast(column.dtype, strict=False).ne_missing(column), None)
    if kind.is_float():
        infinite = ~converted.is_finite() if column.dtype == pl.String else converted.is_infinite()
        return converted.set(infinite, None)
    return converted


def _convert_times(column: pl.Series, kind: pl.DataType) -> tuple[pl.Series, pl.Series]:
    """Return dates and times as ISO 8601 writes them, null where they fit no calendar, and all as messages show them."""
    shown = column.to_physical().cast(pl.String)
    if kind != pl.String or column.dtype == pl.Duration:
        return pl.repeat(None, len(column), dtype=kind, eager=True), shown
    if column.dtype == pl.Time:
        return column.cast(pl.String, strict=False), shown
    days = column.to_physical().cast(pl.Int64) // _UNITS_A_DAY.get(getattr(column.dtype, "time_unit", ""), 1)
    known = column.set(~days.is_between(_FIRST_DAY, _LAST_DAY), None)
    return known.dt.to_string("iso:strict"), shown


def _write_json(column: pl.Series) -> pl.Series:
    """Return lists and structs as compact JSON."""
    objects = pl.struct(column.alias("v")).struct.json_encode()
    values = pl.select(objects).to_series().str.strip_prefix('{"v":').str.head(-1)
    return values.set(column.is_null(), None)
