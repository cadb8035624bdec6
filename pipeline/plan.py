"""What a build is made of: a manifest, its inputs, and the fingerprints that say which work is done already."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import xxhash

from pipeline.core.storage import fingerprint
from pipeline.manifest.model import Manifest
from pipeline.manifest.steps import Step, parameters
from pipeline.sources.inputs import InputFile
from pipeline.workspace import Workspace

# To be raised when the output of a step changes for the same input.
VERSIONS: dict[Step, int] = {"measure": 11, "decide": 3, "deduplicate": 7, "strip": 2, "write": 8}


@dataclass(frozen=True)
class Plan:
    """A manifest applied to inputs, with the folders of its steps."""

    manifest: Manifest
    inputs: tuple[InputFile, ...]
    out: Path
    work: Path
    limit: int | None = None

    @cached_property
    def fingerprints(self) -> dict[Step, str]:
        """One per step: the step's version, the manifest's fields that belong to it, and the fingerprint of the step before."""
        manifest = self.manifest
        lists = sorted(
            (f.name, f.read_text("utf-8")) for f in (files("filters") / "lists").iterdir() if f.name.endswith(".txt")
        )
        models = sorted(
            (f.name, xxhash.xxh3_128_hexdigest(f.read_bytes()))
            for f in (files("filters") / "models").iterdir()
            if f.name.endswith(".npz")
        )
        inputs = [[f.name, f.identity] for f in self.inputs]
        previous: list[Any] = [sorted(manifest.measures), lists, models, inputs, self.limit]
        fingerprints: dict[Step, str] = {}
        for step, version in VERSIONS.items():
            fingerprints[step] = fingerprint(version, parameters(manifest, step), previous)
            previous = [fingerprints[step]]
        return fingerprints

    @cached_property
    def output_fingerprint(self) -> str:
        """Fingerprint of everything that the output shows, the card's words included."""
        return fingerprint(self.fingerprints["write"], self.manifest.model_dump(mode="json", exclude={"tokenizer"}))

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.out, self.work, self.fingerprints)

    def up_to_date(self) -> dict[str, Any] | None:
        """Return the summary of the last build, where that build is this one and its output is in place."""
        return self.workspace.find_published(self.output_fingerprint)

    def resolved(self) -> dict[str, Any]:
        """Return the manifest as it is built, every default and preset bound written out."""
        return self.manifest.model_dump(mode="json", exclude_none=True)
