"""CLIP and CLOOB: losses by their definitions, ranks, exact resuming, what is saved, recall and zero-shot classification."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.distributed as dist
from click.testing import CliRunner
from PIL import Image
from torch import nn
from torch.nn import functional as F

from pipeline.core.errors import UsageError
from trainers import clip
from trainers.models.retrieval import TEMPLATES, Evaluation, ZeroShot, labels, read_templates, recalls
from trainers.models.towers import image_size, load_tokenizer, text_tower, vision_tower
from trainers.training.settings import load, names

COLOURS = {"赤": (220, 20, 20), "青": (20, 20, 220), "緑": (20, 160, 20), "黄色": (230, 220, 20)}
SHAPES = ("横の縞模様", "縦の縞模様", "四角", "何もない")
SMALL = ["vision.hidden_size=32", "vision.intermediate_size=64", "vision.num_attention_heads=2", "text.hidden_size=32",
         "text.intermediate_size=64", "text.num_attention_heads=2", "projection=32", "train.batch=16", "train.warmup=2",
         "train.log_every=1", "images.crop=[0.5,1.0]"]  # fmt: skip


def picture(colour: str, shape: str, rng: np.random.Generator) -> bytes:
    pixels = np.full((40, 52, 3), 255, np.uint8)
    at = {"横の縞模様": np.s_[::8], "縦の縞模様": np.s_[:, ::8], "四角": np.s_[10:30, 15:37], "何もない": np.s_[0:0]}[shape]
    pixels[:] = COLOURS[colour]
    pixels[at] = 255
    if shape.endswith("縞模様"):
        for k in (1, 2, 3):
            pixels[k::8] = 255 if shape.startswith("横") else pixels[k::8]
            pixels[:, k::8] = 255 if shape.startswith("縦") else pixels[:, k::8]
    pixels = np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def pairs(number: int, seed: int) -> list[tuple[bytes | None, str | None]]:
    rng = np.random.default_rng(seed)
    found: list[tuple[bytes | None, str | None]] = []
    for i in range(number):
        colour, shape = list(COLOURS)[i % 4], SHAPES[i // 4 % 4]
        found.append((picture(colour, shape, rng), f"{colour}い色で{shape}の絵、その{i}番"))
    return found


@pytest.fixture(scope="module")
def corpus(pairs_corpus: Any) -> Path:
    return pairs_corpus(pairs, 385)


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


# -- losses


def embeddings(n: int, d: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return F.normalize(torch.randn(n, d).double(), dim=1), F.normalize(torch.randn(n, d).double(), dim=1)


def test_info_nce_is_that_of_transformers() -> None:
    from transformers.models.vision_text_dual_encoder.modeling_vision_text_dual_encoder import image_text_contrastive_loss

    images, texts = embeddings(7)
    expected = image_text_contrastive_loss(14.0 * texts @ images.T)
    assert clip.info_nce(images, texts, torch.tensor(14.0)).item() == pytest.approx(expected.item(), abs=1e-12)


def test_info_loob_is_the_sum_that_the_paper_writes() -> None:
    images, texts = embeddings(5)
    beta, inverse = 8.0, 30.0

    def retrieved(state: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
        weights = [math.exp(beta * float(state @ row)) for row in stored]
        found = sum(w * row for w, row in zip(weights, stored)) / sum(weights)
        return found / found.norm()

    total = 0.0
    for i in range(5):
        own, others = 0.0, 0.0
        own = math.exp(inverse * float(retrieved(images[i], images) @ retrieved(texts[i], images)))
        others = sum(
            math.exp(inverse * float(retrieved(images[i], images) @ retrieved(texts[j], images))) for j in range(5) if j != i
        )
        total -= math.log(own / others) / 5
        own = math.exp(inverse * float(retrieved(images[i], texts) @ retrieved(texts[i], texts)))
        others = sum(
            math.exp(inverse * float(retrieved(images[j], texts) @ retrieved(texts[i], texts))) for j in range(5) if j != i
        )
        total -= math.log(own / others) / 5
    found = clip.info_loob(images, texts, torch.tensor(inverse, dtype=torch.float64), beta)
    assert found.item() == pytest.approx(total / inverse, abs=1e-9)


class Towers(nn.Module):
    """Two linear towers with the losses of the trainer, gathered over ranks."""

    def __init__(self, objective: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.image, self.text = nn.Linear(5, 4).double(), nn.Linear(5, 4).double()
        self.scale, self.objective = nn.Parameter(torch.tensor(2.0).double()), objective

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        images, texts = clip.gathered(
            *(F.normalize(tower(values[i]), dim=1) for i, tower in enumerate((self.image, self.text)))
        )
        scale = self.scale.exp()
        return clip.info_nce(images, texts, scale) if self.objective == "clip" else clip.info_loob(images, texts, scale, 8.0)


def as_rank(place: str) -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    values = torch.load(f"{place}/values.pt")
    found = {}
    for objective in ("clip", "cloob"):
        module = nn.parallel.DistributedDataParallel(Towers(objective))
        loss = module(values[:, rank::2])
        loss.backward()
        found[objective] = loss.detach(), {name: p.grad for name, p in module.module.named_parameters()}
    # The group is left to the end of the process: torch 2.13 may hang where a module that is wrapped outlives it.
    torch.save(found, f"{place}/rank-{rank}.pt")


def test_two_ranks_have_the_loss_and_the_gradients_of_one_with_twice_the_batch(tmp_path: Path, on_ranks: Any) -> None:
    torch.manual_seed(5)
    values = torch.randn(2, 12, 5).double()
    torch.save(values, tmp_path / "values.pt")
    done = on_ranks(2, __file__, tmp_path)
    assert done.returncode == 0, done.stderr
    for objective in ("clip", "cloob"):
        alone = Towers(objective)
        loss = alone(values)
        loss.backward()
        for rank in range(2):
            found, gradients = torch.load(tmp_path / f"rank-{rank}.pt")[objective]
            assert torch.allclose(found, loss, atol=1e-12)
            for name, weight in alone.named_parameters():
                assert torch.allclose(gradients[name], weight.grad, atol=1e-12), (objective, name)


# -- recall, and zero-shot classification


def test_recall_counts_what_has_the_same_caption_or_the_same_image() -> None:
    images = torch.eye(4)
    assert recalls(images, images, torch.arange(4), torch.arange(4))["recall_at_1"] == 1
    turned = images[[1, 2, 3, 0]]
    found = recalls(images, turned, torch.arange(4), torch.arange(4))
    assert found["recall_at_1"] == 0 and found["recall_at_5"] == 1 and found["recall_by_chance"] == 0.25
    # The text nearest to image 1 is that of pair 0, which says the same; and images 2 and 3 are one.
    same = recalls(images, turned, labels(["a", "b", "c", "c"]), labels(["x", "x", "y", "z"]))
    assert same["image_to_text_recall_at_1"] == 0.5 and same["recall_by_chance"] == 0.5 and same["pairs"] == 4


def test_recall_at_ranks_by_counting() -> None:
    images, texts = embeddings(60, 8)
    found = recalls(images, texts, torch.arange(60), torch.arange(60))
    order = (images @ texts.T).argsort(1, descending=True)
    place = (order == torch.arange(60)[:, None]).int().argmax(1)
    for k in (1, 5, 10):
        assert found[f"image_to_text_recall_at_{k}"] == pytest.approx((place < k).double().mean().item())


def zero_shot(folder: Path) -> Path:
    rng = np.random.default_rng(9)
    rows = []
    for number, (colour, name) in enumerate((c, f"{c}い色") for c in COLOURS):
        (folder / f"n{number}").mkdir(parents=True)
        rows.append(f"n{number}\t{name}")
        for i in range(3):
            (folder / f"n{number}" / f"{i}.png").write_bytes(picture(colour, SHAPES[i], rng))
    (folder / "n0" / "broken.png").write_bytes(b"no image")
    (folder / "classes.tsv").write_text("\n".join(rows), "utf-8")
    return folder


def test_images_are_classified_by_the_names_of_classes(tmp_path: Path) -> None:
    """With towers that see and name colours, on one rank and on two; a fifth class is called wrongly."""
    folder = zero_shot(tmp_path)
    (folder / "n4").mkdir()
    (folder / "n4" / "0.png").write_bytes(picture("青", "四角", np.random.default_rng(0)))
    (folder / "classes.tsv").write_text((folder / "classes.tsv").read_text("utf-8") + "\nn4\t{}紫色", "utf-8")

    named_colours = COLOURS | {"紫": (150, 20, 150)}

    def embed_images(pictures: list[np.ndarray]) -> torch.Tensor:
        means = torch.tensor(np.stack([picture.reshape(-1, 3).astype(np.float32).mean(0) for picture in pictures]))
        return F.normalize(means - means.mean(1, keepdim=True), dim=1)

    def embed_texts(texts: list[str]) -> torch.Tensor:
        assert len(texts) <= 4 and not any("{}" in text.replace("{}紫", "") for text in texts)
        named = torch.tensor([next(rgb for name, rgb in named_colours.items() if name in text) for text in texts]).float()
        return F.normalize(named - named.mean(1, keepdim=True), dim=1)

    counts = []
    for rank, ranks in ((0, 1), (0, 2), (1, 2)):

        def summed(found: torch.Tensor) -> torch.Tensor:
            counts.append(found)
            return found

        settings, warned = SimpleNamespace(batch=4, threads=2), list[str]()
        run: Any = SimpleNamespace(settings=settings, rank=rank, ranks=ranks, summed=summed, warn=warned.append)
        found = Evaluation(run, embed_images, embed_texts, lambda a, b: a, 24).classes(ZeroShot.find(folder, TEMPLATES))
        if ranks == 1:
            assert found == {"zero_shot_top_1": 12 / 13, "zero_shot_top_5": 1, "zero_shot_images": 13}
            assert warned == ["1 of 14 images to classify cannot be decoded"]
    assert torch.equal(counts[0], counts[1] + counts[2])


def test_the_templates_that_are_shipped_are_many_and_have_a_place_for_the_name() -> None:
    found = read_templates(TEMPLATES)
    assert 20 <= len(found) == len(set(found)) and all(template.count("{}") == 1 for template in found)


def test_what_is_wrong_with_a_folder_of_classes_is_said(tmp_path: Path) -> None:
    good = zero_shot(tmp_path / "good")
    assert len(ZeroShot.find(good, TEMPLATES).images) == 13
    with pytest.raises(UsageError, match="classes.tsv cannot be read"):
        ZeroShot.find(tmp_path, TEMPLATES)
    for text, words in (("n0 赤\n", "line 1: expected label TAB"), ("n0\t赤\nn0\t青\n", "line 2: expected a label that"),
                        ("n0\t赤\nn9\t青\n", "line 2: there are no images"), ("n0\t赤\n", "names 1 classes")):  # fmt: skip
        (good / "classes.tsv").write_text(text, "utf-8")
        with pytest.raises(UsageError, match=words):
            ZeroShot.find(good, TEMPLATES)
    (tmp_path / "templates.tsv").write_text("写真\n", "utf-8")
    with pytest.raises(UsageError, match="line 1: '写真' has no {}"):
        read_templates(tmp_path / "templates.tsv")


# -- runs


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """60 steps of CLIP, with zero-shot classification."""
    place = tmp_path_factory.mktemp("trained")
    more = ["train.steps=60", "train.evaluate_every=60", "train.save_every=20"]
    return place / "run", run(corpus, place / "run", "--zero-shot", str(zero_shot(place / "classes")), sets=SMALL + more)


def test_it_learns_and_says_so(trained: tuple[Path, list[dict[str, Any]]]) -> None:
    found = trained[1]
    losses = [line["loss"] for line in found if line["split"] == "train"]
    assert losses[0] == pytest.approx(math.log(16), abs=0.6) and np.mean(losses[-5:]) < losses[0] - 0.6
    last = found[-1]
    assert last["split"] == "validation" and last["pairs"] == 24 and last["held_in_pairs"] == 118
    assert last["recall_at_5"] > 0.5 > 3 * last["recall_by_chance"] and last["held_in_recall_at_10"] > 0.3
    assert last["zero_shot_images"] == 12 and last["zero_shot_top_5"] == 1
    assert any(line.get("skipped") for line in found)  # the image that is none, the caption that is missing


def test_the_folder_loads_elsewhere_with_the_same_outputs(trained: tuple[Path, list[dict[str, Any]]], corpus: Path) -> None:
    from transformers import AutoTokenizer, VisionTextDualEncoderModel, VisionTextDualEncoderProcessor

    folder = trained[0] / "model"
    model, processor = (
        VisionTextDualEncoderModel.from_pretrained(folder).eval(),
        VisionTextDualEncoderProcessor.from_pretrained(folder),
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("赤い色で四角の絵")["input_ids"]
    assert (ids[0], ids[-1]) == (1, 2) and tokenizer.model_max_length == 32
    assert len(tokenizer("あ赤" * 99, truncation=True)["input_ids"]) == 32
    blobs, captions = zip(*pairs(24, 2))
    images = [Image.open(io.BytesIO(blob)) for blob in blobs if blob]
    inputs = processor(text=list(captions), images=images, return_tensors="pt", padding=True)
    with torch.no_grad():
        found = model(**inputs)
    # The trainer's own way to the same pairs, with the weights of the last checkpoint.
    settings = load(clip.Config, "clip", "tiny", tuple(SMALL))
    dual = clip.Dual(VisionTextDualEncoderModel(model.config), settings).eval()
    dual.load_state_dict(torch.load(trained[0] / "checkpoints" / "step-000000060" / "state.pt", weights_only=True)["model"])
    ours = load_tokenizer(corpus / "tokenizer", 32)(list(captions), padding=True, return_tensors="pt")
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack([clip.decoded(blob, 32) for blob in blobs]))
        same = model(
            inputs["input_ids"], clip.floats(pixels, settings.images.mean, settings.images.std), inputs["attention_mask"]
        )
        assert torch.allclose(dual.embed_images(pixels), same.image_embeds, atol=1e-6)
        assert torch.allclose(dual.embed_texts(ours["input_ids"], ours["attention_mask"]), same.text_embeds, atol=1e-6)
    assert (found.image_embeds * same.image_embeds).sum(1).min() > 0.999  # the saved processor's pixels
    assert torch.equal(found.text_embeds, same.text_embeds)
    measured = recalls(same.image_embeds, same.text_embeds, torch.arange(24), labels(captions))
    assert measured["recall_at_1"] == trained[1][-1]["recall_at_1"]


def test_the_same_seed_gives_the_same_numbers_and_stopping_changes_none(
    trained: tuple[Path, list[dict[str, Any]]], corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [*SMALL, "train.evaluate_every=60", "train.save_every=20"]
    after, steps = clip.Dual.clamp, list[int]()

    def clamp(self: clip.Dual) -> None:
        after(self)
        steps.append(1)
        if len(steps) == 13:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(clip.Dual, "clamp", clamp)
    with pytest.raises(AssertionError) as stopped:
        run(corpus, tmp_path / "run", sets=[*sets, "train.steps=60"])
    assert isinstance(stopped.value.__cause__, SystemExit) and stopped.value.__cause__.code == 128 + signal.SIGTERM
    assert lines(tmp_path / "run")[-1]["step"] == 13
    classes = ["--zero-shot", str(zero_shot(tmp_path / "classes"))]
    found = run(corpus, tmp_path / "run", "--resume", *classes, sets=[*sets, "train.steps=60"])
    assert without_time(found) == without_time(trained[1])


def test_cloob_learns_with_a_frozen_pretrained_tower(
    trained: tuple[Path, list[dict[str, Any]]], corpus: Path, tmp_path: Path
) -> None:
    from transformers import VisionTextDualEncoderModel

    base = VisionTextDualEncoderModel.from_pretrained(trained[0] / "model")
    base.vision_model.save_pretrained(tmp_path / "vision")
    settings = tmp_path / "cloob.toml"
    text = clip.load.__globals__["CONFIGS"] / "clip" / "tiny.toml"
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
    shards(tmp_path / "few", "train", pairs(20, 3))
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
        ([str(corpus), "--set", "text.max_position_embeddings=9"], "captions of 32 tokens need 32"),
        ([str(corpus), "--set", "vision.hiden_size=3"], "vision.hiden_size: clip_vision_model has no such setting"),
    ):
        found = CliRunner().invoke(clip.main, [*arguments, "--config", "tiny", "--out", str(tmp_path / "run")])
        assert found.exit_code != 0
        assert re.search(words, " ".join(found.output.split())), (words, found.output)
    with pytest.raises(UsageError, match="expected a square"):
        image_size(SimpleNamespace(image_size=(32, 48)))
    with pytest.raises(UsageError, match="vision.pretrained: there is no folder there/is/none"):
        vision_tower({"pretrained": "there/is/none"})


def test_configurations_are_whole_and_towers_have_positions_for_77_tokens(corpus: Path) -> None:
    assert names("clip") == ["clip-vit-b-16", "cloob-vit-b-16", "tiny"]
    for name in names("clip"):
        settings = load(clip.Config, "clip", name)
        assert settings.objective == ("cloob" if name.startswith("cloob") else "clip")
    tokenizer = load_tokenizer(corpus / "tokenizer", 77)
    narrow = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    for kind in ("bert", "roberta"):
        tower = text_tower({"model_type": kind} | narrow, 77, tokenizer)
        full = tokenizer("赤い色" * 99, truncation=True, return_tensors="pt")
        assert full["input_ids"].shape == (1, 77)
        assert torch.isfinite(tower(input_ids=full["input_ids"]).pooler_output).all()


if __name__ == "__main__":  # one of two ranks
    as_rank(sys.argv[1])
