"""Decode images and make what their measures are computed from.

| counter | |
|---|---|
| `image_width` `image_height` | of the image upright, in pixels |
| `content_width` `content_height` | the same without uniform borders (`filters.image.borders`) |
| `n_colours` `grey_entropy` `grey_contrast` `modal_share` | of the content, each side reduced to at most 64 pixels |
| `animated` | 1 where there are several frames, else 0 |
| `image_bytes` | size of the file |
| `image_format` `image_phash` | strings; None where the image could not be decoded |
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from filters.image import colours
from filters.image.decoding import open_small, open_upright
from filters.image.fingerprint import COARSE_BYTES, CONTENT, DESCRIPTOR_BYTES, FLAT_LEVELS, LOW_FREQUENCIES, VIEWS
from filters.image.formats import MAX_PIXELS
from filters.image.pages import FINE, fill_page, is_page
from filters.image.pixels import describe, pixel_bytes
from filters.inspected import Blob, Inspected, Unreadable
from filters.registry import Counters


def inspect(blobs: Sequence[Blob | None], *, max_pixels: int = MAX_PIXELS) -> Inspected:
    """Decode and measure images, each on its own: a result does not depend on what else is in the batch.

    Not for several threads of one process at once: it silences warnings of Pillow, which Python does for all threads.
    """
    n = len(blobs)
    numbers = np.zeros((n, colours.NUMBERS))
    hashes = np.zeros((n, VIEWS), np.uint64)
    descriptors = np.zeros((n, DESCRIPTOR_BYTES), np.uint8)
    needs_reencoding, is_animated = np.zeros(n, bool), np.zeros(n, np.int8)
    # Widths and heights, of images upright and of the pictures that are measured.
    sizes, measured_sizes = np.zeros((n, 2), np.int64), np.ones((n, 2), np.int64)
    formats, phashes = np.full(n, None, object), np.full(n, None, object)
    problems: list[str | None] = [None] * n
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, blob in enumerate(blobs):
            try:
                opened = open_small(blob, max_pixels)
            except Unreadable as problem:
                problems[i] = str(problem)
                continue
            width, height = opened.picture.size
            tables = LOW_FREQUENCIES, colours.COUNT_LOG_COUNT
            pixels = pixel_bytes(opened.picture)
            describe(pixels, width, height, *tables, numbers[i], hashes[i], descriptors[i, :COARSE_BYTES])
            if is_page(pixels):
                page = open_upright(blob, FINE, max_pixels, is_reduced=True)
                fill_page(pixel_bytes(page), *page.size, opened.width, opened.height, descriptors[i, COARSE_BYTES:])
            sizes[i], measured_sizes[i] = (opened.width, opened.height), (width, height)
            formats[i], phashes[i] = opened.format, f"{int(hashes[i, CONTENT]):016x}"
            is_animated[i], needs_reencoding[i] = opened.is_animated, opened.needs_reencoding
    content = numbers[:, [colours.CONTENT_WIDTH, colours.CONTENT_HEIGHT]]
    content_sizes = np.rint(content * sizes / measured_sizes).astype(np.int64)
    counters: Counters = {
        "image_width": sizes[:, 0],
        "image_height": sizes[:, 1],
        "content_width": content_sizes[:, 0],
        "content_height": content_sizes[:, 1],
        "n_colours": numbers[:, colours.COLOURS].astype(np.int32),
        "grey_entropy": numbers[:, colours.ENTROPY],
        "grey_contrast": numbers[:, colours.CONTRAST],
        "modal_share": numbers[:, colours.BLANK],
        "animated": is_animated,
        "image_bytes": np.array([len(blob or b"") for blob in blobs], np.int64),
        "image_format": formats,
        "image_phash": phashes,
    }
    flat = np.array([format is None for format in formats], bool) | (numbers[:, colours.CONTRAST] < FLAT_LEVELS / 255)
    return Inspected(counters, problems, hashes, flat, descriptors, needs_reencoding)
