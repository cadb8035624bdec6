"""What a manifest of documents can say."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from filters import MEASURES
from filters.published import gopher, hojichar
from filters.published.words import SUDACHI_MODULES
from filters.registry import Kind
from filters.unidic import UNIDIC_MODULES
from pipeline.core.errors import UsageError
from pipeline.core.libraries import require_modules
from pipeline.dedup.furniture import RecurringLines
from pipeline.dedup.settings import MinHashTable
from pipeline.manifest.model import Clean, Manifest, Shards
from pipeline.manifest.steps import BelongsTo
from pipeline.modalities.text.quality import QualityTable
from pipeline.modalities.text.urls import UrlTable
from pipeline.sources import SOURCES

# Measured only where a rule or `measure.also` asks for them: the first cost a tenth of the measure step, two are of Wikipedia alone, one
# needs URLs.
ON_REQUEST = (*(f"duplicate_{n}gram_share" for n in (6, 7, 8, 9)), "page_kind", "page_markup_share", "url_list")


class CleanText(Clean):
    """How documents are cleaned."""

    width: Literal["letters", "keep", "fold"] = Field(
        "letters",
        description="Ａ １ ｶﾅ to A 1 カナ but where a document speaks of widths (letters), never (keep), or with all signs, dashes and "
        "U+3000 (fold)",
    )
    html: Literal["auto", "always", "never"] = Field(
        "auto",
        description="take the main text out of HTML: where the source says that it is HTML, always (JSON lines of pages), or never",
    )
    wikipedia: Literal["auto", "always", "never"] = Field(
        "auto",
        description="make text of Wikipedia's pages, without templates, references, 関連項目 and marks such as [1]: of those in its "
        "dumps, of all documents (as in Parquet from Hugging Face), or of none",
    )
    boilerplate: bool = Field(True, description="drop lines that are entries of the list boilerplate, or widgets in company")
    boilerplate_line_chars: int = Field(
        60, ge=1, le=1_000_000, description="longest line, in characters, taken for boilerplate"
    )


class DocumentDuplicates(MinHashTable):
    """Exact and near duplicates of documents, and how many may be of one domain."""

    content: bool = Field(
        True,
        description="keep similar documents that are one frame around other facts (numbers, names): pages of one template, "
        "forms, laws; see docs/measures.md",
    )

    # The step measure hashes domains where they are needed.
    same_domain: Annotated[int | None, BelongsTo("measure", lambda most: most is not None), BelongsTo("deduplicate")] = Field(
        None,
        ge=1,
        description="documents of one registered domain that are kept, the best by quality, then length (name.hatenablog.com "
        "is a domain of its own)",
    )

    @property
    def compares_content(self) -> bool:
        return self.content

    @model_validator(mode="after")
    def _check_cap(self) -> DocumentDuplicates:
        if self.same_domain is not None and not self.enabled:
            raise ValueError("same_domain needs enabled = true: domains are counted after duplicates are gone")
        return self


class TextShards(Shards):
    """Shards of documents."""

    row_group: int = Field(1024, ge=1, description="documents per row group")


class TextManifest(Manifest):
    """A corpus of documents."""

    modality: ClassVar[str] = "text"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "document", "corpus", "page", "url")
    clean: CleanText = CleanText()
    quality: QualityTable = QualityTable()
    urls: UrlTable = UrlTable()
    deduplicate: DocumentDuplicates = DocumentDuplicates()
    recurring_lines: RecurringLines = RecurringLines()
    shards: TextShards = TextShards()

    @classmethod
    def measures_by_default(cls, name: str) -> bool:
        return MEASURES[name].kind in cls.kinds and not MEASURES[name].on_request and name not in ON_REQUEST

    @property
    def strips_lines(self) -> bool:
        """Whether lines that recur are removed."""
        return self.recurring_lines.enabled and self.deduplicate.enabled

    @property
    def hashes_domains(self) -> bool:
        """Whether the step measure says of which domain a document is."""
        has_urls = "url" in SOURCES[self.source.format].keep or "url" in self.source.kept
        return self.deduplicate.same_domain is not None or has_urls and self.recurring_lines.enabled

    def check(self, where: str) -> None:
        needs_words = [name for name in self.measures if MEASURES[name].columns & set(gopher.WORD_COUNTERS)]
        if needs_words:
            require_modules(SUDACHI_MODULES, f"{where}: the measure {needs_words[0]}", "sudachi")
        needs_unidic = [name for name in self.measures if MEASURES[name].columns & set(hojichar.WORD_COUNTERS)]
        if needs_unidic:
            require_modules(UNIDIC_MODULES, f"{where}: the measure {needs_unidic[0]}", "unidic")
        needs_urls = [f"the measure {name}" for name in self.measures if MEASURES[name].kind == "url"]
        needs_urls += ["deduplicate.same_domain"] if self.deduplicate.same_domain else []
        if needs_urls and "url" not in SOURCES[self.source.format].keep:
            raise UsageError(f"{where}: {needs_urls[0]} needs URLs; source.format = {self.source.format!r} has none")
        self.quality.check(where)
        self.urls.check(where, self.rules.get("url_list"), "url_list" in self.measures)
