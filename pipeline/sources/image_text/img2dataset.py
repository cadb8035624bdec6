"""img2dataset's output: tars of KEY.jpg, KEY.txt and KEY.json with a Parquet sidecar that lists every row, failed ones included.

Members stand in a tar in the order in which downloads ended, so rows are sorted by key. Plain WebDataset tars, which have no sidecar, are
read in the same way.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError
from pipeline.sources.formats.parquet import read_whole_parquet
from pipeline.sources.formats.tar import Member, list_members, map_tar
from pipeline.sources.formats.webdataset import pair_members
from pipeline.sources.image_text import columns
from pipeline.sources.values import conform_to_schema, make_all_printable, make_distinct

_NO_MEMBER = "no image: the sidecar lists this key, the tar has no member of it"


@dataclass
class TarRows:
    """The rows of a tar, what is wrong with the tar, and where it and its sidecar disagree."""

    frame: pl.DataFrame
    damage: str | None = None
    warnings: list[str] = field(default_factory=list)


def read_tar(path: Path, sidecar: Path | None) -> TarRows:
    """Return the rows of a tar and its sidecar."""
    data = map_tar(path)
    members, damage = list_members(data)
    pairs = pair_images(members, len(data)).with_columns(content_path=pl.lit(str(path)))
    table = None
    try:
        table = read_sidecar(sidecar, pairs["key"]) if sidecar else None
    except InputError as error:
        damage = damage or f"has a sidecar that cannot be read, since {error}"
    frame, warnings = join_sidecar(pairs, table)
    if table is not None:  # the tar's own captions come before those of the sidecar
        unreadable = pl.when(pl.col("text_offset").is_null()).then("unreadable")
        frame = frame.with_columns(problem=pl.coalesce("problem", unreadable))
    if sidecar and table is None and damage is None:
        warnings.append(f"a Parquet file beside it, {sidecar.name}, that is no sidecar: it has no column of keys")
    return TarRows(conform_to_schema(frame, columns.SCHEMA), damage, warnings)


def pair_images(members: list[Member], length: int) -> pl.DataFrame:
    """Return a row for every image, or caption without one, among the members of a tar of `length` bytes."""
    return pair_members(members, length, columns.IMAGE_SUFFIXES, "image", "caption")


def find_sidecar(path: Path) -> Path | None:
    """Return the Parquet file beside a tar that lists its rows."""
    sidecar = path.with_suffix(".parquet")
    return sidecar if os.path.isfile(sidecar) else None  # Path.is_file raises where the longer suffix makes the name too long


def _choose_columns(schema: pa.Schema) -> set[str]:
    if "key" not in columns.match(schema.names):
        return set()
    words = {word for standard, synonyms in columns.SYNONYMS.items() if standard != "file" for word in synonyms}
    return {name for name in schema.names if name.strip().lower() in words}


def read_sidecar(path: Path, keys: pl.Series) -> pl.DataFrame | None:
    """Return the standard columns of a sidecar, with `key` and `nth`; None where it is another table.

    `failure` says why img2dataset has no image of a row, `unreadable` what is wrong with a caption. `keys` are those of the images that
    it lists: where its own are numbers they are filled with zeros as these are. Raises InputError where it is no Parquet file.
    """
    try:
        frame = read_whole_parquet(path, _choose_columns)
    except InputError as error:
        raise InputError(f"{path} {error}: write it anew, or take it away") from None
    matches = columns.match(frame.columns, frame.schema)
    if "key" not in matches:
        return None
    table = columns.standardise(frame).rename({"problem": "unreadable"})
    widths = keys.str.len_chars().unique()
    if frame.schema[matches["key"]].is_integer() and len(widths) == 1:
        table = table.with_columns(pl.col("key").str.zfill(widths[0]))
    table = table.with_columns(key=table["key"].fill_null(""), failure=find_failures(table))
    table = table.with_columns(nth=pl.int_range(pl.len()).over("key"))
    return table.drop("status", "error_message", strict=False)


def find_failures(table: pl.DataFrame) -> pl.Series:
    """Return why img2dataset has no image of a row, from `status` and `error_message`; null where it has one."""
    missing = [name for name in ("status", "error_message") if name not in table.columns]
    table = table.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
    failed = pl.col("status").is_not_null() & (pl.col("status") != "success")
    reason = pl.concat_str("status", "error_message", separator=": ", ignore_nulls=True)
    return table.select(pl.when(failed).then(reason)).to_series()


def join_sidecar(pairs: pl.DataFrame, sidecar: pl.DataFrame | None) -> tuple[pl.DataFrame, list[str]]:
    """Return all rows of tar and sidecar, each once and sorted by key, and warnings where the two disagree."""
    warnings = []
    if sidecar is None:
        frame = pairs.sort("key", "nth")
    else:
        in_tar, in_list = pl.col("in_tar").is_not_null(), pl.col("in_list").is_not_null()
        pairs = pairs.with_columns(times=pl.len().over("key"))
        sidecar = sidecar.with_columns(times_listed=pl.len().over("key"))
        is_other_count = pl.col("times") != pl.col("times_listed")
        several = pl.format("the tar has this key {} times, its sidecar {} times", "times", "times_listed")
        frame = (
            pairs.lazy()
            .with_columns(in_tar=pl.lit(True))
            .join(
                sidecar.lazy().drop("file", strict=False).with_columns(in_list=pl.lit(True)),
                on=["key", "nth"], how="full", coalesce=True,
            )
            .sort("key", "nth")
            .with_columns(
                problem=pl.when(~in_tar)
                .then(pl.coalesce("failure", pl.lit(_NO_MEMBER)))
                .otherwise(pl.coalesce("problem", pl.when(is_other_count).then(several))),
                is_unlisted=in_tar & ~in_list,
                is_missing=~in_tar & pl.col("failure").is_null(),
            )
            .collect()
        )  # fmt: skip
        if unlisted := frame["is_unlisted"].sum():
            warnings.append(f"{unlisted:,} keys that its sidecar does not list")
        if missing := frame["is_missing"].sum():
            warnings.append(f"no member for {missing:,} keys that its sidecar lists as fetched")
    locators = make_all_printable(frame["key"])
    return frame.with_columns(make_distinct(locators, set()).alias("locator")), warnings
