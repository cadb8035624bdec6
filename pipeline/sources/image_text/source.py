"""Image-text pairs in the forms that they come in, recognised by content.

- img2dataset's output: tars with a Parquet sidecar (plain WebDataset tars too), or its Parquet mode
- lists of URLs or file names with captions: LAION-5B, WAON and DataComp metadata, CC12M and CC3M TSV, CSV, JSON lines; their images
  are in a folder, `source.images`
- COCO JSON (STAIR Captions), its images in such a folder
- a folder of images and their captions
- what `datasets` saves: Parquet or Arrow with an Image feature
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import CutState
from pipeline.sources.folders import (
    add_note,
    describe_files_below,
    describe_folder,
    enter_built_corpus,
    explain_links,
    fingerprint_files,
    list_files,
)
from pipeline.sources.formats.columns import list_names
from pipeline.sources.formats.tar import BLOCK, is_tar
from pipeline.sources.image_text import img2dataset, tables
from pipeline.sources.image_text.captioned_folder import find_unused_lists, read_captioned_folder
from pipeline.sources.image_text.coco import read_coco
from pipeline.sources.image_text.columns import LONGEST_CAPTION, is_image_name
from pipeline.sources.image_text.image_finder import ImageFinder, is_coco_list, share_images
from pipeline.sources.inputs import InputFile, identify_local, is_url, make_names_distinct, resolve
from pipeline.sources.pointers import PointerSource, RowKind, add_warnings


class ImageTextSource(PointerSource):
    """Images with captions."""

    name: ClassVar[str] = "image-text"
    modality: ClassVar[str] = "image_text"
    options: ClassVar[tuple[str, ...]] = ("images",)
    columns: ClassVar[tuple[str, ...]] = (
        "image", "url", "file_name", "caption", "license", "source", "similarity", "punsafe", "pwatermark", "aesthetic", "key",
    )  # fmt: skip
    row_kind: ClassVar[RowKind] = RowKind("image", "caption", LONGEST_CAPTION)

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        """Return the input files of paths, globs, URLs and folders.

        Sidecars and statistics that a glob takes along with their tars are left out; a change of a sidecar, or of the folder of images,
        is a change of its tar.
        """
        images = options.get("images")
        if images and not Path(images).is_dir():
            raise UsageError(f"--images {images}: there is no such folder")
        files: list[InputFile] = []
        for pattern in patterns:
            path = Path(pattern)
            is_folder = not is_url(pattern) and path.is_dir()
            if is_folder:
                files += add_note(_find_in_folder(path, images is not None), explain_links(enter_built_corpus(path)))
            else:
                files += resolve([pattern])
        tars = {file.url for file in files if file.url.endswith(".tar")}
        several = len(files) > 1
        files = [
            file
            for file in files
            if not (several and file.url.endswith("_stats.json")) and file.url.removesuffix(".parquet") + ".tar" not in tars
        ]
        files = [_extend_identity(file) for file in make_names_distinct(files)]
        if not images:
            return files
        files = add_note(files, explain_links(Path(images)))
        return share_images(files, fingerprint_files(list_files(Path(images)), Path(images)))

    def frames(self, file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
        """Yield the rows of an input file with the columns of `SCHEMA`."""
        if file.note:
            add_warnings(state, [file.note])
        if path.is_dir():
            files = list_files(path)
            if unused := find_unused_lists(path, files):
                names = ", ".join(unused[:5]) + (" …" if len(unused) > 5 else "")
                advice = f"build from one with --input LIST --images {shlex.quote(str(path))}, or call it metadata.csv (file_name and text)"
                add_warnings(
                    state, [f"{path} has {len(unused):,} lists that are not read: {names}. If they have captions, {advice}"]
                )
            yield read_captioned_folder(path, files)
            return
        with open(path, "rb") as opened:
            head = opened.read(BLOCK)
        if not head:
            raise InputError("is empty")
        if is_tar(head) or file.url.endswith(".tar"):
            yield _read_tar(file, path, state)
        elif is_coco_list(file.url, path):
            annotations = read_coco(path)
            finder = ImageFinder(file, path, state)
            for start in range(0, len(annotations), tables.BATCH):
                yield finder.find(annotations[start : start + tables.BATCH])
        else:
            yield from _read_table(file, path, state)


# -- inputs


def _extend_identity(file: InputFile) -> InputFile:
    """Return an input whose identity also changes with its sidecar."""
    identity = file.identity
    if not is_url(file.url) and (sidecar := img2dataset.find_sidecar(Path(file.url))) is not None and file.url.endswith(".tar"):
        identity += f"+sidecar-{identify_local(sidecar.stat())}"
    return replace(file, identity=identity)


def _find_in_folder(folder: Path, has_images_option: bool) -> list[InputFile]:
    """Return what a folder as an input stands for: its tars, its tables of images, or the images in it.

    A note says what of the folder is left out. With a folder of images for lists, which may be this one, its images are not.
    """
    folder = enter_built_corpus(folder)
    files = list_files(folder)
    tars = [path for path in files if path.suffix == ".tar"]
    sidecars = {path.with_suffix(".parquet") for path in tars}
    paths_by_kind = {
        "tars": tars,
        "Parquet files": [path for path in files if path.suffix == ".parquet" and path not in sidecars],
        "Arrow files": [path for path in files if path.suffix == ".arrow"],
        "images": [path for path in files if is_image_name(path.name)],
    }
    kinds = [kind for kind, paths in paths_by_kind.items() if paths]
    if not kinds:
        archives = [path.name for path in files if path.suffix.lower() in (".zip", ".7z", ".rar")]
        if archives:
            raise UsageError(
                f"{folder} holds archives that are not read, such as {archives[0]}: unpack them and give their folder"
            )
        raise UsageError(
            f"{folder} holds neither tars, tables (Parquet, Arrow) nor images; symbolic links in it are not followed, "
            f"but a glob such as '{folder}/*.parquet' takes them"
        )
    if kinds[0] == "images":
        return [describe_folder(folder, files, "images")]
    inputs = describe_files_below(paths_by_kind[kinds[0]], folder)
    left_out = [f"{len(paths_by_kind[kind]):,} {kind}" for kind in kinds[1:] if not (kind == "images" and has_images_option)]
    if left_out:
        note = (
            f"of {folder} only {len(inputs):,} {kinds[0]} are read, not {', '.join(left_out)}: give them a folder of their own"
        )
        inputs[0] = replace(inputs[0], note=note)
    return inputs


# -- rows


def _read_tar(file: InputFile, path: Path, state: CutState) -> pl.DataFrame:
    tar = img2dataset.read_tar(path, None if is_url(file.url) else img2dataset.find_sidecar(Path(file.url)))
    state.damage = state.damage or (f"{file.url} {tar.damage}: {len(tar.frame):,} rows were read" if tar.damage else None)
    add_warnings(state, [f"{file.url} has {warning}" for warning in tar.warnings])
    return tar.frame


def _read_table(file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    finder = ImageFinder(file, path, state)
    count, seen = 0, set[str]()
    for table in tables.read_table(path, state.damage is None, state.columns):
        frame = tables.standardise_table(table, count, seen)
        if not count:
            _check_columns(frame, table, file, state)
        count += len(frame)
        yield finder.find(frame)


def _check_columns(frame: pl.DataFrame, table: pl.DataFrame, file: InputFile, state: CutState) -> None:
    """Warn where a table has no captions. Raises InputError where it has neither images nor names of them."""
    if not {"content_bytes", "url", "file"} & set(frame.columns):
        raise InputError(
            "has no column that Seimai knows: neither images nor url or file_name. "
            f"Its columns: {list_names(table) or 'none'}. Say which it is: --set source.columns.url=NAME (or .image, .file_name)"
        )
    if "caption" not in frame.columns:
        warning = (
            f"{file.url} has no column of captions: none with texts is named caption, text or alt among {list_names(table)}. "
            "Say which it is: --set source.columns.caption=NAME"
        )
        add_warnings(state, [warning])
