"""What a reader of pairs yields: frames of one standard form, whatever the columns were called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import polars as pl

from pipeline.sources.formats.columnar import PROBLEM
from pipeline.sources.values import texts

# The columns of a row. An image is `size` bytes at `at` of the file `place`, or else it is `blob`; a caption may stand at
# `text_at` of the same place, a JSON object of metadata at `meta_at`. `problem` says why there is no image.
SCHEMA = pl.Schema(
    {
        "locator": pl.String,
        "caption": pl.String,
        "url": pl.String,
        "license": pl.String,
        "name": pl.String,
        "problem": pl.String,
        "similarity": pl.Float32,
        "punsafe": pl.Float32,
        "pwatermark": pl.Float32,
        "aesthetic": pl.Float32,
        "original_width": pl.Float64,
        "original_height": pl.Float64,
        "place": pl.String,
        "at": pl.Int64,
        "size": pl.Int64,
        "text_at": pl.Int64,
        "text_size": pl.Int64,
        "meta_at": pl.Int64,
        "meta_size": pl.Int64,
        "blob": pl.Binary,
    }
)
LONGEST_CAPTION = 10_000_000  # bytes; a longer one, or longer metadata, is not read
SCORES = ("similarity", "punsafe", "pwatermark", "aesthetic")

# Names in the wild, best first, case aside: LAION-5B and its re-uploads, COYO, DataComp, CC12M, WAON, img2dataset, `datasets`.
SYNONYMS = {
    "url": ("url", "image_url", "img_url", "image_link", "uri", "link"),
    "caption": ("caption", "text", "txt", "alt_text", "alt", "transcription", "description", "title", "captions"),
    "license": ("license", "licence"),
    "similarity": (
        "similarity", "clip_similarity", "clip_l14_similarity_score", "clip_similarity_vitl14",
        "clip_b32_similarity_score", "clip_similarity_vitb32",
    ),
    "punsafe": ("punsafe", "nsfw_score_opennsfw2"),
    "pwatermark": ("pwatermark", "watermark_score"),
    "aesthetic": ("aesthetic", "aesthetic_score", "aesthetic_score_laion_v2", "aesthetics"),
    "original_width": ("original_width", "width"),
    "original_height": ("original_height", "height"),
    "file": ("file_name", "filename", "image_path", "filepath", "file", "path", "image"),
    "key": ("key", "__key__"),
    "status": ("status",),
    "error_message": ("error_message",),
}  # fmt: skip
_KINDS = {"similarity": "f", "punsafe": "f", "pwatermark": "f", "aesthetic": "f", "original_width": "d", "original_height": "d"}

IMAGE_SUFFIXES = frozenset(
    "jpg jpeg jpe jfif png webp gif bmp dib tif tiff avif heic heif jxl jp2 ppm pgm pbm ico svg svgz".split()
)
IMAGE_NAME = re.compile(r"(?i)\.(" + "|".join(sorted(IMAGE_SUFFIXES)) + r")$")


def is_image_name(name: str) -> bool:
    return IMAGE_NAME.search(name) is not None


def matched(names: Iterable[str], kinds: Mapping[str, pl.DataType] | None = None) -> dict[str, str]:
    """Which column of a table stands for which standard one: the first of the synonyms that is there, and of a type that fits."""
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.strip().lower(), name)
    found = {}
    for ours, words in SYNONYMS.items():
        there = (by_lower[word] for word in words if word in by_lower)
        theirs = next((name for name in there if kinds is None or _fits(ours, kinds[name])), None)
        if theirs is not None:
            found[ours] = theirs
    return found


def _fits(ours: str, kind: pl.DataType) -> bool:
    if kind == pl.Binary:
        return ours not in _KINDS and ours != "file"  # which may be the image itself
    if kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null, pl.Categorical, pl.Enum):
        return True
    return ours not in _KINDS and kind in (pl.Date, pl.Time, pl.Datetime) or ours == "caption" and is_texts(kind)


def is_texts(kind: pl.DataType | None) -> bool:
    """Whether values are lists of texts."""
    return isinstance(kind, pl.List | pl.Array) and kind.inner in (pl.String, pl.Categorical, pl.Enum, pl.Binary)


def renamed(frame: pl.DataFrame) -> pl.DataFrame:
    """The standard columns that a table has, with standard names and types; a value that is no number becomes null."""
    return with_problems(frame).drop("problem")


def with_problems(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` as `renamed` has it, and what is wrong with its rows in `problem`.

    Binary values that are no UTF-8 become null, too, but for captions: as in a tar, what can be read stays, and the row has a problem.
    """
    nothing = pl.repeat(None, len(frame), dtype=pl.String, eager=True)
    chosen, problem = [], frame[PROBLEM] if PROBLEM in frame.columns else nothing
    for ours, theirs in matched(frame.columns, frame.schema).items():
        column = frame[theirs]
        if column.dtype.is_nested():
            continue
        if ours in _KINDS:
            column = column.cast(pl.Float32 if _KINDS[ours] == "f" else pl.Float64, strict=False)
            column = column.set(~column.is_finite(), None)
        elif column.dtype == pl.Binary:
            column, wrong = texts(column, ours)
            if ours != "caption":
                column = column.set(wrong.is_not_null(), None)
            else:
                problem = problem.zip_with(problem.is_not_null(), wrong)
        else:
            column = column.cast(pl.String, strict=False)
        chosen.append(column.alias(ours))
    return pl.DataFrame([problem.alias("problem"), *chosen])
