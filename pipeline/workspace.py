"""Where a build keeps what: the folders of its steps, the files of a partition, and how records are numbered and called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.manifest.steps import Step

STATE_FOLDER = ".seimai"  # in the output folder: what a build remembers, its lock, and its intermediates by default


@dataclass(frozen=True)
class Workspace:
    """The folders and files of a build; `fingerprints` are those of its steps, which their folders are named after."""

    out: Path
    work: Path
    fingerprints: Mapping[Step, str]

    @property
    def state_folder(self) -> Path:
        return self.out / STATE_FOLDER

    @property
    def state(self) -> Path:
        """JSON: the summary of the last build that was published."""
        return self.state_folder / "state.json"

    @property
    def inputs(self) -> Path:
        """JSON: the input files of the last build that was begun."""
        return self.state_folder / "inputs.json"

    @property
    def staging(self) -> Path:
        """The folder of shards and ledger before they are published: beside their final place, so that a rename publishes them."""
        return self.state_folder / f"write-{self.fingerprints['write']}"

    def folder(self, step: Step) -> Path:
        return self.work / f"{step}-{self.fingerprints[step]}"

    @property
    def duplicates(self) -> Path:
        """JSON, written last: the counts of the step deduplicate."""
        return self.folder("deduplicate") / "duplicates.json"

    def part(self, index: int) -> Part:
        return Part(self.folder("measure"), index)

    def partition_record(self, index: int) -> Path:
        """JSON: a partition that was cut."""
        return self.folder("measure") / "cut" / f"{index:05d}.json"

    def input_record(self, number: int) -> Path:
        """JSON: size, checksum and damage of an input file that was read to its end."""
        return self.folder("measure") / "cut" / f"file-{number:03d}.json"


@dataclass(frozen=True)
class Part:
    """The files of one measured partition."""

    folder: Path
    index: int

    @property
    def raw(self) -> Path:
        """The bytes that the source's `read` gets."""
        return self.folder / "raw" / f"{self.index:05d}.bin"

    @property
    def table(self) -> Path:
        """Parquet: a row per record, with the columns of `pipeline.modalities.base.MeasuredRecords`."""
        return self.folder / f"part-{self.index:05d}.parquet"

    def array(self, name: str) -> Path:
        """A matrix with a row per record: `signatures` uint16[n, permutations] (their low halves), `sketches` uint8[n, width] …"""
        return self.folder / f"part-{self.index:05d}.{name}.npy"

    @property
    def counts(self) -> Path:
        """JSON, written last: where it exists, the part is complete."""
        return self.folder / f"part-{self.index:05d}.json"


def list_parts(folder: Path) -> list[Part]:
    """Return the complete parts in a folder of the step measure, in order."""
    names = (path.stem.removeprefix("part-") for path in folder.glob("part-*.json"))
    return [Part(folder, int(name)) for name in sorted(names)]


def verdicts_file(folder: Path, index: int) -> Path:
    """Return the Parquet file, in the folder of the step decide, of the verdicts on one measured partition, row for row."""
    return folder / f"part-{index:05d}.parquet"


@dataclass(frozen=True)
class Layout:
    """What the step deduplicate reads and writes. Partition i holds the records numbered `bases[i]` to `bases[i + 1]` - 1.

    `kept`: how many records enter the step. `settings`: the manifest's table `deduplicate`, or one like it. `prefix`: what the compared
    arrays and columns begin with: "" for those of the record, "text_" for those of its transcript alone.
    """

    measured: Path
    decided: Path
    folder: Path
    bases: tuple[int, ...]
    kept: int
    settings: Any
    prefix: str = ""

    @property
    def partitions(self) -> int:
        return len(self.bases) - 1

    def part(self, index: int) -> Part:
        return Part(self.measured, index)

    def spans(self, numbers: np.ndarray) -> Iterator[tuple[int, slice]]:
        """Yield every partition, and where its records stand among ascending numbers."""
        cuts = np.searchsorted(numbers, self.bases).tolist()
        for index, (first, last) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            yield index, slice(first, last)

    def array(self, name: str, index: int) -> Path:
        return self.part(index).array(f"{self.prefix}{name}")

    def kept_mask(self, index: int) -> np.ndarray:
        """bool[n]: which records of a partition the rules kept."""
        verdicts = pl.read_parquet(verdicts_file(self.decided, index), columns=["verdict"])["verdict"]
        return (verdicts == "kept").to_numpy()

    def facts(self, index: int) -> Path:
        return self.folder / f"facts-{index:05d}.npy"

    def pairs(self, number: int) -> Path:
        return self.folder / f"pairs-{number:05d}.npy"

    def clusters(self, index: int) -> Path:
        """Parquet: a row for every record of the partition that is in a cluster."""
        return self.folder / f"clusters-{index:05d}.parquet"

    def late_verdicts(self, index: int) -> Path:
        """Parquet: what the step finds out about single records of the partition."""
        return self.folder / f"late-{index:05d}.parquet"


@dataclass(frozen=True)
class RecordIds:
    """Record ids: `<corpus>/<locator>`, with the file's name between them where there are several files.

    A locator that is a number, an offset, is written with ten digits. `file_of_partition` has the number of the file of each partition.
    """

    corpus: str
    files: tuple[str, ...]
    file_of_partition: tuple[int, ...]

    def __call__(self, index: int, locators: pl.Series) -> list[str]:
        """Return the ids of records of partition `index`."""
        prefix = f"{self.corpus}/"
        if len(self.files) > 1:
            prefix += f"{self.files[self.file_of_partition[index]]}/"
        words = locators if locators.dtype == pl.String else locators.cast(pl.String).str.zfill(10)
        return (prefix + words).to_list()
