"""Colours are those that an embedded ICC profile says: as LittleCMS converts them to sRGB."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from filters.image.decoding import open_small, open_upright
from filters.image.encoding import reencode
from filters.image.fingerprint import ACCEPT, similarities
from filters.image.inspection import inspect
from tests.support.photos import encode_image, make_photo, measure_image
from tests.support.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    make_cmyk_profile,
    make_grey_profile,
    make_rgb_profile,
)

PHOTO = make_photo(180, 120, seed=3)
SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILES = {
    "Display P3": make_rgb_profile(DISPLAY_P3),
    "Adobe RGB": make_rgb_profile(ADOBE_RGB, 2.19921875),
    "ProPhoto": make_rgb_profile(PROPHOTO, 1.8),
}


def convert(image: Image.Image, profile: bytes) -> np.ndarray:
    """What LittleCMS makes of an image, by the perceptual intent."""
    target = ImageCms.createProfile("sRGB")
    out = ImageCms.profileToProfile(image, io.BytesIO(profile), target, ImageCms.Intent.PERCEPTUAL, "RGB")
    assert out is not None
    return np.asarray(out, int)


def read(blob: bytes) -> np.ndarray:
    return np.asarray(open_upright(blob, 10_000), int)


def read_written(blob: bytes, **options: object) -> np.ndarray:
    out, *_ = reencode(blob, format="PNG", **options)  # type: ignore[arg-type]
    written = Image.open(io.BytesIO(out))
    assert "icc_profile" not in written.info
    return np.asarray(written, int)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG", "AVIF"])
@pytest.mark.parametrize("name", PROFILES)
def test_colours_are_those_of_the_profile(name, format):
    options = {"lossless": True} if format == "WEBP" else {}
    blob = encode_image(PHOTO, format, icc_profile=PROFILES[name], **options)
    expected = convert(Image.open(io.BytesIO(blob)).convert("RGB"), PROFILES[name])
    assert np.abs(expected - np.asarray(PHOTO, int)).mean() > 5  # what leaving the profile out would cost
    assert np.abs(read(blob) - expected).max() == 0
    assert np.abs(read_written(blob) - expected).max() == 0


def test_a_profile_in_several_segments_of_a_jpeg():
    profile = PROFILES["Display P3"] + bytes(150_000)  # what comes after the tags is padding
    profile = len(profile).to_bytes(4, "big") + profile[4:]
    blob = encode_image(PHOTO, icc_profile=profile)
    assert blob.count(b"ICC_PROFILE\0") == 3
    expected = convert(Image.open(io.BytesIO(blob)), PROFILES["Display P3"])
    assert np.abs(read(blob) - expected).max() == 0


def test_inks_are_those_of_the_profile_and_without_one_as_before():
    cmyk, profile = PHOTO.convert("CMYK"), make_cmyk_profile()
    for format in ("TIFF", "JPEG"):
        blob = encode_image(cmyk, format, icc_profile=profile)
        stored = Image.open(io.BytesIO(blob))
        assert stored.mode == "CMYK"
        assert np.abs(read_written(blob) - convert(stored, profile)).max() == 0
        assert np.abs(read(blob) - np.asarray(stored.convert("RGB"), int)).mean() > 25
        plain = encode_image(cmyk, format)
        assert np.abs(read(plain) - np.asarray(Image.open(io.BytesIO(plain)).convert("RGB"), int)).max() == 0


def test_grey_by_a_profile_of_grey():
    grey, profile = PHOTO.convert("L"), make_grey_profile(1.0)
    expected = convert(grey, profile)
    assert np.abs(read(encode_image(grey, "PNG", icc_profile=profile)) - expected).max() == 0
    deep = Image.fromarray((np.asarray(grey).astype(np.uint16) << 8) + 99)
    assert np.abs(read(encode_image(deep, "PNG", icc_profile=profile)) - expected).max() == 0
    with_alpha = grey.convert("LA")
    with_alpha.putalpha(128)
    over_white = expected * (128 / 255) + 255 * (127 / 255)
    assert np.abs(read(encode_image(with_alpha, "PNG", icc_profile=profile)) - over_white).max() <= 1


def test_palettes_and_alpha_are_converted_before_white_is_laid_under():
    profile = PROFILES["Display P3"]
    palette = PHOTO.quantize(32)
    blob = encode_image(palette, "PNG", icc_profile=profile)
    assert np.abs(read(blob) - convert(palette.convert("RGB"), profile)).max() == 0
    veiled = PHOTO.convert("RGBA")
    veiled.putalpha(128)
    over_white = convert(PHOTO, profile) * (128 / 255) + 255 * (127 / 255)
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert np.abs(read(encode_image(veiled, format, icc_profile=profile, **options)) - over_white).max() <= 1


def test_lab_needs_no_profile():
    lab = ImageCms.profileToProfile(PHOTO, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    found = read_written(encode_image(lab, "TIFF"))
    assert np.abs(found - np.asarray(PHOTO, int)).mean() < 1.5  # LAB of 8 bits
    assert measure_image(encode_image(lab, "TIFF"))["width"] == 180


@pytest.mark.parametrize("profile", [SRGB_PROFILE, make_rgb_profile(SRGB)])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_profile_of_srgb_changes_no_byte(profile, format):
    plain, tagged = encode_image(PHOTO, format), encode_image(PHOTO, format, icc_profile=profile)
    assert reencode(plain) == reencode(tagged)
    assert (read(plain) == read(tagged)).all()
    assert not inspect([tagged]).needs_reencoding[0]


BROKEN = {
    "empty": b"",
    "noise": np.random.default_rng(1).bytes(700),
    "text": b"secret" * 30,
    "cut off": PROFILES["Display P3"][:200],
    "tags beyond the end": PROFILES["Display P3"][:160] + bytes(range(256)) * 2,
    "of grey": make_grey_profile(1.0),
    "of inks": make_cmyk_profile(),
    "a link": PROFILES["Display P3"].replace(b"mntr", b"link"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_profiles_that_say_nothing_of_the_image_are_ignored(name):
    tagged = encode_image(PHOTO, "PNG", icc_profile=BROKEN[name])
    assert (read(tagged) == np.asarray(PHOTO, int)).all()
    grey = PHOTO.convert("L")
    if name != "of grey":
        assert (read(encode_image(grey, "PNG", icc_profile=BROKEN[name]))[:, :, 0] == np.asarray(grey, int)).all()
    inks = PHOTO.convert("CMYK")
    if name != "of inks":
        assert (read(encode_image(inks, "TIFF", icc_profile=BROKEN[name])) == np.asarray(inks.convert("RGB"), int)).all()


def test_a_profile_of_colours_on_grey_is_ignored():
    grey = PHOTO.convert("L")
    assert (read(encode_image(grey, icc_profile=PROFILES["ProPhoto"])) == read(encode_image(grey))).all()


def test_orientation_goes_along():
    exif = Image.Exif()
    exif[0x0112] = 6
    blob = encode_image(PHOTO, "PNG", icc_profile=PROFILES["Adobe RGB"], exif=exif)
    expected = np.rot90(convert(PHOTO, PROFILES["Adobe RGB"]), -1)
    assert np.abs(read(blob) - expected).max() == 0 and np.abs(read_written(blob) - expected).max() == 0


@pytest.mark.parametrize("name", PROFILES)
def test_a_copy_in_other_numbers_is_a_near_duplicate(name):
    """The same colours, once in sRGB and once by a profile of a wider gamut."""
    muted = Image.blend(PHOTO, Image.new("RGB", PHOTO.size, "grey"), 0.4).resize((900, 600))
    out = ImageCms.profileToProfile(muted, ImageCms.createProfile("sRGB"), io.BytesIO(PROFILES[name]), outputMode="RGB")
    files = [encode_image(muted), encode_image(out, icc_profile=PROFILES[name])]
    found = inspect(files)
    assert np.bitwise_count(found.hashes[0] ^ found.hashes[1]).max() <= 2
    assert similarities(found.descriptors, np.array([0]), np.array([1]))[0] >= np.float32(0.98) > ACCEPT
    small = [np.asarray(open_small(blob).picture, int) for blob in files]
    assert np.abs(small[0] - small[1]).mean() < 3  # ProPhoto leaves few levels to JPEG


def test_what_is_transparent_is_white_unless_that_hides_all():
    """A white logo, made for a dark page, is no blank picture."""
    logo = Image.new("RGBA", (200, 100), (255, 255, 255, 0))
    logo.paste((250, 250, 250, 255), (20, 30, 90, 70))
    blob = encode_image(logo, "PNG")
    pixels = read(blob)
    assert (pixels[50, 50] == 250).all() and (pixels[10, 10] == 0).all()
    assert measure_image(blob)["contrast"] > 0.1 or measure_image(blob)["content_share"] < 0.5
    dark = logo.copy()
    dark.paste((20, 20, 20, 255), (20, 30, 90, 70))
    assert (read(encode_image(dark, "PNG"))[10, 10] == 255).all()
    empty = Image.new("RGBA", (200, 100), (255, 255, 255, 0))
    assert (read(encode_image(empty, "PNG")) == 255).all()
