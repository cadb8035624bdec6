"""Images with captions: both measured, deduplicated by image, captions of one image gathered."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from typing import ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.engine import Task
from pipeline.core.tables import read_parquet
from pipeline.modalities.base import Bilingual, CleanedText, MeasuredRecords, Modality, NearDuplicateRule, ReportTerms, RowGroup
from pipeline.modalities.image_text import duplicates
from pipeline.modalities.image_text.manifest import ImageTextManifest
from pipeline.modalities.image_text.measure import clean_captions, measure_pairs, read_captions, warm_kernels
from pipeline.modalities.image_text.pictures import draw_images
from pipeline.modalities.image_text.shards import SCHEMA, shard_tables
from pipeline.sources.rows import Rows
from pipeline.workspace import Layout, Part, RecordIds


class ImageTextModality(Modality[ImageTextManifest]):
    """Image-text pairs."""

    name: ClassVar[str] = "image_text"
    manifest = ImageTextManifest
    terms: ClassVar[ReportTerms] = ReportTerms(
        records=Bilingual("pairs", "ペア"),
        amount=Bilingual("image bytes", "画像バイト数"),
        ratio=Bilingual("pairs", "ペア数"),
        task="text-to-image",
        trainer="trainers.clip",
        reads=("tokenizer",),
        space_per_byte=(0.1, 1.0),
        counted="bytes",
    )

    def measure(self, manifest: ImageTextManifest, rows: Rows) -> MeasuredRecords:
        return measure_pairs(manifest, rows)

    def clean(self, manifest: ImageTextManifest, rows: Rows) -> list[CleanedText]:
        raw = read_captions(rows)[0]["caption"].fill_null("")
        cleaned = clean_captions(raw, manifest.clean.compatibility, manifest.clean.width)
        return [*starmap(CleanedText, zip(raw, raw, cleaned, strict=True))]

    def warm(self, manifest: ImageTextManifest) -> None:
        warm_kernels(manifest)

    def warnings(self, totals: dict[str, int]) -> list[str]:
        """Tell of captions that a sidecar has otherwise than its archive."""
        differing = totals["captions_differing"]
        return [f"{differing:,} captions are not what the sidecar has; the archive's own were taken"] if differing else []

    def near_duplicate_rule(self, manifest: ImageTextManifest) -> NearDuplicateRule:
        d = manifest.deduplicate
        return NearDuplicateRule(
            "phash",
            f"perceptual hashes at most {d.distance} of 64 bits apart, "
            f"verified by thumbnails at a similarity of {d.accept:g} or more",
        )

    def duplicate_rounds(self, layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
        return duplicates.rounds(layout, ids)

    def late_verdicts(self, layout: Layout, index: int) -> pl.DataFrame:
        return read_parquet(layout.late_verdicts(index))

    def ledger_fields(self, manifest: ImageTextManifest) -> list[pa.Field]:
        """Return the field for how many different images carry the caption of a record that was left after deduplication."""
        return [pa.field("caption_images", pa.uint32())] if manifest.deduplicate.enabled else []

    def shard_schema(self, manifest: ImageTextManifest) -> pa.Schema:
        return SCHEMA

    def row_group(self, manifest: ImageTextManifest) -> RowGroup:
        return RowGroup(manifest.shards.row_group, "image.bytes")

    def shard_rows(
        self, manifest: ImageTextManifest, part: Part, batch: pl.DataFrame, ledger_rows: pl.DataFrame
    ) -> Iterator[tuple[pa.Table, np.ndarray]]:
        return shard_tables(manifest, part, batch, ledger_rows)

    def draw_pictures(self, manifest: ImageTextManifest, part: Part, rows: list[int]) -> list[bytes | None]:
        return draw_images(manifest, part, rows)
