"""Cutting inputs into partitions, on the driver: what an earlier run cut is taken up, inside a file, too."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.plan import Plan
from pipeline.sources import SOURCES
from pipeline.sources.base import CutState, Partition
from pipeline.sources.inputs import InputFile


class Cutter:
    """The partitions of a plan's inputs. `partitions` lists those that are cut, `expected_bytes` estimates the bytes of all."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.workspace = plan, plan.workspace
        self.source = SOURCES[plan.manifest.source.format]
        self.partitions: list[Partition] = []
        self.expected_bytes: float | None = None

    def cut(self, skip: Callable[[Partition, dict[str, Any]], None]) -> Iterator[Partition]:
        """Yield partitions that have to be measured: those cut before whose raw bytes still exist, then those cut now.

        `skip` is called with those that are measured already, and their counts.
        """
        known = load_partitions(self.plan)
        limit = self.plan.limit
        for number, file in enumerate(self.plan.inputs):
            if limit is not None and limit <= 0:
                self._record_input(number, CutState(0, 0))
                continue
            lost = False
            for partition in (p for p in known if p.file == number):
                part = self.workspace.part(partition.index)
                counts = read_json(part.counts)
                if counts is None and not part.raw.is_file():
                    lost = True
                    break
                self.partitions.append(partition)
                if limit is not None:
                    limit -= self._count_records(partition, counts)
                if counts is None:
                    yield partition
                else:
                    skip(partition, counts)
            record = read_json(self.workspace.input_record(number))
            if lost or record is None or record["damage"]:
                limit = yield from self._cut_file(file, number, limit)

    def _count_records(self, partition: Partition, counts: dict[str, Any] | None) -> int:
        if counts is not None:
            return counts["records"]
        if partition.records is not None:
            return partition.records
        return len(self.source.read(partition, self.workspace.part(partition.index).raw).frame)

    def _cut_file(self, file: InputFile, number: int, limit: int | None) -> Generator[Partition, None, int | None]:
        """Cut what is not cut yet of one file; return how many records are still wanted."""
        settings = self.plan.manifest.source
        state = CutState(
            partition=min(settings.partition, settings.max_document),  # a document over the limit stands in one of its own
            max_document=settings.max_document,
            start=max((p.end for p in self.partitions if p.file == number), default=0),
            limit=limit,
            content=settings.content,
            columns=settings.columns,
        )
        for partition, body in self.source.cut(file, number, len(self.partitions), state):
            part = self.workspace.part(partition.index)
            if read_json(part.counts) is None:
                with write_atomically(part.raw) as temporary:
                    temporary.write_bytes(body)
            write_json(self.workspace.partition_record(partition.index), partition.as_dict())
            self.partitions.append(partition)
            self.expected_bytes = self._estimate_bytes(number, state)
            yield partition
        self._record_input(number, state)
        return state.limit

    def _record_input(self, number: int, state: CutState) -> None:
        record = {"checksum": state.checksum, "size": state.size, "damage": state.damage, "warning": state.warning}
        write_json(self.workspace.input_record(number), record)

    def _estimate_bytes(self, number: int, state: CutState) -> float | None:
        """Return the bytes of text to expect in all, from how much the files as stored have given so far."""
        sizes = [f.size for f in self.plan.inputs]
        if None in sizes or not state.consumed or self.plan.limit is not None:
            return None
        before = sum(p.end - p.start for p in self.partitions if p.file < number)
        consumed = sum(s or 0 for s in sizes[:number]) + state.consumed
        return (before + state.reached) * sum(s or 0 for s in sizes) / consumed


def load_partitions(plan: Plan) -> list[Partition]:
    """Return the partitions that were cut in earlier runs, up to the first gap."""
    partitions: list[Partition] = []
    while (value := read_json(plan.workspace.partition_record(len(partitions)))) is not None:
        partitions.append(Partition(**value))
    return partitions
