"""img2dataset's output: tars of KEY.jpg, KEY.txt and KEY.json with a Parquet sidecar that lists every row, failed ones included.

Members stand in a tar in the order in which downloads ended, so rows are sorted by key. Plain WebDataset tars without a sidecar are
read in the same way.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError
from pipeline.sources.formats import columnar
from pipeline.sources.formats.tar import Member, members
from pipeline.sources.formats.webdataset import from_members, mapped
from pipeline.sources.image_text import rows
from pipeline.sources.values import all_printable, completed, distinct

_NO_MEMBER = "no image: the sidecar lists this key, the tar has no member of it"


def from_tar(found: list[Member], length: int) -> pl.DataFrame:
    """A row for every image, or caption without one, among the members of a tar."""
    return from_members(found, length, rows.IMAGE_SUFFIXES, "image", "caption")


def sidecar_of(path: Path) -> Path | None:
    """The Parquet file beside a tar that lists its rows."""
    beside = path.with_suffix(".parquet")
    return beside if os.path.isfile(beside) else None  # Path.is_file raises where the longer suffix makes the name too long


def _needed(schema: pa.Schema) -> set[str]:
    if "key" not in rows.matched(schema.names):
        return set()
    words = {word for ours, synonyms in rows.SYNONYMS.items() if ours != "file" for word in synonyms}
    return {name for name in schema.names if name.strip().lower() in words}


def listed(path: Path, keys: pl.Series) -> pl.DataFrame | None:
    """Standard columns of a sidecar, with `key` and `nth`, and the reason of a failed row in `failed`; None where it is another table.

    `keys` are those of the images that it lists: where its own are numbers they are filled with zeros as these are. `unreadable` says
    what is wrong with a caption. Raises InputError where it is no Parquet file.
    """
    try:
        frame = columnar.whole_parquet(path, _needed)
    except InputError as error:
        raise InputError(f"{path} {error}: write it anew, or take it away") from None
    columns = rows.matched(frame.columns, frame.schema)
    if "key" not in columns:
        return None
    chosen = rows.with_problems(frame).rename({"problem": "unreadable"})
    widths = keys.str.len_chars().unique()
    if frame.schema[columns["key"]].is_integer() and len(widths) == 1:
        chosen = chosen.with_columns(pl.col("key").str.zfill(widths[0]))
    missing = [name for name in ("status", "error_message") if name not in chosen.columns]
    chosen = chosen.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
    chosen = chosen.with_columns(key=all_printable(chosen["key"].fill_null("")), failed=failure())
    return chosen.with_columns(nth=pl.int_range(pl.len()).over("key")).drop("status", "error_message")


def failure() -> pl.Expr:
    """Why img2dataset has no image of a row, from `status` and `error_message`; null where it has."""
    failed = pl.col("status").is_not_null() & (pl.col("status") != "success")
    return pl.when(failed).then(pl.concat_str("status", "error_message", separator=": ", ignore_nulls=True))


def joined(tar: pl.DataFrame, sidecar: pl.DataFrame | None) -> tuple[pl.DataFrame, list[str]]:
    """All rows of tar and sidecar, each once and sorted by key, and warnings where the two disagree."""
    warnings = []
    if sidecar is None:
        frame = tar.sort("key", "nth")
    else:
        in_tar, in_list = pl.col("in_tar").is_not_null(), pl.col("in_list").is_not_null()
        frame = (
            tar.lazy()
            .with_columns(in_tar=pl.lit(True))
            .join(
                sidecar.lazy().drop("file", strict=False).with_columns(in_list=pl.lit(True)),
                on=["key", "nth"], how="full", coalesce=True,
            )
            .sort("key", "nth")
            .with_columns(
                problem=pl.when(in_tar).then("problem").otherwise(pl.coalesce("failed", pl.lit(_NO_MEMBER))),
                unlisted=in_tar & ~in_list,
                gone=~in_tar & pl.col("failed").is_null(),
            )
            .collect()
        )  # fmt: skip
        if unlisted := frame["unlisted"].sum():
            warnings.append(f"{unlisted:,} keys that its sidecar does not list")
        if gone := frame["gone"].sum():
            warnings.append(f"no member for {gone:,} keys that its sidecar lists as fetched")
    return frame.with_columns(distinct(frame["key"], set()).alias("locator")), warnings


def read(path: Path, sidecar: Path | None) -> tuple[pl.DataFrame, str | None, list[str]]:
    """The rows of a tar and its sidecar, what is wrong with the tar, and where the two disagree."""
    data = mapped(path)
    found, damage = members(data)
    rows_of_tar = from_tar(found, len(data)).with_columns(place=pl.lit(str(path)))
    table = None
    try:
        table = listed(sidecar, rows_of_tar["key"]) if sidecar else None
    except InputError as error:
        damage = damage or f"has a sidecar that cannot be read, since {error}"
    frame, warnings = joined(rows_of_tar, table)
    if table is not None:  # the tar's own captions come before those of the sidecar
        unreadable = pl.when(pl.col("text_at").is_null()).then("unreadable")
        frame = frame.with_columns(problem=pl.coalesce("problem", unreadable))
    if sidecar and table is None and damage is None:
        warnings.append(f"a Parquet file beside it, {sidecar.name}, that is no sidecar: it has no column of keys")
    return completed(frame, rows.SCHEMA), damage, warnings
