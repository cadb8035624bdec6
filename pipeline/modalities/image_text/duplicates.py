"""Duplicates among images: the same bytes, or perceptual hashes within a Hamming distance, verified by thumbnails.

After the rounds of `pipeline.dedup.perceptual`, `captions` gathers the captions of every image and counts the images of every caption.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from pipeline.core.engine import Task
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup import perceptual
from pipeline.dedup.perceptual import Cap
from pipeline.dedup.verification import THUMBNAILS
from pipeline.workspace import Layout, RecordIds


def rounds(layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
    """Yield the rounds of tasks."""
    yield from perceptual.rounds(layout, ids, THUMBNAILS)
    yield [(gather_captions, (layout,))]


@resumable(lambda layout: layout.folder / "captions.json")
def gather_captions(layout: Layout) -> Counts:
    """Gather the captions of every image's duplicates, and cap the images of one caption; write `Layout.late_verdicts`."""
    clusters = perceptual.load_clusters(layout)
    texts = [
        read_parquet(layout.part(index).table, columns=["text"])["text"].gather(clusters["number"][span] - layout.bases[index])
        for index, span in layout.spans(clusters["number"].to_numpy())
    ]
    gathered = (
        clusters.with_columns(text=pl.concat(texts))
        .sort(pl.col("survivor"), pl.col("number") != pl.col("survivor"), "number")
        .group_by("survivor", maintain_order=True)
        .agg(captions=pl.col("text").unique(maintain_order=True))
        .rename({"survivor": "number"})
    )
    frame = perceptual.surviving_records(layout).join(gathered, on="number", how="left", maintain_order="left")
    rules = perceptual.cap_records(layout, frame, Cap("same_caption", layout.settings.same_caption, "caption_images"))
    return {"rules": rules, "gathered": int(gathered["captions"].list.len().sum())}
