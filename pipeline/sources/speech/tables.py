"""Tables of recordings: Parquet and Arrow with the audio in them, TSV (Common Voice) and CSV under a header, lists without one."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats import columnar
from pipeline.sources.formats import csv as commas
from pipeline.sources.formats.columnar import PROBLEM, called, distinct_names
from pipeline.sources.speech import rows
from pipeline.sources.speech.lines import beginning, is_list, lines_of, split
from pipeline.sources.values import all_printable, distinct

BATCH = 20_000  # rows at a time
_BATCH_WITH_AUDIO = 64
_COMMON = ("validated.tsv", "train.tsv", "dev.tsv", "test.tsv")
_AUDIO = {"audio", "speech", "recording", "wav", "flac", "mp3", "ogg", "opus", "bytes"}


def audio_column(schema: Mapping[str, pl.DataType]) -> str | None:
    """The column that holds encoded audio: the struct of bytes and path of Hugging Face's Audio feature, or binary."""
    structs = [n for n, kind in schema.items() if isinstance(kind, pl.Struct) and "bytes" in dict(kind)]
    binaries = [n for n, kind in schema.items() if kind == pl.Binary]
    named = [name for name in structs + binaries if name.lower() in _AUDIO]
    return next(iter(named or structs), None)


def frames(path: Path, head: bytes, whole: bool, columns: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """The rows of a table in its order: standard columns, `id` and `path` among them, `PROBLEM`, and `blob` where it holds audio.

    `columns` says what it calls some of the standard ones. Raises InputError where it names no recordings.
    """
    theirs = {value: name for name, value in columns.items()}
    if columnar.is_parquet(head):
        found = columnar.parquet(path, BATCH, _BATCH_WITH_AUDIO)
    elif columnar.is_arrow(head):
        found = columnar.arrow(path, _BATCH_WITH_AUDIO)
    else:
        yield from _text(path, whole, theirs)
        return
    for table in found:
        yield _standard(called(table, theirs) if theirs else table)


def _standard(table: pl.DataFrame) -> pl.DataFrame:
    audio = audio_column(table.schema)
    frame = rows.renamed(table)
    if audio is None:
        return _named(frame, table)
    column = table[audio]
    frame = frame.drop("start", "end", "path", strict=False)  # of what the audio in the row was cut from
    if column.dtype == pl.Binary:
        frame = frame.with_columns(blob=column)
    else:
        frame = frame.with_columns(blob=column.struct.field("bytes").cast(pl.Binary))
        if "path" in column.struct.fields:
            frame = frame.with_columns(path=column.struct.field("path").cast(pl.String))
    return frame.with_columns(table[PROBLEM]) if PROBLEM in table.columns else frame


def _named(frame: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    if "path" not in frame.columns:
        names = [repr(name) for name in table.columns if name != PROBLEM][:20]
        raise InputError(
            "has no column that Seimai knows: neither audio nor path, file_name or audio_filepath. "
            f"Its columns: {', '.join(names) or 'none'}. Say which it is: --set source.columns.path=NAME (or .audio)"
        )
    return frame.with_columns(table[PROBLEM]) if PROBLEM in table.columns else frame


def _text(path: Path, whole: bool, theirs: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    head = beginning(path)
    if not head:
        with open(path, "rb") as file:
            if not file.read(1 << 16).strip():
                raise InputError("is empty")
        raise InputError("is neither a table, a manifest nor an archive of recordings: its first line is binary")
    if is_csv(head[0], theirs):
        for table in commas.frames(path, whole, rows.LONGEST, BATCH):
            yield _standard(called(table, theirs) if theirs else table)
        return
    header = distinct_names([cell.strip() for cell in head[0].split("\t")])
    if is_list(head) and not set(theirs) & set(header):
        for frame in lines_of(path, whole):
            for at in range(0, len(frame), BATCH):
                yield split(frame[at : at + BATCH], "\t").rename({"name": "path", "problem": PROBLEM})
        return
    titled = True
    for frame in lines_of(path, whole):
        frame, titled = frame[titled:], False
        for at in range(0, max(len(frame), 1), BATCH):
            table = _separated(frame[at : at + BATCH], header)
            yield _standard(called(table, theirs) if theirs else table)


def is_csv(line: str, theirs: Container[str] = ()) -> bool:
    """Whether a first line is a header between commas that names recordings; `theirs` are names that a manifest gives."""
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    return "\t" not in line and len(cells) > 1 and ("path" in rows.matched(cells) or any(cell in theirs for cell in cells))


def common_lists(names: Container[str]) -> list[str]:
    """Which of the lists of a Common Voice folder are read: validated.tsv, else train, dev and test."""
    whole, *splits = _COMMON
    return [whole] if whole in names else [name for name in splits if name in names]


def _separated(frame: pl.DataFrame, header: list[str]) -> pl.DataFrame:
    """Cells between tabs. Quotes are what somebody said."""
    cells, count = pl.col("cells"), pl.col("cells").list.len()
    wrong = pl.when(count != len(header)).then(pl.format(f"the line has {{}} fields instead of {len(header)}", count))
    return frame.with_columns(cells=pl.col("line").str.split("\t")).select(
        *(cells.list.get(i, null_on_oob=True).alias(name) for i, name in enumerate(header)),
        pl.coalesce("problem", wrong).alias(PROBLEM),
    )


def located(frame: pl.DataFrame, first: int, seen: set[str]) -> pl.DataFrame:
    """`frame` with locators: the id, else the path, else (where the table holds the audio) the row number from `first` on."""
    names = [name for name in ("id", *(() if "blob" in frame.columns else ("path",))) if name in frame.columns]
    number = pl.int_range(first, first + pl.len()).cast(pl.String).str.zfill(10)
    locators = all_printable(frame.select(pl.coalesce(*(pl.when(pl.col(n) != "").then(n) for n in names), number)).to_series())
    return frame.with_columns(distinct(locators.alias("locator"), seen))
