"""A model of one's own for `quality_score`: measured with, and part of the fingerprint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from filters.text.text_model import BUCKETS, TextModel
from pipeline.core.errors import UsageError
from pipeline.manifest.loading import load
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.measure import measure_documents
from pipeline.plan import Plan
from pipeline.sources.rows import Rows, Spans

TEXT = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    "何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
)


def write_model(path: Path, intercept: float) -> Path:
    """Write a model that says the same of every text."""
    path.write_bytes(TextModel(np.zeros(BUCKETS, "<i2"), 1.0, 1.0, intercept).to_bytes())
    return path


def load_text(*options: str) -> TextManifest:
    manifest = load("cc100-ja", options)
    assert isinstance(manifest, TextManifest)
    return manifest


def measure(manifest: TextManifest, text: str) -> float | None:
    data = np.frombuffer(text.encode(), np.uint8)
    frame = pl.DataFrame({"file": [0], "locator": ["0"]}).with_columns(problem=pl.lit(None, pl.String))
    rows = Rows(frame, Spans(data, np.zeros(1, np.int64), np.array([len(data)])))
    score: float | None = measure_documents(manifest, rows).table["m:quality_score"][0].as_py()
    return score


def test_quality_score_is_of_the_model_that_is_named(tmp_path):
    path = write_model(tmp_path / "model.npz", -2.0)
    assert measure(load_text(f'quality.model="{path}"'), TEXT) == pytest.approx(1 / (1 + np.exp(2.0)))
    assert measure(load_text(f'quality.model="{path}"'), "短い。") is None
    assert measure(load_text(), TEXT) > 0.5


def test_another_model_measures_anew(tmp_path):
    def fingerprint(*options: str) -> str:
        return Plan(load_text(*options), (), tmp_path / "out", tmp_path / "work").fingerprints["measure"]

    path = write_model(tmp_path / "model.npz", 0.0)
    named = f'quality.model="{path}"'
    first = fingerprint(named)
    assert first != fingerprint()
    path.rename(tmp_path / "moved.npz")
    assert fingerprint(f'quality.model="{tmp_path / "moved.npz"}"') == first
    write_model(path, 1.0)
    assert fingerprint(named) != first


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    with pytest.raises(UsageError, match=r"--set quality.model=.*cannot be read: No such file"):
        load_text(f'quality.model="{path}"')
    path.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"--set quality.model=.*is no model of text\. Make one with"):
        load_text(f'quality.model="{path}"')


def test_the_strict_preset_has_the_rules_of_the_other():
    mild, strict = load_text().rules, load_text('rules.preset="ja-web-strict"').rules
    assert [*mild] == [*strict]
    assert {name for name in mild if mild[name] != strict[name]} == {"chars", "quality_score", "fluency_score"}
    assert all(bound.source and bound.reason for bound in strict.values())
