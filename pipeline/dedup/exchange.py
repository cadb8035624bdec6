"""An exchange of data between tasks: every sender has something for many receivers, and every receiver hears of many senders.

A sender writes one file, in which what a receiver gets is one section. Would every receiver open every sender's file, the number of
files that are opened would be the product of the two, and grow with the square of a corpus. So where there are more senders than
`FAN_IN`, passes come between: a pass merges as many files, for a block of receivers, into one. It makes as many blocks as it merges files,
so that files stay as large as they were, or fewer where they are small. With n senders and n receivers that makes n log n reads.

A file is int64 `first receiver`, `number of sections`, where each section begins and where the last ends; then the sections, byte for
byte. What a section says is up to the sender: sections for one receiver are put one after the other in the order of the senders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.engine import Task
from pipeline.core.errors import BuildError
from pipeline.core.storage import write_atomically
from pipeline.core.tasks import Counts, resumable
from pipeline.workspace import remove_step_files

FAN_IN = 128  # files that one task opens in one pass
SMALL = 16  # blocks that a pass makes where a sender writes some megabytes


class SectionFile:
    """One file of sections for consecutive receivers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, first: int, sizes: np.ndarray, chunks: Iterable[Any]) -> None:
        """Write the sections of the receivers from `first` on, of so many bytes each; `chunks` are their bytes in order."""
        starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        with write_atomically(self.path) as temporary, open(temporary, "wb") as file:
            file.write(np.array([first, len(sizes)], np.int64).tobytes() + starts.tobytes())
            for chunk in chunks:
                file.write(chunk)
            written = file.tell() - 8 * (2 + len(starts))
            if written != starts[-1]:
                raise ValueError(f"{self.path}: {written} bytes for sections of {starts[-1]}")

    def read(self, first: int, stop: int) -> tuple[memoryview, np.ndarray]:
        """Return the bytes of the sections of receivers `first` to `stop` - 1, and int64[stop - first + 1]: where each begins."""
        with open(self.path, "rb", buffering=0) as file:
            starts, content = self._locate(file.fileno(), first, stop)
            size = int(starts[-1] - starts[0])
            body = bytearray(size)
            view, at = memoryview(body), 0
            while at < size and (count := os.preadv(file.fileno(), [view[at:]], content + int(starts[0]) + at)):
                at += count
            if at < size:
                raise self._damage()
            return view, starts - starts[0]

    def size(self, receiver: int) -> int:
        """Return the bytes of one section."""
        with open(self.path, "rb", buffering=0) as file:
            starts, _ = self._locate(file.fileno(), receiver, receiver + 1)
            return int(starts[1] - starts[0])

    def _locate(self, descriptor: int, first: int, stop: int) -> tuple[np.ndarray, int]:
        """Return where the sections begin and end, and the offset that this counts from. Raises BuildError for a damaged file."""
        own_first, count = self._read_numbers(descriptor, 2, 0).tolist()
        content, size = 8 * (3 + count), os.fstat(descriptor).st_size
        if count < 0 or content > size or not own_first <= first <= stop <= own_first + count:
            raise self._damage()
        starts = self._read_numbers(descriptor, stop - first + 1, 16 + 8 * (first - own_first))
        end = int(self._read_numbers(descriptor, 1, content - 8)[0])
        if content + end != size or starts[0] < 0 or (np.diff(starts) < 0).any() or starts[-1] > end:
            raise self._damage()
        return starts, content

    def _read_numbers(self, descriptor: int, count: int, at: int) -> np.ndarray:
        data = os.pread(descriptor, 8 * count, at)
        if len(data) < 8 * count:
            raise self._damage()
        return np.frombuffer(data, np.int64)

    def _damage(self) -> BuildError:
        return BuildError(
            f"{self.path} is damaged or cut off. Delete the folder {self.path.parent} and run the same command again."
        )


