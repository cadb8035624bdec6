"""Tables of image-text pairs: Parquet, Arrow, TSV and CSV with or without a header, JSON lines; with images in them or by their names.

A table without a header is recognised by its values, since CC12M has `url caption` and CC3M `caption url`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError
from pipeline.sources.formats.arrow import is_binary, readable_columns
from pipeline.sources.formats.columns import PROBLEM, missing_column, rename_columns
from pipeline.sources.formats.csv import find_separator, read_csv
from pipeline.sources.formats.features import find_content_column, unpack_content
from pipeline.sources.formats.jsonl import NOT_AN_OBJECT, build_string_columns, parse_object
from pipeline.sources.formats.lines import (
    explain_no_lines,
    find_line_end,
    peek_lines,
    read_file_lines,
    skip_first_line,
    split_cells,
    split_frames,
)
from pipeline.sources.formats.other_files import refuse_other_files
from pipeline.sources.formats.parquet import read_parquet_or_arrow
from pipeline.sources.formats.quotes import is_quoted
from pipeline.sources.image_text import columns, img2dataset
from pipeline.sources.image_text.headers import find_header, find_header_separator, guess_separated, is_header, split_header
from pipeline.sources.image_text.list_cells import BASE64_IMAGE, decode_images, refuse_swallowed_rows
from pipeline.sources.values import make_all_printable, make_distinct, stringify_scalars

BATCH = 20_000  # rows at a time
_BATCH_WITH_IMAGES = 64
_PEEK = 1 << 20  # bytes of the first lines
_HEADERS = {"url", "caption", "file"}


def read_table(
    path: Path, complete: bool = True, named_columns: Mapping[str, str] | None = None, all_columns: bool = False
) -> Iterator[pl.DataFrame]:
    """Yield the table in a file, in frames with its own column names; without a header these are `url` or `file`, and `caption`.

    `named_columns` says what it calls some of the standard ones, which are renamed. A row with a list of captions becomes a row for each.
    Of Parquet and Arrow only what pairs are made of is read, unless `all_columns` are wanted; the others are null.

    A line that is not what the others are has its reason in the column `PROBLEM`, and so has the last line of text that is not
    `complete` where it has no end. Raises InputError where no column holds URLs or file names, or where the file is not what its
    beginning says.
    """
    standard_names = _invert_names(named_columns or {})

    def choose(schema: pa.Schema) -> Set[str]:
        chosen = _choose_columns(schema, standard_names)
        return chosen | readable_columns(schema) if all_columns else chosen

    stored = read_parquet_or_arrow(path, BATCH, _BATCH_WITH_IMAGES, choose)
    frames = _rename_all(stored, standard_names) if stored is not None else _read_text(path, complete, standard_names)
    for frame in frames:
        yield _explode_captions(frame, "caption" in standard_names.values())


def _rename_all(frames: Iterator[pl.DataFrame], standard_names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    for frame in frames:
        yield rename_columns(frame, standard_names)


def _invert_names(named_columns: Mapping[str, str]) -> dict[str, str]:
    """Return the standard names by what the table calls them."""
    standard_names: dict[str, str] = {}
    for standard, name in named_columns.items():
        if name in standard_names:
            raise InputError(
                f"cannot be read: source.columns names {name!r} as {standard_names[name]} and as {standard}; it is one of them"
            )
        standard_names[name] = standard
    return standard_names


def find_image_column(schema: Mapping[str, pl.DataType]) -> str | None:
    """Return the column that holds encoded images: binary, or the struct of bytes and path of Hugging Face's Image feature.

    img2dataset's Parquet mode names it after the format that it encoded to.
    """
    # A list of URLs may have hashes in binary.
    is_list = bool({"url", "file"} & set(columns.match([*schema])))
    return find_content_column(schema, columns.IMAGE_COLUMNS, any_binary=not is_list)


def _choose_columns(schema: pa.Schema, standard_names: Mapping[str, str]) -> set[str]:
    """Return the names of the columns that may be a standard one or hold images."""
    known = {word for synonyms in columns.SYNONYMS.values() for word in synonyms} | columns.IMAGE_COLUMNS
    names = {field.name: standard_names.get(field.name, field.name) for field in schema}
    chosen = {name for name, standard in names.items() if name in standard_names or standard.strip().lower() in known}
    chosen |= {field.name for field in schema if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0}
    if not {"url", "file"} & set(columns.match(names.values())):
        chosen |= {field.name for field in schema if is_binary(field.type)}
    return chosen


def _explode_captions(frame: pl.DataFrame, is_named: bool) -> pl.DataFrame:
    """Return `frame` with a row for each of a list of captions. `is_named`: the manifest says which column has them."""
    column = columns.match(frame.columns, frame.schema).get("caption")
    if not is_named and column not in (None, "captions") and columns.holds_lists(frame.schema.get("captions")):
        # `captions` has all of them, of which the other column may have the first.
        lists, kind = pl.col("captions").cast(pl.List(pl.String)), frame.schema["captions"]
        if frame.schema[column or ""] == pl.String and kind.inner != pl.Binary:  # type: ignore[attr-defined]
            frame = frame.with_columns(captions=pl.when(lists.list.len() > 0).then(lists).otherwise(pl.concat_list(column)))
        frame, column = frame.drop(column or ""), "captions"
    if column is None or not columns.holds_lists(frame.schema[column]):
        return frame
    list_type = pl.List(frame.schema[column].inner)  # type: ignore[attr-defined]
    return frame.with_columns(pl.col(column).cast(list_type)).explode(column)  # a row without a caption stays one


# -- text


def _read_text(path: Path, complete: bool, standard_names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    refuse_other_files(path)
    line_end = find_line_end(path)
    first_lines = peek_lines(path, _PEEK, line_end)
    if not first_lines:
        raise explain_no_lines(path, "a table nor an archive of images")
    first = first_lines[0]
    if re.match(r"\s*\[\s*(\{|$)", first):
        raise InputError("is a JSON array: write it as JSON lines, one object in each line (jq -c '.[]')")
    by_excel = find_separator(first)
    named = first_lines[1] if by_excel and len(first_lines) > 1 else first
    separator = by_excel or find_header_separator(first)
    cells = split_header(named, separator)
    rows = _BATCH_WITH_IMAGES if any(BASE64_IMAGE.search(line) for line in first_lines) else BATCH
    if separator in named and ("\t" not in named or named != first) and is_header(cells, _HEADERS, standard_names):
        frames = read_csv(path, complete, columns.LONGEST_CAPTION, rows, separator)
        yield from _rename_all(refuse_swallowed_rows(frames, separator), standard_names)
        return
    lines = read_file_lines(path, complete, line_end)
    if first.lstrip().startswith("{"):
        yield from _read_objects(split_frames(lines, BATCH), standard_names)
        return
    if "\t" not in first and (guess := guess_separated(first_lines)) is not None:
        frames = read_csv(path, complete, columns.LONGEST_CAPTION, rows, *guess)
        yield from _rename_all(refuse_swallowed_rows(frames, guess[0]), standard_names)
        return
    header = find_header(first_lines, standard_names)
    if is_quoted(path):
        names = None if header.is_first_line else header.names
        frames = read_csv(path, complete, columns.LONGEST_CAPTION, rows, "\t", names)
        yield from _rename_all(refuse_swallowed_rows(frames, "\t"), standard_names)
        return
    for batch in split_frames(skip_first_line(lines) if header.is_first_line else lines, BATCH):
        if len(batch):
            yield rename_columns(split_cells(batch, header.names), standard_names)


# -- JSON lines


class _ObjectRow(NamedTuple):
    """The scalars of a JSON object as strings, and the captions of one that has a list of them."""

    scalars: dict[str, str]
    captions: list[str]


def _read_objects(lines: Iterator[pl.DataFrame], standard_names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """Yield JSON lines under their own keys or standard names. Values that are no scalars, nor captions, are left out.

    Lines may lack what others have: the first lines that can be read must have all of `standard_names` between them.
    """
    is_checked = False
    for batch in lines:
        values = [parse_object(line) for line in batch["line"]]
        is_checked = is_checked or _check_keys(values, standard_names)
        frame = _build_frame([_build_row(value, standard_names) for value in values], standard_names)
        yield frame.with_columns(pl.coalesce(batch[PROBLEM], frame[PROBLEM]).alias(PROBLEM))


def _check_keys(values: list[dict[str, Any] | None], standard_names: Mapping[str, str]) -> bool:
    """Return whether objects have any keys. Raises InputError where these lack one that the manifest names."""
    names = dict.fromkeys(key for value in values for key in value or {} if key != PROBLEM)
    keys = [*stringify_scalars(dict.fromkeys(names, ""))]
    if keys and (missing := [name for name in standard_names if name not in keys]):
        raise missing_column(missing[0], keys)
    return bool(keys)


def _build_row(value: dict[str, Any] | None, standard_names: Mapping[str, str]) -> _ObjectRow:
    if value is None:
        return _ObjectRow({PROBLEM: NOT_AN_OBJECT}, [])
    taken = set(standard_names.values())
    renamed = {
        standard_names.get(key, key): item
        for key, item in value.items()
        if key != PROBLEM and (key in standard_names or key not in taken)
    }
    captions: list[object] = []
    if any(isinstance(item, list) for item in renamed.values()):
        captions = _find_captions(renamed, "caption" in taken)
    texts = {str(i): text for i, text in enumerate(captions) if isinstance(text, str)}
    return _ObjectRow(stringify_scalars(renamed), [*stringify_scalars(texts).values()])


def _find_captions(value: dict[str, Any], is_named: bool) -> list[object]:
    """Return the list of captions in an object: `captions`, unless the manifest names another, or what else holds the caption."""
    captions = None if is_named else value.get("captions")
    if not isinstance(captions, list):
        captions = value.get(columns.match(value).get("caption", ""))
    return captions if isinstance(captions, list) else []


def _build_frame(rows: list[_ObjectRow], standard_names: Mapping[str, str]) -> pl.DataFrame:
    names = [*dict.fromkeys([PROBLEM, *standard_names.values(), *(name for row in rows for name in row.scalars)])]
    frame = build_string_columns([row.scalars for row in rows], names)
    if not any(row.captions for row in rows):
        return frame
    column = columns.match(name for name in names if name != "captions").get("caption", "captions")
    captions: list[list[Any]] = [row.captions or [row.scalars.get(column)] for row in rows]
    return frame.with_columns(pl.Series(column, captions, pl.List(pl.String)))


# -- locators


def standardise_table(table: pl.DataFrame, first: int, seen: set[str]) -> pl.DataFrame:
    """Return the standard columns of a frame of `read_table`, with `file` where there is one, and its images in `content_bytes`.

    Locators are row numbers from `first`, or img2dataset's keys. `seen` are the locators of the file so far.
    """
    table = decode_images(table)
    image = find_image_column(table.schema)
    frame = columns.standardise(table)
    frame = frame.with_columns(locator=pl.int_range(first, first + pl.len()).cast(pl.String).str.zfill(10))
    if image is None:
        return frame
    frame = frame.with_columns(unpack_content(table[image], "file"))
    if "status" in frame.columns:
        frame = frame.with_columns(
            problem=frame["problem"].zip_with(frame["problem"].is_not_null(), img2dataset.find_failures(frame))
        )
    if "key" in frame.columns:
        locators = make_all_printable(frame.select(pl.coalesce("key", "locator").alias("locator")).to_series())
        frame = frame.with_columns(make_distinct(locators, seen))
    return frame
