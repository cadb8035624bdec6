"""`metrics.jsonl` is JSON, whatever a run computes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.core.storage import to_json, write_json
from trainers.training.metrics import MetricsLog


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_what_is_no_finite_number_is_null(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0, 10, Console(quiet=True))
    log.write(
        "train", {"step": 1, "gradient_norm": math.inf, "loss": math.nan, "parts": {"of": [-math.inf, 0.5]}, "sample": "あ"}
    )
    line = json.loads((tmp_path / "metrics.jsonl").read_text("utf-8"), parse_constant=no_constant)
    assert line == {
        "split": "train", "step": 1, "gradient_norm": None, "loss": None, "parts": {"of": [None, 0.5]}, "sample": "あ",
    }  # fmt: skip
    write_json(tmp_path / "config.json", {"train": {"clip": math.inf}})
    assert json.loads((tmp_path / "config.json").read_text("utf-8"), parse_constant=no_constant) == {"train": {"clip": None}}


def test_what_json_cannot_hold_is_still_an_error() -> None:
    with pytest.raises(TypeError):
        to_json({"x": object()})


def test_a_text_is_shown_in_a_line_as_it_is(tmp_path: Path) -> None:
    console = Console(record=True, width=60)
    sample = "[bold]日本の\n\x1b[2J" + "あ" * 200
    MetricsLog(tmp_path, 0, 10, console).write("validation", {"step": 5, "loss": 1.5, "sample": sample})
    shown = console.export_text().splitlines()
    assert shown[0].split() == ["validation", "step", "5/10", "loss", "1.5"]
    assert shown[1].strip() == "sample: " + ("[bold]日本の \ufffd[2J" + "あ" * 200)[:120]
    assert json.loads((tmp_path / "metrics.jsonl").read_text("utf-8"))["sample"] == sample
