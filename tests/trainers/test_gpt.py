"""GPT on token shards: what documents see of one another, what is reported, what is saved, what is refused."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.core.errors import UsageError
from pipeline.core.locks import hold_lock
from tokenizer.model import Tokenizer
from trainers import gpt
from trainers.attention import implementation
from trainers.settings import load, model_config, names

SMALL = [
    "--config", "tiny", "--set", "model.n_embd=32", "--set", "model.n_layer=1", "--set", "model.n_head=2", "--set", "train.steps=30",
    "--set", "train.batch=4", "--set", "train.evaluate_every=15", "--set", "train.save_every=15", "--set", "train.warmup=5",
]  # fmt: skip
TINY = {
    "gpt2": {"model_type": "gpt2", "n_layer": 2, "n_embd": 16, "n_head": 2, "n_positions": 32},
    "gpt_neox": {
        "model_type": "gpt_neox", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 32,
    },
}  # fmt: skip


def rows(*documents: list[int], length: int = 16) -> dict[str, Any]:
    """One row of token shards."""
    ids = [i for document in documents for i in document]
    starts = np.cumsum([0, *(len(d) for d in documents)])[: len(documents) + (len(ids) < length)]
    return {"input_ids": np.array([ids + [3] * (length - len(ids))], np.int32), "document_starts": [starts.astype(np.int32)]}


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])  # whose attention it is: all of this runs on the processor
def test_documents_do_not_depend_on_their_neighbours(kind: str, compiled: bool, device: str) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    shape = model_config(TINY[kind] | ({"attn_pdrop": 0.0} if kind == "gpt2" else {}), "model", vocab_size=50)
    how = implementation(shape, True, torch.device(device))
    model = AutoModelForCausalLM.from_config(shape, attn_implementation=how).eval()
    assert (how == "sdpa") == (device == "cpu")
    if compiled:
        # The mask is made inside of what is compiled: `eager` traces it the same way as any backend and needs no compiler.
        model = torch.compile(model, backend="eager")
    one, two, other = [7, 8, 9, 2], [11, 12, 13, 14, 2], [30, 31, 32, 33]

    def logits(*documents: list[int]) -> torch.Tensor:
        inputs, _ = gpt.collate(rows(*documents), 16, 3)
        with torch.no_grad():
            return model(input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False).logits[0]

    assert torch.allclose(logits(one, two)[4:9], logits(other, two)[4:9], atol=1e-6)
    assert torch.allclose(logits(one, two)[4:9], logits(two)[:5], atol=1e-5)
    assert not torch.allclose(logits(one + two)[4:9], logits(other + two)[4:9], atol=1e-3)  # one document sees itself


def test_attention_is_the_plain_one_where_the_fast_one_does_not_fit() -> None:
    shape, gpu = model_config(TINY["gpt2"], "model", vocab_size=50), torch.device("cuda")
    assert implementation(shape, True, gpu) == "sdpa"  # GPT-2's own dropout
    shape.attn_pdrop = 0.0
    assert implementation(shape, False, gpu) == implementation(shape, True, torch.device("cpu")) == "sdpa"
    assert implementation(shape, True, gpu) != "sdpa"


def test_rows_become_sequences() -> None:
    inputs, amount = gpt.collate(rows([5, 6, 2], [7, 8, 9, 10, 11, 12, 2], length=16), 8, 3)
    assert inputs["input_ids"].tolist() == [[5, 6, 2, 7, 8, 9, 10, 11], [12, 2, 3, 3, 3, 3, 3, 3]]
    # A document that is cut goes on at position 0: the model has no more of them.
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 3, 4], [0, 1, 0, 1, 2, 3, 4, 5]]
    assert inputs["labels"].tolist() == [[5, 6, 2, 7, 8, 9, 10, 11], [12, 2] + [-100] * 6]
    assert amount == 10
    assert gpt.sequence_length(2048, 1024) == 1024 and gpt.sequence_length(512, 1024) == 512
    with pytest.raises(UsageError, match="--sequence-length 1000"):
        gpt.sequence_length(2048, 1000)


def test_characters_of_pieces_add_up_to_those_of_the_text(tokenised: Path) -> None:
    tokenizer = Tokenizer.load(tokenised / "tokenizer")
    per_piece = gpt.characters(tokenizer)
    for text in ("東京の猫。\n大阪", "🍙と\u3000x²\té", "", "駅" * 50):
        data = np.frombuffer(text.encode(), np.uint8)
        ids, _ = tokenizer.encode(data, np.array([0, len(data)]))
        assert per_piece[ids].sum() == len(text)


@pytest.fixture(scope="module")
def run(tokenised: Path, train: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gpt") / "run"
    assert train("gpt", tokenised, "--out", out, *SMALL) == 0
    return out


def test_a_run_learns_and_says_how_well(run: Path, tokenised: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    first, last = (next(line for line in some if line["split"] == "validation") for some in (lines, lines[::-1]))
    assert (first["step"], last["step"]) == (15, 30)
    assert last["loss"] < first["loss"] < math.log(480)
    assert isinstance(last["sample"], str)
    # The entropy of the validation tokens but for the first of every sequence, and characters, counted anew.
    tokenizer = Tokenizer.load(tokenised / "tokenizer")
    table = pq.read_table(tokenised / "tokens" / "validation-00000-of-00001.parquet")
    labels = np.array(table["input_ids"].to_pylist())[:, 1:].reshape(-1)
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    assert last["unigram_entropy"] == pytest.approx(-(shares * np.log(shares)).sum())
    characters = sum(len(tokenizer.decode(row[1:])) for row in table["input_ids"].to_pylist())
    assert last["bits_per_character"] == pytest.approx(last["loss"] / math.log(2) * len(labels) / characters, rel=1e-3)
    assert any((run / "tensorboard").iterdir())
    assert [p.name for p in sorted((run / "checkpoints").iterdir())] == ["step-000000015", "step-000000030"]


def test_what_is_saved_loads_elsewhere_with_the_same_outputs(run: Path, tokenised: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(run / "model").eval(), AutoTokenizer.from_pretrained(run / "model")
    state = torch.load(run / "checkpoints" / "step-000000030" / "state.pt", weights_only=True)["model"]
    theirs = {f"model.{name}": value for name, value in model.state_dict().items()}
    assert set(state) == set(theirs) and all(torch.equal(state[name], theirs[name]) for name in state)
    data = np.frombuffer("東京の猫。".encode(), np.uint8)
    ids, _ = Tokenizer.load(tokenised / "tokenizer").encode(data, np.array([0, len(data)]))
    assert tokenizer("東京の猫。")["input_ids"] == ids.tolist()
    # The loss of the folder alone is the one that training reported.
    row = pq.read_table(tokenised / "tokens" / "validation-00000-of-00001.parquet")["input_ids"].to_pylist()
    starts = pq.read_table(tokenised / "tokens" / "validation-00000-of-00001.parquet")["document_starts"].to_pylist()
    inputs, _ = gpt.collate({"input_ids": np.array(row, np.int32), "document_starts": starts}, 32, 3)
    with torch.no_grad():
        loss = float(gpt.Packed(model)(**inputs)[0])
    told = json.loads((run / "metrics.jsonl").read_text("utf-8").splitlines()[-1])
    assert loss == pytest.approx(told["loss"], rel=1e-5)
    assert model.config.eos_token_id == 2 and model.config.pad_token_id == 3


def test_the_same_seed_gives_the_same_numbers_another_one_does_not(run, tokenised, train, losses_of, tmp_path) -> None:
    for name, seed in (("same", 1), ("other", 2)):
        assert train("gpt", tokenised, "--out", tmp_path / name, *SMALL, "--set", f"train.seed={seed}") == 0
    assert losses_of(tmp_path / "same") == losses_of(run)
    assert losses_of(tmp_path / "other") != losses_of(run)


def test_options_of_the_loop(tokenised, train, losses_of, tmp_path) -> None:
    """The same losses where a batch comes in two halves; nearly the same in bf16."""
    dropouts = [f"model.{name}_pdrop=0.0" for name in ("resid", "embd", "attn")]
    common = [*SMALL, *(x for name in ("train.steps=6", "train.log_every=1", *dropouts) for x in ("--set", name))]
    runs = {
        "plain": [],
        "halves": ["--set", "train.batch=2", "--set", "train.accumulate=2"],
        "bf16": ["--set", "train.precision=bf16"],
    }
    for name, more in runs.items():
        assert train("gpt", tokenised, "--out", tmp_path / name, *common, *more) == 0
    plain = losses_of(tmp_path / "plain")
    assert losses_of(tmp_path / "halves") == pytest.approx(plain, rel=1e-4)
    assert losses_of(tmp_path / "bf16") == pytest.approx(plain, rel=1e-2) and losses_of(tmp_path / "bf16") != plain


# -- bad input


def refused(train: Any, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert train("gpt", *arguments) in (1, 2)
    return capsys.readouterr().err


def test_folders_that_do_not_do(tokenised, train, capsys, tmp_path) -> None:
    assert "python -m tokenizer.encode" in refused(train, capsys, tmp_path, "--out", tmp_path / "run", *SMALL)
    (tmp_path / "tokens").mkdir()
    for split in ("train", "validation"):
        pq.write_table(pq.read_table(next((tokenised / "data").glob(f"{split}-*"))), tmp_path / "tokens" / f"{split}-0.parquet")
    said = refused(train, capsys, tmp_path, "--out", tmp_path / "run", *SMALL)
    assert "no column 'input_ids'" in said and "python -m tokenizer.encode" in said
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_that_the_tokens_were_not_made_with(tokenised, train, capsys, tmp_path) -> None:
    shutil.copytree(tokenised / "tokenizer", tmp_path / "other")
    model = Tokenizer.load(tmp_path / "other")
    changed = type(model.proto).FromString(model.content)
    changed.pieces[-1].piece = "別物"
    (tmp_path / "other" / "tokenizer.model").write_bytes(changed.SerializeToString())
    said = refused(train, capsys, tokenised, "--tokenizer", tmp_path / "other", "--out", tmp_path / "run", *SMALL)
    assert "another tokenizer" in said and "--overwrite" in said


def test_runs_that_do_not_go_on(run, tokenised, train, capsys, tmp_path) -> None:
    assert "--resume" in refused(train, capsys, tokenised, "--out", run, *SMALL)
    said = refused(train, capsys, tokenised, "--out", run, *SMALL, "--resume", "--set", "model.n_embd=64")
    assert "another configuration" in said and "model.n_embd was 32 and is 64" in said
    assert "no checkpoint" in refused(train, capsys, tokenised, "--out", tmp_path / "none", *SMALL, "--resume")
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    state = broken / "checkpoints" / "step-000000030" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    assert "step-000000030 cannot be read" in refused(train, capsys, tokenised, "--out", broken, *SMALL, "--resume")
    shutil.rmtree(state.parent)
    assert train("gpt", tokenised, "--out", broken, *SMALL, "--resume") == 0


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tokenised, train, capsys, tmp_path) -> None:
    arguments = [tokenised, "--out", tmp_path / "run", *SMALL, "--set", "train.save_every=2", "--set", "train.warmup=2"]
    said = refused(train, capsys, *arguments, "--set", "train.lr=1e30", "--set", "train.clip=1e30")
    assert "no finite number any more, from step 3 on" in said and "step-000000002" in said
    kept = torch.load(tmp_path / "run" / "checkpoints" / "step-000000002" / "state.pt", weights_only=True)
    assert kept["step"] == 2 and not (tmp_path / "run" / "model").exists()


def test_configurations_that_are_wrong(tokenised, train, capsys, tmp_path) -> None:
    for change, word in (
        ("train.stepz=3", "--set train.stepz=3: there is no such setting, but steps, batch"),
        ("trian.steps=3", "--set trian.steps=3: there is no such setting, but model, train"), (".steps=3", "expected KEY=VALUE"),
        ("train={}", "--set train={}: train.steps: Field required"), ("train.steps=many", "--set train.steps=many"),
        ("model.n_heads=3", "model.n_heads"),
        ("model.model_type=bigram", "bigram"), ("train", "expected KEY=VALUE"), ("train.lr=-1", "train.lr"),
    ):  # fmt: skip
        assert word in refused(train, capsys, tokenised, "--out", tmp_path / "run", *SMALL, "--set", change)
    assert "gpt2-small" in refused(train, capsys, tokenised, "--out", tmp_path / "run", "--config", "gpt5")


def test_a_rank_tells_torchrun_why_it_failed(tokenised, train, capsys, monkeypatch, tmp_path) -> None:
    """As torchrun starts it; its report ends with what stands in this file."""
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_ERROR_FILE", tmp_path / "error.json")):
        monkeypatch.setenv(name, str(value))
    refused(train, capsys, tokenised, "--out", tmp_path / "run", *SMALL, "--set", "train.stepz=3")
    told = json.loads((tmp_path / "error.json").read_text())["message"]["message"]
    assert told.startswith("UsageError: --set train.stepz=3: there is no such setting")


def test_settings_that_do_not_go_together_are_told_without_a_traceback(tokenised, train, capsys, tmp_path) -> None:
    for change, word in (
        ("model.n_head=7", "model: no model can be made"), ("model.n_layer=-1", "model.num_hidden_layers"),
        ("model.n_layer=abc", "model: no model"), ("model.vocab_size=77", "the tokenizer decides it"),
        ("model.activation_function=foo", "no model can be made"), ("model.to_dict=1", "no such setting"),
        ("train.betas=[0.9, 1.5]", "train.betas"),
    ):  # fmt: skip
        assert word in refused(train, capsys, tokenised, "--out", tmp_path / "run", *SMALL, "--set", change)


def test_a_step_larger_than_the_corpus_and_a_damaged_account(tokenised, train, capsys, tmp_path) -> None:
    few = ("--set", "train.accumulate=300", "--set", "model.n_layer=1", "--set", "train.steps=1")
    assert train("gpt", tokenised, "--out", tmp_path / "run", *SMALL, *few) == 0
    assert "a step takes 1,200 records, and there are " in " ".join(capsys.readouterr().err.split())
    shutil.copytree(tokenised / "tokens", tmp_path / "tokens")
    (tmp_path / "tokens" / "tokens.json").write_text('{"shards": [')
    said = refused(train, capsys, tokenised, "--tokens", tmp_path / "tokens", "--out", tmp_path / "other", *SMALL)
    assert "tokens.json is damaged" in said


def test_what_a_run_left_is_neither_overwritten_nor_in_the_way(run, tokenised, train, capsys, tmp_path) -> None:
    left = tmp_path / "left"
    shutil.copytree(run, left)
    with (left / "metrics.jsonl").open("a") as file:
        file.write('{"x": 1}\n{"bro}\n')
    with hold_lock(left):
        assert "another process" in refused(train, capsys, tokenised, "--out", left, *SMALL, "--resume")
    assert train("gpt", tokenised, "--out", left, *SMALL, "--resume") == 0
    assert "at step 30 already" in capsys.readouterr().err
    newest = max((left / "checkpoints").iterdir()) / "state.pt"
    torch.save({k: v for k, v in torch.load(newest, weights_only=True).items() if k != "deal"}, newest)
    assert "--resume goes on from step-000000015" in refused(train, capsys, tokenised, "--out", left, *SMALL, "--resume")
    shutil.rmtree(left / "checkpoints")
    weights = (left / "model" / "model.safetensors").read_bytes()
    assert "holds what a run left" in refused(train, capsys, tokenised, "--out", left, *SMALL)
    assert (left / "model" / "model.safetensors").read_bytes() == weights
    (tmp_path / "file").touch()
    assert "is a file" in refused(train, capsys, tokenised, "--out", tmp_path / "file" / "run", *SMALL)


def test_ids_that_the_tokenizer_has_not(tokenised, train, capsys, tmp_path) -> None:
    shutil.copytree(tokenised, tmp_path / "corpus")
    for path in (tmp_path / "corpus" / "tokens").glob("train-*.parquet"):
        table = pq.read_table(path)
        ids = table["input_ids"].combine_chunks()
        high = pa.ListArray.from_arrays(ids.offsets, pa.array(np.full(len(ids.values), 999_999, np.int32)))
        pq.write_table(table.set_column(0, "input_ids", high), path)
    assert "that the tokenizer in" in refused(train, capsys, tmp_path / "corpus", "--out", tmp_path / "run", *SMALL)


def test_a_full_disk_leaves_the_last_checkpoint(tokenised, train, capsys, tmp_path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2300k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("needs root, to mount a small disk")
    try:
        arguments = [tokenised, "--out", disk / "run", *SMALL, "--set", "train.keep=9", "--set", "train.save_every=5"]
        said = refused(train, capsys, *arguments)
        assert "could not be written" in said and "The last whole checkpoint is step-0000000" in said
        kept = sorted((disk / "run" / "checkpoints").iterdir())
        assert kept and all(torch.load(p / "state.pt", weights_only=True)["step"] for p in kept)
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert train("gpt", *arguments, "--resume") == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", names("gpt"))
def test_configurations_that_are_shipped(name: str) -> None:
    settings = load(gpt.Config, "gpt", name)
    shape = model_config(settings.model, "model", vocab_size=32_000)
    assert shape.max_position_embeddings >= 256
    with torch.device("meta"):
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(shape)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    # What their authors say, with vocabularies of 32,000 (65,536 of the bilingual one, 44,416 of gpt-1b).
    said = {"gpt2-xsmall": 37, "gpt2-small": 110, "gpt2-medium": 336, "gpt-neox-3.6b": 3600}
    assert name not in said or millions == pytest.approx(said[name], rel=0.06)
