"""Images with captions: from rows to cleaned captions, measures and perceptual hashes."""

from __future__ import annotations

import hashlib
from html import unescape
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from PIL import Image

from filters import MEASURES, compute
from filters.image.fingerprint import COARSE_BYTES
from filters.image.inspection import inspect
from filters.inspected import Inspected, gather_rows
from filters.kernels import buffers
from filters.text.changes import Compatibility, Width
from filters.text.normalisation import normalise
from pipeline.core.shards import hash_strings
from pipeline.dedup.facts import pack_rare_sketches
from pipeline.modalities.base import EXCERPT, MeasuredRecords, own_terms
from pipeline.modalities.image_text.manifest import ImageTextManifest
from pipeline.sources.formats.jsonl import build_string_columns, parse_object
from pipeline.sources.image_text.columns import SCORES, standardise
from pipeline.sources.rows import Rows, batches
from pipeline.sources.values import stringify_scalars


def read_captions(pairs: Rows) -> tuple[pl.DataFrame, int]:
    """Return the rows with what the archive itself says of them, and how many of its captions differ from the list's.

    An archive's own caption and metadata come before those of a sidecar.
    """
    frame, differing = pairs.texts("caption")
    no_bytes = pl.Series([None] * len(frame), dtype=pl.Binary)
    inline = frame["metadata_bytes"] if "metadata_bytes" in frame.columns else no_bytes
    has_metadata = (frame["metadata_offset"].is_not_null() | inline.is_not_null()) & frame["url"].is_null()
    if not has_metadata.any():
        return frame, differing
    pointers = frame.select("content_path", "metadata_offset", "metadata_size").rows()
    values: list[dict[str, str]] = [{} for _ in range(len(frame))]
    for row in has_metadata.arg_true().to_list():
        raw = inline[row] if inline[row] is not None else pairs.read_at(*pointers[row])
        values[row] = stringify_scalars(parse_object(raw))
    metadata = standardise(build_string_columns(values))
    columns = [name for name in metadata.columns if name in frame.columns and name not in ("key", "problem")]
    own_first = (pl.coalesce(frame[name], metadata[name].cast(frame.schema[name])).alias(name) for name in columns)
    return frame.with_columns(own_first), differing


def clean_captions(captions: pl.Series, compatibility: Compatibility, width: Width = "fold") -> pl.Series:
    """Undo HTML entities (twice: &amp;quot; is common), make white space single, and normalise; null becomes ""."""
    text = captions.fill_null("")
    with_entities = text.str.contains("&", literal=True)
    if with_entities.any():
        plain = pl.Series([unescape(unescape(t)) for t in text.filter(with_entities)], dtype=pl.String)
        text = text.scatter(with_entities.arg_true(), plain)
    return normalise(text.str.replace_all(r"\s+", " ").str.strip_chars(), compatibility, width)


def _inspect_images(pairs: Rows, max_pixels: int) -> tuple[Inspected, np.ndarray, np.ndarray]:
    """Return what `inspect` says of every row, with hashes (64 bits) and sizes of the encoded images.

    Rows that point to the same image have it decoded once.
    """
    frame = pairs.frame
    first = first_rows_of_images(frame)
    chosen = np.flatnonzero(frame["problem"].is_null().to_numpy() & (first == np.arange(len(frame))))
    hashes, sizes = np.zeros(len(frame), np.uint64), np.zeros(len(frame), np.int64)
    inspected = []
    for rows, blobs in batches(chosen, pairs.content):
        inspected.append(inspect(blobs, max_pixels=max_pixels))
        sizes[rows] = [len(blob or b"") for blob in blobs]
        hashes[rows] = [hash_image(blob or b"") for blob in blobs]
    position = np.full(len(frame), -1)
    position[chosen] = np.arange(len(chosen))
    # The last row stands for what has no image.
    return gather_rows([*inspected, inspect([None])], position[first]), hashes[first], sizes[first]


def first_rows_of_images(frame: pl.DataFrame) -> np.ndarray:
    """Return int64[n]: the first row that points to the same image as each row does; the row itself where it points to none."""
    pointer = pl.struct("content_path", "content_offset")
    points = pl.col("content_bytes").is_null() & pl.col("content_offset").is_not_null()
    first = pl.when(points).then(pl.col("row").first().over(pointer, points)).otherwise("row")
    return frame.with_row_index("row").select(first.cast(pl.Int64)).to_series().to_numpy()


