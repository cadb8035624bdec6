"""Images with captions: both measured, deduplicated by image, captions of one image gathered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from filters import MEASURES, compute
from filters.image.measures import Inspected, concatenated, inspect, reencode
from filters.kernels import buffers
from filters.text.normalisation import normalise
from filters.unicode import Compatibility
from pipeline.core.errors import InputError
from pipeline.core.shards import hash_strings
from pipeline.dedup.images import late, near, rounds
from pipeline.ledger import EXCERPT
from pipeline.manifest.loading import ImageTextManifest
from pipeline.modalities import Measured, Words
from pipeline.sources import Partition, source
from pipeline.sources.content import BATCH_BYTES, batches
from pipeline.sources.image_text import Pairs
from pipeline.sources.image_text.rows import SCORES, renamed
from pipeline.sources.values import scalars
from pipeline.steps.measure import Part

__all__ = [
    "WORDS",
    "kept_together",
    "late",
    "ledger_fields",
    "measured",
    "near",
    "rounds",
    "row_group",
    "schema",
    "shard_rows",
    "warm",
    "warnings",
]

WORDS = Words(
    ("pairs", "ペア"),
    ("image bytes", "画像バイト数"),
    ("pairs", "ペア数"),
    "text-to-image",
    "trainers.clip",
    ("tokenizer",),
    (0.1, 1.0),
)
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


_SCHEMA = pa.schema([pa.field(name, kind) for name, kind, _ in _FIELDS]).with_metadata(
    {"huggingface": json.dumps({"info": {"features": {name: _feature(kind) for name, _, kind in _FIELDS}}})}
)


# -- measure


def _captions(pairs: Pairs) -> tuple[pl.DataFrame, int]:
    """The rows with what the archive itself says of them, and how many of its captions differ from the list's.

    An archive's own caption and metadata come before those of a sidecar.
    """
    frame, differing = pairs.texts("caption")
    places, metas = frame["place"], frame["meta_at"]
    inlined = frame["meta"] if "meta" in frame.columns else pl.Series([None] * len(frame), dtype=pl.Binary)
    wanted = (metas.is_not_null() | inlined.is_not_null()) & frame["url"].is_null()
    if not wanted.any():
        return frame, differing
    found: list[dict[str, Any]] = [{} for _ in range(len(frame))]
    for i in np.flatnonzero(wanted.to_numpy()).tolist():
        raw = inlined[i] if inlined[i] is not None else pairs.at(places[i], metas[i], frame["meta_size"][i])
        try:
            found[i] = scalars(json.loads(raw))
        except (ValueError, RecursionError):
            continue
    names = list(dict.fromkeys(name for row in found for name in row))
    table = renamed(pl.DataFrame({n: [None if (v := row.get(n)) is None else str(v) for row in found] for n in names}))
    return (
        frame.with_columns(
            pl.coalesce(frame[name], table[name].cast(frame.schema[name])).alias(name)
            for name in table.columns
            if name in frame.columns and name != "key"
        ),
        differing,
    )


def _cleaned(captions: pl.Series, compatibility: Compatibility) -> pl.Series:
    """Captions with HTML entities undone (twice: &amp;quot; is common), white space single, and normalised; null becomes ""."""
    text = captions.fill_null("")
    coded = text.str.contains("&", literal=True)
    if coded.any():
        undone = pl.Series([unescape(unescape(t)) for t in text.filter(coded)], dtype=pl.String)
        text = text.scatter(coded.arg_true(), undone)
    single = text.str.replace_all(r"\s+", " ").str.strip_chars()
    return normalise(single, compatibility)


def _inspected(pairs: Pairs, max_pixels: int) -> tuple[Inspected, np.ndarray, np.ndarray]:
    """What `inspect` says of every row, with hashes (64 bits) and sizes of the encoded images. Rows of one image are decoded once."""
    frame = pairs.frame
    readable = frame["problem"].is_null().to_numpy()
    first = np.arange(len(frame))
    same = frame.select(
        pl.when(pl.col("blob").is_null()).then(pl.struct("place", "at")).is_first_distinct()
        | pl.col("blob").is_not_null() | pl.col("at").is_null()
    ).to_series()  # fmt: skip
    if not same.all():
        first = frame.with_row_index("row").select(pl.col("row").first().over("place", "at")).to_series().to_numpy()
        first = np.where(same.to_numpy(), np.arange(len(frame)), first)
    chosen = np.flatnonzero(readable & (first == np.arange(len(frame))))
    hashes, sizes = np.zeros(len(frame), np.uint64), np.zeros(len(frame), np.int64)
    pieces = []
    for rows, blobs in batches(chosen, pairs.image):
        pieces.append(inspect(blobs, max_pixels=max_pixels))
        sizes[rows] = [len(blob or b"") for blob in blobs]
        hashes[rows] = [_hash(blob or b"") for blob in blobs]
    position = np.full(len(frame), -1)
    position[chosen] = np.arange(len(chosen))
    # The last row stands for what has no image.
    joined = concatenated([*pieces, inspect([None])], position[first])
    return joined, hashes[first], sizes[first]


def measured(manifest: ImageTextManifest, partition: Partition, part: Part) -> Measured:
    """Clean the captions of a partition, decode every image once, compute every measure."""
    pairs: Pairs = source(manifest.source.format).read(partition, part.raw)
    try:
        frame, differing = _captions(pairs)
        pairs.frame = frame
        captions = _cleaned(frame["caption"], manifest.clean.compatibility)
        found, hashes, sizes = _inspected(pairs, manifest.images.max_pixels)
        reasons = [a or b for a, b in zip(frame["problem"], found.problems, strict=True)]
        given: dict[str, np.ndarray] = dict(found.counters)
        for name in (*SCORES, "original_width", "original_height"):
            given[name] = frame[name].fill_null(float("nan")).to_numpy()
        given["clip_similarity"] = _model_scores(manifest, pairs, captions, reasons)
    finally:
        pairs.close()
    measures = compute(*buffers(captions), manifest.measures, given)
    unreadable = pl.Series(reasons, dtype=pl.String)
    heads = frame["caption"].fill_null("").str.head(EXCERPT)
    table = pa.table(
        {
            "locator": frame["locator"].to_arrow(),
            "bytes": sizes,
            "amount_in": sizes,
            "amount": np.where(unreadable.is_null().to_numpy(), sizes, 0),
            "payload": np.where(unreadable.is_null().to_numpy(), sizes, 0),
            "unreadable": unreadable.to_arrow(),
            "head": pl.select(pl.when(unreadable.is_not_null()).then(heads)).to_series().to_arrow(),
            "exact": hashes,
            "key_length": sizes.astype(np.int32),
            "flat": found.flat,
            "size": found.counters["image_width"] * found.counters["image_height"],
            "score": _score(frame),
            "key": hash_strings(*buffers(captions)),
            "reencode": found.needs_reencoding,
            "url": frame["url"].to_arrow(),
            "license": frame["license"].to_arrow(),
            "name": frame["name"].to_arrow(),
            **{f"m:{name}": measures[name].to_arrow() for name in measures.columns},
            "text": captions.to_arrow(),
        }
    )
    return Measured(
        table, {"sketches": found.descriptors, "hashes": found.hashes}, {"captions_differing": differing}, keeps_raw=True
    )


def _score(frame: pl.DataFrame) -> np.ndarray:
    """float32[n], 0 to 1: which of two images of one size is better, by the source's similarity, then aesthetic score."""
    value = pl.col("similarity").fill_null(0).clip(0, 1) * 0.9 + pl.col("aesthetic").fill_null(0).clip(0, 10) * 0.01
    return frame.select(value.cast(pl.Float32)).to_series().to_numpy()


