"""JSON objects, a line each: one that is broken costs itself alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

NOT_AN_OBJECT = "the line is not a JSON object"


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object that a text is, or None where it is none: broken, nested too deeply, or another kind of value."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def build_string_columns(rows: list[dict[str, str]], names: Iterable[str] | None = None) -> pl.DataFrame:
    """Return the columns `names`, or all keys in the order in which they come up, of objects that hold strings."""
    columns = [*names] if names is not None else [*dict.fromkeys(name for row in rows for name in row)]
    values: Mapping[str, list[str | None]] = {name: [row.get(name) for row in rows] for name in columns}
    return pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String))
