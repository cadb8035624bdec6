"""Find the content of a picture: what is left without the borders that letterboxing, a frame or a margin put around it.

Pixels come as Pillow keeps RGB: four bytes each, the last unused.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import jit

# A line is border where its pixels are this close to the border's colour, in levels: on average, and all but one in 32 of them.
BORDER_MEAN, BORDER_FAR = 6, 32
# JPEG blurs the edge of a border over its blocks, at quality 75 little, at 50 this much: at most so many more lines are border.
BLURRED_MEAN, BLURRED_LINES = 14, 8
# Less of the image than one in so many each way is not what remains after a border, but the drawing itself.
SMALLEST_CONTENT = 16
# Margins of the core are smoother. A frame may hide a margin which hides another. The core has a quarter of the content's sides
# at least.
CORE_MEAN, CORE_ROUNDS, SMALLEST_CORE = 4, 3, 4
# What is left after a border is a drawing on the border's ground where so much of its outline, by one part in so many inwards, is of
# the border's colour: a moon, a line of text. A picture that was letterboxed or framed fills its outline.
GROUND_SHARE, OUTLINE = 0.5, 32
_TOP, _BOTTOM, _LEFT, _RIGHT = range(4)


@jit
def _is_border(pixels, start, count, step, r, g, b, mean=BORDER_MEAN):
    """Whether `count` pixels from byte `start`, `step` bytes apart, are close to the colour (r, g, b)."""
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
    """`(r, g, b)`: the mean of `count` pixels from byte `start`, `step` bytes apart."""
    r = g = b = 0
    for k in range(count):
        p = start + k * step
        r += pixels[p]
        g += pixels[p + 1]
        b += pixels[p + 2]
    return r // count, g // count, b // count


@jit
def _count_border_lines(pixels, lines, length, line_step, step):
    """How many of the first and of the last lines are a border of one colour, the same on both sides; (0, 0) where either side has none.

    `lines` lines of `length` pixels: their first pixels are `line_step` bytes apart, the pixels of a line `step`.
    """
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
    top, bottom = _count_border_lines(pixels, height, width, 4 * width, 4)
    # Only the rows that are left: within a letterbox, columns are not of one colour.
    left, right = _count_border_lines(pixels[4 * width * top :], width, height - top - bottom, 4, 4 * width)
    if top == 0 and left > 0:
        # Perhaps a frame, whose top was not of one colour before its sides were cut.
        top, bottom = _count_border_lines(pixels[4 * left :], height, width - left - right, 4 * width, 4)
    return left, top, width - right, height - bottom


@jit
def is_drawing(pixels, width, height, left, top, right, bottom):
    """Whether the content in this box is a drawing on one ground, rather than a picture within a border."""
    if (left, top, right, bottom) == (0, 0, width, height):
        return False
    r, g, b = np.int64(pixels[0]), np.int64(pixels[1]), np.int64(pixels[2])
    across, down = (right - left) // OUTLINE, (bottom - top) // OUTLINE
    first, last, upper, lower = left + across, right - 1 - across, top + down, bottom - 1 - down
    ground = count = 0
    for x in range(first, last + 1):
        for y in (upper, lower):
            p = 4 * (y * width + x)
            ground += max(abs(pixels[p] - r), abs(pixels[p + 1] - g), abs(pixels[p + 2] - b)) <= BORDER_FAR
            count += 1
    for y in range(upper, lower + 1):
        for x in (first, last):
            p = 4 * (y * width + x)
            ground += max(abs(pixels[p] - r), abs(pixels[p + 1] - g), abs(pixels[p + 2] - b)) <= BORDER_FAR
            count += 1
    return ground >= GROUND_SHARE * count


@jit
def core_box(pixels, width, height):
    """`(left, top, right, bottom)` without margins of one colour on any side, nor those that they hid: a new frame does not change it."""
    left, top, right, bottom = 0, 0, width, height
    least_across, least_down = width // SMALLEST_CORE, height // SMALLEST_CORE
    for _ in range(CORE_ROUNDS):
        before = left, top, right, bottom
        for side in range(4):
            # Lines from this side inwards: the first pixel, number of lines, pixels in a line, steps from line to line and
            # along a line.
            across, down = right - left, bottom - top
            if side == _TOP:
                start, lines, length, line_step, step = top * width + left, down, across, width, 1
            elif side == _BOTTOM:
                start, lines, length, line_step, step = (bottom - 1) * width + left, down, across, -width, 1
            elif side == _LEFT:
                start, lines, length, line_step, step = top * width + left, across, down, 1, width
            else:
                start, lines, length, line_step, step = top * width + right - 1, across, down, -1, width
            r, g, b = _mean_colour(pixels, 4 * start, length, 4 * step)
            cut = 0
            most = lines - (least_down if side in (_TOP, _BOTTOM) else least_across)
            while cut < most and _is_border(pixels, 4 * (start + cut * line_step), length, 4 * step, r, g, b, CORE_MEAN):
                cut += 1
            if cut == most:
                cut = 0
            if side == _TOP:
                top += cut
            elif side == _BOTTOM:
                bottom -= cut
            elif side == _LEFT:
                left += cut
            else:
                right -= cut
        if before == (left, top, right, bottom):
            break
    return left, top, right, bottom
