"""The shards of one split, read by row group."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.core.errors import InputError, UsageError
from pipeline.core.identity import identify_shards
from pipeline.core.publication import settle_publication
from pipeline.core.storage import fingerprint
from pipeline.core.tables import open_parquet
from trainers.data.arrow_rows import ArrowRows


class RowGroup(NamedTuple):
    """A row group, whose columns may lie in several files."""

    paths: list[Path]  # the shard, then the files with derived columns
    number: int  # within each file
    rows: int


class Shards:
    """Read some columns of the shards of one split.

    `derived`: folders whose files have the names, row groups and rows of the shards, and further columns. `optional`: columns that
    are read if every shard has them. Raises UsageError, which ends with `hint`, if there are no shards, or one lacks a column.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        columns: Sequence[str],
        hint: str,
        derived: Sequence[Path] = (),
        optional: Sequence[str] = (),
    ) -> None:
        files = sorted(data_folder(folder).glob(f"{split}-*.parquet"))
        if not files:
            raise UsageError(f"there are no {split} shards in {folder}: {hint}")
        self.split = split
        self.row_groups: list[RowGroup] = []
        self._stamps: dict[Path, tuple[int, int]] = {}
        extra = set(optional)
        sizes: list[int] = []
        for file in files:
            paths = [file, *(place / file.name for place in derived)]
            footers = [_read_footer(path, hint) for path in paths]
            self._stamps |= {path: _stamp(path) for path in paths}
            names = {name for schema, _ in footers for name in schema.names}
            if missing := [column for column in columns if column not in names]:
                raise UsageError(f"{file} has no column {missing[0]!r}: {hint}")
            extra &= names
            rows = [[metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] for _, metadata in footers]
            if any(other != rows[0] for other in rows):
                raise UsageError(f"{paths[-1]} does not have the rows of {file}: make it anew")
            self.row_groups += [RowGroup(paths, i, number) for i, number in enumerate(rows[0])]
            metadata = footers[0][1]
            sizes += [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        self.columns = [*columns, *sorted(extra)]
        self.rows = np.array([group.rows for group in self.row_groups], np.int64)  # of each row group
        self.bytes = np.array(sizes, np.int64)
        self.total = int(self.rows.sum())
        if not self.total:
            raise UsageError(f"the {split} shards in {folder} hold no record: {hint}")
        self.fingerprint = fingerprint([file.name for file in files], self.rows.tolist(), self.bytes.tolist())

    @property
    def files(self) -> list[Path]:
        """The shards themselves, in order."""
        return list(dict.fromkeys(group.paths[0] for group in self.row_groups))

    @cached_property
    def identity(self) -> str:
        """What changes when the content of the shards does. `fingerprint`, which earlier checkpoints have, knows their sizes alone."""
        return identify_shards(self.files)

    def read(self, numbers: Sequence[int]) -> ArrowRows:
        """Read row groups, one after the other. Raises InputError."""
        table = pa.concat_tables([self._read_group(self.row_groups[n]) for n in numbers], promote_options="permissive")
        return ArrowRows(table.combine_chunks())

    def _read_group(self, group: RowGroup) -> pa.Table:
        columns: dict[str, pa.ChunkedArray] = {}
        for path in group.paths:
            try:
                if _stamp(path) != self._stamps[path]:
                    raise InputError(f"{path} was replaced while it was read, by another build: begin anew with its shards")
                with open_parquet(path) as file:
                    wanted = [column for column in self.columns if column in file.schema_arrow.names]
                    table = file.read_row_group(group.number, wanted, use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"row group {group.number} of {path} cannot be read: {error}") from None
            columns |= dict(zip(table.column_names, table.columns, strict=True))
        return pa.table({name: columns[name] for name in self.columns})


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file is replaced: its size and time of change."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def data_folder(corpus: Path) -> Path:
    """Return the folder of a corpus that holds its shards: `data`, or the corpus itself."""
    settle_publication(corpus)
    return corpus / "data" if (corpus / "data").is_dir() else corpus


def open_all_splits(corpus: Path, columns: Sequence[str], hint: str) -> list[Shards]:
    """Open the shards of every split. A corpus without shards is asked for `train`, whose error says what is missing."""
    splits = sorted({path.name.split("-")[0] for path in data_folder(corpus).glob("*-*-of-*.parquet")}) or ["train"]
    return [Shards(corpus, split, columns, hint) for split in splits]


def _read_footer(path: Path, hint: str) -> tuple[pa.Schema, Any]:
    try:
        with open_parquet(path) as file:
            return file.schema_arrow, file.metadata
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: {hint}") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a complete Parquet file ({str(error).rstrip('.')}): {hint}") from None
