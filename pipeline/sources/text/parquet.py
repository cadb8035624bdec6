"""Documents in Parquet: Wikipedia as Hugging Face has it, FineWeb, or anybody's table with a column of text."""

from __future__ import annotations

from typing import ClassVar

from pipeline.sources.formats.parquet_table import ParquetTable
from pipeline.sources.formats.table_files import TableFile
from pipeline.sources.text.tables import TableSource


class ParquetSource(TableSource):
    """Rows of Parquet files."""

    name: ClassVar[str] = "parquet"
    label: ClassVar[str] = "Parquet"
    table: ClassVar[type[TableFile]] = ParquetTable
