"""Duplicates among images: the same bytes, or perceptual hashes within a Hamming distance, verified by thumbnails.

After the rounds of `pipeline.dedup.perceptual`, `captions` gathers the captions of every image and counts the images of every caption.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from pipeline.core.engine import Task
from pipeline.core.storage import read_json, write_json
from pipeline.dedup import perceptual
from pipeline.dedup.clusters import THUMBNAILS
from pipeline.dedup.perceptual import late
from pipeline.manifest.loading import ImageTextManifest
from pipeline.plan import Ids
from pipeline.steps.deduplicate import Layout
from pipeline.steps.measure import Part

__all__ = ["late", "near", "rounds"]


def near(manifest: ImageTextManifest) -> tuple[str, str]:
    """The rule that names a near duplicate in the ledger, and how near duplicates are told."""
    d = manifest.deduplicate
    return "phash", (
        f"perceptual hashes at most {d.distance} of 64 bits apart, verified by thumbnails at a similarity of {d.accept:g} or more"
    )


def rounds(layout: Layout, ids: Ids) -> Iterator[list[Task]]:
    """The tasks of the step."""
    yield from perceptual.rounds(layout, ids, THUMBNAILS)
    yield [(captions, (layout,))]


def captions(layout: Layout) -> dict[str, Any]:
    """Captions of every image's duplicates, and the images beyond the cap of one caption; a small Parquet file per partition."""
    done = layout.folder / "captions.json"
    if (known := read_json(done)) is not None:
        return known
    clusters = perceptual.clusters(layout)
    texts = []
    for i, base in enumerate(layout.bases[:-1]):
        here = clusters.filter(pl.col("number").is_between(base, layout.bases[i + 1] - 1))["number"] - base
        texts.append(pl.read_parquet(Part(layout.measured, i).table, columns=["text"]).to_series().gather(here))
    gathered = (
        clusters.with_columns(text=pl.concat(texts))
        .sort(pl.col("survivor"), pl.col("number") != pl.col("survivor"), "number")
        .group_by("survivor", maintain_order=True)
        .agg(captions=pl.col("text").unique(maintain_order=True))
        .rename({"survivor": "number"})
    )
    frame = perceptual.left(layout).join(gathered, on="number", how="left", maintain_order="left")
    rules = perceptual.cap(layout, frame, perceptual.Cap("same_caption", layout.settings.same_caption, "caption_images"))
    counts = {"rules": rules, "gathered": int(gathered["captions"].list.len().sum())}
    write_json(done, counts)
    return counts
