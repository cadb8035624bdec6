"""Step 4, write: kept records to shards, every record to the ledger. The other pass over text."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import atomic, read_json, write_json
from pipeline.ledger import ledger_frame, schema
from pipeline.manifest import Manifest
from pipeline.shards import TEXT, ShardWriter, held_out, shard_name
from pipeline.steps.decide import decided
from pipeline.steps.deduplicate import CLUSTER_SCHEMA, Layout
from pipeline.steps.measure import Part

VERSION = 1
_BATCH = 4096  # records in memory at a time
_LEDGER_ROW_GROUP = 16384


@dataclass(frozen=True)
class Group:
    """Consecutive partitions that become one training shard and one ledger file."""

    number: int
    first: int
    last: int  # exclusive


def groups(text_bytes: list[int], size: int) -> list[Group]:
    """Cut partitions with so many bytes of text each into groups of about `size` bytes: the same on any machine."""
    found, first, total = list[Group](), 0, 0
    for index, count in enumerate(text_bytes):
        total += count
        if total >= size or index == len(text_bytes) - 1:
            found.append(Group(len(found), first, index + 1))
            first, total = index + 1, 0
    return found


def _batches(path: Path) -> Any:
    file = pq.ParquetFile(path)
    columns = [
        name
        for name in file.schema_arrow.names
        if name in ("offset", "unreadable", "head", "chars_in", "text") or name.startswith("m:")
    ]
    yield from (pl.DataFrame(pl.from_arrow(batch)) for batch in file.iter_batches(_BATCH, columns=columns))


def write(manifest: Manifest, layout: Layout, group: Group, count: int, ids: Any, folder: Path) -> dict[str, Any]:
    """Write one group's shard, held-out records and ledger file below `folder`; returns counts by verdict."""
    done = folder / f"group-{group.number:05d}.json"
    if (known := read_json(done)) is not None:
        return known
    began = time.perf_counter()
    settings = manifest.shards
    measures = pl.read_parquet_schema(Part(layout.measured, group.first).table)
    verdict_counts: dict[str, list[int]] = {}
    split_counts = {"train": [0, 0], "validation": [0, 0]}
    with ExitStack() as stack:

        def writer(path: Path, table_schema: pa.Schema, row_group: int, dictionary: list[str]) -> ShardWriter:
            made = ShardWriter(
                stack.enter_context(atomic(path)), table_schema, row_group, settings.compression_level, dictionary
            )
            stack.callback(made.close)
            return made

        repeated = ["source", "license", "language"]
        train = writer(folder / "data" / shard_name("train", group.number, count), TEXT, settings.row_group, repeated)
        validation = writer(folder / "validation" / f"{group.number:05d}.parquet", TEXT, settings.row_group, repeated)
        ledger = writer(
            folder / "ledger" / f"ledger-{group.number:05d}-of-{count:05d}.parquet",
            schema(pl.Schema(measures)),
            _LEDGER_ROW_GROUP,
            ["verdict", "step", "rule", "bound", "language"],
        )
        for index in range(group.first, group.last):
            verdicts = pl.read_parquet(decided(layout.decided, index))
            clusters = (
                pl.read_parquet(layout.clusters(index)) if manifest.deduplicate.enabled else pl.DataFrame(schema=CLUSTER_SCHEMA)
            )
            at = 0
            for batch in _batches(Part(layout.measured, index).table):
                here = clusters.filter(pl.col("row").is_between(at, at + len(batch) - 1)).with_columns(row=pl.col("row") - at)
                names = pl.Series("id", ids(index, batch["offset"].to_numpy()), pl.String)
                rows = ledger_frame(batch, verdicts.slice(at, len(batch)), here, names, layout.accept)
                at += len(batch)
                ledger.write(rows.to_arrow().cast(ledger.schema))
                sums = (
                    rows.with_columns(chars_in=batch["chars_in"])
                    .group_by("verdict")
                    .agg(pl.len(), pl.sum("chars_in"), pl.sum("chars"))
                )
                for verdict, records, chars_in, chars in sums.iter_rows():
                    total = verdict_counts.setdefault(verdict, [0, 0, 0])
                    verdict_counts[verdict] = [total[0] + records, total[1] + int(chars_in), total[2] + int(chars)]
                kept = (rows["verdict"] == "kept").to_numpy()
                chosen = rows.filter(kept).select(
                    "id",
                    pl.Series("text", batch["text"].filter(kept)),
                    pl.lit(manifest.name).alias("source"),
                    pl.lit(manifest.license).alias("license"),
                    (pl.col("language") if "language" in rows.columns else pl.lit(None, pl.String)).alias("language"),
                    (pl.col("language_score") if "language_score" in rows.columns else pl.lit(None, pl.Float32)).alias(
                        "language_score"
                    ),
                    "chars",
                    "cluster_size",
                    "cluster_id",
                )
                out = held_out(chosen["cluster_id"], settings.validation)
                chosen = chosen.drop("cluster_id")
                for split, into, mask in (("train", train, ~out), ("validation", validation, out)):
                    piece = chosen.filter(mask)
                    if len(piece):
                        into.write(piece.to_arrow())
                        split_counts[split][0] += len(piece)
                        split_counts[split][1] += int(piece["chars"].sum())
    counts = {"verdicts": verdict_counts, "splits": split_counts, "seconds": round(time.perf_counter() - began, 3)}
    write_json(done, counts)
    return counts


def finish(manifest: Manifest, folder: Path, count: int) -> list[str]:
    """Join the held-out records of all groups to validation shards; returns the names of all shards."""
    data = folder / "data"
    pieces = [folder / "validation" / f"{number:05d}.parquet" for number in range(count)]
    sizes = [
        sum(m.row_group(i).total_byte_size for i in range(m.num_row_groups)) for m in (pq.read_metadata(p) for p in pieces)
    ]
    parts = groups(sizes, manifest.shards.size) if sum(sizes) else []
    for part in parts:
        with atomic(data / shard_name("validation", part.number, len(parts))) as temporary, ExitStack() as stack:
            into = ShardWriter(
                temporary, TEXT, manifest.shards.row_group, manifest.shards.compression_level, ["source", "license", "language"]
            )
            stack.callback(into.close)
            for number in range(part.first, part.last):
                for batch in pq.ParquetFile(pieces[number]).iter_batches(_BATCH):
                    into.write(pa.Table.from_batches([batch]))
    return sorted(path.name for path in data.glob("*.parquet"))
