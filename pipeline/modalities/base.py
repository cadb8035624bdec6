"""What a modality is: all that the steps of a build have to know about its kind of record.

The steps are the same for all modalities. A modality says how a partition is measured, how duplicates are found and what the row of a
shard is. Its instance stands in `pipeline.modalities.MODALITIES`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.engine import Task
from pipeline.core.language import choose_language
from pipeline.dedup.recurring import Search
from pipeline.manifest.model import Manifest
from pipeline.sources.rows import BATCH_BYTES, Rows
from pipeline.workspace import Layout, Part, RecordIds

EXCERPT = 200  # characters of a record that the ledger shows
SAMPLES = 200  # most frequent lines that a task remembers of those that were removed

AnyManifest = TypeVar("AnyManifest", bound=Manifest)


class Bilingual(NamedTuple):
    """A term as reports print it."""

    english: str
    japanese: str

    @property
    def local(self) -> str:
        """The term in the language of commands."""
        return self.japanese if choose_language() == "ja" else self.english


@dataclass(frozen=True)
class ReportTerms:
    """What reports call the records and the amounts of a modality.

    `ratio`: what the polishing ratio is a share of. `task`: Hugging Face's task category. `trainer`: the bundled trainer's module, and
    `reads` what it reads beside shards: folders that steps after `write` make. `space_per_byte`: of intermediates and of shards, for
    every byte of raw content. `unit`: how many of what is counted make one of `amount`, None where amounts are counts themselves.
    `split`: a sentence on how records are split, where it is not by clusters of duplicates. `counted`: what reports count amounts in,
    `per_count` how many of them make one.
    """

    records: Bilingual
    amount: Bilingual
    ratio: Bilingual
    task: str
    trainer: str
    reads: tuple[str, ...]
    space_per_byte: tuple[float, float]
    unit: int | None = None
    split: Bilingual | None = None
    counted: Literal["characters", "bytes", "seconds"] = "characters"
    per_count: int = 1

    def format_amount(self, amount: int) -> str:
        """Return an amount as reports print it."""
        return f"{amount:,}" if self.unit is None else f"{amount / self.unit:,.{2 if amount > 100 * self.unit else 3}f}"


@dataclass(frozen=True)
class MeasuredRecords:
    """What was found out about the records of a partition, row for row.

    `table` has `locator` (what ids end in), `bytes` `amount_in` `amount` `payload` (bytes that a shard would hold), `unreadable`
    (why, or null), `head` (what the ledger shows of an unreadable record), `exact` and `key_length` (equal for
    exact duplicates; of text also `key_hash`), `text`,
    `m:<measure>`, and `keep:<column>` for those of `source.keep`. `arrays` are matrices with a row per record, `sketches` among
    them; `lines` has a number per line. `counts` adds to the part's counts.
    """

    table: pa.Table
    arrays: dict[str, np.ndarray]
    counts: dict[str, Any] = field(default_factory=dict)


def own_terms(frame: pl.DataFrame) -> dict[str, pa.Array]:
    """Return columns of the measured table: a license and a source that a record comes with, null where it has none of its own."""
    none = pl.lit(None, pl.String)
    columns = ((name, pl.col(name).cast(pl.String) if name in frame.columns else none) for name in ("license", "source"))
    own = frame.with_columns(pl.when(column.str.strip_chars() != "").then(column).alias(name) for name, column in columns)
    return {f"own:{name}": own[name].to_arrow() for name in ("license", "source")}


class CleanedText(NamedTuple):
    """The text of a record, its caption or its transcript.

    `raw`: as it came; `extracted`: the same out of HTML or wikitext, where it was that; `cleaned`: what the step measure makes of it,
    None where it cannot be read.
    """

    raw: str
    extracted: str
    cleaned: str | None


class RowGroup(NamedTuple):
    """How large a shard's row groups are: in records or, where `column` names one of binary values, in that column's bytes."""

    size: int
    column: str | None = None


class NearDuplicateRule(NamedTuple):
    """The rule that names a near duplicate in the ledger, and how reports explain it."""

    name: str
    explanation: str


class Modality(ABC, Generic[AnyManifest]):
    """A kind of record, and what the steps of a build do with it."""

    name: ClassVar[str]
    manifest: type[AnyManifest]
    terms: ClassVar[ReportTerms]
    keeps_raw: ClassVar[bool] = True  # whether the step `write` reads the raw file of a partition again

    # -- measure

    @abstractmethod
    def measure(self, manifest: AnyManifest, rows: Rows) -> MeasuredRecords:
        """Clean the records of a partition and compute every measure and signature."""

    @abstractmethod
    def clean(self, manifest: AnyManifest, rows: Rows) -> list[CleanedText]:
        """Return the texts of records, cleaned as `measure` cleans them. Images and recordings are not looked at."""

    @abstractmethod
    def warm(self, manifest: AnyManifest) -> None:
        """Compile (or load from numba's cache) every kernel, so that no partition waits for it."""

    def warnings(self, totals: dict[str, int]) -> list[str]:
        """Return what a build has to say about the counts of its parts, summed."""
        return []

    # -- deduplicate

    @abstractmethod
    def near_duplicate_rule(self, manifest: AnyManifest) -> NearDuplicateRule: ...

    @abstractmethod
    def duplicate_rounds(self, layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
        """Yield rounds of tasks that find duplicates. What the only task of a round returns is joined to the counts of the step."""

    def late_verdicts(self, layout: Layout, index: int) -> pl.DataFrame | None:
        """Return what deduplication found out about single records of a partition.

        The columns are `row`, those of `REASON` (null: kept), and further ones for the ledger.
        """
        return None

    # -- strip

    def line_search(self, manifest: AnyManifest, layout: Layout, folder: Path) -> Search | None:
        """Return the search for lines that recur over records, None where none are removed. `folder` is that of the step strip."""
        return None

    def revise(self, batch: pl.DataFrame, furniture: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """Return measured records without the lines that recur in them, and these lines.

        `furniture` tells by `row` which they are (`recurring_spans`).
        """
        return batch, pl.Series("line", [], pl.String)

    # -- write

    def ledger_fields(self, manifest: AnyManifest) -> list[pa.Field]:
        """Return columns of `late_verdicts`, and of the measured table, that the ledger shows beside the measures."""
        return []

    @abstractmethod
    def shard_schema(self, manifest: AnyManifest) -> pa.Schema: ...

    @abstractmethod
    def row_group(self, manifest: AnyManifest) -> RowGroup: ...

    @abstractmethod
    def shard_rows(
        self, manifest: AnyManifest, part: Part, batch: pl.DataFrame, ledger_rows: pl.DataFrame
    ) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yield shard rows of kept records, in order, and which record (ascending) each is of: several rows may be of one.

        `batch` as measured (with `row`, the record's number in the part), `ledger_rows` row for row.
        """

    # -- report

    def draw_pictures(self, manifest: AnyManifest, part: Part, rows: list[int]) -> list[bytes | None]:
        """Return a small picture, as WebP, of each of some records of a partition, None where there is nothing to see."""
        return [None] * len(rows)

    def split_keys(self, batch: pl.DataFrame, ledger_rows: pl.DataFrame) -> pl.Series:
        """Return a string per record: records with the same are all held out, or none is. By default those of one cluster."""
        return ledger_rows["cluster_id"]


def count_lines(lines: pl.Series) -> pl.DataFrame:
    """Return distinct lines, cut to what reports show, with how often each was removed: `line`, `count`."""
    return pl.DataFrame({"line": lines.str.head(EXCERPT)}).group_by("line").agg(pl.len().cast(pl.Int64).alias("count"))


def most_frequent(counted: pl.DataFrame, most: int) -> list[list[Any]]:
    """Return the most frequent lines of `count_lines` with their counts, as JSON has them."""
    chosen = counted.sort("count", "line", descending=[True, False]).head(most)
    return [[line, count] for line, count in chosen.select("line", "count").iter_rows()]


def huggingface_schema(fields: list[pa.Field], features: dict[str, Any]) -> pa.Schema:
    """Return a schema with what `datasets` takes for the type of every column in its metadata."""
    return pa.schema(fields).with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def split_by_payload(batch: pl.DataFrame) -> list[np.ndarray]:
    """Return the row numbers of a batch in runs of about as many bytes of content as may be in memory at a time."""
    numbers = np.cumsum(batch["payload"].to_numpy()) // BATCH_BYTES
    return np.split(np.arange(len(batch)), np.flatnonzero(np.diff(numbers)) + 1)


def select_columns(schema: pa.Schema, columns: pl.DataFrame, **arrow: pa.Array) -> pa.Table:
    """Return a table of the schema, of columns and of what is in Arrow already."""
    chosen = {name: arrow[name] if name in arrow else columns[name].to_arrow() for name in schema.names}
    return pa.table(chosen).cast(schema)
