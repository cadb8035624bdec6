"""Modalities: what the steps of a build have to know about the kind of record that a source yields.

The steps are the same for all. A modality says how a partition is measured, how duplicates are found and what a row of a shard is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.engine import Task
from pipeline.manifest.loading import Manifest
from pipeline.plan import Ids
from pipeline.sources import Partition
from pipeline.steps.deduplicate import Layout
from pipeline.steps.measure import Part


@dataclass(frozen=True)
class Words:
    """What reports call the records and the amounts of a modality, in English and Japanese."""

    records: tuple[str, str]
    amount: tuple[str, str]
    ratio: tuple[str, str]  # what the polishing ratio is a share of
    task: str  # Hugging Face's task category
    trainer: str  # the bundled trainer's module
    reads: tuple[str, ...]  # what it reads of a corpus beside shards: folders that steps after `write` make
    space: tuple[float, float]  # of intermediates and of shards, per byte of raw content
    unit: int | None = None  # so many of what is counted make one of `amount`; None: amounts are counts themselves
    split: tuple[str, str] | None = None  # how records are split, where it is not by clusters of duplicates

    def shown(self, amount: int) -> str:
        """An amount as reports print it."""
        return f"{amount:,}" if self.unit is None else f"{amount / self.unit:,.{2 if amount > 100 * self.unit else 3}f}"


@dataclass(frozen=True)
class Measured:
    """What was found out about the records of a partition, row for row.

    `table` has `locator` (what ids end in), `bytes` `amount_in` `amount` `payload` (bytes that a shard would hold), `unreadable`
    (why, or null), `head` (what is shown of an unreadable record), `exact` and `key_length` (equal for exact duplicates), `text`,
    and `m:<measure>`. `arrays` are matrices with a row per record, `sketches` among them. `counts` adds to the part's counts.
    """

    table: pa.Table
    arrays: dict[str, np.ndarray]
    counts: dict[str, int] = field(default_factory=dict)
    keeps_raw: bool = False


class Modality(Protocol):
    """What a module named in `MODALITIES` offers."""

    WORDS: Words

    @staticmethod
    def measured(manifest: Any, partition: Partition, part: Part) -> Measured: ...

    @staticmethod
    def warm(manifest: Any) -> None:
        """Compile (or load from numba's cache) every kernel, so that no partition waits for it."""

    @staticmethod
    def warnings(total: dict[str, int]) -> list[str]:
        """What a build says of its parts' counts, summed."""

    @staticmethod
    def rounds(layout: Layout, ids: Ids) -> Iterator[list[Task]]:
        """Rounds of tasks that find duplicates. What the tasks return is joined to the counts of the step."""

    @staticmethod
    def late(layout: Layout, index: int) -> pl.DataFrame | None:
        """What the step found out about single records of a partition: `row`, `rule` `value` `bound` (null: kept), further columns."""

    @staticmethod
    def ledger_fields(manifest: Any) -> list[pa.Field]:
        """Columns of `late`, and of the measured table, that the ledger shows beside the measures."""

    @staticmethod
    def near(manifest: Any) -> tuple[str, str]:
        """The rule that names a near duplicate in the ledger, and how near duplicates are told in a sentence."""

    @staticmethod
    def schema(manifest: Any) -> pa.Schema:
        """Schema of the shards."""

    @staticmethod
    def row_group(manifest: Any) -> tuple[int, str | None]:
        """Size of row groups, and the binary column whose bytes it counts (None: it counts records)."""

    @staticmethod
    def shard_rows(manifest: Any, part: Part, batch: pl.DataFrame, rows: pl.DataFrame) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Shard rows of kept records, in order, and which record (ascending) each is of: several rows may be of one.

        `batch` as measured (with `row`, its number in the part), `rows` of the ledger.
        """

    @staticmethod
    def kept_together(batch: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
        """What a record may not be split from, as a string: records with the same are all held out, or none is."""


MODALITIES = {
    "text": "pipeline.modalities.text",
    "image-text": "pipeline.modalities.image_text",
    "speech": "pipeline.modalities.speech",
}


def modality(manifest: Manifest) -> Modality:
    """The modality of a manifest's records."""
    return cast(Modality, importlib.import_module(MODALITIES[manifest.modality]))
