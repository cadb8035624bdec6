"""Tables on disk as polars frames, and the command that shows a user the first rows of one.

polars takes a path for a pattern that stands for many: of `runs[1]/a.parquet` it reads `runs1/a.parquet`. Here a path is one file, whatever
is in its name. Nothing else in the project calls polars' readers with a path, which a test checks.
"""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow.parquet as pq

AnyPath = Path | str


def _make_plain(path: AnyPath) -> str:
    """Return a path as polars takes it for a file: absolute, since it reads `~` and `file:` at the beginning in its own way."""
    return os.path.abspath(path)


def read_parquet(path: AnyPath, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a Parquet file, or some of its columns."""
    wanted = None if columns is None else [*columns]
    try:
        return pl.read_parquet(_make_plain(path), columns=wanted, glob=False, hive_partitioning=False)
    except pl.exceptions.PolarsError as error:
        error.add_note(f"while reading {path}")  # which polars does not say
        raise


def scan_parquet(*paths: AnyPath, parallel: Literal["auto", "none"] = "auto", row_index: str | None = None) -> pl.LazyFrame:
    """Return Parquet files, one after the other, as a frame that is read when it is needed; `row_index` names a column of row numbers."""
    return pl.scan_parquet(
        [*map(_make_plain, paths)], glob=False, hive_partitioning=False, parallel=parallel, row_index_name=row_index
    )


def open_parquet(path: AnyPath) -> pq.ParquetFile:
    """Open a Parquet file whose pages are compared with their checksums, where it has any, as they are read. Polars does not do that."""
    return pq.ParquetFile(path, page_checksum_verification=True)


def read_checked_parquet(path: AnyPath, columns: Sequence[str]) -> pl.DataFrame:
    """Read some columns of a Parquet file whose pages are compared with their checksums: one that was published, and may lie there long."""
    with open_parquet(path) as file:
        return pl.DataFrame(pl.from_arrow(file.read(columns=[*columns])))


def read_parquet_schema(path: AnyPath) -> pl.Schema:
    """Read the names and types of the columns of a Parquet file."""
    return scan_parquet(path).collect_schema()


def read_arrow_file(path: AnyPath) -> pl.DataFrame:
    """Read an Arrow file."""
    return pl.scan_ipc(_make_plain(path), glob=False, hive_partitioning=False).collect()


def suggest_look(folder: AnyPath, names: str = "*.parquet", expression: str = "head()") -> str:
    """Return a command to paste that shows what `expression` makes of the files below `folder` that the pattern `names` stands for."""
    pattern = f"{glob.escape(str(folder))}/{names}"
    return suggest_python(f"import polars as pl; print(pl.scan_parquet({pattern!r}).{expression}.collect())")


def suggest_python(code: str) -> str:
    """Return a command to paste that runs `code`."""
    is_plain = not set('"$`\\!') & set(code)  # double quotes leave it as it is, and are easier to read around single ones
    return f'python -c "{code}"' if is_plain else f"python -c {shlex.quote(code)}"
