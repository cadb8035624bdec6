"""The measures of an image, and `inspect`, which decodes images and makes what the measures are computed from.

| counter | |
|---|---|
| `image_width` `image_height` | of the image upright, in pixels |
| `content_width` `content_height` | the same without uniform borders (`filters.image.pixels.content_box`) |
| `n_colours` `grey_entropy` `grey_contrast` `modal_share` | of the content, each side reduced to at most 64 pixels |
| `animated` | 1 where there are several frames, else 0 |
| `image_bytes` | size of the file |
| `image_format` `image_phash` | strings; None where the image could not be decoded |

`inspect` makes all of these. The caller gives, where a rule asks for them, what the source says, as floats with NaN for what it
does not say: `similarity`, `punsafe`, `pwatermark`, `aesthetic`, `original_width`, `original_height`; and `clip_similarity`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from filters.image import decoding as raster
from filters.image import pixels
from filters.image.decoding import MAX_PIXELS, reencode
from filters.inspected import concatenated
from filters.registry import Counters, measure

__all__ = ["Inspected", "concatenated", "inspect", "reencode"]

# What is known of a file, width and height of the image and of the picture measured, format, animated, unusual.
UNREADABLE: tuple[int, int, int, int, str | None, bool, bool] = (0, 0, 1, 1, None, False, False)


@dataclass(frozen=True)
class Inspected:
    """What `inspect` found: row i of everything is image i, zero (None for strings) where it has a problem."""

    counters: Counters
    problems: list[str | None]
    phash: np.ndarray  # uint64[n]
    flat: np.ndarray  # bool[n]: too little contrast for the hash to say anything
    descriptors: np.ndarray  # uint8[n, DESCRIPTOR_BYTES]
    needs_reencoding: np.ndarray  # bool[n]: 16 bits, floats, CMYK, turned by EXIF: not what readers of shards expect
    hashes: np.ndarray  # uint64[n, VIEWS]: phash, then those of other views of the image, or phash again where there is none


def inspect(blobs: Sequence[raster.Blob | None], *, max_pixels: int = MAX_PIXELS) -> Inspected:
    """Decode and measure images, each alone: the result does not depend on what else is in the batch.

    Not for several threads of one process at once: warnings of Pillow are silenced meanwhile, and Python does that for all.
    """
    n = len(blobs)
    low, c_log_c, numbers = pixels.LOW_FREQUENCIES, pixels.C_LOG_C, np.zeros((n, pixels.NUMBERS))
    hashes = np.zeros((n, pixels.VIEWS), np.uint64)
    descriptors = np.zeros((n, pixels.DESCRIPTOR_BYTES), np.uint8)
    files = [UNREADABLE] * n
    problems: list[str | None] = [None] * n
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, blob in enumerate(blobs):
            try:
                opened = raster.open_small(blob, max_pixels)
            except raster.Unreadable as problem:
                problems[i] = str(problem)
                continue
            width, height = opened.picture.size
            pixels.describe(raster.pixels(opened.picture), width, height, low, c_log_c, numbers, hashes, descriptors, i)
            files[i] = opened.width, opened.height, width, height, opened.format, opened.animated, opened.unusual
    columns = list(zip(*files, strict=True)) or [()] * len(UNREADABLE)
    upright, measured = np.array(columns[:2], np.int64), np.array(columns[2:4], np.int64)
    good = np.array([problem is None for problem in problems], bool)
    content = np.rint(numbers[:, : pixels.CONTENT_HEIGHT + 1].T * upright / measured).astype(np.int64)
    counters: Counters = {
        "image_width": upright[0],
        "image_height": upright[1],
        "content_width": content[0],
        "content_height": content[1],
        "n_colours": numbers[:, pixels.COLOURS].astype(np.int32),
        "grey_entropy": numbers[:, pixels.ENTROPY],
        "grey_contrast": numbers[:, pixels.CONTRAST],
        "modal_share": numbers[:, pixels.BLANK],
        "animated": np.array(columns[5], np.int8),
        "image_bytes": np.array([len(blob or b"") for blob in blobs], np.int64),
        "image_format": np.array(columns[4], object),
        "image_phash": np.array(
            [f"{bits:016x}" if ok else None for bits, ok in zip(hashes[:, 0].tolist(), good, strict=True)], object
        ).reshape(n),
    }
    flat = ~good | (numbers[:, pixels.CONTRAST] < pixels.FLAT_LEVELS / 255)
    return Inspected(counters, problems, hashes[:, 0], flat, descriptors, np.array(columns[6], bool), hashes)


def _given(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float32).fill_nan(None)


@measure(kind="image")
def width() -> pl.Expr:
    """Width in pixels, upright (EXIF orientation applied)."""
    return pl.col("image_width")


@measure(kind="image")
def height() -> pl.Expr:
    """Height in pixels, upright (EXIF orientation applied)."""
    return pl.col("image_height")


@measure(kind="image")
def shorter_side() -> pl.Expr:
    """The smaller of width and height."""
    return pl.min_horizontal("image_width", "image_height")


@measure(kind="image")
def longer_side() -> pl.Expr:
    """The larger of width and height."""
    return pl.max_horizontal("image_width", "image_height")


@measure(kind="image")
def original_shorter_side() -> pl.Expr:
    """Shorter side before the downloader resized the image, where the source says it; else that of the image."""
    original = pl.min_horizontal(_given("original_width"), _given("original_height"))
    complete = _given("original_width").is_not_null() & _given("original_height").is_not_null()
    return pl.when(complete).then(original).otherwise(pl.min_horizontal("image_width", "image_height")).cast(pl.Int64)


@measure(kind="image")
def aspect_ratio() -> pl.Expr:
    """Longer side over shorter side of the content: without the borders of letterboxing, a frame or a margin. At least 1."""
    longer = pl.max_horizontal("content_width", "content_height")
    return (longer / pl.min_horizontal("content_width", "content_height").clip(1)).clip(1).cast(pl.Float32)


@measure(kind="image")
def content_share() -> pl.Expr:
    """Share of the area that is content: not a border of one colour on opposite sides."""
    whole = (pl.col("image_width") * pl.col("image_height")).clip(1)
    return (pl.col("content_width") * pl.col("content_height") / whole).cast(pl.Float32)


@measure(kind="image")
def colours() -> pl.Expr:
    """Distinct colours of the content with each side reduced to at most 64 pixels by averaging (WAON counts after 64 × 64, too)."""
    return pl.col("n_colours")


@measure(kind="image")
def entropy() -> pl.Expr:
    """Bits of information in the grey levels of the content at 64 × 64, 0 to 8: how evenly they are used."""
    return pl.col("grey_entropy").cast(pl.Float32)


@measure(kind="image")
def contrast() -> pl.Expr:
    """Standard deviation of the content's grey levels at 64 × 64, where black is 0 and white 1."""
    return pl.col("grey_contrast").cast(pl.Float32)


