"""Pages: pictures of mostly one colour (slides, forms, tables, screenshots, sheet music), which are compared at a higher resolution.

What tells two slides of one deck apart is some letters. In the 12 × 12 cells of a descriptor they hardly show, so that a page has a
second view of 64 × 64 cells. Two pages of one template lie on one another exactly, and every cell must agree. A copy that was cropped or
framed does not lie so: where the profiles of rows and of columns both say that it was moved, the cells are not compared.
"""

from __future__ import annotations

import numpy as np

from filters.image.colours import share_of_most_frequent
from filters.kernels import jit

# From this share of one colour on a picture is a page: of 26 kinds of drawn pages the least has 0.43, of photos few have more.
PAGE_SHARE = 0.35
FINE = 512  # pixels of the longer side at which a page is looked at, and less than twice that
SAMPLE = 4096  # pixels by which the share is told
CELLS = 64
# Row of a page: 1 (0: no page), width and height (16 bits each), the cells, two colour differences over 3 × 3.
_IS_PAGE, _SIZE, _CELLS = 0, 1, 5
_COLOURS = _CELLS + CELLS * CELLS
PAGE_BYTES = _COLOURS + 18
# Most by which pages of one template may differ, in levels after contrast and brightness are made equal: one cell, and the mean of
# 2 × 2, of pages in one size and of others. Measured over 13 edits of 26 kinds of pages: copies of one size, JPEG from quality 40 on,
# differ by 9 and 6 at most, of other sizes by 25 and 12; different pages by 12 or 7 (a digit; dark letters on dark), then by 54
# and 21.
SAME_SIZE, OTHER_SIZE = (10.0, 6.5), (28.0, 14.0)
# Below this longer side, in pixels, cells are of few pixels: copies differ more, as the square of how much smaller the smaller one is.
# There the cells alone do not make a near duplicate.
LARGE = 384
# Contrast of copies may differ by so much, either way. Where it differs by more than `SAME_GAIN` the size does not matter: what is
# brighter than white is lost.
MOST_GAIN, SAME_GAIN = 1.4, 0.03
# A copy that was made brighter is so in this share of cells at least, and nowhere darker; by this factor at most, less where white
# ends it. Such a copy is no more than a near duplicate.
BRIGHTER_SHARE, MOST_BRIGHTER, BRIGHTER_DIFFERENCE = 0.1, 1.2, 0.7
MOST_COLOUR = 20.0  # of 128, of the colour differences
# How far profiles are moved in search of a fit, and how much of the misfit may be left, on both axes: pages of one template have one size.
_SCALES = np.arange(-12, 15) / 100 + 1
_SHIFTS = np.arange(-16, 17) / 4  # cells
_LEFT_OF_SAME_SIZE, _LEFT_OF_OTHER_SIZE = 0.6, 0.85
_MOVED_AT_SAME_SIZE, _MOVED_AT_OTHER_SIZE = 0.01, 0.004  # share of the variance that must be unexplained in place


