"""Cutting inputs into partitions, on a worker: what an earlier run cut is taken up, inside a file, too.

Inputs are cut by the unit: one input file, or several small ones. A partition is what one task measures: one range of a large file, or the
ranges of several small ones. Where partitions end depends on the input alone, never on workers or interruptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.errors import BuildError, ChangedInputError
from pipeline.core.names import make_visible
from pipeline.core.storage import collect_written, write_atomically
from pipeline.core.vouching import read_marker, write_marker
from pipeline.manifest.model import Manifest, SourceTable
from pipeline.sources import SOURCES
from pipeline.sources.base import CutState, Range
from pipeline.sources.inputs import InputFile, check_unchanged
from pipeline.sources.rows import Rows, concatenate
from pipeline.workspace import Part, unit_record

SMALL_FILE = 4 << 20  # bytes as stored; a smaller file shares a partition with its neighbours
PLACE = "\0"  # stands for the path of an input in what is written down of it
UNIT_BYTES, UNIT_FILES = 16 << 20, 2000  # of small files, as stored

Body = bytes | memoryview | None


@dataclass(frozen=True)
class Unit:
    """One input file, or several small ones that follow one another; `first` is the number of the first."""

    number: int
    first: int
    files: tuple[InputFile, ...]


@dataclass(frozen=True)
class Partition:
    """Consecutive ranges, which one task measures. `bodies`: how many bytes of the raw file are of each, None where they stay in the input.

    `consumed`, `reached`: bytes of the unit's files as stored that were read until here, and bytes of content that they gave.
    """

    name: str
    ranges: tuple[Range, ...]
    bodies: tuple[int | None, ...]
    consumed: int = 0
    reached: int = 0

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.ranges)

    @property
    def records(self) -> int | None:
        """How many records there are, where that is known before reading."""
        counts = [piece.records for piece in self.ranges]
        return None if None in counts else sum(count or 0 for count in counts)


def name_partition(unit: int, number: int) -> str:
    return f"{unit:05d}-{number:05d}"


def group_files(files: Sequence[InputFile], settings: SourceTable) -> list[Unit]:
    """Return the units of a build's input files, in order."""
    units: list[Unit] = []
    group: list[InputFile] = []
    small = SMALL_FILE if SOURCES[settings.format].groups_small_files else 0
    for number, file in enumerate(files):
        is_small = file.size is not None and file.size < small
        is_full = sum(f.size or 0 for f in group) + (file.size or 0) > UNIT_BYTES or len(group) == UNIT_FILES
        if group and (is_full or not is_small):
            units.append(Unit(len(units), number - len(group), tuple(group)))
            group = []
        group.append(file)
        if not is_small:
            units.append(Unit(len(units), number, (file,)))
            group = []
    if group:
        units.append(Unit(len(units), len(files) - len(group), tuple(group)))
    return units


def load_partition(part: Part) -> Partition | None:
    """Return a partition that was cut in an earlier run."""
    record = read_marker(part.record)
    if record is None:
        return None
    ranges = tuple(Range(**piece) for piece in record["ranges"])
    return Partition(record["name"], ranges, tuple(record["bodies"]), record["consumed"], record["reached"])


def load_partitions(folder: Path, unit: int) -> list[Partition]:
    """Return the partitions of a unit that were cut in earlier runs and are at hand, up to the first that is not."""
    partitions: list[Partition] = []
    while True:
        part = Part(folder, name_partition(unit, len(partitions)))
        partition = load_partition(part)
        if partition is None or not (_stays_in_input(partition) or part.raw.is_file() or read_marker(part.counts) is not None):
            return partitions
        partitions.append(partition)


def is_cut(folder: Path, unit: int) -> bool:
    """Return whether a unit was cut to its end, without damage, and all its partitions are at hand."""
    record = read_marker(unit_record(folder, unit))
    return (
        record is not None
        and not any(one["damage"] for one in record["inputs"])
        and len(load_partitions(folder, unit)) == record["partitions"]
    )


def forget_unit(folder: Path, unit: int) -> None:
    """Remove what was cut and measured of a unit whose input has changed meanwhile, so that no later build uses it."""
    unit_record(folder, unit).unlink(missing_ok=True)
    names = {path.stem for path in (folder / "cut").glob(f"{unit:05d}-*.json")}
    names |= {path.stem.removeprefix("part-") for path in folder.glob(f"part-{unit:05d}-*.json")}
    for part in (Part(folder, name) for name in names):
        for path in (part.counts, part.record, part.raw):  # first what vouches for the others
            path.unlink(missing_ok=True)


def _stays_in_input(partition: Partition) -> bool:
    return all(size is None for size in partition.bodies)


def cut_unit(manifest: Manifest, unit: Unit, folder: Path, limit: int | None) -> Iterator[tuple[Partition, list[Body]]]:
    """Yield the partitions of a unit that are not cut yet, with the bytes of their ranges. `limit`: how many records are wanted of it.

    The caller measures a partition or stores its bytes, and then records it, before it asks for the next.
    """
    known = load_partitions(folder, unit.number)
    # Cutting goes on inside a file. Small files are cut anew, and what is known of them is passed over.
    first = len(known) if len(unit.files) == 1 else 0
    if first and limit is not None:
        limit -= sum(partition.records or 0 for partition in known)
    cutting = _FileCutter(manifest.source, unit, known[-1].ranges[-1].end if first else 0, limit)
    partitions = first
    try:
        for ranges in cutting.group_ranges():
            partition, bodies = cutting.make_partition(name_partition(unit.number, partitions), ranges)
            if partitions >= len(known):
                for number in {piece.file for piece in partition.ranges}:
                    check_unchanged(unit.files[number - unit.first])
                yield partition, bodies
            partitions += 1
    except ChangedInputError:
        forget_unit(folder, unit.number)
        raise
    record = {"inputs": cutting.inputs, "partitions": partitions}
    write_marker(unit_record(folder, unit.number), record)


