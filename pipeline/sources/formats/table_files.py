"""Parquet and Arrow files as ranges of rows, each read where it lies: on a disk, or through fsspec.

Only the wanted columns are read. A table says how many rows its groups (row groups, record batches) have and how large the text in them
is, and returns any run of rows; what of it is damaged is found out a thousand rows at a time.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.errors import BuildError, ChangedInputError, InputError
from pipeline.sources.formats.arrow import DAMAGED, is_readable, storage_type, to_polars
from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.inputs import InputFile, is_url, make_change_error, open_remote

_RETRIES = 6  # as for streams: half a minute of a server being away
_FEWEST = 1000  # rows that are given up together where something in them is damaged

T = TypeVar("T")


class Group(NamedTuple):
    """A run of rows that a file stores together, and the bytes of the text in them (roughly, and before compression)."""

    rows: int
    size: int


class TableFile(ABC):
    """A table in a file. Raises InputError, whose message goes on from the file's name, where the file cannot be read at all."""

    label: str

    def __init__(self, file: InputFile) -> None:
        self.file = file
        self.schema = self._load()

    @abstractmethod
    def _load(self) -> pa.Schema: ...

    @abstractmethod
    def groups(self, text: str) -> tuple[list[Group], str | None]:
        """Return the groups of rows in their order, and what is wrong with the file beyond the last; `text` is the column that counts."""

    @abstractmethod
    def _read(self, start: int, count: int, columns: Sequence[str]) -> pl.DataFrame: ...

    def read(self, start: int, count: int, columns: Sequence[str]) -> pl.DataFrame:
        """Return `count` rows of the wanted columns, from row `start`, and `PROBLEM`: rows that cannot be read are null.

        Strings may come as bytes, since what a file calls a string need not be UTF-8.
        """
        try:
            frame = self._read(start, count, columns)
            if len(frame) != count:
                raise InputError(f"has {len(frame):,} rows where it should have {count:,}")
            return frame.with_columns(pl.lit(None, pl.String).alias(PROBLEM))
        except (*DAMAGED, InputError) as error:
            self._refuse_changed()
            if count <= _FEWEST:
                problem = f"the {self.label} is damaged in rows {start:,} to {start + count - 1:,} ({first_line(error)})"
                nulls = [pl.Series(name, [None] * count) for name in columns]
                return pl.DataFrame([*nulls, pl.Series(PROBLEM, [problem] * count)])
        half = count // 2
        first, second = self.read(start, half, columns), self.read(start + half, count - half, columns)
        return pl.concat([_as_bytes(first), _as_bytes(second)], how="vertical_relaxed")

    def _refuse_changed(self) -> None:
        """Raise where the file is gone, or a server does not answer: what was read then says nothing about damage."""
        with self.open() as opened:
            opened.read(1)

    @contextmanager
    def open(self) -> Iterator[pa.NativeFile]:
        """Yield the file as stored, for reading in any order. Raises BuildError where it is not what it was when the build began."""
        file = self.file
        if not is_url(file.url):
            try:
                opened: Any = pa.memory_map(file.url)
            except FileNotFoundError:
                raise ChangedInputError(
                    f"{file.url} is gone since the build began: put it back and run the same command again"
                ) from None
            except OSError as error:
                raise InputError(f"cannot be opened ({first_line(error)})") from None
            size = opened.size()
        else:
            remote = try_again(file.url, lambda: _open_remote(file))
            size = getattr(remote, "size", None)
            opened = pa.PythonFile(remote, mode="r")
        with opened:
            if file.size is not None and size is not None and size != file.size:
                raise make_change_error(file, f"from {file.size:,} to {size:,} bytes")
            yield opened


def holds_text(kind: pa.DataType) -> bool:
    """Return whether the values of a column are strings, or bytes that may be."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def holds_scalars(kind: pa.DataType) -> bool:
    """Return whether the values of a column can be metadata, which is strings: neither lists nor structs, nor spans of time."""
    return not pa.types.is_nested(storage_type(kind)) and fits_type(kind, pl.String())


def fits_type(kind: pa.DataType, wanted: pl.DataType) -> bool:
    """Return whether a column of Arrow's type `kind` can be kept as the type `wanted`, single values aside. Nested ones become JSON."""
    kind = storage_type(kind)
    if not is_readable(kind) or pa.types.is_duration(kind):
        return False
    if pa.types.is_nested(kind):
        return wanted == pl.String and _is_like_json(kind)
    if pa.types.is_temporal(kind):
        return wanted == pl.String and _has_known_zone(kind)
    return True


def _is_like_json(kind: pa.DataType) -> bool:
    """Return whether the values of a nested column are what JSON has: strings, numbers, booleans, lists and objects of them."""
    if pa.types.is_nested(kind):
        return all(_is_like_json(kind.field(i).type) for i in range(kind.num_fields))
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
        pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _has_known_zone(kind: pa.DataType) -> bool:
    try:
        pl.from_arrow(pa.array([], kind))
    except DAMAGED:
        return False
    return True


def strings_to_bytes(table: pa.Table) -> pl.DataFrame:
    """Return a table whose strings are bytes: polars trusts that strings are UTF-8, which a file only claims."""
    columns = [_columnstrings_to_bytes(column) for column in table.columns]
    return to_polars(pa.table(columns, table.schema.names), table.schema.names, {*table.schema.names})


def _columnstrings_to_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)
    if pa.types.is_timestamp(column.type) and column.type.unit == "s":
        return _bound_seconds(column)
    if pa.types.is_string_view(column.type):
        return column.cast(pa.binary_view())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.cast(pa.large_binary())
    return column


def _bound_seconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return seconds so that polars, which makes milliseconds of them, does not wrap around: they stay far beyond any calendar."""
    most = pa.scalar(1 << 53, pa.int64())
    seconds = pc.min_element_wise(column.cast(pa.int64()), most, skip_nulls=False)
    return pc.max_element_wise(seconds, pc.negate(most), skip_nulls=False).cast(column.type)


def _as_bytes(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.String).exclude(PROBLEM).cast(pl.Binary))


def _open_remote(file: InputFile) -> Any:
    opened = open_remote(file, cache_type="none")
    try:
        opened.seek(1)  # without a request; a file of a server without ranges can only be read from its beginning
        opened.seek(0)
    except (ValueError, OSError):
        raise _no_ranges(file.url) from None
    return opened


def refuse_no_ranges(url: str, error: Exception) -> None:
    """Raise BuildError where `error` is fsspec's about a server that sent a whole file for a part of it."""
    if isinstance(error, ValueError) and re.search("range requests|more bytes so far|seek streaming", str(error)):
        raise _no_ranges(url) from None


def _no_ranges(url: str) -> BuildError:
    return BuildError(f"{url}: the server does not serve ranges, which a table needs: download the file first")


def try_again(url: str, read: Callable[[], T]) -> T:
    """Return what `read` returns; over a network it is tried again where it fails."""
    for attempt in range(_RETRIES + 1):
        try:
            return read()
        except BuildError:
            raise
        except (pa.ArrowInvalid, pl.exceptions.PolarsError):
            raise  # damage, which stays
        except Exception as error:
            if not is_url(url):
                raise
            refuse_no_ranges(url, error)
            if attempt == _RETRIES:
                raise BuildError(
                    f"{url}: reading failed {_RETRIES + 1} times ({type(error).__name__}: {first_line(error)}). "
                    "Run the same command again to go on."
                ) from None
            time.sleep(0.5 * 2**attempt)
    raise AssertionError


def first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
