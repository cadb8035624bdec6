"""Step 1, measure: read a partition, clean its records, compute every measure and the signature. The one heavy pass."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters import MEASURES
from pipeline.core.engine import Engine, Task
from pipeline.core.errors import BuildError, InputError
from pipeline.core.storage import read_json, write_array, write_atomically
from pipeline.core.tasks import Counts, resumable
from pipeline.manifest.model import Manifest
from pipeline.modalities import modality_of
from pipeline.plan import Plan
from pipeline.sources import SOURCES
from pipeline.sources.base import Partition
from pipeline.steps.cut import Cutter
from pipeline.workspace import Part

ROW_GROUP = 4096
# Summed over the records of a part; `pipeline.modalities.base.MeasuredRecords` says what they are.
_SUMS = ("amount_in", "amount", "payload")

# -- on a worker


def measure(manifest: Manifest, partition: Partition, folder: Path) -> Counts:
    """Measure one partition; return its counts. Its raw bytes go, once the marker vouches for what was made of them."""
    counts = _measure(manifest, partition, folder)
    if not modality_of(manifest).keeps_raw:
        Part(folder, partition.index).raw.unlink(missing_ok=True)
    return counts


@resumable(lambda manifest, partition, folder: Part(folder, partition.index).counts)
def _measure(manifest: Manifest, partition: Partition, folder: Path) -> Counts:
    part = Part(folder, partition.index)
    began = time.perf_counter()
    rows = SOURCES[manifest.source.format].read(partition, part.raw)
    records = modality_of(manifest).measure(manifest, rows)
    for name, values in records.arrays.items():
        write_array(part.array(name), values)
    with write_atomically(part.table) as temporary:
        pq.write_table(
            records.table,
            temporary,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=1,
            use_dictionary=["unreadable", *(f"m:{name}" for name in manifest.measures if MEASURES[name].words)],
            write_statistics=False,
        )
    return {
        "records": len(records.table),
        "bytes": partition.end - partition.start,
        **{name: pc.sum(records.table[name]).as_py() or 0 for name in _SUMS},
        "unreadable": len(records.table) - records.table["unreadable"].null_count,
        **records.counts,
        "seconds": round(time.perf_counter() - began, 3),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def warm(manifest: Manifest, compiling: bool) -> None:
    """Get a worker ready for the partitions of a manifest: import what measures them, and compile it where that is wanted."""
    if compiling:
        modality_of(manifest).warm(manifest)
        SOURCES[manifest.source.format].warm()


# -- on the driver


class Measured(NamedTuple):
    """What the step did: counts by partition, what is recorded of every input, what the build has to say, seconds."""

    partitions: list[Partition]
    parts: list[Counts]
    inputs: list[dict[str, Any]]
    warnings: list[str]
    damage: list[str]
    seconds: float

    def total(self) -> dict[str, int]:
        """Return the counts of all parts, summed."""
        names = [name for name, value in self.parts[0].items() if isinstance(value, int) and name != "peak"]
        return {name: sum(part[name] for part in self.parts) for name in names}


def run(plan: Plan, engine: Engine, keep_going: bool) -> Measured:
    """Cut and measure what is not measured yet. Raises InputError for damage, unless `keep_going`, and for empty input."""
    folder = plan.workspace.folder("measure")
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    progress = engine.step("measure")
    cutter = Cutter(plan)

    def advance(partition: Partition, counts: Counts) -> None:
        progress.advance(partition.end - partition.start, counts["records"], cutter.expected_bytes)

    partitions = cutter.cut(advance)
    # One compiles what is not compiled yet, the others load what they need meanwhile.
    for _ in engine.run("measuring", [(warm, (plan.manifest, number == 0)) for number in range(engine.worker_count)]):
        pass
    running: dict[int, Partition] = {}

    def tasks() -> Iterator[Task]:
        for number, partition in enumerate(partitions):
            running[number] = partition
            yield measure, (plan.manifest, partition, folder)

    for number, counts in engine.run("measuring", tasks(), in_flight=2 * engine.worker_count + 2):
        advance(running.pop(number), counts)
    return _collect(plan, cutter.partitions, progress.finish(), keep_going)


def _collect(plan: Plan, partitions: list[Partition], seconds: float, keep_going: bool) -> Measured:
    """Return what was measured, after checking that all of it exists and can be built from."""
    workspace = plan.workspace
    inputs = [r for n in range(len(plan.inputs)) if (r := read_json(workspace.input_record(n)))]
    damage = [record["damage"] for record in inputs if record["damage"]]
    if damage and not keep_going:
        raise InputError("\n".join(damage) + "\nWhat could be read is kept; --keep-going builds the corpus from that.")
    parts: list[Counts] = [read_json(workspace.part(p.index).counts) for p in partitions]
    if missing := [p.index for p, counts in zip(partitions, parts, strict=True) if counts is None]:
        raise BuildError(
            f"measured parts {missing[:5]} are missing in {workspace.folder('measure')}; run the same command again"
        )
    if not sum(part["records"] for part in parts):
        names = ", ".join(f.url for f in plan.inputs)
        raise BuildError("\n".join([*damage, f"there is no record in {names}: the input is empty"]))
    measured = Measured(partitions, parts, inputs, [*damage], damage, seconds)
    measured.warnings.extend(record["warning"] for record in inputs if record.get("warning"))
    measured.warnings.extend(modality_of(plan.manifest).warnings(measured.total()))
    measured.warnings.extend(_warn_of_unreadable(plan, measured, keep_going))
    return measured


def _warn_of_unreadable(plan: Plan, measured: Measured, keep_going: bool) -> list[str]:
    """Tell where most records could not be read. Raises InputError where none could, unless `keep_going`."""
    total = measured.total()
    if 2 * total["unreadable"] <= total["records"]:
        return []
    tables = [plan.workspace.part(p.index).table for p in measured.partitions]
    reasons = pl.scan_parquet(tables).select(pl.col("unreadable").drop_nulls()).collect()
    by_kind = reasons.group_by(pl.col("unreadable").str.replace_all(r"[0-9A-F]+", ""), maintain_order=True)
    kinds = by_kind.agg(pl.first("unreadable").alias("example"), pl.len().alias("count")).sort("count", descending=True)
    most = kinds.row(0, named=True)
    message = (
        f"{total['unreadable']:,} of {total['records']:,} records could not be read; "
        f"{most['count']:,} of them like this: {most['example']}"
    )
    if total["unreadable"] < total["records"]:
        return [message]
    if keep_going:
        return [f"not one record could be read: {message}"]
    raise InputError(f"{message}\nThere is nothing to build from. --keep-going writes the ledger nevertheless.")
