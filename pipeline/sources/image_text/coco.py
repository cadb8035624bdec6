"""COCO's annotations (STAIR Captions, COCO captions): one JSON object with images and their captions."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.jsonl import build_string_columns
from pipeline.sources.formats.lines import find_line_end, peek_lines
from pipeline.sources.image_text.columns import mend_url
from pipeline.sources.values import make_all_printable, make_distinct, stringify_scalars

_PEEK = 1 << 20  # bytes of the first line
_COLUMNS = ("locator", "caption", "file", "url", "license")


def is_coco(path: Path, has_json_name: bool) -> bool:
    """Return whether a file is one JSON object with annotations, rather than JSON lines."""
    lines = peek_lines(path, _PEEK, find_line_end(path))
    first = lines[0].strip() if lines else ""
    if not first.startswith("{"):
        return False
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return has_json_name or first == "{" or '"annotations"' in first or '"images"' in first
    return isinstance(value, dict) and "annotations" in value


def read_coco(path: Path) -> pl.DataFrame:
    """Return a row for each annotation, `file` the image's name. Raises InputError where the file is something else."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
        images = {image["id"]: image for image in content["images"]}
        licenses = {entry["id"]: entry.get("url") or entry.get("name") for entry in content.get("licenses", [])}
        rows = []
        for number, annotation in enumerate(content["annotations"]):
            image = images.get(annotation["image_id"], {})
            row = {
                "locator": annotation.get("id", number),
                "caption": annotation.get("caption"),
                "file": image.get("file_name"),
                "url": mend_url(image.get("flickr_url") or image.get("coco_url")),
                "license": licenses.get(image.get("license")),
            }
            rows.append(stringify_scalars(row))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"is JSON, but not of COCO's form (images, annotations with image_id and caption): {error!r}"
        ) from None
    frame = build_string_columns(rows, _COLUMNS)
    locators = make_all_printable(frame["locator"].fill_null(""))
    return frame.with_columns(make_distinct(locators, set()).alias("locator"), problem=pl.lit(None, pl.String))
