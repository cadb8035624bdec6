"""Loops: a piece of text that comes again and again without a break, as when a recogniser is stuck."""

from __future__ import annotations

import numpy as np

from filters.kernels import decode, jit

COUNTERS = ("n_looped",)
LONGEST, TIMES = 20, 4  # characters of the piece, at most; how often it has to come, at least


@jit
def _looped(data, offsets):
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
        for piece in range(1, min(LONGEST, n // TIMES) + 1):
            run = 0  # characters that are what stands `piece` before them
            for i in range(piece, n):
                run = run + 1 if text[i] == text[i - piece] else 0
                if run >= (TIMES - 1) * piece and run + piece > out[d]:
                    out[d] = run + piece
    return out


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`n_looped` int32[n]: characters of the longest loop in each text."""
    return {"n_looped": _looped(data, offsets)}
