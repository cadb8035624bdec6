"""CC-100's wire format: plain text, an empty line between documents, no index. A locator is a byte offset in the uncompressed stream."""

from __future__ import annotations

from typing import ClassVar

from pipeline.sources.inputs import InputFile
from pipeline.sources.text.base import TextSource
from pipeline.sources.text.dividers import BLANK_LINES, Divider


class CC100Source(TextSource):
    """Documents with an empty line between them, as CC-100 has them."""

    name: ClassVar[str] = "cc100"
    divider: ClassVar[Divider] = BLANK_LINES

    def warn_of_one_document(self, file: InputFile, size: int) -> str:
        return f"{super().warn_of_one_document(file, size)}; in CC-100's format an empty line separates documents"
