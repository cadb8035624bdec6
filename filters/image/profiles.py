"""Convert pictures to sRGB by the ICC profile that their file embeds.

Readers of pixels take RGB for sRGB. Where a file says that its numbers mean other colours (Display P3, Adobe RGB, inks of a
press), leaving its profile out shifts them by up to tens of levels.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# What LittleCMS and Pillow take by default, and browsers for photographs. Profiles of a matrix and curves have one table for
# all intents, so that it matters for inks alone.
INTENT = ImageCms.Intent.PERCEPTUAL
# Kinds of profiles that say what the numbers of a device mean; others (links, abstract ones, named colours) say something else.
_DEVICES = ("scnr", "mntr", "prtr", "spac")
_SPACES = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_OUTPUTS = {"RGBA": "RGBA"}  # Pillow carries the alpha channel over; other modes become RGB
# Profiles of sRGB differ in the last digits of their curves and colorants: at most 2 levels over `_colours`.
SAME_LEVELS = 2
_STEPS = 9  # of a channel, in the colours by which a transform is compared with none


def convert_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in sRGB by an ICC profile, the perceptual intent and LittleCMS; alpha stays.

    `image` is in L, LA, RGB, RGBA, CMYK or LAB. It is returned as it is where the profile is missing, broken, of another kind of
    colours than the image, or one of sRGB. LAB (of TIFF) needs no profile.
    """
    if image.mode == "LA":
        grey, alpha = image.split()
        converted = convert_to_srgb(grey, profile)
        if converted is grey:
            return image
        converted.putalpha(alpha)
        return converted
    if image.mode not in _SPACES or not (profile or image.mode == "LAB"):
        return image
    transform = _find_transform(bytes(profile or b""), image.mode)
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=32)
def _find_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB for pictures of `mode`; None where nothing is to be done."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile) if mode != "LAB" else ImageCms.createProfile("LAB"))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        if mode != "LAB" and source.profile.device_class.strip() not in _DEVICES:
            return None
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, mode, _OUTPUTS.get(mode, "RGB"), INTENT)
        return None if mode in ("L", "RGB", "RGBA") and _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform leaves every colour where it is, but for `SAME_LEVELS`."""
    colours = _colours(mode)
    before, after = (np.asarray(picture.convert("RGB"), np.int16) for picture in (colours, transform.apply(colours)))
    return int(np.abs(before - after).max()) <= SAME_LEVELS


def _colours(mode: str) -> Image.Image:
    """Make a picture of all greys, or of colours over the whole cube."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, _STEPS).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(1, -1, 3)
    return Image.fromarray(np.ascontiguousarray(cube)).convert(mode)
