"""Images are turned upright as their readers see them, whatever their metadata are."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from filters.image.encoding import reencode
from filters.image.inspection import inspect
from tests.support.photos import (
    count_hash_distance,
    encode_image,
    make_photo,
    measure_image,
)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(format, orientation):
    upright = make_photo(120, 80)
    undo = {
        2: 0,
        3: 3,
        4: 1,
        5: 5,
        6: 2,
        7: 6,
        8: 4,
    }  # of PIL.Image.Transpose: what makes the file's picture from the upright one
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if format == "JPEG" else {"lossless": True} if format == "WEBP" else {}
    blob = encode_image(stored, format, exif=exif, **options)
    row = measure_image(blob)
    assert (row["width"], row["height"]) == (120, 80)
    assert count_hash_distance(blob, encode_image(upright, "PNG")) <= 2
    again, width, height = reencode(blob)
    assert (width, height) == (120, 80) and Image.open(io.BytesIO(again)).size == (120, 80)
    assert (
        count_hash_distance(again, encode_image(upright, "PNG")) <= 2 and 0x0112 not in Image.open(io.BytesIO(again)).getexif()
    )


def add_exif(blob: bytes, exif: bytes) -> bytes:
    return blob[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + blob[2:]


@pytest.mark.parametrize(
    "exif",
    {
        "empty": b"",
        "cut": b"II*\0",
        "directory outside": b"II*\0" + struct.pack("<I", 0xFFFFFFF0),
        "directory in itself": b"II*\0" + struct.pack("<IHHHIII", 8, 65535, 0x8769, 4, 1, 8, 8),
        "next directory is this": b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8825, 4, 1, 8, 8),
        "orientation of 9": b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 9, 0, 0),
        "orientation as text": b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 2, 4000000000, 8, 0),
        "60,000 directories": b"II*\0" + struct.pack("<I", 8) + b"\xff" * 60000,
        "not tiff": b"\0" * 64,
    }.items(),
    ids=lambda item: item[0],
)
def test_hostile_exif(exif):
    image = make_photo(64, 48)
    for blob in (
        add_exif(encode_image(image), exif[1]),
        encode_image(image, "PNG", exif=exif[1]),
        encode_image(image, "WEBP", exif=exif[1]),
    ):
        row = measure_image(blob)
        assert (row["width"], row["height"]) == (64, 48)


def add_segment(marker: int, body: bytes, blob: bytes | None = None) -> bytes:
    """A JPEG with one more segment, in front of the others."""
    blob = blob or encode_image(make_photo(160, 120))
    return blob[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + blob[2:]


def read_size(blob: bytes) -> tuple[int, int]:
    """Width and height as `datasets` gives them: it asks for EXIF, and turns the image by it."""
    image = Image.open(io.BytesIO(blob))
    image.load()
    if image.getexif().get(0x0112) is not None:
        image = ImageOps.exif_transpose(image)
    return image.size


XMP = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
LONG_EXIF = b"Exif\0\0MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x0112, 4, 1, 6, 0)


@pytest.mark.parametrize(
    "blob",
    [
        add_segment(0xEE, b"Adobe"),
        add_segment(0xE0, b"JFIF\0"),
        add_segment(0xE2, b"ICC_PROFILE\0"),
        add_segment(0xE1, XMP),
        add_segment(0xE1, XMP.replace(b'="6"', b">6<")),
        add_segment(0xE1, LONG_EXIF),
        add_segment(0xE1, b"Exif\0\0junkjunkjunk"),
        encode_image(make_photo(160, 120), "PNG", exif=b"Exif\0\0junkjunkjunk"),
        encode_image(make_photo(160, 120), "WEBP", exif=b"Exif\0\0junkjunkjunk"),
        encode_image(make_photo(160, 120), "PNG", exif=LONG_EXIF),
        encode_image(make_photo(160, 120), "WEBP", exif=LONG_EXIF),
        encode_image(make_photo(160, 120), "WEBP", xmp=XMP[29:]),
        encode_image(make_photo(160, 120), "AVIF"),
    ],
)
def test_what_is_kept_as_it_is_is_what_readers_see(blob):
    found = inspect([blob])
    if found.problems[0] is not None:
        return
    width, height = int(found.counters["image_width"][0]), int(found.counters["image_height"][0])
    stored = reencode(blob)[0] if found.needs_reencoding[0] else blob
    assert read_size(stored) == (width, height)
    try:
        assert read_size(blob) == (width, height)
    except (SyntaxError, ValueError, OSError, IndexError):
        assert found.needs_reencoding[0]


def test_a_raw_profile_of_png_is_encoded_anew():
    info = PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n     6\nnothex")
    found = inspect([encode_image(make_photo(160, 120), "PNG", pnginfo=info)])
    assert found.problems == [None] and found.needs_reencoding[0]
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n      {len(LONG_EXIF)}\n{LONG_EXIF.hex()}")
    blob = encode_image(make_photo(160, 120), "PNG", pnginfo=info)
    assert measure_image(blob)["width"] == 120 and read_size(blob) == (120, 160)
