"""Levels of a recording at 16 kHz: peak, loudness, clipping, noise, and how much of it is speech or silence."""

from __future__ import annotations

import numpy as np

from filters.audio.samples import FULL_SCALE, RATE
from filters.audio.silence import (
    ALL,
    BLOCK,
    DIGITAL_SILENCE,
    LOUD_SHARE,
    LOW,
    SQUARES,
    SUM,
    find_silences,
    find_speech,
    frame_energies,
    frame_start,
    quantile,
    sum_blocks,
)
from filters.kernels import jit

# Columns of the numbers of a recording. `fill_levels` fills in all but the bandwidth, which comes from the spectrum.
PEAK, RMS, CLIPPED, MEAN, SPEECH, LEADING, TRAILING, PAUSE, SILENT, SNR, BANDWIDTH, VOICED_FROM, VOICED_TO = range(13)
NUMBERS = 13

# A recording whose peak is at least `CEILING` is clipped where two consecutive samples are within `AT_PEAK` of the peak.
# (Full scale of 8 bits is 0.992, of μ-law 0.980. A sine of 200 Hz has two samples so close to its peak, in 80.)
CEILING, AT_PEAK = 0.98 * FULL_SCALE, FULL_SCALE // 1000
# SNR, by energies of frames. Noise: the mean of the frames below `AS_QUIET` times the noise level that `find_speech` finds. Signal:
# the mean of the frames above `CLEARLY_ABOVE` times that noise.
AS_QUIET, CLEARLY_ABOVE = 2.0, 1.5
MOST_SNR = 100.0  # dB
# Frames with this share of the energy of the loudest ones, below 2 kHz, are voiced.
VOICED = 10**-1.5


@jit
def fill_levels(pcm, out):
    """Fill in the numbers, float64[NUMBERS], of a recording, int16[n].

    `PEAK`, `RMS` and `MEAN` are of full scale; `CLIPPED` and `SILENT` are shares of the samples; `SPEECH`, `LEADING`,
    `TRAILING` and `PAUSE` are seconds; `SNR` is in dB. The fingerprint is made of the samples from `VOICED_FROM` to
    `VOICED_TO`.
    """
    n = len(pcm)
    sums = np.empty((n // BLOCK, 3), np.int64)
    lowest, highest = sum_blocks(pcm, sums)
    total, squares = np.int64(0), np.int64(0)
    for b in range(len(sums)):
        total += sums[b, SUM]
        squares += sums[b, SQUARES]
    for i in range(len(sums) * BLOCK, n):
        value = np.int64(pcm[i])
        total += value
        squares += value * value
        lowest, highest = min(lowest, pcm[i]), max(highest, pcm[i])
    low, high = np.int64(lowest), np.int64(highest)
    mean = total / n
    out[PEAK] = max(-low, high) / FULL_SCALE
    out[RMS] = np.sqrt(squares / n) / FULL_SCALE
    out[MEAN] = mean / FULL_SCALE
    out[CLIPPED] = _count_clipped(pcm, low, high) / n

    energies = frame_energies(sums)
    speech, noise = find_speech(energies[ALL])
    out[SNR] = _snr(energies[ALL], noise)
    starts, ends = find_silences(speech, n)
    silent, longest, leading, trailing = 0, 0, 0, 0
    for k in range(len(starts)):
        length = ends[k] - starts[k]
        silent += length
        if starts[k] == 0:
            leading = length
        elif ends[k] == n:
            trailing = length
        else:
            longest = max(longest, length)
    out[SPEECH], out[SILENT] = (n - silent) / RATE, silent / n
    out[LEADING], out[TRAILING], out[PAUSE] = leading / RATE, trailing / RATE, longest / RATE

    voiced = energies[LOW]
    bound = VOICED * quantile(voiced, LOUD_SHARE)
    frames = len(voiced)
    first, last = 0, frames
    while first < last and not voiced[first] > bound:
        first += 1
    while last > first and not voiced[last - 1] > bound:
        last -= 1
    if first < last:
        out[VOICED_FROM], out[VOICED_TO] = frame_start(first, frames, n), frame_start(last, frames, n)


@jit
def _snr(energy, quiet):
    """Signal to noise ratio in dB, 0 where there is no noise or no signal.

    The noise is the mean of the frames about as quiet as `quiet`; the signal that of the frames clearly above the noise, less
    the noise. Of 80 utterances with white noise, or pink noise above 40 Hz, 5 to 40 dB below their speech, the mean error is
    0.8 dB or less, with a deviation of 0.2 dB; at 0 dB it is 1 dB too much. Cut to their speech, so that only short pauses show
    the noise, the deviation is 1 dB up to 20 dB, and 4 dB at 40, where it is 2 too little. WADA-SNR (Kim and Stern 2008), on
    the same, is off by 1.5 to 4 dB up to 20 dB, and by 10 to 25 from 30 on.
    """
    noise, count = 0.0, 0
    for value in energy:
        if DIGITAL_SILENCE < value <= AS_QUIET * quiet:
            noise += value
            count += 1
    if count == 0:
        return 0.0
    noise /= count
    signal, count = 0.0, 0
    for value in energy:
        if value > CLEARLY_ABOVE * noise:
            signal += value - noise
            count += 1
    if count == 0:
        return 0.0
    return min(max(10 * np.log10(signal / count / noise), 0.0), MOST_SNR)


@jit
def _count_clipped(pcm, lowest, highest):
    """Count the samples in runs of two or more at the ceiling or the floor."""
    count = np.int32(0)
    top = np.int32(highest - AT_PEAK if highest >= CEILING else FULL_SCALE)
    bottom = np.int32(lowest + AT_PEAK if -lowest >= CEILING else -FULL_SCALE - 1)
    if top == FULL_SCALE and bottom == -FULL_SCALE - 1:
        return 0
    for i in range(1, len(pcm) - 1):
        before, value, after = np.int32(pcm[i - 1]), np.int32(pcm[i]), np.int32(pcm[i + 1])
        up = np.int32(value >= top) & (np.int32(before >= top) | np.int32(after >= top))
        count += up | np.int32(value <= bottom) & (np.int32(before <= bottom) | np.int32(after <= bottom))
    for i, j in ((0, 1), (len(pcm) - 1, len(pcm) - 2)):
        if len(pcm) > 1:
            count += pcm[i] >= top and pcm[j] >= top or pcm[i] <= bottom and pcm[j] <= bottom
    return count
