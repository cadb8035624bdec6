"""`python -m trainers.diffusion CORPUS`: Stable Diffusion that understands Japanese captions, in two stages.

Stage 1 trains a text encoder from scratch for a diffusion model that stays as it is; stage 2 trains both. The VAE is never trained.
The model predicts the noise (DDPM), and Min-SNR weights the squared error (Hang et al. 2023, arXiv 2303.09556). Some captions are
dropped, so that the model can be guided. A moving average of the weights is what is evaluated and saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import torch
from pydantic import Field
from torch import nn

from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from pipeline.core.storage import fingerprint, write_atomically
from trainers.data.batches import Record
from trainers.data.images import BUILD_HINT, CAPTIONS, decode_square, read_caption
from trainers.data.reader import Reader
from trainers.data.shards import Shards
from trainers.models.diffusion_model import DiffusionModel, WeightAverage, build_diffusion_model, build_text_encoder
from trainers.models.latents import build_latents, encode_images, hash_weights, read_latents
from trainers.models.towers import load_tokenizer
from trainers.training.command import RunOptions, command
from trainers.training.loop import Loop
from trainers.training.seeds import seed_generators
from trainers.training.settings import Crop, Train

TIMESTEPS_PER_IMAGE = 8  # in evaluation, spread evenly


class Config(Table):
    size: int = Field(ge=8, description="of images, in pixels")
    pretrained: str = Field("", description="folder or hub name of a Stable Diffusion; without, the table unet")
    unet: dict[str, Any] = {}  # what differs from UNet2DConditionModel's defaults
    vae: dict[str, Any] = {}  # what differs from AutoencoderKL's defaults, for a random one
    pixels_per_latent: Literal[1, 2, 4, 8] = Field(
        4, description="along a side, without pretrained and vae: latents are mean colours (trainers.models.pixel_vae)"
    )
    text: dict[str, Any]  # what differs from CLIPTextModel's defaults
    latents: bool = Field(False, description="encode images once, and keep their latents next to the shards")
    crop: Crop = Field((0.9, 1.0), description="share of the largest square that is seen, without latents")
    caption_dropout: float = Field(0.1, ge=0, lt=1, description="share of captions that are replaced by the empty one")
    min_snr: float = Field(
        5.0, gt=0, description="gamma: timesteps with more signal to noise weigh less; from 1,200 on none does"
    )
    ema: float = Field(0.9999, ge=0, lt=1, description="highest decay of the moving average")
    gradient_checkpointing: bool = Field(
        False, description="of the UNet: less memory, more computation; that of [train] is of the text encoder, too"
    )
    samples: int = Field(8, ge=0, description="images drawn at an evaluation")
    sample_steps: int = Field(30, ge=1)
    guidance: float = Field(7.5, ge=0)
    train: Train


class Denoising(nn.Module):
    """The trained components of a diffusion model. The others are no submodules: no checkpoint holds them, and they have no dropout."""

    def __init__(self, diffusion: DiffusionModel, stage: int, config: Config) -> None:
        from diffusers import DDPMScheduler  # late: heavy

        super().__init__()
        self.trained = nn.ModuleDict({"text": diffusion.text} | ({"unet": diffusion.unet} if stage == 2 else {}))
        self.diffusion, self.config = diffusion, config
        self.noise_schedule = DDPMScheduler.from_config(diffusion.scheduler.config)
        diffusion.vae.requires_grad_(False).eval()
        diffusion.unet.requires_grad_(stage == 2).eval()
        if config.gradient_checkpointing or config.train.gradient_checkpointing:
            diffusion.unet.enable_gradient_checkpointing()

    def latents(self, images: torch.Tensor, drawn: bool) -> torch.Tensor:
        """Return float32[n, channels, h, w], drawn or the means, of uint8 images or of the stored moments of their latents."""
        moments = encode_images(self.diffusion.vae, images) if images.dtype == torch.uint8 else images
        mean, std = moments.float().chunk(2, 1)
        return self.diffusion.vae.config.scaling_factor * (mean + std * torch.randn_like(mean) if drawn else mean)

    def errors(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Return float32[n]: the mean squared error of the predicted noise. Predicting zero has an error of 1."""
        noisy = self.noise_schedule.add_noise(clean, noise, timesteps)
        predicted = self.diffusion.unet(noisy, timesteps, text).sample
        return (predicted.float() - noise).square().mean((1, 2, 3))

    def forward(self, images: torch.Tensor, input_ids: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the weighted loss; the metric is the one without weights."""
        from diffusers.training_utils import compute_snr  # late: heavy

        clean = self.latents(images, drawn=True)
        timesteps = torch.randint(self.noise_schedule.config.num_train_timesteps, (len(clean),), device=clean.device)
        errors = self.errors(clean, torch.randn_like(clean), timesteps, self.diffusion.text(input_ids)[0])
        snr = compute_snr(self.noise_schedule, timesteps)
        weights = snr.clamp(max=self.config.min_snr) / snr
        return (errors * weights).mean(), {"noise_loss": errors.detach().mean()}


class Records:
    """Turn records into inputs of `Denoising`."""

    def __init__(self, config: Config, diffusion: DiffusionModel) -> None:
        self.config, self.tokenizer, self.channels = config, diffusion.tokenizer, diffusion.vae.config.latent_channels
        side = diffusion.unet.config.sample_size
        self.latent_shape = self.channels, side, side
        self.timesteps = diffusion.scheduler.config.num_train_timesteps

    def decode_image(self, record: Record, rng: np.random.Generator | None = None) -> np.ndarray:
        if self.config.latents:
            return read_latents(record["latents"], self.channels)
        return decode_square(record["image"], self.config.size, rng, self.config.crop)

    def decode_for_training(self, record: Record) -> Record:
        rng = np.random.default_rng([self.config.train.seed, *record["__key__"]])
        image = self.decode_image(record, rng)
        caption = read_caption(record, rng)
        return {"images": image, "caption": "" if rng.random() < self.config.caption_dropout else caption}

    def decode_for_evaluation(self, record: Record) -> Record:
        """Add noise and timesteps that are the same at every evaluation."""
        rng = np.random.default_rng(list(record["__key__"]))
        steps = (np.arange(TIMESTEPS_PER_IMAGE) + rng.random(TIMESTEPS_PER_IMAGE)) * (self.timesteps / TIMESTEPS_PER_IMAGE)
        noise = rng.standard_normal((TIMESTEPS_PER_IMAGE, *self.latent_shape), np.float32)
        image, caption = self.decode_image(record), read_caption(record)
        return {"images": image, "caption": caption, "noise": noise, "timesteps": steps.astype(np.int64)}

    def collate(self, items: list[Record]) -> tuple[dict[str, torch.Tensor], float]:
        arrays = {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0] if name != "caption"}
        captions = [item["caption"] for item in items]
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        return arrays | {"input_ids": tokens["input_ids"]}, float(len(items))


def evaluate_denoising(loop: Loop, module: Denoising, reader: Reader, records: Records) -> dict[str, float]:
    """Return the mean squared error of the predicted noise, without weights, and that of predicting zero, which is about 1."""
    error, error_of_zero, number, skipped = 0.0, 0.0, 0, 0
    limit = loop.settings.evaluate_records
    for batch in loop.evaluation_batches(reader, limit, records.collate, records.decode_for_evaluation):
        inputs = {name: value.to(loop.device) for name, value in batch.inputs.items()}
        clean, text = module.latents(inputs["images"], drawn=False), module.diffusion.text(inputs["input_ids"])[0]
        for noise, timesteps in zip(inputs["noise"].unbind(1), inputs["timesteps"].unbind(1), strict=True):
            error += float(module.errors(clean, noise, timesteps, text).sum())
            error_of_zero += float(noise.square().mean((1, 2, 3)).sum())
            number += len(noise)
        skipped += batch.skipped
    total = loop.sum(number)
    if not total:
        raise InputError(f"of the first {limit:,} records of the validation shards no image can be used")
    return {
        "noise_loss": loop.sum(error) / total,
        "of_predicting_zero": loop.sum(error_of_zero) / total,
        "skipped": int(loop.sum(skipped)),
    }


@command("diffusion", "stable-diffusion", Config)
@click.option("--stage", type=click.IntRange(1, 2), required=True, help="1: a new text encoder alone. 2: it and the UNet.")
@click.option(
    "--from",
    "start_model",
    default="",
    metavar="MODEL",
    help="Stable Diffusion to begin with; stage 2 takes its text encoder, too.",
)
@click.option("--tokenizer", "tokenizer_dir", type=click.Path(path_type=Path), help="[default: CORPUS/tokenizer]")
@click.option(
    "--latents", "latents_dir", type=click.Path(path_type=Path), help="Folder of latents.  [default: in CORPUS, below .cache]"
)
def main(
    options: RunOptions[Config], stage: int, start_model: str, tokenizer_dir: Path | None, latents_dir: Path | None
) -> None:
    """Train a Stable Diffusion on CORPUS, a folder of image-text shards with a tokenizer."""
    config = options.config
    if latents_dir and not config.latents:
        raise UsageError("--latents says where latents are kept, but none are: add --set latents=true")
    Shards(options.corpus, "train", ["image", "caption"], BUILD_HINT)  # says what is missing before anything is loaded
    tokenizer = load_tokenizer(tokenizer_dir or options.corpus / "tokenizer", config.text.get("max_position_embeddings", 77))
    train(options, tokenizer, stage, start_model, latents_dir)


def train(options: RunOptions[Config], tokenizer: Any, stage: int, start_model: str, latents_dir: Path | None) -> None:
    config, settings, corpus = options.config, options.config.train, options.corpus
    seed_generators(settings.seed)
    source = start_model or config.pretrained
    notes = list[str]()  # told when the loop knows who talks
    vae = config.vae or config.pixels_per_latent
    diffusion = build_diffusion_model(source, vae, config.unet, config.size, corpus, notes.append)
    diffusion.tokenizer = tokenizer
    frozen = hash_weights(diffusion.vae, *([diffusion.unet] if stage == 1 else []))
    identity = {"stage": stage, "frozen_weights": frozen, "vocabulary": fingerprint(tokenizer.get_vocab())}
    loop = Loop(options, "images", identity)
    for note in notes:
        loop.warn(note)
    if stage == 1 and not source:
        loop.warn(
            "stage 1 trains a text encoder for a diffusion model that was never trained: name one with --from or pretrained"
        )
    if stage == 2 and not start_model and not options.resume:
        loop.warn("stage 2 begins with a new text encoder: name the model of stage 1 with --from")
    width = diffusion.unet.config.cross_attention_dim
    diffusion.text = build_text_encoder(config.text, tokenizer, start_model if stage == 2 else "", width, loop.warn)
    for component in (diffusion.vae, diffusion.unet, diffusion.text):
        component.to(loop.device)
    module = Denoising(diffusion, stage, config)
    average, records = WeightAverage(module, config.ema), Records(config, diffusion)
    columns, derived = ["image", "caption"], list[Path]()
    if config.latents:
        columns, derived = ["latents", "caption"], [build_latents(corpus, diffusion.vae, config.size, loop, latents_dir)]
    reader = Reader(Shards(corpus, "train", columns, BUILD_HINT, derived, CAPTIONS), settings.seed, settings.buffer)
    validation = loop.open_validation(corpus, columns, derived)

    def draw_samples(shards: Shards) -> dict[str, Any]:
        rows = np.arange(min(config.samples, shards.rows[0]))
        captions = [caption or "" for caption in shards.read([0]).take(rows)["caption"]]
        name = f"samples/step-{loop.step:09d}.png"
        with write_atomically(options.out / name) as temporary:
            diffusion.draw(captions, config.size, config.sample_steps, config.guidance).save(temporary, "PNG")
        return {"samples": name, "captions": captions}

    def evaluate() -> dict[str, Any]:
        if validation is None:
            return {}
        with average.swapped_in():
            metrics: dict[str, Any] = evaluate_denoising(loop, module, validation, records)
            if loop.rank == 0 and config.samples:
                metrics |= draw_samples(validation.shards)
        return metrics

    def export(folder: Path) -> None:
        with average.swapped_in():
            diffusion.to_pipeline().save_pretrained(folder)

    loop.fit(
        module, reader, records.collate, evaluate, export, decode=records.decode_for_training, after_step=average.step,
        stateful={"average": average}, amount_per_record=1, fixed_models=[diffusion.vae, diffusion.unet],
        next_command=["trainers.generate", options.out, "赤い丸", "--out", "drawn.png"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
