"""Measures of a record's URL. The caller gives `url_list`, as `filters.url.lists.find_list` returns it."""

from __future__ import annotations

import polars as pl

from filters.registry import measure
from filters.url.lists import NO_LIST


@measure(kind="url", words=True)
def url_list() -> pl.Expr:
    """List that the record's URL is on: `adult`, `spam`, or the name of a block list of the manifest; `none` where it is on none."""
    return pl.col("url_list").fill_null(NO_LIST)
