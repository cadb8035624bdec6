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

from pipeline.core.errors import UsageError
from tokenizer.model import Tokenizer
from trainers import gpt
from trainers.models.attention import choose_attention
from trainers.models.configuration import model_config
from trainers.training.settings import list_configs, load_config

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
    assert any((gpt_run / "tensorboard").iterdir())
    assert [p.name for p in sorted((gpt_run / "checkpoints").iterdir())] == ["step-000000015", "step-000000030"]


def test_what_is_saved_loads_elsewhere_with_the_same_outputs(gpt_run, tokenised: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

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
    inputs, _ = gpt.collate({"input_ids": np.array(row, np.int32), "document_starts": starts}, 32, 3)
    with torch.no_grad():
        loss = float(gpt.PackedLanguageModel(model)(**inputs)[0])
    last = json.loads((gpt_run / "metrics.jsonl").read_text("utf-8").splitlines()[-1])
    assert loss == pytest.approx(last["loss"], rel=1e-5)
    assert model.config.eos_token_id == 2 and model.config.pad_token_id == 3


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


@pytest.mark.parametrize("name", list_configs("gpt"))
def test_configurations_that_are_shipped(name: str) -> None:
    settings = load_config(gpt.Config, "gpt", name)
    shape = model_config(settings.model, "model", vocab_size=32_000)
    assert shape.max_position_embeddings >= 256
    with torch.device("meta"):
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(shape)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    # What their authors say, with vocabularies of 32,000 (65,536 of the bilingual one, 44,416 of gpt-1b).
    said = {"gpt2-xsmall": 37, "gpt2-small": 110, "gpt2-medium": 336, "gpt-neox-3.6b": 3600}
    assert name not in said or millions == pytest.approx(said[name], rel=0.06)
