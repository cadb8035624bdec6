"""Stable Diffusion: what is learned and weighted, the two stages, exact resuming, stored latents, and what is saved."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from pipeline.core.ownership import DERIVED_FOLDER
from tokenizer.train import main as train_tokenizer
from trainers import diffusion, generate
from trainers.data.batches import Skip
from trainers.data.images import decode_square
from trainers.data.shards import Shards
from trainers.models import latents
from trainers.models.diffusion_model import DiffusionModel, build_diffusion_model, build_text_encoder
from trainers.models.towers import load_tokenizer
from trainers.training.settings import list_configs, load_config

SMALL = ["size=16", "unet.block_out_channels=[16,32]", "unet.cross_attention_dim=32", "text.hidden_size=32",
         "text.intermediate_size=64", "text.num_hidden_layers=1", "samples=2", "sample_steps=3", "train.batch=8",
         "train.warmup=2", "train.log_every=1", "train.lr=4e-3", "train.schedule=constant_with_warmup",
         "crop=[0.9,1.0]", "latents=false", "pixels_per_latent=4",
         "text.max_position_embeddings=77"]  # fmt: skip
COLOURS = {"赤": (220, 20, 20), "青": (20, 20, 220), "緑": (20, 160, 20), "黄色": (230, 220, 20)}
CORNERS = {"左上": np.s_[:20, :20], "右上": np.s_[:20, 20:], "左下": np.s_[20:, :20], "右下": np.s_[20:, 20:]}


def pairs(number: int, seed: int) -> list[tuple[bytes | None, str | None]]:
    """A corner of one colour on a ground of another, and what says so."""
    rng, found = np.random.default_rng(seed), list[tuple[bytes | None, str | None]]()
    for _ in range(number):
        ground, colour, corner = rng.choice(list(COLOURS)), rng.choice(list(COLOURS)), rng.choice(list(CORNERS))
        pixels = np.full((40, 40, 3), COLOURS[ground], np.uint8)
        pixels[CORNERS[corner]] = COLOURS[colour]
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        found.append((out.getvalue(), f"{ground}い地の{corner}に{colour}い四角の絵"))
    return found


class Trained(NamedTuple):
    out: Path
    lines: list[dict[str, Any]]  # of metrics


@pytest.fixture(scope="module")
def corpus(pairs_corpus: Any) -> Path:
    return pairs_corpus(pairs, 380)


def invoke(corpus: Path, out: Path, stage: int, *more: object, sets: list[str] | None = None) -> Any:
    changes = [word for change in SMALL + (sets or []) for word in ("--set", change)]
    words = [corpus, "--config", "tiny", "--stage", stage, "--out", out, *changes, *more]
    return CliRunner().invoke(diffusion.main, [str(word) for word in words])


def run(corpus: Path, out: Path, stage: int, *more: object, sets: list[str] | None = None) -> list[dict[str, Any]]:
    """Train in this process; returns the lines of metrics, without speed."""
    found = invoke(corpus, out, stage, *more, sets=sets)
    if found.exit_code:
        raise AssertionError(found.output) from found.exception
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{k: v for k, v in line.items() if not k.endswith("per_second")} for line in lines]


def losses(lines: list[dict[str, Any]]) -> list[float]:
    return [line["loss"] for line in lines if line["split"] == "train"]


def validation(lines: list[dict[str, Any]]) -> float:
    return [line["noise_loss"] for line in lines if line["split"] == "validation"][-1]


def build_tiny(corpus: Path, *sets: str) -> tuple[diffusion.Config, DiffusionModel]:
    settings = load_config(diffusion.Config, "diffusion", "tiny", (*SMALL, *sets))
    torch.manual_seed(3)
    stable_diffusion = build_diffusion_model("", settings.pixels_per_latent, settings.unet, settings.size, corpus, print)
    stable_diffusion.tokenizer = load_tokenizer(corpus / "tokenizer", 77)
    stable_diffusion.text = build_text_encoder(settings.text, stable_diffusion.tokenizer, "", 32, print)
    return settings, stable_diffusion


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of stage 2, with a new UNet and text encoder."""
    out = tmp_path_factory.mktemp("trained") / "run"
    return Trained(out, run(corpus, out, 2, sets=["train.steps=60", "train.evaluate_every=30"]))


# -- what is computed


