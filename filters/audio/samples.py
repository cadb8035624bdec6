"""Samples of sound: the rate that recordings are measured at, the mean of channels, and samples of 16 bits."""

from __future__ import annotations

import numpy as np

from filters.kernels import jit

RATE = 16_000  # Hz: recordings are measured at this rate, and written at it unless a manifest asks for another
FULL_SCALE = 32_768  # of samples of 16 bits


@jit
def mean_of_channels(block):
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
def _fill_int16(samples, out):
    low, high, scale = np.float32(-32768), np.float32(32767), np.float32(32768)
    for i in range(len(samples)):
        out[i] = np.int16(np.int32(np.rint(min(max(samples[i] * scale, low), high))))


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Round float32[n] to int16[n]: to the nearest, to the even one at a tie, clipped at full scale."""
    out = np.empty(len(samples), np.int16)
    _fill_int16(samples, out)
    return out
