"""How an image has to be turned to be upright, by its metadata as readers of images see them: EXIF, else XMP."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

MOST_ENTRIES = 256  # of an EXIF directory; readers that follow all of a longer one take gigabytes
_TAG = 0x0112  # orientation, in EXIF and TIFF
_SHORT, _LONG = 3, 4  # types of EXIF values: 16 and 32 bits
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# As Pillow looks for it, in attributes and in elements.
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([0-9])")
_RAW_PROFILE = "Raw profile type exif"  # a text chunk of PNG, in hexadecimal


class Orientation(NamedTuple):
    """An EXIF orientation: 1 is upright, and from 5 on width and height change places."""

    value: int
    is_risky: bool  # whether readers may fail at the metadata

    @property
    def swaps_sides(self) -> bool:
        return self.value > 4

    def turn_upright(self, picture: Image.Image) -> Image.Image:
        return picture.transpose(_TRANSPOSE[self.value]) if self.value > 1 else picture


def read_orientation(file: ImageFile.ImageFile) -> Orientation:
    """Read the orientation of an opened image."""
    if isinstance(file, TiffImageFile):  # Pillow turns it upright itself
        return Orientation(1, False)
    exif, is_risky, value = file.info.get("exif"), False, 0
    if not isinstance(exif, bytes) and _RAW_PROFILE in file.info:
        try:
            exif, is_risky = bytes.fromhex("".join(file.info[_RAW_PROFILE].split("\n")[3:])), True
        except (ValueError, TypeError, AttributeError):
            return Orientation(1, True)
    if isinstance(exif, bytes):
        in_exif = exif_orientation(exif.removeprefix(b"Exif\0\0"))
        is_risky = is_risky or in_exif is None
        value = in_exif or 0
    if not value:
        xmp = file.info.get("XML:com.adobe.xmp") or file.info.get("xmp") or b""
        match = _XMP_ORIENTATION.search(xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp)
        value = int(match[1]) if match else 1
    return Orientation(value if 1 <= value <= 8 else 1, is_risky)


def exif_orientation(exif: bytes) -> int | None:
    """Orientation, 1 to 8, in a block of EXIF; 0 where it gives none that makes sense, None where readers may fail at the block.

    Only the entries of the first directory are looked at: no offset is followed but the one to that directory.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return None
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    if directory + 2 > len(exif):
        return None
    (entries,) = struct.unpack_from(f"{order}H", exif, directory)
    if entries > MOST_ENTRIES:
        return None
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        if entry + 12 > len(exif):
            return None
        tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
        if tag == _TAG:
            (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", exif, entry + 8)
            return value if kind in (_SHORT, _LONG) and 1 <= value <= 8 else 0
    return 0
