"""The measures of an image, over the counters of `filters.image.inspection`.

The caller adds, where a rule asks for it, what the source says: `similarity`, `punsafe`, `pwatermark`, `aesthetic`,
`original_width` and `original_height`, and `clip_similarity` by a model. They are floats, NaN where there is no value.
"""

from __future__ import annotations

import polars as pl

from filters.expressions import given
from filters.registry import measure


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
    original = pl.min_horizontal(given("original_width"), given("original_height"))
    complete = given("original_width").is_not_null() & given("original_height").is_not_null()
    return pl.when(complete).then(original).otherwise(pl.min_horizontal("image_width", "image_height")).cast(pl.Int64)


@measure(kind="image")
def aspect_ratio() -> pl.Expr:
    """Longer side over shorter side of the content: without the borders of letterboxing or a frame. At least 1.

    Of a drawing on one ground (a moon, a line of text) the ground counts.
    """
    longer = pl.max_horizontal("content_width", "content_height")
    return (longer / pl.min_horizontal("content_width", "content_height").clip(1)).clip(1).cast(pl.Float32)


@measure(kind="image")
def content_share() -> pl.Expr:
    """Share of the area that is content: not a border of one colour on opposite sides."""
    area = (pl.col("image_width") * pl.col("image_height")).clip(1)
    return (pl.col("content_width") * pl.col("content_height") / area).cast(pl.Float32)


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
    """Share of the content in its most frequent colour; where that is nearly all, share of 16 × 16 blocks with nothing else in them."""
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
    return given("similarity")


@measure(kind="image")
def punsafe() -> pl.Expr:
    """Probability that the image is unsafe, as the source gives it; null where it gives none."""
    return given("punsafe")


@measure(kind="image")
def pwatermark() -> pl.Expr:
    """Probability of a watermark, as the source gives it; null where it gives none."""
    return given("pwatermark")


@measure(kind="image")
def aesthetic() -> pl.Expr:
    """Aesthetic score, 0 to 10, as the source gives it; null where it gives none."""
    return given("aesthetic")


@measure(kind="image")
def clip_similarity() -> pl.Expr:
    """Cosine of the embeddings of image and caption by the model that the manifest names; null where none was run."""
    return given("clip_similarity")
