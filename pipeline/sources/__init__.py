"""Sources: raw bytes of one wire format in, partitions of records with stable ids out.

A source has two halves. `cut`, on the driver, turns input files into partitions, each a small file of raw bytes under the work
folder, in one pass that can be taken up again after any partition. `read`, on a worker, turns one partition into records. To add a
wire format, write a module with the two and name it in `SOURCES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from pipeline.sources.stream import InputFile


@dataclass(frozen=True)
class Partition:
    """A run of whole documents of one input file.

    `start`, `end`: byte offsets in the uncompressed stream. `flaw`: None, or why its only document cannot be read (it is too large,
    or the input ends inside it); then only its first bytes are in the file.
    """

    index: int
    file: int
    start: int
    end: int
    flaw: str | None = None
    limit: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Records:
    """Raw documents of a partition: `data[starts[i]:ends[i]]` stands at byte `offsets[i]` of the stream."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray
    flaw: str | None = None


class Source(Protocol):
    """What a module named in `SOURCES` offers."""

    @staticmethod
    def cut(
        file: InputFile, number: int, first_index: int, state: CutState
    ) -> Iterator[tuple[Partition, bytes | memoryview]]: ...

    @staticmethod
    def read(partition: Partition, path: Path) -> Records: ...

    @staticmethod
    def warm() -> None: ...


@dataclass
class CutState:
    """How to cut, and from where to go on."""

    partition: int
    max_document: int
    start: int = 0  # first byte of the stream that is not in a finished partition
    limit: int | None = None  # documents still wanted
    checksum: str | None = None  # set at the end of the file
    size: int = 0  # bytes of the whole stream, set at the end
    damage: str | None = None  # set where the file is damaged
    warning: str | None = None  # set where the file does not look like the format
    consumed: int = 0  # bytes of the file as stored that were read so far, and
    reached: int = 0  # … bytes of the stream that they stand for


# Wire formats that a manifest can name in `source.format`, and the module that reads each.
SOURCES = {"cc100": "pipeline.sources.cc100"}


def source(name: str) -> Source:
    """The source of a wire format named in `SOURCES`."""
    return cast(Source, importlib.import_module(SOURCES[name]))
