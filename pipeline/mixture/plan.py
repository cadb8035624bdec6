"""What a mixture is made of: its manifest, its parts, and the fingerprints that say which work is done already."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.core.libraries import COMPUTING, find_versions
from pipeline.core.storage import fingerprint
from pipeline.manifest.steps import Step, parameters
from pipeline.mixture.corpora import BuiltCorpus
from pipeline.mixture.manifest import MixtureManifest
from pipeline.plan import record_libraries
from pipeline.workspace import Workspace
from tokenizer import train as training
from tokenizer.model import Tokenizer
from tokenizer.settings import Training

# To be raised when the output of a step changes for the same parts.
VERSIONS: dict[Step, int] = {"deduplicate": 4, "count": 3, "select": 3, "write": 3}
# The libraries that a step's output depends on, beside those of the steps before.
_LIBRARIES: dict[Step, tuple[str, ...]] = {
    "deduplicate": COMPUTING,
    "count": ("sentencepiece",),
    "select": (),
    "write": ("pyarrow",),
}
_DRAW_VERSION = 2  # to be raised when a tokenizer is trained on other text of the same parts


@dataclass(frozen=True)
class MixturePlan:
    """A manifest applied to its parts, which are `corpora` in the order of `manifest.mixture`, with the folders of its steps."""

    manifest: MixtureManifest
    corpora: tuple[BuiltCorpus, ...]
    out: Path
    work: Path

    @cached_property
    def tokenizer_fingerprint(self) -> str | None:
        """Of the tokenizer that counts: of its file where it is named, of settings and text where it is trained here."""
        settings = self.manifest.tokenizer
        if settings is None:
            return None
        if settings.path is not None:
            return Tokenizer.load(settings.path).fingerprint
        corpora = [[corpus.identity, weight] for corpus, weight in zip(self.corpora, self.training_weights, strict=True)]
        return fingerprint(training.VERSION, _DRAW_VERSION, settings.model_dump(include=set(Training.model_fields)), corpora)

    @property
    def training_weights(self) -> list[float | None]:
        """Weights of the parts in the sample that a tokenizer is trained on: their weights or budgets, None for their sizes."""
        parts = self.manifest.mixture
        targets = [part.weight or part.budget for part in parts]
        return [None] * len(parts) if None in targets else [float(target or 0) for target in targets]

    @cached_property
    def libraries(self) -> dict[Step, dict[str, str]]:
        """The versions of the libraries that each step's output depends on."""
        return {step: find_versions(_LIBRARIES[step]) for step in VERSIONS}

    def record_libraries(self) -> list[str]:
        """Remember which libraries this build has; return a sentence for each step that is redone since they changed after the last."""
        return record_libraries(self.workspace, self.libraries)

    @cached_property
    def fingerprints(self) -> dict[Step, str]:
        """One per step: its version, its libraries' versions, the settings that belong to it, and the fingerprint of the step before."""
        manifest = self.manifest
        settings: dict[Step, Any] = {
            "deduplicate": [
                [corpus.identity, priority] for corpus, priority in zip(self.corpora, manifest.priorities, strict=True)
            ],
            "count": self.tokenizer_fingerprint,
            "select": [manifest.unit, manifest.shards.validation],
            "write": [],
        }
        previous: list[Any] = []
        fingerprints: dict[Step, str] = {}
        for step, version in VERSIONS.items():
            of_parts = [parameters(part, step) for part in manifest.mixture]
            fingerprints[step] = fingerprint(
                version, self.libraries[step], parameters(manifest, step), of_parts, settings[step], previous
            )
            previous = [fingerprints[step]]
        return fingerprints

    @cached_property
    def output_fingerprint(self) -> str:
        """Fingerprint of everything that the output shows, the card's words included."""
        words = self.manifest.model_dump(mode="json", exclude={"tokenizer"})
        return fingerprint(self.fingerprints["write"], words, [corpus.state["fingerprint"] for corpus in self.corpora])

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.out, self.work, self.fingerprints)

    @property
    def more_steps(self) -> list[str]:
        """Folders in `work` beside those of the steps: of a tokenizer that is trained here."""
        return [] if self.tokenizer_fingerprint is None else [f"tokenizer-{self.tokenizer_fingerprint}"]

    def up_to_date(self) -> dict[str, Any] | None:
        """Return the summary of the last build, where that build is this one and its output is in place."""
        return self.workspace.find_published(self.output_fingerprint)

    def resolved(self) -> dict[str, Any]:
        """Return the manifest as it is built, every default written out."""
        resolved = self.manifest.model_dump(mode="json", exclude_none=True)
        tokenizer = resolved.get("tokenizer", {})
        if "path" in tokenizer:  # which was trained elsewhere
            resolved["tokenizer"] = {key: value for key, value in tokenizer.items() if key not in Training.model_fields}
        return resolved
