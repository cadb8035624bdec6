"""Step 5: a manifest's table [tokenizer] makes a tokenizer and token shards of what was kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.ownership import STATE_FOLDER
from tests.support.builds import hash_outputs
from tests.support.texts import SMALL_PARTITIONS

SETTINGS = ("--set", "tokenizer.vocab_size=700", "--set", "tokenizer.sequence_length=64")
TOO_LONG = "tokenizer.sequence_length=16000000"


@pytest.fixture(scope="module")
def made(build: Callable[..., Any], mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenised") / "out"
    done = build("cc100-ja", "--input", mixed, "--out", out, "--set", SMALL_PARTITIONS, *SETTINGS)
    assert done.returncode == 0, done.stderr
    assert "tokenizer     unigram, 700 pieces" in done.stdout and "left out" in done.stdout
    return out


def test_one_command_makes_everything(made: Path, reference: Path, tmp_path: Path) -> None:
    import datasets
    from transformers import AutoTokenizer

    assert {n: d for n, d in hash_outputs(made).items() if n.startswith("data")} == {
        n: d for n, d in hash_outputs(reference).items() if n.startswith("data")
    }
    told = json.loads((made / "tokens" / "tokens.json").read_text())
    assert told["splits"]["train"]["sequences"] > 100 and told["sequence_length"] == 64
    assert told["ids"]["pad"] == AutoTokenizer.from_pretrained(made / "tokenizer").pad_token_id == 3
    card = (made / "README.md").read_text("utf-8")
    assert "## Tokenizer / トークナイザ" in card and "tokens/train-*.parquet" in card
    report = json.loads((made / "report.json").read_text("utf-8"))
    assert report["tokens"]["splits"] == told["splits"] and report["tokenizer"]["settings"]["vocab_size"] == 700
    # A cache of its own: datasets takes folders of the same name and card for the same data.
    loaded = datasets.load_dataset(str(made), "tokens", split="train", cache_dir=str(tmp_path))
    assert loaded.num_rows == told["splits"]["train"]["sequences"]
    assert "text" in datasets.load_dataset(str(made), split="train").column_names
    assert "vocab_size = 700" in (made / "manifest.lock.toml").read_text("utf-8")


def test_only_what_changed_is_done_again(made: Path, build: Callable[..., Any], mixed: Path) -> None:
    def again(*settings: str) -> Any:
        done = build("cc100-ja", "--input", mixed, "--out", made, "--set", SMALL_PARTITIONS, *settings)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def times(*names: str) -> list[int]:
        return [p.stat().st_mtime_ns for name in names for p in sorted((made / name).iterdir())]

    before, tokenizer = times("data", "ledger"), times("tokenizer")
    assert "is up to date" in again(*SETTINGS)
    packed = again(*SETTINGS, "--set", "tokenizer.packing=best-fit")
    assert "is up to date" not in packed and "measure" not in packed
    assert json.loads((made / "tokens" / "tokens.json").read_text())["packing"] == "best-fit"
    assert times("tokenizer") == tokenizer and times("data", "ledger") == before
    plan = build(
        "cc100-ja", "--input", mixed, "--out", made, "--set", SMALL_PARTITIONS, "--set", "tokenizer.vocab_size=710", "--plan"
    )
    assert "a build would do step 5 alone" in plan.stdout
    again("--set", "tokenizer.vocab_size=710", "--set", "tokenizer.sequence_length=64")
    assert json.loads((made / "tokens" / "tokens.json").read_text())["vocab_size"] == 710
    assert times("data", "ledger") == before
    (made / "tokenizer" / "tokenizer.model").write_bytes(b"damaged")
    again("--set", "tokenizer.vocab_size=710", "--set", "tokenizer.sequence_length=64")
    state = made / STATE_FOLDER / "tokenizer.json"
    state.unlink()  # as if somebody had trained it by hand
    assert f"a copy of it is kept in {made / 'tokenizer.kept'}" in again(*SETTINGS).replace("\n", " ")
    assert json.loads((made / "tokenizer.kept" / "training.json").read_text())["settings"]["vocab_size"] == 710
    state.unlink()
    assert "is up to date" in again(*SETTINGS)  # which a command of its own would have trained just so
    too_long = build("cc100-ja", "--input", mixed, "--out", made, "--set", SMALL_PARTITIONS, *SETTINGS[:2], "--set", TOO_LONG)
    assert (
        too_long.returncode == 2 and "not one sequence of 16,000,000: use a smaller one, such as --set tok" in too_long.stderr
    )


def test_a_vocabulary_that_cannot_be_leaves_the_corpus_whole(build: Callable[..., Any], mixed: Path, tmp_path: Path) -> None:
    done = build("cc100-ja", "--input", mixed, "--out", tmp_path / "out", "--set", "tokenizer.vocab_size=90000")
    assert done.returncode == 2 and "the largest possible is" in done.stderr
    assert "polishing ratio" in done.stdout and list((tmp_path / "out" / "data").glob("train-*"))
    wrong = build("cc100-ja", "--input", mixed, "--out", tmp_path / "other", "--set", "tokenizer.vocabulary=1")
    assert wrong.returncode == 2 and "--set tokenizer.vocabulary=1: there is no such key" in wrong.stderr
