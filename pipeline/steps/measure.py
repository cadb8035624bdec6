"""Step 1, measure: read a partition, clean its records, compute every measure and the signature. The one heavy pass."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters import MEASURES
from pipeline.core.engine import Engine, Task
from pipeline.core.errors import BuildError, InputError
from pipeline.core.names import shorten
from pipeline.core.storage import write_array, write_atomically
from pipeline.core.tables import scan_parquet
from pipeline.core.tasks import Counts, find_damaged, resumable
from pipeline.core.vouching import read_marker
from pipeline.manifest.model import COLUMN_TYPES, Manifest
from pipeline.modalities import modality_of
from pipeline.plan import Plan
from pipeline.sources import SOURCES
from pipeline.steps.conservation import forget_changed, guard_inputs
from pipeline.steps.cut import (
    PLACE,
    Partition,
    Unit,
    cut_unit,
    group_files,
    is_cut,
    load_bodies,
    load_partition,
    load_partitions,
    name_partition,
    read_partition,
    record_partition,
    store_bodies,
)
from pipeline.steps.reuse import adopt_units
from pipeline.workspace import Part, unit_record

ROW_GROUP = 4096
UNITS_PER_WORKER = 4  # from so many on, each worker cuts units of its own
# Summed over the records of a part; `pipeline.modalities.base.MeasuredRecords` says what they are.
_NAME_SHOWN = 80  # characters of the name of a column
_SUMS = ("amount_in", "amount", "payload")
_MOST_WARNINGS = 20  # of inputs, told one by one
_UNREAD_SHOWN = 3  # inputs that --limit leaves unread
_MOST_REASONS = 3  # why records cannot be read, told one by one

# -- on a worker


@dataclass(frozen=True)
class Job:
    """What tasks of the step need: a manifest, and the folder of the step."""

    manifest: Manifest
    folder: Path


def measure(job: Job, unit: Unit, partition: Partition) -> Counts:
    """Measure one partition whose bytes are stored; return its counts.

    Its raw bytes go, once the marker vouches for what was made of them.
    """
    part = Part(job.folder, partition.name)
    counts = _measure(job, unit, partition, None)
    if not modality_of(job.manifest).keeps_raw:
        part.raw.unlink(missing_ok=True)
    return counts


def cut_and_measure(job: Job, unit: Unit) -> Counts:
    """Cut one unit and measure its partitions as they come, all on this worker: the way where there are more units than workers."""
    for partition in load_partitions(job.folder, unit.number):
        measure(job, unit, partition)
    for partition, bodies in cut_unit(job.manifest, unit, job.folder, None):
        arrays = [None if body is None else np.frombuffer(body, np.uint8) for body in bodies]
        part = Part(job.folder, partition.name)
        stored = store_bodies(part, bodies) if modality_of(job.manifest).keeps_raw else []
        _measure(job, unit, partition, arrays)
        record_partition(job.folder, partition, stored)
    return {"unit": unit.number}


def cut_units(job: Job, units: Sequence[Unit], limit: int | None) -> Iterator[list[Any]]:
    """Cut units one after the other and store their bytes; yield the unit's number and the name of each partition to be measured.

    This runs on one worker while all measure: the way for a single large stream.
    """
    for unit in units:
        for partition in load_partitions(job.folder, unit.number):
            if read_marker(Part(job.folder, partition.name).counts) is None:
                yield [unit.number, partition.name]
        if not is_cut(job.folder, unit.number):
            for partition, bodies in cut_unit(job.manifest, unit, job.folder, limit):
                record_partition(job.folder, partition, store_bodies(Part(job.folder, partition.name), bodies))
                yield [unit.number, partition.name]
        if limit is not None:
            limit -= sum(partition.records or 0 for partition in load_partitions(job.folder, unit.number))


@resumable(lambda job, unit, partition, bodies: Part(job.folder, partition.name).counts)
def _measure(job: Job, unit: Unit, partition: Partition, bodies: Sequence[np.ndarray | None] | None) -> Counts:
    """Measure one partition; `bodies` are the bytes of its ranges, None where they are stored."""
    manifest, part = job.manifest, Part(job.folder, partition.name)
    began = time.perf_counter()
    rows = read_partition(manifest, unit, partition, load_bodies(part, partition) if bodies is None else bodies)
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
            use_dictionary=["file", "unreadable", *(f"m:{name}" for name in manifest.measures if MEASURES[name].words)],
            write_statistics=False,
            write_page_checksum=True,
        )
    return {
        "records": len(records.table),
        "bytes": partition.size,
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
    """What the step did: parts in order with their counts, what is recorded of every input, what the build has to say, seconds."""

    parts: list[Part]
    counts: list[Counts]
    inputs: list[dict[str, Any]]
    warnings: list[str]
    damage: list[str]
    seconds: float

    def total(self) -> dict[str, int]:
        """Return the counts of all parts, summed."""
        totals: Counter[str] = Counter()
        for counts in self.counts:
            totals.update({name: value for name, value in counts.items() if isinstance(value, int) and name != "peak"})
        return dict(totals)


class _Progress:
    """The progress line of the step, from what parts have been measured of each unit."""

    def __init__(self, engine: Engine, plan: Plan, folder: Path) -> None:
        self.line, self.folder = engine.step("measure"), folder
        sizes = [file.size for file in plan.inputs]
        self._stored = None if None in sizes else sum(size or 0 for size in sizes)
        self._limit = plan.limit
        self._seen: dict[int, int] = {}  # parts by unit
        self._consumed: dict[int, int] = {}
        self._reached: dict[int, int] = {}

    def look_at(self, unit: int) -> None:
        """Add the parts of a unit that have been measured since the last look, in order."""
        number = self._seen.get(unit, 0)
        while (counts := read_marker((part := Part(self.folder, name_partition(unit, number))).counts)) is not None:
            partition = load_partition(part)
            if partition is None:
                break
            number += 1
            self._consumed[unit], self._reached[unit] = partition.consumed, partition.reached
            self.line.advance(counts["bytes"], counts["records"])
            self.line.expect(self._expect_bytes())
        self._seen[unit] = number

    def _expect_bytes(self) -> float | None:
        """Return the bytes of content to expect in all, from how much the files as stored have given so far; with --limit no more than
        so many records have, from how large they were so far.
        """
        consumed = sum(self._consumed.values())
        expected = [] if self._stored is None or not consumed else [sum(self._reached.values()) * self._stored / consumed]
        if self._limit is not None and self.line.records:
            expected.append(self.line.bytes * self._limit / self.line.records)
        return min(expected, default=None)


def run(plan: Plan, engine: Engine, keep_going: bool) -> Measured:
    """Cut and measure what is not measured yet.

    Raises InputError for damage, unless `keep_going`, and for empty input; ChangedInputError where an input is not what it was.
    """
    folder = plan.workspace.folder("measure")
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    job = Job(plan.manifest, folder)
    units = group_files(plan.inputs, plan.manifest.source)
    adopt_units(plan, units)
    _forget_damaged(engine, folder, modality_of(plan.manifest).keeps_raw)
    progress = _Progress(engine, plan, folder)
    for unit in units:
        progress.look_at(unit.number)
    progress.line.restart_clock()
    missing = [unit for unit in units if not _is_measured(folder, unit.number)]
    with guard_inputs(plan, partial(forget_changed, folder, units)):
        _measure_missing(plan, job, engine, units, missing, progress)
    return _collect(plan, units, progress.line.finish(), keep_going)


def _measure_missing(
    plan: Plan, job: Job, engine: Engine, units: Sequence[Unit], missing: Sequence[Unit], progress: _Progress
) -> None:
    can_share = SOURCES[plan.manifest.source.format].groups_small_files and plan.limit is None
    if can_share and len(missing) >= UNITS_PER_WORKER * engine.worker_count:
        _measure_units(job, engine, missing, progress)
    else:
        _measure_while_cutting(job, engine, units if plan.limit is not None else missing, plan.limit, progress)


def _forget_damaged(engine: Engine, folder: Path, keeps_raw: bool) -> None:
    """Remove the markers of earlier runs whose files are not as they were written: what they vouched for is made again."""
    for path in find_damaged(engine, sorted(folder.glob("part-*.json"))):
        path.unlink()
    # Raw bytes go once they are measured, unless the step write reads them.
    for path in find_damaged(engine, sorted((folder / "cut").glob("*.json")), may_be_gone=not keeps_raw):
        path.unlink()


def _is_measured(folder: Path, unit: int) -> bool:
    return is_cut(folder, unit) and all(
        read_marker(Part(folder, partition.name).counts) is not None for partition in load_partitions(folder, unit)
    )


def _warm_workers(engine: Engine, manifest: Manifest) -> None:
    """Let one worker compile what is not compiled yet; the others load what they need meanwhile."""
    for _ in engine.run("measuring", [(warm, (manifest, number == 0)) for number in range(engine.worker_count)]):
        pass


def _measure_units(job: Job, engine: Engine, units: Sequence[Unit], progress: _Progress) -> None:
    """Let each worker cut and measure units of its own."""
    _warm_workers(engine, job.manifest)
    begun: set[int] = set()

    def tasks() -> Iterator[Task]:
        for unit in units:
            begun.add(unit.number)
            yield cut_and_measure, (job, unit)

    def look() -> None:
        for number in begun:
            progress.look_at(number)

    for _, counts in engine.run("measuring", tasks(), in_flight=2 * engine.worker_count, meanwhile=look):
        begun.discard(counts["unit"])
        progress.look_at(counts["unit"])


def _measure_while_cutting(job: Job, engine: Engine, units: Sequence[Unit], limit: int | None, progress: _Progress) -> None:
    """Let one worker cut the units one after the other, while all measure what is cut."""
    by_number = {unit.number: unit for unit in units}
    running: dict[int, int] = {}
    in_flight = 2 * engine.worker_count + 2

    def tasks() -> Iterator[Task]:
        names: set[str] = set()  # a cutter whose worker died begins again with what was not measured then
        for unit, name in engine.produce("cutting", cut_units, (job, units, limit), in_flight):
            partition = load_partition(Part(job.folder, name))
            if name in names or partition is None:
                continue
            if not names:  # while the next partitions are cut
                _warm_workers(engine, job.manifest)
            running[len(names)] = unit
            names.add(name)
            yield measure, (job, by_number[unit], partition)

    for number, _ in engine.run("measuring", tasks(), in_flight=in_flight):
        progress.look_at(running.pop(number))


def _collect(plan: Plan, units: Sequence[Unit], seconds: float, keep_going: bool) -> Measured:
    """Return what was measured, after checking that all of it exists and can be built from."""
    folder = plan.workspace.folder("measure")
    records = [read_marker(unit_record(folder, unit.number)) for unit in units]
    parts = [
        Part(folder, name_partition(unit.number, number))
        for unit, record in zip(units, records, strict=True)
        for number in range(record["partitions"] if record else 0)
    ]
    found = [read_marker(part.counts) for part in parts]
    missing = [f"part {part.name}" for part, one in zip(parts, found, strict=True) if one is None]
    missing += [f"unit {unit.number}" for unit, record in zip(units, records, strict=True) if record is None]
    if missing:
        raise BuildError(f"{', '.join(missing[:5])}: measured data is missing in {folder}; run the same command again")
    counts: list[Counts] = [one for one in found if one is not None]
    read = [one for record in records if record is not None for one in record["inputs"]]
    inputs = [
        one | {name: one[name] and one[name].replace(PLACE, file.shown_url) for name in ("damage", "warning")}
        for one, file in zip(read, plan.inputs, strict=False)
    ]
    damage = [record["damage"] for record in inputs if record["damage"]]
    if damage and not keep_going:
        raise InputError("\n".join(damage) + "\nWhat could be read is kept; --keep-going builds the corpus from that.")
    if not sum(one["records"] for one in counts):
        names = ", ".join(f.shown_url for f in plan.inputs)
        raise BuildError("\n".join([*damage, f"there is no record in {names}: the input is empty"]))
    measured = Measured(parts, counts, inputs, [*damage], damage, seconds)
    of_inputs = [record["warning"] for record in inputs if record.get("warning")]
    more = [f"{len(of_inputs) - _MOST_WARNINGS:,} more inputs have warnings like these"] * (len(of_inputs) > _MOST_WARNINGS)
    measured.warnings.extend([*of_inputs[:_MOST_WARNINGS], *more, *_warn_of_unread(plan, units)])
    measured.warnings.extend(modality_of(plan.manifest).warnings(measured.total()))
    measured.warnings.extend(_warn_of_misfits(plan.manifest, counts))
    measured.warnings.extend(_warn_of_unreadable(measured, keep_going))
    return measured


def _warn_of_unread(plan: Plan, units: Sequence[Unit]) -> list[str]:
    """Tell which inputs --limit leaves unread: it takes the first records, whatever file they are in."""
    if plan.limit is None or len(plan.inputs) == 1:
        return []
    folder = plan.workspace.folder("measure")
    read = {piece.file for unit in units for partition in load_partitions(folder, unit.number) for piece in partition.ranges}
    unread = [file.shown_url for file in plan.inputs[max(read, default=-1) + 1 :]]
    if not unread:
        return []
    shown = ", ".join(unread[:_UNREAD_SHOWN]) + (f" and {len(unread) - _UNREAD_SHOWN:,} more" if unread[_UNREAD_SHOWN:] else "")
    return [
        f"--limit {plan.limit} took the first records, all from {len(plan.inputs) - len(unread):,} of {len(plan.inputs):,} inputs; "
        f"nothing was read of {shown}"
    ]


def _warn_of_misfits(manifest: Manifest, counts: Iterable[Counts]) -> list[str]:
    """Tell of values that do not fit the type of their kept column: they are null, which a rule takes for missing."""
    total: dict[str, tuple[int, str]] = {}
    for one in counts:
        for name, (count, example) in one.get("misfits", {}).items():
            earlier, first = total.get(name, (0, example))
            total[name] = earlier + count, first
    return [_explain_misfits(manifest, name, count, example) for name, (count, example) in total.items()]


def _explain_misfits(manifest: Manifest, name: str, count: int, example: str) -> str:
    kept, shown = manifest.source.kept.get(name, pl.String()), shorten(name, _NAME_SHOWN)  # a name may have ends of lines
    if kept == pl.String:
        return f"{count:,} values of {shown} are no text, such as {example}: they became null"
    kind = next(word for word, one in COLUMN_TYPES.items() if one == kept)
    return (
        f"{count:,} values do not fit {shown}:{kind} of source.keep, such as {example}: they became null, which a rule takes for missing. "
        f"Write {shown} there without :{kind} to keep the column as text"
    )


def _warn_of_unreadable(measured: Measured, keep_going: bool) -> list[str]:
    """Tell why records could not be read. Raises InputError where none could, unless `keep_going`."""
    total = measured.total()
    if not total["unreadable"]:
        return []
    reasons = scan_parquet(*(part.table for part in measured.parts)).select(pl.col("unreadable").drop_nulls()).collect()
    by_kind = reasons.group_by(pl.col("unreadable").str.replace_all(r"[0-9A-F]+", "").alias("kind"), maintain_order=True)
    counted = by_kind.agg(pl.first("unreadable").alias("example"), pl.len().alias("count"))
    kinds = counted.sort("count", descending=True, maintain_order=True)
    most, *others = kinds.select("count", "example").head(_MOST_REASONS).rows()
    message = (
        f"{total['unreadable']:,} of {total['records']:,} records could not be read; {most[0]:,} of them like this: {most[1]}"
    )
    message = "\n".join([message, *(f"and {count:,} like this: {example}" for count, example in others)])
    if len(kinds) > _MOST_REASONS:
        message += (
            f"\nand {kinds['count'][_MOST_REASONS:].sum():,} for other reasons; the ledger has that of each, in value_text"
        )
    if total["unreadable"] < total["records"]:
        return [message]
    if keep_going:
        return [f"not one record could be read: {message}"]
    raise InputError(f"{message}\nThere is nothing to build from. --keep-going writes the ledger nevertheless.")
