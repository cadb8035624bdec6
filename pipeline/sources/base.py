"""What a source is: raw bytes of one wire format in, partitions of rows with stable ids out.

A source has two halves. `cut`, on the driver, turns an input file into partitions in one pass that can be taken up again after any of
them. `read`, on a worker, turns one partition into rows. Neither cleans text nor drops records.

Nearly every source starts from one of two classes that do the cutting: `pipeline.sources.text.base.TextSource` for streams of text, and
`pipeline.sources.pointers.PointerSource` where content, such as images, stays where it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from pipeline.sources.inputs import InputFile, resolve
from pipeline.sources.rows import Rows


@dataclass(frozen=True)
class Partition:
    """A run of consecutive records of one input file.

    `start`, `end`: byte offsets in the uncompressed stream or, where content stays in its place, in the sequence of all content of the
    file. `problem`: None, or why its only record cannot be read (it is too large, or the input ends inside it); the partition then
    holds only that record's first bytes. `limit`: how many of its records are wanted, None for all. `records`: how many there are,
    where the source knows before reading.
    """

    index: int
    file: int
    start: int
    end: int
    problem: str | None = None
    limit: int | None = None
    records: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class CutState:
    """How to cut an input file, where to go on, and what was learnt about the file.

    Sizes are in bytes. `columns` and `content` are the manifest's `source.columns` and the folder of the images or recordings that a
    list names. A source sets `checksum` and `size` at the end of the file, `damage` where the file is damaged, and `warning` where it
    does not look like the format. `consumed` counts bytes of the file as stored that were read so far, `reached` the bytes of the
    uncompressed stream that they stand for.
    """

    partition: int
    max_document: int
    start: int = 0  # first byte of the stream that is not in a finished partition
    limit: int | None = None  # records still wanted
    content: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    checksum: str | None = None
    size: int = 0
    damage: str | None = None
    warning: str | None = None
    consumed: int = 0
    reached: int = 0


class Source(ABC):
    """A wire format that a manifest can name in `source.format`; instances stand in `pipeline.sources.SOURCES`.

    `modality`: whose records it yields, a key of `pipeline.modalities.MODALITIES`. `options`: keys of a manifest's table `source` that
    `find_inputs` takes. `columns`: standard names that `source.columns` may map to those of a table. `metadata`: columns of its rows
    that `source.keep` may carry to the shards, by their type.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[str, ...]] = ()
    metadata: ClassVar[Mapping[str, pl.DataType]] = {}

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        """Return the input files that paths, globs and URLs stand for."""
        return resolve(patterns)

    @abstractmethod
    def cut(
        self, file: InputFile, number: int, first_index: int, state: CutState
    ) -> Iterator[tuple[Partition, bytes | memoryview]]:
        """Cut input file `number` into partitions from `first_index` on, each with the bytes that `read` needs of it."""

    @abstractmethod
    def read(self, partition: Partition, path: Path) -> Rows:
        """Return the rows of a partition whose bytes are in the file `path`."""

    def warm(self) -> None:  # noqa: B027 (most sources have nothing to compile)
        """Compile the kernels that workers use."""
