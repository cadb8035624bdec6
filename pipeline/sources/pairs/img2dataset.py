"""img2dataset's output: tars of KEY.jpg, KEY.txt and KEY.json with a Parquet sidecar that lists every row, failed ones included.

Members stand in a tar in the order in which downloads ended, so rows are sorted by key. Plain WebDataset tars without a sidecar are
read in the same way.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.sources.pairs import rows
from pipeline.sources.pairs.tar import Member, members

_FOUND = {
    "key": pl.String, "nth": pl.Int64, "name": pl.String, "problem": pl.String, "at": pl.Int64, "size": pl.Int64,
    "text_at": pl.Int64, "text_size": pl.Int64, "meta_at": pl.Int64, "meta_size": pl.Int64,
}  # fmt: skip
_NO_IMAGE = "no image: the tar has a caption and nothing else under this key"
_NO_MEMBER = "no image: the sidecar lists this key, the tar has no member of it"


def _split(name: str) -> tuple[str, str]:
    """WebDataset's key and suffix: the name up to the first dot of its last part, and what follows the last dot."""
    start = name.rfind("/") + 1
    dot = name.find(".", start + 1)  # a dot that the last part begins with ends no key
    if dot < 0:
        return name.removeprefix("./"), ""
    return name[:dot].removeprefix("./"), name[name.rfind(".") + 1 :].lower()


def mapped(path: Path) -> np.ndarray:
    """The bytes of a file, mapped."""
    return np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.zeros(0, np.uint8)


def from_members(found: list[Member], length: int) -> pl.DataFrame:
    """A row for every image (or caption without an image) among the members of a tar, with columns `key` and `nth`.

    What is not a regular file is never followed; a key that is there twice makes two rows, `nth` 0 and 1.
    """
    images: dict[str, list[Member]] = {}
    texts: dict[str, list[Member]] = {}
    metas: dict[str, list[Member]] = {}
    by_suffix = dict.fromkeys(rows.IMAGE_SUFFIXES, images) | {"txt": texts, "caption": texts, "json": metas}
    for member in found:
        key, suffix = _split(member.name)
        of_kind = by_suffix.get(suffix)
        if of_kind is not None and member.kind != "folder":
            of_kind.setdefault(rows.printable(key), []).append(member)
    table = []
    for key, of_key in images.items():
        for nth, image in enumerate(of_key):
            problem = None
            if image.kind != "file":
                problem = f"the image is a {image.kind}, not a file"
            elif image.at + image.size > length:
                problem = "the tar ends inside this image"
            place = (image.at, image.size) if problem is None else (None, None)
            table.append(
                (key, nth, _base(image), problem, *place, *_nth(texts, key, nth, length), *_nth(metas, key, nth, length))
            )
    for key, of_key in texts.items():  # metadata alone is no pair
        if key not in images:
            beside = *_nth(texts, key, 0, length), *_nth(metas, key, 0, length)
            table.append((key, 0, _base(of_key[0]), _NO_IMAGE, None, None, *beside))
    columns = zip(_FOUND.items(), zip(*table, strict=True) if table else [()] * len(_FOUND), strict=True)
    return pl.DataFrame([pl.Series(name, values, kind) for (name, kind), values in columns])


def _base(member: Member) -> str:
    return rows.printable(member.name.rpartition("/")[2])


def _nth(found: dict[str, list[Member]], key: str, nth: int, length: int) -> tuple[int | None, int | None]:
    """Place and size of the caption or metadata that goes with the nth image of a key: its own, or the only one."""
    of_key = found.get(key)
    if of_key is None:
        return None, None
    member = of_key[nth] if nth < len(of_key) else of_key[0] if len(of_key) == 1 else None
    if member is None or member.kind != "file" or member.at + member.size > length:
        return None, None
    return member.at, member.size


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
    except rows.DAMAGED as error:
        raise InputError(f"{path} is not a whole Parquet file ({error}): write it anew, or take it away") from None
    chosen = rows.renamed(frame, columns)
    missing = [name for name in ("status", "error_message") if name not in chosen.columns]
    chosen = chosen.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
    chosen = chosen.with_columns(key=rows.all_printable(chosen["key"].fill_null("")), failed=failure())
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
    return frame.with_columns(rows.distinct(frame["key"], set()).alias("locator")), warnings


def read(path: Path, sidecar: Path | None) -> tuple[pl.DataFrame, str | None, list[str]]:
    """The rows of a tar and its sidecar, what is wrong with the tar, and where the two disagree."""
    data = mapped(path)
    found, damage = members(data)
    rows_of_tar = from_members(found, len(data)).with_columns(place=pl.lit(str(path)))
    table = None
    try:
        table = listed(sidecar) if sidecar else None
    except InputError as error:
        damage = damage or f"has a sidecar that cannot be read, since {error}"
    frame, warnings = joined(rows_of_tar, table)
    if sidecar and table is None and damage is None:
        warnings.append(f"a Parquet file beside it, {sidecar.name}, that is no sidecar: it has no column of keys")
    return rows.completed(frame), damage, warnings
