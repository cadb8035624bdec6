"""The parts of a Stable Diffusion: taken from a folder or made anew, averaged while they are trained, put together to make images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from pipeline.core.errors import UsageError
from trainers.data.reader import Shards
from trainers.models import latents
from trainers.training.settings import built, model_config, named

# Stable Diffusion's noise (Rombach et al. 2022).
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
SAMPLER = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}  # DDIM, as it goes with that


@dataclass
class Parts:
    """Of a StableDiffusionPipeline."""

    vae: Any
    unet: Any
    scheduler: Any  # for sampling
    text: Any = None
    tokenizer: Any = None

    def pipeline(self) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline(
            self.vae, self.text, self.tokenizer, self.unet, self.scheduler, None, None, requires_safety_checker=False
        )


def loaded(kind: Any, place: str, part: str, **more: Any) -> Any:
    """A part of the Stable Diffusion in `place`, in single precision. Raises UsageError."""
    named(place, "--from, pretrained")
    try:
        found = kind.from_pretrained(place, subfolder=part, **more)
        return found.float() if isinstance(found, nn.Module) else found
    except (OSError, ValueError, RuntimeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{place!r} has no {part} that can be loaded as a Stable Diffusion's: {why} Name a folder that has, "
            "with --from or --set pretrained=FOLDER."
        ) from None


def diffusion_model(source: str, vae: dict[str, Any], unet: dict[str, Any], size: int, corpus: Path, hint: str) -> Parts:
    """VAE, UNet and scheduler, for images of `size`: of the Stable Diffusion in `source`, or anew. Raises UsageError."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    if source:
        parts = Parts(
            loaded(AutoencoderKL, source, "vae", low_cpu_mem_usage=False, use_safetensors=True),
            loaded(UNet2DConditionModel, source, "unet", low_cpu_mem_usage=False, use_safetensors=True),
            loaded(DDIMScheduler, source, "scheduler", **SAMPLER),
        )
    elif not unet or not vae:
        raise UsageError(
            "the diffusion model is missing: name one with pretrained or with --from, or fill the tables unet and vae"
        )
    else:
        with built("unet, vae"):
            fresh = AutoencoderKL(**vae, sample_size=size), UNet2DConditionModel(**unet)
        parts = Parts(*fresh, DDIMScheduler(**NOISE, **SAMPLER))
    if parts.scheduler.config.prediction_type != "epsilon" or parts.unet.config.in_channels != parts.vae.config.latent_channels:
        raise UsageError(f"{source or 'unet'}: a Stable Diffusion is needed that predicts noise (epsilon), from latents alone")
    pixels = latents.factor(parts.vae)
    if size % pixels:
        raise UsageError(f"size: {size} is no multiple of {pixels}, the pixels of which the VAE makes one latent")
    parts.unet.register_to_config(sample_size=size // pixels)
    if not source:
        latents.fitted(parts.vae, Shards(corpus, "train", ["image"], hint), size)
    return parts


def text_encoder(table: dict[str, Any], tokenizer: Any, source: str, width: int) -> Any:
    """That of stage 1's folder, or a new one. Raises UsageError where it does not fit the table, the tokenizer or the UNet's width."""
    from transformers import AutoTokenizer, CLIPTextModel

    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    shape = model_config({"model_type": "clip_text_model"} | table, "text", vocab_size=len(tokenizer), **ids)
    if shape.model_type != "clip_text_model":
        raise UsageError(f"text.model_type: {shape.model_type}, but Stable Diffusion's is clip_text_model")
    if shape.hidden_size != width:
        raise UsageError(f"text.hidden_size: {shape.hidden_size}, but the UNet attends to {width} (its cross_attention_dim)")
    if not source:
        with built("text"):
            return CLIPTextModel(shape)
    if loaded(AutoTokenizer, source, "tokenizer").get_vocab() != tokenizer.get_vocab():
        raise UsageError(f"the text encoder in {source} has another tokenizer: name it with --tokenizer, or begin with stage 1")
    found = loaded(CLIPTextModel, source, "text_encoder")
    for key in table:
        if (has := getattr(found.config, key)) != (asked := getattr(shape, key)):
            raise UsageError(f"text.{key}: {asked!r}, but the text encoder in {source} has {has!r}")
    return found


def sampled(parts: Parts, captions: list[str], size: int, steps: int, guidance: float) -> Image.Image:
    """Images for captions, in rows; the same for the same weights."""
    pipeline = parts.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(number) for number in range(len(captions))]
    images = pipeline(captions, size, size, steps, guidance_scale=guidance, generator=generators).images
    columns = math.ceil(math.sqrt(len(images)))
    grid = Image.new("RGB", (columns * size, math.ceil(len(images) / columns) * size), "white")
    for number, image in enumerate(images):
        grid.paste(image, (number % columns * size, number // columns * size))
    return grid


class Average:
    """The exponential moving average of what is trained of a module."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        from diffusers.training_utils import EMAModel

        self.weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.ema = EMAModel(self.weights, decay, foreach=True)

    def step(self) -> None:
        self.ema.step(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return self.ema.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.ema.load_state_dict(state)
        self.ema.to(self.weights[0].device)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Of the weights, until the block ends."""
        self.ema.store(self.weights)
        self.ema.copy_to(self.weights)
        try:
            yield
        finally:
            self.ema.restore(self.weights)
