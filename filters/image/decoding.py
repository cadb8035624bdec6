"""From the bytes of an image file, hostile or not, to pixels: the one place that decodes.

What is refused is refused from the header, before any pixel is decoded; only the formats of `FORMATS` are ever opened, so that
no crawled file reaches an interpreter of PostScript or PDF. Nothing here sets anything global in Pillow.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from filters.kernels import jit

MAX_PIXELS = 100_000_000
# Every scan of a JPEG goes over the whole picture: real ones have one to ten, a bomb has thousands.
MAX_SCANS = 200
# Pictures are measured at about this size: longer side at least LONG where the image has it, and less than twice that.
LONG, SHORT = 128, 64

FORMATS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "AVIF": AvifImageFile,
}
# Longer sides cannot be written.
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
MOST_ENTRIES = 256  # of an EXIF directory; readers that follow all of a longer one take gigabytes
ORIENTATION = 0x0112  # EXIF and TIFF tag
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Blob = bytes | bytearray | memoryview


class Unreadable(ValueError):
    """Why an image cannot be decoded, in words for the ledger."""


@dataclass(slots=True)
class Opened:
    """A picture in RGB, possibly smaller than the image, and what its file says. `width`, `height`: of the image, upright."""

    picture: Image.Image
    width: int
    height: int
    format: str
    animated: bool = False
    # Not 8 bits of grey or RGB: what readers of shards expect to get from Pillow.
    unusual: bool = False


# --- what a file is


def sniff(head: bytes) -> str:
    """The format in `FORMATS` that the first bytes are of. Raises Unreadable, naming what it is instead where that is clear."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith(b"BM"):
        return "BMP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"msf1") and b"avi" in head[8:32]:
        return "AVIF"
    raise Unreadable(_instead(head))


def _instead(head: bytes) -> str:
    if not head:
        return "empty file"
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(31).decompress(head, 4096)
        except zlib.error:
            return "not an image: gzip data"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if re.match(rb"<svg|(?:<\?xml|<!--|<!doctype svg)[^\0]*<svg", text):
        return "SVG is not a raster image"
    if re.match(rb"<!doctype html|<html|<head|<body|<\?xml[^\0]*<html", text):
        return "not an image: HTML"
    for prefix, name in (
        (b"%PDF", "PDF"),
        (b"%!PS", "PostScript"),
        (b"8BPS", "Photoshop"),
        (b"\0\0\1\0", "ICO"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    ):
        if head.startswith(prefix):
            return f"{name} is not read; {', '.join(FORMATS)} are"
    if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"mif", b"hev"):
        return f"HEIF is not read; {', '.join(FORMATS)} are"
    return "not an image"


def check_size(width: int, height: int, max_pixels: int) -> None:
    if width <= 0 or height <= 0:
        raise Unreadable(f"image of {width:,} × {height:,} pixels")
    if width * height > max_pixels:
        raise Unreadable(
            f"image of {width:,} × {height:,} = {width * height:,} pixels, over images.max_pixels = {max_pixels:,}"
        )


def _check_scans(blob: Blob) -> None:
    scans = bytes(blob).count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise Unreadable(f"JPEG of {scans:,} scans, over {MAX_SCANS}")


def _webp_size(head: bytes) -> tuple[int, int]:
    """Canvas of a WebP file: libwebp allocates it as soon as the file is opened."""
    kind, body = head[12:16], head[20:30]
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


@jit
def _read(data, at, size, little):
    value = np.int64(0)
    for k in range(size):
        value |= np.int64(data[at + (k if little else size - 1 - k)]) << (8 * k)
    return value


