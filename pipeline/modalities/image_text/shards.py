"""Images with captions: the rows of a shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from filters.image.encoding import reencode
from pipeline.core.errors import InputError
from pipeline.modalities.base import huggingface_schema
from pipeline.modalities.image_text.manifest import ImageTextManifest
from pipeline.modalities.image_text.measure import hash_image
from pipeline.sources.rows import BATCH_BYTES, Rows
from pipeline.workspace import Part

_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "AVIF": "avif"}
_ENCODED = ("JPEG", "PNG", "WEBP")  # formats that stay what they are where an image is encoded anew
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_FIELDS = (
    ("id", pa.string(), "string"),
    ("image", _IMAGE, None),
    ("caption", pa.string(), "string"),
    ("captions", pa.list_(pa.field("element", pa.string())), "list"),
    ("url", pa.string(), "string"),
    ("width", pa.int32(), "int32"),
    ("height", pa.int32(), "int32"),
    ("phash", pa.string(), "string"),
    ("similarity", pa.float32(), "float32"),
    ("source", pa.string(), "string"),
    ("license", pa.string(), "string"),
    ("cluster_size", pa.uint32(), "uint32"),
)


def _feature(kind: str | None) -> Any:
    """A column's description as `datasets` keeps it in the schema's metadata."""
    if kind is None:
        return {"_type": "Image"}
    return {"feature": _feature("string"), "_type": "List"} if kind == "list" else {"dtype": kind, "_type": "Value"}


SCHEMA = huggingface_schema(
    [pa.field(name, kind) for name, kind, _ in _FIELDS], {name: _feature(kind) for name, _, kind in _FIELDS}
)


def shard_tables(
    manifest: ImageTextManifest, part: Part, batch: pl.DataFrame, ledger_rows: pl.DataFrame
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Tables of at most some 64 MB of images, resized and encoded anew where the manifest says so or readers need it."""
    settings = manifest.shards
    if not len(batch):
        return
    pairs = Rows(pl.read_ipc(part.raw).gather(batch["row"]))
    captions = ledger_rows["captions"] if "captions" in ledger_rows.columns else pl.lit(None)
    joined = batch.with_columns(ledger_rows["id"], ledger_rows["cluster_size"], captions=captions)
    formats = batch["m:image_format"]
    whole = settings.shorter_side is not None or settings.format != "keep"
    try:
        ends = np.cumsum(batch["payload"].to_numpy()) // BATCH_BYTES
        for chosen in np.split(np.arange(len(batch)), np.flatnonzero(np.diff(ends)) + 1):
            piece = joined.gather(chosen)
            sizes = piece.select("m:width", "m:height").to_numpy().astype(np.int32)
            forms, names = formats.gather(chosen).to_list(), piece.select(pl.coalesce("name", "locator")).to_series().to_list()
            anew = np.arange(len(piece)) if whole else np.flatnonzero(piece["reencode"].to_numpy())
            if len(anew):
                blobs = [pairs.content(row) for row in chosen.tolist()]
                _check_unchanged(blobs, piece)
                for i in anew.tolist():
                    form = settings.format.upper() if settings.format != "keep" else forms[i] if forms[i] in _ENCODED else "PNG"
                    blobs[i], *sizes[i] = reencode(
                        blobs[i] or b"", shorter_side=settings.shorter_side, format=form, quality=settings.quality,
                        max_pixels=manifest.images.max_pixels,
                    )  # fmt: skip
                    forms[i] = form
                content = pa.array(blobs, pa.binary())
            else:
                content = pairs.contents(chosen.tolist())
                _check_unchanged(content, piece)
            paths = [f"{PurePosixPath(name).stem}.{_SUFFIXES[form]}" for name, form in zip(names, forms, strict=True)]
            images = pa.StructArray.from_arrays([content, pa.array(paths, pa.string())], fields=[*_IMAGE])
            alone = piece["text"].reshape((-1, 1)).cast(pl.List(pl.String)) if len(piece) else piece["captions"]
            table = pa.table(
                {
                    "id": piece["id"].to_arrow(),
                    "image": images,
                    "caption": piece["text"].to_arrow(),
                    "captions": piece["captions"]
                    .cast(pl.List(pl.String))
                    .zip_with(piece["captions"].is_not_null(), alone)
                    .to_arrow(),
                    "url": piece["url"].to_arrow(),
                    "width": sizes[:, 0],
                    "height": sizes[:, 1],
                    "phash": piece["m:phash"].to_arrow(),
                    "similarity": piece["m:caption_similarity"].cast(pl.Float32).to_arrow(),
                    "source": pa.array([manifest.name] * len(piece), pa.string()),
                    "license": piece["license"].fill_null(manifest.license).to_arrow(),
                    "cluster_size": piece["cluster_size"].to_arrow(),
                }
            )
            yield table.cast(SCHEMA), chosen
    finally:
        pairs.close()


def _check_unchanged(content: Iterable[Any], rows: pl.DataFrame) -> None:
    """Raises InputError where an image is not the one that was measured: a shard must hold what the ledger tells of."""
    for blob, exact, name in zip(content, rows["exact"], rows["locator"], strict=True):
        if hash_image(blob.as_buffer() if isinstance(blob, pa.Scalar) else blob or b"") != exact:
            raise InputError(f"the image of {name} has changed since it was measured: run the same command again")
