"""CLIP and CLOOB: they learn, resume exactly, and load elsewhere."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from pipeline.core.errors import UsageError
from tests.support import drawings
from trainers import clip, generate
from trainers.data.batches import Skip
from trainers.data.images import decode_square, normalise_pixels, read_caption
from trainers.models.retrieval import compute_recall, number_distinct
from trainers.models.towers import build_text_tower, build_vision_tower, image_size, load_tokenizer
from trainers.training.settings import CONFIGS, list_configs, load_config

SMALL = ["vision.hidden_size=32", "vision.intermediate_size=64", "vision.num_attention_heads=2", "text.hidden_size=32",
         "text.intermediate_size=64", "text.num_attention_heads=2", "projection=32", "train.batch=16", "train.warmup=2",
         "train.log_every=1", "images.crop=[0.5,1.0]"]  # fmt: skip


class Trained(NamedTuple):
    out: Path
    lines: list[dict[str, Any]]  # of metrics


@pytest.fixture(scope="module")
def corpus(pairs_corpus: Any) -> Path:
    return pairs_corpus(drawings.draw_pairs, 385)


def run(corpus: Path, out: Path, *more: str, sets: list[str] = SMALL) -> list[dict[str, Any]]:
    """Train in this process; returns the lines of metrics."""
    changes = [word for change in sets for word in ("--set", change)]
    found = CliRunner().invoke(clip.main, [str(corpus), "--config", "tiny", "--out", str(out), *changes, *more])
    if found.exit_code:
        raise AssertionError(found.output) from found.exception
    return lines(out)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]


def without_time(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if not k.endswith("per_second") and k != "skipped"} for line in found]


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """60 steps of CLIP, with zero-shot classification."""
    folder = tmp_path_factory.mktemp("trained")
    classes = drawings.write_zero_shot(folder / "classes")
    sets = [*SMALL, "train.steps=60", "train.evaluate_every=60", "train.save_every=20"]
    return Trained(folder / "run", run(corpus, folder / "run", "--zero-shot", str(classes), sets=sets))


def test_it_learns_and_says_so(trained: Trained) -> None:
    found = trained.lines
    losses = [line["loss"] for line in found if line["split"] == "train"]
    assert losses[0] == pytest.approx(math.log(16), abs=0.6) and np.mean(losses[-5:]) < losses[0] - 0.6
    last = found[-1]
    assert last["split"] == "validation" and last["pairs"] == 24 and last["held_in_pairs"] == 118
    assert last["recall_at_5"] > 0.5 > 3 * last["recall_by_chance"] and last["held_in_recall_at_10"] > 0.3
    assert last["zero_shot_images"] == 12 and last["zero_shot_top_5"] == 1
    assert any(line.get("skipped") for line in found)  # the image that is none, the caption that is missing


def test_the_folder_loads_elsewhere_with_the_same_outputs(trained: Trained, corpus: Path) -> None:
    from transformers import AutoTokenizer, VisionTextDualEncoderModel, VisionTextDualEncoderProcessor

    folder = trained.out / "model"
    model, processor = (
        VisionTextDualEncoderModel.from_pretrained(folder).eval(),
        VisionTextDualEncoderProcessor.from_pretrained(folder),
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("赤い色で四角の絵")["input_ids"]
    assert (ids[0], ids[-1]) == (1, 2) and tokenizer.model_max_length == 32
    assert len(tokenizer("あ赤" * 99, truncation=True)["input_ids"]) == 32
    blobs, captions = zip(*drawings.draw_pairs(24, 2))
    images = [Image.open(io.BytesIO(blob)) for blob in blobs if blob]
    inputs = processor(text=list(captions), images=images, return_tensors="pt", padding=True)
    with torch.no_grad():
        found = model(**inputs)
    # The trainer's own way to the same pairs, with the weights of the last checkpoint.
    settings = load_config(clip.Config, "clip", "tiny", tuple(SMALL))
    dual = clip.Contrastive(VisionTextDualEncoderModel(model.config), settings).eval()
    dual.load_state_dict(torch.load(trained.out / "checkpoints" / "step-000000060" / "state.pt", weights_only=True)["model"])
    ours = load_tokenizer(corpus / "tokenizer", 32)(list(captions), padding=True, return_tensors="pt")
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack([decode_square(blob, 32) for blob in blobs]))
        same = model(
            inputs["input_ids"], normalise_pixels(pixels, settings.images.mean, settings.images.std), inputs["attention_mask"]
        )
        assert torch.allclose(dual.embed_images(pixels), same.image_embeds, atol=1e-6)
        assert torch.allclose(dual.embed_texts(ours["input_ids"], ours["attention_mask"]), same.text_embeds, atol=1e-6)
    assert (found.image_embeds * same.image_embeds).sum(1).min() > 0.999  # the saved processor's pixels
    assert torch.equal(found.text_embeds, same.text_embeds)
    measured = compute_recall(same.image_embeds, same.text_embeds, torch.arange(24), number_distinct(captions))
    assert measured["recall_at_1"] == trained.lines[-1]["recall_at_1"]


def test_it_ranks_captions(trained: Trained, corpus: Path, tmp_path: Path) -> None:
    def ask(*words: object) -> Any:
        return CliRunner().invoke(generate.main, [str(word) for word in (trained.out, *words)])

    blob, caption = drawings.draw_pairs(24, 2)[4]
    (tmp_path / "a.png").write_bytes(blob)
    found = ask(tmp_path / "a.png", caption, "緑い色で何もない絵")
    ranked = [line.split("  ") for line in found.output.strip().splitlines()]
    assert found.exit_code == 0 and {text for _, text in ranked} == {caption, "緑い色で何もない絵"}
    assert sum(float(share.strip(" %")) for share, _ in ranked) == pytest.approx(100, abs=0.2)
    assert len(ask(tmp_path / "a.png", "--corpus", corpus).output.splitlines()) == 5
    lines_shown = ask("--corpus", corpus).output.splitlines()
    assert [line.split(" → ")[0] for line in lines_shown] == [caption for _, caption in drawings.draw_pairs(24, 2)[:5]]
    (tmp_path / "no.png").write_bytes(b"no image")
    for words, problem in (
        ([tmp_path / "none.png", "赤"], "there is no file"),
        ([tmp_path / "no.png", "赤"], "no image can be read"),
        ([tmp_path / "a.png"], "captions are missing"),
        ([], "an input is missing"),
    ):
        refused = ask(*words)
        assert refused.exit_code and problem in " ".join(refused.output.split()), refused.output


def test_the_same_seed_gives_the_same_numbers_and_stopping_changes_none(
    trained: Trained, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [*SMALL, "train.evaluate_every=60", "train.save_every=20"]
    after, steps = clip.Contrastive.clamp_logit_scale, list[int]()

    def clamp(self: clip.Contrastive) -> None:
        after(self)
        steps.append(1)
        if len(steps) == 13:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(clip.Contrastive, "clamp_logit_scale", clamp)
    with pytest.raises(AssertionError) as stopped:
        run(corpus, tmp_path / "run", sets=[*sets, "train.steps=60"])
    assert isinstance(stopped.value.__cause__, SystemExit) and stopped.value.__cause__.code == 128 + signal.SIGTERM
    assert lines(tmp_path / "run")[-1]["step"] == 13
    classes = ["--zero-shot", str(drawings.write_zero_shot(tmp_path / "classes"))]
    found = run(corpus, tmp_path / "run", "--resume", *classes, sets=[*sets, "train.steps=60"])
    assert without_time(found) == without_time(trained.lines)


def test_cloob_learns_with_a_frozen_pretrained_tower(trained: Trained, corpus: Path, tmp_path: Path) -> None:
    from transformers import VisionTextDualEncoderModel

    base = VisionTextDualEncoderModel.from_pretrained(trained.out / "model")
    base.vision_model.save_pretrained(tmp_path / "vision")
    settings = tmp_path / "cloob.toml"
    text = CONFIGS / "clip" / "tiny.toml"
    before, after = text.read_text("utf-8").split("[vision]")
    settings.write_text(
        before.replace('"clip"', '"cloob"') + f'[vision]\npretrained = "{tmp_path / "vision"}"\nfreeze = true\n\n[text]'
        + after.split("[text]")[1], "utf-8",
    )  # fmt: skip
    sets = [s for s in SMALL if not s.startswith("vision")] + ["train.steps=30", "train.evaluate_every=30", "held_in=40"]
    found = run(corpus, tmp_path / "run", "--config", str(settings), sets=sets)
    losses = [line["loss"] for line in found if line["split"] == "train"]
    assert np.mean(losses[-5:]) < losses[0] - 0.015
    assert {round(line["scale"], 3) for line in found if line["split"] == "train"} == {30.0}
    after_training = VisionTextDualEncoderModel.from_pretrained(tmp_path / "run" / "model")
    assert after_training.logit_scale.exp().item() == pytest.approx(30, rel=1e-5)
    for (name, one), other in zip(base.vision_model.named_parameters(), after_training.vision_model.parameters()):
        assert torch.equal(one, other), name


def test_a_corpus_too_small_for_a_validation_split_trains(corpus: Path, tmp_path: Path, shards: Any) -> None:
    shards(tmp_path / "few", "train", drawings.draw_pairs(20, 3))
    found = run(
        tmp_path / "few", tmp_path / "run", "--tokenizer", str(corpus / "tokenizer"),
        sets=[*SMALL, "train.steps=2", "train.evaluate_every=2"],
    )  # fmt: skip
    assert found[-1]["held_in_pairs"] == 20 and "recall_at_1" not in found[-1]


# -- what users get wrong


def test_what_is_wrong_is_said_with_the_way_out(corpus: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["文"]}), tmp_path / "train-00000-of-00001.parquet")
    for arguments, words in (
        ([str(tmp_path)], "no column 'image'.*python -m pipeline.build laion-ja"),
        ([str(corpus), "--tokenizer", str(tmp_path)], "python -m tokenizer.train CORPUS"),
        ([str(corpus), "--set", "vision.pretrained=there/is/none"], "expected pretrained = PATH"),
        ([str(corpus), "--set", "train.batch=1"], "2 or more"),
        ([str(corpus), "--set", "train.seconds=9"], "train.seconds: only batches of sound have a length"),
        ([str(corpus), "--set", "text.max_position_embeddings=9"], "captions of 32 tokens need 32"),
        ([str(corpus), "--set", "vision.hiden_size=3"], "vision.hiden_size: clip_vision_model has no such setting"),
    ):
        found = CliRunner().invoke(clip.main, [*arguments, "--config", "tiny", "--out", str(tmp_path / "run")])
        assert found.exit_code != 0
        assert re.search(words, " ".join(found.output.split())), (words, found.output)
    with pytest.raises(UsageError, match="expected a square"):
        image_size(SimpleNamespace(image_size=(32, 48)))
    with pytest.raises(UsageError, match="vision.pretrained: there is no folder there/is/none"):
        build_vision_tower({"pretrained": "there/is/none"}, print)


def test_configurations_are_whole_and_towers_have_positions_for_77_tokens(corpus: Path) -> None:
    assert list_configs("clip") == ["clip-vit-b-16", "cloob-vit-b-16", "tiny"]
    for name in list_configs("clip"):
        settings = load_config(clip.Config, "clip", name)
        assert settings.objective == ("cloob" if name.startswith("cloob") else "clip")
    tokenizer = load_tokenizer(corpus / "tokenizer", 77)
    narrow = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    for kind in ("bert", "roberta"):
        tower = build_text_tower({"model_type": kind} | narrow, 77, tokenizer)
        full = tokenizer("赤い色" * 99, truncation=True, return_tensors="pt")
        assert full["input_ids"].shape == (1, 77)
        assert torch.isfinite(tower(input_ids=full["input_ids"]).pooler_output).all()


def test_cloob_has_the_scales_that_were_released() -> None:
    """`init_inv_tau` and `scale_hopfield` of rinna's configuration, and ViT's eps of the authors' own code."""
    for name in ("cloob-vit-b-16", "tiny"):
        settings = load_config(clip.Config, "clip", name)
        assert (settings.inverse_temperature, settings.hopfield_scale, settings.train.eps) == (30.0, 15.0, 1e-6)