@jit
def exif_orientation(data, start, end):
    """Orientation, 1 to 8, in the EXIF block `data[start:end]`; 0 where there is none that makes sense, -1 where readers may fail at it.

    Only the entries of the first directory are looked at, in place: no offset is followed but the one to that directory.
    """
    if end - start < 8:
        return -1
    little = data[start] == 0x49
    if _read(data, start, 4, False) != (0x49492A00 if little else 0x4D4D002A):
        return -1
    directory = start + _read(data, start + 4, 4, little)
    if directory + 2 > end:
        return -1
    entries = _read(data, directory, 2, little)
    if entries > MOST_ENTRIES:
        return -1
    for k in range(entries):
        entry = directory + 2 + 12 * k
        if entry + 12 > end:
            return -1
        if _read(data, entry, 2, little) == ORIENTATION:
            kind = _read(data, entry + 2, 2, little)
            value = _read(data, entry + 8, 2 if kind == 3 else 4, little)
            return value if 3 <= kind <= 4 and 1 <= value <= 8 else 0
    return 0


@jit
def _names_orientation(data, start, end):
    """Whether XMP in `data[start:end]` has the word."""
    for at in range(start, end - 10):
        if data[at] == 0x4F and _read(data, at, 7, False) == 0x4F7269656E7461:  # "Orienta"
            return True
    return False


@jit
def jpeg_header(data):
    """`(width, height, components, orientation)` of a JPEG file; components is 0 where it takes Pillow to say what the header means.

    That is so, too, where Pillow's readers might fail at something which libjpeg passes over.
    """
    width = height = components = np.int64(0)
    orientation = 0
    unusual = 0, 0, 0, 0
    n, at = len(data), 2
    while at + 4 <= n:
        if data[at] != 0xFF:
            return unusual
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:
            return unusual
        size = _read(data, at + 2, 2, False)
        body, end = at + 4, at + 2 + size
        if size < 2 or end > n:
            return unusual
        if marker == 0xDA:
            return width, height, components, orientation
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if components or marker > 0xC2 or size < 8 or data[body] != 8:
                return unusual
            height, width, components = (
                _read(data, body + 1, 2, False),
                _read(data, body + 3, 2, False),
                np.int64(data[body + 5]),
            )
        elif marker == 0xE1 and size >= 8 and _read(data, body, 6, False) == 0x457869660000:  # "Exif\0\0"; the first counts
            found = exif_orientation(data, body + 6, end)
            if found < 0:
                return unusual
            orientation = orientation or found
        elif marker == 0xE1 and _names_orientation(data, body, end):
            return unusual
        # JFIF, ICC profiles and Adobe's: too short for what Pillow reads of them.
        elif (marker == 0xE0 or marker == 0xE2) and size < 16 or marker == 0xEE and size < 14:
            return unusual
        at = end
    return unusual


# --- decoding


def jpeg_scale(width: int, height: int, long: int = LONG, short: int = SHORT) -> int:
    """The largest scale, of those that the inverse DCT can be made at, that leaves `long` and `short` pixels."""
    longer, shorter = (width, height) if width > height else (height, width)
    for scale in (8, 4, 2):
        if longer >= scale * long and shorter >= scale * short:
            return scale
    return 1


def _open_jpeg(blob: Blob, max_pixels: int, long: int = LONG, short: int = SHORT) -> Opened | None:
    """An ordinary JPEG, without building an `ImageFile`: half the time of a small image goes into that. None: not ordinary."""
    width, height, components, orientation = jpeg_header(np.frombuffer(blob, np.uint8))
    if components != 1 and components != 3:
        return None
    check_size(width, height, max_pixels)
    _check_scans(blob)
    scale = jpeg_scale(width, height, long, short)
    size = (width + scale - 1) // scale, (height + scale - 1) // scale
    try:
        picture = Image.frombytes("RGB", size, blob, "jpeg", "RGB", "", scale, 0)
    except Exception:
        return None  # what is wrong with it is found, and said, on the ordinary way
    if orientation > 1:
        picture = picture.transpose(TRANSPOSE[orientation])
        if orientation > 4:
            width, height = height, width
    return Opened(picture, width, height, "JPEG", unusual=orientation > 1)


def _image_file(blob: Blob, format: str, max_pixels: int) -> ImageFile.ImageFile:
    """The opened file, of which no pixel is decoded yet."""
    if format == "WEBP":
        check_size(*_webp_size(bytes(blob[:32])), max_pixels)
    # Not `Image.open`, which tries every format, and has a limit of its own on pixels that is global.
    file = FORMATS[format](BytesIO(blob))
    check_size(*file.size, max_pixels)
    if format == "JPEG":
        _check_scans(blob)
    return file


