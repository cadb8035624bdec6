"""Whole documents for a target: the first in order and, where these are too coarse, a few more that are chosen for their size."""

from __future__ import annotations

import numpy as np


def fill(amounts: np.ndarray, wanted: int, close: float) -> tuple[int, np.ndarray]:
    """Return how many of the first documents to take, and the positions of further ones, so that amounts add up to about `wanted`.

    Where the first alone miss it by more than `close`, a few are chosen for their size: in order, each that fits, and at last the two
    (or the one) that come nearest to what is missing.

    >>> fill(np.array([5, 5, 90, 8, 2, 3]), 20, 0.5)
    (2, array([3, 4]))
    """
    ends = np.concatenate([[0], np.cumsum(amounts)])
    count = int(np.searchsorted(ends, wanted, side="right")) - 1
    if count < len(amounts) and ends[count + 1] - wanted <= min(close, wanted - ends[count]):
        return count + 1, np.zeros(0, np.int64)
    if wanted - ends[count] <= close:
        return count, np.zeros(0, np.int64)
    alone, missed = count, wanted - int(ends[count])
    two = 2 * int(np.median(amounts))
    while count and wanted - ends[count] < two:
        count -= 1
    left, extra = np.array(amounts[count:], np.int64), list[int]()
    room = wanted - int(ends[count])
    while room > 2 * two and (fitting := np.flatnonzero((left > 0) & (left <= room))).size:
        extra.append(int(fitting[0]))
        room -= int(left[fitting[0]])
        left[fitting[0]] = 0
    extra += _find_nearest(left, room)
    positions = np.array(sorted(extra), np.int64) + count
    if abs(int(ends[count] + amounts[positions].sum()) - wanted) > missed:
        return alone, np.zeros(0, np.int64)
    return count, positions


def _find_nearest(amounts: np.ndarray, wanted: int) -> list[int]:
    """Return the positions of the two amounts whose sum comes nearest to `wanted`, or of the one that does, or none."""
    order = np.argsort(amounts, kind="stable")
    order = order[amounts[order] > 0]
    values = np.concatenate([[0], amounts[order]])  # 0: no document
    first = np.arange(len(values))
    chosen: tuple[int, ...] = (0, 0)
    for step in (-1, 0):
        second = np.clip(np.searchsorted(values, wanted - values) + step, 0, len(values) - 1)
        missed = np.abs(values + values[second] - wanted)
        missed[(second == first) & (first > 0)] = np.iinfo(np.int64).max  # a document is there once
        best = int(np.argmin(missed))
        if missed[best] < abs(int(values[list(chosen)].sum()) - wanted):
            chosen = (best, int(second[best]))
    return [int(order[position - 1]) for position in chosen if position]
