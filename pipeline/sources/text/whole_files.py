"""A file that is one document: nothing divides it."""

from __future__ import annotations

import numpy as np

from filters.kernels import jit


@jit
def first_boundary(data, start, end):
    """Return -1: there is no divider."""
    return np.int64(-1)


@jit
def last_boundary(data, end):
    """Return -1: there is no divider."""
    return np.int64(-1)


@jit
def leading(data, end):
    """Return 0: a file begins with its document."""
    return 0


@jit
def documents(data, starts, ends, limit):
    """Fill `starts` and `ends`, where they have room, with all of `data`; return 1, or 0 where there is none."""
    if len(data) == 0 or limit < 1:
        return 0
    if len(starts) > 0:
        starts[0], ends[0] = 0, len(data)
    return 1


def count_at_most(body: bytes) -> int:
    """Return 1: a file is one document."""
    return 1
