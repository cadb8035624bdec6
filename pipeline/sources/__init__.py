"""Sources: raw bytes of one wire format in, partitions of records with stable ids out.

A source has two halves. `cut`, on the driver, turns input files into partitions, each a small file of raw bytes under the work
folder, in one pass that can be taken up again after any partition. `read`, on a worker, turns one partition into records. To add a
wire format, write a module with the two and name it in `SOURCES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.sources.inputs import InputFile, is_url, resolve


@dataclass(frozen=True)
class Partition:
    """A run of whole records of one input file.

    `start`, `end`: byte offsets in the uncompressed stream or, where content stays in its place, in the sequence of all content of the
    file. `flaw`: None, or why its only document cannot be read (it is too large, or the input ends inside it); then only its first bytes
    are in the file.
    `records`: how many there are, where the source knows before reading.
    """

    index: int
    file: int
    start: int
    end: int
    flaw: str | None = None
    limit: int | None = None
    records: int | None = None

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
    """What a module named in `SOURCES` offers. It may have a function `inputs`, too, where files are not all that it reads.

    What `read` returns is the modality's business: `Records` for text, `a `pipeline.sources.content.Held` where content stays where it is.
    """

    @staticmethod
    def cut(
        file: InputFile, number: int, first_index: int, state: CutState
    ) -> Iterator[tuple[Partition, bytes | memoryview]]: ...

    @staticmethod
    def read(partition: Partition, path: Path) -> Any: ...

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
    content: str | None = None  # folder of the images or recordings that a list names
    columns: Mapping[str, str] = field(default_factory=dict)  # what a table calls its columns, by their standard names


@dataclass(frozen=True)
class Format:
    """A wire format: the module that reads it, and the modality of its records (a key of `pipeline.modalities.MODALITIES`).

    `options`: keys of a manifest's `source` that its `inputs` takes. `columns`: standard names that `source.columns` may map to those of
    a table.
    """

    module: str
    modality: str = "text"
    options: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


# Wire formats that a manifest can name in `source.format`.
SOURCES = {
    "cc100": Format("pipeline.sources.text.cc100"),
    "image-text": Format(
        "pipeline.sources.image_text",
        "image-text",
        ("images",),
        ("image", "url", "file_name", "caption", "license", "similarity", "punsafe", "pwatermark", "aesthetic", "key"),
    ),
    "speech": Format(
        "pipeline.sources.speech",
        "speech",
        ("audio", "transcripts"),
        ("audio", "id", "path", "transcript", "second", "speaker", "programme", "start", "end", "duration", "license"),
    ),
}


def source(name: str) -> Source:
    """The source of a wire format named in `SOURCES`."""
    return cast(Source, importlib.import_module(SOURCES[name].module))


def inputs(name: str, patterns: list[str], options: Mapping[str, str]) -> list[InputFile]:
    """The input files that paths, globs and URLs stand for, as the source of format `name` sees them with its options."""
    find = getattr(source(name), "inputs", None)
    if find is not None:
        return find(patterns, **options)
    found = resolve(patterns)
    for file in found:
        if not is_url(file.url) and (kind := _archive(Path(file.url))):
            raise UsageError(
                f"{file.url} is {kind}, not text: source.format = {name!r} reads documents as lines of text. "
                "A manifest whose source.format is image-text (such as laion-ja) reads tars and tables of images"
            )
    return found


def _archive(path: Path) -> str | None:
    """What a file is that holds no text as it stands."""
    with open(path, "rb") as file:
        head = file.read(512)
    for magic, kind in ((b"PAR1", "Parquet"), (b"ARROW1", "Arrow"), (b"PK\x03\x04", "a ZIP archive")):
        if head.startswith(magic):
            return kind
    return "a tar" if head[257:262] == b"ustar" else None
