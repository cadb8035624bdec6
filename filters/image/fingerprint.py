"""The perceptual hashes that near duplicates of an image are found by, and the descriptor that `similarity` verifies them by."""

from __future__ import annotations

import numpy as np

from filters.image.pages import LARGE, PAGE_BYTES, is_moved, longer_side, page_difference
from filters.image.thumbnail import SIDE, cell_edges
from filters.kernels import above_median, jit

# Views of a picture that are hashed: the content; its core (`core_box`); the content without 1.6 % on every side; the whole
# picture. A copy that was cropped, framed or letterboxed shares a view with the original where it does not share the content.
CONTENT, CORE, INNER, WHOLE = range(4)
VIEWS = 4
GRID = 12  # cells of a descriptor's view each way
COLOUR_GRID = 3
VIEW_BYTES = GRID * GRID + 2 * COLOUR_GRID * COLOUR_GRID
COARSE_BYTES = 2 * VIEW_BYTES  # of content and core
DESCRIPTOR_BYTES = COARSE_BYTES + PAGE_BYTES

# Below this deviation, in levels, a hash is made of noise: JPEG at quality 40 leaves less than half of it on one colour.
FLAT_LEVELS = 2.55
# Bounds of `similarity`, chosen by benchmarks/images.py: cells may differ by so much, of 256 where the deviation is 40, as the
# root of the mean square; the worst of them by so many times what three quarters of them stay below (and 2); colours by so much
# of 128.
# Captions are gathered of images that differ at most so much of what near duplicates may.
NEARLY_IDENTICAL = 0.6
NEAR_IDENTITY = 0.94
ACCEPT, MOST_EVERYWHERE, MOST_SOMEWHERE, MOST_COLOUR = 0.9, 8.0, 2.8, 20.0


def _low_frequencies() -> np.ndarray:
    """float32[65, 64, 8]: for a line of n pixels, what each adds to the eight lowest frequencies of the line at 32 pixels.

    A triangle filter (Pillow's BILINEAR) resizes to 32, then DCT-II: both are linear, so that they make one matrix per n.
    """
    size, kept = 32, 8
    dct = np.cos(np.pi * np.arange(kept)[:, None] * (2 * np.arange(size) + 1) / (2 * size))
    out = np.zeros((SIDE + 1, SIDE, kept), np.float32)
    for n in range(1, SIDE + 1):
        scale = n / size
        support = max(1.0, scale)
        centres = (np.arange(size) + 0.5) * scale
        weights = np.clip(1 - np.abs(np.arange(n) + 0.5 - centres[:, None]) / support, 0, None)
        weights /= weights.sum(axis=1, keepdims=True)
        out[n, :n] = (dct @ weights).T
    return out


LOW_FREQUENCIES = _low_frequencies()


@jit
def frequencies(grey, table):
    """float32[8, 8]: the lowest frequencies, rows downwards, of the picture `grey` resized to 32 × 32, times a constant."""
    rows, columns = grey.shape
    down = np.zeros((8, columns), np.float32)
    for y in range(rows):
        row = grey[y]
        for j in range(8):
            weight, sums = table[rows, y, j], down[j]
            for x in range(columns):
                sums[x] += weight * np.float32(row[x])
    out = np.zeros((8, 8), np.float32)
    for j in range(8):
        for x in range(columns):
            value, weights, sums = down[j, x], table[columns, x], out[j]
            for k in range(8):
                sums[k] += weights[k] * value
    return out


@jit
def hash_frequencies(values):
    """uint64: a bit is set where a frequency is above the median, from the mean in bit 63 on, row by row, as in `imagehash.phash`."""
    return above_median(values.ravel())


@jit
def _cell_means(values):
    """float64[GRID, GRID]: means over equal cells, whose edges may fall within pixels."""
    rows, columns = values.shape
    # Sums over everything above and left of a point: here at pixels, between which they are linear. 64 × 64 × 255,000 < 2³¹.
    sums = np.zeros((rows + 1, columns + 1), np.int32)
    for y in range(rows):
        line = np.int32(0)
        row, above, below = values[y], sums[y], sums[y + 1]
        for x in range(columns):
            line = np.int32(line + row[x])
            below[x + 1] = above[x + 1] + line
    across = np.empty((rows + 1, GRID + 1))  # the same at the cells' edges, line by line
    for i in range(GRID + 1):
        x = i * columns / GRID
        x0 = min(int(x), columns - 1)
        part = x - x0
        for y in range(rows + 1):
            across[y, i] = sums[y, x0] + (sums[y, x0 + 1] - sums[y, x0]) * part
    out = np.empty((GRID, GRID))
    area = rows * columns / (GRID * GRID)
    above = np.zeros(GRID + 1)
    below = np.empty(GRID + 1)
    for j in range(GRID):
        y = (j + 1) * rows / GRID
        y0 = min(int(y), rows - 1)
        part = y - y0
        for i in range(GRID + 1):
            below[i] = across[y0, i] + (across[y0 + 1, i] - across[y0, i]) * part
        for i in range(GRID):
            out[j, i] = (below[i + 1] - above[i + 1] - below[i] + above[i]) / area
        above[:] = below
    return out


