"""Formats and modes of images, and what crawled files do to decoders."""

from __future__ import annotations

import gzip
import io
import resource
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from filters.image.encoding import reencode
from filters.image.inspection import inspect
from filters.inspected import Unreadable
from tests.support.photos import (
    count_hash_distance,
    encode_image,
    find_problem,
    hash_image,
    make_photo,
    measure_image,
)


def test_formats():
    image = make_photo(90, 70)
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"):
        row = measure_image(encode_image(image, format))
        assert row["image_format"] == format and (row["width"], row["height"]) == (90, 70) and row["animated"] == 0
        assert count_hash_distance(encode_image(image, format), encode_image(image, "PNG")) <= 8


def test_what_is_called_jpeg_need_not_be():
    assert measure_image(encode_image(make_photo(40, 40), "PNG"))["image_format"] == "PNG"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "PA", "I;16", "I", "F", "CMYK", "LAB", "YCbCr"])
def test_modes(mode):
    image = make_photo(90, 70)
    if mode == "I;16":
        made = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif mode in ("I", "F"):
        made = Image.fromarray((np.asarray(image.convert("L")) * 3.5 - 90).astype(np.int32 if mode == "I" else np.float32))
    elif mode == "PA":
        made = image.convert("P").convert("PA")
    elif mode == "LAB":
        made = Image.frombytes("LAB", image.size, image.tobytes())
    else:
        made = image.convert(mode)
    format = {"1": "PNG", "F": "TIFF", "I": "TIFF", "CMYK": "JPEG", "LAB": "TIFF", "YCbCr": "TIFF", "PA": "TIFF"}.get(
        mode, "PNG"
    )
    try:
        blob = encode_image(made, format)
    except (OSError, KeyError):
        pytest.skip(f"Pillow does not write {mode}")
    found = inspect([blob])
    if mode == "LAB":  # needs a colour profile: said, not guessed
        assert found.problems[0] is None or "TIFF" in found.problems[0]
        return
    assert found.problems == [None]
    assert ((found.hashes[0, 0] ^ np.uint64(hash_image(encode_image(image.convert("L"), "PNG")))).item().bit_count()) <= 6
    assert found.needs_reencoding[0] == (mode in ("I;16", "I", "F", "CMYK", "YCbCr"))
    again, *size = reencode(blob)
    written = Image.open(io.BytesIO(again))
    assert written.mode == "RGB" and tuple(size) == (90, 70)
    assert written.format == ("JPEG" if format == "JPEG" else "PNG")


def test_transparent_is_white():
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((16, 16, 47, 47), (255, 0, 0, 255))
    on_white = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(on_white).rectangle((16, 16, 47, 47), (255, 0, 0))
    palette = image.quantize(4)
    keyed = Image.new("P", (64, 64), 0)
    keyed.putpalette([0, 0, 0, 255, 0, 0])
    ImageDraw.Draw(keyed).rectangle((16, 16, 47, 47), 1)
    expected = np.asarray(on_white)
    for blob in (
        encode_image(image, "PNG"),
        encode_image(image, "WEBP", lossless=True),
        encode_image(palette, "PNG"),
        encode_image(keyed, "PNG", transparency=0),
        encode_image(keyed, "GIF", transparency=0),
        encode_image(keyed.convert("RGB"), "PNG", transparency=(0, 0, 0)),
    ):
        again, *_ = reencode(blob, format="PNG")
        assert (np.asarray(Image.open(io.BytesIO(again))) == expected).all()
        assert (
            measure_image(blob)["aspect_ratio"] == 1 and measure_image(blob)["blank_share"] == 1
        )  # the square, without its margin


def test_grey_jpeg_is_as_grey_as_its_rgb():
    grey = make_photo(200, 100).convert("L")
    assert count_hash_distance(encode_image(grey), encode_image(grey.convert("RGB"))) <= 2
    assert measure_image(encode_image(grey))["colours"] <= 256


def set_adobe_transform(blob: bytes, transform: int) -> bytes:
    """With an Adobe marker of this colour transform in place of the one that Pillow wrote."""
    at = blob.index(b"\xff\xeeAdobe"[:2] + b"\x00\x0eAdobe")
    return blob[: at + 15] + bytes([transform]) + blob[at + 16 :]


