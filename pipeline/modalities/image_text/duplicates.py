"""Duplicates among images: the same bytes, or perceptual hashes within a Hamming distance, verified by thumbnails.

After the rounds of `pipeline.dedup.perceptual`, `gather_captions` gathers the captions of every image and counts the images of every
caption. Captions are those of copies: the same bytes, or so much alike (`NEAR_IDENTITY`) that what is said of one is true of the other. An
image that is merely a near duplicate (cropped, another exposure, a page that cannot be compared letter by letter) takes its caption along.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from filters.image.fingerprint import NEAR_IDENTITY
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
    """Gather the captions of every image's copies, and cap the images of one caption; write `Layout.late_verdicts`."""
    clusters = perceptual.load_copies(layout, NEAR_IDENTITY)
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