def test_the_loss_is_min_snr_weighted_noise_by_definition(corpus: Path) -> None:
    settings, stable_diffusion = build_tiny(corpus)
    module = diffusion.Denoising(stable_diffusion, 2, settings)
    images = torch.from_numpy(np.stack([decode_square(blob, 16) for blob, _ in pairs(6, 5)]))
    ids = stable_diffusion.tokenizer([caption for _, caption in pairs(6, 5)], padding="max_length", return_tensors="pt")[
        "input_ids"
    ]
    torch.manual_seed(11)
    loss, metrics = module(images, ids)
    torch.manual_seed(11)
    found = stable_diffusion.vae.encode(images.permute(0, 3, 1, 2).contiguous() / 127.5 - 1).latent_dist
    clean = (found.mean + found.std * torch.randn(found.mean.shape)) * stable_diffusion.vae.config.scaling_factor
    timesteps, noise = torch.randint(1000, (6,)), torch.randn(clean.shape)
    signal = torch.from_numpy(np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)[timesteps]).float()
    noisy = signal.sqrt().view(-1, 1, 1, 1) * clean + (1 - signal).sqrt().view(-1, 1, 1, 1) * noise
    hidden = stable_diffusion.text(ids).last_hidden_state
    squares = (stable_diffusion.unet(noisy, timesteps, encoder_hidden_states=hidden).sample - noise).square().mean((1, 2, 3))
    ratio = signal / (1 - signal)
    assert float(metrics["noise_loss"]) == pytest.approx(squares.mean().item(), rel=1e-4)
    assert loss.item() == pytest.approx((squares * torch.minimum(ratio, torch.tensor(5.0)) / ratio).mean().item(), rel=1e-4)


@pytest.mark.parametrize("is_random", [False, True])
def test_an_untrained_vae_is_scaled_to_unit_variance_without_noise(corpus: Path, is_random: bool) -> None:
    settings, stable_diffusion = build_tiny(corpus)
    if is_random:
        table = {"block_out_channels": [8, 8], "down_block_types": ["DownEncoderBlock2D"] * 2, "norm_num_groups": 8,
                 "up_block_types": ["UpDecoderBlock2D"] * 2, "latent_channels": 3}  # fmt: skip
        stable_diffusion = build_diffusion_model("", table, settings.unet, settings.size, corpus, print)
    images = [decode_square(blob, 16) for blob, caption in pairs(120, 1)[:64] if caption]
    del images[7]  # cannot be decoded in the shards
    found = latents.encode_images(stable_diffusion.vae, torch.from_numpy(np.stack(images)))
    mean, std = (found * stable_diffusion.vae.config.scaling_factor).chunk(2, 1)
    assert mean.std().item() == pytest.approx(1, rel=0.02) and std.max() < 1e-3
    assert is_random or mean.mean((0, 2, 3)).abs().max() < 0.02


def test_stage_1_reaches_the_text_encoder_alone_with_and_without_checkpointed_gradients(corpus: Path) -> None:
    gradients = []
    for option in ("gradient_checkpointing=false", "gradient_checkpointing=true", "train.gradient_checkpointing=true"):
        settings, stable_diffusion = build_tiny(corpus, option)
        module = diffusion.Denoising(stable_diffusion, 1, settings).train()
        assert stable_diffusion.unet.is_gradient_checkpointing == option.endswith("true")
        assert {name.split(".")[1] for name in module.state_dict()} == {"text"} and not stable_diffusion.unet.training
        torch.manual_seed(1)
        module(torch.full((2, 16, 16, 3), 90, dtype=torch.uint8), torch.tensor([[1, 9, 2, 3], [1, 2, 3, 3]]))[0].backward()
        assert all(
            weight.grad is None for part in (stable_diffusion.unet, stable_diffusion.vae) for weight in part.parameters()
        )
        gradients.append([weight.grad for weight in stable_diffusion.text.parameters()])
    for others in gradients[1:]:
        assert all(a.abs().sum() > 0 and torch.allclose(a, b, atol=1e-7) for a, b in zip(gradients[0], others) if a.ndim > 1)


def test_captions_are_dropped_by_record_and_end_with_eos(corpus: Path) -> None:
    settings, stable_diffusion = build_tiny(corpus)
    records, (blob, caption) = diffusion.Records(settings, stable_diffusion), pairs(1, 4)[0]
    record = {"image": blob, "caption": caption}
    items = [records.decode_for_training(record | {"__key__": (0, 0, row)}) for row in range(400)]
    share = sum(item["caption"] == "" for item in items) / 400
    assert 0.05 < share < 0.16 and len({item["images"].tobytes() for item in items}) > 100
    again = records.decode_for_training(record | {"__key__": (0, 0, 17)})
    assert (again["images"] == items[17]["images"]).all() and again["caption"] == items[17]["caption"]
    with pytest.raises(Skip):
        records.decode_for_training({"image": blob, "caption": None, "__key__": (0, 0, 0)})
    ids = records.collate([items[0] | {"caption": text} for text in ("", "赤い" * 90)])[0]["input_ids"]
    assert ids.shape == (2, 77) and ids[0, :3].tolist() == [1, 2, 3] and ids[1, [0, -1]].tolist() == [1, 2]