def test_cmyk_and_ycck_jpeg():
    image = make_photo(200, 150)
    cmyk = image.convert("CMYK")
    blob = encode_image(cmyk)
    assert count_hash_distance(blob, encode_image(image)) <= 6 and inspect([blob]).needs_reencoding[0]
    again, *_ = reencode(blob)
    assert np.abs(np.asarray(Image.open(io.BytesIO(again)), int) - np.asarray(image, int)).mean() < 16
    # The same numbers said to be YCCK are other colours, but they are decoded.
    marked = blob if b"\x00\x0eAdobe" in blob else blob[:2] + b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\x00" + blob[2:]
    assert measure_image(set_adobe_transform(marked, 2))["width"] == 200 and reencode(set_adobe_transform(marked, 2))[1:] == (
        200,
        150,
    )


def test_sixteen_bits_of_grey_keep_their_brightness():
    ramp = np.linspace(0, 30000, 100 * 80).reshape(80, 100).astype(np.uint16)
    again, *_ = reencode(encode_image(Image.fromarray(ramp), "PNG"))
    assert np.abs(np.asarray(Image.open(io.BytesIO(again)))[:, :, 0].astype(int) - (ramp >> 8)).max() == 0


def test_floats_are_spread_and_need_not_be_finite():
    values = np.linspace(-3, 5, 64 * 64, dtype=np.float32).reshape(64, 64)
    values[0, :3] = np.nan, np.inf, -np.inf
    row = measure_image(encode_image(Image.fromarray(values), "TIFF"))
    assert 0.2 < row["contrast"] < 0.4


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animations_are_measured_by_their_first_frame(format):
    frames = [make_photo(80, 60, seed) for seed in range(3)]
    still = encode_image(frames[0], format)
    moving = encode_image(frames[0], format, save_all=True, append_images=frames[1:], duration=100)
    assert measure_image(still)["animated"] == 0 and measure_image(moving)["animated"] == 1
    assert count_hash_distance(still, moving) <= 4
    assert Image.open(io.BytesIO(reencode(moving)[0])).format in ("PNG", "WEBP")


def test_progressive_jpeg():
    image = make_photo(300, 200)
    assert count_hash_distance(encode_image(image), encode_image(image, progressive=True)) <= 1


