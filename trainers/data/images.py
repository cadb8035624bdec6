"""Images of shards as arrays of one size: decoded, cropped and reduced in one pass, without torchvision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from filters.image.decoding import Blob, Unreadable, open_upright
from trainers.data.reader import Skip
from trainers.data.resize import resized

BUILD = "build image-text shards with python -m pipeline.build laion-ja, cc12m-ja or image-text-ja"
# A JPEG is decoded, and anything else averaged, to no less than so many times what is needed before the filter decides how it looks.
GAP = 2.0


def decoded(
    blob: Blob | None, size: int, rng: np.random.Generator | None = None, scale: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """uint8[size, size, 3], RGB: a square of the image, by the bilinear filter with antialiasing.

    Without `rng` it is the middle, after the shorter side was brought to `size`: the pixels that CLIPImageProcessor makes, give or take
    a few levels. With it the square lies anywhere, and its area is a share of the largest square's, drawn uniformly from `scale`. The image
    is turned upright, and white where it is transparent. Raises Skip where it cannot be decoded, or has more pixels than
    `filters.image.decoding.MAX_PIXELS`.
    """
    share = 1.0 if rng is None else math.sqrt(rng.uniform(*scale))
    try:
        picture = open_upright(blob, math.ceil(GAP * size / share))
    except Unreadable as problem:
        raise Skip(str(problem)) from None
    width, height = picture.size
    if rng is None:
        # Whole pixels of the image at its final size are cut off.
        columns, rows = size * width // min(width, height), size * height // min(width, height)
        left, top = (columns - size) // 2 * width / columns, (rows - size) // 2 * height / rows
        box = left, top, left + size * width / columns, top + size * height / rows
    else:
        side = share * min(width, height)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        box = left, top, min(left + side, width), min(top + side, height)
    if (factor := int((box[2] - box[0]) / size / GAP)) > 1:
        picture, box = picture.reduce(factor), (box[0] / factor, box[1] / factor, box[2] / factor, box[3] / factor)
    return resized(np.asarray(picture), box, size)


def floats(batch: np.ndarray | torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """float32[n, 3, h, w] of uint8[n, h, w, 3], where it is: values from 0 to 1, less the mean, by the deviation, of each channel."""
    pixels = torch.as_tensor(batch).permute(0, 3, 1, 2).float() / 255
    middle, spread = (torch.tensor(list(values), device=pixels.device).view(3, 1, 1) for values in (mean, std))
    return ((pixels - middle) / spread).contiguous()
