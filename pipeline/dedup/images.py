"""Duplicates among images: the same bytes, or perceptual hashes within a Hamming distance, verified by thumbnails.

Rounds: `facts` per partition; `index` over all of them, which also finds exact duplicates; `near` for a slice of the index at a time;
`cluster`, as for text; `captions`, which gathers the captions of every image and counts the images of every caption. What is held in
memory by `index` and `captions` is some tens of bytes per record that the rules kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from filters.kernels import buffers
from filters.pixels import VIEWS
from pipeline.dedup.clusters import THUMBNAILS, verified_groups
from pipeline.dedup.hamming import HammingIndex
from pipeline.engine import Task
from pipeline.files import atomic, read_json, write_json
from pipeline.manifest import ImageTextManifest
from pipeline.plan import Ids
from pipeline.shards import hashes
from pipeline.steps.decide import decided
from pipeline.steps.deduplicate import FACTS, Layout, cluster, gather
from pipeline.steps.measure import Part

SLICE = 100_000  # hashes whose neighbours one task looks for
# What a kept record contributes beyond FACTS.
_KEPT = np.dtype([("row", np.uint32), ("hashes", np.uint64, (VIEWS,)), ("flat", np.bool_), ("caption", np.uint64)])


def near(manifest: ImageTextManifest) -> tuple[str, str]:
    """The rule that names a near duplicate in the ledger, and how near duplicates are told."""
    d = manifest.deduplicate
    return "phash", (
        f"perceptual hashes at most {d.distance} of 64 bits apart, verified by thumbnails at a similarity of {d.accept:g} or more"
    )


def rounds(layout: Layout, ids: Ids) -> Iterator[list[Task]]:
    """The tasks of the step."""
    yield [(facts, (layout, i)) for i in range(layout.parts)]
    yield [(index, (layout,))]
    slices = read_json(_index_done(layout))["slices"]
    yield [(near_pairs, (layout, number)) for number in range(slices)]
    yield [(cluster, (layout, ids, slices + 1, THUMBNAILS))]
    yield [(captions, (layout,))]


def _kept(layout: Layout, index: int) -> Any:
    return layout.folder / f"facts-kept-{index:05d}.npy"


def _index_done(layout: Layout) -> Any:
    return layout.folder / "index.json"


def _late(layout: Layout, index: int) -> Any:
    return layout.folder / f"late-{index:05d}.parquet"


def priorities(area: np.ndarray, score: np.ndarray, first: int) -> np.ndarray:
    """uint64[n]: the larger, the better a survivor: by area in pixels (in steps of 16), then score, then the earlier in the input.

    `score` 0 to 1, `first` the number of the first record. No two records have the same.
    """
    order = np.uint64(0xFFFFFFFF) - np.arange(first, first + len(area), dtype=np.uint64)
    steps = np.minimum(area // 16, (1 << 26) - 1).astype(np.uint64)
    return (steps << np.uint64(38)) | (np.round(np.clip(score, 0, 1) * 63).astype(np.uint64) << np.uint64(32)) | order


def facts(layout: Layout, index: int) -> dict[str, Any]:
    """Write what one partition contributes."""
    done = layout.folder / f"facts-{index:05d}.json"
    if (known := read_json(done)) is not None:
        return known
    part = Part(layout.measured, index)
    table = pl.read_parquet(part.table, columns=["exact", "key_length", "flat", "area", "score", "text"])
    kept = pl.read_parquet(decided(layout.decided, index), columns=["verdict"])["verdict"] == "kept"
    found = np.empty(len(table), FACTS)
    found["priority"] = priorities(table["area"].to_numpy(), table["score"].to_numpy(), layout.bases[index])
    found["exact"], found["key_length"] = table["exact"].to_numpy(), table["key_length"].to_numpy()
    rows = np.flatnonzero(kept.to_numpy())
    here = np.empty(len(rows), _KEPT)
    here["row"] = rows
    here["hashes"], here["flat"] = np.load(part.array("hashes"), mmap_mode="r")[rows], table["flat"].to_numpy()[rows]
    here["caption"] = hashes(*buffers(table["text"].gather(rows)))
    for path, values in ((layout.facts(index), found), (_kept(layout, index), here)):
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.save(file, values)
    counts = {"kept": len(rows)}
    write_json(done, counts)
    return counts


def _all_kept(layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, FACTS and _KEPT of all records that the rules kept."""
    kept = [np.load(_kept(layout, i)) for i in range(layout.parts)]
    numbers = [k["row"].astype(np.int64) + base for k, base in zip(kept, layout.bases[:-1], strict=True)]
    whole = [np.load(layout.facts(i), mmap_mode="r")[k["row"]] for i, k in enumerate(kept)]
    return np.concatenate(numbers), np.concatenate(whole), np.concatenate(kept)


