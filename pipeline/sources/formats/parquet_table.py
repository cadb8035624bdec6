"""A Parquet file as a table of which any run of rows can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputError
from pipeline.core.tables import scan_parquet
from pipeline.sources.formats.arrow import DAMAGED
from pipeline.sources.formats.table_files import Group, TableFile, first_line, strings_to_bytes, try_again
from pipeline.sources.inputs import is_url


class ParquetTable(TableFile):
    label = "Parquet file"

    def _load(self) -> pa.Schema:
        def load() -> Any:
            with self.open() as opened:
                return pq.read_metadata(opened)

        try:
            self.metadata = try_again(self.file.url, load)
            return self.metadata.schema.to_arrow_schema()
        except DAMAGED as error:
            raise InputError(f"is not a whole Parquet file ({first_line(error)})") from None

    def groups(self, text: str) -> tuple[list[Group], str | None]:
        stored = self.metadata.schema
        counted = [i for i in range(len(stored)) if stored.column(i).path.split(".")[0] == text]
        groups = []
        for number in range(self.metadata.num_row_groups):
            group = self.metadata.row_group(number)
            groups.append(Group(group.num_rows, sum(group.column(i).total_uncompressed_size for i in counted)))
        return groups, None

    def _read(self, start: int, count: int, columns: Sequence[str]) -> pl.DataFrame:
        if not is_url(self.file.url):
            try:
                # polars passes over the pages before `start`, where pyarrow decodes them.
                return scan_parquet(self.file.url, parallel="none").slice(start, count).select(columns).collect()
            except DAMAGED:
                pass  # a string that is not UTF-8, for one
        return try_again(self.file.url, lambda: self._read_bytes(start, count, columns))

    def _read_bytes(self, start: int, count: int, columns: Sequence[str]) -> pl.DataFrame:
        frames, reached = [], 0
        with self.open() as opened:
            file = pq.ParquetFile(opened, metadata=self.metadata, pre_buffer=True, page_checksum_verification=True)
            for number in range(file.num_row_groups):
                rows = self.metadata.row_group(number).num_rows
                first, last = max(start - reached, 0), min(start + count - reached, rows)
                if first < last:
                    table = file.read_row_group(number, columns=[*columns], use_threads=False).slice(first, last - first)
                    frames.append(strings_to_bytes(table))
                reached += rows
        return pl.concat(frames).select(columns)
