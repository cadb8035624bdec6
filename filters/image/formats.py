"""What the first bytes of an image file say it is, and the limits that are checked before any pixel is decoded."""

from __future__ import annotations

import re
import zlib

from PIL import ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from filters.inspected import Blob, Unreadable

MAX_PIXELS = 100_000_000
# Every scan of a JPEG goes over the whole picture: real ones have one to ten, a bomb has thousands.
MAX_SCANS = 200
HEAD = 4_096  # bytes that `detect_format` looks at


class _JpegFile(JpegImageFile):
    """A JPEG that is refused by name where it has no pixels; Pillow only says that it does not identify it."""

    def _open(self) -> None:
        super()._open()
        if self.mode:  # the header of the frame was read
            _check_not_empty(*self.size)


# Only these are ever opened: no crawled file reaches an interpreter of PostScript or PDF.
FORMATS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": _JpegFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "AVIF": AvifImageFile,
}

_OTHER_FORMATS = (
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\1\0", "ICO"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
)


def detect_format(blob: Blob) -> str:
    """The one of `FORMATS` that the first bytes are of. Raises Unreadable, naming what it is instead where that is clear."""
    head = bytes(blob[:HEAD])
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
    raise Unreadable(_name_other_format(head))


def _name_other_format(head: bytes) -> str:
    if not head:
        return "empty file"
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(31).decompress(head, HEAD)
        except zlib.error:
            return "not an image: gzip data"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if re.match(rb"<svg|(?:<\?xml|<!--|<!doctype svg)[^\0]*<svg", text):
        return "SVG is not a raster image"
    if re.match(rb"<!doctype html|<html|<head|<body|<\?xml[^\0]*<html", text):
        return "not an image: HTML"
    for prefix, name in _OTHER_FORMATS:
        if head.startswith(prefix):
            return f"{name} is not read; {', '.join(FORMATS)} are"
    if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"mif", b"hev"):
        return f"HEIF is not read; {', '.join(FORMATS)} are"
    return "not an image"


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise Unreadable for an image without pixels or with more than `max_pixels`."""
    _check_not_empty(width, height)
    if width * height > max_pixels:
        raise Unreadable(
            f"image of {width:,} × {height:,} = {width * height:,} pixels, over images.max_pixels = {max_pixels:,}"
        )


def _check_not_empty(width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise Unreadable(f"image of {width:,} × {height:,} pixels")


def check_scans(jpeg: Blob) -> None:
    """Raise Unreadable for a JPEG of more than `MAX_SCANS` scans."""
    scans = bytes(jpeg).count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise Unreadable(f"JPEG of {scans:,} scans, over {MAX_SCANS}")


def webp_size(blob: Blob) -> tuple[int, int]:
    """`(width, height)` of the canvas of a WebP file: libwebp allocates it as soon as the file is opened."""
    head = bytes(blob[:32])
    kind, body = head[12:16], head[20:30]
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
