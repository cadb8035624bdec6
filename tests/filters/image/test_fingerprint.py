"""The perceptual hash: the usual one, changed little by edits and much by another image."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from filters.image.fingerprint import LOW_FREQUENCIES
from tests.support.photos import (
    count_hash_distance,
    encode_image,
    hash_image,
    make_photo,
)


def test_the_hash_is_the_usual_one():
    """DCT-II of 32 × 32, the 8 × 8 lowest frequencies against their median, row by row, the first in the highest bit."""
    grey = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(np.uint8)
    at = np.arange(32)
    dct = np.cos(np.pi * np.outer(at[:8], 2 * at + 1) / 64)
    low = dct @ grey.astype(float) @ dct.T
    expected = sum(1 << (63 - k) for k, value in enumerate(low.ravel()) if value > np.median(low))
    assert hash_image(encode_image(Image.fromarray(grey), "PNG")) == expected


def test_lines_are_resized_as_pillow_does():
    at = np.arange(32)
    dct = np.cos(np.pi * np.outer(at[:8], 2 * at + 1) / 64)
    for n in (1, 5, 24, 31, 32, 33, 50, 64):
        line = np.random.default_rng(n).random((1, n)).astype(np.float32)
        resized = np.asarray(Image.fromarray(line).resize((32, 1), Image.Resampling.BILINEAR))[0]
        assert LOW_FREQUENCIES[n, :n].T @ line[0] == pytest.approx(dct @ resized, abs=1e-4)


def test_edits_change_few_bits_and_other_images_many():
    others = [hash_image(encode_image(make_photo(300, 200, seed))) for seed in range(100, 120)]
    for seed in range(20):
        image = make_photo(300, 200, seed)
        blob = encode_image(image, quality=95)
        assert count_hash_distance(blob, encode_image(image, quality=40)) <= 4
        assert count_hash_distance(blob, encode_image(image.resize((150, 100)))) <= 4
        assert count_hash_distance(blob, encode_image(image.resize((1200, 800)), quality=90)) <= 4
        assert count_hash_distance(blob, encode_image(image.point(lambda v: min(255, int(v * 1.1))))) <= 8
        assert min((hash_image(blob) ^ other).bit_count() for other in others) > 12
        assert count_hash_distance(blob, encode_image(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > 12
