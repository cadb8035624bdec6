"""Encode images anew: smaller, upright, in RGB of 8 bits, without metadata."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from filters.image.decoding import load, name_damage, open_image, to_rgb
from filters.image.formats import MAX_PIXELS, detect_format
from filters.image.orientation import read_orientation
from filters.inspected import Blob

ENCODED_FORMATS = ("JPEG", "PNG", "WEBP")
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}  # longer sides cannot be written


def reencode(
    blob: Blob, *, shorter_side: int | None = None, format: str | None = None, quality: int = 90, max_pixels: int = MAX_PIXELS
) -> tuple[bytes, int, int]:
    """Return `(bytes, width, height)` of the image upright, in RGB of 8 bits, with a shorter side of at most `shorter_side`.

    It is resized once, by Lanczos' filter, and never enlarged; it becomes smaller where the format has no such sides. `format`
    is JPEG, PNG or WEBP; None keeps one of those three and makes PNG of others. Metadata are left out. The same image and
    version of Pillow give the same bytes. Raises Unreadable.
    """
    source_format = detect_format(blob)
    format = format or (source_format if source_format in ENCODED_FORMATS else "PNG")
    longest_side = LONGEST_SIDE.get(format)
    with name_damage(source_format):
        file = open_image(blob, source_format, max_pixels)
        orientation = read_orientation(file)
        size = _target_size(file.size, shorter_side, longest_side)
        # Twice as large as needed at the least, so that Lanczos decides how the image looks.
        load(file, (2 * size[0], 2 * size[1]), max_pixels)
        if source_format == "TIFF":  # Pillow may have turned it
            size = _target_size(file.size, shorter_side, longest_side)
        picture = to_rgb(file)
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    picture = orientation.turn_upright(picture)
    picture.info = {}  # Pillow would write an ICC profile and comments from there
    out = BytesIO()
    picture.save(out, format, **({} if format == "PNG" else {"quality": quality}))
    return out.getvalue(), *picture.size


def _target_size(size: tuple[int, int], shorter_side: int | None, longest: int | None) -> tuple[int, int]:
    scale = min(1.0, (shorter_side or min(size)) / min(size), (longest or max(size)) / max(size))
    return size if scale == 1 else (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