def measure_pairs(manifest: ImageTextManifest, pairs: Rows) -> MeasuredRecords:
    """Clean captions, decode every image once, compute every measure."""
    try:
        frame, differing = read_captions(pairs)
        pairs.frame = frame
        captions = clean_captions(frame["caption"], manifest.clean.compatibility, manifest.clean.width)
        images, hashes, sizes = _inspect_images(pairs, manifest.images.max_pixels)
        reasons = [a or b for a, b in zip(frame["problem"], images.problems, strict=True)]
        given: dict[str, np.ndarray] = dict(images.counters)
        for name in (*SCORES, "original_width", "original_height"):
            given[name] = frame[name].fill_null(float("nan")).to_numpy()
        given["clip_similarity"] = _score_by_model(manifest, pairs, captions, reasons)
    finally:
        pairs.close()
    measures = compute(*buffers(captions), manifest.measures, given)
    unreadable = pl.Series(reasons, dtype=pl.String)
    heads = frame["caption"].fill_null("").str.head(EXCERPT)
    table = pa.table(
        {
            "file": frame["file"].to_arrow(),
            "locator": frame["locator"].to_arrow(),
            "bytes": sizes,
            "amount_in": sizes,
            "amount": np.where(unreadable.is_null().to_numpy(), sizes, 0),
            "payload": np.where(unreadable.is_null().to_numpy(), sizes, 0),
            "unreadable": unreadable.to_arrow(),
            "head": pl.select(pl.when(unreadable.is_not_null()).then(heads)).to_series().to_arrow(),
            "exact": hashes,
            "key_length": sizes.astype(np.int32),
            "flat": images.flat,
            "size": images.counters["image_width"] * images.counters["image_height"],
            "score": _tie_breaker(frame),
            "key": hash_strings(*buffers(captions)),
            "reencode": images.needs_reencoding,
            "url": frame["url"].to_arrow(),
            **own_terms(frame),
            "name": frame["name"].to_arrow(),
            **{f"m:{name}": measures[name].to_arrow() for name in measures.columns},
            "text": captions.to_arrow(),
        }
    )
    # Views of pages are large, and few images are pages.
    pages = images.descriptors[:, COARSE_BYTES:]
    rows = np.flatnonzero(pages[:, 0])
    arrays = {
        "sketches": np.ascontiguousarray(images.descriptors[:, :COARSE_BYTES]),
        "rare_sketches": pack_rare_sketches(rows, pages[rows]),
        "hashes": images.hashes,
    }
    return MeasuredRecords(table, arrays, {"captions_differing": differing})


def _tie_breaker(frame: pl.DataFrame) -> np.ndarray:
    """Return float32[n], 0 to 1: which of two images of one size is better, by the source's similarity, then aesthetic score."""
    value = pl.col("similarity").fill_null(0).clip(0, 1) * 0.9 + pl.col("aesthetic").fill_null(0).clip(0, 10) * 0.01
    return frame.select(value.cast(pl.Float32)).to_series().to_numpy()


def _score_by_model(manifest: ImageTextManifest, pairs: Rows, captions: pl.Series, reasons: list[str | None]) -> np.ndarray:
    scores = np.full(len(captions), np.nan, np.float32)
    if manifest.images.model is None:
        return scores
    from filters.image.clip import similarities  # late: torch and transformers

    scored = np.array([r is None for r in reasons], bool) & (captions.str.len_bytes() > 0).to_numpy()
    for rows, blobs in batches(np.flatnonzero(scored), pairs.content):
        texts = captions.gather(rows).to_list()
        scores[rows] = similarities(manifest.images.model, blobs, texts, manifest.images.batch)
    return scores


def hash_image(content: Any) -> int:
    """Return 64 bits of SHA-256: processors have instructions for it, so that it is twice as fast as BLAKE2."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little")


def warm_kernels(manifest: ImageTextManifest) -> None:
    """Compile (or load from numba's cache) every kernel."""
    out = BytesIO()
    Image.effect_mandelbrot((96, 64), (-2, -1, 1, 1), 20).convert("RGB").save(out, "JPEG")
    page = BytesIO()
    Image.new("RGB", (96, 64)).save(page, "PNG")
    given: dict[str, np.ndarray] = dict(inspect([page.getvalue(), out.getvalue()]).counters)
    for name in (*SCORES, "original_width", "original_height", "clip_similarity"):
        given[name] = np.full(2, np.nan)
    names = [name for name in manifest.measures if MEASURES[name].kind in manifest.kinds]
    compute(
        *buffers(clean_captions(pl.Series(["犬の写真 &amp; 猫、ﾈｺ。 DSC_0001.JPG ¥1,980 #空 abc"] * 2), "keep")), names, given
    )
