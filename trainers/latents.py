"""What a Stable Diffusion's VAE makes of images: at every step anew, or once for all in files beside the shards.

`CORPUS/latents/<size>-<VAE>/` has a file for every shard, with the same rows in the same row groups (`latents`: binary, the mean and the
standard deviation of the middle of the image, float16[2 * channels, height, width]; null where it could not be decoded), and
`latents.json`, which says of which VAE, shards and size they are. Under torchrun the ranks share the shards. What was stopped goes on
with the next shard.
"""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from pipeline.errors import UsageError
from pipeline.files import alone, atomic, read_json, remove_temporaries, write_json
from trainers.data import Reader, Shards, Skip, stream
from trainers.images import decoded, floats
from trainers.loop import Loop
from trainers.ranks import own_device, wait

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
    below = corpus / "data" if (corpus / "data").is_dir() else corpus
    splits = sorted({path.name.split("-")[0] for path in below.glob("*-*-of-*.parquet")}) or ["train"]
    shards = [Shards(corpus, split, ["image"], hint) for split in splits]
    sha256 = weights_sha256(vae)
    told = {"version": VERSION, "vae_sha256": sha256, "size": size, "crop": "centre", "channels": vae.config.latent_channels}
    told |= {"shards": {split.split: split.fingerprint for split in shards}}
    place = folder or corpus / "latents" / f"{size}-{sha256[:8]}"
    known = read_json(place / "latents.json")
    if run.rank == 0 and folder is not None and folder.exists() and any(folder.iterdir()) and known != told:
        raise UsageError(
            f"{folder} holds no latents of this corpus, VAE and size: leave --latents out, or name a new or empty folder"
        )
    files = sorted({paths[0].name: split for split in shards for paths, *_ in split.files}.items())
    with alone(place) if run.rank == 0 else nullcontext():
        if run.rank == 0 and known != told:
            shutil.rmtree(place, ignore_errors=True)  # of other shards
            write_json(place / "latents.json", told)
        if run.rank == 0 and run.ranks == 1:
            remove_temporaries(place)
        wait(lambda: read_json(place / "latents.json") == told)
        for number, (name, split) in enumerate(files):
            if number % run.ranks == run.rank and not (place / name).exists():
                _write(place / name, vae, size, batch, threads, split, run.device)
                run.console.print(f"latents of shard {number + 1:,} of {len(files):,}", highlight=False)
        wait(lambda: all((place / name).exists() for name, _ in files))
    return place


def _write(path: Path, vae: Any, size: int, batch: int, threads: int, shards: Shards, device: torch.device) -> None:
    """The latents of the shard that has the same name."""

    def begun(image: memoryview | None) -> np.ndarray | None:
        try:
            return decoded(image, size)
        except Skip:
            return None

    with atomic(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        with ThreadPoolExecutor(threads) as workers:
            for number, (paths, _, rows) in enumerate(shards.files):
                if paths[0].name != path.name:
                    continue
                images, blobs = shards.read([number]).take(np.arange(rows))["image"], list[bytes | None]()
                for first in range(0, rows, batch):
                    pictures = list(workers.map(begun, images[first : first + batch]))
                    there = [picture for picture in pictures if picture is not None]
                    moments: Any = encoded(vae, torch.from_numpy(np.stack(there)).to(device)) if there else []
                    made = iter(moments)
                    for picture in pictures:
                        blobs.append(None if picture is None else next(made).half().cpu().numpy().tobytes())
                writer.write_table(pa.table([pa.array(blobs, pa.binary())], schema=SCHEMA), row_group_size=max(1, rows))
