"""Every measure of images, on images made by Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from filters import MEASURES, compute
from filters.image.fingerprint import DESCRIPTOR_BYTES
from filters.image.inspection import inspect
from tests.support.photos import (
    IMAGE_MEASURES,
    encode_image,
    make_photo,
    measure_image,
    measure_images,
)


def test_a_photo_has_measures_in_range():
    row = measure_image(encode_image(make_photo(400, 300)))
    assert (row["width"], row["height"], row["shorter_side"], row["longer_side"]) == (400, 300, 300, 400)
    assert row["aspect_ratio"] == pytest.approx(4 / 3) and row["content_share"] == 1
    assert row["colours"] > 1000 and 4 < row["entropy"] <= 8 and 0.05 < row["contrast"] <= 0.5
    assert 0 <= row["blank_share"] < 0.5 and row["animated"] == 0 and row["image_format"] == "JPEG"
    assert len(row["phash"]) == 16 and int(row["phash"], 16) >> 63 == 1  # the mean is above the median


def test_one_colour_is_blank_and_flat_and_all_content():
    for colour in ("white", "black", (200, 30, 40)):
        for format in ("JPEG", "PNG"):
            blob = encode_image(Image.new("RGB", (300, 200), colour), format)
            row, found = measure_image(blob), inspect([blob])
            assert row["blank_share"] == 1 and row["content_share"] == 1 and row["entropy"] == 0 and row["colours"] == 1
            assert row["aspect_ratio"] == 1.5 and found.flat[0]
    assert not inspect([encode_image(make_photo(64, 64))]).flat[0]


def test_noise_of_jpeg_on_one_colour_is_flat():
    rng = np.random.default_rng(0)
    for quality in (40, 75, 95):
        noise = Image.fromarray((200 + rng.integers(-2, 3, (200, 200, 3))).astype(np.uint8))
        assert inspect([encode_image(noise, quality=quality)]).flat[0]


def test_a_thin_drawing_is_not_flat():
    image = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(image).line((20, 20, 220, 200), "black", 3)
    assert not inspect([encode_image(image)]).flat[0]


def test_colours_are_counted_at_64_by_64():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, :, 0] = np.arange(64) * 4
    assert measure_image(encode_image(Image.fromarray(stripes), "PNG"))["colours"] == 64
    # Each pixel four times as large: the same 64 colours.
    assert (
        measure_image(encode_image(Image.fromarray(stripes).resize((128, 128), Image.Resampling.NEAREST), "PNG"))["colours"]
        == 64
    )


def test_blank_share_is_of_the_most_frequent_colour():
    half = np.full((100, 100, 3), 250, np.uint8)
    half[:, 50:] = np.random.default_rng(0).integers(0, 200, (100, 50, 3))
    # 100 pixels in 64 cells: the cell in the middle has both.
    assert measure_image(encode_image(Image.fromarray(half), "PNG"))["blank_share"] == pytest.approx(0.5, abs=0.02)


def test_entropy_and_contrast_of_black_and_white_halves():
    halves = np.zeros((64, 64), np.uint8)
    halves[:, 32:] = 255
    row = measure_image(encode_image(Image.fromarray(halves), "PNG"))
    assert row["entropy"] == pytest.approx(1) and row["contrast"] == pytest.approx(0.5) and row["blank_share"] == 0.5


def test_an_image_of_one_pixel():
    row = measure_image(encode_image(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert (row["width"], row["height"], row["colours"], row["blank_share"]) == (1, 1, 1, 1)


@pytest.mark.parametrize("size", [(1, 500), (3000, 2), (5, 7), (64, 65), (63, 127), (257, 256), (2000, 40)])
def test_odd_sizes(size):
    for format in ("JPEG", "PNG"):
        row = measure_image(encode_image(make_photo(*size), format))
        assert (row["width"], row["height"]) == size
        assert row["aspect_ratio"] == pytest.approx(max(size) / min(size), rel=0.02)


def test_scores_are_taken_over_and_null_where_absent():
    names = ["caption_similarity", "punsafe", "pwatermark", "aesthetic", "clip_similarity", "original_shorter_side"]
    given = inspect([encode_image(make_photo(60, 40))] * 2).counters
    given |= {name.removeprefix("caption_"): np.array([0.25, np.nan]) for name in names[:-1]}
    given |= {"original_width": np.array([800, np.nan]), "original_height": np.array([600, 500.0])}
    frame = compute(np.zeros(0, np.uint8), np.zeros(3, np.int64), names, given)
    assert frame.row(0) == (0.25,) * 5 + (600,)
    assert frame.row(1) == (None,) * 5 + (40,)


def test_every_measure_of_images_is_registered_as_one():
    mine = {name for name, m in MEASURES.items() if m.kind == "image"}
    assert mine >= {
        *IMAGE_MEASURES,
        "caption_similarity",
        "punsafe",
        "pwatermark",
        "aesthetic",
        "clip_similarity",
        "original_shorter_side",
    }
    assert {name for name in mine if MEASURES[name].words} == {"image_format", "phash"}


def test_same_result_in_any_batches():
    blobs: list[bytes | None] = [encode_image(make_photo(40 + 9 * k, 90, k), "PNG" if k % 3 else "JPEG") for k in range(20)]
    blobs[3:3] = [None, b"junk", encode_image(Image.new("RGB", (9, 9)))]
    whole, again = inspect(blobs), inspect([memoryview(blob) if blob else blob for blob in blobs])
    for other in (again, *[inspect(blobs[::-1])]):
        step = -1 if other.problems != whole.problems else 1
        assert whole.problems == other.problems[::step]
        for name, values in whole.counters.items():
            assert values.tolist() == other.counters[name].tolist()[::step], name
        assert (whole.descriptors == other.descriptors[::step]).all() and (whole.hashes == other.hashes[::step]).all()
    for i, blob in enumerate(blobs):
        alone = inspect([blob])
        assert measure_images(alone).row(0) == measure_images(whole).row(i)
        assert (alone.descriptors[0] == whole.descriptors[i]).all() and alone.flat[0] == whole.flat[i]


def test_no_images_at_all():
    found = inspect([])
    assert measure_images(found).shape == (0, len(IMAGE_MEASURES)) and found.descriptors.shape == (0, DESCRIPTOR_BYTES)


def make_sky(width, height, stars):
    """A night sky; stars of 2 × 2 pixels."""
    random = np.random.default_rng(stars)
    pixels = np.full((height, width, 3), (4, 5, 14), np.uint8)
    for x, y in zip(random.integers(0, width - 2, stars), random.integers(0, height - 2, stars), strict=True):
        pixels[y : y + 2, x : x + 2] = 230
    return Image.fromarray(pixels)


def make_moon(across, down, radius):
    image = Image.new("RGB", (900, 600), (2, 2, 4))
    ImageDraw.Draw(image).ellipse((across - radius, down - radius, across + radius, down + radius), (230, 228, 215))
    return image


@pytest.mark.parametrize("quality", [60, 90])
def test_what_is_faint_or_small_is_not_blank(quality):
    random = np.random.default_rng(0)
    fog = np.clip(np.linspace(205, 226, 300)[:, None, None] + random.normal(0, 2, (300, 400, 3)), 0, 255)
    pictures = [make_sky(640, 480, 60), make_sky(400, 300, 10), make_moon(120, 120, 40), make_moon(700, 300, 35)]
    for picture in (*pictures, Image.fromarray(fog.astype(np.uint8))):
        assert measure_image(encode_image(picture, quality=quality))["blank_share"] <= 0.98
    for colour in ("white", "black", (200, 201, 199)):
        assert measure_image(encode_image(Image.new("RGB", (300, 100), colour), quality=quality))["blank_share"] == 1


@pytest.mark.parametrize("place", [(700, 300), (450, 300), (120, 120), (450, 80)])
def test_a_moon_is_no_strip(place):
    assert measure_image(encode_image(make_moon(*place, 35)))["aspect_ratio"] < 2  # 20 where only its rows were cut


def test_a_line_of_text_on_a_slide_is_no_strip_but_a_rule_is():
    slide = Image.new("RGB", (960, 540), "white")
    ImageDraw.Draw(slide).text((480, 270), "One line of text in the middle", "black", anchor="mm", font_size=40)
    assert measure_image(encode_image(slide))["aspect_ratio"] == pytest.approx(16 / 9)
    rule = Image.new("RGB", (600, 60), "white")
    ImageDraw.Draw(rule).rectangle((0, 28, 599, 31), "grey")
    assert measure_image(encode_image(rule))["aspect_ratio"] > 8
