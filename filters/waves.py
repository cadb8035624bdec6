"""Compiled loops over samples."""

from __future__ import annotations

import numpy as np

from filters.kernels import jit


@jit
def mixed(block):
    """float32[n]: the mean of the channels of float32[n, channels]."""
    n, channels = block.shape
    out = np.empty(n, np.float32)
    for i in range(n):
        total = 0.0
        for c in range(channels):
            total += block[i, c]
        out[i] = total / channels
    return out


@jit
def to_int16(samples):
    """int16[n] of float32 samples, rounded to the nearest (even, at a tie), clipped at full scale."""
    out = np.empty(len(samples), np.int16)
    for i in range(len(samples)):
        out[i] = np.int16(min(max(np.rint(samples[i] * np.float32(32768)), np.float32(-32768)), np.float32(32767)))
    return out
