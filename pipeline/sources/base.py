"""What a source is: raw bytes of one wire format in, ranges of rows with stable ids out.

A source has two halves, and both run on workers. `cut` turns an input file into ranges, in one pass that can be taken up again after any
of them. `read` turns one range into rows. Neither cleans text nor drops records.

Nearly every source starts from one of two classes that do the cutting: `pipeline.sources.text.base.TextSource` for streams of text, and
`pipeline.sources.pointers.PointerSource` where content, such as images, stays where it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl

from pipeline.sources.inputs import InputFile, resolve
from pipeline.sources.rows import Rows


@dataclass(frozen=True)
class Range:
    """Consecutive records of one input file, number `file`.

    `start`, `end`: where they lie. Most formats count bytes of the uncompressed stream; where content stays in its place, bytes of all
    content of the file; a format may count rows, or bytes of the file as stored. `size`: bytes of content. `line`: the number of the
    first line, from 1, where the format has lines. `problem`: None, or why the only record cannot be read (it is too large, or the input
    ends inside it); only that record's first bytes are then at hand. `limit`: how many of the records are wanted, None for all.
    `records`: how many there are, where the source knows before reading. `format`: the name of the source that reads the range.
    """

    file: int
    start: int
    end: int
    size: int
    line: int | None = None
    problem: str | None = None
    limit: int | None = None
    records: int | None = None
    format: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Fields:
    """Which columns of a record are wanted beside its content.

    `columns`: the manifest's `source.columns`, from standard names to those in the data. `keep`: columns of `source.keep`, with their
    types. `max_document`: bytes; a longer text is not read, where cutting did not see to that already.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, pl.DataType] = field(default_factory=dict)
    max_document: int = 1 << 62


@dataclass
class CutState:
    """How to cut an input file, where to go on, and what was learnt about the file.

    Sizes are in bytes. `columns` and `content` are the manifest's `source.columns` and the folder of the images or recordings that a
    list names; `start` is the `end` of the last range that is finished. A source sets `checksum` and `size` at the end of the file,
    `damage` where the file is damaged, and `warning` where there is something to say about it. `consumed` counts bytes of the file as
    stored that were read so far, `reached` the bytes of the uncompressed stream that they stand for.
    """

    partition: int
    max_document: int
    start: int = 0
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
    that `source.keep` may carry to the shards, by their type; `any_column`: `source.keep` may name others, too. `keep`: what is kept
    where a manifest does not say. `groups_small_files`: several small files may make one partition.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[str, ...]] = ()
    metadata: ClassVar[Mapping[str, pl.DataType]] = {}
    any_column: ClassVar[bool] = False
    keep: ClassVar[tuple[str, ...]] = ()
    groups_small_files: ClassVar[bool] = False

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        """Return the input files that paths, globs and URLs stand for."""
        return resolve(patterns)

    def check_fields(self, files: list[InputFile], fields: Fields) -> None:  # noqa: B027 (most formats have no columns to choose from)
        """Raise UsageError where input files lack a column that is needed or named, as far as a quick look can tell."""

    @abstractmethod
    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, bytes | memoryview | None]]:
        """Cut input file `number` into ranges from `state.start` on, each with the bytes that `read` needs of it.

        None stands for bytes that `read` gets from the input itself. Where a range ends must depend on the bytes of the file alone.
        """

    def cut_record(
        self, file: InputFile, number: int, locator: str, state: CutState
    ) -> Iterator[tuple[Range, bytes | memoryview | None]]:
        """Cut ranges one of which has the record with this locator; by default all of them, from `state.start` on.

        Whoever reads the record again stops at the range that has it.
        """
        state.limit = state.limit or 1 << 62  # so that nobody sums up the bytes of a file that is not read to its end
        return self.cut(file, number, state)

    def count_bytes_before(self, file: InputFile, locator: str) -> int:
        """Return how many bytes `cut_record` has to decompress before it comes to a record."""
        return 0

    @abstractmethod
    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        """Return the rows of a range. `body`: the bytes that `cut` gave with it, as uint8."""

    def warm(self) -> None:  # noqa: B027 (most sources have nothing to compile)
        """Compile the kernels that workers use."""
