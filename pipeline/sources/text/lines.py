"""Documents that are a line each: an empty line is none. Every "\\r" before b"\\n" belongs to the line end."""

from __future__ import annotations

import numpy as np

from filters.kernels import jit, jit_helper


@jit_helper
def first_boundary(data, start, end):
    """Return the index after the first line end in `data[start:end]`, or -1."""
    for i in range(start, end):
        if data[i] == 10:
            return i + 1
    return np.int64(-1)


@jit_helper
def last_boundary(data, end):
    """Return the index after the last line end in `data[:end]`, or -1."""
    i = end - 1
    while i > 0:
        if data[i] == 10:
            return i + 1
        i -= 1
    return np.int64(-1)


@jit
def documents(data, starts, ends, limit):
    """Fill `starts` and `ends` (where they have room) with the lines of `data`; return how many there are, at most `limit`."""
    count = 0
    start = 0
    while start < len(data) and count < limit:
        after = start
        while after < len(data) and data[after] != 10:
            after += 1
        end = after
        while end > start and data[end - 1] == 13:
            end -= 1
        if end > start:
            if count < len(starts):
                starts[count], ends[count] = start, end
            count += 1
        start = after + 1
    return count


def count_at_most(body: bytes) -> int:
    """Return an upper bound on the number of documents."""
    return body.count(b"\n") + 1
