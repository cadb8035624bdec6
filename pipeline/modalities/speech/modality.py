"""Recordings with transcripts: both measured, what is said compared with what is written, deduplicated by sound."""

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
from pipeline.modalities.speech import duplicates
from pipeline.modalities.speech.manifest import SpeechManifest
from pipeline.modalities.speech.measure import UNTRANSCRIBED, clean_transcripts, measure_recordings, warm_kernels
from pipeline.modalities.speech.pictures import draw_recordings
from pipeline.modalities.speech.shards import shard_schema, shard_tables
from pipeline.sources.rows import Rows
from pipeline.workspace import Layout, Part, RecordIds

MILLISECONDS_PER_HOUR = 3_600_000


class SpeechModality(Modality[SpeechManifest]):
    """Recordings, with or without transcripts. Amounts are counted in milliseconds."""

    name: ClassVar[str] = "speech"
    manifest = SpeechManifest
    terms: ClassVar[ReportTerms] = ReportTerms(
        records=Bilingual("recordings", "録音"),
        amount=Bilingual("hours", "時間"),
        ratio=Bilingual("hours", "時間"),
        task="automatic-speech-recognition",
        trainer="trainers.hubert",
        reads=(),
        space_per_byte=(0.1, 1.0),
        unit=MILLISECONDS_PER_HOUR,
        counted="seconds",
        per_count=1000,
        split=Bilingual(
            "Split by a hash of the speaker, else of the programme, else of the duplicate cluster: none of them stands on both sides.",
            "話者、なければ番組、なければ重複クラスタのハッシュで分割しているため、同じものが両側に分かれることはありません。",
        ),
    )

    def measure(self, manifest: SpeechManifest, rows: Rows) -> MeasuredRecords:
        return measure_recordings(manifest, rows)

    def clean(self, manifest: SpeechManifest, rows: Rows) -> list[CleanedText]:
        raw = rows.frame["transcript"]
        cleaned = clean_transcripts(raw, manifest).fill_null("")
        return [*starmap(CleanedText, zip(raw.fill_null(""), raw.fill_null(""), cleaned, strict=True))]

    def warm(self, manifest: SpeechManifest) -> None:
        warm_kernels(manifest)

    def warnings(self, totals: dict[str, int]) -> list[str]:
        """Tell how many recordings nobody transcribed."""
        missing, readable = totals[UNTRANSCRIBED], totals["records"] - totals["unreadable"]
        if not missing:
            return []
        return [f"{missing:,} of {readable:,} recordings have no transcript"]

    def near_duplicate_rule(self, manifest: SpeechManifest) -> NearDuplicateRule:
        d = manifest.deduplicate
        return NearDuplicateRule(
            "acoustic",
            f"acoustic hashes at most {d.distance} of 64 bits apart, verified by spectra at a similarity of {d.accept:g} or more",
        )

    def duplicate_rounds(self, layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
        return duplicates.rounds(layout, ids)

    def late_verdicts(self, layout: Layout, index: int) -> pl.DataFrame:
        return read_parquet(layout.late_verdicts(index))

    def ledger_fields(self, manifest: SpeechManifest) -> list[pa.Field]:
        """Return who speaks, and where; how many recordings of a sentence a speaker has, of those left after deduplication."""
        d = manifest.deduplicate
        names = ["sentence_recordings", *(["similar_recordings"] if d.similar_transcripts is not None else [])]
        counts = [pa.field(name, pa.uint32()) for name in names] if d.enabled else []
        return [*(pa.field(name, pa.string()) for name in ("speaker", "programme", "second_excerpt")), *counts]

    def shard_schema(self, manifest: SpeechManifest) -> pa.Schema:
        return shard_schema(manifest)

    def row_group(self, manifest: SpeechManifest) -> RowGroup:
        return RowGroup(manifest.shards.row_group, "audio.bytes")

    def shard_rows(
        self, manifest: SpeechManifest, part: Part, batch: pl.DataFrame, ledger_rows: pl.DataFrame
    ) -> Iterator[tuple[pa.Table, np.ndarray]]:
        return shard_tables(manifest, part, batch, ledger_rows)

    def draw_pictures(self, manifest: SpeechManifest, part: Part, rows: list[int]) -> list[bytes | None]:
        return draw_recordings(manifest, part, rows)

    def split_keys(self, batch: pl.DataFrame, ledger_rows: pl.DataFrame) -> pl.Series:
        """Keep a speaker's recordings together, else a programme's, else a cluster's: a model must not be tried on voices it knows."""
        return pl.select(pl.coalesce(batch["speaker"], batch["programme"], ledger_rows["cluster_id"])).to_series()