@dataclass(frozen=True)
class Exchange:
    """Sections from `senders` tasks for `receivers` tasks, in files of `folder` that are named after it.

    `blocks`: how many blocks of receivers a pass makes of one; `FAN_IN` by default.
    """

    folder: Path
    name: str
    senders: int
    receivers: int
    blocks: int | None = None

    # -- senders

    def send(self, sender: int, rows: np.ndarray, receivers: np.ndarray) -> None:
        """Write the rows of one sender, of any fixed type, each to the receiver with the number in `receivers`."""
        narrow = receivers.astype(
            np.uint16 if self.receivers <= 1 << 16 else np.uint32
        )  # sorted in linear time where it is narrow
        order = np.argsort(narrow, kind="stable")
        sizes = np.bincount(receivers, minlength=self.receivers) * rows.dtype.itemsize
        self.send_chunks(sender, sizes, [rows[order].view(np.uint8).data] if len(rows) else [])

    def send_chunks(self, sender: int, sizes: np.ndarray | Sequence[int], chunks: Iterable[Any]) -> None:
        """Write the sections of one sender, of so many bytes for every receiver, given as chunks of bytes in order."""
        self._file(0, sender, 0).write(0, np.asarray(sizes, np.int64), chunks)

    # -- receivers

    def receive(self, receiver: int) -> Iterator[memoryview]:
        """Yield what is for one receiver, in the order of the senders; one file is open at a time."""
        for file in self._files_for(receiver):
            body, _ = file.read(receiver, receiver + 1)
            if len(body):
                yield body

    def receive_rows(self, receiver: int, dtype: np.dtype) -> Iterator[np.ndarray]:
        """Yield the rows for one receiver, in the order of the senders."""
        for body in self.receive(receiver):
            yield np.frombuffer(body, dtype)

    def size(self, receiver: int) -> int:
        """Return how many bytes are for one receiver."""
        return sum(file.size(receiver) for file in self._files_for(receiver))

    def _files_for(self, receiver: int) -> Iterator[SectionFile]:
        last = self._levels - 1
        block = int(np.searchsorted(self._cuts(last), receiver, side="right")) - 1
        for group in range(self._groups(last)):
            yield self._file(last, group, block)

    # -- passes

    def passes(self) -> Iterator[list[Task]]:
        """Yield the rounds of tasks between senders and receivers: none where there are few senders."""
        for level in range(1, self._levels):
            blocks = len(self._cuts(level)) - 1
            yield [(merge, (self, level, g, block)) for g in range(self._groups(level)) for block in range(blocks)]
            self._remove(level - 1)

    def remove(self) -> None:
        """Remove all files, once every receiver has what it needs."""
        for level in range(self._levels):
            self._remove(level)

    def _remove(self, level: int) -> None:
        remove_step_files(self.folder, [f"{self.name}-{level}-*.bin"])

    @property
    def _levels(self) -> int:
        levels, files = 1, self.senders
        while files > FAN_IN:
            files = -(-files // FAN_IN)
            levels += 1
        return levels

    def _groups(self, level: int) -> int:
        """Return how many groups of senders have a file of their own at a level."""
        return -(-self.senders // FAN_IN**level)

    def _cuts(self, level: int) -> np.ndarray:
        """Return the first receiver of every block at a level, and the number of receivers: blocks lie within those of the level below."""
        blocks = min(self.receivers, (self.blocks or FAN_IN) ** level)
        return np.arange(blocks + 1) * self.receivers // blocks

    def _file(self, level: int, group: int, block: int) -> SectionFile:
        return SectionFile(self.folder / f"{self.name}-{level}-{group:05d}-{block:05d}.bin")


@resumable(lambda exchange, level, group, block: exchange._file(level, group, block).path.with_suffix(".json"))
def merge(exchange: Exchange, level: int, group: int, block: int) -> Counts:
    """Merge what `FAN_IN` files of the level below have for a block of receivers into one file."""
    first, stop = exchange._cuts(level)[block : block + 2].tolist()
    below = int(np.searchsorted(exchange._cuts(level - 1), first, side="right")) - 1
    files = range(group * FAN_IN, min((group + 1) * FAN_IN, exchange._groups(level - 1)))
    slices = [exchange._file(level - 1, number, below).read(first, stop) for number in files]
    sizes = sum((np.diff(starts) for _, starts in slices), start=np.zeros(stop - first, np.int64))
    chunks = (
        body[slice(*span)] for k in range(stop - first) for body, starts in slices for span in [starts[k : k + 2].tolist()]
    )
    exchange._file(level, group, block).write(first, sizes, chunks)
    return {"files": len(slices), "bytes": int(sizes.sum())}
