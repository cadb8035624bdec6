"""Latents of images by a Stable Diffusion's VAE: encoded at every step, or once for all as a derived column.

`latents/<size>-<VAE>/` has a file for every shard (`trainers.data.derived_columns`) with the column `latents`: binary, the mean
and the standard deviation of the centre of the image, float16[2 * channels, height, width]; null if the image cannot be decoded.
`latents.json` names the VAE, the shards and the size.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from pipeline.core.errors import UsageError
from trainers.data.batches import Record, Skip, stream
from trainers.data.derived_columns import DerivedColumns, derived_folder, write_derived_column
from trainers.data.images import BUILD_HINT, decode_square, normalise_pixels
from trainers.data.reader import Reader
from trainers.data.shards import Shards, open_all_splits
from trainers.training.loop import Loop
from trainers.training.ranks import own_device

VERSION = 2  # of what is computed here
FIRST_IMAGES = 64  # by which an untrained VAE is scaled
NO_NOISE = -20.0  # logarithm of a variance that adds nothing to float16
SCHEMA = pa.schema([("latents", pa.binary())])
HALF = (0.5, 0.5, 0.5)  # a VAE sees values from -1 to 1


def encode_images(vae: Any, images: torch.Tensor) -> torch.Tensor:
    """Return [n, 2 * channels, h, w]: mean and standard deviation of the latents of uint8[n, size, size, 3]."""
    with torch.no_grad():
        distribution = vae.encode(normalise_pixels(images, HALF, HALF)).latent_dist
        return torch.cat([distribution.mean, distribution.std], 1).contiguous()  # so that noise is drawn in one order


def read_latents(blob: memoryview | None, channels: int) -> np.ndarray:
    """Return float16[2 * channels, h, w] of a stored record. Raises Skip if the image could not be decoded."""
    if blob is None:
        raise Skip("its image could not be decoded")
    values = np.frombuffer(blob, np.float16)
    side = round((len(values) / (2 * channels)) ** 0.5)
    return values.reshape(2 * channels, side, side)


def pixels_per_latent(vae: Any) -> int:
    """Return how many pixels make one latent, along one side."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def hash_weights(*modules: nn.Module) -> str:
    """Return the SHA-256 of the names and values of all weights."""
    digest = hashlib.sha256()
    for module in modules:
        for name, value in module.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def scale_untrained_vae(vae: Any, shards: Shards, size: int, centre: bool = False) -> None:
    """Give the latents of an untrained VAE unit variance over the first images of `shards`, and no noise.

    Otherwise they would be almost all noise, and there would be nothing to learn. `centre`: give them the mean 0, too, which a VAE can
    take back whose `quant_conv` and `post_quant_conv` are the identity.
    """
    last_layer = vae.quant_conv if vae.quant_conv is not None else vae.encoder.conv_out
    channels = vae.config.latent_channels
    with torch.no_grad():
        last_layer.weight[channels:] = 0
        last_layer.bias[channels:] = NO_NOISE

    def decode(record: Record) -> np.ndarray:
        return decode_square(record["image"], size)

    def collate(pictures: list[np.ndarray]) -> tuple[dict[str, Any], float]:
        return {"images": torch.from_numpy(np.stack(pictures))}, float(len(pictures))

    reader = Reader(shards, None)
    vae.to(device := own_device())
    batches = stream(reader, reader.one_pass(0, 1, FIRST_IMAGES), 16, collate, decode)
    means = [encode_images(vae, batch.inputs["images"].to(device))[:, :channels] for batch in batches]
    if not means:
        raise UsageError(
            f"none of the first {FIRST_IMAGES} images of the {shards.split} shards can be decoded: build the corpus anew"
        )
    found = torch.cat(means)
    if centre:
        mean = (found.mean((0, 2, 3)) * 1024).round() / 1024  # the same weights on any number of threads
        found = found - mean[:, None, None]
        with torch.no_grad():
            vae.quant_conv.bias[:channels], vae.post_quant_conv.bias[:] = -mean, mean
    vae.register_to_config(scaling_factor=1 / float(found.std()))


def build_latents(corpus: Path, vae: Any, size: int, loop: Loop, folder: Path | None = None) -> Path:
    """Return the folder with the latents of the corpus, after making what is missing. The VAE is on the loop's device.

    `folder` is where the user wants them; raises UsageError if it holds others.
    """

    def decode(record: Record) -> np.ndarray:
        return decode_square(record["image"], size)

    def encode(pictures: list[np.ndarray]) -> list[bytes]:
        moments = encode_images(vae, torch.from_numpy(np.stack(pictures)).to(loop.device))
        return [one.half().cpu().numpy().tobytes() for one in moments]

    def write(path: Path, shards: Shards) -> None:
        write_derived_column(path, shards, SCHEMA, decode, encode, loop.settings.batch, loop.settings.threads)

    sha256, channels = hash_weights(vae), vae.config.latent_channels
    settings = {"version": VERSION, "vae_sha256": sha256, "size": size, "crop": "centre", "channels": channels}
    latents_folder = folder or derived_folder(corpus, "latents", f"{size}-{sha256[:8]}")
    splits = open_all_splits(corpus, ["image"], BUILD_HINT)
    columns = DerivedColumns("latents", latents_folder, folder is not None, settings, splits, loop.rank, loop.ranks)
    columns.build(dict, write, lambda text: loop.console.print(text, highlight=False))
    return latents_folder
