"""What a Stable Diffusion's VAE makes of images: at every step anew, or once for all in files beside the shards.

`CORPUS/latents/<size>-<VAE>/` has a file for every shard (`trainers.beside`) with the column `latents`: binary, the mean and the standard
deviation of the middle of the image, float16[2 * channels, height, width]; null where it could not be decoded. `latents.json` says of
which VAE, shards and size they are.
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
from trainers.data.derived_columns import all_splits, made, write
from trainers.data.images import decoded, floats
from trainers.data.reader import Reader, Shards, Skip, stream
from trainers.training.loop import Loop
from trainers.training.ranks import own_device

VERSION = 1  # of what is computed here
FIRST = 64  # images that an untrained VAE is scaled by
SILENT = -20.0  # logarithm of a variance that adds nothing to float16
SCHEMA = pa.schema([("latents", pa.binary())])
HALF = (0.5, 0.5, 0.5)  # a VAE sees values from -1 to 1


def encoded(vae: Any, images: torch.Tensor) -> torch.Tensor:
    """[n, 2 * channels, h, w]: mean and standard deviation of the latents of uint8[n, size, size, 3]."""
    with torch.no_grad():
        found = vae.encode(floats(images, HALF, HALF)).latent_dist
        return torch.cat([found.mean, found.std], 1).contiguous()  # so that noise is drawn in one order


def read(blob: memoryview | None, channels: int) -> np.ndarray:
    """float16[2 * channels, h, w] of a stored record. Raises Skip where the image could not be decoded."""
    if blob is None:
        raise Skip("its image could not be decoded")
    values = np.frombuffer(blob, np.float16)
    side = round((len(values) / (2 * channels)) ** 0.5)
    return values.reshape(2 * channels, side, side)


def factor(vae: Any) -> int:
    """Pixels to a latent, along one side."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def weights_sha256(*modules: nn.Module) -> str:
    """Of the names and values of all their weights."""
    found = hashlib.sha256()
    for module in modules:
        for name, value in module.state_dict().items():
            found.update(name.encode())
            found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def fitted(vae: Any, shards: Shards, size: int) -> Any:
    """An untrained VAE whose latents, without noise, have unit variance over the first images of `shards`.

    As it comes its latents are noise all but for a little, and there would be nothing to learn.
    """
    last, channels = vae.quant_conv if vae.quant_conv is not None else vae.encoder.conv_out, vae.config.latent_channels
    with torch.no_grad():
        last.weight[channels:] = 0
        last.bias[channels:] = SILENT
    reader = Reader(shards, None)
    batches = stream(
        reader, reader.once(0, 1, FIRST), 16, lambda items: ({"images": torch.from_numpy(np.stack(items))}, 0.0),
        lambda record: decoded(record["image"], size),
    )  # fmt: skip
    vae.to(device := own_device())
    means = [encoded(vae, batch.inputs["images"].to(device))[:, :channels] for batch in batches]
    if not means:
        raise UsageError(f"none of the first {FIRST} images of the {shards.split} shards can be decoded: build the corpus anew")
    vae.register_to_config(scaling_factor=1 / float(torch.cat(means).std()))
    return vae


def cache(
    corpus: Path, vae: Any, size: int, batch: int, threads: int, run: Loop, hint: str, folder: Path | None = None
) -> Path:
    """The folder of latents that fit the corpus, the VAE (on the run's device) and the size; what is missing is made.

    With `folder`, that one; raises UsageError where it holds others.
    """

    def finish(pictures: list[np.ndarray]) -> list[bytes]:
        moments = encoded(vae, torch.from_numpy(np.stack(pictures)).to(run.device))
        return [one.half().cpu().numpy().tobytes() for one in moments]

    def make(path: Path, shards: Shards) -> None:
        write(path, shards, SCHEMA, lambda record: decoded(record["image"], size), finish, batch, threads)

    sha256 = weights_sha256(vae)
    told = {"version": VERSION, "vae_sha256": sha256, "size": size, "crop": "centre", "channels": vae.config.latent_channels}
    place = folder or corpus / "latents" / f"{size}-{sha256[:8]}"
    splits = all_splits(corpus, ["image"], hint)
    made("latents", place, folder is not None, told, splits, dict, make, lambda text: run.console.print(text, highlight=False))
    return place
