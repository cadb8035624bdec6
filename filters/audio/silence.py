"""Where somebody speaks in a recording at 16 kHz, and where there is silence.

The energy of *frames* of 25 ms, one every 10 ms, is the variance of their samples. A frame is speech where it is 6 dB above the
noise and within 35 dB of the loudest. The noise is the frame that one in twenty is below; digital silence, which tells nothing
of the noise, is left out. Bursts below 50 ms are not speech, and pauses below 100 ms, as before a plosive, are not silence.

Sums are sums of integers, from samples of 16 bits: they are the same on any machine.
"""

from __future__ import annotations

import numpy as np

from filters.audio.samples import RATE, to_int16
from filters.kernels import inline, jit

BLOCK, HOP, FRAME = 80, 2, 5  # samples in a block; blocks from frame to frame; blocks in a frame
EDGE = 120  # samples that a frame reaches beyond the 10 ms in its middle, which it stands for

# Columns of the sums of a block: of samples; of their squares; of squares of the sums of four samples, a low pass of about 2
# kHz.
SUM, SQUARES, LOW_SQUARES = range(3)
# Rows of the energies of frames: of all frequencies, and of those below 2 kHz.
ALL, LOW = range(2)

NOISE_SHARE, LOUD_SHARE = 0.05, 0.95  # of frames that are below what is taken for the noise and for the loudest
ABOVE_NOISE, BELOW_LOUD = 4.0, 10**-3.5  # bounds of speech, as ratios of energies
SHORTEST_SPEECH, SHORTEST_PAUSE = 5, 10  # frames
DIGITAL_SILENCE = 0.5  # mean square of a frame, in steps of 16 bits; that of rounding alone is 1/12


@jit
def sum_blocks(pcm, out):
    """Fill in int64[blocks, 3] for the whole blocks of int16[n]; return the lowest and the highest of their samples."""
    lowest, highest = np.int16(0), np.int16(0)
    for b in range(len(out)):
        block = pcm[b * BLOCK : (b + 1) * BLOCK]
        total, squares = np.int32(0), np.int64(0)
        for k in range(BLOCK):
            value = np.int32(block[k])
            total += value
            squares += np.int64(value * value)
            lowest, highest = min(lowest, block[k]), max(highest, block[k])
        low = np.int64(0)
        for k in range(0, BLOCK, 4):
            four = np.int64(block[k]) + np.int64(block[k + 1]) + np.int64(block[k + 2]) + np.int64(block[k + 3])
            low += four * four
        out[b, SUM], out[b, SQUARES], out[b, LOW_SQUARES] = total, squares, low
    return lowest, highest


@jit
def frame_energies(sums):
    """float64[2, frames] from the sums of blocks: variances of frames, of `ALL` frequencies and of the `LOW` ones."""
    blocks = len(sums)
    frames = max(1, (blocks - FRAME) // HOP + 1)
    out = np.zeros((2, frames))
    for f in range(frames):
        first, last = HOP * f, min(HOP * f + FRAME, blocks)
        total = squares = low = np.int64(0)
        for b in range(first, last):
            total += sums[b, SUM]
            squares += sums[b, SQUARES]
            low += sums[b, LOW_SQUARES]
        n = max(1, (last - first) * BLOCK)
        mean = total / n
        out[ALL, f] = max(0.0, squares / n - mean * mean)
        out[LOW, f] = max(0.0, low / (4 * n) - mean * mean)
    return out


@jit
def quantile(values, share):
    """The value that about `share` of `values` are below."""
    k = min(len(values) - 1, int(share * len(values)))
    return np.partition(values, k)[k]


@jit
def find_speech(energy):
    """`(speech, noise)`: bool[frames] from float64[frames], and the energy of the noise, 0 where all is digital silence."""
    speech = np.zeros(len(energy), np.bool_)
    audible = energy[energy > DIGITAL_SILENCE]
    if len(audible) == 0:
        return speech, 0.0
    noise = quantile(audible, NOISE_SHARE)
    bound = max(ABOVE_NOISE * noise, BELOW_LOUD * quantile(audible, LOUD_SHARE))
    for f in range(len(energy)):
        speech[f] = energy[f] > bound
    _flip_short_runs(speech, True, SHORTEST_SPEECH)
    _flip_short_runs(speech, False, SHORTEST_PAUSE)
    return speech, noise


@jit
def _flip_short_runs(flags, value, shortest):
    """Flip runs of `value` with fewer than `shortest` frames; pauses (False) only where they are between two runs of speech."""
    start = 0
    for f in range(1, len(flags) + 1):
        if f == len(flags) or flags[f] != flags[start]:
            if flags[start] == value and f - start < shortest and (value or 0 < start and f < len(flags)):
                flags[start:f] = not value
            start = f


@inline
def frame_start(f, frames, n):
    """The sample where what frame f stands for begins. The first frame begins, and the last ends, with the n samples."""
    if f == 0:
        return 0
    return n if f == frames else min(n, f * HOP * BLOCK + EDGE)


@jit
def find_silences(speech, n):
    """`(starts, ends)`, int64[k] in samples: the silences among n samples, those at the edges included."""
    frames = len(speech)
    starts, ends = np.empty(frames // 2 + 1, np.int64), np.empty(frames // 2 + 1, np.int64)
    k = start = 0
    for f in range(1, frames + 1):
        if f == frames or speech[f] != speech[start]:
            if not speech[start]:
                starts[k], ends[k] = frame_start(start, frames, n), frame_start(f, frames, n)
                k += 1
            start = f
    return starts[:k], ends[:k]


@jit
def _silences(pcm):
    sums = np.empty((len(pcm) // BLOCK, 3), np.int64)
    sum_blocks(pcm, sums)
    speech, _ = find_speech(frame_energies(sums)[ALL])
    return find_silences(speech, len(pcm))


def silences(samples: np.ndarray, shortest: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """`(starts, ends)`: int64[k], in samples, of the silences of at least `shortest` seconds in float32[n] at 16 kHz.

    A long recording may be cut there. Silences at its edges are among them. Where nobody speaks, all of it is one silence.
    """
    starts, ends = _silences(to_int16(samples))
    is_long = ends - starts >= shortest * RATE
    return starts[is_long], ends[is_long]
