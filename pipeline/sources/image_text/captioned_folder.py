"""A folder of images whose captions lie in it: `metadata.jsonl` or `metadata.csv` with `file_name`, or KEY.txt for KEY.jpg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.errors import InputError
from pipeline.core.names import make_printable
from pipeline.sources.folders import describe_loose_file
from pipeline.sources.formats.lines import BOM
from pipeline.sources.image_text import columns
from pipeline.sources.image_text.tables import read_table
from pipeline.sources.values import decode_text, make_distinct

_Row = dict[str, Any]


def read_captioned_folder(folder: Path, images: list[Path]) -> pl.DataFrame:
    """Return the rows of images in a folder.

    An image has a row for each of its lines in the last of the lists that name it. A line that names no image of the folder, or that
    cannot be read, is a row with a problem, after all images.
    """
    paths = {str(image.relative_to(folder)) for image in images}
    rows_by_path: dict[str, list[_Row]] = {}
    without_image: list[_Row] = []
    for list_path in _find_lists(folder, images):
        prefix = "" if list_path.parent == folder else f"{list_path.parent.relative_to(folder)}/"
        rows_of_list: dict[str, list[_Row]] = {}
        for row in _read_list(list_path, prefix):
            file, number = row.pop("file", None), row.pop("number")
            path = prefix + (file or "").removeprefix("./")
            if path in paths:
                rows_of_list.setdefault(path, []).append(row)
            else:
                locator = path if file else f"{prefix}{list_path.name}:{number:010}"
                reason = "names a file that is not there" if file else "has a line that names none"
                problem = row["problem"] or f"no image: {list_path.name} {reason}"
                without_image.append(row | {"locator": make_printable(locator), "problem": problem})
        rows_by_path |= rows_of_list
    rows = [
        _build_row(image, folder, listed)
        for image in images
        for listed in rows_by_path.get(str(image.relative_to(folder)), [{}])
    ]
    frame = pl.DataFrame(rows + without_image, schema=columns.SCHEMA)
    return frame.with_columns(make_distinct(frame["locator"], set()).alias("locator"))


def _find_lists(folder: Path, images: list[Path]) -> list[Path]:
    parents = sorted({image.parent for image in images} | {folder})
    paths = [parent / name for parent in parents for name in ("metadata.jsonl", "metadata.csv")]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _read_list(path: Path, prefix: str) -> list[_Row]:
    """Return the standard columns of a list, with `file` and `number`. Of one that names no file only the lines that cannot be read."""
    rows: list[_Row] = []
    try:
        for table in read_table(path):
            frame = columns.standardise(table).with_row_index("number", len(rows))
            wanted = {*columns.SCHEMA, "file", "number"}
            rows += frame.select(name for name in frame.columns if name in wanted).iter_rows(named=True)
    except InputError as error:
        raise InputError(f"holds {prefix}{path.name}, which {error}") from None
    names_files = any(row.get("file") for row in rows)
    return [row for row in rows if names_files or row["problem"]]


def _build_row(image: Path, folder: Path, listed: _Row) -> _Row:
    """Return the row of an image with what a list says of it."""
    file = describe_loose_file(image)
    problem = file["problem"] or listed.get("problem")
    row = listed | file | {"locator": make_printable(str(image.relative_to(folder))), "problem": problem}
    if row.get("caption") is None:
        row["caption"], problem = _read_caption(image)
        row["problem"] = row.get("problem") or problem
    return row


def _read_caption(image: Path) -> tuple[str | None, str | None]:
    """Return the text in KEY.txt for KEY.jpg, and what is wrong with it."""
    path = image.with_suffix(".txt")
    if not path.is_file() or path.is_symlink():
        return None, None
    if (size := path.stat().st_size) > columns.LONGEST_CAPTION:
        return None, f"caption of {size} bytes, over {columns.LONGEST_CAPTION}"
    return decode_text(path.read_bytes().removeprefix(BOM), "caption")
