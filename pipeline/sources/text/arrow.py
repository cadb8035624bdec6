"""Documents in Arrow: the files and streams that `datasets` saves, and whatever else writes them."""

from __future__ import annotations

from typing import ClassVar

from pipeline.sources.formats.arrow_table import ArrowTable
from pipeline.sources.formats.table_files import TableFile
from pipeline.sources.text.tables import TableSource


class ArrowSource(TableSource):
    """Rows of Arrow files and streams."""

    name: ClassVar[str] = "arrow"
    label: ClassVar[str] = "Arrow"
    table: ClassVar[type[TableFile]] = ArrowTable
