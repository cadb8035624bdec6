"""`python -m trainers.diffusion CORPUS`: Stable Diffusion that understands Japanese captions, in two stages.

Stage 1 trains a text encoder from scratch for a diffusion model that stays as it is; stage 2 trains both. The VAE is never trained.
What is predicted is the noise (DDPM), and its squared error is weighted by Min-SNR (Hang et al. 2023, arXiv 2303.09556). Some captions
are dropped, so that the model can be guided. What is evaluated and saved is a moving average of the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from pydantic import Field
from torch import nn

from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from pipeline.core.storage import fingerprint, write_atomically
from trainers import latents
from trainers.data import Reader, Shards, stream
from trainers.images import BUILD, decoded
from trainers.loop import Loop
from trainers.parts import Average, Parts, diffusion_model, sampled, text_encoder
from trainers.retrieval import captioned
from trainers.settings import Crop, Train, command, load
from trainers.towers import load_tokenizer

DRAWS = 8  # timesteps, spread evenly, at which an image is evaluated


class Config(Table):
    size: int = Field(ge=8, description="of images, in pixels")
    pretrained: str = Field("", description="folder or hub name of a Stable Diffusion; without, the tables unet and vae")
    unet: dict[str, Any] = {}  # what differs from UNet2DConditionModel's defaults
    vae: dict[str, Any] = {}  # what differs from AutoencoderKL's defaults
    text: dict[str, Any]  # what differs from CLIPTextModel's defaults
    latents: bool = Field(False, description="encode images once, and keep that beside the shards")
    crop: Crop = Field((0.9, 1.0), description="share of the largest square that is seen, without latents")
    caption_dropout: float = Field(0.1, ge=0, lt=1, description="share of captions that are replaced by the empty one")
    min_snr: float = Field(
        5.0, gt=0, description="gamma: timesteps with more signal to noise weigh less; from 1,200 on none does"
    )
    ema: float = Field(0.9999, ge=0, lt=1, description="highest decay of the moving average")
    gradient_checkpointing: bool = Field(False, description="less memory, more computation")
    samples: int = Field(8, ge=0, description="images at an evaluation")
    sample_steps: int = Field(30, ge=1)
    guidance: float = Field(7.5, ge=0)
    train: Train


class Denoising(nn.Module):
    """What is trained of the parts. What is not stands outside of the module: it is in no checkpoint, and has no dropout."""

    def __init__(self, parts: Parts, stage: int, settings: Config) -> None:
        from diffusers import DDPMScheduler

        super().__init__()
        self.trained = nn.ModuleDict({"text": parts.text} | ({"unet": parts.unet} if stage == 2 else {}))
        self.parts, self.settings, self.noise = parts, settings, DDPMScheduler.from_config(parts.scheduler.config)
        for part in (parts.vae, parts.unet):
            part.requires_grad_(stage == 2 and part is parts.unet).eval()
        if settings.gradient_checkpointing:
            parts.unet.enable_gradient_checkpointing()

    def latents(self, images: torch.Tensor, drawn: bool) -> torch.Tensor:
        """float32[n, channels, h, w] of uint8 images, or of the stored moments of their latents."""
        moments = latents.encoded(self.parts.vae, images) if images.dtype == torch.uint8 else images
        mean, std = moments.float().chunk(2, 1)
        return self.parts.vae.config.scaling_factor * (mean + std * torch.randn_like(mean) if drawn else mean)

    def errors(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """float32[n]: mean squared error of the noise that is predicted; that of predicting zero is 1."""
        noisy = self.noise.add_noise(clean, noise, timesteps)
        predicted = self.parts.unet(noisy, timesteps, text).sample
        return (predicted.float() - noise).square().mean((1, 2, 3))

    def forward(self, images: torch.Tensor, input_ids: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Weighted loss; told is the one without weights."""
        from diffusers.training_utils import compute_snr

        clean = self.latents(images, drawn=True)
        timesteps = torch.randint(self.noise.config.num_train_timesteps, (len(clean),), device=clean.device)
        found = self.errors(clean, torch.randn_like(clean), timesteps, self.parts.text(input_ids)[0])
        snr = compute_snr(self.noise, timesteps)
        return (found * snr.clamp(max=self.settings.min_snr) / snr).mean(), {"noise_loss": found.detach().mean()}


class Records:
    """From records to inputs of `Denoising`."""

    def __init__(self, settings: Config, parts: Parts) -> None:
        self.settings, self.tokenizer, self.channels = settings, parts.tokenizer, parts.vae.config.latent_channels
        self.shape, self.timesteps = (
            (self.channels, *[parts.unet.config.sample_size] * 2),
            parts.scheduler.config.num_train_timesteps,
        )

    def image(self, record: dict[str, Any], rng: np.random.Generator | None = None) -> np.ndarray:
        if self.settings.latents:
            return latents.read(record["latents"], self.channels)
        return decoded(record["image"], self.settings.size, rng, self.settings.crop)

    def trained(self, record: dict[str, Any]) -> dict[str, Any]:
        rng = np.random.default_rng([self.settings.train.seed, *record["__key__"]])
        caption = captioned(record)
        return {"images": self.image(record, rng), "caption": "" if rng.random() < self.settings.caption_dropout else caption}

    def evaluated(self, record: dict[str, Any]) -> dict[str, Any]:
        """With noise and timesteps that are the same at every evaluation."""
        rng = np.random.default_rng(list(record["__key__"]))
        timesteps = (np.arange(DRAWS) + rng.random(DRAWS)) * (self.timesteps / DRAWS)
        noise = rng.standard_normal((DRAWS, *self.shape), np.float32)
        return {
            "images": self.image(record),
            "caption": captioned(record),
            "noise": noise,
            "timesteps": timesteps.astype(np.int64),
        }

    def collate(self, items: list[dict[str, Any]]) -> tuple[dict[str, torch.Tensor], float]:
        arrays = {name: torch.from_numpy(np.stack([i[name] for i in items])) for name in items[0] if name != "caption"}
        captions = [item["caption"] for item in items]
        found = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        return arrays | {"input_ids": found["input_ids"]}, float(len(items))