@jit
def _colour_means(thumbnail):
    """float64[3, 3, 3]: means of red, green and blue over about equal cells (of one pixel at least)."""
    rows, columns = thumbnail.shape[:2]
    out = np.empty((3, COLOUR_GRID, COLOUR_GRID))
    across, down = cell_edges(columns, COLOUR_GRID), cell_edges(rows, COLOUR_GRID)
    for j in range(COLOUR_GRID):
        for i in range(COLOUR_GRID):
            bottom, right = max(down[j + 1], down[j] + 1), max(across[i + 1], across[i] + 1)
            r = g = b = np.int64(0)
            for y in range(down[j], bottom):
                for x in range(across[i], right):
                    r += thumbnail[y, x, 0]
                    g += thumbnail[y, x, 1]
                    b += thumbnail[y, x, 2]
            area = (bottom - down[j]) * (right - across[i])
            out[0, j, i], out[1, j, i], out[2, j, i] = r / area, g / area, b / area
    return out


@jit
def _byte(value):
    return np.uint8(min(max(value + 0.5, 0.0), 255.0))


@jit
def fill_view(grey, thumbnail, mean, deviation, out):
    """Fill in a view of a descriptor: 12 × 12 of grey, mean 128 and deviation 40, then 3 × 3 of each colour difference."""
    gain = 40 / max(deviation, 4.0)
    at = 0
    for value in _cell_means(grey).ravel():
        out[at] = _byte(128 + (value / 1000 - mean) * gain)
        at += 1
    means = _colour_means(thumbnail)
    for channel in (0, 2):
        for j in range(COLOUR_GRID):
            for i in range(COLOUR_GRID):
                luma = 0.299 * means[0, j, i] + 0.587 * means[1, j, i] + 0.114 * means[2, j, i]
                out[at] = _byte(128 + (means[channel, j, i] - luma) / 2)
                at += 1


@jit
def _range_after_shift(cells, y, x):
    """`(low, high)`: what the mean of cell (y, x) can become by a shift of at most half a cell."""
    value = np.float32(cells[y * GRID + x])
    low = high = value
    for v in range(max(y - 1, 0), min(y + 2, GRID)):
        for u in range(max(x - 1, 0), min(x + 2, GRID)):
            between = (value + np.float32(cells[v * GRID + u])) / 2
            low, high = min(low, between), max(high, between)
    return low, high


@jit
def _difference(a, b):
    """How far two views differ, where 1 is as far as near duplicates may; see `similarity`."""
    histogram = np.zeros(256, np.int32)
    squares, worst = 0.0, np.float32(0)
    for y in range(GRID):
        for x in range(GRID):
            k = y * GRID + x
            va, vb = np.float32(a[k]), np.float32(b[k])
            histogram[abs(np.int32(a[k]) - np.int32(b[k]))] += 1
            low_a, high_a = _range_after_shift(a, y, x)
            low_b, high_b = _range_after_shift(b, y, x)
            beyond = max(np.float32(0), va - high_b, low_b - va, vb - high_a, low_a - vb)
            squares += beyond * beyond
            if 0 < min(y, x) and max(y, x) < GRID - 1:  # what is left of a border is along the edges
                worst = max(worst, beyond)
    quartile, passed = 0, 0
    while passed + histogram[quartile] <= GRID * GRID * 3 // 4:
        passed += histogram[quartile]
        quartile += 1
    colour = np.int32(0)
    for k in range(GRID * GRID, VIEW_BYTES):
        colour = max(colour, abs(np.int32(a[k]) - np.int32(b[k])))
    everywhere = np.sqrt(squares / (GRID * GRID)) / MOST_EVERYWHERE
    somewhere = worst / (MOST_SOMEWHERE * (2 + quartile))
    return max(everywhere, somewhere, colour / MOST_COLOUR)


@jit
def similarity(descriptors, i, j):
    """Similarity of images i and j, 0 to 1. Near duplicates have `ACCEPT` or more, by their contents or by their cores.

    A difference between cells counts as far as a shift by half a cell, which cropping brings about, does not explain it. What
    remains must be small on the whole and small in colour. It must not be in one place while everything else is the same, as it
    is where two screenshots or icons have different writing on them. Two pages (`filters.image.pages`) are compared cell by cell instead;
    where one was cropped or framed, so that its cells lie elsewhere, their similarity is as above, but below `NEAR_IDENTITY`.
    """
    content = _difference(descriptors[i, :VIEW_BYTES], descriptors[j, :VIEW_BYTES])
    core = _difference(descriptors[i, VIEW_BYTES:COARSE_BYTES], descriptors[j, VIEW_BYTES:COARSE_BYTES])
    difference = min(content, core)
    first, second = descriptors[i, COARSE_BYTES:], descriptors[j, COARSE_BYTES:]
    if len(first) > 0 and first[0] and second[0]:
        page = page_difference(first, second)
        if page > 1 and difference <= 1 and is_moved(first, second):
            difference = max(difference, NEARLY_IDENTICAL + 0.1)
        elif min(longer_side(first), longer_side(second)) >= LARGE:
            difference = page
        else:
            difference = max(difference, page)
    return max(0.0, 1 - (1 - ACCEPT) * difference)


@jit
def similarities(descriptors, left, right):
    """float32: the similarity of every pair of images `left[k]`, `right[k]`."""
    out = np.empty(len(left), np.float32)
    for k in range(len(left)):
        out[k] = similarity(descriptors, left[k], right[k])
    return out