@pytest.mark.parametrize(
    "blob, reason",
    [
        (None, "empty file"),
        (b"", "empty file"),
        (b"hello", "not an image"),
        (b"\xff\xd8", "not an image"),
        (b"\0" * 5000, "not an image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is not a raster image"),
        (b'\xef\xbb\xbf \n<?xml version="1.0"?><!-- a --><svg width="1"/>', "SVG is not a raster image"),
        (gzip.compress(b'<?xml version="1.0"?><svg/>', mtime=0), "SVG is not a raster image"),
        (gzip.compress(b"\0" * 100_000_000, mtime=0), "not an image"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "not an image: HTML"),
        (b"%PDF-1.7\n", "PDF is not read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "PostScript is not read"),
        (b"8BPS\0\x01", "Photoshop is not read"),
        (b"\0\0\1\0\1\0\x10\x10", "ICO is not read"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF is not read"),
        (b"P6\n1 1\n255\n\0\0\0", "not an image"),
    ],
)
def test_what_is_no_image(blob, reason):
    assert find_problem(blob).startswith(reason)


def test_truncated_files_are_problems_that_say_so():
    image = make_photo(300, 200)
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        blob = encode_image(image, format)
        for share in (0.1, 0.5, 0.9):
            words = find_problem(blob[: int(len(blob) * share)])
            assert format in words and words.split()[0] in ("truncated", "damaged"), words
    assert find_problem(encode_image(image)[:5000]).startswith("truncated JPEG: ")
    assert find_problem(encode_image(image)[:-2]).startswith("truncated JPEG: ")
    assert find_problem(encode_image(make_photo(1200, 900))[:-500]).startswith(
        "truncated JPEG: "
    )  # decoded at 1/4, read to the end
    assert find_problem(encode_image(image, "PNG")[:5000]).startswith("truncated PNG: ")


def test_no_bytes_make_it_crash():
    rng = np.random.default_rng(7)
    blobs = []
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"):
        blob = encode_image(make_photo(60, 50), format)
        for _ in range(60):
            broken = bytearray(blob)
            for at in rng.integers(0, len(blob) if rng.random() < 0.5 else min(200, len(blob)), 8):
                broken[at] = rng.integers(256)
            blobs.append(bytes(broken))
        blobs += [blob[:n] for n in range(0, 120, 3)]
    found = inspect(blobs, max_pixels=10_000_000)
    assert all(p is None or p for p in found.problems)


def make_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def make_png(width: int, height: int, *chunks: bytes) -> bytes:
    header = make_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + make_chunk(b"IEND", b"")


def test_a_png_bomb_is_refused_from_its_header():
    row = b"\0" * (1 + 50_000 // 8)
    deflate = zlib.compressobj(9)
    body = b"".join(deflate.compress(row) for _ in range(50_000)) + deflate.flush()
    bomb = make_png(50_000, 50_000, make_chunk(b"IDAT", body))
    assert len(bomb) < 400_000
    tracemalloc.start()
    words = find_problem(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert words == "image of 50,000 × 50,000 = 2,500,000,000 pixels, over images.max_pixels = 100,000,000"
    with pytest.raises(Unreadable, match="over images.max_pixels"):
        reencode(bomb)


def test_sizes_in_other_headers_are_refused_too():
    image = make_photo(64, 64)
    jpeg = bytearray(encode_image(image))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    gif = bytearray(encode_image(image, "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    bmp = bytearray(encode_image(image, "BMP"))
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    webp = bytearray(encode_image(image, "WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", 16383 | 16383 << 14)
    extended = b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\xff\xff" * 2
    for blob in (jpeg, gif, bmp, webp, extended + b"\0" * 60):
        assert "over images.max_pixels" in find_problem(bytes(blob)), blob[:30]
    assert find_problem(encode_image(image), max_pixels=4000).endswith("= 4,096 pixels, over images.max_pixels = 4,000")
    assert inspect([encode_image(image)], max_pixels=4096).problems == [None]


def test_a_jpeg_without_height_is_a_problem():
    jpeg = bytearray(encode_image(make_photo(64, 64)))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 7] = b"\0\0"
    assert find_problem(bytes(jpeg)) == "image of 64 × 0 pixels"


def test_bombs_in_chunks_of_png():
    bomb = zlib.compress(b"\0" * 80_000_000, 9)
    picture = make_chunk(b"IDAT", zlib.compress((b"\0" + b"\0" * 8) * 64))
    for kind, body in (
        (b"zTXt", b"Comment\0\0" + bomb),
        (b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        (b"iCCP", b"profile\0\0" + bomb),
    ):
        tracemalloc.start()
        found = inspect([make_png(64, 64, make_chunk(kind, body), picture), make_png(64, 64, picture, make_chunk(kind, body))])
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()
        assert all(p is None or "PNG" in p for p in found.problems)


def test_a_jpeg_of_thousands_of_scans_is_refused():
    blob = encode_image(make_photo(64, 64), progressive=True)
    at = blob.rindex(b"\xff\xda")
    assert "scans" in find_problem(blob[:-2] + blob[at:-2] * 500 + b"\xff\xd9")


def test_a_large_jpeg_is_not_decoded_in_full():
    blob = encode_image(Image.new("RGB", (8000, 6250), "white"), quality=50)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert measure_image(blob)["width"] == 8000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; 50 megapixels are 200 MB


def test_pillow_stays_as_it_was():
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inspect([make_png(50_000, 50_000), encode_image(make_photo(20, 20).convert("P"), "PNG", transparency=b"\0\x80")])
    assert Image.MAX_IMAGE_PIXELS == limit and not caught


def test_a_baseline_jpeg_of_thousands_of_scans_is_refused():
    whole = encode_image(make_photo(64, 64), quality=50)
    tables = whole[: whole.index(b"\xff\xc0")]
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 9000, 9000, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    rest = whole[whole.index(b"\xff\xc4") : whole.index(b"\xff\xda")]
    scans = b"".join(b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1 + k % 3, 0, 0, 63, 0) for k in range(5000))
    assert "scans" in find_problem(tables + frame + rest + scans + b"\xff\xd9")
