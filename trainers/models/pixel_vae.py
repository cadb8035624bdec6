"""A VAE that need not be trained: its latents are the colours of the image, averaged over squares of pixels.

A small Stable Diffusion from scratch has no trained VAE, and a random one shows noise whatever is drawn. This one is an AutoencoderKL
as diffusers loads it, whose weights are set by hand. Averaging is a convolution, and so is the linear interpolation that decodes. What
stands between them in the architecture is made to do nothing:

- The second convolution of every residual block is zero, so that the block is the identity.
- Every value x travels as the two channels x and -x. SiLU(x) - SiLU(-x) = x, so the convolution behind the last activation takes the
  difference.
- Two more channels are +CARRIER and -CARRIER. The mean over all channels is then 0, and their variance that of the carrier, within
  1 in 1,000; the weight of the normalisation multiplies by what it divides by.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

COLOURS = 3
CHANNELS = 2 * COLOURS + 2  # each colour and its negative, and the carrier
CARRIER = 100.0  # colours are within ±3


def build_pixel_vae(pixels_per_latent: int) -> Any:
    """Return an AutoencoderKL whose latents, of 3 channels, are the mean colours of squares with a side of 1, 2, 4, … pixels."""
    from diffusers import AutoencoderKL  # late: heavy

    blocks = pixels_per_latent.bit_length()
    vae = AutoencoderKL(
        block_out_channels=[CHANNELS] * blocks, down_block_types=["DownEncoderBlock2D"] * blocks,
        up_block_types=["UpDecoderBlock2D"] * blocks, latent_channels=COLOURS, norm_num_groups=1, mid_block_add_attention=False,
    )  # fmt: skip
    with torch.no_grad():
        for weight in vae.parameters():  # so that residual blocks add nothing
            weight.zero_()
        for coder in (vae.encoder, vae.decoder):
            _spread(coder.conv_in)
            coder.conv_norm_out.weight.fill_(CARRIER / (CHANNELS / 2) ** 0.5)  # the deviation of all channels
            _gather(coder.conv_out)
        _be_identity(vae.quant_conv, COLOURS)
        _be_identity(vae.post_quant_conv, COLOURS)
        for module in vae.modules():
            if type(module).__name__ == "Downsample2D":
                _keep_carrier(module.conv, torch.tensor([0.5, 0.5, 0.0]))  # padded on the right and below
            elif type(module).__name__ == "Upsample2D":
                _keep_carrier(module.conv, torch.tensor([0.25, 0.5, 0.25]))  # of pixels that were doubled: linear interpolation
    return vae


def _spread(convolution: nn.Conv2d) -> None:
    """Make each colour two channels, x and -x, and add the carrier."""
    for colour in range(COLOURS):
        convolution.weight[2 * colour, colour, 1, 1] = 1
        convolution.weight[2 * colour + 1, colour, 1, 1] = -1
    _set_carrier(convolution)


def _gather(convolution: nn.Conv2d) -> None:
    """Make colours of the differences of channels."""
    for colour in range(COLOURS):
        convolution.weight[colour, 2 * colour, 1, 1] = 1
        convolution.weight[colour, 2 * colour + 1, 1, 1] = -1


def _keep_carrier(convolution: nn.Conv2d, line: torch.Tensor) -> None:
    """Filter the channels of colours, along both axes, and set the carrier anew, which the edges would take from."""
    for channel in range(2 * COLOURS):
        convolution.weight[channel, channel] = line[:, None] * line
    _set_carrier(convolution)


def _set_carrier(convolution: nn.Conv2d) -> None:
    convolution.get_parameter("bias")[-2:] = torch.tensor([CARRIER, -CARRIER])


def _be_identity(convolution: nn.Conv2d, channels: int) -> None:
    for channel in range(channels):
        convolution.weight[channel, channel, 0, 0] = 1
