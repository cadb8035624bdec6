"""Plain text of which only a person knows what a document is: a line each, or a file each."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl

from pipeline.sources.base import Fields, Range
from pipeline.sources.inputs import InputFile
from pipeline.sources.rows import Rows
from pipeline.sources.text.base import TextSource
from pipeline.sources.text.dividers import LINES, WHOLE_FILES, Divider
from pipeline.sources.text.sniffing import CARRIAGE_RETURNS, HEAD_BYTES, LINE_SEPARATORS, Sniffed, sniff_format

_HTML_SUFFIXES = (".html", ".htm", ".xhtml")


class LinesSource(TextSource):
    """A document in every line; an empty line is none."""

    name: ClassVar[str] = "lines"
    label: ClassVar[str] = "text with a document in every line"
    divider: ClassVar[Divider] = LINES

    def accepts(self, sniffed: Sniffed, head: bytes) -> bool:
        return sniffed.is_plain_text or sniffed.label == "binary"  # bytes that are no text are a matter of single lines


class FilesSource(TextSource):
    """A document in every file: plain text, or an HTML page."""

    name: ClassVar[str] = "files"
    label: ClassVar[str] = "a file that is one document"
    divider: ClassVar[Divider] = WHOLE_FILES

    def accepts(self, sniffed: Sniffed, head: bytes) -> bool:
        return sniffed.name == self.name or sniffed.is_plain_text or sniffed in (CARRIAGE_RETURNS, LINE_SEPARATORS)

    def warn_of_one_document(self, file: InputFile, size: int) -> str | None:
        return None

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        rows = super().read(piece, file, body, fields)
        assert rows.text is not None
        is_html = file.url.split("?")[0].lower().endswith(_HTML_SUFFIXES) or _is_html(rows.text.data[:HEAD_BYTES].tobytes())
        media_type = pl.lit("text/html" if is_html else None, pl.String)
        return Rows(rows.frame.with_columns(media_type=media_type, charset=pl.lit(None, pl.String)), rows.text)


def _is_html(head: bytes) -> bool:
    return sniff_format(head).label == "HTML"
