"""img2dataset's output: tars of KEY.jpg, KEY.txt and KEY.json with a Parquet sidecar that lists every row, failed ones included.

Members stand in a tar in the order in which downloads ended, so rows are sorted by key. Plain WebDataset tars without a sidecar are
read in the same way.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.sources.columnar import DAMAGED
from pipeline.sources.pairs import rows
from pipeline.sources.tar import Member, members
from pipeline.sources.values import all_printable, completed, distinct
from pipeline.sources.webdataset import from_members, mapped

_NO_MEMBER = "no image: the sidecar lists this key, the tar has no member of it"


def from_tar(found: list[Member], length: int) -> pl.DataFrame:
    """A row for every image, or caption without one, among the members of a tar."""
    return from_members(found, length, rows.IMAGE_SUFFIXES, "image", "caption")


def sidecar_of(path: Path) -> Path | None:
    """The Parquet file beside a tar that lists its rows."""
    beside = path.with_suffix(".parquet")
    return beside if beside.is_file() else None


def listed(path: Path) -> pl.DataFrame | None:
    """Standard columns of a sidecar, with `key` and `nth`, and the reason of a failed row in `failed`; None where it is another table.

    Raises InputError where it is no Parquet file.
    """
    try:
        columns = rows.matched(pq.read_schema(path).names)
        if "key" not in columns:
            return None
        frame = pl.DataFrame(pl.from_arrow(pq.read_table(path, columns=[*columns.values()])))
    except DAMAGED as error:
        raise InputError(f"{path} is not a whole Parquet file ({error}): write it anew, or take it away") from None
    chosen = rows.renamed(frame, columns)
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
        table = listed(sidecar) if sidecar else None
    except InputError as error:
        damage = damage or f"has a sidecar that cannot be read, since {error}"
    frame, warnings = joined(rows_of_tar, table)
    if sidecar and table is None and damage is None:
        warnings.append(f"a Parquet file beside it, {sidecar.name}, that is no sidecar: it has no column of keys")
    return completed(frame, rows.SCHEMA), damage, warnings
