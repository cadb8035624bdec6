"""Decode an image file, hostile or not, to a picture in RGB: the one place that does.

What is refused is refused from the header, before any pixel is decoded. Nothing here sets anything global in Pillow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from filters.image.formats import FORMATS, MAX_PIXELS, check_scans, check_size, detect_format, webp_size
from filters.image.orientation import Orientation, read_orientation
from filters.image.profiles import convert_to_srgb
from filters.inspected import Blob, Unreadable

# Pictures are measured at about this size: longer side at least LONG where the image has it, and less than twice that.
LONG, SHORT = 128, 64
# From this level on, in every channel, nothing is to be seen on white.
HIDDEN = 244
_USUAL_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


@dataclass(frozen=True, slots=True)
class Opened:
    """A small picture in RGB, and what the file says about the image."""

    picture: Image.Image
    decoded: Image.Image  # what the picture was made from, not turned: all pixels of the image, but for a large JPEG
    width: int  # of the image, upright
    height: int
    format: str
    is_animated: bool
    needs_reencoding: bool  # not upright, or not 8 bits of grey or RGB, which readers of shards expect from Pillow
    orientation: Orientation


def open_small(blob: Blob | None, max_pixels: int = MAX_PIXELS) -> Opened:
    """Open the first frame of an image in RGB, turned upright, at a size for measuring.

    JPEG is decoded at 1/2, 1/4 or 1/8 by its inverse DCT, everything else is reduced by box averages. All of the file is read
    in either case. Raises Unreadable.
    """
    format = detect_format(blob or b"")
    with name_damage(format):
        file = open_image(blob or b"", format, max_pixels)
        is_animated = format not in ("JPEG", "TIFF") and bool(getattr(file, "is_animated", False))
        orientation = read_orientation(file)
        width, height = file.size
        scale = _jpeg_scale(width, height)
        load(file, (width // scale, height // scale), max_pixels)
        if format == "TIFF":
            width, height = file.size  # Pillow may have turned it
        # A JPEG comes small already.
        picture = to_rgb(file, (1, 1) if format == "JPEG" else _box(file.size))
    picture = orientation.turn_upright(picture)
    if orientation.swaps_sides:
        width, height = height, width
    if max(picture.size) >= 2 * LONG + 2:
        picture = picture.reduce(_box(picture.size))
    needs_reencoding = file.mode not in _USUAL_MODES or orientation.value > 1 or orientation.is_risky
    return Opened(picture, file, width, height, format, is_animated, needs_reencoding, orientation)


def open_upright(blob: Blob | None, side: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open the first frame of an image in RGB, turned upright.

    A JPEG may come smaller, decoded at 1/2, 1/4 or 1/8 with no side below `side`. Raises Unreadable.
    """
    format = detect_format(blob or b"")
    with name_damage(format):
        file = open_image(blob or b"", format, max_pixels)
        orientation = read_orientation(file)
        load(file, (side, side), max_pixels)
        picture = to_rgb(file)
    return orientation.turn_upright(picture)


def enlarge(opened: Opened, blob: Blob | None, side: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the picture of an image that `open_small` opened, reduced less.

    It is reduced by averages over square boxes, a JPEG first by its inverse DCT. The longer side has `side`
    pixels at least, where the image has them, and less than twice as many; `side` is more than 2 × LONG. Only a JPEG that was decoded
    smaller is decoded again. Raises Unreadable.
    """
    size = opened.width, opened.height
    if opened.picture.size == size:
        return opened.picture
    with name_damage(opened.format):
        file = opened.decoded
        if opened.format == "JPEG" and (max(file.size) < max(size) or max(size) >= 2 * side):
            file = open_image(blob or b"", opened.format, max_pixels)
            scale = min(1.0, side / max(size))
            load(file, (max(1, round(file.width * scale)), max(1, round(file.height * scale))), max_pixels)
        box = max(1, max(file.size) // side)
        picture = to_rgb(file, (box, box))
    return opened.orientation.turn_upright(picture)


def _jpeg_scale(width: int, height: int) -> int:
    """The largest scale, of those that the inverse DCT can be made at, that leaves `LONG` and `SHORT` pixels."""
    longer, shorter = max(width, height), min(width, height)
    for scale in (8, 4, 2):
        if longer >= scale * LONG and shorter >= scale * SHORT:
            return scale
    return 1


def _box(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the box of pixels that become one pixel of the picture that is measured."""
    return max(1, size[0] // LONG), max(1, size[1] // LONG)


# -- steps that `filters.image.encoding` shares


@contextmanager
def name_damage(format: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an Unreadable that names the format."""
    try:
        yield
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable(f"{format} needs more memory than there is") from None
    except Exception as error:
        message = str(error) or type(error).__name__
        is_truncated = "truncated" in message.lower() or "not enough" in message or isinstance(error, EOFError)
        raise Unreadable(f"{'truncated' if is_truncated else 'damaged'} {format}: {message}") from None


def open_image(blob: Blob, format: str, max_pixels: int) -> ImageFile.ImageFile:
    """Open a file, of which no pixel is decoded yet, and check its limits."""
    if format == "WEBP":
        check_size(*webp_size(blob), max_pixels)
    # Not `Image.open`, which has a limit of its own on pixels that is global.
    file = FORMATS[format](BytesIO(blob))
    check_size(*file.size, max_pixels)
    if format == "JPEG":
        check_scans(blob)
    return file


def load(file: ImageFile.ImageFile, least: tuple[int, int], max_pixels: int) -> None:
    """Decode the pixels of an opened file. A JPEG may come smaller, but not below the width and height of `least`."""
    file.draft(None, least)
    file.load()
    check_size(*file.size, max_pixels)


def to_rgb(image: Image.Image, box: tuple[int, int] = (1, 1)) -> Image.Image:
    """Convert to sRGB of 8 bits; average boxes of pixels in between, where that needs less memory.

    A profile that the file embeds is applied. What is transparent becomes white, or black where white would hide all there is.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        # Numbers that are spread are no colours any more.
        image, profile = _to_8_bits(image), profile if image.mode.startswith("I;16") else None
    elif image.mode == "L" and "transparency" in image.info:
        image = image.convert("LA")
    elif image.mode in ("P", "PA", "1", "YCbCr", "HSV") or "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if box != (1, 1):
        image = image.reduce(box)
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    image = convert_to_srgb(image, profile)
    if image.mode in ("LA", "RGBA"):
        image = _remove_alpha(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _remove_alpha(image: Image.Image) -> Image.Image:
    """Lay an RGBA picture on white, or on black where white would hide it: a white logo, made for a dark page."""
    on_white = Image.new("RGBA", image.size, "white")
    on_white.alpha_composite(image)
    levels: Any = on_white.getextrema()  # least and most of each channel
    opacity: Any = image.getextrema()
    is_hidden = all(low >= HIDDEN for low, _ in levels[:3]) and opacity[3][0] < 128 <= opacity[3][1]
    if not is_hidden:
        return on_white
    on_black = Image.new("RGBA", image.size, "black")
    on_black.alpha_composite(image)
    return on_black


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Convert to 8 bits of grey.

    16-bit grey loses its low byte, as Pillow does with 16-bit RGB. Other numbers are spread from their least to their largest.
    """
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8))
