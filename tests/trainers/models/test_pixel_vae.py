"""The VAE whose latents are colours of pixels: what it encodes and decodes, within the error of single precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from trainers.models.pixel_vae import build_pixel_vae


@pytest.mark.parametrize("pixels", [1, 2, 4])
def test_latents_are_mean_colours(pixels: int, tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    build_pixel_vae(pixels).save_pretrained(tmp_path)
    vae = AutoencoderKL.from_pretrained(tmp_path)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mean
        decoded = vae.decode(latents).sample
        flat = vae.decode(torch.full((1, 3, 6, 6), 0.5)).sample
    assert torch.allclose(latents, F.avg_pool2d(images, pixels), atol=2e-4)
    doubled = latents
    for _ in range(pixels.bit_length() - 1):
        doubled = F.interpolate(doubled, scale_factor=2, mode="bilinear")
    edge = 2 * pixels  # beyond the image there is the value 0
    inner = (..., slice(edge, -edge), slice(edge, -edge)) if pixels > 1 else ...
    assert torch.allclose(decoded[inner], doubled[inner], atol=2e-4)
    assert torch.allclose(flat[inner], torch.tensor(0.5), atol=2e-4)
