"""Read texts: from the shards of a corpus that Seimai built, any Parquet, JSON lines or plain text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputError, UsageError
from pipeline.core.publication import settle_publication
from pipeline.core.tables import open_parquet

COLUMNS = ("text", "caption", "transcript")  # of documents, of image-text pairs, of recordings
_BATCH = 1024
_KINDS = "a corpus that Seimai built, a folder of Parquet files, or a .parquet, .jsonl or .txt file"


@dataclass(frozen=True)
class Texts:
    """Files with a column of text, in order. `column` is None for plain text, where a line is a text."""

    files: tuple[Path, ...]
    column: str | None

    @staticmethod
    def find(path: Path, split: str | None = None, column: str | None = None) -> Texts:
        """Find the texts under `path`; of a corpus only those of `split`, where it is given.

        Raises UsageError where there are none, or no such column.
        """
        if path.is_dir():
            settle_publication(path)
            folder = path / "data" if (path / "data").is_dir() else path
            files = sorted(folder.glob(f"{split}-*.parquet" if split else "*.parquet"))
            if not files:
                of = f" of the split {split!r}" if split else ""
                raise UsageError(f"there are no Parquet files{of} in {folder}: expected {_KINDS}")
        elif path.is_file():
            files = [path]
        else:
            raise UsageError(f"{path} does not exist: expected {_KINDS}")
        if files[0].suffix == ".parquet":
            return Texts(tuple(files), _find_column(files[0], column))
        if files[0].suffixes[-1:] == [".txt"]:
            return Texts(tuple(files), None)
        if ".jsonl" in files[0].suffixes:
            return Texts(tuple(files), column or "text")
        raise UsageError(f"{path}: of what kind are its texts? Expected {_KINDS}")

    @property
    def bytes(self) -> int:
        """About how many bytes of text there are: the uncompressed column, or the size of a file that is not Parquet."""
        if self.files[0].suffix != ".parquet":
            return sum(file.stat().st_size for file in self.files)
        return sum(group.bytes for file in self.files for group in read_row_groups(file, str(self.column)))

    @property
    def identity(self) -> list[Any]:
        """What changes when a file is replaced: names, sizes and times of change."""
        return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in self.files]

    def batches(self) -> Iterator[pl.Series]:
        """Yield the texts in order, some at a time, without nulls."""
        for file in self.files:
            try:
                yield from self._batches(file)
            except (pa.ArrowException, pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
                raise InputError(f"{file} cannot be read: {error}") from None

    def _batches(self, file: Path) -> Iterator[pl.Series]:
        if file.suffix == ".parquet":
            with open_parquet(file) as parquet:
                if self.column not in parquet.schema_arrow.names:
                    raise UsageError(f"{file} has no column {self.column!r}, which the files before it have")
                for batch in parquet.iter_batches(_BATCH, columns=[self.column]):
                    yield to_strings(batch.column(0), file, str(self.column)).drop_nulls()
        elif self.column is None:
            with open(file, encoding="utf-8", newline="\n") as lines:
                pending: list[str] = []
                for line in lines:
                    pending.append(line.removesuffix("\n"))
                    if len(pending) == _BATCH:
                        yield pl.Series(pending, dtype=pl.String)
                        pending = []
                if pending:
                    yield pl.Series(pending, dtype=pl.String)
        else:
            # With a schema, since polars infers one from the first lines only.
            with open(file, "rb") as lines:  # polars would take a path for a pattern
                frame = pl.read_ndjson(lines, schema={self.column: pl.String})
            if frame[self.column].null_count() == len(frame):
                raise UsageError(f"{file}: no line has a string under the key {self.column!r}. Name another with --column")
            yield frame[self.column].drop_nulls()


def to_strings(column: pa.Array | pa.ChunkedArray, file: Path, name: str) -> pl.Series:
    """Convert a column of a Parquet file to strings and check it: files may hold any bytes where they promise text.

    Raises UsageError where it is of another type, InputError where it is not valid UTF-8.
    """
    _check_text_type(column.type, file, name)
    try:
        column.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise InputError(f"{file}: the column {name!r} is not valid UTF-8 ({error})") from None
    return pl.Series(pl.from_arrow(column)).cast(pl.String)


def _check_text_type(kind: pa.DataType, file: Path, name: str) -> None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(check(kind) for check in checks):
        raise UsageError(f"{file}: the column {name!r} holds no text but {kind}; name another with --column")


def _find_column(file: Path, column: str | None) -> str:
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    names = schema.names
    name = next((name for name in ([column] if column else COLUMNS) if name in names), None)
    if name is None:
        wanted = repr(column) if column else " or ".join(COLUMNS)
        raise UsageError(f"{file} has no column {wanted}; its columns: {', '.join(names)}. Name one with --column")
    _check_text_type(schema.field(name).type, file, name)
    return name


def check_column(file: Path, column: str) -> None:
    """Raise UsageError where a Parquet file has no column of that name."""
    try:
        names = pq.read_schema(file).names
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    if column not in names:
        raise UsageError(f"{file} has no column {column!r}, which the files before it have")


class RowGroup(NamedTuple):
    rows: int
    bytes: int  # of a column, uncompressed


def read_row_groups(file: Path, column: str) -> list[RowGroup]:
    """Read the sizes of the row groups of a Parquet file."""
    try:
        metadata = pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    groups = []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        chunks = (group.column(c) for c in range(group.num_columns))
        size = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema == column)
        groups.append(RowGroup(group.num_rows, size))
    return groups
