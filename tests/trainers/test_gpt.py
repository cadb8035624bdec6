"""GPT on token shards: what documents see of one another, what is reported, what is saved, what is refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForCausalLM

from pipeline.core.errors import UsageError
from pipeline.core.vouching import read_checked, write_checked
from tokenizer.model import Tokenizer
from trainers import generate, gpt
from trainers.models.attention import choose_attention
from trainers.models.configuration import model_config

BOS = 1
TINY = {
    "gpt2": {"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2, "n_positions": 32},
    "gpt_neox": {
        "model_type": "gpt_neox", "num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32,
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
    torch.manual_seed(0)
    shape = model_config(TINY[kind] | ({"attn_pdrop": 0.0} if kind == "gpt2" else {}), "model", vocab_size=50)
    how = choose_attention(shape, True, torch.device(device))
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


def test_rows_become_sequences() -> None:
    inputs, amount = gpt.collate(rows([5, 6, 2], [7, 8, 9, 10, 11, 12, 2], length=16), 8, 3)
    assert inputs["input_ids"].tolist() == [[5, 6, 2, 7, 8, 9, 10, 11], [12, 2, 3, 3, 3, 3, 3, 3]]
    # A document that is cut goes on at position 0: the model has no more of them.
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 3, 4], [0, 1, 0, 1, 2, 3, 4, 5]]
    assert inputs["labels"].tolist() == [[5, 6, 2, 7, 8, 9, 10, 11], [12, 2] + [-100] * 6]
    assert amount == 10
    assert gpt.choose_sequence_length(2048, 1024) == 1024 and gpt.choose_sequence_length(512, 1024) == 512
    with pytest.raises(UsageError, match="--sequence-length 1000"):
        gpt.choose_sequence_length(2048, 1000)


def test_a_batch_counts_sequences_of_the_model(tokenised, train, capsys, tmp_path, small_gpt, refused) -> None:
    """Records of the shards may be longer: a step has the tokens that the configuration says."""
    options = ["--out", tmp_path / "run", *small_gpt, "--set", "train.steps=1", "--set", "model.n_positions=16"]
    assert train("gpt", tokenised, *options) == 0
    assert "2 records a step (2 × 1 accumulated × 1 ranks), 64 tokens" in capsys.readouterr().err
    said = refused(tokenised, *options[2:], "--out", tmp_path / "odd", "--set", "train.batch=3")
    assert "3 sequences of 16 tokens are no whole number" in said and "--sequence-length 16" in said


def test_characters_of_pieces_add_up_to_those_of_the_text(tokenised: Path) -> None:
    tokenizer = Tokenizer.load(tokenised / "tokenizer")
    per_piece = gpt.count_characters(tokenizer)
    for text in ("東京の猫。\n大阪", "🍙と\u3000x²\té", "", "駅" * 50):
        data = np.frombuffer(text.encode(), np.uint8)
        ids, _ = tokenizer.encode(data, np.array([0, len(data)]))
        assert per_piece[ids].sum() == len(text)


def test_a_run_learns_and_says_how_well(gpt_run, tokenised: Path) -> None:
    lines = [json.loads(line) for line in (gpt_run / "metrics.jsonl").read_text("utf-8").splitlines()]
    first, last = (next(line for line in some if line["split"] == "validation") for some in (lines, lines[::-1]))
    assert (first["step"], last["step"]) == (15, 30)
    assert last["loss"] < first["loss"] < math.log(640)
    assert isinstance(last["sample"], str)
    # The entropy of the validation tokens but for BOS and the first of every sequence, and characters, counted anew.
    tokenizer = Tokenizer.load(tokenised / "tokenizer")
    table = pq.read_table(tokenised / "tokens" / "validation-00000-of-00001.parquet")
    labels = np.array(table["input_ids"].to_pylist())[:, 1:].reshape(-1)
    labels = labels[labels != BOS]
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    assert last["unigram_entropy"] == pytest.approx(-(shares * np.log(shares)).sum())
    characters = sum(len(tokenizer.decode(row[1:])) for row in table["input_ids"].to_pylist())
    assert last["bits_per_character"] == pytest.approx(last["loss"] / math.log(2) * len(labels) / characters, rel=1e-3)
    assert any((gpt_run / "tensorboard").iterdir())
    assert [p.name for p in sorted((gpt_run / "checkpoints").iterdir())] == ["step-000000015", "step-000000030"]


def test_what_is_saved_loads_elsewhere_with_the_same_outputs(gpt_run, tokenised: Path) -> None:
    from transformers import AutoTokenizer

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(gpt_run / "model").eval(),
        AutoTokenizer.from_pretrained(gpt_run / "model"),
    )
    state = torch.load(gpt_run / "checkpoints" / "step-000000030" / "state.pt", weights_only=True)["model"]
    theirs = {f"model.{name}": value for name, value in model.state_dict().items()}
    assert set(state) == set(theirs) and all(torch.equal(state[name], theirs[name]) for name in state)
    data = np.frombuffer("東京の猫。".encode(), np.uint8)
    ids, _ = Tokenizer.load(tokenised / "tokenizer").encode(data, np.array([0, len(data)]))
    assert tokenizer("東京の猫。")["input_ids"] == ids.tolist()
    # The loss of the folder alone is the one that training reported.
    row = pq.read_table(tokenised / "tokens" / "validation-00000-of-00001.parquet")["input_ids"].to_pylist()
    starts = pq.read_table(tokenised / "tokens" / "validation-00000-of-00001.parquet")["document_starts"].to_pylist()
    inputs, _ = gpt.collate({"input_ids": np.array(row, np.int32), "document_starts": starts}, 32, 3, BOS)
    with torch.no_grad():
        loss = float(gpt.PackedLanguageModel(model)(**inputs)[0])
    last = json.loads((gpt_run / "metrics.jsonl").read_text("utf-8").splitlines()[-1])
    assert loss == pytest.approx(last["loss"], rel=1e-5)
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (BOS, 2, 3)


def test_it_goes_on_with_a_text(gpt_run, tmp_path: Path) -> None:
    def ask(*words: object) -> Any:
        return CliRunner().invoke(generate.main, [str(word) for word in (gpt_run, *words)])

    found = ask("日本の", "--samples", 3, "--tokens", 8)
    assert found.exit_code == 0 and found.output.count("日本の") == 3 and found.output.startswith("日本の")
    assert ask("日本の", "--samples", 3, "--tokens", 8).output == found.output
    assert ask("日本の", "--samples", 3, "--tokens", 8, "--seed", 1).output != found.output
    likeliest = ask("日本の", "--temperature", 0, "--seed", 1)
    assert likeliest.output == ask("日本の", "--temperature", 0).output and ask().output.strip()
    assert "no positions for more" in " ".join(ask("日本の" * 99 + "。").output.split())
    shutil.copytree(gpt_run / "model", tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"damaged")
    broken = CliRunner().invoke(generate.main, [str(tmp_path), "日本の"])
    assert broken.exit_code == 1 and "cannot be used" in broken.output


def test_the_same_seed_gives_the_same_numbers_another_one_does_not(
    gpt_run, tokenised, train, losses_of, tmp_path, small_gpt
) -> None:
    for name, seed in (("same", 1), ("other", 2)):
        assert train("gpt", tokenised, "--out", tmp_path / name, *small_gpt, "--set", f"train.seed={seed}") == 0
    assert losses_of(tmp_path / "same") == losses_of(gpt_run)
    assert losses_of(tmp_path / "other") != losses_of(gpt_run)


def test_folders_that_do_not_do(tokenised, train, tmp_path, small_gpt, refused) -> None:
    assert "python -m tokenizer.encode" in refused(tmp_path, "--out", tmp_path / "run", *small_gpt)
    (tmp_path / "tokens").mkdir()
    for split in ("train", "validation"):
        pq.write_table(pq.read_table(next((tokenised / "data").glob(f"{split}-*"))), tmp_path / "tokens" / f"{split}-0.parquet")
    said = refused(tmp_path, "--out", tmp_path / "run", *small_gpt)
    assert "no column 'input_ids'" in said and "python -m tokenizer.encode" in said
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_that_the_tokens_were_not_made_with(tokenised, tmp_path, small_gpt, refused) -> None:
    shutil.copytree(tokenised / "tokenizer", tmp_path / "other")
    model = Tokenizer.load(tmp_path / "other")
    changed = type(model.proto).FromString(model.content)
    changed.pieces[-1].piece = "別物"
    (tmp_path / "other" / "tokenizer.model").write_bytes(changed.SerializeToString())
    said = refused(tokenised, "--tokenizer", tmp_path / "other", "--out", tmp_path / "run", *small_gpt)
    assert "another tokenizer" in said and "--overwrite" in said


def test_ids_that_the_tokenizer_has_not(tokenised, train, tmp_path, small_gpt, refused) -> None:
    shutil.copytree(tokenised, tmp_path / "corpus")
    for path in (tmp_path / "corpus" / "tokens").glob("train-*.parquet"):
        table = pq.read_table(path)
        ids = table["input_ids"].combine_chunks()
        high = pa.ListArray.from_arrays(ids.offsets, pa.array(np.full(len(ids.values), 999_999, np.int32)))
        pq.write_table(table.set_column(0, "input_ids", high), path)
    assert "that the tokenizer in" in refused(tmp_path / "corpus", "--out", tmp_path / "run", *small_gpt)


def test_documents_begin_with_bos_and_so_does_generation(tokenised: Path) -> None:
    inputs, amount = gpt.collate(rows([1, 5, 6, 2], [1, 7, 8, 9, 2], length=10), 10, 3, BOS)
    # BOS is never predicted: EOS, before it, has nothing to learn.
    assert inputs["labels"].tolist() == [[-100, 5, 6, 2, -100, 7, 8, 9, 2, -100]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 2, 3, 4, 0]] and amount == 9
    description = json.loads((tokenised / "tokens" / "tokens.json").read_text("utf-8"))
    ids = np.array(pq.read_table(tokenised / "tokens" / "train-00000-of-00001.parquet")["input_ids"].to_pylist()).reshape(-1)
    assert description["bos"] and (ids[np.flatnonzero(ids == 2)[:-1] + 1] == BOS).all()
    shape = model_config(TINY["gpt2"], "model", vocab_size=640, bos_token_id=BOS, eos_token_id=2, pad_token_id=3)
    model = AutoModelForCausalLM.from_config(shape)
    with torch.no_grad():  # after BOS at position 0 comes piece 300, after anything else EOS
        model.transformer.wte.weight.zero_()
        model.transformer.wpe.weight.zero_()
        for layer in model.transformer.h:
            layer.attn.c_proj.weight.zero_()
            layer.mlp.c_proj.weight.zero_()
        # Logits are products with embeddings, so BOS points to 300, and 300 to EOS.
        model.transformer.wte.weight[BOS, 0] = model.transformer.wte.weight[300, 1] = 50.0
        model.lm_head.weight = torch.nn.Parameter(torch.zeros(640, 16))
        model.lm_head.weight[300, 0] = model.lm_head.weight[2, 1] = 50.0
    tokenizer = Tokenizer.load(tokenised / "tokenizer")
    assert gpt.generate_sample(model.eval(), tokenizer, torch.device("cpu")) == tokenizer.decode([300])


def test_shards_without_bos_are_trained_on_as_before(tokenised, train, tmp_path, small_gpt, capsys) -> None:
    from transformers import AutoConfig

    shutil.copytree(tokenised / "tokens", tmp_path / "tokens")
    described = read_checked(tmp_path / "tokens" / "tokens.json") or {}
    write_checked(tmp_path / "tokens" / "tokens.json", described | {"bos": False})
    arguments = [tokenised, "--tokens", tmp_path / "tokens", "--out", tmp_path / "run", *small_gpt, "--set", "train.steps=1"]
    assert train("gpt", *arguments) == 0
    assert "do not begin with BOS" in " ".join(capsys.readouterr().err.split())
    assert (
        AutoConfig.from_pretrained(tmp_path / "run" / "model").bos_token_id == 2
    )  # EOS, after which documents were seen to begin


def test_a_neox_is_saved_for_those_who_read_older_configurations(tokenised, train, tmp_path, small_gpt) -> None:
    """transformers 4 would take a quarter of each head for its positions, unless `rotary_pct` says otherwise."""
    table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in TINY["gpt_neox"].items())
    table += ", rope_parameters = { rope_type = 'default', rope_theta = 10000.0, partial_rotary_factor = 1.0 }"
    options = ["--set", f"model={{{table}}}", "--set", "train.steps=1", "--set", "train.gradient_checkpointing=true"]
    assert train("gpt", tokenised, "--out", tmp_path / "run", *small_gpt[:2], *options) == 0
    saved = json.loads((tmp_path / "run" / "model" / "config.json").read_text("utf-8"))
    assert (saved["rotary_pct"], saved["rotary_emb_base"]) == (1.0, 10000.0)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").config
    assert loaded.rope_parameters["partial_rotary_factor"] == 1.0
