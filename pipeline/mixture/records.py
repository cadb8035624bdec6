"""Which records the parts kept: read from their ledgers, and laid beside the signatures that their builds stored.

Every partition of every part becomes a partition of the mixture. What the step deduplicate reads of it is the part's own arrays, and a
table made here, row for row with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.engine import Engine, Task
from pipeline.core.errors import BuildError
from pipeline.core.storage import write_atomically
from pipeline.core.tables import open_parquet, read_parquet
from pipeline.core.tasks import Counts, find_damaged, resumable
from pipeline.core.vouching import find_damage
from pipeline.mixture.corpora import BuiltCorpus, LedgerSlice, suggest_rebuild
from pipeline.mixture.plan import MixturePlan
from pipeline.workspace import Layout, Part, RecordIds, verdicts_file, write_layout

# Above what a quality is, 0 to 1: records of a part with a higher priority are of a higher quality, as the choice of survivors sees it.
_QUALITY_PER_PRIORITY = 1.05


@dataclass(frozen=True)
class Partition:
    """A partition of a mixture. `corpus` is the number of its part, `ledger` says where the ledger has its records."""

    index: int
    corpus: int
    measured: Part
    rows: int
    ledger: tuple[LedgerSlice, ...]


@dataclass(frozen=True)
class TakenIds(RecordIds):
    """Ids of records that have one already, as their locator."""

    corpus: str = ""

    def __call__(self, index: int, records: pl.DataFrame) -> pl.Series:
        return records["locator"].alias("id")


def list_partitions(corpora: Sequence[BuiltCorpus]) -> list[Partition]:
    """Return the partitions of all parts, in order."""
    partitions: list[Partition] = []
    for number, corpus in enumerate(corpora):
        for measured, rows, ledger in zip(corpus.parts, corpus.rows, corpus.ledger_slices(), strict=True):
            partitions.append(Partition(len(partitions), number, measured, rows, ledger))
    return partitions


def rank_priorities(priorities: Sequence[int]) -> list[int]:
    """Return the rank of every priority, 0 for the lowest."""
    ranks = {priority: rank for rank, priority in enumerate(sorted(set(priorities)))}
    return [ranks[priority] for priority in priorities]


def mixed_part(folder: Path, index: int) -> Part:
    """Return a partition as the step deduplicate finds it: the table is made here, the arrays are links to those of the part.

    The table has `locator` (the record's id), what decides between duplicates, `cluster` and `cluster_size` within the part, `kept`.
    """
    return Part(folder / "records", f"{index:05d}")


def mixture_layout(plan: MixturePlan, partitions: Sequence[Partition], kept: int) -> Layout:
    """Return how the records of all parts are numbered."""
    folder = plan.workspace.folder("deduplicate")
    parts = [mixed_part(folder, partition.index) for partition in partitions]
    table = write_layout(folder / "layout.parquet", parts, [partition.rows for partition in partitions])
    return Layout(table=table, decided=folder / "decided", folder=folder, kept=kept, settings=plan.manifest.deduplicate)


# -- on a worker


def read_ledger(slices: Sequence[LedgerSlice], columns: Sequence[str]) -> pl.DataFrame:
    """Return consecutive rows of a ledger. Columns that it has not are left out."""
    frames = [pl.DataFrame(schema=pl.Schema())]
    for piece in slices:
        with open_parquet(piece.file) as file:
            names = [name for name in columns if name in file.schema_arrow.names]
            groups, skipped, rows = [], 0, 0
            for number in range(file.num_row_groups):
                count = file.metadata.row_group(number).num_rows
                if rows + count <= piece.first:
                    skipped += count
                elif rows < piece.first + piece.rows:
                    groups.append(number)
                rows += count
            table = file.read_row_groups(groups, columns=names).slice(piece.first - skipped, piece.rows)
        frames.append(pl.DataFrame(pl.from_arrow(table)))
    return pl.concat(frames[1:]) if len(frames) > 1 else frames[0]


def read_furniture(ledger: pl.DataFrame) -> pl.DataFrame:
    """Return, for `Modality.revise`, which lines of the records of a partition its part removed, given their rows of the ledger."""
    if "recurring_spans" not in ledger.columns:
        return pl.DataFrame(schema={"row": pl.UInt32, "recurring_spans": pl.List(pl.Int32)})
    rows = ledger.with_row_index("row").filter((pl.col("verdict") == "kept") & pl.col("recurring_spans").is_not_null())
    return rows.select("row", "recurring_spans")


@resumable(lambda partition, rank, folder: mixed_part(folder, partition.index).counts)
def collect(partition: Partition, rank: int, folder: Path) -> Counts:
    """Write which records of a partition its part kept, and what decides between duplicates; return counts of what was kept."""
    columns = ["locator", "exact", "key_hash", "key_length", "m:quality", "amount", "payload"]
    measured = read_parquet(partition.measured.table, columns=columns)
    ledger = read_ledger(partition.ledger, ["id", "verdict", "cluster_id", "cluster_size", "chars", "recurring_lines"])
    if len(measured) != len(ledger):
        raise BuildError(f"{partition.measured.table} has {len(measured):,} records, the ledger {len(ledger):,}. {_REBUILD}")
    kept = ledger["verdict"] == "kept"
    is_stripped = pl.col("recurring_lines") > 0 if "recurring_lines" in ledger.columns else pl.lit(False)
    is_same = pl.concat([ledger, measured], how="horizontal").select(
        pl.col("id").str.ends_with(pl.col("locator").cast(pl.String))
        & ((pl.col("verdict") != "kept") | (pl.col("chars") == pl.col("amount")) | is_stripped)
    )
    if not is_same.to_series().all():
        raise BuildError(
            f"{partition.measured.table} and {partition.ledger[0].file} are not about the same records. {_REBUILD}"
        )
    when_kept = pl.when(kept)
    # What its part removed of a record is no more in the mixture. The bytes that are left are estimated by characters.
    left = ledger["chars"].cast(pl.Int64)
    measured = measured.with_columns(
        amount=when_kept.then(left).otherwise("amount"),
        payload=when_kept.then(pl.col("payload") * left // pl.col("amount").clip(1)).otherwise("payload"),
    )
    table = measured.with_columns(
        pl.col("m:quality").fill_nan(0).fill_null(0).clip(0, 1) + rank * _QUALITY_PER_PRIORITY,
        when_kept.then(ledger["id"]).alias("locator"),
        when_kept.then(ledger["cluster_id"]).alias("cluster"),
        when_kept.then(ledger["cluster_size"]).alias("cluster_size"),
        pl.lit(0, pl.Int32).alias("file"),
        kept.alias("kept"),
    )
    part = mixed_part(folder, partition.index)
    for name in ("signatures", "sketches"):
        part.array(name).unlink(missing_ok=True)
        part.array(name).symlink_to(partition.measured.array(name).absolute())
    with write_atomically(part.table) as temporary:
        table.write_parquet(temporary, compression="zstd", compression_level=1)
    with write_atomically(verdicts_file(folder / "decided", partition.index)) as temporary:
        table.select(when_kept.then(pl.lit("kept")).otherwise(pl.lit("dropped")).alias("verdict")).write_parquet(temporary)
    chosen = measured.filter(kept)
    return {"kept": len(chosen), "chars": int(chosen["amount"].sum()), "bytes": int(chosen["payload"].sum())}


_REBUILD = "A part was built anew meanwhile, or its files were changed: build it again, then run the same command."


# -- on the driver


def check_parts(plan: MixturePlan, engine: Engine, partitions: Sequence[Partition]) -> None:
    """Raise BuildError where what the build of a part stored is no longer what it wrote."""
    markers = {partition.measured.counts: partition.corpus for partition in partitions}
    for marker in find_damaged(engine, [*markers])[:1]:
        corpus = plan.corpora[markers[marker]]
        raise BuildError(f"{find_damage(marker)[0]}. This is what {corpus.name} was built from. {suggest_rebuild(corpus.out)}")


def run(plan: MixturePlan, engine: Engine, partitions: Sequence[Partition]) -> list[Counts]:
    """Collect what is not collected yet; return the counts of every partition."""
    ranks = rank_priorities(plan.manifest.priorities)
    folder = plan.workspace.folder("deduplicate")
    for name in ("decided", "records"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    progress = engine.step("collect", total=float(sum(p.rows for p in partitions)) or 1.0)
    tasks: Iterator[Task] = ((collect, (p, ranks[p.corpus], folder)) for p in partitions)
    counts: list[Any] = [None] * len(partitions)
    for number, result in engine.run("collecting", tasks):
        counts[number] = result
        progress.records += result["kept"]
        progress.set_share(progress.records / max(progress.total or 1, 1))
    progress.finish()
    return counts