# -- runs


def test_it_learns_and_shows_samples(trained: Trained) -> None:
    out, lines = trained.out, trained.lines
    last = lines[-1]
    assert (
        last["split"] == "validation" and last["noise_loss"] < 0.6 and last["of_predicting_zero"] == pytest.approx(1, abs=0.03)
    )
    assert last["noise_loss"] < [line for line in lines if line["split"] == "validation"][0]["noise_loss"]
    assert Image.open(out / last["samples"]).size == (32, 16) and last["captions"] == [c for _, c in pairs(24, 2)[:2]]
    assert sum(line["skipped"] for line in lines if line["split"] == "train") > 0


def test_the_folder_loads_elsewhere_with_the_average_of_training(
    trained: Trained, corpus: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging

    logging.enable_progress_bar()  # commands that ran in this process have told libraries to be quiet
    logging.set_verbosity_warning()
    capfd.readouterr()
    pipeline = StableDiffusionPipeline.from_pretrained(trained.out / "model", low_cpu_mem_usage=False)
    said = capfd.readouterr()
    assert "Loading" in said.err and not any(word in said.err for word in ("not used", "newly", "not expected", "missing"))
    settings, stable_diffusion = build_tiny(corpus)
    module = diffusion.Denoising(stable_diffusion, 2, settings).eval()
    state = torch.load(trained.out / "checkpoints" / "step-000000060" / "state.pt", weights_only=True)
    module.load_state_dict(state["model"])
    own = [weight.detach().clone() for weight in module.parameters()]
    with torch.no_grad():
        for weight, mean in zip(module.parameters(), state["average"]["shadow_params"], strict=True):
            weight.copy_(mean)
    assert not all(torch.equal(a, b) for a, b in zip(own, module.parameters()))
    caption = "赤い地の左上に青い四角の絵" * 12
    ids = pipeline.tokenizer(caption, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    assert (
        ids == stable_diffusion.tokenizer([caption], padding="max_length", truncation=True, return_tensors="pt")["input_ids"]
    ).all()
    noisy, timestep = torch.randn(1, 3, 4, 4), torch.tensor([500])
    with torch.no_grad():
        hidden = pipeline.encode_prompt(caption, torch.device("cpu"), 1, False)[0]
        assert torch.equal(hidden, stable_diffusion.text(ids)[0])
        assert torch.equal(pipeline.unet(noisy, timestep, hidden).sample, stable_diffusion.unet(noisy, timestep, hidden).sample)
    assert pipeline("青い絵", num_inference_steps=2, output_type="np").images.shape == (1, 16, 16, 3)


def test_it_draws_captions(trained: Trained, tmp_path: Path) -> None:
    def draw(*words: object) -> Any:
        return CliRunner().invoke(generate.main, [str(word) for word in (trained.out, *words)])

    out = tmp_path / "a.png"
    found = draw("赤い絵", "青い絵", "--out", out, "--samples", 2)
    assert found.exit_code == 0 and found.output == f"{out}\n" and Image.open(out).size == (32, 32)
    first = out.read_bytes()
    assert draw("赤い絵", "青い絵", "--out", out, "--samples", 2).exit_code == 0 and out.read_bytes() == first
    assert draw("赤い絵", "青い絵", "--out", out, "--samples", 2, "--seed", 5).exit_code == 0 and out.read_bytes() != first
    Image.open(out).save(tmp_path / "mine.png")
    for words, problem in (
        (["--out", out], "which captions?"),
        (["赤い絵", "--out", tmp_path / "a.jpg"], "images are written as PNG"),
        (["赤い絵", "--out", tmp_path / "mine.png"], "this command did not write it"),
    ):
        refused = draw(*words)
        assert refused.exit_code == 2 and problem in " ".join(refused.output.split())


def test_two_stages(trained: Trained, corpus: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    first, sets = trained.out / "model", ["samples=0", "train.save_every=100"]
    one = tmp_path / "one"
    # The first step's rate is 0: what is evaluated after it is how things began.
    begun = validation(run(corpus, one, 1, "--from", first, sets=[*sets, "train.steps=1"]))
    ended = validation(run(corpus, one, 1, "--from", first, "--resume", sets=[*sets, "train.steps=60"]))
    assert begun > validation(trained.lines) and ended < begun - 0.3 * (begun - validation(trained.lines))
    for part in ("unet", "vae"):
        before, after = (load_file(place / part / "diffusion_pytorch_model.safetensors") for place in (first, one / "model"))
        assert all(torch.equal(before[name], after[name]) for name in before)
    lines = run(corpus, tmp_path / "two", 2, "--from", one / "model", sets=[*sets, "train.steps=1"])
    assert validation(lines) == pytest.approx(ended, rel=1e-6)
    found = invoke(corpus, tmp_path / "alone", 1, sets=["train.steps=1", "samples=0"])
    assert "was never trained" in " ".join(found.output.split()) and found.exit_code == 0


@pytest.mark.parametrize("cached", ["false", "true"])
def test_what_was_stopped_goes_on_bit_for_bit(corpus: Path, tmp_path: Path, cached: str) -> None:
    """Over the end of an epoch, and with another number of threads."""
    sets = [
        "samples=0",
        "train.batch=12",
        "train.save_every=7",
        "train.evaluate_every=7",
        "train.steps=14",
        f"latents={cached}",
    ]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    lines = run(corpus, whole, 2, sets=sets)
    shutil.copytree(whole, killed)
    shutil.rmtree(killed / "checkpoints" / "step-000000014")
    again = run(corpus, killed, 2, "--resume", sets=[*sets, "train.threads=1"])
    assert losses(again) == losses(lines) and len(set(losses(lines))) == 14
    for split in ("train", "validation"):
        both = [[line | {"skipped": 0} for line in found if line["split"] == split] for found in (lines, again)]
        assert both[0] == both[1]


def test_the_same_seed_gives_the_same_numbers(trained: Trained, corpus: Path, tmp_path: Path) -> None:
    lines = run(corpus, tmp_path / "run", 2, sets=["train.steps=5"])
    assert losses(lines) == losses(trained.lines)[:5]


# -- stored latents


def test_latents_are_those_of_the_middle_and_made_once(corpus: Path, tmp_path: Path, shards: Any) -> None:
    mine = tmp_path / "corpus"
    shutil.copytree(corpus, mine, ignore=shutil.ignore_patterns("seimai-derived"))
    sets = ["latents=true", "samples=0", "train.steps=1"]
    lines = run(mine, tmp_path / "a", 2, sets=sets)
    (place,) = (mine / DERIVED_FOLDER / "latents").glob("16-*")
    account, files = json.loads((place / "latents.json").read_text()), sorted(place.glob("*.parquet"))
    assert account["size"] == 16 and [f.name for f in files] == sorted(f.name for f in (mine / "data").iterdir())
    both = Shards(mine, "train", ["latents", "image"], "", [place])
    stored = both.read(range(len(both.row_groups))).take(np.arange(both.total))
    assert [i for i, blob in enumerate(stored["latents"]) if blob is None] == [7]
    settings = load_config(diffusion.Config, "diffusion", "tiny", tuple(SMALL))
    torch.manual_seed(settings.train.seed)
    vae = build_diffusion_model("", settings.pixels_per_latent, settings.unet, 16, mine, print).vae
    assert latents.hash_weights(vae) == account["vae_sha256"]
    expected = latents.encode_images(vae, torch.from_numpy(decode_square(stored["image"][40], 16))[None])[0].numpy()
    np.testing.assert_allclose(latents.read_latents(stored["latents"][40], 3), expected, atol=2e-3)
    # Nothing is made again; what is missing is; and evaluation is that of images but for rounding.
    times = [f.stat().st_mtime_ns for f in files]
    files[0].unlink()
    assert losses(run(mine, tmp_path / "b", 2, sets=sets)) == losses(lines)
    assert files[0].exists() and [f.stat().st_mtime_ns for f in files[1:]] == times[1:]
    direct = run(mine, tmp_path / "c", 2, sets=["samples=0", "train.steps=1"])
    assert validation(lines) == pytest.approx(validation(direct), rel=1e-3)
    # Other shards, and so other mean colours: made anew, but not in a folder that was named.
    shards(mine, "train", pairs(60, 8))
    found = invoke(mine, tmp_path / "e", 2, "--latents", place, sets=sets)
    assert found.exit_code and "holds no latents of this corpus and configuration" in found.output
    run(mine, tmp_path / "f", 2, sets=sets)
    (other,) = {*(mine / DERIVED_FOLDER / "latents").glob("16-*")} - {place}
    assert Shards(mine, "train", ["latents"], "", [other]).total == 60


# -- what is wrong is said


def test_bad_input(trained: Trained, corpus: Path, tmp_path: Path, shards: Any) -> None:
    def said(*more: object, sets: list[str] | None = None, stage: int = 2, at: Path = corpus) -> str:
        found = invoke(at, tmp_path / "out", stage, *more, sets=sets)
        assert found.exit_code and not (tmp_path / "out" / "metrics.jsonl").exists(), found.output
        return " ".join(found.output.split())

    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    pq.write_table(pa.table({"caption": ["赤"]}), other / "data" / "train-00000-of-00001.parquet")
    assert "no column 'image': build image-text shards with python -m pipeline.build" in said(at=other)
    assert "size: 18 is no multiple of 4" in said(sets=["size=18"])
    assert "expects more than a caption (num_class_embeds)" in said(sets=["unet.num_class_embeds=3"])
    assert "unexpected keyword argument 'widths'" in said(sets=["unet.widths=3"])
    assert "text.hidden_size: 64, but the UNet attends to 32" in said(sets=["text.hidden_size=64"])
    assert "text.num_hidden_layers: 3, but the text encoder in" in said(
        "--from", trained.out / "model", sets=["text.num_hidden_layers=3"]
    )
    assert "there is no folder" in said("--from", tmp_path / "nowhere")
    assert "add --set latents=true" in said("--latents", tmp_path / "latents")
    shards(other, "train", pairs(80, 6))
    assert CliRunner().invoke(train_tokenizer, [str(other), "--vocab-size", "378"]).exit_code == 0
    assert "has another tokenizer" in said("--from", trained.out / "model", at=other)
    assert "the diffusion model is missing" in said(sets=["unet={}"])
    found = invoke(corpus, trained.out, 1, "--resume", sets=["train.steps=61"])
    assert found.exit_code and "stage was 2 and is 1" in found.output.replace("\n", " ")


def test_weights_that_are_missing_are_refused(trained: Trained, corpus: Path, tmp_path: Path) -> None:
    """diffusers would leave what lay in memory, also in what is trained."""
    from safetensors.torch import load_file, save_file

    for component, name, stage in (
        ("vae", "encoder.conv_in.bias", 2),
        ("unet", "conv_in.bias", 1),
        ("unet", "conv_in.bias", 2),
    ):
        folder = tmp_path / f"{component}{stage}"
        shutil.copytree(trained.out / "model", folder)
        path = folder / component / "diffusion_pytorch_model.safetensors"
        weights = load_file(path)
        weights["extra"] = weights.pop(name)
        save_file(weights, path, {"format": "pt"})
        found = invoke(corpus, tmp_path / "out", stage, "--from", folder, sets=["train.steps=1"])
        assert found.exit_code == 2 and f"lacks {name}, which would be left random" in " ".join(found.output.split())
        weights[name] = weights.pop("extra").repeat(2)
        save_file(weights, path, {"format": "pt"})
        found = invoke(corpus, tmp_path / "out", stage, "--from", folder, sets=["train.steps=1"])
        assert found.exit_code == 2 and f"other shapes than its configuration says: {name}" in " ".join(found.output.split())


def test_weights_that_are_not_used_are_told(trained: Trained, tmp_path: Path, corpus: Path) -> None:
    from safetensors.torch import load_file, save_file

    said, path = list[str](), trained.out / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    folder = tmp_path / "model"
    shutil.copytree(trained.out / "model", folder)
    save_file(load_file(path) | {"extra": torch.zeros(1)}, folder / "unet" / path.name, {"format": "pt"})
    build_diffusion_model(str(folder), {}, {}, 16, corpus, said.append)
    assert said == [f"the unet of {folder} also has extra: not used"]


def test_all_captions_are_drawn_from_and_evaluation_reads_the_first(corpus: Path) -> None:
    settings, stable_diffusion = build_tiny(corpus, "caption_dropout=0.0")
    records, (blob, caption) = diffusion.Records(settings, stable_diffusion), pairs(1, 4)[0]
    record = {"image": blob, "caption": caption, "captions": [caption, "別"]}
    drawn = [records.decode_for_training(record | {"__key__": (epoch, 0, 3)})["caption"] for epoch in range(40)]
    assert 8 < drawn.count("別") < 32
    assert {records.decode_for_evaluation(record | {"__key__": (0, 0, row)})["caption"] for row in range(9)} == {caption}


def test_the_bundled_configurations_are_whole() -> None:
    assert list_configs("diffusion") == ["stable-diffusion", "tiny"]
    settings = load_config(diffusion.Config, "diffusion", "stable-diffusion")
    assert settings.pretrained and settings.text["hidden_size"] == 768 and settings.size == 512
