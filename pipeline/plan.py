"""What a build is made of: fingerprints, folders, and which work is done already."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.storage import fingerprint, read_json
from pipeline.manifest.loading import Manifest
from pipeline.sources import Partition
from pipeline.sources.inputs import InputFile
from pipeline.steps import decide, deduplicate, measure, write
from pipeline.steps.measure import Part

STEPS = ("measure", "decide", "deduplicate", "write")
DEDUPLICATED = "duplicates.json"  # counts of the step deduplicate: where it is there, the step is done


@dataclass(frozen=True)
class Ids:
    """Record ids: `<corpus>/<locator>`, with the file's name between them where there are several files.

    A locator that is a number, an offset, is written with ten digits.
    """

    corpus: str
    files: tuple[str, ...]
    file_of: tuple[int, ...]  # by partition

    def __call__(self, index: int, locators: pl.Series) -> list[str]:
        prefix = f"{self.corpus}/" if len(self.files) == 1 else f"{self.corpus}/{self.files[self.file_of[index]]}/"
        words = locators if locators.dtype == pl.String else locators.cast(pl.String).str.zfill(10)
        return (prefix + words).to_list()


@dataclass(frozen=True)
class Plan:
    """A manifest applied to inputs, with the folders of its steps."""

    manifest: Manifest
    inputs: tuple[InputFile, ...]
    out: Path
    work: Path
    limit: int | None = None

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """One per step: the step's version, its parameters, and the fingerprint of the step before."""
        m = self.manifest
        lists = sorted(
            (f.name, f.read_text("utf-8")) for f in (files("filters") / "lists").iterdir() if f.name.endswith(".txt")
        )
        bounds = {name: b.model_dump(exclude={"source", "reason"}) for name, b in m.rules.items()}
        measured = fingerprint(
            measure.VERSION,
            m.source.model_dump(include={"format", "partition", "max_document"} | ({"columns"} if m.source.columns else set())),
            m.clean.model_dump(),
            sorted(m.measures),
            lists,
            m.measured_by,
            [[f.name, f.identity] for f in self.inputs],
            self.limit,
        )
        decided = fingerprint(decide.VERSION, list(bounds.items()), measured)
        deduplicated = fingerprint(deduplicate.VERSION, m.deduplicate.model_dump(), decided, m.name)
        written = fingerprint(write.VERSION, m.shards.model_dump(), m.license, deduplicated)
        return dict(zip(STEPS, (measured, decided, deduplicated, written), strict=True))

    @cached_property
    def whole(self) -> str:
        """Fingerprint of everything that the output shows, the card's words included."""
        return fingerprint(self.fingerprints["write"], self.manifest.model_dump(mode="json", exclude={"tokenizer"}))

    def folder(self, step: str) -> Path:
        return self.work / f"{step}-{self.fingerprints[step]}"

    @property
    def staging(self) -> Path:
        """Where shards and ledger are written; beside their final place, so that a rename publishes them."""
        return self.out / ".seimai" / f"write-{self.fingerprints['write']}"

    @property
    def state(self) -> Path:
        return self.out / ".seimai" / "state.json"

    def up_to_date(self) -> dict[str, Any] | None:
        """The summary of the last build, where that build is this one and its output is in place."""
        state = read_json(self.state)
        if not isinstance(state, dict) or state.get("fingerprint") != self.whole:
            return None
        data = [self.out / "data" / name for name in state["shards"]]
        ledgers = [self.out / "ledger" / name for name in state["ledgers"]]
        return state if all(p.is_file() for p in [*data, *ledgers, self.out / "README.md"]) else None

    # -- partitions

    def cut_file(self, index: int) -> Path:
        return self.folder("measure") / "cut" / f"{index:05d}.json"

    def file_end(self, number: int) -> Path:
        """Size, checksum and damage of an input file that was read to its end."""
        return self.folder("measure") / "cut" / f"file-{number:03d}.json"

    def known_partitions(self) -> list[Partition]:
        """Partitions that were cut in earlier runs, up to the first gap."""
        found: list[Partition] = []
        while (value := read_json(self.cut_file(len(found)))) is not None:
            found.append(Partition(**value))
        return found

    def measured(self, index: int) -> dict[str, Any] | None:
        return read_json(Part(self.folder("measure"), index).done)

    def layout(self, parts: list[dict[str, Any]], kept: int) -> deduplicate.Layout:
        bases = tuple(int(x) for x in np.concatenate([[0], np.cumsum([p["records"] for p in parts])]))
        return deduplicate.Layout(
            self.folder("measure"), self.folder("decide"), self.folder("deduplicate"), bases, kept, self.manifest.deduplicate
        )

    def resolved(self) -> dict[str, Any]:
        """The manifest as it is built, every default and preset bound written out."""
        return self.manifest.model_dump(mode="json", exclude_none=True)