# As Pillow looks for it, in attributes and in elements.
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([0-9])")
_RAW_PROFILE = "Raw profile type exif"  # a text chunk of PNG, in hexadecimal


def _orientation(file: ImageFile.ImageFile) -> tuple[int, bool]:
    """Orientation, 1 to 8, as readers see it: by EXIF, else by XMP; and whether readers may fail at the metadata."""
    if isinstance(file, TiffImageFile):  # Pillow turns it upright itself
        return 1, False
    exif, broken, found = file.info.get("exif"), False, 0
    if not isinstance(exif, bytes) and _RAW_PROFILE in file.info:
        try:
            exif, broken = bytes.fromhex("".join(file.info[_RAW_PROFILE].split("\n")[3:])), True
        except (ValueError, TypeError, AttributeError):
            return 1, True
    if isinstance(exif, bytes):
        exif = exif.removeprefix(b"Exif\0\0")
        found = int(exif_orientation(np.frombuffer(exif, np.uint8), 0, len(exif)))
        broken = broken or found < 0
    if found <= 0:
        xmp = file.info.get("XML:com.adobe.xmp") or file.info.get("xmp") or b""
        match = _XMP_ORIENTATION.search(xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp)
        found = int(match[1]) if match else 1
    return (found if 1 <= found <= 8 else 1), broken


def _to_8_bits(im: Image.Image) -> Image.Image:
    """16-bit grey loses its low byte, as Pillow does with 16-bit RGB; other numbers are spread from their least to their largest."""
    values = np.asarray(im)
    if im.mode.startswith("I;16"):
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8))


def _is_unusual(im: Image.Image) -> bool:
    return im.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


def to_rgb(im: Image.Image, factor: tuple[int, int] = (1, 1)) -> Image.Image:
    """`im` in RGB of 8 bits, what is transparent in white, reduced by whole factors in between where that needs less memory."""
    if im.mode.startswith(("I", "F")):
        im = _to_8_bits(im)
    elif im.mode in ("P", "PA", "1") or "transparency" in im.info:
        im = im.convert("RGBA" if im.mode == "PA" or "transparency" in im.info else "RGB")
    if factor != (1, 1):
        im = im.reduce(factor)
    if im.mode in ("LA", "La", "RGBA", "RGBa"):
        im = im.convert("RGBA")
        white = Image.new("RGBA", im.size, "white")
        white.alpha_composite(im)
        im = white
    return im if im.mode == "RGB" else im.convert("RGB")


@contextmanager
def _naming(format: str) -> Iterator[None]:
    """Turns whatever a decoder raises into an Unreadable that names the format."""
    try:
        yield
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable(f"{format} needs more memory than there is") from None
    except Exception as error:
        words = str(error) or type(error).__name__
        truncated = "truncated" in words.lower() or "not enough" in words or isinstance(error, EOFError)
        raise Unreadable(f"{'truncated' if truncated else 'damaged'} {format}: {words}") from None


