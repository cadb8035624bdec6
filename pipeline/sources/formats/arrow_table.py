"""An Arrow file or stream as a table of which any run of rows can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError
from pipeline.sources.formats.arrow import DAMAGED
from pipeline.sources.formats.table_files import Group, TableFile, first_line, refuse_no_ranges, strings_to_bytes
from pipeline.sources.inputs import is_url


class ArrowTable(TableFile):
    label = "Arrow file"

    def _load(self) -> pa.Schema:
        self._rows: list[int] = []  # of each record batch that has been met
        try:
            with self._batches() as (schema, _):
                return schema
        except DAMAGED as error:
            refuse_no_ranges(self.file.url, error)
            raise InputError(f"is not a whole Arrow file ({first_line(error)})") from None

    def groups(self, text: str) -> tuple[list[Group], str | None]:
        groups: list[Group] = []
        try:
            with self._batches([text]) as (_, batches):
                for _, batch in batches:
                    groups.append(Group(len(batch), batch.nbytes))
        except DAMAGED as error:
            return groups, f"is not a whole Arrow file ({first_line(error)}): {sum(g.rows for g in groups):,} rows can be read"
        return groups, None

    def _read(self, start: int, count: int, columns: Sequence[str]) -> pl.DataFrame:
        frames = []
        with self._batches(columns, start) as (_, batches):
            for reached, batch in batches:
                first, last = max(start - reached, 0), min(start + count - reached, len(batch))
                if first < last:
                    frames.append(strings_to_bytes(pa.Table.from_batches([batch.slice(first, last - first)])))
                if reached + len(batch) >= start + count:
                    break
        return pl.concat(frames).select(columns) if frames else pl.DataFrame()

    @contextmanager
    def _batches(
        self, columns: Sequence[str] = (), start: int = 0
    ) -> Iterator[tuple[pa.Schema, Iterator[tuple[int, pa.RecordBatch]]]]:
        """Yield the schema, and the record batches with the number of their first row; a file's may begin at the one with row `start`.

        Nothing of a local file is copied but what is compressed.
        """
        with self.open() as opened:
            is_file = opened.read(6) == b"ARROW1"
            opened.seek(0)
            if is_file:
                schema = pa.ipc.open_file(opened).schema
                options = pa.ipc.IpcReadOptions(
                    included_fields=[schema.get_field_index(name) for name in columns], use_threads=False
                )
                opened.seek(0)
                reader = pa.ipc.open_file(opened, options=options)
                yield schema, self._walk_file(reader, start)
                return
            if is_url(self.file.url):
                raise InputError(
                    "is an Arrow stream, which is read from its beginning only: download it, or convert it to Parquet"
                )
            stream = pa.ipc.open_stream(opened)
            yield stream.schema, _number_rows(batch.select([*columns]) for batch in stream)

    def _walk_file(self, reader: pa.RecordBatchFileReader, start: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        reached = 0
        for number in range(reader.num_record_batches):
            if number < len(self._rows) and reached + self._rows[number] <= start:
                reached += self._rows[number]
                continue
            batch = reader.get_batch(number)
            if number == len(self._rows):
                self._rows.append(len(batch))
            yield reached, batch
            reached += len(batch)


def _number_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield batches with the number of their first row."""
    reached = 0
    for batch in batches:
        yield reached, batch
        reached += len(batch)
