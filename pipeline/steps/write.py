"""Step 4, write: kept records to shards, every record to the ledger. The other pass over content."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.checksums import FileEntry, describe_staged
from pipeline.core.engine import Engine, Task
from pipeline.core.ownership import remove_known
from pipeline.core.shards import ShardWriter, choose_held_out, name_shard
from pipeline.core.storage import collect_written, write_atomically
from pipeline.core.tables import open_parquet, read_parquet, read_parquet_schema
from pipeline.core.tasks import Counts, resumable
from pipeline.core.vouching import write_marker
from pipeline.dedup.clusters import CLUSTER_SCHEMA
from pipeline.manifest.model import Manifest
from pipeline.modalities import modality_of
from pipeline.modalities.base import SAMPLES, RowGroup, count_lines, most_frequent
from pipeline.modalities.licenses import LicenseCounts
from pipeline.plan import Plan
from pipeline.steps.conservation import guard_inputs
from pipeline.steps.decide import Decided
from pipeline.steps.ledger import ledger_frame, ledger_schema
from pipeline.steps.losses import Losses, find_losses, losses_file
from pipeline.steps.measure import Measured
from pipeline.steps.strip import read_furniture, search_of
from pipeline.workspace import REASON, Layout, Part, RecordIds, is_step_file, verdicts_file

_BATCH = 4096  # records in memory at a time
_MOST_SAMPLES = 100_000  # distinct removed lines in memory
_LEDGER_ROW_GROUP = 16384
_DICTIONARY_COLUMNS = ["source", "license", "language"]  # of shards: their values repeat
_LEDGER_DICTIONARY = ["source", "verdict", "step", "rule", "value_text", "bound", "bound_text"]
_LATE_RULE = ("row", "step", *REASON)


@dataclass(frozen=True)
class Group:
    """Consecutive partitions, `first` to `stop` - 1, that become one training shard and one ledger file."""

    number: int
    first: int
    stop: int


def group_partitions(payloads: list[int], size: int) -> list[Group]:
    """Group partitions (or files of held-out records) of so many bytes each into groups of about `size` bytes, the same anywhere."""
    groups, first, total = list[Group](), 0, 0
    for index, count in enumerate(payloads):
        total += count
        if total >= size or index == len(payloads) - 1:
            groups.append(Group(len(groups), first, index + 1))
            first, total = index + 1, 0
    return groups


# -- on a worker


class _Files:
    """The files that one group becomes: a training shard, its held-out records and its ledger."""

    def __init__(self, stack: ExitStack, manifest: Manifest, layout: Layout, group: Group, count: int, folder: Path) -> None:
        self._stack, self._level = stack, manifest.shards.compression_level
        modality = modality_of(manifest)
        measured = read_parquet_schema(layout.part(group.first).table)
        words = [name[2:] for name, kind in measured.items() if name.startswith("m:") and kind == pl.String]
        shard = modality.shard_schema(manifest), modality.row_group(manifest), _DICTIONARY_COLUMNS
        ledger = folder / "ledger" / name_shard("ledger", group.number, count)
        self.train = self._open(folder / "data" / name_shard("train", group.number, count), *shard)
        self.validation = self._open(folder / "validation" / f"{group.number:05d}.parquet", *shard)
        self.ledger = self._open(
            ledger,
            ledger_schema(pl.Schema(measured), modality.ledger_fields(manifest)),
            RowGroup(_LEDGER_ROW_GROUP),
            [*_LEDGER_DICTIONARY, *(name for name in words if name != "phash")],
        )

    def _open(self, path: Path, schema: pa.Schema, row_group: RowGroup, dictionary: list[str]) -> ShardWriter:
        writer = ShardWriter(
            self._stack.enter_context(write_atomically(path)), schema, row_group.size, row_group.column, self._level, dictionary
        )
        self._stack.callback(writer.close)
        return writer


def _group_marker(folder: Path, group: Group) -> Path:
    return folder / f"group-{group.number:05d}.json"


@resumable(lambda manifest, layout, stripped, group, count, ids, folder: _group_marker(folder, group))
def write(
    manifest: Manifest, layout: Layout, stripped: Path | None, group: Group, count: int, ids: RecordIds, folder: Path
) -> Counts:
    """Write one group's shard, held-out records and ledger file below `folder`; return counts by verdict and split.

    `stripped` is the folder of the step strip, None where no lines are removed.
    """
    began = time.perf_counter()
    verdicts: dict[str, list[int]] = {}
    splits = {"train": [0, 0], "validation": [0, 0]}
    shard_rows = 0
    losses, licenses, samples = Losses(), LicenseCounts(), count_lines(pl.Series([], dtype=pl.String))
    with ExitStack() as stack:
        files = _Files(stack, manifest, layout, group, count, folder)
        for index in range(group.first, group.stop):
            for batch, rows, removed in _ledger_batches(manifest, layout, stripped, ids, index):
                files.ledger.write(rows.select(files.ledger.schema.names).to_arrow().cast(files.ledger.schema))
                _count_verdicts(verdicts, batch, rows)
                losses.add(batch, rows)
                kept = batch.filter(rows["verdict"] == "kept")
                licenses.add(kept["own:license"].fill_null(manifest.license), kept["amount"])
                samples = _add_samples(samples, removed)
                shard_rows += _write_kept(manifest, layout.part(index), batch, rows, files, splits)
    losses.write(losses_file(folder, group.number))
    return {
        "verdicts": verdicts,
        "splits": splits,
        "licenses": licenses.rows(),
        "rows": shard_rows,
        "samples": most_frequent(samples, SAMPLES),
        "seconds": round(time.perf_counter() - began, 3),
    }


def _add_samples(samples: pl.DataFrame, removed: pl.Series) -> pl.DataFrame:
    """Add removed lines to those that were counted; rare ones are forgotten where there are many."""
    if not len(removed):
        return samples
    both = pl.concat([samples, count_lines(removed)]).group_by("line").agg(pl.sum("count"))
    return both if len(both) <= _MOST_SAMPLES else both.sort("count", "line", descending=[True, False]).head(_MOST_SAMPLES // 2)


class Findings(NamedTuple):
    """What the steps before found out about a partition.

    `verdicts` row for row; `clusters`, `late` (verdicts of later steps than decide) and `removed` (lines that recur) by `row`.
    """

    verdicts: pl.DataFrame
    clusters: pl.DataFrame
    late: pl.DataFrame | None
    removed: pl.DataFrame


def read_findings(manifest: Manifest, layout: Layout, stripped: Path | None, index: int) -> Findings:
    """Read what the steps found out. `stripped` is the folder of the step strip, None where no lines are removed."""
    verdicts = read_parquet(verdicts_file(layout.decided, index))
    if manifest.deduplicate.enabled:
        clusters, late = read_parquet(layout.clusters(index)), modality_of(manifest).late_verdicts(layout, index)
    else:
        clusters, late = pl.DataFrame(schema=CLUSTER_SCHEMA), None
    removed = pl.DataFrame(schema={"row": pl.UInt32, "recurring_spans": pl.List(pl.Int32)})
    if stripped is not None:
        furniture = read_furniture(stripped, index)
        late = furniture if late is None else pl.concat([late, furniture], how="diagonal")
        removed = furniture.filter(pl.col("rule").is_null()).select("row", "recurring_spans")
    return Findings(verdicts, clusters, late, removed)


def _ledger_batches(
    manifest: Manifest, layout: Layout, stripped: Path | None, ids: RecordIds, index: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, pl.Series]]:
    """Yield records of a partition as measured, without lines that recur where they are kept; their rows of the ledger; and these lines."""
    modality = modality_of(manifest)
    verdicts, clusters, late, removed = read_findings(manifest, layout, stripped, index)
    # What deduplication found out goes to shards, too; of what was measured they have the batch.
    from_late = [] if late is None else [name for name in late.columns if name not in _LATE_RULE]
    further = list(dict.fromkeys([*from_late, *(field.name for field in modality.ledger_fields(manifest))]))
    for batch in _read_batches(layout.part(index).table):
        at, length = int(batch["row"][0]), len(batch)
        batch, lines = modality.revise(batch, removed)
        rows = ledger_frame(
            batch.drop("row", "exact", "key_length", "file").drop("key_hash", strict=False),
            verdicts.slice(at, length),
            _slice_rows(clusters, at, length),
            None if late is None else _slice_rows(late, at, length),
            ids(index, batch),
            ids.sources(batch),
            modality.near_duplicate_rule(manifest).name,
            getattr(manifest.deduplicate, "accept", 1.0),
            further,
        )
        yield batch, rows, lines


def _read_batches(path: Path) -> Iterator[pl.DataFrame]:
    file = open_parquet(path)
    at = 0
    for batch in file.iter_batches(_BATCH):
        frame = pl.DataFrame(pl.from_arrow(batch))
        yield frame.with_row_index("row", at)
        at += len(frame)


def _slice_rows(frame: pl.DataFrame, at: int, length: int) -> pl.DataFrame:
    """Return the records `at` to `at + length` - 1 of a frame with a column `row`, counted from `at`."""
    return frame.filter(pl.col("row").is_between(at, at + length - 1)).with_columns(row=pl.col("row") - at)


def _count_verdicts(verdicts: dict[str, list[int]], batch: pl.DataFrame, rows: pl.DataFrame) -> None:
    """Add records, amounts in and amounts by verdict."""
    sums = (
        pl.DataFrame([rows["verdict"], batch["amount_in"], batch["amount"]])
        .group_by("verdict")
        .agg(pl.len(), pl.sum("amount_in"), pl.sum("amount"))
    )
    for verdict, *values in sums.iter_rows():
        verdicts[verdict] = [a + int(b) for a, b in zip(verdicts.get(verdict, [0, 0, 0]), values, strict=True)]


def _write_kept(
    manifest: Manifest, part: Part, batch: pl.DataFrame, rows: pl.DataFrame, files: _Files, splits: dict[str, list[int]]
) -> int:
    """Write the kept records of a batch to their splits, and count records and amounts by split; return how many rows they became."""
    modality = modality_of(manifest)
    kept = rows["verdict"] == "kept"
    batch, rows = batch.filter(kept), rows.filter(kept)
    validation = choose_held_out(modality.split_keys(batch, rows), manifest.shards.validation)
    written = 0
    for table, records in modality.shard_rows(manifest, part, batch, rows):
        written += table.num_rows
        for is_held_out, first, last in _runs(validation[records]):
            (files.validation if is_held_out else files.train).write(table.slice(first, last - first))
    amounts = batch["amount"].to_numpy()
    for split, mask in (("train", ~validation), ("validation", validation)):
        splits[split][0] += int(mask.sum())
        splits[split][1] += int(amounts[mask].sum())
    return written


def _runs(mask: np.ndarray) -> Iterator[tuple[bool, int, int]]:
    """Yield `(value, first, stop)` of every run of equal values: slices, unlike filters, copy nothing."""
    edges = [0, *(np.flatnonzero(np.diff(mask)) + 1).tolist(), len(mask)]
    for first, last in zip(edges, edges[1:], strict=False):
        if first < last:
            yield bool(mask[first]), first, last


def _validation_marker(folder: Path) -> Path:
    return folder / "validation.json"


def join_validation(manifest: Manifest, folder: Path, count: int) -> Counts:
    """Join the held-out records of all groups to validation shards, anew in every run; return the `shards`, all of them, by name."""
    with collect_written() as files:
        counts = {"shards": _join_validation(manifest, folder, count)}
    write_marker(_validation_marker(folder), counts, files)
    return counts


def _join_validation(manifest: Manifest, folder: Path, count: int) -> list[str]:
    modality = modality_of(manifest)
    data = folder / "data"
    pieces = [folder / "validation" / f"{number:05d}.parquet" for number in range(count)]
    metadata = [pq.read_metadata(path) for path in pieces]
    sizes = [sum(m.row_group(i).total_byte_size for i in range(m.num_row_groups)) for m in metadata]
    shards = group_partitions(sizes, manifest.shards.size) if sum(sizes) else []
    row_group, level = modality.row_group(manifest), manifest.shards.compression_level
    for shard in shards:
        with write_atomically(data / name_shard("validation", shard.number, len(shards))) as temporary, ExitStack() as stack:
            writer = ShardWriter(
                temporary, modality.shard_schema(manifest), row_group.size, row_group.column, level, _DICTIONARY_COLUMNS
            )
            stack.callback(writer.close)
            for number in range(shard.first, shard.stop):
                file = open_parquet(pieces[number])
                for index in range(file.num_row_groups):
                    writer.write(file.read_row_group(index))
    return sorted(
        [name_shard("train", number, count) for number in range(count)]
        + [name_shard("validation", shard.number, len(shards)) for shard in shards]
    )


# -- on the driver


class Written(NamedTuple):
    """What the step did: counts by group, sources and sites that lost most of their records, seconds.

    `shards` and `ledgers` are names, `files` the entries of both as the lock file lists them.
    """

    groups: list[dict[str, Any]]
    shards: list[str]
    ledgers: list[str]
    files: list[FileEntry]
    losses: list[list[Any]]
    seconds: float


def run(plan: Plan, engine: Engine, layout: Layout, ids: RecordIds, measured: Measured, decided: Decided) -> Written:
    """Write what is not written yet to the staging folder."""
    staging = plan.workspace.staging
    groups = group_partitions([part["payload"] for part in decided.parts], plan.manifest.shards.size)
    progress = engine.step("write", total=float(sum(counts["bytes"] for counts in measured.counts)))
    search = search_of(plan, layout)
    stripped = search.folder if search else None
    tasks: list[Task] = [(write, (plan.manifest, layout, stripped, group, len(groups), ids, staging)) for group in groups]
    written: list[Any] = [None] * len(groups)
    # Images and recordings are read again where they lie; shards of other bytes than were measured must go.
    with guard_inputs(plan, lambda _: remove_known(staging, is_step_file), local_only=True):
        for number, counts in engine.run("writing", tasks):
            written[number] = counts
            parts = measured.counts[groups[number].first : groups[number].stop]
            progress.advance(sum(part["bytes"] for part in parts), sum(part["records"] for part in parts))
    ((_, joined),) = engine.run("writing", [(join_validation, (plan.manifest, staging, len(groups)))])
    ledgers = [name_shard("ledger", group.number, len(groups)) for group in groups]
    ((_, losses),) = engine.run("writing", [(find_losses, (staging, len(groups)))])
    names = [*(f"data/{name}" for name in joined["shards"]), *(f"ledger/{name}" for name in ledgers)]
    markers = [_validation_marker(staging), *(_group_marker(staging, group) for group in groups)]
    files = describe_staged(engine, {staging / name: name for name in names}, markers)
    return Written(written, joined["shards"], ledgers, files, losses["losses"], progress.finish())