def _open_any(blob: Blob, max_pixels: int) -> Opened:
    format = sniff(bytes(blob[:4096]))
    with _naming(format):
        file = _image_file(blob, format, max_pixels)
        animated = format not in ("JPEG", "TIFF") and bool(getattr(file, "is_animated", False))
        orientation, broken = _orientation(file)
        width, height = file.size
        file.draft(None, _draft_size(width, height))
        file.load()
        check_size(*file.size, max_pixels)
        if format == "TIFF":
            width, height = file.size  # it may have been turned
        picture = to_rgb(file, (max(1, file.width // LONG), max(1, file.height // LONG)))
    if orientation > 1:
        picture = picture.transpose(TRANSPOSE[orientation])
        if orientation > 4:
            width, height = height, width
    return Opened(picture, width, height, format, animated, _is_unusual(file) or orientation > 1 or broken)


def _draft_size(width: int, height: int) -> tuple[int, int]:
    scale = jpeg_scale(width, height)
    return width // scale, height // scale


def open_small(blob: Blob | None, max_pixels: int = MAX_PIXELS) -> Opened:
    """The image in RGB at a size for measuring, turned upright: the first frame, where there are several.

    JPEG is decoded at 1/2, 1/4 or 1/8 by its inverse DCT, everything else is reduced by box averages; all of the file is read in
    either case. Raises Unreadable.
    """
    if not blob:
        raise Unreadable("empty file")
    opened = _open_jpeg(blob, max_pixels) if blob[0] == 0xFF and len(blob) > 3 and blob[1] == 0xD8 else None
    if opened is None:
        opened = _open_any(blob, max_pixels)
    size = opened.picture.size
    if max(size) >= 2 * LONG + 2:
        opened.picture = opened.picture.reduce((max(1, size[0] // LONG), max(1, size[1] // LONG)))
    return opened


def open_upright(blob: Blob | None, shorter_side: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame in RGB, turned upright; a JPEG may come smaller, decoded at 1/2, 1/4 or 1/8 with no side below `shorter_side`.

    Raises Unreadable.
    """
    if not blob:
        raise Unreadable("empty file")
    format = sniff(bytes(blob[:4096]))
    opened = _open_jpeg(blob, max_pixels, shorter_side, shorter_side) if format == "JPEG" else None
    if opened is not None:
        return opened.picture
    with _naming(format):
        file = _image_file(blob, format, max_pixels)
        orientation, _ = _orientation(file)
        file.draft(None, (shorter_side, shorter_side))
        file.load()
        check_size(*file.size, max_pixels)
        picture = to_rgb(file)
    return picture.transpose(TRANSPOSE[orientation]) if orientation > 1 else picture


def pixels(picture: Image.Image) -> np.ndarray:
    """uint8, four bytes a pixel, of a small RGB picture: Pillow's own memory, which lives as long as the array."""
    array: Any = pa.array(picture)
    buffer = array.buffers()[-1]
    return np.frombuffer(buffer, np.uint8)


# --- encoding


def reencode(
    blob: Blob, *, shorter_side: int | None = None, format: str | None = None, quality: int = 90, max_pixels: int = MAX_PIXELS
) -> tuple[bytes, int, int]:
    """`(bytes, width, height)` of the image upright, in RGB of 8 bits, with a shorter side of at most `shorter_side`.

    Resized once, by Lanczos' filter, and never enlarged; made smaller where the format has no such sides. `format`: JPEG, PNG or
    WEBP; None keeps one of those three and makes PNG of others. Metadata is left out. Same bytes for the same image and the same
    version of Pillow. Raises Unreadable.
    """
    found = sniff(bytes(blob[:4096]))
    with _naming(found):
        file = _image_file(blob, found, max_pixels)
        orientation, _ = _orientation(file)
        format = format or (found if found in ("JPEG", "PNG", "WEBP") else "PNG")
        size = _target(file.size, shorter_side, LONGEST_SIDE.get(format))
        # Twice as large as needed at the least, so that it is Lanczos that decides how the image looks.
        file.draft(None, (2 * size[0], 2 * size[1]))
        file.load()
        check_size(*file.size, max_pixels)
        size = (
            _target(file.size, shorter_side, LONGEST_SIDE.get(format)) if found == "TIFF" else size
        )  # it may have been turned
        picture = to_rgb(file)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation > 1:
        picture = picture.transpose(TRANSPOSE[orientation])
    picture.info = {}  # Pillow would write an ICC profile and comments from there
    out = BytesIO()
    picture.save(out, format, **({} if format == "PNG" else {"quality": quality}))
    return out.getvalue(), *picture.size


def _target(size: tuple[int, int], shorter_side: int | None, longest: int | None) -> tuple[int, int]:
    scale = min(1.0, (shorter_side or min(size)) / min(size), (longest or max(size)) / max(size))
    return size if scale == 1 else (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
