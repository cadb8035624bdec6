"""Image-text pairs in the forms that they come in, told by content.

- img2dataset's output: tars with a Parquet sidecar (plain WebDataset tars too), or its Parquet mode
- lists of URLs or file names with captions: LAION-5B, WAON and DataComp metadata, CC12M and CC3M TSV, CSV, JSON lines; their images
  are in a folder, `source.images`
- COCO JSON (STAIR Captions), its images in such a folder
- a folder of images with captions beside them
- what `datasets` saves: Parquet or Arrow with an Image feature

`cut` yields rows that say where an image is; images themselves travel only where they are not in a local file as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import CutState
from pipeline.sources.folders import identity, regular_files, told_apart
from pipeline.sources.formats.columnar import PROBLEM
from pipeline.sources.formats.tar import is_tar
from pipeline.sources.image_text import img2dataset, rows, tables
from pipeline.sources.image_text.image_folder import Pictures
from pipeline.sources.inputs import InputFile, is_url, resolve
from pipeline.sources.pointers import PointerSource, RowKind, add_warnings
from pipeline.sources.values import all_printable, completed


def inputs(patterns: list[str], images: str | None = None) -> list[InputFile]:
    """The input files of paths, globs, URLs and folders.

    Sidecars and statistics that a glob takes along with their tars are left out; a change of a sidecar, or of the folder of images,
    is a change of its tar.
    """
    if images and not Path(images).is_dir():
        raise UsageError(f"--images {images}: there is no such folder")
    found: list[InputFile] = []
    for pattern in patterns:
        path = Path(pattern)
        found += _folder(path, images is not None) if not is_url(pattern) and path.is_dir() else resolve([pattern])
    tars = {f.url for f in found if f.url.endswith(".tar")}
    many = len(found) > 1
    found = [
        f for f in found if not (many and f.url.endswith("_stats.json")) and f.url.removesuffix(".parquet") + ".tar" not in tars
    ]
    of_images = identity(regular_files(Path(images)), Path(images)) if images else None
    return [_with_surroundings(f, of_images) for f in told_apart(found)]


_IMAGES = "+images-"  # in an identity, before that of the folder of images


def _with_surroundings(file: InputFile, images: str | None) -> InputFile:
    of_file = file.identity
    if not is_url(file.url) and (sidecar := img2dataset.sidecar_of(Path(file.url))) is not None and file.url.endswith(".tar"):
        status = sidecar.stat()
        of_file += f"+sidecar-{status.st_size}-{status.st_mtime_ns}"
    if images:
        of_file += f"{_IMAGES}{images}"
    return replace(file, identity=of_file)


def _folder(folder: Path, with_images: bool) -> list[InputFile]:
    """What a folder as an input stands for: its tars, its tables of images, or the images in it.

    What it leaves out of a folder it notes, but for images where lists have a folder `with_images`, which may be this one.
    """
    if (folder / "manifest.lock.toml").is_file() and (folder / "data").is_dir():
        folder /= "data"  # a corpus that Seimai built: its shards, not its ledger
    files = regular_files(folder)
    tars = [path for path in files if path.suffix == ".tar"]
    sidecars = {path.with_suffix(".parquet") for path in tars}
    kinds = {
        "tars": tars,
        "Parquet files": [path for path in files if path.suffix == ".parquet" and path not in sidecars],
        "Arrow files": [path for path in files if path.suffix == ".arrow"],
        "images": [path for path in files if rows.is_image_name(path.name)],
    }
    there = [kind for kind, paths in kinds.items() if paths]
    if there and there[0] != "images":
        taken = kinds[there[0]]
        found = [replace(resolve([str(path)])[0], name=str(path.relative_to(folder))) for path in taken]
        left = [f"{len(kinds[kind]):,} {kind}" for kind in there[1:] if not (kind == "images" and with_images)]
        if left:
            note = (
                f"of {folder} only {len(taken):,} {there[0]} are read, not {', '.join(left)}: give them a folder of their own"
            )
            found[0] = replace(found[0], note=note)
        return found
    if not there:
        raise UsageError(
            f"{folder} holds neither tars, tables (Parquet, Arrow) nor images; symbolic links in it are not followed, "
            f"but a glob such as '{folder}/*.parquet' takes them"
        )
    if not str(folder.resolve()).isprintable():
        raise UsageError(
            f"--input {str(folder)!r}: ids and reports need a folder name of printable characters; rename the folder"
        )
    size = sum(path.stat().st_size for path in files)
    return [InputFile(folder.resolve().name or "images", str(folder.resolve()), size, identity(files, folder))]


# -- cut


@lru_cache(maxsize=1)
def _pictures(folder: str, _identity: str) -> Pictures:
    return Pictures(folder)


def _frames(file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    """The rows of an input file, in frames of `rows.SCHEMA`."""
    if file.note:
        add_warnings(state, [file.note])
    if path.is_dir():
        yield tables.captions_beside(path, [p for p in regular_files(path) if rows.is_image_name(p.name)])
        return
    with open(path, "rb") as opened:
        head = opened.read(512)
    if not head:
        raise InputError("is empty")
    if is_tar(head) or file.url.endswith(".tar"):
        sidecar = None if is_url(file.url) else img2dataset.sidecar_of(Path(file.url))
        frame, damage, warnings = img2dataset.read(path, sidecar)
        state.damage = state.damage or (f"{file.url} {damage}: {len(frame):,} rows were read" if damage else None)
        add_warnings(state, [f"{file.url} has {warning}" for warning in warnings])
        yield frame
        return
    claims: dict[str, str] = {}
    if tables.is_coco(path, file.url.split("?")[0].removesuffix(".gz").endswith(".json")):
        annotations = tables.coco(path)
        for at in range(0, len(annotations), tables.BATCH):
            yield _located(annotations[at : at + tables.BATCH], file, state, claims)
        return
    count, seen = 0, set[str]()
    for table in tables.frames(path, state.damage is None, state.columns):
        frame = tables.standard(table, count, seen)
        if not count and not {"blob", "url", "file"} & set(frame.columns):
            named = [name for name in table.columns if name != PROBLEM]
            raise InputError(
                "has no column that Seimai knows: neither images nor url or file_name. "
                f"Its columns: {', '.join(map(repr, named[:20])) or 'none'}. Say which it is: --set source.columns.url=NAME "
                "(or .image, .file_name)"
            )
        if not count and "caption" not in frame.columns:
            columns = ", ".join(map(repr, [name for name in table.columns if name != PROBLEM][:20]))
            add_warnings(
                state,
                [
                    f"{file.url} has no column of captions: none with texts is named caption, text or alt among {columns}. "
                    "Say which it is: --set source.columns.caption=NAME"
                ],
            )
        count += len(frame)
        yield _located(frame, file, state, claims)


def _located(frame: pl.DataFrame, file: InputFile, state: CutState, claims: dict[str, str]) -> pl.DataFrame:
    """`frame` with what says where its images are: in it, or in the folder of images."""
    listed = bool({"url", "file"} & set(frame.columns))
    held = pl.col("blob").is_not_null() if "blob" in frame.columns else pl.lit(False)
    if "blob" in frame.columns and not (listed and state.content and frame["blob"].null_count()):
        name = pl.col("file") if "file" in frame.columns else pl.lit(None, pl.String)
        why = pl.lit("no image: the row has no bytes") + pl.when(name.is_null()).then(pl.lit("")).otherwise(
            pl.lit(", only a path: name the folder of the images with --images")
        )
        frame = frame.with_columns(problem=pl.coalesce("problem", pl.when(~held).then(why)), name=name)
    elif not listed:
        # Some lines of JSON name no image, or none of these lines can be read.
        frame = frame.with_columns(problem=pl.coalesce("problem", pl.lit("no image: the row has neither url nor file_name")))
    elif state.content is None:
        raise tables.needs_images(file.url)
    else:
        pictures = _pictures(state.content, file.identity.rpartition(_IMAGES)[2])
        if not claims:
            claims[""] = ""  # the name of no file: this list has had its warnings
            add_warnings(
                state, pictures.warnings if len(pictures) else [*pictures.warnings, f"there is no image in {state.content}"]
            )
        found = pictures.locate(frame.drop("problem"), claims)
        frame = found.with_columns(
            *(pl.when(~held).then(name).alias(name) for name in ("place", "at", "size")),
            problem=pl.coalesce(frame["problem"], pl.when(~held).then("problem")),
        )
    frame = completed(frame, rows.SCHEMA)
    return frame.with_columns(all_printable(frame["name"]))


class ImageTextSource(PointerSource):
    """Image-text pairs, in whatever form they come."""

    name: ClassVar[str] = "image-text"
    modality: ClassVar[str] = "image_text"
    options: ClassVar[tuple[str, ...]] = ("images",)
    columns: ClassVar[tuple[str, ...]] = (
        "image", "url", "file_name", "caption", "license", "similarity", "punsafe", "pwatermark", "aesthetic", "key",
    )  # fmt: skip
    row_kind: ClassVar[RowKind] = RowKind("image", "caption", rows.LONGEST_CAPTION)

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        return inputs(patterns, **options)

    def frames(self, file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
        return _frames(file, path, state)
