"""Loops: a phrase that is repeated without a break, as when a recogniser is stuck."""

from __future__ import annotations

import numpy as np

from filters.kernels import decode, jit

COUNTERS = ("n_looped",)
LONGEST, TIMES = 20, 4  # characters of the phrase, at most; how often it has to come, at least


@jit
def _longest_loops(data, offsets):
    out = np.zeros(len(offsets) - 1, np.int32)
    longest = 0
    for d in range(len(out)):
        longest = max(longest, offsets[d + 1] - offsets[d])
    text = np.empty(longest, np.int32)
    for d in range(len(out)):
        n, at = 0, offsets[d]
        while at < offsets[d + 1]:
            text[n], at = decode(data, at)
            n += 1
        for size in range(1, min(LONGEST, n // TIMES) + 1):
            run = 0  # characters equal to the one `size` before them
            for i in range(size, n):
                run = run + 1 if text[i] == text[i - size] else 0
                if run >= (TIMES - 1) * size and run + size > out[d]:
                    out[d] = run + size
    return out


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`n_looped` int32[n]: characters of the longest loop in each text."""
    return {"n_looped": _longest_loops(data, offsets)}
