"""Measure one small picture: its content, what the measures count in it, its hashes and its descriptor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from filters.image.borders import content_box, core_box, is_drawing
from filters.image.colours import (
    BLANK,
    CONTENT_HEIGHT,
    CONTENT_WIDTH,
    NEARLY_BLANK,
    fill_numbers,
    share_of_blank_blocks,
)
from filters.image.fingerprint import CORE, FLAT_LEVELS, INNER, VIEW_BYTES, WHOLE, fill_view, frequencies, hash_frequencies
from filters.image.thumbnail import grey_levels, make_thumbnail, mean_and_deviation
from filters.kernels import jit


def pixel_bytes(picture: Image.Image) -> np.ndarray:
    """uint8, four bytes a pixel, of a small RGB picture: Pillow's own memory, which lives as long as the array."""
    array: Any = pa.array(picture)
    return np.frombuffer(array.buffers()[-1], np.uint8)


@jit
def describe(pixels, width, height, low_frequencies, count_log_count, numbers, hashes, descriptor):
    """Fill in the numbers, hashes and descriptor of the picture `pixels`. The box of the content is in its pixels.

    `low_frequencies` and `count_log_count` are the tables of `filters.image.fingerprint` and `filters.image.colours`.
    """
    content = content_box(pixels, width, height)
    thumbnail = make_thumbnail(pixels, width, *content)
    grey = grey_levels(thumbnail)
    mean, deviation = mean_and_deviation(grey)
    fill_numbers(thumbnail, grey, deviation, count_log_count, numbers)
    if numbers[BLANK] > NEARLY_BLANK:
        numbers[BLANK] = min(numbers[BLANK], share_of_blank_blocks(pixels, width, thumbnail, *content))
    if is_drawing(pixels, width, height, *content):
        numbers[CONTENT_WIDTH], numbers[CONTENT_HEIGHT] = width, height
    else:
        numbers[CONTENT_WIDTH], numbers[CONTENT_HEIGHT] = content[2] - content[0], content[3] - content[1]
    # A view that the picture does not have is a copy of its content.
    hashes[:] = hash_frequencies(frequencies(grey, low_frequencies))
    content_view, core_view = descriptor[:VIEW_BYTES], descriptor[VIEW_BYTES:]
    fill_view(grey, thumbnail, mean, deviation, content_view)
    core_view[:] = content_view
    if deviation < FLAT_LEVELS:
        return

    rows, columns = grey.shape
    down, across = (rows + 32) // 64, (columns + 32) // 64
    if down or across:
        inner = grey[down : rows - down, across : columns - across].copy()  # loops over strided arrays are slow
        hashes[INNER] = hash_frequencies(frequencies(inner, low_frequencies))
    left, top, right, bottom = core_box(thumbnail.ravel(), columns, rows)
    if (right - left) * (bottom - top) < rows * columns:
        core = grey[top:bottom, left:right].copy()
        mean, deviation = mean_and_deviation(core)
        if deviation >= FLAT_LEVELS:
            hashes[CORE] = hash_frequencies(frequencies(core, low_frequencies))
            fill_view(core, thumbnail[top:bottom, left:right].copy(), mean, deviation, core_view)
    if content != (0, 0, width, height):
        grey = grey_levels(make_thumbnail(pixels, width, 0, 0, width, height))
        hashes[WHOLE] = hash_frequencies(frequencies(grey, low_frequencies))
