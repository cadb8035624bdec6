"""Images as arrays: the pixels that transformers' processor makes, whatever the file is like, or Skip."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from tests.support.profiles import DISPLAY_P3, make_rgb_profile
from trainers.data.batches import Skip
from trainers.data.images import decode_square, normalise_pixels

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture with structure at every scale."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((width, height), 2)) for n in (2, 8, 40)
    ]
    return np.mean(layers, axis=0).astype(np.uint8)


def encoded(pixels: np.ndarray | Image.Image, format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize(("height", "width"), [(48, 48), (90, 67), (51, 130), (40, 30), (33, 1000)])
def test_without_chance_the_pixels_are_those_of_the_processor_that_is_saved(height: int, width: int) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}, resample=2, image_mean=MEAN, image_std=STD
    )
    pixels = noise(height, width)
    expected = torch.as_tensor(processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"])
    found = normalise_pixels(decode_square(encoded(pixels), 48)[None], MEAN, STD)
    assert found.dtype == torch.float32 and found.shape == (1, 3, 48, 48)
    level = 1 / 255 / min(STD)  # boxes with fractions of pixels are rounded in other places
    assert torch.allclose(found, expected, atol=1.01 * level)


def test_a_large_jpeg_that_is_decoded_at_a_fraction_looks_as_if_it_were_not() -> None:
    pixels = noise(900, 1400)
    whole = np.asarray(Image.open(io.BytesIO(encoded(pixels, "JPEG", quality=95))).resize((112 * 1400 // 900, 112), 2)).astype(
        int
    )
    found = decode_square(encoded(pixels, "JPEG", quality=95), 112).astype(int)
    left = (whole.shape[1] - 112) // 2
    assert np.abs(found - whole[:, left : left + 112]).mean() < 1.0


def test_a_random_square_lies_anywhere_and_has_the_area_that_was_asked_for() -> None:
    height, width = 60, 100
    ramp = np.stack([np.tile(np.arange(width), (height, 1)), np.tile(np.arange(height)[:, None], (1, width))], 2).astype(
        np.uint8
    )
    blob = encoded(np.concatenate([ramp, ramp[:, :, :1]], 2))
    spans, lefts = [], []
    for seed in range(200):
        found = decode_square(blob, 32, np.random.default_rng(seed), (0.25, 0.64)).astype(float)
        across, down = (found[16, 24, 0] - found[16, 8, 0]) * 2, (found[24, 16, 1] - found[8, 16, 1]) * 2
        assert abs(across - down) <= 4
        spans.append(across)
        lefts.append(found[16, 0, 0])
        assert (decode_square(blob, 32, np.random.default_rng(seed), (0.25, 0.64)) == found).all()
    shares = (np.array(spans) / height) ** 2
    assert 0.2 < shares.min() < 0.32 and 0.57 < shares.max() < 0.72 and abs(shares.mean() - 0.445) < 0.03
    assert min(lefts) < 6 and max(lefts) > 50
    whole = [decode_square(blob, 60, np.random.default_rng(seed)) for seed in range(3)]
    assert all((w[:, 0, 1] == np.arange(60)).all() for w in whole)  # by default all of the shorter side


def test_what_files_may_be_like() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = (250, 0, 0)
    upright = decode_square(encoded(pixels), 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(np.ascontiguousarray(np.rot90(pixels)), "JPEG", quality=100, subsampling=0, exif=exif)
    assert np.abs(decode_square(turned, 40).astype(int) - upright).max() < 12
    clear = np.zeros((20, 20, 4), np.uint8)
    clear[:10] = (0, 0, 255, 255)
    found = decode_square(encoded(clear), 20)
    assert (found[:10] == (0, 0, 255)).all() and (found[10:] == 255).all()
    assert (decode_square(encoded(np.full((9, 7), 77, np.uint8)), 16) == 77).all()
    assert decode_square(encoded(Image.new("CMYK", (30, 30)), "JPEG"), 8).min() > 250
    assert (decode_square(memoryview(encoded(pixels)), 40) == upright).all()


def test_what_cannot_be_decoded_is_skipped() -> None:
    whole = encoded(noise(200, 200), "JPEG")
    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    for blob in (None, b"", b"text", whole[: len(whole) // 2], encoded(noise(99, 99))[:2000], bomb + encoded(noise(9, 9))[33:]):
        with pytest.raises(Skip):
            decode_square(blob, 32)
    with pytest.raises(Skip, match="400,000,000 pixels"):
        decode_square(bomb + encoded(noise(9, 9))[33:], 32)


def test_floats_are_the_same_from_arrays_and_tensors() -> None:
    pixels = noise(8, 8)[None].repeat(2, 0)
    one, other = normalise_pixels(pixels, MEAN, STD), normalise_pixels(torch.from_numpy(pixels), MEAN, STD)
    assert torch.equal(one, other) and one.is_contiguous()
    assert one[1, 2, 3, 4].item() == pytest.approx((pixels[1, 3, 4, 2] / 255 - MEAN[2]) / STD[2], abs=1e-6)


def test_colours_are_those_of_the_profile_that_the_file_embeds() -> None:
    profile, square = make_rgb_profile(DISPLAY_P3), noise(64, 64)
    target = ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(Image.fromarray(square), io.BytesIO(profile), target, outputMode="RGB")
    found = decode_square(encoded(square, icc_profile=profile), 64).astype(int)
    assert np.abs(found - np.asarray(expected, int)).max() == 0
    assert np.abs(found - square).mean() > 1
