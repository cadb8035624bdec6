"""Loops: a phrase that is repeated without a break, as when a recogniser is stuck.

What people say again and again is no loop: はいはいはいはい, ははははは, ドンドンドンドン. A loop is a phrase that comes four times
or more and makes 30 characters or more, or comes 20 times; a recogniser that is stuck goes on to its limit, hundreds of characters
later.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import decode, jit

COUNTERS = ("n_looped",)
LONGEST = 20  # characters of the phrase, at most
FEWEST, MOST, CHARACTERS = 4, 20, 30  # how often it has to come: so that it makes so many characters, between the two


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
        for size in range(1, min(LONGEST, n // FEWEST) + 1):
            times = max(FEWEST, min(MOST, (CHARACTERS + size - 1) // size))
            run = 0  # characters equal to the one `size` before them
            for i in range(size, n):
                run = run + 1 if text[i] == text[i - size] else 0
                if run >= (times - 1) * size and run + size > out[d]:
                    out[d] = run + size
    return out


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`n_looped` int32[n]: characters of the longest loop in each text."""
    return {"n_looped": _longest_loops(data, offsets)}