def test_every_caption_of_an_image_is_seen_and_evaluation_reads_the_first() -> None:
    """Of an image with three captions each epoch draws one; the same seed draws the same."""
    record = {"caption": "一", "captions": np.array(["一", "二", "三"], object)}
    drawn = [read_caption(record, np.random.default_rng([1, epoch, 0, 5])) for epoch in range(60)]
    assert {caption: drawn.count(caption) > 10 for caption in drawn} == {"一": True, "二": True, "三": True}
    assert drawn == [read_caption(record, np.random.default_rng([1, epoch, 0, 5])) for epoch in range(60)]
    assert read_caption(record) == "一" == read_caption({"caption": None, "captions": ["", None, "一", "二"]})
    for without in ({"caption": "一"}, {"caption": "一", "captions": None}, {"caption": "一", "captions": []}):
        assert read_caption(without, np.random.default_rng(1)) == "一"
    with pytest.raises(Skip):
        read_caption({"caption": "", "captions": [None]}, np.random.default_rng(1))


def test_a_run_reads_all_captions(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, read = tmp_path / "corpus", set[str]()
    shutil.copytree(corpus, folder)
    path = folder / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    captions = [[text, f"別{text}"] if text else None for text in table["caption"].to_pylist()]
    pq.write_table(table.append_column("captions", pa.array(captions, pa.list_(pa.string()))), path, row_group_size=25)

    def read_and_note(*arguments: Any) -> str:
        read.add(caption := read_caption(*arguments))
        return caption

    monkeypatch.setattr(clip, "read_caption", read_and_note)
    run(folder, tmp_path / "run", sets=[*SMALL, "train.steps=40", "train.evaluate_every=40", "held_in=0"])
    # 40 steps of 16 are five epochs: each of 118 pairs has shown both captions but for 2^-4 of them.
    of_training = {text for texts in captions if texts for text in texts}
    assert len(read & of_training) > 0.9 * len(of_training)
