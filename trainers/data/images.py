"""Images of shards as arrays of one size: decoded, cropped and resized, without torchvision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from filters.image.decoding import Blob, Unreadable, open_upright
from trainers.data.batches import Record, Skip

BUILD_HINT = "build image-text shards with python -m pipeline.build laion-ja, cc12m-ja or image-text-ja"
# A JPEG is decoded to, and anything else averaged to, at least so many times the final size; then the bilinear filter takes over.
GAP = 2.0


CAPTIONS = ["captions"]  # columns that older shards may lack


def read_caption(record: Record, rng: np.random.Generator | None = None) -> str:
    """Return a caption of a record: with `rng` one drawn from all, without it the first. Raises Skip if there is none.

    `caption` is the one that came with the image; `captions` are those of all its duplicates, this one among them.
    """
    first, others = record["caption"], record.get("captions")
    captions = list(dict.fromkeys(caption for caption in (first, *(() if others is None else others)) if caption))
    if not captions:
        raise Skip("no caption")
    return captions[int(rng.integers(len(captions)))] if rng else captions[0]


def decode_square(
    blob: Blob | None, size: int, rng: np.random.Generator | None = None, area: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Return a square of the image as uint8[size, size, 3] in RGB, by the bilinear filter with antialiasing.

    Without `rng` it is the centre, after the shorter side was brought to `size`: the pixels that CLIPImageProcessor makes, give
    or take a few levels. With `rng` the square lies anywhere, and its area is a share of the largest square's, drawn uniformly
    from `area`. The image is turned upright, and white where it is transparent. Raises Skip if it cannot be decoded, or has more
    pixels than `filters.image.decoding.MAX_PIXELS`.
    """
    share = 1.0 if rng is None else math.sqrt(rng.uniform(*area))
    try:
        picture = open_upright(blob, math.ceil(GAP * size / share))
    except Unreadable as problem:
        raise Skip(str(problem)) from None
    box = _centre_square(*picture.size, size) if rng is None else _random_square(*picture.size, share, rng)
    if (factor := int((box[2] - box[0]) / size / GAP)) > 1:
        picture, box = picture.reduce(factor), (box[0] / factor, box[1] / factor, box[2] / factor, box[3] / factor)
    return np.array(picture.resize((size, size), Image.Resampling.BILINEAR, box))


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _centre_square(width: int, height: int, size: int) -> Box:
    """Cut off whole pixels of the image at its final size, as CLIPImageProcessor does."""
    columns, rows = size * width // min(width, height), size * height // min(width, height)
    left, top = (columns - size) // 2 * width / columns, (rows - size) // 2 * height / rows
    return left, top, left + size * width / columns, top + size * height / rows


def _random_square(width: int, height: int, share: float, rng: np.random.Generator) -> Box:
    """Draw the position of a square whose side is `share` of the shorter side."""
    side = share * min(width, height)
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    return left, top, min(left + side, width), min(top + side, height)


def normalise_pixels(batch: np.ndarray | torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Return float32[n, 3, h, w] of uint8[n, h, w, 3], on its device: from 0 to 1, less the mean, by the deviation of each channel."""
    pixels = torch.as_tensor(batch).permute(0, 3, 1, 2).float() / 255
    means, deviations = (torch.tensor(list(values), device=pixels.device).view(3, 1, 1) for values in (mean, std))
    return ((pixels - means) / deviations).contiguous()
