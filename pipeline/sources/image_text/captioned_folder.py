"""A folder of images whose captions lie in it: `metadata.jsonl` or `metadata.csv` with `file_name`, or files of the images' names.

The caption of a.jpg is in a.jpg.txt, or else in a.txt (or .caption), as `formats.pairing` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipeline.core.errors import InputError
from pipeline.core.names import make_printable
from pipeline.sources.folders import describe_loose_file
from pipeline.sources.formats.lines import BOM
from pipeline.sources.formats.pairing import choose_texts, explain_rivals, match_names
from pipeline.sources.image_text import columns
from pipeline.sources.image_text.tables import read_table
from pipeline.sources.names import NameIndex, decode_name
from pipeline.sources.values import decode_text, make_distinct

_CAPTION_SUFFIXES = {".txt", ".caption"}

_Row = dict[str, Any]


def read_captioned_folder(folder: Path, files: list[Path]) -> pl.DataFrame:
    """Return the rows of the images among the files of a folder.

    An image has a row for each of its lines in the last of the lists that name it. A line that names no image of the folder, or that
    cannot be read, is a row with a problem, after all images.
    """
    images = [path for path in files if columns.is_image_name(path.name)]
    names = [str(image.relative_to(folder)) for image in images]
    index = NameIndex(names)
    rows_by_name: dict[str, list[_Row]] = {}
    without_image: list[_Row] = []
    for list_path in _find_lists(folder, images):
        prefix = "" if list_path.parent == folder else f"{list_path.parent.relative_to(folder)}/"
        rows_of_list: dict[str, list[_Row]] = {}
        for row in _read_list(list_path, prefix):
            file, number = row.pop("file", None), row.pop("number")
            paths = [prefix + path.removeprefix("./") for path in (file or "", (file or "").replace("\\", "/"))]
            name = next((name for path in paths if (name := index.find(path)) is not None), None)
            if file and name is not None:
                rows_of_list.setdefault(name, []).append(row)
            else:
                locator = paths[0] if file else f"{prefix}{list_path.name}:{number:010}"
                reason = "names a file that is not there" if file else "has a line that names none"
                problem = row["problem"] or f"no image: {list_path.name} {reason}"
                without_image.append(row | {"locator": make_printable(locator), "problem": problem})
        rows_by_name |= rows_of_list
    captions = _find_captions(folder, files, names)
    rows = [
        _build_row(image, name, listed, caption)
        for image, name, caption in zip(images, names, captions, strict=True)
        for listed in rows_by_name.get(name, [{}])
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


class _CaptionFile(NamedTuple):
    """The file that has the caption of an image, if any, or why it cannot be told."""

    path: Path | None
    problem: str | None


def _find_captions(folder: Path, files: list[Path], names: list[str]) -> list[_CaptionFile]:
    texts = [path for path in files if path.suffix.lower() in _CAPTION_SUFFIXES]
    text_names = [str(path.relative_to(folder)) for path in texts]
    return [
        _CaptionFile(
            None if choice.text is None else texts[choice.text],
            None if choice.rivals is None else explain_rivals(choice.rivals, "image", "caption"),
        )
        for choice in choose_texts(match_names(names, text_names), names, text_names)
    ]


def _build_row(image: Path, name: str, listed: _Row, caption: _CaptionFile) -> _Row:
    """Return the row of an image with what a list says of it."""
    file = describe_loose_file(image)
    row = listed | file | {"locator": make_printable(decode_name(name)), "problem": file["problem"] or listed.get("problem")}
    if row.get("caption") is None:
        row["caption"], problem = _read_caption(caption)
        row["problem"] = row["problem"] or problem
    return row


def _read_caption(caption: _CaptionFile) -> tuple[str | None, str | None]:
    """Return the text of a file, and what is wrong with it."""
    if caption.path is None:
        return None, caption.problem
    if (size := caption.path.stat().st_size) > columns.LONGEST_CAPTION:
        return None, f"caption of {size} bytes, over {columns.LONGEST_CAPTION}"
    return decode_text(caption.path.read_bytes().removeprefix(BOM), "caption")
