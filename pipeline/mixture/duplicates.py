"""Duplicates across the parts: found by stored signatures, as within a corpus. Then clusters are joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError
from pipeline.core.storage import write_atomically
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.core.vouching import read_marker, write_marker
from pipeline.dedup import minhash
from pipeline.dedup.clusters import CLUSTER_SCHEMA, find_components
from pipeline.mixture.plan import MixturePlan
from pipeline.mixture.records import Partition, TakenIds, mixed_part
from pipeline.workspace import Layout, remove_step_files

# What only the search for pairs needs.
_SCRATCH = ("facts-*.npy", "pairs-*.npy", "cluster-*.npy")
# Of the records whose cluster is more than themselves.
MIXED_SCHEMA: dict[str, Any] = {
    "row": pl.UInt32,
    "duplicate_of": pl.String,
    "similarity": pl.Float32,
    "exact": pl.Boolean,
    "cluster_id": pl.String,
    "cluster_size": pl.UInt32,  # records of the parts' inputs
    "seen": pl.List(pl.UInt16),  # numbers of the parts that have it
}


def mixed_file(folder: Path, index: int) -> Path:
    """Return the Parquet file of what was found out about a partition's records, where there is more than one in their cluster."""
    return folder / f"mixed-{index:05d}.parquet"


@resumable(lambda layout, corpora: layout.folder / "mixed.json")
def join_clusters(layout: Layout, corpora: tuple[int, ...]) -> Counts:
    """Join the clusters of the mixture with those that the parts had found; one small file per partition.

    Survivors of one cluster of a part stay in one cluster, whatever they are similar to in other parts, so that they are in one split.
    `corpora` has the number of the part of each partition. Returns `lost`: how many records of part i are duplicates of part j's;
    `exact` and `near`: of which kind these are; `shared`: how many survivors are in several parts.
    """
    frame = _gather(layout, corpora)
    frame = frame.with_columns(cluster=_number_components(frame))
    heads = frame.group_by("cluster").agg(pl.col("id").sort_by("number").first().alias("cluster_id"))
    # A part's cluster counts once, however many of its records survived there.
    sizes = frame.unique(["cluster", "own"]).group_by("cluster").agg(pl.sum("own_size").cast(pl.UInt32).alias("cluster_size"))
    ids = frame.select(pl.col("number").alias("survivor"), pl.col("id").alias("survivor_id"))
    seen = frame.group_by("survivor").agg(pl.col("corpus").unique().sort().alias("seen"))
    survivors = frame.select(pl.col("number").alias("survivor"), pl.col("corpus").alias("survivor_corpus"))
    for other, key in ((heads, "cluster"), (sizes, "cluster"), (ids, "survivor"), (seen, "survivor"), (survivors, "survivor")):
        frame = frame.join(other, on=key, how="left")
    is_duplicate = pl.col("survivor") != pl.col("number")
    frame = frame.with_columns(duplicate_of=pl.when(is_duplicate).then("survivor_id")).sort("number")
    for index, span in layout.spans(frame["number"].to_numpy()):
        rows = frame[span].with_columns(row=(pl.col("number") - layout.bases[index]).cast(pl.UInt32))
        with write_atomically(mixed_file(layout.folder, index)) as temporary:
            rows.select(pl.col(name).cast(kind) for name, kind in MIXED_SCHEMA.items()).write_parquet(temporary)
    lost = frame.filter(is_duplicate).group_by("corpus", "survivor_corpus").len().sort("corpus", "survivor_corpus")
    return {
        "lost": [[int(value) for value in row] for row in lost.iter_rows()],
        "exact": int(frame.filter(is_duplicate & pl.col("exact")).height),
        "near": int(frame.filter(is_duplicate & ~pl.col("exact")).height),
        "shared": frame.filter(~is_duplicate & (pl.col("seen").list.len() > 1)).height,
    }


