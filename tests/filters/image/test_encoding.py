"""Images that are encoded anew: size, format, quality, and no metadata."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from filters.image.encoding import reencode
from filters.inspected import Unreadable
from tests.support.photos import (
    encode_image,
    make_photo,
)


def test_reencode_resizes_once_and_never_enlarges():
    blob = encode_image(make_photo(400, 300))
    for side, expected in ((150, (200, 150)), (300, (400, 300)), (1000, (400, 300)), (None, (400, 300))):
        again, width, height = reencode(blob, shorter_side=side)
        assert (width, height) == expected == Image.open(io.BytesIO(again)).size
    assert Image.open(io.BytesIO(reencode(encode_image(make_photo(3000, 40)), shorter_side=10)[0])).size == (750, 10)


def test_reencode_formats_and_quality():
    blob = encode_image(make_photo(100, 100))
    sizes = []
    for format in ("JPEG", "PNG", "WEBP"):
        again, *_ = reencode(blob, format=format)
        assert Image.open(io.BytesIO(again)).format == format and again == reencode(blob, format=format)[0]
    for quality in (30, 60, 90):
        sizes.append(len(reencode(blob, quality=quality)[0]))
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    with pytest.raises(Unreadable, match="truncated"):
        reencode(blob[:-100])


def test_reencode_leaves_out_metadata():
    exif = Image.Exif()
    exif[0x010F] = "secret"
    blob = encode_image(make_photo(50, 50), exif=exif, comment=b"secret", icc_profile=b"secret" * 30)
    for format in ("JPEG", "PNG", "WEBP"):
        assert b"secret" not in reencode(blob, format=format)[0]


@pytest.mark.parametrize(("format", "longest"), [("WEBP", 16_383), ("JPEG", 65_500)])
def test_images_too_long_for_a_format_are_made_smaller(format, longest):
    blob = encode_image(make_photo(longest + 900, 8), "PNG")
    out, width, height = reencode(blob, format=format)
    assert width == longest and height >= 1 and Image.open(io.BytesIO(out)).size == (width, height)
