"""What a manifest of documents can say."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from filters import MEASURES
from filters.registry import Kind
from pipeline.dedup.settings import MinHashTable
from pipeline.manifest.model import Clean, Manifest, Shards

# Measured only where a rule or `measure.also` asks for them: those cost a tenth of the measure step, these are of Wikipedia alone.
ON_REQUEST = (*(f"duplicate_{n}gram_share" for n in (6, 7, 8, 9)), "page_kind", "page_markup_share")


class CleanText(Clean):
    """How documents are cleaned."""

    html: Literal["auto", "always", "never"] = Field(
        "auto",
        description="take the main text out of HTML: where the source says that it is HTML, always (JSON lines of pages), or never",
    )
    wikipedia: Literal["auto", "always", "never"] = Field(
        "auto",
        description="make text of Wikipedia's pages, without templates, references, 関連項目 and marks such as [1]: of those in its "
        "dumps, of all documents (as in Parquet from Hugging Face), or of none",
    )
    boilerplate: bool = Field(True, description="drop short lines that hold a phrase of the list boilerplate")
    boilerplate_line_chars: int = Field(60, ge=1, description="longest line, in characters, taken for boilerplate")


class TextShards(Shards):
    """Shards of documents."""

    row_group: int = Field(1024, ge=1, description="documents per row group")


class TextManifest(Manifest):
    """A corpus of documents."""

    modality: ClassVar[str] = "text"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "document", "page")
    clean: CleanText = CleanText()
    deduplicate: MinHashTable = MinHashTable()
    shards: TextShards = TextShards()

    @classmethod
    def measures_by_default(cls, name: str) -> bool:
        return MEASURES[name].kind in cls.kinds and name not in ON_REQUEST
