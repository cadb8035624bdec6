"""The recipe of CONTRIBUTING.md for a trainer, run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


def test_add_a_trainer(tokenised: Path, losses_of, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text[text.index("## Add a trainer") :]
    code, table = (re.search(rf"```{language}\n(.*?)```", section, re.S)[1] for language in ("python", "toml"))
    scope: dict = {"__name__": "recipe"}
    exec(compile(code, "recipe", "exec", dont_inherit=True), scope)
    (tmp_path / "tiny.toml").write_text(table, "utf-8")
    options = ["--config", str(tmp_path / "tiny.toml"), "--set", "train.log_every=1", "--set", "train.save_every=20"]

    def run(name: str, *more: str) -> None:
        scope["main"]([str(tokenised), "--out", str(tmp_path / name), *options, *more], standalone_mode=False)

    run("whole", "--set", "train.steps=40")
    losses = losses_of(tmp_path / "whole")
    assert sum(list(losses.values())[-5:]) < sum(list(losses.values())[:5])
    # Masks are drawn by torch's generator: what goes on draws the same.
    run("halves", "--set", "train.steps=20", "--set", "train.schedule=constant_with_warmup")
    run("halves", "--set", "train.steps=40", "--set", "train.schedule=constant_with_warmup", "--resume")
    run("at once", "--set", "train.steps=40", "--set", "train.schedule=constant_with_warmup")
    assert losses_of(tmp_path / "halves") == losses_of(tmp_path / "at once")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "whole" / "model")
    with pytest.raises(IndexError), torch.no_grad():
        model(torch.tensor([[640]]))  # as many pieces as the tokenizer has