def _model_scores(manifest: ImageTextManifest, pairs: Pairs, captions: pl.Series, reasons: list[str | None]) -> np.ndarray:
    scores = np.full(len(captions), np.nan, np.float32)
    if manifest.images.model is None:
        return scores
    from filters.image.clip import similarities

    wanted = np.array([r is None for r in reasons], bool) & (captions.str.len_bytes() > 0).to_numpy()
    for rows, blobs in batches(np.flatnonzero(wanted), pairs.image):
        texts = captions.gather(rows).to_list()
        scores[rows] = similarities(manifest.images.model, blobs, texts, manifest.images.batch)
    return scores


def warm(manifest: ImageTextManifest) -> None:
    """Compile (or load from numba's cache) every kernel, so that no partition waits for it."""
    from io import BytesIO

    from PIL import Image

    out = BytesIO()
    Image.effect_mandelbrot((96, 64), (-2, -1, 1, 1), 20).convert("RGB").save(out, "JPEG")
    found = inspect([out.getvalue()])
    given: dict[str, np.ndarray] = dict(found.counters)
    for name in (*SCORES, "original_width", "original_height", "clip_similarity"):
        given[name] = np.full(1, np.nan)
    named = [name for name in manifest.measures if MEASURES[name].kind in manifest.kinds]
    compute(*buffers(_cleaned(pl.Series(["犬の写真 &amp; 猫、ﾈｺ。 DSC_0001.JPG ¥1,980 #空 abc"]), "keep")), named, given)
    source(manifest.source.format).warm()


def warnings(total: dict[str, int]) -> list[str]:
    """Captions that a sidecar has otherwise than its archive."""
    differing = total["captions_differing"]
    return [f"{differing:,} captions are not what the sidecar has; the archive's own were taken"] if differing else []


# -- write


def ledger_fields(manifest: ImageTextManifest) -> list[pa.Field]:
    """How many different images carry the caption of a record that was left after deduplication."""
    return [pa.field("caption_images", pa.uint32())] if manifest.deduplicate.enabled else []


def schema(manifest: ImageTextManifest) -> pa.Schema:
    return _SCHEMA


def row_group(manifest: ImageTextManifest) -> tuple[int, str | None]:
    return manifest.shards.row_group, "image.bytes"


def shard_rows(
    manifest: ImageTextManifest, part: Part, batch: pl.DataFrame, rows: pl.DataFrame
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Tables of at most some 64 MB of images, resized and encoded anew where the manifest says so or readers need it."""
    settings = manifest.shards
    if not len(batch):
        return
    pairs = Pairs(pl.read_ipc(part.raw).gather(batch["row"]))
    joined = batch.with_columns(
        rows["id"], rows["cluster_size"], captions=rows["captions"] if "captions" in rows.columns else pl.lit(None)
    )
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
                blobs = [pairs.image(row) for row in chosen.tolist()]
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
                content = pairs.images(chosen.tolist())
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
            yield table.cast(_SCHEMA), chosen
    finally:
        pairs.close()


def _check_unchanged(content: Iterable[Any], rows: pl.DataFrame) -> None:
    """Raises InputError where an image is not the one that was measured: a shard must hold what the ledger tells of."""
    for blob, exact, name in zip(content, rows["exact"], rows["locator"], strict=True):
        if _hash(blob.as_buffer() if isinstance(blob, pa.Scalar) else blob or b"") != exact:
            raise InputError(f"the image of {name} has changed since it was measured: run the same command again")


def _hash(blob: Any) -> int:
    """64 bits of SHA-256: processors have instructions for it, so that it is twice as fast as BLAKE2."""
    return int.from_bytes(hashlib.sha256(blob).digest()[:8], "little")


def kept_together(batch: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Near duplicates."""
    return rows["cluster_id"]