class _FileCutter:
    """Cuts the files of a unit into ranges. `inputs`: what was found out about them; `limit`: how many records are still wanted."""

    def __init__(self, settings: SourceTable, unit: Unit, start: int, limit: int | None) -> None:
        self.settings, self.unit, self.start, self.limit = settings, unit, start, limit
        self.inputs: list[dict[str, Any]] = []
        self._consumed = self._reached = 0  # of the files before
        self._state = make_cut_state(settings, limit)

    def group_ranges(self) -> Iterator[list[tuple[Range, Body]]]:
        """Yield the ranges of each partition, with their bytes."""
        group: list[tuple[Range, Body]] = []
        for piece, body in self._cut_files():
            if group and sum(r.size for r, _ in group) + piece.size > self._state.partition:
                yield group
                group = []
            group.append((piece, body))
            if len(self.unit.files) == 1:  # at once: nothing is held back
                yield group
                group = []
        if group:
            yield group

    def make_partition(self, name: str, ranges: list[tuple[Range, Body]]) -> tuple[Partition, list[Body]]:
        bodies = [body for _, body in ranges]
        sizes = tuple(None if body is None else len(body) for body in bodies)
        consumed, reached = self._consumed + self._state.consumed, self._reached + self._state.reached
        return Partition(name, tuple(piece for piece, _ in ranges), sizes, consumed, reached), bodies

    def _cut_files(self) -> Iterator[tuple[Range, Body]]:
        for number, file in enumerate(self.unit.files, self.unit.first):
            self._state = state = make_cut_state(self.settings, self.limit)
            state.start = self.start
            if self.limit is None or self.limit > 0:
                yield from _check_order(file, SOURCES[self.settings.format].cut(file, number, state))
                check_unchanged(file)
            self.limit = state.limit
            self._consumed, self._reached = self._consumed + state.consumed, self._reached + state.reached
            state.consumed = state.reached = 0
            is_told = file.note is None or file.note in (state.warning or "")
            warning = "; ".join(filter(None, [None if is_told else file.note, state.warning])) or None
            said = {"damage": state.damage, "warning": warning}
            # They quote names and URLs; where the file is stands in no file of the build.
            shown = {name: text and make_visible(text).replace(file.shown_url, PLACE) for name, text in said.items()}
            self.inputs.append({"checksum": state.checksum, "size": state.size} | shown)


def _check_order(file: InputFile, ranges: Iterator[tuple[Range, Body]]) -> Iterator[tuple[Range, Body]]:
    """Yield the ranges of a file. Raises BuildError where one begins before the end of the one before: records would come twice."""
    reached = 0
    for piece, body in ranges:
        if not reached <= piece.start <= piece.end:
            raise BuildError(f"{file.shown_url} was cut twice at {piece.start:,}. This is a fault of Seimai; please report it")
        reached = piece.end
        yield piece, body


def make_cut_state(settings: SourceTable, limit: int | None) -> CutState:
    """Return how a source is to cut a file from its beginning; `limit`: how many records are wanted of it."""
    return CutState(
        partition=min(settings.partition, settings.max_document),  # a document over the limit stands in a range of its own
        max_document=settings.max_document,
        limit=limit,
        content=settings.content,
        columns=settings.columns,
    )


def record_partition(folder: Path, partition: Partition, stored: Sequence[Path]) -> None:
    """Write down that a partition was cut, once its bytes are `stored` or it is measured."""
    record = {
        "name": partition.name,
        "ranges": [piece.as_dict() for piece in partition.ranges],
        "bodies": partition.bodies,
        "consumed": partition.consumed,
        "reached": partition.reached,
    }
    write_marker(Part(folder, partition.name).record, record, stored)


def store_bodies(part: Part, bodies: list[Body]) -> list[Path]:
    """Write the bytes of a partition's ranges to its raw file, where there are any; return that file, for `record_partition`."""
    if all(body is None for body in bodies):
        return []
    with collect_written() as stored, write_atomically(part.raw) as temporary, open(temporary, "wb") as file:
        file.writelines(body for body in bodies if body is not None)
    return stored


def load_bodies(part: Part, partition: Partition) -> list[np.ndarray | None]:
    """Return the bytes of a partition's ranges, as they were stored."""
    if _stays_in_input(partition):
        return [None] * len(partition.ranges)
    data, size = np.fromfile(part.raw, np.uint8), sum(size or 0 for size in partition.bodies)
    if len(data) != size:
        raise BuildError(f"{part.raw} has {len(data):,} bytes instead of {size:,}: it was damaged. Run the same command again.")
    ends = np.cumsum([size or 0 for size in partition.bodies])
    return [None if size is None else data[end - size : end] for size, end in zip(partition.bodies, ends.tolist(), strict=True)]


def read_partition(manifest: Manifest, unit: Unit, partition: Partition, bodies: Sequence[np.ndarray | None]) -> Rows:
    """Return the rows of a partition; `file` is the number of each row's input file."""
    settings = manifest.source
    rows: list[Rows] = []
    for piece, body in zip(partition.ranges, bodies, strict=True):
        source = SOURCES[piece.format or settings.format]
        file = unit.files[piece.file - unit.first]
        try:
            if body is None:
                check_unchanged(file)
            one = source.read(piece, file, body, settings.fields)
            if body is None:
                check_unchanged(file)
        except Exception:
            check_unchanged(file)  # a file that is cut while it is read looks damaged
            raise
        rows.append(replace(one, frame=one.frame.with_columns(file=pl.lit(piece.file, pl.Int32))))
    return concatenate(rows)
