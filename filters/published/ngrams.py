"""Counting of n-grams by their hashes."""

from __future__ import annotations

import numpy as np

from filters.kernels import decode, inline, jit, mix64, slots_for

BASE = np.uint64(0x9E3779B97F4A7C15)


@jit
def code_points(data, start, end, codes):
    """Write the code points of `data[start:end]` to `codes`; return how many there are."""
    m = 0
    i = start
    while i < end:
        codes[m], i = decode(data, i)
        m += 1
    return m


@jit
def make_buffers(offsets, most):
    """Return room for any of n documents: code points; and for the n-grams of `most` of them hashes, and the keys and counts of a table."""
    longest = 0
    for d in range(len(offsets) - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    ngrams = min(longest, most)
    slots = slots_for(ngrams)
    return np.empty(longest, np.int32), np.empty(ngrams, np.uint64), np.empty(slots, np.uint64), np.empty(slots, np.int32)


@inline
def extend(h, codes, count, size, power):
    """Make of hashes of (size - 1)-grams those of `count` n-grams of `size`; `power` is BASE ** (size - 1)."""
    for i in range(count):
        h[i] += np.uint64(codes[i + size - 1] + 1) * power


@inline
def occurrences(h, count, keys, counts):
    """Count equal hashes among the first `count`; return the slots that are in use, of which `counts` has the numbers, 0 for unused."""
    slots = slots_for(count)
    counts[:slots] = 0
    for i in range(count):
        s = np.int64(mix64(h[i])) & (slots - 1)
        while counts[s] and keys[s] != h[i]:
            s = (s + 1) & (slots - 1)
        keys[s] = h[i]
        counts[s] += 1
    return slots


@inline
def was_seen(h, keys, used, mask):
    """Insert hash `h` into an open-addressing set; return whether it was in it already."""
    s = np.int64(mix64(h)) & mask
    while used[s]:
        if keys[s] == h:
            return True
        s = (s + 1) & mask
    keys[s] = h
    used[s] = True
    return False
