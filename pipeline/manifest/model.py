"""What a manifest can say, whatever the modality: typed tables, validated before any work is done.

Every field belongs to a step of the build: its own, or its table's `default_step` (`pipeline.manifest.steps`). The
tables of a modality are in its own room.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import Field, ValidationInfo, field_validator, model_validator

from filters import MEASURES
from filters.registry import Kind
from pipeline.core.names import did_you_mean, is_printable
from pipeline.core.settings import Size
from pipeline.manifest.source_options import FOLDER_OPTIONS, SourceOption
from pipeline.manifest.steps import BelongsTo, ManifestTable, Step
from pipeline.sources import SOURCES
from pipeline.sources.base import Fields
from tokenizer.settings import Tokenise

# The types of `source.keep`, and columns of shards and ledger that cannot be named there.
COLUMN_TYPES: dict[str, pl.DataType] = {"string": pl.String(), "int": pl.Int64(), "float": pl.Float64(), "bool": pl.Boolean()}
RESERVED_COLUMNS = frozenset(
    {
        "id", "text", "source", "license", "language", "language_score", "chars", "cluster_size", "cluster_id", "verdict", "step",
        "rule", "value", "value_text", "bound", "bound_text", "duplicate_of", "similarity", "excerpt", "part", "sources_seen", "epoch",
        "boilerplate_lines", "boilerplate_chars", "recurring_lines", "recurring_chars", "recurring_spans",
        "measured_chars",
    }
)  # fmt: skip
# Columns of `pipeline.sources.rows.Rows` with a meaning of their own.
ROW_COLUMNS = frozenset({"locator", "file", "problem", "media_type", "charset", "namespace", "redirect", "wikitext"})


UNKNOWN_LICENSE = "unknown"  # as the Hub calls it
_DOWNLOADED = ("https://", "http://", "s3://", "gs://", "hf://")  # what a manifest, which may be a stranger's, can have fetched


class SourceTable(ManifestTable):
    """Where the raw material is and how it is read."""

    default_step: ClassVar[Step | None] = "measure"

    format: str = Field(description="wire format: a key of pipeline.sources.SOURCES", json_schema_extra={"enum": [*SOURCES]})
    url: Annotated[str | None, BelongsTo("inputs")] = Field(None, description="what --download fetches")
    sample: Annotated[str | None, BelongsTo("inputs")] = Field(
        None, description="embedded sample under manifests/samples/, built where there is no raw corpus"
    )
    partition: Size = Field(32_000_000, description="raw bytes per task")
    max_document: Size = Field(
        64_000_000, description="a longer document (or image) is not read; the ledger has it as unreadable"
    )
    images: Annotated[
        str | None,
        BelongsTo("inputs"),
        FOLDER_OPTIONS["images"],
    ] = Field(None, description="folder of the images that a list names by URL or path; what --images sets")
    audio: Annotated[
        str | None,
        BelongsTo("inputs"),
        FOLDER_OPTIONS["audio"],
    ] = Field(None, description="folder of the recordings that a list names by path; what --audio sets")
    transcripts: Annotated[str | None, BelongsTo("inputs"), SourceOption("recordings")] = Field(
        None,
        description="which lists of transcripts are read: names in the input folder or paths, as a glob such as train.tsv or v2-tsv/*.tsv",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description='what a table calls its columns, where Seimai does not know the names: caption = "alt_ja"',
    )
    keep: list[str] | None = Field(
        None,
        description="columns that go to shards and ledger and that rules may judge, beside url, title and date where the format has "
        "them; of another type than text with it, as in score:float (int, float, bool)",
    )

    @field_validator("keep", mode="before")
    @classmethod
    def _list_keep(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value  # --set source.keep=doc_id

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        # A chain, as in simplecache::file:///x, has other schemes further on.
        if value is not None and (not value.startswith(_DOWNLOADED) or "::" in value or not is_printable(value)):
            raise ValueError(f"a URL on a server is expected ({', '.join(_DOWNLOADED)}); a file of yours is named with --input")
        return value

    @field_validator("sample")
    @classmethod
    def _check_sample(cls, value: str | None) -> str | None:
        if value is not None and (not re.fullmatch(r"[^/\\]+", value) or value.startswith(".") or not is_printable(value)):
            raise ValueError("the name of a file under manifests/samples/ is expected, without a folder")
        return value

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        source = SOURCES.get(info.data.get("format", ""))
        if source is None or not value:  # of the format there is a message already
            return value
        if not source.columns:
            raise ValueError(_explain_no_columns(info.data["format"], value))
        for name in value:
            if name not in source.columns and not source.any_column:
                raise ValueError(
                    f"{name}: Seimai has no such column{did_you_mean(name, source.columns)} Known: {', '.join(source.columns)}"
                )
        return value

    @model_validator(mode="after")
    def _check_mapped_columns(self) -> SourceTable:
        source = SOURCES[self.format]
        for name in self.columns:
            if name not in source.columns and name not in self.kept:
                known = [*dict.fromkeys([*source.columns, *self.kept])]
                words = did_you_mean(name, known)
                raise ValueError(
                    f"columns.{name}: Seimai has no such column, and source.keep does not name it{words} "
                    f"Known: {', '.join(known)}"
                )
        return self

    @field_validator("keep")
    @classmethod
    def _check_kept_columns(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        source = SOURCES.get(info.data.get("format", ""))
        if source is None or not value:
            return value
        if not source.metadata:
            raise ValueError(f"source.format = {info.data['format']!r} has no metadata columns to be kept")
        names = [entry.partition(":")[0] for entry in value]
        for entry, name in zip(value, names, strict=True):
            if not name:
                raise ValueError(f"{entry!r} names no column")
            _, colon, kind = entry.partition(":")
            if colon and kind not in COLUMN_TYPES:
                raise ValueError(f"{entry}: there is no type {kind!r}. Known: {', '.join(COLUMN_TYPES)}")
            if name in RESERVED_COLUMNS or name in MEASURES or name in ROW_COLUMNS and name not in source.metadata:
                raise ValueError(
                    f"{name}: shards or ledger have a column of that name already; give yours another: "
                    f'source.columns.own_{name} = "{name}", source.keep = ["own_{name}"]'
                )
            if name not in source.metadata and not source.any_column:
                words = did_you_mean(name, source.metadata)
                raise ValueError(f"{name}: the format has no such column{words} Known: {', '.join(source.metadata)}")
        if len({*names}) < len(names):
            raise ValueError("a column is named twice")
        return value

    @property
    def kept(self) -> dict[str, pl.DataType]:
        """Return the columns that go to the shards, with their types."""
        source = SOURCES[self.format]
        entries = dict.fromkeys([*source.keep, *(self.keep or [])])
        return {name: COLUMN_TYPES[kind or "string"] for name, _, kind in (entry.partition(":") for entry in entries)}

    @property
    def fields(self) -> Fields:
        """Return which columns are read beside the content."""
        return Fields(self.columns, self.kept, self.max_document)

    @property
    def options(self) -> dict[str, str]:
        """Return the fields that only some formats take, where they are set."""
        return {name: value for name in source_options() if (value := getattr(self, name)) is not None}

    @property
    def content(self) -> str | None:
        """Return the folder of the images or recordings that a list names."""
        return self.images or self.audio

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str) -> str:
        if value not in SOURCES:
            raise ValueError(f"there is no such wire format{did_you_mean(value, SOURCES)} Known: {', '.join(SOURCES)}")
        return value


def _explain_no_columns(format: str, columns: dict[str, str]) -> str:
    """Return the error for columns of a format that has none, with formats of such records that have, and a command that names them."""
    able = [name for name, source in SOURCES.items() if source.columns and source.modality == SOURCES[format].modality]
    settings = " ".join(f"--set {shlex.quote(f'source.columns.{key}={name}')}" for key, name in columns.items())
    return (
        f"source.format = {format!r} has no columns to be named, but {', '.join(able)} have. Say which of them the input is, as in: "
        f"python -m pipeline.build {able[0]} --input FILE {settings}"
    )


def source_options() -> dict[str, SourceOption]:
    """Return the fields of the table `source` that only some formats take."""
    return {
        name: marker
        for name, field in SourceTable.model_fields.items()
        for marker in field.metadata
        if isinstance(marker, SourceOption)
    }


class Clean(ManifestTable):
    """How text is normalised."""

    default_step: ClassVar[Step | None] = "measure"

    compatibility: Literal["keep", "expand"] = Field("keep", description="① ㍻ ㈱ ² ℝ: keep, or expand as NFKC does")
    width: Literal["letters", "keep", "fold"] = Field(
        "fold",
        description="Ａ １ ｶﾅ to A 1 カナ but where a document speaks of widths (letters), never (keep), or with all signs, dashes and "
        "U+3000 (fold)",
    )


class MeasureTable(ManifestTable):
    """What is measured beyond what the rules need."""

    default_step: ClassVar[Step | None] = "measure"

    also: list[str] = Field(default_factory=list)
    presets: list[str] = Field(
        default_factory=list,
        description="presets whose measures are computed, too, so that python -m pipeline.compare can judge by them; they are "
        "added to also",
    )


LARGEST_EXACT = 2**53  # of the whole numbers that a float holds


class Bound(ManifestTable):
    """The bounds of one rule. A record is dropped where its value lies outside."""

    default_step: ClassVar[Step | None] = "decide"

    at_least: float | None = None
    at_most: float | None = None
    any_of: list[str] | None = None
    none_of: list[str] | None = None
    iqr: float | None = Field(
        None,
        gt=0,
        description="bounds fitted to the corpus: quartiles of the values' logarithms, and so many interquartile ranges beyond",
    )
    by: Literal["corpus", "programme", "speaker"] = Field(
        "corpus", description="what the bounds of iqr are fitted to, each on its own"
    )
    missing: Literal["drop", "keep"] = Field("drop", description="what becomes of a record without a value, as of a score")
    source: Annotated[str | None, BelongsTo("report")] = Field(None, description="where the bound comes from")
    reason: Annotated[str | None, BelongsTo("report")] = Field(None, description="what it is for")

    @field_validator("at_least", "at_most", mode="before")
    @classmethod
    def _refuse_rounding(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_EXACT:
            digits = str(value)
            shown = digits if len(digits) <= 24 else f"a number of {len(digits)} digits"
            raise ValueError(f"{shown} is beyond 2^53, from where on bounds are not exact")
        return value

    @model_validator(mode="after")
    def _check_bounds(self) -> Bound:
        if all(x is None for x in (self.at_least, self.at_most, self.any_of, self.none_of, self.iqr)):
            raise ValueError("a rule needs a bound: at_least, at_most, any_of, none_of or iqr")
        if self.any_of == []:
            raise ValueError("any_of = []: nothing could be kept")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least = {self.at_least} is above at_most = {self.at_most}: nothing could be kept")
        return self


class Shards(ManifestTable):
    """The Parquet files that trainers read."""

    default_step: ClassVar[Step | None] = "write"

    size: Size = Field(128_000_000, description="bytes of text per shard, before compression")
    validation: float = Field(0.01, ge=0, lt=1, description="share of clusters held out")
    compression_level: int = Field(3, ge=1, le=22, description="zstd")


class Described(ManifestTable):
    """What every corpus says of itself, however it is made."""

    name: Annotated[str, BelongsTo("deduplicate")] = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")  # ids begin with it
    title: Annotated[str, BelongsTo("report")] = Field(min_length=1)
    description: Annotated[str, BelongsTo("report")] = ""
    license: Annotated[str, BelongsTo("write")]
    license_name: Annotated[str | None, BelongsTo("report")] = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9._-]*$",
        description="short id for the card, where the Hub has none: common-crawl-terms-of-use",
    )
    license_link: Annotated[str | None, BelongsTo("report")] = Field(
        None, pattern=r"^https?://[^\s<>]+$", description="where the terms stand, where the Hub has no id for the license"
    )
    homepage: Annotated[str | None, BelongsTo("report")] = None


def is_of_corpus(rule: str) -> bool:
    """Return whether a rule judges what is known of a record only once all records are."""
    return rule in MEASURES and MEASURES[rule].kind == "corpus"


class Manifest(Described):
    """A corpus. What a manifest can say beyond this depends on the modality of its source."""

    modality: ClassVar[str]  # a key of pipeline.modalities.MODALITIES
    kinds: ClassVar[tuple[Kind, ...]]  # of measures that its rules may name

    source: SourceTable
    clean: Clean = Clean()
    measure: MeasureTable = MeasureTable()
    rules: dict[str, Bound] = Field(default_factory=dict)
    deduplicate: Any
    shards: Any
    tokenizer: Annotated[Tokenise | None, BelongsTo("tokenise")] = Field(
        None, description="step 5: train a tokenizer on what was kept; of documents, make token shards"
    )

    @property
    def measures(self) -> list[str]:
        """Return the measures that a build of this manifest computes, in registry order."""
        wanted = set(self.rules) | set(self.measure.also)
        return [name for name in MEASURES if not is_of_corpus(name) and (name in wanted or self.measures_by_default(name))]

    @property
    def document_rules(self) -> dict[str, Bound]:
        """Return the rules that judge a record by itself: all but those on measures of kind "corpus"."""
        return {name: bound for name, bound in self.rules.items() if not is_of_corpus(name)}

    @classmethod
    def measures_by_default(cls, name: str) -> bool:
        """Return whether a measure is computed without a rule that needs it."""
        raise NotImplementedError

    def check(self, where: str) -> None:
        """Raise UsageError for what only this modality can tell is amiss; `where` names the manifest."""
