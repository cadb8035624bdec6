"""Fingerprints of mixtures: a change redoes its step and what follows, and nothing before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.manifest.loading import load_any
from pipeline.manifest.steps import declared_steps
from pipeline.mixture.corpora import open_corpora
from pipeline.mixture.manifest import MixtureManifest, MixturePart
from pipeline.mixture.plan import VERSIONS, MixturePlan
from tests.pipeline.manifest.test_steps import fields

STEPS = list(VERSIONS)
PARTS = "alpha weight = 0.5; priority = 1\nbeta weight = 0.5; priority = 2"
TOKENIZER = "[tokenizer]\nvocab_size = 640"
# What a change is, and the first step that it redoes; None for none.
CHANGES = [
    (PARTS.replace("0.5", "0.25", 1).replace("0.5", "0.75", 1), "", "count"),  # a tokenizer is trained by the weights
    (PARTS.replace("weight = 0.5; priority = 2", "weight = 0.5; priority = 2; epochs = 2"), "", "select"),
    (PARTS.replace("priority = 2", "priority = 0"), "", "deduplicate"),
    (PARTS, "seed = 2", "select"),
    (PARTS, "tokens = 5000", "select"),
    (PARTS, 'title = "Other"', None),
    (PARTS, TOKENIZER.replace("640", "650"), "count"),
    (PARTS, f"{TOKENIZER}\nsequence_length = 64", None),
    (PARTS, f"{TOKENIZER}\n[shards]\nvalidation = 0.2", "select"),
    (PARTS, f'{TOKENIZER}\n[shards]\nsize = "1 MB"', "write"),
    (PARTS, f"{TOKENIZER}\n[deduplicate]\nthreshold = 0.7", "deduplicate"),
]


@pytest.fixture
def plan(parts):
    def make(text: str = PARTS, more: str = "") -> MixturePlan:
        path = parts.mixture(text, f"{more if '[' in more else more + chr(10) + TOKENIZER}", "planned")
        path.write_text(path.read_text("utf-8").replace('title = "Mix"', "" if "title" in more else 'title = "Mix"'), "utf-8")
        manifest = load_any(str(path))
        assert isinstance(manifest, MixtureManifest)
        return MixturePlan(manifest, open_corpora(manifest, Path("out")), Path("out"), Path("work"))

    return make


@pytest.mark.parametrize(("text", "more", "step"), CHANGES)
def test_a_change_redoes_its_step_and_none_before(plan, text, more, step):
    before, after = plan(), plan(text, more)
    redone = [name for name in STEPS if before.fingerprints[name] != after.fingerprints[name]]
    assert redone == (STEPS[STEPS.index(step) :] if step else [])
    assert before.output_fingerprint != after.output_fingerprint or "sequence_length" in more


def test_what_is_in_a_part_is_a_change(plan):
    one = plan()
    corpora = [replace(corpus, state=corpus.state | {"written": "other"}) for corpus in one.corpora]
    assert (
        MixturePlan(one.manifest, tuple(corpora), one.out, one.work).fingerprints["deduplicate"]
        != one.fingerprints["deduplicate"]
    )


@pytest.mark.parametrize("table", [MixtureManifest, MixturePart])
def test_every_field_declares_its_step(table):
    assert [path for path, owner, name in fields(table) if not declared_steps(owner, name)] == []