def _gather(layout: Layout, corpora: Sequence[int]) -> pl.DataFrame:
    """Return the records that are in a cluster of the mixture, or that share a cluster of their part with another survivor."""
    columns = ["kept", "locator", "cluster", "cluster_size"]
    tables = [layout.part(index).table for index in range(layout.partitions)]
    # Heads of clusters bear the cluster's name. A part's cluster matters where it has another survivor, too.
    shared = pl.concat(
        [
            read_parquet(table, columns=columns[:3]).filter(pl.col("kept") & (pl.col("cluster") != pl.col("locator")))[
                "cluster"
            ]
            for table in tables
        ]
        or [pl.Series("cluster", [], pl.String)]
    ).unique()
    frames = []
    for index, table in enumerate(tables):
        base = layout.bases[index]
        records = read_parquet(table, columns=columns).with_row_index("row").filter("kept")
        path = layout.clusters(index)
        clusters = read_parquet(path) if path.is_file() else pl.DataFrame(schema=CLUSTER_SCHEMA)
        found = clusters.select("row", "similarity", "exact", "survivor", pl.col("cluster_id").alias("mixed"))
        records = records.join(found, on="row", how="left")
        records = records.filter(pl.col("mixed").is_not_null() | pl.col("cluster").is_in(shared.implode()))
        number = pl.col("row").cast(pl.Int64) + base
        frames.append(
            records.select(
                number.alias("number"),
                pl.lit(corpora[index], pl.UInt16).alias("corpus"),
                pl.col("locator").alias("id"),
                pl.col("cluster").alias("own"),
                pl.col("cluster_size").cast(pl.Int64).alias("own_size"),
                "mixed",
                pl.coalesce("survivor", number).alias("survivor"),
                "similarity",
                "exact",
            )
        )
    return pl.concat(frames)


def _number_components(frame: pl.DataFrame) -> pl.Series:
    """Return the number of every record's component, in the graph whose edges lead from records to their clusters."""
    count = len(frame)
    records, clusters, nodes = [np.arange(0)], [np.arange(0)], count
    for name in ("own", "mixed"):
        column = frame[name]
        is_member = column.is_not_null().to_numpy()
        numbers = column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        records.append(np.flatnonzero(is_member))
        clusters.append(nodes - 1 + numbers[is_member])
        nodes += int(numbers.max(initial=0))
    components = find_components(nodes, np.concatenate(records), np.concatenate(clusters))
    return pl.Series("cluster", components[:count])


def read_mixed(folder: Path, index: int) -> pl.DataFrame:
    """Return id, cluster and amount of every record that a partition's part kept, and of which it is a duplicate in the mixture.

    `seen` are the numbers of the parts that have the record, null for those of its own part alone.
    """
    records = read_parquet(mixed_part(folder, index).table).with_row_index("row").filter("kept")
    mixed = read_parquet(mixed_file(folder, index))
    own = pl.col("locator").alias("id"), pl.col("cluster_size").alias("own_size"), "row", "amount", "payload"
    frame = records.select(*own).join(mixed, on="row", how="left", maintain_order="left")
    return frame.with_columns(
        # What is in no cluster of several survivors is a cluster of its own.
        pl.coalesce("cluster_id", "id").alias("cluster_id"),
        pl.coalesce("cluster_size", "own_size").alias("cluster_size"),
    ).drop("own_size")


def read_survivors(folder: Path, index: int) -> pl.DataFrame:
    """Return what `read_mixed` does of the records that are no duplicates in the mixture."""
    return read_mixed(folder, index).filter(pl.col("duplicate_of").is_null())


# -- on the driver


def check_weights(plan: MixturePlan, lost: Sequence[Sequence[int]]) -> None:
    """Raise BuildError where a part has a weight, and nothing is left of it: the mixture, as large as the weights allow, would be empty.

    `lost`: as `join_clusters` returns it.
    """
    if plan.manifest.total is not None:
        return
    for number, (corpus, part) in enumerate(zip(plan.corpora, plan.manifest.mixture, strict=True)):
        winners = [(plan.corpora[winner].name, count) for loser, winner, count in lost if loser == number]
        if part.weight is not None and sum(count for _, count in winners) == corpus.kept[0]:
            counts = ", ".join(f"{count:,} of {name}'s" for name, count in winners)
            raise BuildError(
                f"{plan.manifest.name}: [[mixture]] {part.corpus}: its weight of {part.weight:g} cannot be met: nothing of it is left. "
                f"All of its {corpus.kept[0]:,} documents are duplicates: {counts}. Drop this part, give it a higher priority, "
                f"or mix by budgets (tokens, chars) instead of weights"
            )


def run(plan: MixturePlan, engine: Engine, layout: Layout, partitions: Sequence[Partition]) -> dict[str, Any]:
    """Find duplicates across the parts, unless an earlier run did; return counts."""
    marker = plan.workspace.duplicates
    if (counts := read_marker(marker)) is not None:
        return dict(counts)
    progress = engine.step("deduplicate", total=1)
    if layout.settings.enabled:
        for tasks in minhash.rounds(layout, TakenIds()):
            for _ in engine.run("deduplicating", tasks):
                pass
    corpora = tuple(partition.corpus for partition in partitions)
    ((_, counts),) = engine.run("deduplicating", [(join_clusters, (layout, corpora))])
    progress.records = layout.kept
    progress.finish()
    write_marker(marker, counts)
    remove_step_files(layout.folder, _SCRATCH)
    return dict(counts)
