"""Finds the images of a list: in its rows, or in the folder of images, which several lists of a build may share."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import CutState
from pipeline.sources.image_text import tables
from pipeline.sources.image_text.coco import is_coco, read_coco
from pipeline.sources.image_text.columns import SCHEMA, standardise
from pipeline.sources.image_text.image_lookup import ImageLookup
from pipeline.sources.image_text.loose_images import Claims
from pipeline.sources.inputs import InputFile, is_url
from pipeline.sources.pointers import add_warnings, open_local
from pipeline.sources.values import conform_to_schema, make_all_printable

_LISTS, _IMAGES = "+lists-", "+images-"  # in an identity, before those of all lists and of the folder of images


def share_images(files: list[InputFile], images_identity: str) -> list[InputFile]:
    """Return inputs that know of one another's rows, and whose identity changes with the folder of images and with any other list.

    A loose image that several rows could mean is nobody's, so that one list decides on the rows of another.
    """
    lists = tuple(
        file.url for file in files if not file.url.endswith(".tar") and (is_url(file.url) or Path(file.url).is_file())
    )
    if len(lists) > 1:
        digest = hashlib.blake2b("\n".join(file.identity for file in files).encode(), digest_size=8).hexdigest()
        files = [
            replace(file, siblings=lists, identity=f"{file.identity}{_LISTS}{digest}") if file.url in lists else file
            for file in files
        ]
    return [replace(file, identity=f"{file.identity}{_IMAGES}{images_identity}") for file in files]


@lru_cache(maxsize=1)
def _load_lookup(folder: str, _identity: str) -> ImageLookup:
    return ImageLookup(folder)


@lru_cache(maxsize=1)
def _claim_by_lists(folder: str, identity: str, lists: tuple[str, ...], columns: tuple[tuple[str, str], ...]) -> Claims:
    """Return which loose images the rows of several lists mean, once in every process. At damage a list ends, as where it is cut."""
    lookup = _load_lookup(folder, identity.rpartition(_IMAGES)[2])
    claims: Claims = {}
    for url in lists:
        state = CutState(0, 0, columns=dict(columns))
        with open_local(InputFile(url, url, None, ""), state) as (path, _):
            _claim(lookup, claims, url, path, state)
    return claims


def _claim(lookup: ImageLookup, claims: Claims, url: str, path: Path, state: CutState) -> None:
    with suppress(InputError):
        for frame in _read_keys(url, path, state):
            lookup.claim(frame, claims, _find_origin(url))


def _read_keys(url: str, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    """Yield the standard columns of a list, `url` and `file` among them."""
    if is_coco_list(url, path):
        yield read_coco(path)
    else:
        yield from map(standardise, tables.read_table(path, state.damage is None, state.columns))


def is_coco_list(url: str, path: Path) -> bool:
    return is_coco(path, url.split("?")[0].removesuffix(".gz").endswith(".json"))


def _find_origin(url: str) -> str:
    """Return the folder of a list: one name in lists of two folders may call two files."""
    return url.rpartition("/")[0]


class ImageFinder:
    """Finds the images of one list, whose uncompressed bytes are at `path`."""

    def __init__(self, file: InputFile, path: Path, state: CutState) -> None:
        self._file, self._state = file, state
        self._claims: Claims = {}
        self._has_warned = False
        if state.content is None or not len(self._lookup().loose):
            return
        # Before the first row has an image: two rows may mean the same.
        if len(file.siblings) > 1:
            self._claims = _claim_by_lists(state.content, file.identity, file.siblings, tuple(state.columns.items()))
        else:
            _claim(self._lookup(), self._claims, file.url, path, state)

    def _lookup(self) -> ImageLookup:
        return _load_lookup(self._state.content or "", self._file.identity.rpartition(_IMAGES)[2])

    def find(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` with the columns of `SCHEMA`, which say where its images are."""
        is_listed = bool({"url", "file"} & set(frame.columns))
        if "content_bytes" in frame.columns and not (is_listed and self._state.content and frame["content_bytes"].null_count()):
            frame = _explain_missing_bytes(frame)
        elif not is_listed:
            # Some lines of JSON name no image, or none of these lines can be read.
            frame = frame.with_columns(
                problem=pl.coalesce("problem", pl.lit("no image: the row has neither url nor file_name"))
            )
        elif self._state.content is None:
            raise UsageError(
                f"{self._file.url} lists images without holding them. Fetch them first: "
                f"`python -m pipeline.fetch {shlex.quote(self._file.url)} --out images/`, then build with --images images/, or with "
                "--images and the folder that they are in already"
            )
        else:
            frame = self._look_up(frame)
        frame = conform_to_schema(frame, SCHEMA)
        return frame.with_columns(make_all_printable(frame["name"]))

    def _look_up(self, frame: pl.DataFrame) -> pl.DataFrame:
        lookup = self._lookup()
        if not self._has_warned:
            self._has_warned = True
            add_warnings(
                self._state,
                lookup.warnings if len(lookup) else [*lookup.warnings, f"there is no image in {self._state.content}"],
            )
        has_bytes = _has_bytes(frame)
        located = lookup.locate(frame.drop("problem"), self._claims, _find_origin(self._file.url))
        return located.with_columns(
            *(pl.when(~has_bytes).then(name).alias(name) for name in ("content_path", "content_offset", "content_size")),
            problem=pl.coalesce(frame["problem"], pl.when(~has_bytes).then("problem")),
        )


def _has_bytes(frame: pl.DataFrame) -> pl.Expr:
    return pl.col("content_bytes").is_not_null() if "content_bytes" in frame.columns else pl.lit(False)


def _explain_missing_bytes(frame: pl.DataFrame) -> pl.DataFrame:
    name = pl.col("file") if "file" in frame.columns else pl.lit(None, pl.String)
    path_only = pl.lit("no image: the row has no bytes, only a path: name the folder of the images with --images")
    reason = pl.when(name.is_not_null()).then(path_only).otherwise(pl.lit("no image: the row has no bytes"))
    return frame.with_columns(problem=pl.coalesce("problem", pl.when(~_has_bytes(frame)).then(reason)), name=name)
