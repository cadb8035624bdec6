"""Images like photos made by numpy and Pillow, files of them, and what `inspect` says about them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from filters import compute
from filters.image.fingerprint import CONTENT
from filters.image.inspection import inspect
from filters.inspected import Inspected

IMAGE_MEASURES = (
    "width height shorter_side longer_side aspect_ratio content_share colours entropy contrast blank_share animated image_bytes "
    "image_format phash"
).split()


def make_photo(width: int, height: int, seed: int = 0, noise: int = 12) -> Image.Image:
    """Something like a photo: smooth shapes in many colours, with noise."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray(np.clip(smooth + rng.integers(-noise, noise + 1, smooth.shape), 0, 255).astype(np.uint8))


def encode_image(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def measure_images(found: Inspected) -> pl.DataFrame:
    n = len(found.problems)
    return compute(np.zeros(0, np.uint8), np.zeros(n + 1, np.int64), IMAGE_MEASURES, found.counters)


def measure_image(blob: bytes, **options: Any) -> dict[str, Any]:
    found = inspect([blob], **options)
    assert found.problems == [None]
    return measure_images(found).row(0, named=True)


def find_problem(blob: bytes | None, **options: Any) -> str:
    found = inspect([blob], **options)
    assert found.problems[0] is not None
    row = measure_images(found).row(0, named=True)
    assert row["phash"] is None and row["image_format"] is None and row["width"] == 0 and found.flat[0]
    return found.problems[0]


def hash_image(blob: bytes) -> int:
    return int(inspect([blob]).hashes[0, CONTENT])


def count_hash_distance(a: bytes, b: bytes) -> int:
    return (hash_image(a) ^ hash_image(b)).bit_count()
