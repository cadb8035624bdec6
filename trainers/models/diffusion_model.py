"""The components of a Stable Diffusion: loaded or new, averaged during training, put together to draw images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from pipeline.core.errors import UsageError
from trainers.data.images import BUILD_HINT
from trainers.data.shards import Shards
from trainers.models.configuration import check_model_path, explain_model_errors, model_config, special_token_ids
from trainers.models.latents import pixels_per_latent, scale_untrained_vae
from trainers.models.pixel_vae import build_pixel_vae
from trainers.models.pretrained import Tell, check_report, load_with_report

# Stable Diffusion's noise (Rombach et al. 2022), and the settings of DDIM that go with it.
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
SAMPLER = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
# What makes a UNet of diffusers ask for more than latents, a timestep and a caption.
FURTHER_CONDITIONS = ("addition_embed_type", "class_embed_type", "num_class_embeds", "encoder_hid_dim_type")


@dataclass
class DiffusionModel:
    """The components of a StableDiffusionPipeline."""

    vae: Any
    unet: Any
    scheduler: Any  # for sampling
    text: Any = None  # the text encoder
    tokenizer: Any = None

    def to_pipeline(self) -> Any:
        from diffusers import StableDiffusionPipeline  # late: heavy

        return StableDiffusionPipeline(
            self.vae, self.text, self.tokenizer, self.unet, self.scheduler, None, None, requires_safety_checker=False
        )

    def draw(self, captions: list[str], size: int, steps: int, guidance: float) -> Image.Image:
        """Draw images for captions, in a grid. The same weights draw the same images."""
        pipeline = self.to_pipeline()
        pipeline.set_progress_bar_config(disable=True)
        generators = [torch.Generator().manual_seed(number) for number in range(len(captions))]
        return join_images(pipeline(captions, size, size, steps, guidance_scale=guidance, generator=generators).images)


def join_images(images: list[Image.Image]) -> Image.Image:
    """Return images of one size side by side, in rows that make about a square."""
    columns, (width, height) = math.ceil(math.sqrt(len(images))), images[0].size
    grid = Image.new("RGB", (columns * width, math.ceil(len(images) / columns) * height), "white")
    for number, image in enumerate(images):
        grid.paste(image, (number % columns * width, number // columns * height))
    return grid


def build_diffusion_model(
    source: str, vae: dict[str, Any] | int, unet: dict[str, Any], size: int, corpus: Path, tell: Tell
) -> DiffusionModel:
    """Return VAE, UNet and scheduler for images of `size`: those of the Stable Diffusion in `source`, or new ones.

    `vae` are settings of a random AutoencoderKL, or the pixels per latent of `build_pixel_vae`. Tells of weights that are missing or
    not used. Raises UsageError.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # late: heavy

    if source:
        model = DiffusionModel(
            _load_weights(AutoencoderKL, source, "vae", tell, low_cpu_mem_usage=False, use_safetensors=True),
            _load_weights(UNet2DConditionModel, source, "unet", tell, low_cpu_mem_usage=False, use_safetensors=True),
            _load_component(DDIMScheduler.from_pretrained, source, "scheduler", **SAMPLER),
        )
    elif not unet:
        raise UsageError("the diffusion model is missing: name one with pretrained or with --from, or fill the table unet")
    else:
        with explain_model_errors("unet, vae"):
            new_vae = build_pixel_vae(vae) if isinstance(vae, int) else AutoencoderKL(**vae, sample_size=size)
            new_unet = UNet2DConditionModel(**unet)
        model = DiffusionModel(new_vae, new_unet, DDIMScheduler(**NOISE, **SAMPLER))
    if model.scheduler.config.prediction_type != "epsilon" or model.unet.config.in_channels != model.vae.config.latent_channels:
        raise UsageError(f"{source or 'unet'}: a Stable Diffusion is needed that predicts noise (epsilon), from latents alone")
    if further := [key for key in FURTHER_CONDITIONS if model.unet.config.get(key)]:
        raise UsageError(
            f"{source or 'unet'}: its UNet expects more than a caption ({further[0]}), as Stable Diffusion XL's does"
        )
    pixels = pixels_per_latent(model.vae)
    if size % pixels:
        raise UsageError(f"size: {size} is no multiple of {pixels}, the pixels of which the VAE makes one latent")
    model.unet.register_to_config(sample_size=size // pixels)
    if not source:
        scale_untrained_vae(model.vae, Shards(corpus, "train", ["image"], BUILD_HINT), size, centre=isinstance(vae, int))
    return model


def build_text_encoder(table: dict[str, Any], tokenizer: Any, source: str, width: int, tell: Tell) -> Any:
    """Return the text encoder in `source`, or a new one. Raises UsageError unless it fits the table, the tokenizer and the UNet's width."""
    from transformers import AutoTokenizer, CLIPTextModel  # late: heavy

    table_with_type = {"model_type": "clip_text_model"} | table
    config = model_config(table_with_type, "text", vocab_size=len(tokenizer), **special_token_ids(tokenizer))
    if config.model_type != "clip_text_model":
        raise UsageError(f"text.model_type: {config.model_type}, but Stable Diffusion's is clip_text_model")
    if config.hidden_size != width:
        raise UsageError(f"text.hidden_size: {config.hidden_size}, but the UNet attends to {width} (its cross_attention_dim)")
    if not source:
        with explain_model_errors("text"):
            return CLIPTextModel(config)
    if (
        _load_component(AutoTokenizer.from_pretrained, source, "tokenizer", trust_remote_code=False).get_vocab()
        != tokenizer.get_vocab()
    ):
        raise UsageError(f"the text encoder in {source} has another tokenizer: name it with --tokenizer, or begin with stage 1")
    encoder = _load_weights(CLIPTextModel, source, "text_encoder", tell)
    for key in table:
        if (loaded := getattr(encoder.config, key)) != (wanted := getattr(config, key)):
            raise UsageError(f"text.{key}: {wanted!r}, but the text encoder in {source} has {loaded!r}")
    return encoder


def _load_weights(component_class: Any, path: str, name: str, tell: Tell, **options: Any) -> Any:
    """Load a network of a Stable Diffusion in single precision. Tells of weights that are not used. Raises UsageError."""

    def load(place: str, **more: Any) -> Any:
        return load_with_report(component_class, place, **more)

    component, report = _load_component(load, path, name, **options)
    check_report(report, f"the {name} of {path}", "--from, pretrained", tell, lambda _: True)
    return component.float()


def _load_component(load: Callable[..., Any], path: str, name: str, **options: Any) -> Any:
    """Load one component of a Stable Diffusion by `load`, a `from_pretrained`. Raises UsageError."""
    check_model_path(path, "--from, pretrained")
    try:
        return load(path, subfolder=name, **options)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{path!r} has no {name} that can be loaded as a Stable Diffusion's: {reason} Name a folder that has, "
            "with --from or --set pretrained=FOLDER."
        ) from None


class WeightAverage:
    """The exponential moving average of a module's trained weights."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        from diffusers.training_utils import EMAModel  # late: heavy

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
    def swapped_in(self) -> Iterator[None]:
        """Give the module its average weights until the block ends."""
        self.ema.store(self.weights)
        self.ema.copy_to(self.weights)
        try:
            yield
        finally:
            self.ema.restore(self.weights)
