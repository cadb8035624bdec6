"""Tables of recordings: Parquet and Arrow with the audio in them, TSV (Common Voice) and CSV under a header, lists without one."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import PROBLEM, distinct_names, list_names, rename_columns
from pipeline.sources.formats.csv import read_csv
from pipeline.sources.formats.features import find_content_column, unpack_content
from pipeline.sources.formats.lines import (
    explain_no_lines,
    peek_lines,
    peek_stored_lines,
    read_file_lines,
    skip_first_line,
    split_cells,
    split_frames,
)
from pipeline.sources.formats.parquet import read_parquet_or_arrow
from pipeline.sources.speech import columns, fleurs
from pipeline.sources.speech.id_lists import find_layout, read_id_list
from pipeline.sources.speech.transcript_lists import is_transcript_list, split_transcripts
from pipeline.sources.values import make_all_printable, make_distinct

BATCH = 20_000  # rows at a time
_BATCH_WITH_AUDIO = 64


def read_table(path: Path, complete: bool, named_columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """Yield the rows of a table in its order: standard columns, among them `id` and `path`, `PROBLEM`, and `content_bytes` of its audio.

    `named_columns` says what the table calls some of the standard ones. Raises InputError where it names no recordings.
    """
    standard_names = {name: standard for standard, name in named_columns.items()}
    tables = read_parquet_or_arrow(path, BATCH, _BATCH_WITH_AUDIO)
    if tables is None:
        yield from _read_text(path, complete, standard_names)
        return
    for table in tables:
        yield _standardise(rename_columns(table, standard_names))


def _read_text(path: Path, complete: bool, standard_names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    first_lines = peek_lines(path)
    if not first_lines:
        raise explain_no_lines(path, "a table, a manifest nor an archive of recordings")
    if is_csv(first_lines[0], standard_names):
        for table in read_csv(path, complete, columns.LONGEST_TRANSCRIPT, BATCH):
            yield _standardise(rename_columns(table, standard_names))
        return
    lines = read_file_lines(path, complete)
    header = distinct_names([cell.strip() for cell in first_lines[0].split("\t")])
    if is_transcript_list(first_lines) and not standard_names.keys() & set(header):
        for batch in split_frames(lines, BATCH):
            yield split_transcripts(batch, "\t").rename({"name": "path", "problem": PROBLEM})
        return
    if fleurs.is_fleurs(first_lines):
        for batch in split_frames(lines, BATCH):
            yield fleurs.read_lines(batch)
        return
    is_headed = bool(standard_names.keys() & set(header)) or "path" in columns.match(header)
    if not is_headed and _has_piped_header(first_lines[0], standard_names):
        piped = distinct_names([cell.strip() for cell in first_lines[0].split("|")])
        for batch in split_frames(skip_first_line(lines), BATCH):
            yield _standardise(rename_columns(split_cells(batch, piped, "|"), standard_names))
        return
    layout = None if is_headed else find_layout(first_lines)
    if layout is not None:
        for batch in split_frames(lines, BATCH):
            yield read_id_list(batch, layout)
        return
    for batch in split_frames(skip_first_line(lines), BATCH):
        yield _standardise(rename_columns(split_cells(batch, header), standard_names))


def is_csv(line: str, standard_names: Container[str] = ()) -> bool:
    """Return whether a first line is a header between commas that names recordings, by a standard name or one of the manifest's."""
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    is_header = "path" in columns.match(cells) or any(cell in standard_names for cell in cells)
    return "\t" not in line and len(cells) > 1 and is_header


def _has_piped_header(line: str, standard_names: Container[str]) -> bool:
    cells = [cell.strip() for cell in line.split("|")]
    return len(cells) > 1 and ("path" in columns.match(cells) or any(cell in standard_names for cell in cells))


def is_table(lines: list[str]) -> bool:
    """Return whether first lines are those of a list whose paths lead to recordings: under a header, or FLEURS's, or ReazonSpeech's."""
    if not lines:
        return False
    is_headed = "path" in columns.match(lines[0].split("\t")) and "\t" in lines[0]
    return (
        is_headed or is_csv(lines[0]) or _has_piped_header(lines[0], ()) or fleurs.is_fleurs(lines) or is_transcript_list(lines)
    )


def peek_path(path: Path) -> str | None:
    """Return the path in the first row of a list that has a header, or None."""
    lines = peek_stored_lines(path)
    for separator in ("\t", "|", ","):
        cells = [cell.strip().strip('"') for cell in lines[0].split(separator)] if lines else []
        name = columns.match(cells).get("path")
        if name is not None and len(lines) > 1 and len(row := lines[1].split(separator)) > cells.index(name):
            return row[cells.index(name)].strip().strip('"')
    return None


def _standardise(table: pl.DataFrame) -> pl.DataFrame:
    """Return the standard columns of a table, and the audio in it. Raises InputError where it has neither audio nor paths."""
    audio = find_content_column(table.schema, columns.AUDIO_COLUMNS, any_binary=False)
    frame = columns.standardise(table)
    if audio is not None:
        frame = frame.drop("start", "end", "path", strict=False)  # of what the audio in the row was cut from
        return frame.with_columns(unpack_content(table[audio], "path"))
    if "path" not in frame.columns:
        raise InputError(
            "has no column that Seimai knows: neither audio nor path, file_name or audio_filepath. "
            f"Its columns: {list_names(table) or 'none'}. Say which it is: --set source.columns.path=NAME (or .audio)"
        )
    return frame


def add_locators(frame: pl.DataFrame, first: int, seen: set[str]) -> pl.DataFrame:
    """Return `frame` with locators: the id, else the path, else (where the table holds the audio) the row number from `first` on.

    `seen` are the locators of the file so far.
    """
    names = [name for name in ("id", *(() if "content_bytes" in frame.columns else ("path",))) if name in frame.columns]
    number = pl.int_range(first, first + pl.len()).cast(pl.String).str.zfill(10)
    locators = frame.select(locator=pl.coalesce(*(pl.when(pl.col(name) != "").then(name) for name in names), number))
    return frame.with_columns(make_distinct(make_all_printable(locators.to_series()), seen))
