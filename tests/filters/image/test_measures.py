"""Images made by Pillow and by hand: every measure, every format, and what crawled files do to decoders."""

from __future__ import annotations

import gzip
import io
import resource
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw, ImageOps
from PIL.PngImagePlugin import PngInfo

from filters import MEASURES, compute
from filters.image.decoding import Unreadable, pixels
from filters.image.measures import Inspected, inspect, reencode
from filters.image.pixels import DESCRIPTOR_BYTES, LOW_FREQUENCIES, content_box

FROM_IMAGE = (
    "width height shorter_side longer_side aspect_ratio content_share colours entropy contrast blank_share animated image_bytes "
    "image_format phash"
).split()


def photo(width: int, height: int, seed: int = 0, noise: int = 12) -> Image.Image:
    """Something like a photo: smooth shapes in many colours, with noise."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray(np.clip(smooth + rng.integers(-noise, noise + 1, smooth.shape), 0, 255).astype(np.uint8))


def encoded(image: Image.Image, format: str = "JPEG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def measured(found: Inspected) -> pl.DataFrame:
    n = len(found.problems)
    return compute(np.zeros(0, np.uint8), np.zeros(n + 1, np.int64), FROM_IMAGE, found.counters)


def one(blob: bytes, **options) -> dict:
    found = inspect([blob], **options)
    assert found.problems == [None]
    return measured(found).row(0, named=True)


def problem(blob: bytes | None, **options) -> str:
    found = inspect([blob], **options)
    assert found.problems[0] is not None
    row = measured(found).row(0, named=True)
    assert row["phash"] is None and row["image_format"] is None and row["width"] == 0 and found.flat[0]
    return found.problems[0]


def bits(blob: bytes) -> int:
    return int(inspect([blob]).phash[0])


def distance(a: bytes, b: bytes) -> int:
    return (bits(a) ^ bits(b)).bit_count()


# --- measures


def test_a_photo_has_measures_in_range():
    row = one(encoded(photo(400, 300)))
    assert (row["width"], row["height"], row["shorter_side"], row["longer_side"]) == (400, 300, 300, 400)
    assert row["aspect_ratio"] == pytest.approx(4 / 3) and row["content_share"] == 1
    assert row["colours"] > 1000 and 4 < row["entropy"] <= 8 and 0.05 < row["contrast"] <= 0.5
    assert 0 <= row["blank_share"] < 0.5 and row["animated"] == 0 and row["image_format"] == "JPEG"
    assert len(row["phash"]) == 16 and int(row["phash"], 16) >> 63 == 1  # the mean is above the median


def test_one_colour_is_blank_and_flat_and_all_content():
    for colour in ("white", "black", (200, 30, 40)):
        for format in ("JPEG", "PNG"):
            blob = encoded(Image.new("RGB", (300, 200), colour), format)
            row, found = one(blob), inspect([blob])
            assert row["blank_share"] == 1 and row["content_share"] == 1 and row["entropy"] == 0 and row["colours"] == 1
            assert row["aspect_ratio"] == 1.5 and found.flat[0]
    assert not inspect([encoded(photo(64, 64))]).flat[0]


def test_noise_of_jpeg_on_one_colour_is_flat():
    rng = np.random.default_rng(0)
    for quality in (40, 75, 95):
        noise = Image.fromarray((200 + rng.integers(-2, 3, (200, 200, 3))).astype(np.uint8))
        assert inspect([encoded(noise, quality=quality)]).flat[0]


def test_a_thin_drawing_is_not_flat():
    image = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(image).line((20, 20, 220, 200), "black", 3)
    assert not inspect([encoded(image)]).flat[0]


def test_colours_are_counted_at_64_by_64():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, :, 0] = np.arange(64) * 4
    assert one(encoded(Image.fromarray(stripes), "PNG"))["colours"] == 64
    # Each pixel four times as large: the same 64 colours.
    assert one(encoded(Image.fromarray(stripes).resize((128, 128), Image.Resampling.NEAREST), "PNG"))["colours"] == 64


def test_blank_share_is_of_the_most_frequent_colour():
    half = np.full((100, 100, 3), 250, np.uint8)
    half[:, 50:] = np.random.default_rng(0).integers(0, 200, (100, 50, 3))
    # 100 pixels in 64 cells: the cell in the middle has both.
    assert one(encoded(Image.fromarray(half), "PNG"))["blank_share"] == pytest.approx(0.5, abs=0.02)


def test_entropy_and_contrast_of_black_and_white_halves():
    halves = np.zeros((64, 64), np.uint8)
    halves[:, 32:] = 255
    row = one(encoded(Image.fromarray(halves), "PNG"))
    assert row["entropy"] == pytest.approx(1) and row["contrast"] == pytest.approx(0.5) and row["blank_share"] == 0.5


def test_an_image_of_one_pixel():
    row = one(encoded(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert (row["width"], row["height"], row["colours"], row["blank_share"]) == (1, 1, 1, 1)


@pytest.mark.parametrize("size", [(1, 500), (3000, 2), (5, 7), (64, 65), (63, 127), (257, 256), (2000, 40)])
def test_odd_sizes(size):
    for format in ("JPEG", "PNG"):
        row = one(encoded(photo(*size), format))
        assert (row["width"], row["height"]) == size
        assert row["aspect_ratio"] == pytest.approx(max(size) / min(size), rel=0.02)


def test_scores_are_taken_over_and_null_where_absent():
    names = ["caption_similarity", "punsafe", "pwatermark", "aesthetic", "clip_similarity", "original_shorter_side"]
    given = inspect([encoded(photo(60, 40))] * 2).counters
    given |= {name.removeprefix("caption_"): np.array([0.25, np.nan]) for name in names[:-1]}
    given |= {"original_width": np.array([800, np.nan]), "original_height": np.array([600, 500.0])}
    frame = compute(np.zeros(0, np.uint8), np.zeros(3, np.int64), names, given)
    assert frame.row(0) == (0.25,) * 5 + (600,)
    assert frame.row(1) == (None,) * 5 + (40,)


def test_every_measure_of_images_is_registered_as_one():
    mine = {name for name, m in MEASURES.items() if m.kind == "image"}
    assert mine >= {
        *FROM_IMAGE,
        "caption_similarity",
        "punsafe",
        "pwatermark",
        "aesthetic",
        "clip_similarity",
        "original_shorter_side",
    }
    assert {name for name in mine if MEASURES[name].words} == {"image_format", "phash"}


# --- borders


def letterboxed(image: Image.Image, side: int, colour: object) -> Image.Image:
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
    image = photo(*size, seed=sum(size))
    row = one(encoded(letterboxed(image, 256, colour), quality=quality))
    assert row["aspect_ratio"] == pytest.approx(max(size) / min(size), rel=0.07)
    assert row["content_share"] == pytest.approx(min(size) / max(size), rel=0.07)
    assert (row["width"], row["height"]) == (256, 256)


@pytest.mark.parametrize("colour", ["white", "black"])
def test_a_letterbox_does_not_change_the_hash(colour):
    for seed in range(10):
        image = photo(380, 210, seed)
        assert distance(encoded(image), encoded(letterboxed(image, 256, colour))) <= 6


def test_a_frame_is_left_out():
    image = photo(300, 200)
    framed = Image.new("RGB", (360, 230), "white")
    framed.paste(image, (30, 15))
    row = one(encoded(framed))
    assert row["aspect_ratio"] == pytest.approx(1.5, rel=0.05)
    assert distance(encoded(image), encoded(framed)) <= 6


def test_a_border_on_one_side_only_is_content():
    image = photo(300, 200)
    below = Image.new("RGB", (300, 300), "white")
    below.paste(image, (0, 0))
    assert one(encoded(below))["content_share"] == 1


def test_borders_of_different_colours_are_content():
    flag = Image.new("RGB", (300, 300), "white")
    flag.paste(photo(300, 100), (0, 100))
    flag.paste(Image.new("RGB", (300, 100), "black"), (0, 200))
    assert one(encoded(flag))["content_share"] == 1


def test_a_photo_has_no_border():
    for seed in range(40):
        assert one(encoded(photo(256, 200, seed)))["content_share"] == 1


def test_a_dot_on_white_is_not_cut_down_to_the_dot():
    image = Image.new("RGB", (256, 256), "white")
    image.putpixel((100, 100), (0, 0, 0))
    assert one(encoded(image, "PNG"))["content_share"] == 1


def test_content_box_in_the_pixels():
    image = Image.new("RGB", (100, 80), "white")
    image.paste(photo(60, 80), (20, 0))
    assert content_box(pixels(image), 100, 80) == (20, 0, 80, 80)


# --- the hash


def test_the_hash_is_the_usual_one():
    """DCT-II of 32 × 32, the 8 × 8 lowest frequencies against their median, row by row, the first in the highest bit."""
    grey = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(np.uint8)
    at = np.arange(32)
    dct = np.cos(np.pi * np.outer(at[:8], 2 * at + 1) / 64)
    low = dct @ grey.astype(float) @ dct.T
    expected = sum(1 << (63 - k) for k, value in enumerate(low.ravel()) if value > np.median(low))
    assert bits(encoded(Image.fromarray(grey), "PNG")) == expected


def test_lines_are_resized_as_pillow_does():
    at = np.arange(32)
    dct = np.cos(np.pi * np.outer(at[:8], 2 * at + 1) / 64)
    for n in (1, 5, 24, 31, 32, 33, 50, 64):
        line = np.random.default_rng(n).random((1, n)).astype(np.float32)
        resized = np.asarray(Image.fromarray(line).resize((32, 1), Image.Resampling.BILINEAR))[0]
        assert LOW_FREQUENCIES[n, :n].T @ line[0] == pytest.approx(dct @ resized, abs=1e-4)


def test_edits_change_few_bits_and_other_images_many():
    others = [bits(encoded(photo(300, 200, seed))) for seed in range(100, 120)]
    for seed in range(20):
        image = photo(300, 200, seed)
        blob = encoded(image, quality=95)
        assert distance(blob, encoded(image, quality=40)) <= 4
        assert distance(blob, encoded(image.resize((150, 100)))) <= 4
        assert distance(blob, encoded(image.resize((1200, 800)), quality=90)) <= 4
        assert distance(blob, encoded(image.point(lambda v: min(255, int(v * 1.1))))) <= 8
        assert min((bits(blob) ^ other).bit_count() for other in others) > 12
        assert distance(blob, encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > 12


# --- orientation


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(format, orientation):
    upright = photo(120, 80)
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
    blob = encoded(stored, format, exif=exif, **options)
    row = one(blob)
    assert (row["width"], row["height"]) == (120, 80)
    assert distance(blob, encoded(upright, "PNG")) <= 2
    again, width, height = reencode(blob)
    assert (width, height) == (120, 80) and Image.open(io.BytesIO(again)).size == (120, 80)
    assert distance(again, encoded(upright, "PNG")) <= 2 and 0x0112 not in Image.open(io.BytesIO(again)).getexif()


def with_exif(blob: bytes, exif: bytes) -> bytes:
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
    image = photo(64, 48)
    for blob in (with_exif(encoded(image), exif[1]), encoded(image, "PNG", exif=exif[1]), encoded(image, "WEBP", exif=exif[1])):
        row = one(blob)
        assert (row["width"], row["height"]) == (64, 48)


# --- formats and modes


def test_formats():
    image = photo(90, 70)
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"):
        row = one(encoded(image, format))
        assert row["image_format"] == format and (row["width"], row["height"]) == (90, 70) and row["animated"] == 0
        assert distance(encoded(image, format), encoded(image, "PNG")) <= 8


def test_what_is_called_jpeg_need_not_be():
    assert one(encoded(photo(40, 40), "PNG"))["image_format"] == "PNG"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "PA", "I;16", "I", "F", "CMYK", "LAB", "YCbCr"])
def test_modes(mode):
    image = photo(90, 70)
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
        blob = encoded(made, format)
    except (OSError, KeyError):
        pytest.skip(f"Pillow does not write {mode}")
    found = inspect([blob])
    if mode == "LAB":  # needs a colour profile: said, not guessed
        assert found.problems[0] is None or "TIFF" in found.problems[0]
        return
    assert found.problems == [None]
    assert ((found.phash[0] ^ np.uint64(bits(encoded(image.convert("L"), "PNG")))).item().bit_count()) <= 6
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
        encoded(image, "PNG"),
        encoded(image, "WEBP", lossless=True),
        encoded(palette, "PNG"),
        encoded(keyed, "PNG", transparency=0),
        encoded(keyed, "GIF", transparency=0),
        encoded(keyed.convert("RGB"), "PNG", transparency=(0, 0, 0)),
    ):
        again, *_ = reencode(blob, format="PNG")
        assert (np.asarray(Image.open(io.BytesIO(again))) == expected).all()
        assert one(blob)["aspect_ratio"] == 1 and one(blob)["blank_share"] == 1  # the square, without its margin


def test_grey_jpeg_is_as_grey_as_its_rgb():
    grey = photo(200, 100).convert("L")
    assert distance(encoded(grey), encoded(grey.convert("RGB"))) <= 2
    assert one(encoded(grey))["colours"] <= 256


def adobe(blob: bytes, transform: int) -> bytes:
    """With an Adobe marker of this colour transform in place of the one that Pillow wrote."""
    at = blob.index(b"\xff\xeeAdobe"[:2] + b"\x00\x0eAdobe")
    return blob[: at + 15] + bytes([transform]) + blob[at + 16 :]


def test_cmyk_and_ycck_jpeg():
    image = photo(200, 150)
    cmyk = image.convert("CMYK")
    blob = encoded(cmyk)
    assert distance(blob, encoded(image)) <= 6 and inspect([blob]).needs_reencoding[0]
    again, *_ = reencode(blob)
    assert np.abs(np.asarray(Image.open(io.BytesIO(again)), int) - np.asarray(image, int)).mean() < 16
    # The same numbers said to be YCCK are other colours, but they are decoded.
    marked = blob if b"\x00\x0eAdobe" in blob else blob[:2] + b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\x00" + blob[2:]
    assert one(adobe(marked, 2))["width"] == 200 and reencode(adobe(marked, 2))[1:] == (200, 150)


def test_sixteen_bits_of_grey_keep_their_brightness():
    ramp = np.linspace(0, 30000, 100 * 80).reshape(80, 100).astype(np.uint16)
    again, *_ = reencode(encoded(Image.fromarray(ramp), "PNG"))
    assert np.abs(np.asarray(Image.open(io.BytesIO(again)))[:, :, 0].astype(int) - (ramp >> 8)).max() == 0


def test_floats_are_spread_and_need_not_be_finite():
    values = np.linspace(-3, 5, 64 * 64, dtype=np.float32).reshape(64, 64)
    values[0, :3] = np.nan, np.inf, -np.inf
    row = one(encoded(Image.fromarray(values), "TIFF"))
    assert 0.2 < row["contrast"] < 0.4


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animations_are_measured_by_their_first_frame(format):
    frames = [photo(80, 60, seed) for seed in range(3)]
    still = encoded(frames[0], format)
    moving = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100)
    assert one(still)["animated"] == 0 and one(moving)["animated"] == 1
    assert distance(still, moving) <= 4
    assert Image.open(io.BytesIO(reencode(moving)[0])).format in ("PNG", "WEBP")


def test_progressive_jpeg():
    image = photo(300, 200)
    assert distance(encoded(image), encoded(image, progressive=True)) <= 1


# --- files that are no images, or hostile


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
    assert problem(blob).startswith(reason)


def test_truncated_files_are_problems_that_say_so():
    image = photo(300, 200)
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        blob = encoded(image, format)
        for share in (0.1, 0.5, 0.9):
            words = problem(blob[: int(len(blob) * share)])
            assert format in words and words.split()[0] in ("truncated", "damaged"), words
    assert problem(encoded(image)[:5000]).startswith("truncated JPEG: ")
    assert problem(encoded(image)[:-2]).startswith("truncated JPEG: ")
    assert problem(encoded(photo(1200, 900))[:-500]).startswith("truncated JPEG: ")  # decoded at 1/4, read to the end
    assert problem(encoded(image, "PNG")[:5000]).startswith("truncated PNG: ")


def test_no_bytes_make_it_crash():
    rng = np.random.default_rng(7)
    blobs = []
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"):
        blob = encoded(photo(60, 50), format)
        for _ in range(60):
            broken = bytearray(blob)
            for at in rng.integers(0, len(blob) if rng.random() < 0.5 else min(200, len(blob)), 8):
                broken[at] = rng.integers(256)
            blobs.append(bytes(broken))
        blobs += [blob[:n] for n in range(0, 120, 3)]
    found = inspect(blobs, max_pixels=10_000_000)
    assert all(p is None or p for p in found.problems)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def test_a_png_bomb_is_refused_from_its_header():
    row = b"\0" * (1 + 50_000 // 8)
    deflate = zlib.compressobj(9)
    body = b"".join(deflate.compress(row) for _ in range(50_000)) + deflate.flush()
    bomb = png(50_000, 50_000, chunk(b"IDAT", body))
    assert len(bomb) < 400_000
    tracemalloc.start()
    words = problem(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert words == "image of 50,000 × 50,000 = 2,500,000,000 pixels, over images.max_pixels = 100,000,000"
    with pytest.raises(Unreadable, match="over images.max_pixels"):
        reencode(bomb)


def test_sizes_in_other_headers_are_refused_too():
    image = photo(64, 64)
    jpeg = bytearray(encoded(image))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    gif = bytearray(encoded(image, "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    bmp = bytearray(encoded(image, "BMP"))
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    webp = bytearray(encoded(image, "WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", 16383 | 16383 << 14)
    extended = b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\xff\xff" * 2
    for blob in (jpeg, gif, bmp, webp, extended + b"\0" * 60):
        assert "over images.max_pixels" in problem(bytes(blob)), blob[:30]
    assert problem(encoded(image), max_pixels=4000).endswith("= 4,096 pixels, over images.max_pixels = 4,000")
    assert inspect([encoded(image)], max_pixels=4096).problems == [None]


def test_a_jpeg_without_height_is_a_problem():
    jpeg = bytearray(encoded(photo(64, 64)))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 7] = b"\0\0"
    assert problem(bytes(jpeg)) == "image of 64 × 0 pixels"


def test_bombs_in_chunks_of_png():
    bomb = zlib.compress(b"\0" * 80_000_000, 9)
    picture = chunk(b"IDAT", zlib.compress((b"\0" + b"\0" * 8) * 64))
    for kind, body in (
        (b"zTXt", b"Comment\0\0" + bomb),
        (b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        (b"iCCP", b"profile\0\0" + bomb),
    ):
        tracemalloc.start()
        found = inspect([png(64, 64, chunk(kind, body), picture), png(64, 64, picture, chunk(kind, body))])
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()
        assert all(p is None or "PNG" in p for p in found.problems)


def test_a_jpeg_of_thousands_of_scans_is_refused():
    blob = encoded(photo(64, 64), progressive=True)
    at = blob.rindex(b"\xff\xda")
    assert "scans" in problem(blob[:-2] + blob[at:-2] * 500 + b"\xff\xd9")


def test_a_large_jpeg_is_not_decoded_in_full():
    blob = encoded(Image.new("RGB", (8000, 6250), "white"), quality=50)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert one(blob)["width"] == 8000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; 50 megapixels are 200 MB


def test_pillow_stays_as_it_was():
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inspect([png(50_000, 50_000), encoded(photo(20, 20).convert("P"), "PNG", transparency=b"\0\x80")])
    assert Image.MAX_IMAGE_PIXELS == limit and not caught


# --- batches


def test_same_result_in_any_batches():
    blobs: list[bytes | None] = [encoded(photo(40 + 9 * k, 90, k), "PNG" if k % 3 else "JPEG") for k in range(20)]
    blobs[3:3] = [None, b"junk", encoded(Image.new("RGB", (9, 9)))]
    whole, again = inspect(blobs), inspect([memoryview(blob) if blob else blob for blob in blobs])
    for other in (again, *[inspect(blobs[::-1])]):
        step = -1 if other.problems != whole.problems else 1
        assert whole.problems == other.problems[::step]
        for name, values in whole.counters.items():
            assert values.tolist() == other.counters[name].tolist()[::step], name
        assert (whole.descriptors == other.descriptors[::step]).all() and (whole.phash == other.phash[::step]).all()
    for i, blob in enumerate(blobs):
        alone = inspect([blob])
        assert measured(alone).row(0) == measured(whole).row(i)
        assert (alone.descriptors[0] == whole.descriptors[i]).all() and alone.flat[0] == whole.flat[i]


def test_no_images_at_all():
    found = inspect([])
    assert measured(found).shape == (0, len(FROM_IMAGE)) and found.descriptors.shape == (0, DESCRIPTOR_BYTES)


# --- writing


def test_reencode_resizes_once_and_never_enlarges():
    blob = encoded(photo(400, 300))
    for side, expected in ((150, (200, 150)), (300, (400, 300)), (1000, (400, 300)), (None, (400, 300))):
        again, width, height = reencode(blob, shorter_side=side)
        assert (width, height) == expected == Image.open(io.BytesIO(again)).size
    assert Image.open(io.BytesIO(reencode(encoded(photo(3000, 40)), shorter_side=10)[0])).size == (750, 10)


def test_reencode_formats_and_quality():
    blob = encoded(photo(100, 100))
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
    blob = encoded(photo(50, 50), exif=exif, comment=b"secret", icc_profile=b"secret" * 30)
    for format in ("JPEG", "PNG", "WEBP"):
        assert b"secret" not in reencode(blob, format=format)[0]


# --- what readers of shards would fail at, or see otherwise


def segment(marker: int, body: bytes, blob: bytes | None = None) -> bytes:
    """A JPEG with one more segment, in front of the others."""
    blob = blob or encoded(photo(160, 120))
    return blob[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + blob[2:]


def as_readers_see(blob: bytes) -> tuple[int, int]:
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
        segment(0xEE, b"Adobe"), segment(0xE0, b"JFIF\0"), segment(0xE2, b"ICC_PROFILE\0"), segment(0xE1, XMP),
        segment(0xE1, XMP.replace(b'="6"', b">6<")), segment(0xE1, LONG_EXIF), segment(0xE1, b"Exif\0\0junkjunkjunk"),
        encoded(photo(160, 120), "PNG", exif=b"Exif\0\0junkjunkjunk"), encoded(photo(160, 120), "WEBP", exif=b"Exif\0\0junkjunkjunk"),
        encoded(photo(160, 120), "PNG", exif=LONG_EXIF), encoded(photo(160, 120), "WEBP", exif=LONG_EXIF),
        encoded(photo(160, 120), "WEBP", xmp=XMP[29:]), encoded(photo(160, 120), "AVIF"),
    ],
)  # fmt: skip
def test_what_is_kept_as_it_is_is_what_readers_see(blob):
    found = inspect([blob])
    if found.problems[0] is not None:
        return
    width, height = int(found.counters["image_width"][0]), int(found.counters["image_height"][0])
    stored = reencode(blob)[0] if found.needs_reencoding[0] else blob
    assert as_readers_see(stored) == (width, height)
    try:
        assert as_readers_see(blob) == (width, height)
    except (SyntaxError, ValueError, OSError, IndexError):
        assert found.needs_reencoding[0]


def test_a_raw_profile_of_png_is_encoded_anew():
    info = PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n     6\nnothex")
    found = inspect([encoded(photo(160, 120), "PNG", pnginfo=info)])
    assert found.problems == [None] and found.needs_reencoding[0]
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n      {len(LONG_EXIF)}\n{LONG_EXIF.hex()}")
    blob = encoded(photo(160, 120), "PNG", pnginfo=info)
    assert one(blob)["width"] == 120 and as_readers_see(blob) == (120, 160)


def test_a_baseline_jpeg_of_thousands_of_scans_is_refused():
    whole = encoded(photo(64, 64), quality=50)
    tables = whole[: whole.index(b"\xff\xc0")]
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 9000, 9000, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    rest = whole[whole.index(b"\xff\xc4") : whole.index(b"\xff\xda")]
    scans = b"".join(b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1 + k % 3, 0, 0, 63, 0) for k in range(5000))
    assert "scans" in problem(tables + frame + rest + scans + b"\xff\xd9")


@pytest.mark.parametrize(("format", "longest"), [("WEBP", 16_383), ("JPEG", 65_500)])
def test_images_too_long_for_a_format_are_made_smaller(format, longest):
    blob = encoded(photo(longest + 900, 8), "PNG")
    out, width, height = reencode(blob, format=format)
    assert width == longest and height >= 1 and Image.open(io.BytesIO(out)).size == (width, height)
