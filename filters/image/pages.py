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
def _find_edges(n):
    """`(first, last, start, end)`: of each of `CELLS` equal parts of a line of n values, the values that it covers in full, from `first`
    up to `last`, and how much it has of the value before them and of `last`.
    """
    size = n / CELLS
    first, last = np.empty(CELLS, np.int64), np.empty(CELLS, np.int64)
    start, end = np.zeros(CELLS), np.zeros(CELLS)
    for k in range(CELLS):
        low, high = k * size, (k + 1) * size
        first[k], last[k] = int(np.ceil(low)), min(int(high), n)
        if first[k] > last[k]:  # within one value
            first[k] = last[k] + 1
            start[k] = high - low
        else:
            start[k] = first[k] - low
            end[k] = high - last[k] if last[k] < n else 0.0
    return first, last, start, end


@jit
def _spread(values, edges, out):
    """Fill `out` with means over equal parts of the line `values`, whose edges may fall within a value."""
    first, last, start, end = edges
    size = len(values) / len(out)
    for k in range(len(out)):
        total = 0.0
        if start[k] > 0:
            total += values[first[k] - 1] * start[k]
        for x in range(first[k], last[k]):
            total += values[x]
        if end[k] > 0:
            total += values[last[k]] * end[k]
        out[k] = total / size


@jit
def fill_page(pixels, width, height, image_width, image_height, out):
    """Fill in the row of a page, a picture `pixels` of an image of another size."""
    out[_IS_PAGE] = 1
    image_width, image_height = min(image_width, 65535), min(image_height, 65535)
    out[_SIZE], out[_SIZE + 1] = image_width >> 8, image_width & 255
    out[_SIZE + 2], out[_SIZE + 3] = image_height >> 8, image_height & 255
    line, across = np.empty(width), np.empty((height, CELLS))
    edges = _find_edges(width)
    colour_sums = np.zeros((3, 4 * width), np.int32)
    for y in range(height):
        row = pixels[4 * width * y : 4 * width * (y + 1)]
        colours = colour_sums[3 * y // height]
        for k in range(len(row)):
            colours[k] += np.int32(row[k])
        for x in range(width):
            line[x] = 0.299 * np.float64(row[4 * x]) + 0.587 * np.float64(row[4 * x + 1]) + 0.114 * np.float64(row[4 * x + 2])
        _spread(line, edges, across[y])
    _fill_colours(colour_sums, height, out[_COLOURS:])
    first, last, start, end = _find_edges(height)
    sums = np.empty(CELLS)
    for v in range(CELLS):
        sums[:] = 0
        if start[v] > 0:
            sums += across[first[v] - 1] * start[v]
        for y in range(first[v], last[v]):
            sums += across[y]
        if end[v] > 0:
            sums += across[last[v]] * end[v]
        for u in range(CELLS):
            out[_CELLS + v * CELLS + u] = np.uint8(sums[u] / (height / CELLS) + 0.5)


@jit
def _fill_colours(sums, height, out):
    """Fill in the mean differences of red and blue to grey in 3 × 3 cells, whose columns are not summed yet."""
    width = sums.shape[1] // 4
    for v in range(3):
        rows = (v * height + height + 2) // 3 - (v * height + 2) // 3
        red, green, blue, count = np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(3, np.int64)
        for x in range(width):
            u = 3 * x // width
            red[u] += sums[v, 4 * x]
            green[u] += sums[v, 4 * x + 1]
            blue[u] += sums[v, 4 * x + 2]
            count[u] += rows
        for u in range(3):
            grey = 299 * red[u] + 587 * green[u] + 114 * blue[u]
            pixels = 1000 * max(count[u], 1)
            out[6 * v + 2 * u] = np.uint8(min(max((257 * pixels + 1000 * red[u] - grey) // (2 * pixels), 0), 255))
            out[6 * v + 2 * u + 1] = np.uint8(min(max((257 * pixels + 1000 * blue[u] - grey) // (2 * pixels), 0), 255))


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
