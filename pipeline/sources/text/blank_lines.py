"""Documents with an empty line between them.

Lines end with b"\\n" alone: one "\\r" before it, or two, belong to the line end, while U+2028, U+0085 and the like end nothing. A line
is empty when there is no byte in it: one that holds only U+3000 is part of its document. Several empty lines separate as one does.
The last document needs no empty line after it.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import jit, jit_helper


@jit_helper
def first_boundary(data, start, end):
    """Return the index after the first empty line that begins in `data[start:end]` and is not at the very beginning, or -1."""
    i = start
    while i < end:
        if data[i] == 10:
            if i + 1 < end and data[i + 1] == 10:
                return i + 2
            if i + 2 < end and data[i + 1] == 13 and data[i + 2] == 10:
                return i + 3
            if i + 3 < end and data[i + 1] == 13 and data[i + 2] == 13 and data[i + 3] == 10:
                return i + 4
        i += 1
    return np.int64(-1)


@jit_helper
def last_boundary(data, end):
    """Return the index after the last empty line that ends in `data[:end]`, or -1."""
    i = end - 1
    while i > 0:
        if data[i] == 10:
            before = i - 1  # before the carriage returns, of which two at most belong to the line end
            for _ in range(2):
                before -= before > 0 and data[before] == 13
            if data[before] == 10:
                return i + 1
        i -= 1
    return np.int64(-1)


@jit_helper
def leading(data, end):
    """Return how many bytes of empty lines `data[:end]` begins with."""
    i = 0
    while i < end:
        if data[i] == 10:
            i += 1
        elif data[i] == 13 and i + 1 < end and data[i + 1] == 10:
            i += 2
        elif data[i] == 13 and i + 2 < end and data[i + 1] == 13 and data[i + 2] == 10:
            i += 3
        else:
            break
    return i


@jit
def documents(data, starts, ends, limit):
    """Fill `starts` and `ends` (where they have room) with the documents of `data`; return how many there are, at most `limit`."""
    n = len(data)
    count = 0
    i = 0
    start = -1  # first byte of the current document
    last = 0  # end of its last line, without line end
    while i < n and count < limit:
        j = i
        while j < n and data[j] != 10:
            j += 1
        end = j
        for _ in range(2):
            end -= end > i and data[end - 1] == 13
        if end == i:
            if start >= 0:
                if count < len(starts):
                    starts[count], ends[count] = start, last
                count += 1
                start = -1
        else:
            if start < 0:
                start = i
            last = end
        i = j + 1
    if start >= 0 and count < limit:
        if count < len(starts):
            starts[count], ends[count] = start, last
        count += 1
    return count


def count_at_most(body: bytes) -> int:
    """Return an upper bound on the number of documents."""
    count = body.count(b"\n\n") + 1
    return count + body.count(b"\n\r\n") + body.count(b"\n\r\r\n") if b"\r" in body else count