@jit
def is_page(pixels):
    """Whether so many pixels of an RGB picture, four bytes each, are of one colour."""
    step = max(1, len(pixels) // (4 * SAMPLE))
    colours = np.empty((len(pixels) // 4 + step - 1) // step, np.int32)
    for k in range(len(colours)):
        p = 4 * k * step
        colours[k] = np.int32(pixels[p]) << 16 | np.int32(pixels[p + 1]) << 8 | np.int32(pixels[p + 2])
    return share_of_most_frequent(colours) >= PAGE_SHARE


@jit
def _spread(values, out):
    """Fill `out` with means over equal parts of the line `values`, whose edges may fall within a value."""
    n, cells = len(values), len(out)
    size = n / cells
    out[:] = 0
    for x in range(n):
        first = min(int(x / size), cells - 1)
        last = min(int((x + 1) / size), cells - 1)
        for k in range(first, last + 1):
            part = min(x + 1.0, (k + 1) * size) - max(float(x), k * size)
            if part > 0:
                out[k] += values[x] * part
    out /= size


@jit
def fill_page(pixels, width, height, image_width, image_height, out):
    """Fill in the row of a page, a picture `pixels` of an image of another size."""
    out[_IS_PAGE] = 1
    image_width, image_height = min(image_width, 65535), min(image_height, 65535)
    out[_SIZE], out[_SIZE + 1] = image_width >> 8, image_width & 255
    out[_SIZE + 2], out[_SIZE + 3] = image_height >> 8, image_height & 255
    line, across = np.empty(width), np.empty((CELLS, height))
    cells = np.empty(CELLS)
    colours = np.zeros((3, 3, 3))
    for y in range(height):
        for x in range(width):
            p = 4 * (y * width + x)
            r, g, b = np.float64(pixels[p]), np.float64(pixels[p + 1]), np.float64(pixels[p + 2])
            line[x] = 0.299 * r + 0.587 * g + 0.114 * b
            sums = colours[3 * y // height, 3 * x // width]
            sums[0] += r - line[x]
            sums[1] += b - line[x]
            sums[2] += 1
        _spread(line, cells)
        across[:, y] = cells
    for k in range(9):
        sums = colours[k // 3, k % 3]
        for channel in range(2):
            out[_COLOURS + 2 * k + channel] = np.uint8(min(max(128.5 + sums[channel] / max(sums[2], 1.0) / 2, 0.0), 255.0))
    for x in range(CELLS):
        _spread(across[x], cells)
        for y in range(CELLS):
            out[_CELLS + y * CELLS + x] = np.uint8(cells[y] + 0.5)


@jit
def _fit_contrast(a, b):
    """`(gain, offset)` that bring the values b nearest to a."""
    n = len(a)
    mean_a, mean_b = a.mean(), b.mean()
    both = squares = 0.0
    for k in range(n):
        both += (a[k] - mean_a) * (b[k] - mean_b)
        squares += (b[k] - mean_b) * (b[k] - mean_b)
    gain = min(max(both / max(squares, 1e-9), 1 / MOST_GAIN), MOST_GAIN)
    return gain, mean_a - gain * mean_b


@jit
def _misfit(a, b, scale, shift):
    """Share of a profile's variance that the other, moved by `scale` about its centre and by `shift`, leaves unexplained."""
    n = len(a)
    x, y = np.empty(n), np.empty(n)
    m = 0
    for k in range(n):
        at = scale * (k + 0.5 - n / 2) + shift + n / 2 - 0.5
        if 0 <= at <= n - 1:
            i = min(int(at), n - 2)
            x[m] = a[k]
            y[m] = b[i] + (b[i + 1] - b[i]) * (at - i)
            m += 1
    gain, offset = _fit_contrast(x[:m], y[:m])
    left = variance = 0.0
    mean = x[:m].mean()
    for k in range(m):
        left += (x[k] - gain * y[k] - offset) ** 2
        variance += (x[k] - mean) ** 2
    return left / max(variance, 1e-9)


@jit
def _fits_elsewhere(a, b, least_misfit, most_left):
    """Whether profile b fits a better where it is scaled and shifted than where it lies."""
    in_place = _misfit(a, b, 1.0, 0.0)
    if in_place < least_misfit:
        return False
    for scale in _SCALES:
        for shift in _SHIFTS:
            if _misfit(a, b, scale, shift) <= most_left * in_place:
                return True
    return False


@jit
def _has_same_size(a, b):
    same = True
    for k in range(_SIZE, _CELLS):
        same &= a[k] == b[k]
    return same


@jit
def longer_side(page):
    """Pixels of the longer side of the image that a page's row is of."""
    width, height = np.int64(page[_SIZE]) << 8 | page[_SIZE + 1], np.int64(page[_SIZE + 2]) << 8 | page[_SIZE + 3]
    return max(width, height, 1)


@jit
def _largest(rest):
    """`(cell, mean)`: the largest of the differences of cells, and of the means of 2 × 2."""
    rest = rest.reshape(CELLS, CELLS)
    cell = mean = 0.0
    for v in range(CELLS - 1):
        for u in range(CELLS - 1):
            cell = max(cell, abs(rest[v, u]))
            mean = max(mean, abs(rest[v, u] + rest[v, u + 1] + rest[v + 1, u] + rest[v + 1, u + 1]) / 4)
    return cell, mean


@jit
def page_difference(a, b):
    """How far the rows of two pages differ, where they lie on one another; 1 is as far as copies may."""
    x, y = a[_CELLS:_COLOURS].astype(np.float64), b[_CELLS:_COLOURS].astype(np.float64)
    gain, offset = _fit_contrast(x, y)
    cell, mean = _largest(x - gain * y - offset)
    colour = 0.0
    for k in range(_COLOURS, PAGE_BYTES):
        colour = max(colour, abs(np.float64(a[k]) - np.float64(b[k])))
    is_plain_copy = abs(gain - 1) <= SAME_GAIN
    is_plain_copy &= _has_same_size(a, b)
    smallness = max(1.0, LARGE / min(longer_side(a), longer_side(b)))
    most = SAME_SIZE if is_plain_copy else OTHER_SIZE
    difference = max(cell / most[0], mean / most[1])
    if difference > 1:
        for dark, bright in ((x, y), (y, x)):
            if (bright - dark >= 2).mean() < BRIGHTER_SHARE:
                continue
            cell, mean = _largest(bright - np.minimum(np.maximum(bright, dark), MOST_BRIGHTER * dark))
            difference = min(difference, max(BRIGHTER_DIFFERENCE, cell / OTHER_SIZE[0], mean / OTHER_SIZE[1]))
    return max(difference / (smallness * smallness), colour / MOST_COLOUR)


@jit
def is_moved(a, b):
    """Whether one of two pages was cropped or framed: rows and columns both fit better elsewhere than where they lie."""
    x = a[_CELLS:_COLOURS].astype(np.float64).reshape(CELLS, CELLS)
    y = b[_CELLS:_COLOURS].astype(np.float64).reshape(CELLS, CELLS)
    if _has_same_size(a, b):
        least, left = _MOVED_AT_SAME_SIZE, _LEFT_OF_SAME_SIZE
    else:
        least, left = _MOVED_AT_OTHER_SIZE, _LEFT_OF_OTHER_SIZE
    rows_fit = _fits_elsewhere(x.sum(axis=1), y.sum(axis=1), least, left)
    return rows_fit and _fits_elsewhere(x.sum(axis=0), y.sum(axis=0), least, left)
