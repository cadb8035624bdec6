"""Compiled loops over the pixels of one small picture: its content box, what the measures count, its hash and its descriptor.

Pixels come as Pillow keeps RGB: four bytes each, the last unused. Everything but the content box is computed on a *thumbnail*: the
content, each side reduced by box averages to at most 64 pixels. So the numbers of an image hardly depend on its resolution.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import above_median, inline, jit, slots_for

SIDE = 64  # of the thumbnail, at most
# Views of one picture that are hashed: the content; its core (`core_box`); the content without 1.6 % on every side; all of it.
# A copy that was cropped, framed or letterboxed has a view in common with the original, where it has not the same content.
CONTENT, CORE, INNER, WHOLE = range(4)
VIEWS = 4
GRID = 12  # cells of a descriptor's view each way
COLOUR_GRID = 3
VIEW_BYTES = GRID * GRID + 2 * COLOUR_GRID * COLOUR_GRID
DESCRIPTOR_BYTES = 2 * VIEW_BYTES  # of content and core

# Columns of the numbers that `describe` fills in.
CONTENT_WIDTH, CONTENT_HEIGHT, COLOURS, ENTROPY, CONTRAST, BLANK = range(6)
NUMBERS = 6

# A line is border where its pixels are this close to the border's colour, in levels: on average, and all but one in 32 of them.
BORDER_MEAN, BORDER_FAR = 6, 32
# JPEG spreads what is beside an edge over its blocks, at quality 75 by little, at 50 by this much: so many lines, at most, more.
BLURRED_MEAN, BLURRED_LINES = 14, 8
# Less of the image than one in so many each way is not what remains after a border, but the drawing itself.
SMALLEST_CONTENT = 16
# Of the core: the margins are smoother, a frame may hide a margin which hides another, and it is a quarter of the content at least.
CORE_MEAN, CORE_ROUNDS, SMALLEST_CORE = 4, 3, 4
# Below this deviation, in levels, a hash is made of noise: JPEG at quality 40 leaves less than half of it on one colour.
FLAT_LEVELS = 2.55
# Bounds of `similarity`, chosen by benchmarks/images.py: cells may differ by so much, of 256 where the deviation is 40, as the root
# of the mean square; the worst of them by so many times what three quarters of them stay below (and 2); colours by so much of 128.
ACCEPT, MOST_EVERYWHERE, MOST_SOMEWHERE, MOST_COLOUR = 0.9, 8.0, 2.8, 20.0
# Levels, of 256, within which a pixel has "the same" colour as the most frequent one.
SAME_COLOUR = 12


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
# count × log2(count), for the entropy of up to 64 × 64 pixels
C_LOG_C = np.arange(SIDE * SIDE + 1) * np.log2(np.maximum(np.arange(SIDE * SIDE + 1), 1))


@jit
def _is_border(pixels, start, count, step, r, g, b, mean=BORDER_MEAN):
    """Whether `count` pixels from byte `start`, `step` bytes apart, are all about the colour (r, g, b)."""
    total = far = 0
    for k in range(count):
        p = start + k * step
        d = max(abs(np.int64(pixels[p]) - r), abs(np.int64(pixels[p + 1]) - g), abs(np.int64(pixels[p + 2]) - b))
        total += d
        far += d > BORDER_FAR
        if mean == BORDER_MEAN and 32 * far > count or total > mean * count:
            return False
    return True


@jit
def _mean_colour(pixels, start, count, step):
    r = g = b = 0
    for k in range(count):
        p = start + k * step
        r += pixels[p]
        g += pixels[p + 1]
        b += pixels[p + 2]
    return r // count, g // count, b // count


@jit
def _margins(pixels, lines, length, line_step, step):
    """How many of the first and of the last lines are a border: of one colour, the same on both sides; (0, 0) where one has none."""
    last = (lines - 1) * line_step
    r, g, b = _mean_colour(pixels, 0, length, step)
    if not (_is_border(pixels, 0, length, step, r, g, b) and _is_border(pixels, last, length, step, r, g, b)):
        return 0, 0
    before = after = 1
    while before < lines and _is_border(pixels, before * line_step, length, step, r, g, b):
        before += 1
    while after < lines - before and _is_border(pixels, last - after * line_step, length, step, r, g, b):
        after += 1
    for _ in range(BLURRED_LINES):
        if before + after < lines and _is_border(pixels, before * line_step, length, step, r, g, b, BLURRED_MEAN):
            before += 1
        if before + after < lines and _is_border(pixels, last - after * line_step, length, step, r, g, b, BLURRED_MEAN):
            after += 1
    if (lines - before - after) * SMALLEST_CONTENT < lines or 8 * abs(before - after) > max(8, before + after):
        return 0, 0
    return before, after


@jit
def content_box(pixels, width, height):
    """`(left, top, right, bottom)` without the borders: those that letterboxing, a frame or a margin put on two opposite sides."""
    top, bottom = _margins(pixels, height, width, 4 * width, 4)
    # Columns between what has been cut: beside a letterbox they would not be of one colour.
    left, right = _margins(pixels[4 * width * top :], width, height - top - bottom, 4, 4 * width)
    if top == 0 and left > 0:
        # Perhaps a frame whose top the picture's columns hid: look again, inside.
        top, bottom = _margins(pixels[4 * left :], height, width - left - right, 4 * width, 4)
    return left, top, width - right, height - bottom


@inline
def _edges(n, cells):
    """int64[cells + 1]: where each of `cells` about equal parts of n pixels begins."""
    return np.arange(cells + 1) * n // cells


@jit
def core_box(pixels, width, left, top, right, bottom):
    """The box without margins of one colour on any side, and without what margins those hid: what stays the same under a new frame."""
    least_across, least_down = (right - left) // SMALLEST_CORE, (bottom - top) // SMALLEST_CORE
    for _ in range(CORE_ROUNDS):
        before = left, top, right, bottom
        for side in range(4):
            # Lines from this side inwards: the first pixel, pixels in a line, steps from line to line and along a line.
            across, down = right - left, bottom - top
            if side == 0:
                start, lines, length, line_step, step = top * width + left, down, across, width, 1
            elif side == 1:
                start, lines, length, line_step, step = (bottom - 1) * width + left, down, across, -width, 1
            elif side == 2:
                start, lines, length, line_step, step = top * width + left, across, down, 1, width
            else:
                start, lines, length, line_step, step = top * width + right - 1, across, down, -1, width
            r, g, b = _mean_colour(pixels, 4 * start, length, 4 * step)
            cut = 0
            most = lines - (least_down if side < 2 else least_across)
            while cut < most and _is_border(pixels, 4 * (start + cut * line_step), length, 4 * step, r, g, b, CORE_MEAN):
                cut += 1
            if cut == most:
                cut = 0
            if side == 0:
                top += cut
            elif side == 1:
                bottom -= cut
            elif side == 2:
                left += cut
            else:
                right -= cut
        if before == (left, top, right, bottom):
            break
    return left, top, right, bottom


@jit
def _thumbnail(pixels, width, left, top, right, bottom):
    """uint8[rows, columns, 4]: box averages of the pixels in the box."""
    columns, rows = min(SIDE, right - left), min(SIDE, bottom - top)
    out = np.empty((rows, columns, 4), np.uint8)
    if columns == right - left and rows == bottom - top:
        for y in range(rows):
            start = 4 * ((top + y) * width + left)
            out[y].ravel()[:] = pixels[start : start + 4 * columns]
        return out
    across, down = _edges(right - left, columns), _edges(bottom - top, rows)
    per_column = np.empty(4 * columns, np.float32)
    for x in range(columns):
        per_column[4 * x : 4 * x + 4] = 1 / (across[x + 1] - across[x])
    sums = np.empty(4 * columns, np.int32)
    line = np.empty(4 * (right - left), np.int32)  # sums down the columns of one row of cells
    for y in range(rows):
        line[:] = 0
        for v in range(down[y], down[y + 1]):
            start = 4 * ((top + v) * width + left)
            of_row = pixels[start : start + len(line)]
            for k in range(len(line)):
                line[k] += of_row[k]
        for x in range(columns):
            first = across[x]
            r, g, b = line[4 * first], line[4 * first + 1], line[4 * first + 2]
            for k in range(first + 1, across[x + 1]):
                r += line[4 * k]
                g += line[4 * k + 1]
                b += line[4 * k + 2]
            sums[4 * x], sums[4 * x + 1], sums[4 * x + 2], sums[4 * x + 3] = r, g, b, 0
        per_row = np.float32(1 / (down[y + 1] - down[y]))
        of_cells = out[y].ravel()
        for k in range(4 * columns):
            of_cells[k] = np.uint8(np.int32(np.float32(sums[k]) * (per_column[k] * per_row) + np.float32(0.5)))
    return out


@jit
def _distinct(colours):
    """Number of different values in `colours` (24 bits each)."""
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
def _modal_share(colours):
    """Share of pixels about the colour that most have: the mean of the fullest of 16³ boxes of colours, and what is close to it."""
    counts = np.zeros(4096, np.int32)
    for colour in colours:
        counts[_box(colour)] += 1
    best = np.argmax(counts)
    r = g = b = np.int32(0)
    for colour in colours:
        if _box(colour) == best:
            r += colour >> 16
            g += colour >> 8 & 0xFF
            b += colour & 0xFF
    many = counts[best]
    r, g, b = np.int32(r // many), np.int32(g // many), np.int32(b // many)
    same = np.int32(0)
    for k in range(len(colours)):
        colour = colours[k]
        red, green, blue = colour >> 16, colour >> 8 & 0xFF, colour & 0xFF
        close = (abs(red - r) <= SAME_COLOUR) & (abs(green - g) <= SAME_COLOUR) & (abs(blue - b) <= SAME_COLOUR)
        same += np.int32(close)
    return same / len(colours)


@jit
def _frequencies(grey, table):
    """float32[8, 8]: lowest frequencies, rows downwards, of the picture `grey` resized to 32 × 32, times a constant."""
    rows, columns = grey.shape
    down = np.zeros((8, columns), np.float32)
    for y in range(rows):
        of_row = grey[y]
        for j in range(8):
            weight, sums = table[rows, y, j], down[j]
            for x in range(columns):
                sums[x] += weight * np.float32(of_row[x])
    out = np.zeros((8, 8), np.float32)
    for j in range(8):
        for x in range(columns):
            value, weights, sums = down[j, x], table[columns, x], out[j]
            for k in range(8):
                sums[k] += weights[k] * value
    return out


@jit
def _hash(frequencies):
    """Bit 63 is the mean, then row by row: set where a frequency is above the median. The convention of `imagehash.phash`."""
    return above_median(frequencies.ravel())


@jit
def _cell_means(values):
    """float64[GRID, GRID]: means over equal cells, whose edges may fall within pixels."""
    rows, columns = values.shape
    # Sums over everything above and left of a point, at whole pixels; between them they are linear. 64 × 64 × 255,000 < 2³¹.
    sums = np.zeros((rows + 1, columns + 1), np.int32)
    for y in range(rows):
        line = np.int32(0)
        of_row, above, below = values[y], sums[y], sums[y + 1]
        for x in range(columns):
            line = np.int32(line + of_row[x])
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
    across, down = _edges(columns, COLOUR_GRID), _edges(rows, COLOUR_GRID)
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
def _grey(thumbnail):
    """int32[rows, columns] in thousandths of a level: 64 × 64 of them add up to less than 2³¹."""
    out = np.empty(thumbnail.shape[:2], np.int32)
    levels, values = out.ravel(), thumbnail.ravel()
    for k in range(len(levels)):
        levels[k] = 299 * np.int32(values[4 * k]) + 587 * np.int32(values[4 * k + 1]) + 114 * np.int32(values[4 * k + 2])
    return out


@jit
def _mean_and_deviation(grey):
    """Of grey levels, 0 to 255."""
    total = squares = np.int64(0)
    for y in range(grey.shape[0]):
        of_row = grey[y]
        for x in range(len(of_row)):
            total += of_row[x]
            squares += np.int64(of_row[x]) * np.int64(of_row[x])
    mean = total / grey.size
    return mean / 1000, np.sqrt(max(0.0, squares / grey.size - mean * mean)) / 1000


@jit
def describe(pixels, width, height, low_frequencies, c_log_c, numbers, hashes, descriptors, i):
    """Fill in row `i` of the three arrays for the picture `pixels`. Lengths are in its pixels."""
    content = content_box(pixels, width, height)
    thumbnail = _thumbnail(pixels, width, *content)
    grey = _grey(thumbnail)
    mean, deviation = _mean_and_deviation(grey)
    _fill_numbers(thumbnail, grey, deviation, c_log_c, numbers[i])
    numbers[i, CONTENT_WIDTH] = content[2] - content[0]
    numbers[i, CONTENT_HEIGHT] = content[3] - content[1]
    hashes[i, :] = _hash(_frequencies(grey, low_frequencies))
    of_content, of_core = descriptors[i, :VIEW_BYTES], descriptors[i, VIEW_BYTES:]
    _fill_view(grey, thumbnail, mean, deviation, of_content)
    of_core[:] = of_content
    if deviation < FLAT_LEVELS:
        return

    rows, columns = grey.shape
    down, across = (rows + 32) // 64, (columns + 32) // 64
    if down or across:
        inner = grey[down : rows - down, across : columns - across].copy()  # loops over strided arrays are slow
        hashes[i, INNER] = _hash(_frequencies(inner, low_frequencies))
    left, top, right, bottom = core_box(thumbnail.ravel(), columns, 0, 0, columns, rows)
    if (right - left) * (bottom - top) < rows * columns:
        core = grey[top:bottom, left:right].copy()
        mean, deviation = _mean_and_deviation(core)
        if deviation >= FLAT_LEVELS:
            hashes[i, CORE] = _hash(_frequencies(core, low_frequencies))
            _fill_view(core, thumbnail[top:bottom, left:right].copy(), mean, deviation, of_core)
    if content != (0, 0, width, height):
        grey = _grey(_thumbnail(pixels, width, 0, 0, width, height))
        hashes[i, WHOLE] = _hash(_frequencies(grey, low_frequencies))


@jit
def _fill_numbers(thumbnail, grey, deviation, c_log_c, out):
    values, levels = thumbnail.ravel(), grey.ravel()
    n = len(levels)
    colours = np.empty(n, np.int32)
    histogram = np.zeros(256, np.int32)
    for k in range(n):
        colours[k] = np.int32(values[4 * k]) << 16 | np.int32(values[4 * k + 1]) << 8 | np.int32(values[4 * k + 2])
        histogram[np.int32(np.float32(levels[k]) * np.float32(0.001) + np.float32(0.5))] += 1
    entropy = 0.0
    for count in histogram:
        entropy += c_log_c[count]
    out[COLOURS] = _distinct(colours)
    out[ENTROPY] = max(0.0, np.log2(n) - entropy / n)
    out[CONTRAST] = deviation / 255
    out[BLANK] = _modal_share(colours)


@jit
def _fill_view(grey, thumbnail, mean, deviation, out):
    """12 × 12 of grey, its mean at 128 and its deviation at 40, then 3 × 3 of each colour difference."""
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
def _reach(cells, y, x):
    """`(low, high)` that the mean of cell (y, x) can have after a shift by half a cell at most."""
    value = np.float32(cells[y * GRID + x])
    low = high = value
    for v in range(max(y - 1, 0), min(y + 2, GRID)):
        for u in range(max(x - 1, 0), min(x + 2, GRID)):
            between = (value + np.float32(cells[v * GRID + u])) / 2
            low, high = min(low, between), max(high, between)
    return low, high


@jit
def _unlikeness(a, b):
    """How far two views differ, where 1 is as far as a near duplicate may; see `similarity`."""
    plain = np.zeros(256, np.int32)
    squares, worst = 0.0, np.float32(0)
    for y in range(GRID):
        for x in range(GRID):
            k = y * GRID + x
            va, vb = np.float32(a[k]), np.float32(b[k])
            plain[abs(np.int32(a[k]) - np.int32(b[k]))] += 1
            low_a, high_a = _reach(a, y, x)
            low_b, high_b = _reach(b, y, x)
            beyond = max(np.float32(0), va - high_b, low_b - va, vb - high_a, low_a - vb)
            squares += beyond * beyond
            if 0 < min(y, x) and max(y, x) < GRID - 1:  # what is left of a border is along the edges
                worst = max(worst, beyond)
    quartile, passed = 0, 0
    while passed + plain[quartile] <= GRID * GRID * 3 // 4:
        passed += plain[quartile]
        quartile += 1
    colour = np.int32(0)
    for k in range(GRID * GRID, VIEW_BYTES):
        colour = max(colour, abs(np.int32(a[k]) - np.int32(b[k])))
    everywhere = np.sqrt(squares / (GRID * GRID)) / MOST_EVERYWHERE
    somewhere = worst / (MOST_SOMEWHERE * (2 + quartile))
    return max(everywhere, somewhere, colour / MOST_COLOUR)


@jit
def similarity(descriptors, i, j):
    """Of images i and j, 0 to 1; near duplicates have `ACCEPT` or more. By their contents or their cores, whichever are more alike.

    Cells are compared as far as a shift by half a cell, which cropping brings about, does not explain their difference. What is
    left must be small on the whole; small in colour; and it must not be in one place while everything else is the same, as it is
    where two screenshots or icons have different writing on them.
    """
    content = _unlikeness(descriptors[i, :VIEW_BYTES], descriptors[j, :VIEW_BYTES])
    core = _unlikeness(descriptors[i, VIEW_BYTES:], descriptors[j, VIEW_BYTES:])
    return max(0.0, 1 - (1 - ACCEPT) * min(content, core))


@jit
def similarities(descriptors, left, right):
    """float32: of every pair of images `left[k]`, `right[k]`."""
    out = np.empty(len(left), np.float32)
    for k in range(len(left)):
        out[k] = similarity(descriptors, left[k], right[k])
    return out
