"""Documents: cleaned, measured, deduplicated by MinHash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from filters.text.lines import remove_spans
from pipeline.core.engine import Task
from pipeline.core.tables import read_parquet
from pipeline.dedup import caps, minhash
from pipeline.dedup.caps import Cap
from pipeline.dedup.furniture import RECURRING_FIELDS
from pipeline.dedup.recurring import Search
from pipeline.modalities.base import Bilingual, CleanedText, MeasuredRecords, Modality, NearDuplicateRule, ReportTerms, RowGroup
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.measure import PASSED_OVER, clean_texts, measure_documents, warm_kernels
from pipeline.sources.rows import Rows
from pipeline.workspace import Layout, Part, RecordIds


class TextModality(Modality[TextManifest]):
    """Documents."""

    name: ClassVar[str] = "text"
    keeps_raw: ClassVar[bool] = False  # the measured table has the text
    manifest = TextManifest
    terms: ClassVar[ReportTerms] = ReportTerms(
        records=Bilingual("documents", "文書"),
        amount=Bilingual("characters", "文字数"),
        ratio=Bilingual("characters", "文字数"),
        task="text-generation",
        trainer="trainers.gpt",
        reads=("tokenizer", "tokens"),
        space_per_byte=(0.7, 0.25),
    )

    def measure(self, manifest: TextManifest, rows: Rows) -> MeasuredRecords:
        return measure_documents(manifest, rows)

    def clean(self, manifest: TextManifest, rows: Rows) -> list[CleanedText]:
        return clean_texts(manifest, rows)

    def warm(self, manifest: TextManifest) -> None:
        warm_kernels(manifest)

    def warnings(self, totals: dict[str, int]) -> list[str]:
        """Tell of what is in the input and is no record."""
        kinds = {
            name.removeprefix(PASSED_OVER): count for name, count in sorted(totals.items()) if name.startswith(PASSED_OVER)
        }
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        return [f"passed over, since they hold no page: {counts}"] if kinds else []

    def near_duplicate_rule(self, manifest: TextManifest) -> NearDuplicateRule:
        d = manifest.deduplicate
        return NearDuplicateRule(
            "minhash",
            f"character {d.shingle}-grams, Jaccard similarity {d.threshold:g}, verified at an estimate of {d.accept:g} or more",
        )

    def duplicate_rounds(self, layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
        yield from minhash.rounds(layout, ids)
        if layout.settings.same_domain is not None:
            yield from caps.rounds(layout, Cap("same_domain", layout.settings.same_domain, "domain"))

    def late_verdicts(self, layout: Layout, index: int) -> pl.DataFrame | None:
        return read_parquet(layout.late_verdicts(index)) if layout.settings.same_domain is not None else None

    def line_search(self, manifest: TextManifest, layout: Layout, folder: Path) -> Search | None:
        return Search(layout, folder, manifest.recurring_lines) if manifest.strips_lines else None

    def revise(self, batch: pl.DataFrame, furniture: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        if {"m:chars", "unreadable"} <= {*batch.columns}:
            batch = batch.with_columns(measured_chars=pl.when(pl.col("unreadable").is_null()).then("m:chars"))
        spans = batch.select("row").join(furniture, on="row", how="left", maintain_order="left")["recurring_spans"]
        rows = spans.is_not_null().arg_true()
        if not len(rows):
            return super().revise(batch, furniture)
        texts, removed = remove_spans(batch["text"].gather(rows), spans.gather(rows))
        chars, size = texts.str.len_chars(), texts.str.len_bytes()
        changed = {"text": texts, "amount": chars, "m:chars": chars, "payload": size}
        revised = batch.with_columns(
            batch[name].scatter(rows, values.cast(batch.schema[name]))
            for name, values in changed.items()
            if name in batch.columns
        )
        return revised, removed

    def ledger_fields(self, manifest: TextManifest) -> list[pa.Field]:
        removed = [pa.field("boilerplate_lines", pa.int32()), pa.field("boilerplate_chars", pa.int32())]
        return [*removed, *(RECURRING_FIELDS if manifest.strips_lines else [])]

    def shard_schema(self, manifest: TextManifest) -> pa.Schema:
        kept = pl.Schema(manifest.source.kept).to_frame().to_arrow().schema
        return pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("text", pa.string(), nullable=False),
                pa.field("source", pa.string()),
                *(pa.field(f.name, pa.string() if f.type == pa.large_string() else f.type) for f in kept),
                pa.field("license", pa.string()),
                pa.field("language", pa.string()),
                pa.field("language_score", pa.float32()),
                pa.field("chars", pa.int32()),
                pa.field("cluster_size", pa.uint32()),
            ]
        )

    def row_group(self, manifest: TextManifest) -> RowGroup:
        return RowGroup(manifest.shards.row_group)

    def shard_rows(
        self, manifest: TextManifest, part: Part, batch: pl.DataFrame, ledger_rows: pl.DataFrame
    ) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yield one table for the whole batch."""

        def measured(name: str, kind: pl.DataType) -> pl.Series:
            unknown = pl.Series(name, [None], kind).new_from_index(0, len(ledger_rows))
            return ledger_rows[name] if name in ledger_rows.columns else unknown

        table = pl.DataFrame(
            [
                ledger_rows["id"],
                batch["text"],
                ledger_rows["source"],
                *(ledger_rows[name] for name in manifest.source.kept),
                batch["own:license"].fill_null(manifest.license).alias("license"),
                measured("language", pl.String()),
                measured("language_score", pl.Float32()),
                ledger_rows["chars"],
                ledger_rows["cluster_size"],
            ]
        )
        yield table.to_arrow(), np.arange(len(table))