@measure(kind="image")
def blank_share() -> pl.Expr:
    """Share of the content in its most frequent colour, 12 levels of 256 more or less."""
    return pl.col("modal_share").cast(pl.Float32)


@measure(kind="image")
def animated() -> pl.Expr:
    """1 where the image has several frames (of which the first is measured), else 0."""
    return pl.col("animated")


@measure(kind="image")
def image_bytes() -> pl.Expr:
    """Size of the image file in bytes."""
    return pl.col("image_bytes")


@measure(kind="image", words=True)
def image_format() -> pl.Expr:
    """JPEG, PNG, GIF, WEBP, BMP, TIFF or AVIF."""
    return pl.col("image_format")


@measure(kind="image", words=True)
def phash() -> pl.Expr:
    """Perceptual hash of the content: 64 bits in 16 hexadecimal digits, bit order as imagehash.phash has it."""
    return pl.col("image_phash")


@measure(kind="image")
def caption_similarity() -> pl.Expr:
    """Similarity of image and caption as the source gives it (LAION: cosine of CLIP embeddings); null where it gives none."""
    return _given("similarity")


@measure(kind="image")
def punsafe() -> pl.Expr:
    """Probability that the image is unsafe, as the source gives it; null where it gives none."""
    return _given("punsafe")


@measure(kind="image")
def pwatermark() -> pl.Expr:
    """Probability of a watermark, as the source gives it; null where it gives none."""
    return _given("pwatermark")


@measure(kind="image")
def aesthetic() -> pl.Expr:
    """Aesthetic score, 0 to 10, as the source gives it; null where it gives none."""
    return _given("aesthetic")


@measure(kind="image")
def clip_similarity() -> pl.Expr:
    """Cosine of the embeddings of image and caption by the model that the manifest names; null where none was run."""
    return _given("clip_similarity")