def evaluated(run: Loop, module: Denoising, reader: Reader, records: Records, train: Train) -> dict[str, float]:
    """Mean squared error of the predicted noise, without weights; and of predicting none, which is about 1."""
    found, none, number, skipped = 0.0, 0.0, 0, 0
    chosen = reader.once(run.rank, run.ranks, train.evaluate_records)
    for batch in stream(reader, chosen, train.batch, records.collate, records.evaluated, threads=train.threads):
        inputs = {name: value.to(run.device) for name, value in batch.inputs.items()}
        clean, text = module.latents(inputs["images"], drawn=False), module.parts.text(inputs["input_ids"])[0]
        for noise, timesteps in zip(inputs["noise"].unbind(1), inputs["timesteps"].unbind(1), strict=True):
            found += float(module.errors(clean, noise, timesteps, text).sum())
            none += float(noise.square().mean((1, 2, 3)).sum())
            number += len(noise)
        skipped += batch.skipped
    total = run.sum(number)
    if not total:
        raise InputError(f"of the first {train.evaluate_records:,} records of the validation shards no image can be used")
    return {"noise_loss": run.sum(found) / total, "of_predicting_zero": run.sum(none) / total, "skipped": int(run.sum(skipped))}


@command("diffusion", "stable-diffusion")
@click.option("--stage", type=click.IntRange(1, 2), required=True, help="1: a new text encoder alone. 2: it and the UNet.")
@click.option(
    "--from", "before", default="", metavar="MODEL", help="Stable Diffusion to begin with; stage 2 takes its text encoder, too."
)
@click.option("--tokenizer", "place", type=click.Path(path_type=Path), help="[default: CORPUS/tokenizer]")
@click.option(
    "--latents", "folder", type=click.Path(path_type=Path), help="Folder of latents.  [default: below CORPUS/latents]"
)
def main(
    corpus: Path, config: str, out: Path, resume: bool, changes: tuple[str, ...], stage: int, before: str,
    place: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Train a Stable Diffusion on CORPUS, a folder of image-text shards with a tokenizer."""
    settings = load(Config, "diffusion", config, changes)
    if folder and not settings.latents:
        raise UsageError("--latents says where latents are kept, but none are: add --set latents=true")
    Shards(corpus, "train", ["image", "caption"], BUILD)
    tokenizer = load_tokenizer(place or corpus / "tokenizer", settings.text.get("max_position_embeddings", 77))
    train(settings, corpus, tokenizer, stage, before, folder, out, resume)


def train(
    settings: Config, corpus: Path, tokenizer: Any, stage: int, before: str, folder: Path | None, out: Path, resume: bool
) -> None:  # fmt: skip
    t = settings.train
    torch.manual_seed(t.seed)
    source = before or settings.pretrained
    parts = diffusion_model(source, settings.vae, settings.unet, settings.size, corpus, BUILD)
    parts.tokenizer = tokenizer
    frozen = latents.weights_sha256(parts.vae, *([parts.unet] if stage == 1 else []))
    told = {"stage": stage, "frozen_weights": frozen, "vocabulary": fingerprint(tokenizer.get_vocab())}
    run = Loop(t, settings.model_dump() | told, out, resume, "images")

    if stage == 1 and not source:
        run.warn(
            "stage 1 trains a text encoder for a diffusion model that was never trained: name one with --from or pretrained"
        )
    if stage == 2 and not before and not resume:
        run.warn("stage 2 begins with a new text encoder: name the model of stage 1 with --from")
    parts.text = text_encoder(settings.text, tokenizer, before if stage == 2 else "", parts.unet.config.cross_attention_dim)
    for part in (parts.vae, parts.unet, parts.text):
        part.to(run.device)
    module = Denoising(parts, stage, settings)
    average, records = Average(module, settings.ema), Records(settings, parts)
    columns, beside = ["image", "caption"], list[Path]()
    if settings.latents:
        beside = [latents.cache(corpus, parts.vae, settings.size, t.batch, t.threads, run, BUILD, folder)]
        columns = ["latents", "caption"]
    reader = Reader(Shards(corpus, "train", columns, BUILD, beside), t.seed, t.buffer)
    held_out = run.held_out(corpus, columns, beside)

    def evaluate() -> dict[str, Any]:
        if held_out is None:
            return {}
        with average.in_place():
            found: dict[str, Any] = evaluated(run, module, held_out, records, t)
            if run.rank == 0 and settings.samples:
                there = np.arange(min(settings.samples, held_out.shards.rows[0]))
                captions = [text or "" for text in held_out.shards.read([0]).take(there)["caption"]]
                name = f"samples/step-{run.step:09d}.png"
                with write_atomically(out / name) as temporary:
                    sampled(parts, captions, settings.size, settings.sample_steps, settings.guidance).save(temporary, "PNG")
                found |= {"samples": name, "captions": captions}
        return found

    def export(path: Path) -> None:
        with average.in_place():
            parts.pipeline().save_pretrained(path)

    run.fit(
        module,
        reader,
        lambda spans, taken: stream(reader, spans, t.batch, records.collate, records.trained, taken, t.threads),
        evaluate,
        export,
        average.step,
        {"average": average},
    )


if __name__ == "__main__":
    main()
