"""Cells of lists that hold more than they should: images in base64, and rows that a stray quote took for a part of a caption."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.image_text import columns

# The beginnings of JPEG, PNG, WebP, GIF and AVIF in base64, which may say before it what it is.
_BEGINNING = r"^(?:data:image/[\w.+-]+;base64,)?(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD|AAAA[\w+/]{3}mdHlw)[\w+/\s=]{24,}"
BASE64_IMAGE = re.compile(r"(?:^|[\t,;\"])" + _BEGINNING[1:] + r"(?:$|[\t,;\"])")
_SUFFIXES = "|".join(sorted(columns.IMAGE_SUFFIXES))


def decode_images(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose columns of images in base64 hold their bytes. What is no base64 has a problem."""
    for name, kind in table.schema.items():
        if kind != pl.String or name.strip().lower() not in columns.IMAGE_COLUMNS:
            continue
        column = table[name]
        if not column.str.contains(_BEGINNING).any():
            continue
        plain = column.str.replace(r"^data:[^,]*,", "").str.replace_all(r"\s+", "")
        images = plain.str.decode("base64", strict=False)
        problem = pl.when(column.is_not_null() & images.is_null()).then(pl.lit("no image: the cell is not base64"))
        known = pl.col(PROBLEM) if PROBLEM in table.columns else pl.lit(None, pl.String)
        table = table.with_columns(images.alias(name), pl.coalesce(known, problem).alias(PROBLEM))
    return table


def refuse_swallowed_rows(frames: Iterator[pl.DataFrame], separator: str) -> Iterator[pl.DataFrame]:
    """Yield frames in which a row has a problem whose cell has lines that look like rows: a quote was not closed before them."""
    separator = separator.replace("|", r"\|")
    cell = rf'(?:https?://[^\s{separator}"]+|[^\n{separator}"]+\.(?:{_SUFFIXES}))'
    pattern = rf'(?i)\n"?{cell}"?{separator}|\n[^\n]*{separator}"?{cell}"?(?:\r?\n|$)'
    for frame in frames:
        names = [name for name in frame.columns if name != PROBLEM]
        has_rows = pl.any_horizontal(pl.col(name).str.contains(pattern).fill_null(False) for name in names)
        swallowed = pl.when(has_rows).then(pl.lit("a quote in this row is not closed: lines that look like rows are inside it"))
        yield frame.with_columns(pl.coalesce(PROBLEM, swallowed).alias(PROBLEM)) if names else frame
