"""What the measures count in a thumbnail: colours, how evenly grey levels are used, contrast, and the share of the most frequent colour."""

from __future__ import annotations

import numpy as np

from filters.image.thumbnail import SIDE
from filters.kernels import inline, jit, slots_for

# Columns of the numbers of an image; width and height of the content are in pixels of the picture that is measured.
CONTENT_WIDTH, CONTENT_HEIGHT, COLOURS, ENTROPY, CONTRAST, BLANK = range(6)
NUMBERS = 6
SAME_COLOUR = 12  # levels, of 256, within which a pixel has "the same" colour as the most frequent one
# Where more than this is of one colour, blocks are looked at for what is small or faint, such as stars: so many each way, and a pixel of
# the picture that is measured is another colour from so many levels on. JPEG leaves less than 2 on one colour.
NEARLY_BLANK, BLOCKS, FAINT = 0.9, 16, 6
# count × log2(count), for the entropy of up to 64 × 64 pixels
_COUNTS = np.arange(SIDE * SIDE + 1)
COUNT_LOG_COUNT = _COUNTS * np.log2(np.maximum(_COUNTS, 1))


@jit
def fill_numbers(thumbnail, grey, deviation, count_log_count, out):
    """Fill in float64[NUMBERS], but for the size of the content. `deviation`: of `grey`, in levels."""
    values, levels = thumbnail.ravel(), grey.ravel()
    n = len(levels)
    colours = np.empty(n, np.int32)
    histogram = np.zeros(256, np.int32)
    for k in range(n):
        colours[k] = np.int32(values[4 * k]) << 16 | np.int32(values[4 * k + 1]) << 8 | np.int32(values[4 * k + 2])
        histogram[np.int32(np.float32(levels[k]) * np.float32(0.001) + np.float32(0.5))] += 1
    entropy = 0.0
    for count in histogram:
        entropy += count_log_count[count]
    out[COLOURS] = _count_distinct(colours)
    out[ENTROPY] = max(0.0, np.log2(n) - entropy / n)
    out[CONTRAST] = deviation / 255
    out[BLANK] = share_of_most_frequent(colours)


@jit
def _count_distinct(colours):
    """Count the different values in `colours` (24 bits each)."""
    size = slots_for(len(colours))
    table = np.zeros(size, np.uint32)
    count = 0
    for colour in colours:
        key = np.uint32(colour + 1)  # 0 is an empty slot
        slot = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)) & np.uint64(size - 1)
        while table[slot] != 0 and table[slot] != key:
            slot = (slot + np.uint64(1)) & np.uint64(size - 1)
        if table[slot] == 0:
            table[slot] = key
            count += 1
    return count


@inline
def _box(colour):
    """Number, 0 to 4095, of the box of 16³ colours that `colour` (24 bits) is in."""
    return np.int64(colour >> 12 & 0xF00 | colour >> 8 & 0xF0 | colour >> 4 & 0xF)


@jit
def most_frequent_colour(colours):
    """`(r, g, b)`: the mean of the fullest of 16³ boxes of colours, of 24 bits each."""
    counts = np.zeros(4096, np.int32)
    for colour in colours:
        counts[_box(colour)] += 1
    fullest = np.argmax(counts)
    r = g = b = np.int32(0)
    for colour in colours:
        if _box(colour) == fullest:
            r += colour >> 16
            g += colour >> 8 & 0xFF
            b += colour & 0xFF
    count = counts[fullest]
    return np.int32(r // count), np.int32(g // count), np.int32(b // count)


@jit
def share_of_most_frequent(colours):
    """Share of pixels close to the most frequent colour."""
    r, g, b = most_frequent_colour(colours)
    same = np.int32(0)
    for k in range(len(colours)):
        colour = colours[k]
        red, green, blue = colour >> 16, colour >> 8 & 0xFF, colour & 0xFF
        is_close = (abs(red - r) <= SAME_COLOUR) & (abs(green - g) <= SAME_COLOUR) & (abs(blue - b) <= SAME_COLOUR)
        same += np.int32(is_close)
    return same / len(colours)


@jit
def share_of_blank_blocks(pixels, width, thumbnail, left, top, right, bottom):
    """Share of the blocks of a box of the picture that hold nothing but the most frequent colour of its thumbnail."""
    values = thumbnail.ravel()
    colours = np.empty(len(values) // 4, np.int32)
    for k in range(len(colours)):
        colours[k] = np.int32(values[4 * k]) << 16 | np.int32(values[4 * k + 1]) << 8 | np.int32(values[4 * k + 2])
    r, g, b = most_frequent_colour(colours)
    is_drawn = np.zeros((BLOCKS, BLOCKS), np.bool_)
    for y in range(top, bottom):
        blocks = is_drawn[BLOCKS * (y - top) // (bottom - top)]
        for x in range(left, right):
            p = 4 * (y * width + x)
            d = max(abs(np.int32(pixels[p]) - r), abs(np.int32(pixels[p + 1]) - g), abs(np.int32(pixels[p + 2]) - b))
            if d > FAINT:
                blocks[BLOCKS * (x - left) // (right - left)] = True
    return 1 - is_drawn.sum() / (BLOCKS * BLOCKS)
