"""Borders of letterboxing, frames and margins are left out; everything else is content."""

from __future__ import annotations

import pytest
from PIL import Image

from filters.image.borders import content_box
from filters.image.pixels import pixel_bytes
from tests.support.photos import (
    count_hash_distance,
    encode_image,
    make_photo,
    measure_image,
)


def letterbox(image: Image.Image, side: int, colour: object) -> Image.Image:
    """As img2dataset does it: fitted into a square, the rest in one colour."""
    scale = side / max(image.size)
    small = image.resize((round(image.width * scale), round(image.height * scale)))
    out = Image.new("RGB", (side, side), colour)
    out.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return out


@pytest.mark.parametrize("colour", ["white", "black", (120, 10, 200)])
@pytest.mark.parametrize("size", [(400, 150), (400, 260), (150, 400), (500, 90)])
@pytest.mark.parametrize("quality", [60, 75, 95])
def test_letterboxes_are_left_out(colour, size, quality):
    image = make_photo(*size, seed=sum(size))
    row = measure_image(encode_image(letterbox(image, 256, colour), quality=quality))
    assert row["aspect_ratio"] == pytest.approx(max(size) / min(size), rel=0.07)
    assert row["content_share"] == pytest.approx(min(size) / max(size), rel=0.07)
    assert (row["width"], row["height"]) == (256, 256)


@pytest.mark.parametrize("colour", ["white", "black"])
def test_a_letterbox_does_not_change_the_hash(colour):
    for seed in range(10):
        image = make_photo(380, 210, seed)
        assert count_hash_distance(encode_image(image), encode_image(letterbox(image, 256, colour))) <= 6


def test_a_frame_is_left_out():
    image = make_photo(300, 200)
    framed = Image.new("RGB", (360, 230), "white")
    framed.paste(image, (30, 15))
    row = measure_image(encode_image(framed))
    assert row["aspect_ratio"] == pytest.approx(1.5, rel=0.05)
    assert count_hash_distance(encode_image(image), encode_image(framed)) <= 6


def test_a_border_on_one_side_only_is_content():
    image = make_photo(300, 200)
    below = Image.new("RGB", (300, 300), "white")
    below.paste(image, (0, 0))
    assert measure_image(encode_image(below))["content_share"] == 1


def test_borders_of_different_colours_are_content():
    flag = Image.new("RGB", (300, 300), "white")
    flag.paste(make_photo(300, 100), (0, 100))
    flag.paste(Image.new("RGB", (300, 100), "black"), (0, 200))
    assert measure_image(encode_image(flag))["content_share"] == 1


def test_a_photo_has_no_border():
    for seed in range(40):
        assert measure_image(encode_image(make_photo(256, 200, seed)))["content_share"] == 1


def test_a_dot_on_white_is_not_cut_down_to_the_dot():
    image = Image.new("RGB", (256, 256), "white")
    image.putpixel((100, 100), (0, 0, 0))
    assert measure_image(encode_image(image, "PNG"))["content_share"] == 1


def test_content_box_in_the_pixels():
    image = Image.new("RGB", (100, 80), "white")
    image.paste(make_photo(60, 80), (20, 0))
    assert content_box(pixel_bytes(image), 100, 80) == (20, 0, 80, 80)
