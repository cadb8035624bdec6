"""Step 4, write: kept records to shards, every record to the ledger. The other pass over content."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.shards import ShardWriter, choose_held_out, name_shard
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.ledger import ledger_frame, schema
from pipeline.manifest.loading import Manifest
from pipeline.steps.decide import decided
from pipeline.steps.deduplicate import CLUSTER_SCHEMA, Layout
from pipeline.steps.measure import Part

VERSION = 3
_BATCH = 4096  # records in memory at a time
_LEDGER_ROW_GROUP = 16384
REPEATED = ["source", "license", "language"]  # columns of shards worth a dictionary


@dataclass(frozen=True)
class Group:
    """Consecutive partitions that become one training shard and one ledger file."""

    number: int
    first: int
    last: int  # exclusive


def groups(payloads: list[int], size: int) -> list[Group]:
    """Cut partitions with so many bytes each into groups of about `size` bytes: the same on any machine."""
    found, first, total = list[Group](), 0, 0
    for index, count in enumerate(payloads):
        total += count
        if total >= size or index == len(payloads) - 1:
            found.append(Group(len(found), first, index + 1))
            first, total = index + 1, 0
    return found


def _batches(path: Path) -> Iterator[pl.DataFrame]:
    file = pq.ParquetFile(path)
    at = 0
    for batch in file.iter_batches(_BATCH):
        frame = pl.DataFrame(pl.from_arrow(batch))
        yield frame.with_row_index("row", at)
        at += len(frame)


def _rebased(frame: pl.DataFrame, at: int, count: int) -> pl.DataFrame:
    """The rows `at` to `at + count` - 1 of a frame with a column `row`, counted from `at`."""
    return frame.filter(pl.col("row").is_between(at, at + count - 1)).with_columns(row=pl.col("row") - at)


def _runs(mask: np.ndarray) -> Iterator[tuple[bool, int, int]]:
    """`(value, first, last)` of every run of equal values: slices, unlike filters, copy nothing."""
    edges = [0, *(np.flatnonzero(np.diff(mask)) + 1).tolist(), len(mask)]
    for first, last in zip(edges, edges[1:], strict=False):
        if first < last:
            yield bool(mask[first]), first, last


def write(manifest: Manifest, layout: Layout, group: Group, count: int, ids: Any, folder: Path) -> dict[str, Any]:
    """Write one group's shard, held-out records and ledger file below `folder`; returns counts by verdict."""
    from pipeline.modalities import modality

    done = folder / f"group-{group.number:05d}.json"
    if (known := read_json(done)) is not None:
        return known
    began = time.perf_counter()
    settings, kind = manifest.shards, modality(manifest)
    measures = pl.read_parquet_schema(Part(layout.measured, group.first).table)
    words = [name[2:] for name, kind_of in measures.items() if name.startswith("m:") and kind_of == pl.String]
    more = kind.ledger_fields(manifest)
    near = kind.near(manifest)[0]
    verdict_counts: dict[str, list[int]] = {}
    split_counts = {"train": [0, 0], "validation": [0, 0]}
    with ExitStack() as stack:

        def writer(path: Path, table_schema: pa.Schema, row_group: tuple[int, str | None], repeated: list[str]) -> ShardWriter:
            made = ShardWriter(
                stack.enter_context(write_atomically(path)), table_schema, *row_group, settings.compression_level, repeated
            )
            stack.callback(made.close)
            return made

        def shard(path: Path) -> ShardWriter:
            return writer(path, kind.schema(manifest), kind.row_group(manifest), REPEATED)

        train = shard(folder / "data" / name_shard("train", group.number, count))
        validation = shard(folder / "validation" / f"{group.number:05d}.parquet")
        ledger = writer(
            folder / "ledger" / f"ledger-{group.number:05d}-of-{count:05d}.parquet",
            schema(pl.Schema(measures), more),
            (_LEDGER_ROW_GROUP, None),
            ["verdict", "step", "rule", "bound", *(name for name in words if name != "phash")],
        )
        for index in range(group.first, group.last):
            part = Part(layout.measured, index)
            verdicts = pl.read_parquet(decided(layout.decided, index))
            if manifest.deduplicate.enabled:
                clusters, late = pl.read_parquet(layout.clusters(index)), kind.late(layout, index)
            else:
                clusters, late = pl.DataFrame(schema=CLUSTER_SCHEMA), None
            # What the step deduplicate found out goes to shards, too; of what was measured they have the batch.
            found = [] if late is None else [n for n in late.columns if n not in ("row", "rule", "value", "bound")]
            shown = list(dict.fromkeys([*found, *(field.name for field in more)]))
            for batch in _batches(part.table):
                at, here = int(batch["row"][0]), len(batch)
                rows = ledger_frame(
                    batch.drop("row", "exact", "key_length"),
                    verdicts.slice(at, here),
                    _rebased(clusters, at, here),
                    None if late is None else _rebased(late, at, here),
                    pl.Series("names", ids(index, batch["locator"]), pl.String),
                    near,
                    getattr(manifest.deduplicate, "accept", 1.0),
                    shown,
                )
                ledger.write(rows.select(ledger.schema.names).to_arrow().cast(ledger.schema))
                sums = (
                    pl.DataFrame([rows["verdict"], batch["amount_in"], batch["amount"]])
                    .group_by("verdict")
                    .agg(pl.len(), pl.sum("amount_in"), pl.sum("amount"))
                )
                for verdict, *values in sums.iter_rows():
                    total = verdict_counts.setdefault(verdict, [0, 0, 0])
                    verdict_counts[verdict] = [a + int(b) for a, b in zip(total, values, strict=True)]
                kept = rows["verdict"] == "kept"
                chosen, wanted = rows.filter(kept), batch.filter(kept)
                out = choose_held_out(kind.kept_together(wanted, chosen), settings.validation)
                for table, of in kind.shard_rows(manifest, part, wanted, chosen):
                    for held, first, last in _runs(out[of]):
                        (validation if held else train).write(table.slice(first, last - first))
                amounts = wanted["amount"].to_numpy()
                for split, which in (("train", ~out), ("validation", out)):
                    split_counts[split][0] += int(which.sum())
                    split_counts[split][1] += int(amounts[which].sum())
    counts = {"verdicts": verdict_counts, "splits": split_counts, "seconds": round(time.perf_counter() - began, 3)}
    write_json(done, counts)
    return counts


def finish(manifest: Manifest, folder: Path, count: int) -> list[str]:
    """Join the held-out records of all groups to validation shards; returns the names of all shards."""
    from pipeline.modalities import modality

    data, kind = folder / "data", modality(manifest)
    pieces = [folder / "validation" / f"{number:05d}.parquet" for number in range(count)]
    sizes = [
        sum(m.row_group(i).total_byte_size for i in range(m.num_row_groups)) for m in (pq.read_metadata(p) for p in pieces)
    ]
    parts = groups(sizes, manifest.shards.size) if sum(sizes) else []
    for part in parts:
        with write_atomically(data / name_shard("validation", part.number, len(parts))) as temporary, ExitStack() as stack:
            into = ShardWriter(
                temporary, kind.schema(manifest), *kind.row_group(manifest), manifest.shards.compression_level, REPEATED
            )
            stack.callback(into.close)
            for number in range(part.first, part.last):
                file = pq.ParquetFile(pieces[number])
                for index in range(file.num_row_groups):
                    into.write(file.read_row_group(index))
    return sorted(path.name for path in data.glob("*.parquet"))
