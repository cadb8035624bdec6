"""Columns of image-text pairs: the schema of rows, and the names that corpora in the wild have for its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import polars as pl

from pipeline.sources.formats.columns import PROBLEM, match_columns
from pipeline.sources.pointers import LONGEST_TEXT
from pipeline.sources.rows import CONTENT_POINTERS, METADATA_POINTERS, TEXT_POINTERS
from pipeline.sources.values import decode_texts

SCORES = ("similarity", "punsafe", "pwatermark", "aesthetic")
# The columns of a row; for the last ones see `Rows`. `problem` says why there is no image.
SCHEMA = pl.Schema(
    dict.fromkeys(("locator", "caption", "url", "license", "source", "name", "problem"), pl.String)
    | dict.fromkeys(SCORES, pl.Float32)
    | dict.fromkeys(("original_width", "original_height"), pl.Float64)
    | CONTENT_POINTERS
    | TEXT_POINTERS
    | METADATA_POINTERS
    | {"content_bytes": pl.Binary}
)
LONGEST_CAPTION = LONGEST_TEXT  # bytes; a longer one, or longer metadata, is not read
_NUMBERS = {name: kind for name, kind in SCHEMA.items() if kind.is_float()}

# Names in the wild, best first, case aside: LAION-5B and its re-uploads, COYO, DataComp, CC12M, WAON, img2dataset, `datasets`.
SYNONYMS = {
    "url": ("url", "image_url", "img_url", "image_link", "uri", "link", "画像url", "画像のurl", "画像リンク"),
    "caption": (
        "caption", "text", "txt", "alt_text", "alt", "transcription", "description", "title", "captions",
        "キャプション", "説明文", "説明", "画像の説明", "代替テキスト", "テキスト", "タイトル", "comment",
    ),
    "license": ("license", "licence", "ライセンス"),
    "source": ("source", "source_name", "出典"),
    "similarity": (
        "similarity", "clip_similarity", "clip_l14_similarity_score", "clip_similarity_vitl14",
        "clip_b32_similarity_score", "clip_similarity_vitb32",
    ),
    "punsafe": ("punsafe", "nsfw_score_opennsfw2"),
    "pwatermark": ("pwatermark", "watermark_score"),
    "aesthetic": ("aesthetic", "aesthetic_score", "aesthetic_score_laion_v2", "aesthetics"),
    "original_width": ("original_width", "width"),
    "original_height": ("original_height", "height"),
    "file": (
        "file_name", "filename", "image_path", "filepath", "file", "path", "image", "image_name",
        "ファイル名", "画像ファイル名", "画像ファイル", "ファイル",
    ),
    "key": ("key", "__key__"),
    "status": ("status",),
    "error_message": ("error_message",),
}  # fmt: skip
IMAGE_COLUMNS = {"image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "data", "content"}

IMAGE_SUFFIXES = frozenset(
    "jpg jpeg jpe jfif png webp gif bmp dib tif tiff avif heic heif jxl jp2 ppm pgm pbm ico svg svgz".split()
)
IMAGE_NAME = re.compile(r"(?i)\.(" + "|".join(sorted(IMAGE_SUFFIXES)) + r")$")

_AMPERSAND = re.compile(r"(?i)&(?:amp|#0*38|#x0*26);")  # as a page's source has a URL; `unescape` would make &copy= a © as well


def mend_url(url: object) -> str | None:
    """Return a URL that may have been copied from HTML as it is requested, None where it is none."""
    return _AMPERSAND.sub("&", url.strip()) if isinstance(url, str) else None


def is_image_name(name: str) -> bool:
    return IMAGE_NAME.search(name) is not None


def match(names: Iterable[str], types: Mapping[str, pl.DataType] | None = None) -> dict[str, str]:
    """Return which column of a table stands for which standard one. With `types`, those of an unsuitable type are passed over."""
    return match_columns(names, SYNONYMS, None if types is None else lambda standard, name: _fits(standard, types[name]))


def _fits(standard: str, kind: pl.DataType) -> bool:
    if kind == pl.Binary:
        return standard not in _NUMBERS and standard != "file"  # which may be the image itself
    if kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null, pl.Categorical, pl.Enum):
        return True
    return standard not in _NUMBERS and kind in (pl.Date, pl.Time, pl.Datetime) or standard == "caption" and holds_lists(kind)


def holds_lists(kind: pl.DataType | None) -> bool:
    """Return whether values are lists of texts."""
    return isinstance(kind, pl.List | pl.Array) and kind.inner in (pl.String, pl.Categorical, pl.Enum, pl.Binary)


def standardise(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the standard columns that a table has, with standard names and types, and `problem`: what is wrong with its rows.

    A value that is no number becomes null, and so does a binary one that is not UTF-8. Of a caption what can be read stays, as in a tar,
    and the row has a problem.
    """
    columns, problem = [], pl.repeat(None, len(frame), dtype=pl.String, eager=True)
    problem = frame[PROBLEM] if PROBLEM in frame.columns else problem
    for standard, name in match(frame.columns, frame.schema).items():
        column = frame[name]
        if column.dtype.is_nested():
            continue
        if standard in _NUMBERS:
            column = column.cast(_NUMBERS[standard], strict=False)
            column = column.set(~column.is_finite(), None)
        elif column.dtype == pl.Binary:
            column, wrong = decode_texts(column, standard)
            if standard != "caption":
                column = column.set(wrong.is_not_null(), None)
            else:
                problem = problem.zip_with(problem.is_not_null(), wrong)
        else:
            column = column.cast(pl.String, strict=False)
        if standard == "url":
            column = column.str.strip_chars().str.replace_all(_AMPERSAND.pattern, "&")
        columns.append(column.alias(standard))
    return pl.DataFrame([problem.alias("problem"), *columns])
