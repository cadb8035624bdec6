"""Lists of images in any format that the image-text source reads, as frames with `url` and `caption`."""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.fetch.shards import SIDECAR_COLUMNS
from pipeline.sources.base import CutState
from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.image_text.coco import is_coco, read_coco
from pipeline.sources.image_text.columns import match, standardise
from pipeline.sources.image_text.tables import read_table
from pipeline.sources.inputs import resolve
from pipeline.sources.pointers import open_local


def expand_lists(lists: Sequence[str]) -> list[str]:
    """Return the files that paths and globs stand for, in the order given; those of a glob by name. Raises UsageError."""
    files: list[str] = []
    for pattern in lists:
        matches = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        if not matches:
            raise UsageError(f"LIST {pattern}: there is no such file")
        for path in matches:
            if Path(path).is_dir():
                example = f"{path.rstrip('/')}/*.parquet"
                raise UsageError(f"LIST {path} is a directory; name the files in it, or a glob such as {shlex.quote(example)}")
            if not os.access(path, os.R_OK):
                raise UsageError(f"LIST {path} cannot be read (permission denied)")
        files += matches
    return files


def cut_lists(paths: list[str], shard_size: int) -> Iterator[pl.DataFrame]:
    """Read the lists one after the other, and yield frames of `shard_size` rows; the last may have fewer."""
    waiting = pl.DataFrame()
    for path in paths:
        for frame in read_list(path):
            waiting = pl.concat([waiting, frame], how="diagonal_relaxed") if waiting.height else frame
            while waiting.height >= shard_size:
                yield waiting[:shard_size]
                waiting = waiting[shard_size:]
    if waiting.height:
        yield waiting


def read_list(path: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a list: `url` and `caption` (strings, or null), then the list's other columns.

    Raises UsageError where no column holds URLs, InputError where the file is damaged.
    """
    state = CutState(0, 0)
    try:
        with open_local(resolve([path])[0], state) as (plain, _):
            if is_coco(plain, path.removesuffix(".gz").endswith(".json")):
                yield _rename_columns(path, read_coco(plain).drop("problem", "locator"))
                return
            for frame in read_table(plain, all_columns=True):
                yield _rename_columns(path, frame.drop(PROBLEM, strict=False))
    except InputError as error:
        raise UsageError(f"LIST {path} {error}") from None
    if state.damage:
        raise InputError(state.damage)


def _rename_columns(path: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with `url` and `caption`; another column whose name a sidecar needs gets the prefix `list_`."""
    standard = match(frame.columns, frame.schema)
    url, caption = standard.get("url"), standard.get("caption")
    if url is None:
        raise UsageError(f"LIST {path}: no column of URLs among {', '.join(frame.columns[:12])}; one of them must be named url")
    reserved = {"url", "caption", *SIDECAR_COLUMNS}
    others = [
        pl.col(name).alias(f"list_{name}" if name in reserved else name) for name in frame.columns if name not in (url, caption)
    ]
    texts = standardise(frame.select(url, *([caption] if caption else [])))
    captions = texts["caption"] if caption else pl.lit(None, pl.String).alias("caption")
    return frame.select(texts["url"], captions, *others)
