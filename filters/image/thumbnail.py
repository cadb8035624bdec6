"""Thumbnails: the content of a picture, each side reduced by box averages to at most 64 pixels.

The numbers and hashes of an image are computed from its thumbnail, and so hardly depend on its resolution.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import inline, jit

SIDE = 64  # of a thumbnail, at most


@inline
def cell_edges(n, cells):
    """int64[cells + 1]: where each of `cells` about equal parts of n pixels begins."""
    return np.arange(cells + 1) * n // cells


@jit
def make_thumbnail(pixels, width, left, top, right, bottom):
    """uint8[rows, columns, 4]: box averages of the pixels in the box. The last byte of a pixel is not used."""
    columns, rows = min(SIDE, right - left), min(SIDE, bottom - top)
    out = np.empty((rows, columns, 4), np.uint8)
    if columns == right - left and rows == bottom - top:
        for y in range(rows):
            start = 4 * ((top + y) * width + left)
            out[y].ravel()[:] = pixels[start : start + 4 * columns]
        return out
    across, down = cell_edges(right - left, columns), cell_edges(bottom - top, rows)
    per_column = np.empty(4 * columns, np.float32)
    for x in range(columns):
        per_column[4 * x : 4 * x + 4] = 1 / (across[x + 1] - across[x])
    sums = np.empty(4 * columns, np.int32)
    line = np.empty(4 * (right - left), np.int32)  # sums down the columns of one row of cells
    for y in range(rows):
        line[:] = 0
        for v in range(down[y], down[y + 1]):
            start = 4 * ((top + v) * width + left)
            pixel_row = pixels[start : start + len(line)]
            for k in range(len(line)):
                line[k] += pixel_row[k]
        for x in range(columns):
            first = across[x]
            r, g, b = line[4 * first], line[4 * first + 1], line[4 * first + 2]
            for k in range(first + 1, across[x + 1]):
                r += line[4 * k]
                g += line[4 * k + 1]
                b += line[4 * k + 2]
            sums[4 * x], sums[4 * x + 1], sums[4 * x + 2], sums[4 * x + 3] = r, g, b, 0
        per_row = np.float32(1 / (down[y + 1] - down[y]))
        cells = out[y].ravel()
        for k in range(4 * columns):
            cells[k] = np.uint8(np.int32(np.float32(sums[k]) * (per_column[k] * per_row) + np.float32(0.5)))
    return out


@jit
def grey_levels(thumbnail):
    """int32[rows, columns] in thousandths of a level: 64 × 64 of them add up to less than 2³¹."""
    out = np.empty(thumbnail.shape[:2], np.int32)
    levels, values = out.ravel(), thumbnail.ravel()
    for k in range(len(levels)):
        levels[k] = 299 * np.int32(values[4 * k]) + 587 * np.int32(values[4 * k + 1]) + 114 * np.int32(values[4 * k + 2])
    return out


@jit
def mean_and_deviation(grey):
    """Mean and standard deviation of grey levels, 0 to 255."""
    total = squares = np.int64(0)
    for y in range(grey.shape[0]):
        row = grey[y]
        for x in range(len(row)):
            total += row[x]
            squares += np.int64(row[x]) * np.int64(row[x])
    mean = total / grey.size
    return mean / 1000, np.sqrt(max(0.0, squares / grey.size - mean * mean)) / 1000
