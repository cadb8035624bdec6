"""The recogniser: its alphabet, what it skips, that it learns to transcribe, and that others load it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCTC, AutoProcessor, HubertConfig, HubertForCTC, HubertModel, Wav2Vec2CTCTokenizer

from filters.audio.decoding import decode
from filters.audio.encoding import encode_flac
from filters.audio.samples import RATE
from filters.transcript.edit_distance import error_rates
from trainers import ctc, generate
from trainers.data.batches import Skip
from trainers.data.recordings import Frames
from trainers.data.shards import Shards
from trainers.training.settings import load_config

LETTERS = "アイウ"  # each is a tone
TINY: dict[str, Any] = {
    "hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 96, "conv_dim": [24] * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "hidden_dropout": 0.0, "layerdrop": 0.0,
    "activation_dropout": 0.0, "attention_dropout": 0.0,
}  # fmt: skip


def spoken(text: str, seed: int) -> np.ndarray:
    """A tone of 0.12 s per letter, silence between them and for a space."""
    rng, t = np.random.default_rng(seed), np.arange(int(0.12 * RATE)) / RATE
    parts = [np.zeros(800)]
    for letter in text:
        tone = 0 * t if letter == " " else 0.5 * np.sin(2 * np.pi * 300 * 2.5 ** LETTERS.index(letter) * t)
        parts += [tone, np.zeros(int(rng.integers(500, 1_500)))]
    sound = np.concatenate(parts)
    return (sound + rng.normal(0, 3e-3, len(sound))).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech of tones; of the first recordings of the training split one is undecodable, one silent on paper, one has too much text."""
    folder, rng = tmp_path_factory.mktemp("ctc") / "corpus", np.random.default_rng(1)
    (folder / "data").mkdir(parents=True)
    for split, number in (("train", 160), ("validation", 12)):
        texts: list[str | None] = ["".join(rng.choice(list(LETTERS), rng.integers(2, 5))) for _ in range(number)]
        sounds = [encode_flac(spoken(text or "", i + number)) for i, text in enumerate(texts)]
        if split == "train":
            sounds[0], texts[1], texts[2] = b"OggS", None, "アイウエオ" * 40
        audio = [{"bytes": sound, "path": "a.flac"} for sound in sounds]
        rows = {"id": [f"made/{split}/{i}" for i in range(number)], "audio": audio, "transcript": texts, "reading": texts}
        pq.write_table(pa.table(rows), folder / "data" / f"{split}-00000-of-00001.parquet", row_group_size=40)
    return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HuBERT that knows nothing."""
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("models") / "hubert"
    HubertModel(HubertConfig(**TINY)).save_pretrained(place)
    return place


def run(corpus: Path, out: Path, model: Path, *arguments: str, sets: tuple[str, ...] = ()) -> Any:
    changes = [argument for change in sets for argument in ("--set", change)]
    return CliRunner().invoke(
        ctc.main, [str(corpus), "--config", "tiny", "--model", str(model), "--out", str(out), *changes, *arguments]
    )


def metrics(out: Path, split: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{k: v for k, v in line.items() if "per_second" not in k} for line in lines if line["split"] == split]


LEARNING = (
    "freeze_convolutions=true", "held_in=8",
    "train.steps=240", "train.lr=4e-3", "train.batch=8", "train.warmup=50", "train.clip=1.0", "train.evaluate_every=120",
    "train.log_every=20", "least=1", "characters=3",
    "train.schedule=constant_with_warmup",
)  # fmt: skip


@pytest.fixture(scope="module")
def learnt(corpus: Path, begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ctc"
    assert (result := run(corpus, out, begun, sets=LEARNING)).exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"  python -m trainers.generate {out} --corpus {corpus}"
    return out


def counted(letters: str, shards: Shards) -> list[str]:
    """From the most frequent on."""
    whole = "".join(text or "" for text in shards.read(range(4)).take(np.arange(160))["transcript"])
    return sorted(letters, key=lambda letter: -whole.count(letter))


def test_the_alphabet_is_the_most_frequent_characters(corpus: Path) -> None:
    shards = Shards(corpus, "train", ["transcript"], "")

    def alphabet(characters: int, least: int) -> dict[str, int]:
        changes = ('text="transcript"', f"characters={characters}", f"least={least}")
        return ctc.build_alphabet(shards, load_config(ctc.Config, "ctc", "tiny", changes))

    assert list(alphabet(100, 1))[:3] == ["[PAD]", "[UNK]", "|"]
    assert set(list(alphabet(100, 1))[3:]) == set("アイウエオ")
    assert list(alphabet(3, 1).items())[3:] == list(zip(counted("アイウ", shards), range(3, 6)))
    assert "オ" not in alphabet(100, 41)


def test_texts_and_ids_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    ids = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "|", "ア", "カ", "a"])}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    tokenizer = Wav2Vec2CTCTokenizer(
        str(tmp_path / "vocab.json"), bos_token=None, eos_token=None, unk_token="[UNK]", pad_token="[PAD]"
    )
    for text in ("アカ", "ア カa", "アxア", "カ  カ"):
        assert ctc.text_to_ids(text, ids).tolist() == tokenizer(text).input_ids
    for best in ([0, 3, 3, 0, 3, 4, 4, 0], [2, 3, 2, 2, 5, 0, 2], [0, 0], [4, 0, 4, 4]):
        assert ctc.ids_to_text(np.array(best), ids) == tokenizer.decode(best)
    assert ctc.ids_to_text(np.array([3, 1, 1, 0, 1]), ids) == "ア\ufffd\ufffd"


def test_what_cannot_be_learnt_from_is_skipped() -> None:
    ids = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "|", "ア", "イ"])}
    sound = memoryview(encode_flac(np.zeros(400 + 320 * 9, np.float32)))  # 10 frames
    record = {"audio": sound, "reading": "アイ" * 5, "__key__": (0, 0, 0)}
    decoder = ctc.Decoder(
        load_config(ctc.Config, "ctc", "tiny", ("mask_share=0.5", "mask_length=2")), Frames(320, 400), ids, False, True
    )
    samples, labels, mask, text = decoder(record)
    assert len(samples) == 3_280 and labels.tolist() == [3, 4] * 5 and len(mask) == 10 and mask.any() and text == "アイ" * 5
    assert decoder(record | {"reading": "アイアア"})[3] == "アイアア"
    wrong = (
        {"reading": "アア" + "アイ" * 4},
        {"reading": "アイ" * 6},
        {"reading": None},
        {"reading": " "},
        {"audio": memoryview(b"x")},
    )
    for other in (*wrong, {"audio": memoryview(encode_flac(np.zeros(160_001, np.float32)))}):
        with pytest.raises(Skip):
            decoder(record | other)


def test_the_loss_is_that_of_transformers_per_character() -> None:
    torch.manual_seed(2)
    ids = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "|", *LETTERS])}
    model = HubertForCTC(HubertConfig(**TINY, vocab_size=6, pad_token_id=0, ctc_loss_reduction="sum")).eval()
    decoder = ctc.Decoder(load_config(ctc.Config, "ctc", "tiny"), Frames(320, 400), ids, False, False)
    items = [decoder({"audio": encode_flac(spoken(t, 1)), "reading": t, "__key__": (0, 0, 0)}) for t in ("アイ", "ウウイア")]
    inputs, seconds = ctc.collate_with_text(items)
    assert inputs.pop("text") == ("アイ", "ウウイア") and not inputs["mask_time_indices"].any()
    assert seconds == pytest.approx(sum(len(item[0]) for item in items) / RATE)
    with torch.no_grad():
        alone = [model(torch.tensor(item[0])[None], labels=torch.tensor(item[1])[None]).loss for item in items]
        found = ctc.Recogniser(model)(**inputs)[0]
    torch.testing.assert_close(found, sum(alone) / 6, atol=1e-4, rtol=1e-4)
    assert not any(p.requires_grad for p in model.hubert.feature_extractor.parameters())


def test_it_learns_to_transcribe(learnt: Path, begun: Path) -> None:
    found = metrics(learnt, "validation")
    assert found[-1]["character_error_rate"] < 0.3 and found[-1]["loss"] < 0.5 * metrics(learnt, "train")[0]["loss"]
    assert found[-1]["held_in_character_error_rate"] < 0.3
    assert found[-1]["skipped"] == 0 and len(found[-1]["sample"]) == 3
    # 240 steps of 8 are 12 epochs of the 157 that can be used; threads read a little ahead.
    assert sum(line["skipped"] for line in metrics(learnt, "train")) in range(36, 40)
    weights = [m.feature_extractor.conv_layers[2].conv.weight for m in
               (HubertModel.from_pretrained(begun), HubertForCTC.from_pretrained(learnt / "model").hubert)]  # fmt: skip
    assert torch.equal(*weights)


def test_the_shipped_recipe_trains_all_of_it_and_tells_how_well_it_knows_its_own(
    corpus: Path, begun: Path, tmp_path: Path
) -> None:
    """What its error rate on the embedded phrases rests on (docs/benchmarks/trainers.md): the convolutions learn, no frame is masked."""
    shipped = load_config(ctc.Config, "ctc", "tiny")
    assert (shipped.mask_share, shipped.train.schedule, shipped.train.clip) == (0, "cosine", 1)
    assert (shipped.train.lr, shipped.train.batch, shipped.train.steps) == (2e-3, 8, 700)
    sets = ("least=1", "train.steps=3", "train.evaluate_records=4", "held_in=4")
    assert (result := run(corpus, tmp_path / "run", begun, sets=sets)).exit_code == 0, result.output
    assert metrics(tmp_path / "run", "validation")[-1]["held_in_character_error_rate"] > 0
    trained = HubertForCTC.from_pretrained(tmp_path / "run" / "model").hubert.feature_extractor.state_dict()
    before = HubertModel.from_pretrained(begun).feature_extractor.state_dict()
    assert not [name for name in before if torch.equal(before[name], trained[name])]


def test_others_load_it_and_hear_the_same(learnt: Path, corpus: Path) -> None:
    model, processor = AutoModelForCTC.from_pretrained(learnt / "model").eval(), AutoProcessor.from_pretrained(learnt / "model")
    assert type(model) is HubertForCTC and model.config.vocab_size == len(processor.tokenizer) == 6
    rows = pq.read_table(corpus / "data" / "validation-00000-of-00001.parquet").to_pylist()
    heard = []
    for row in rows:
        ready = processor(decode(row["audio"]["bytes"]).samples, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            heard += processor.batch_decode(model(ready.input_values).logits.argmax(-1))
    told = metrics(learnt, "validation")[-1]
    assert told["sample"] == [f"{row['reading']} → {text}" for row, text in zip(rows, heard)][:3]
    # All edits over all characters, not the mean of rates.
    rates = error_rates(pl.Series([r["reading"] for r in rows]), pl.Series(heard)).to_numpy()
    lengths = np.array([len(r["reading"]) for r in rows])
    assert told["character_error_rate"] == pytest.approx(float((rates * lengths).sum() / lengths.sum()), abs=1e-6)


def test_it_writes_down_recordings(learnt: Path, begun: Path, corpus: Path, tmp_path: Path) -> None:
    def ask(*words: object) -> Any:
        return CliRunner().invoke(generate.main, [str(word) for word in words])

    held_out = ask(learnt, "--corpus", corpus)
    assert held_out.exit_code == 0 and held_out.output.splitlines()[:3] == metrics(learnt, "validation")[-1]["sample"]
    row = pq.read_table(corpus / "data" / "validation-00000-of-00001.parquet").to_pylist()[0]
    (tmp_path / "a.flac").write_bytes(row["audio"]["bytes"])
    heard = held_out.output.splitlines()[0].split(" → ")[1]
    assert ask(learnt / "model", tmp_path / "a.flac").output == f"{tmp_path / 'a.flac'} → {heard}\n"
    (tmp_path / "b.flac").write_bytes(b"none")
    (tmp_path / "unfinished" / "checkpoints").mkdir(parents=True)
    for words, problem in (
        ([learnt, tmp_path / "b.flac"], "no recording that can be read"),
        ([learnt, tmp_path / "c.flac"], "there is no file"),
        ([begun], "which can say nothing yet: python -m trainers.ctc"),
        ([tmp_path / "nowhere", "a"], "there is no folder"),
        ([tmp_path / "unfinished", "a"], "has not ended"),
        ([corpus, "a"], "is no run"),
    ):
        refused = ask(*words)
        assert refused.exit_code and problem in " ".join(refused.output.split()), refused.output


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(corpus: Path, begun: Path, tmp_path: Path) -> None:
    sets = (
        "train.schedule=constant_with_warmup", "train.warmup=2", "train.log_every=1", "train.save_every=3", "mask_share=0.3",
        "model.hidden_dropout=0.1", "model.layerdrop=0.3", "train.batch=4", "train.evaluate_every=3", "train.evaluate_records=4",
    )  # fmt: skip
    for out, steps in (("whole", 6), ("parts", 3)):
        assert (result := run(corpus, tmp_path / out, begun, sets=(*sets, f"train.steps={steps}"))).exit_code == 0, (
            result.output
        )
    assert run(corpus, tmp_path / "parts", begun, "--resume", sets=(*sets, "train.steps=6")).exit_code == 0
    assert metrics(tmp_path / "whole", "train") == metrics(tmp_path / "parts", "train")
    assert metrics(tmp_path / "whole", "validation") == metrics(tmp_path / "parts", "validation")


def test_what_is_wrong_is_said(corpus: Path, begun: Path, tmp_path: Path) -> None:
    def said(at: Path = corpus, model: Path = begun, sets: tuple[str, ...] = ()) -> str:
        result = run(at, tmp_path / "out", model, sets=sets)
        assert result.exit_code == 2
        return " ".join(result.output.split())

    assert "python -m trainers.hubert makes" in said(model=tmp_path / "nothing")
    assert "no column" not in said(sets=("model.depth=3",)) and "model.depth" in said(sets=("model.depth=3",))
    assert "python -m pipeline.build" in said(at=tmp_path)
    assert "no character occurs 1,000,000 times in the column 'reading'" in said(sets=("least=1000000",))
    (tmp_path / "silent" / "data").mkdir(parents=True)
    pq.write_table(pa.table({"audio": [{"bytes": b"a", "path": ""}]}), tmp_path / "silent/data/train-00000-of-00001.parquet")
    assert "has no column 'reading': make them with python -m pipeline.build" in said(at=tmp_path / "silent")
    begun_with = json.loads((begun / "config.json").read_text())
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text(json.dumps(begun_with | {"model_type": "gpt2"}))
    assert "holds a gpt2, not a HuBERT" in said(model=tmp_path / "gpt")


def test_the_head_is_that_of_the_alphabet_and_frozen_weights_are_there(
    corpus: Path, learnt: Path, begun: Path, tmp_path: Path
) -> None:
    """A recogniser goes on with its own head, and begins a new one for other characters, as many as they may be."""

    def first_loss(model: Path, name: str, *sets: str) -> tuple[float, str]:
        again = run(corpus, tmp_path / name, model, sets=(*LEARNING, "train.steps=1", "train.log_every=1", *sets))
        assert again.exit_code == 0, again.output
        return metrics(tmp_path / name, "train")[0]["loss"], " ".join(again.output.split())

    loss, said = first_loss(learnt / "model", "same")
    assert loss < metrics(learnt, "train")[0]["loss"] / 2 and "lm_head" not in said
    assert "no lm_head for this alphabet: a new one is trained" in first_loss(begun, "new")[1]
    other = tmp_path / "other"
    shutil.copytree(learnt / "model", other)
    ids = json.loads((other / "vocab.json").read_text("utf-8"))
    (other / "vocab.json").write_text(json.dumps({key.replace("ア", "タ"): i for key, i in ids.items()}), "utf-8")
    assert "a new one is trained" in first_loss(other, "other characters")[1]
    assert "a new one is trained" in first_loss(learnt / "model", "fewer", "characters=2")[1]
    weights = load_file(other / "model.safetensors")
    missing = next(name for name in weights if "feature_extractor.conv_layers.1" in name)
    save_file(
        {name: value for name, value in weights.items() if name != missing}, other / "model.safetensors", {"format": "pt"}
    )
    refused = run(corpus, tmp_path / "refused", other, sets=LEARNING)
    assert refused.exit_code == 2 and f"lacks {missing}, which would be left random" in " ".join(refused.output.split())