def index(layout: Layout) -> dict[str, Any]:
    """Find exact duplicates, and index the hashes of one record of each."""
    if (known := read_json(_index_done(layout))) is not None:
        return known
    numbers, found, kept = _all_kept(layout)
    order = np.lexsort((~found["priority"], found["key_length"], found["exact"]))
    numbers, found, kept = numbers[order], found[order], kept[order]
    same = (found["exact"][1:] == found["exact"][:-1]) & (found["key_length"][1:] == found["key_length"][:-1])
    first = np.concatenate([[True], ~same])[: len(numbers)]
    leader = numbers[np.maximum.accumulate(np.where(first, np.arange(len(numbers)), 0))] if len(numbers) else numbers
    pairs = np.stack([leader[~first], numbers[~first]], axis=1)
    with atomic(layout.pairs(0)) as temporary, open(temporary, "wb") as file:
        np.save(file, pairs)
    chosen = np.flatnonzero(first & ~kept["flat"])
    # An image is a member of every hash that one of its views has; within a hash, the best images first.
    hashes, members = kept["hashes"][chosen].ravel(), np.repeat(chosen, VIEWS)
    order = np.lexsort((~found["priority"][members], hashes))
    hashes, members = hashes[order], members[order]
    again = (hashes[1:] == hashes[:-1]) & (members[1:] == members[:-1])
    alone = np.concatenate([[True], ~again])[: len(members)]
    distinct, starts = np.unique(hashes[alone], return_index=True)
    members = numbers[members[alone]]
    for name, values in (("members", members), ("starts", np.append(starts, len(members)).astype(np.int64))):
        with atomic(layout.folder / f"index-{name}.npy") as temporary, open(temporary, "wb") as file:
            np.save(file, values)
    HammingIndex.build(distinct, layout.settings.distance).save(layout.folder)
    counts = {"slices": -(-len(distinct) // SLICE), "hashes": len(distinct)}
    write_json(_index_done(layout), counts)
    return counts


def near_pairs(layout: Layout, number: int) -> dict[str, Any]:
    """Verified pairs among the candidates of one slice of the index, written as int64[pairs, 2] of record numbers."""
    target = layout.pairs(number + 1)
    done = target.with_suffix(".json")
    if (known := read_json(done)) is not None:
        return known
    tables = HammingIndex.load(layout.folder)
    members, starts = (np.load(layout.folder / f"index-{name}.npy", mmap_mode="r") for name in ("members", "starts"))
    first, last = number * SLICE, min((number + 1) * SLICE, len(starts) - 1)
    left, right, _ = tables.pairs(first, last, layout.settings.distance)
    # Candidates are groups of records with one hash, and pairs of such groups.
    groups = np.unique(np.concatenate([np.arange(first, last), left, right]))
    sizes = starts[groups + 1] - starts[groups]
    where = np.concatenate([[0], np.cumsum(sizes)])
    records = members[np.repeat(starts[groups] - where[:-1], sizes) + np.arange(where[-1])]
    nodes, rows = np.unique(records, return_inverse=True)
    _, thumbnails = gather(layout, nodes)
    a, b = verified_groups(
        where, rows, np.searchsorted(groups, np.arange(first, last)), np.searchsorted(groups, left),
        np.searchsorted(groups, right), thumbnails, layout.settings.accept,
    )  # fmt: skip
    pairs = np.unique(np.stack([nodes[a], nodes[b]], axis=1), axis=0)
    with atomic(target) as temporary, open(temporary, "wb") as file:
        np.save(file, pairs)
    counts = {"candidates": len(left), "pairs": len(pairs)}
    write_json(done, counts)
    return counts


def captions(layout: Layout) -> dict[str, Any]:
    """Captions of every image's duplicates, and the images beyond the cap of one caption; a small Parquet file per partition."""
    done = layout.folder / "captions.json"
    if (known := read_json(done)) is not None:
        return known
    numbers, found, kept = _all_kept(layout)
    clusters = pl.concat(
        pl.read_parquet(layout.clusters(i), columns=["row", "survivor"]).with_columns(
            number=pl.col("row").cast(pl.Int64) + base
        )
        for i, base in enumerate(layout.bases[:-1])
    )
    texts, amounts = [], []
    for i, base in enumerate(layout.bases[:-1]):
        table = pl.scan_parquet(Part(layout.measured, i).table).select("text", "amount")
        here = clusters.filter(pl.col("number").is_between(base, layout.bases[i + 1] - 1))["number"] - base
        texts.append(table.select("text").collect().to_series().gather(here))
        amounts.append(table.select("amount").collect().to_series().to_numpy())
    gathered = (
        clusters.with_columns(text=pl.concat(texts))
        .sort(pl.col("survivor"), pl.col("number") != pl.col("survivor"), "number")
        .group_by("survivor", maintain_order=True)
        .agg(captions=pl.col("text").unique(maintain_order=True))
        .rename({"survivor": "number"})
    )
    duplicates = clusters.filter(pl.col("number") != pl.col("survivor"))["number"].to_numpy()
    left = ~np.isin(numbers, duplicates)
    frame = (
        pl.DataFrame({"number": numbers[left], "caption": kept["caption"][left], "priority": found["priority"][left]})
        .with_columns(
            caption_images=pl.len().over("caption").cast(pl.UInt32),
            rank=pl.col("priority").rank("ordinal", descending=True).over("caption"),
        )
        .sort("number")
        .join(gathered, on="number", how="left", maintain_order="left")
    )
    cap = layout.settings.same_caption
    surplus = pl.col("rank") > cap if cap is not None else pl.lit(False)
    frame = frame.with_columns(
        rule=pl.when(surplus).then(pl.lit("same_caption")),
        value=pl.when(surplus).then(pl.col("caption_images").cast(pl.String)),
        bound=pl.when(surplus).then(pl.lit(f"<= {cap}")),
    )
    dropped = [0, 0]
    cuts = np.searchsorted(frame["number"].to_numpy(), layout.bases)
    for i, base in enumerate(layout.bases[:-1]):
        piece = frame[int(cuts[i]) : int(cuts[i + 1])].with_columns(row=(pl.col("number") - base).cast(pl.UInt32))
        over = piece.filter(pl.col("rule").is_not_null())["row"].to_numpy()
        dropped = [dropped[0] + len(over), dropped[1] + int(amounts[i][over].sum())]
        with atomic(_late(layout, i)) as temporary:
            piece.select("row", "rule", "value", "bound", "caption_images", "captions").write_parquet(temporary)
    counts = {"rules": {"same_caption": dropped} if dropped[0] else {}, "gathered": int(gathered["captions"].list.len().sum())}
    write_json(done, counts)
    return counts


def late(layout: Layout, index: int) -> pl.DataFrame | None:
    """Records that are left (and no duplicates): how many images carry their caption, whether that is too many, all captions."""
    return pl.read_parquet(_late(layout, index))
