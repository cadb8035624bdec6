"""CC-100's wire format: plain text, an empty line between documents, no index. A locator is a byte offset in the uncompressed stream."""

from __future__ import annotations

from typing import ClassVar

from pipeline.sources.inputs import InputFile
from pipeline.sources.text.base import TextSource
from pipeline.sources.text.dividers import BLANK_LINES, Divider
from pipeline.sources.text.sniffing import Sniffed


class CC100Source(TextSource):
    """Documents with an empty line between them, as CC-100 has them."""

    name: ClassVar[str] = "cc100"
    label: ClassVar[str] = "text with empty lines between documents"
    divider: ClassVar[Divider] = BLANK_LINES

    def accepts(self, sniffed: Sniffed, head: bytes) -> bool:
        # Bytes that are no text are a matter of single documents here.
        return sniffed.name == self.name or sniffed.is_plain_text or sniffed.label == "binary"

    def warn_of_one_document(self, file: InputFile, size: int) -> str:
        return f"{super().warn_of_one_document(file, size)}; in CC-100's format an empty line separates documents"
