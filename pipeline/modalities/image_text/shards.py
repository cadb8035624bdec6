"""Images with captions: the rows of a shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from filters.image.encoding import reencode
from pipeline.core.errors import InputError
from pipeline.core.tables import read_arrow_file
from pipeline.modalities.base import huggingface_schema, select_columns, split_by_payload
from pipeline.modalities.image_text.manifest import ImageTextManifest
from pipeline.modalities.image_text.measure import hash_image
from pipeline.sources.rows import Rows
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
    """Yield tables of at most some 64 MB of images, resized and encoded anew where the manifest says so or readers need it."""
    if not len(batch):
        return
    pairs = Rows(read_arrow_file(part.raw).gather(batch["row"]))
    captions = ledger_rows["captions"] if "captions" in ledger_rows.columns else pl.lit(None, pl.List(pl.String))
    batch = batch.with_columns(ledger_rows["id"], ledger_rows["source"], ledger_rows["cluster_size"], captions=captions)
    try:
        for rows in split_by_payload(batch):
            records = batch.gather(rows)
            yield _table(manifest, records, _images(manifest, pairs, records, rows)), rows
    finally:
        pairs.close()


class Images(NamedTuple):
    """Encoded images of shard rows, with format (as Pillow calls it), width and height in pixels of each."""

    content: pa.Array
    formats: list[str]
    sizes: np.ndarray


def _images(manifest: ImageTextManifest, pairs: Rows, records: pl.DataFrame, rows: np.ndarray) -> Images:
    settings = manifest.shards
    formats = records["m:image_format"].to_list()
    sizes = records.select("m:width", "m:height").to_numpy().astype(np.int32)
    encode_all = settings.shorter_side is not None or settings.format != "keep"
    encode = np.arange(len(records)) if encode_all else np.flatnonzero(records["reencode"].to_numpy())
    if not len(encode):
        content = pairs.contents(rows.tolist())
        _check_unchanged(content, records)
        return Images(content, formats, sizes)
    blobs = [pairs.content(row) for row in rows.tolist()]
    _check_unchanged(blobs, records)
    for i in encode.tolist():
        if settings.format != "keep":
            formats[i] = settings.format.upper()
        elif formats[i] not in _ENCODED:
            formats[i] = "PNG"
        blobs[i], *sizes[i] = reencode(
            blobs[i] or b"", shorter_side=settings.shorter_side, format=formats[i], quality=settings.quality,
            max_pixels=manifest.images.max_pixels,
        )  # fmt: skip
    return Images(pa.array(blobs, pa.binary()), formats, sizes)


def _table(manifest: ImageTextManifest, records: pl.DataFrame, images: Images) -> pa.Table:
    names = records.select(pl.coalesce("name", "locator")).to_series()
    paths = [f"{PurePosixPath(name).stem}.{_SUFFIXES[form]}" for name, form in zip(names, images.formats, strict=True)]
    columns = records.select(
        "id",
        "url",
        "cluster_size",
        caption="text",
        captions=pl.coalesce("captions", pl.concat_list("text")),
        width=pl.Series(images.sizes[:, 0]),
        height=pl.Series(images.sizes[:, 1]),
        phash="m:phash",
        similarity="m:caption_similarity",
        source="source",
        license=pl.col("own:license").fill_null(manifest.license),
    )
    image = pa.StructArray.from_arrays([images.content, pa.array(paths, pa.string())], fields=[*_IMAGE])
    return select_columns(SCHEMA, columns, image=image)


def _check_unchanged(content: Iterable[Any], records: pl.DataFrame) -> None:
    """Raise InputError where an image is not the one that was measured: a shard must hold what the ledger tells of."""
    for blob, exact, name in zip(content, records["exact"], records["locator"], strict=True):
        if hash_image(blob.as_buffer() if isinstance(blob, pa.Scalar) else blob or b"") != exact:
            raise InputError(f"the image of {name} has changed since it was measured: run the same command again")
