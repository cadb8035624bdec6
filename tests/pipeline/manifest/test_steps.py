"""Fingerprints cannot forget: every field of a manifest belongs to a step, and a change of it redoes that step and none before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.manifest.loading import load
from pipeline.manifest.model import Bound, Manifest
from pipeline.manifest.steps import ManifestTable, declared_steps, is_annotated
from pipeline.modalities import MODALITIES
from pipeline.plan import VERSIONS, Plan

MANIFESTS = {"text": "cc100-ja", "image_text": "image-text-ja", "speech": "speech-ja"}
LATER = {"inputs": (), "report": (), "tokenise": ()} | {step: tuple(VERSIONS)[i:] for i, step in enumerate(VERSIONS)}


def fields(table: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel], str]]:
    """Yield the path, the table and the name of every field that is no table of its own."""
    for name, field in table.model_fields.items():
        nested = field.annotation
        if is_annotated(table, name) or not (isinstance(nested, type) and issubclass(nested, ManifestTable)):
            yield f"{prefix}{name}", table, name
        else:
            yield from fields(nested, f"{prefix}{name}.")


@pytest.mark.parametrize("table", [*(m.manifest for m in MODALITIES.values()), Bound], ids=lambda table: table.__name__)
def test_every_field_declares_its_step(table):
    undeclared = [path for path, owner, name in fields(table) if name != "rules" and not declared_steps(owner, name)]
    assert not undeclared, f"declare the step of {undeclared} with Annotated[…, BelongsTo(step)]"


# A value other than the default, for every field that a build can have another of.
OTHER: dict[str, Any] = {
    "name": "other", "title": "Other", "description": "Other.", "license": "MIT", "homepage": "https://example.com/", "source.url": "https://example.com/x.xz",
    "source.partition": 1000, "source.max_document": 1000, "clean.compatibility": "expand", "clean.width": "keep",
    "clean.boilerplate": False,
    "clean.wikipedia": "never", "clean.html": "never",
    "clean.boilerplate_line_chars": 7, "clean.tags": "mark", "clean.speakers": "keep", "clean.fillers": "remove", "measure.also": ["chars"],
    "recurring_lines.enabled": False, "recurring_lines.lines": 7, "recurring_lines.documents": 20, "recurring_lines.site_lines": 4,
    "recurring_lines.few_documents": 5, "recurring_lines.few_lines": 20,
    "recurring_lines.site_documents": 6, "recurring_lines.site_share": 0.5,
    "deduplicate.enabled": False,
    "deduplicate.content": False, "deduplicate.threshold": 0.7, "deduplicate.margin": 0.01, "deduplicate.permutations": 64,
    "deduplicate.shingle": 4, "deduplicate.seed": 2, "deduplicate.distance": 3, "deduplicate.accept": 0.8, "deduplicate.same_caption": 7,
    "deduplicate.same_sentence": 2, "deduplicate.similar_transcripts": 2, "deduplicate.transcripts.threshold": 0.7,
    "deduplicate.transcripts.shingle": 4, "images.max_pixels": 1000, "images.batch": 3, "recordings.rate": 8000, "recordings.longest": 30,
    "recordings.cut": 20, "transcripts.dictionary": "sudachi", "shards.size": 1000, "shards.validation": 0.5, "shards.compression_level": 4,
    "shards.row_group": 7, "shards.shorter_side": 64, "shards.format": "jpeg", "shards.quality": 50,
}  # fmt: skip


def changes() -> Iterator[Any]:
    for modality, reference in MANIFESTS.items():
        for path, table, name in fields(MODALITIES[modality].manifest):
            if path in OTHER:
                steps = [marker.step for marker in declared_steps(table, name)]
                yield pytest.param(reference, path, OTHER[path], steps, id=f"{modality}-{path}")


# Fields that no build of a sample can have another value of: names and paths that are checked, or go with others.
EXEMPT = {
    "source.format", "source.sample", "source.images", "source.audio", "source.transcripts", "source.columns", "source.keep", "rules",
    "deduplicate.bands", "deduplicate.rows", "deduplicate.transcripts.bands", "deduplicate.transcripts.rows", "images.model", "tokenizer",
    "deduplicate.transcripts.enabled", "deduplicate.transcripts.margin", "deduplicate.transcripts.permutations",
    "deduplicate.transcripts.seed", "quality.model", "urls.block", "urls.allow", "license_name", "license_link",
    "deduplicate.same_domain", "measure.presets",
}  # fmt: skip


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_field_is_tried(modality):
    untried = {path for path, _, _ in fields(MODALITIES[modality].manifest)} - OTHER.keys() - EXEMPT
    assert not untried, f"give {untried} another value in OTHER, and look whether its step is the right one"


def fingerprints(manifest: Manifest) -> dict[str, str]:
    return Plan(manifest, (), Path("out"), Path("work")).fingerprints


@pytest.mark.parametrize(("reference", "path", "value", "steps"), [*changes()])
def test_a_change_redoes_its_step_and_none_before(reference, path, value, steps):
    override = f"{path}={value!r}" if not isinstance(value, bool) else f"{path}={str(value).lower()}"
    before, after = fingerprints(load(reference)), fingerprints(load(reference, [override]))
    redone = {step for step in before if before[step] != after[step]}
    assert redone == {later for step in steps for later in LATER[step]}


def test_why_a_bound_was_chosen_redoes_nothing():
    before = fingerprints(load("cc100-ja"))
    assert fingerprints(load("cc100-ja", ["rules.chars.reason=other", "rules.chars.source=other"])) == before
    assert fingerprints(load("cc100-ja", ["rules.chars.at_least=7"]))["decide"] != before["decide"]
