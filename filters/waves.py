"""Compiled loops over the samples of one recording at 16 kHz: its levels, where somebody speaks, its spectrum, its fingerprint.

All of it is computed from the samples as 16 bits, which is how they are written: sums are sums of integers, the same on any machine.
Energy is the variance of *frames* of 25 ms, one every 10 ms. A frame is speech where it is 6 dB above the noise,
taken to be the frame that one in twenty is below, and within 35 dB of the loudest; digital silence, which tells nothing of
the noise, is left out. Bursts below 50 ms are no speech and pauses below 100 ms, as before a plosive, are no silence.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import inline, jit

RATE = 16_000  # Hz: whatever is counted in samples here assumes it
BLOCK, HOP, FRAME = 80, 2, 5  # samples in a block; blocks from frame to frame; blocks in a frame
EDGE = 120  # samples that a frame reaches beyond the 10 ms in its middle, which it stands for

# Columns of what `levels` fills in for each block: sums of samples, of squares, and of squares of the sums of four samples, which is a
# low pass of about 2 kHz.
SUM, SQUARES, LOW_SQUARES = range(3)
# Columns of the numbers of a recording.
PEAK, RMS, CLIPPED, MEAN, SPEECH, LEADING, TRAILING, PAUSE, SILENT, SNR, BANDWIDTH, VOICED_FROM, VOICED_TO = range(13)
NUMBERS = 13

FULL_SCALE = 32768
# Where a recording comes this close to full scale, samples this close to its peak are at its ceiling; two in a row are clipped. (Full
# scale of 8 bits is 0.992, of μ-law 0.980. A sine of 200 Hz has two samples so close to its peak, in 80.)
CEILING, AT_PEAK = 0.98 * FULL_SCALE, FULL_SCALE // 1000
NOISE_SHARE, LOUD_SHARE = 0.05, 0.95  # of frames that are below what is taken for the noise and for the loudest
ABOVE_NOISE, BELOW_LOUD = 4.0, 10**-3.5  # bounds of speech, as ratios of energies
SHORTEST_SPEECH, SHORTEST_PAUSE = 5, 10  # frames
SNR_ABOVE_NOISE = 1.5  # frames so much above the noise are averaged for the signal, the noise being subtracted
MOST_SNR = 100.0  # dB
DIGITAL_SILENCE = 0.5  # mean square of a frame, in steps of 16 bits; that of rounding alone is 1/12
VOICED = (
    10**-2.5
)  # of the loudest frames' energy below 2 kHz: between the first and last such frame is what the fingerprint is of


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
    low, high, scale = np.float32(-32768), np.float32(32767), np.float32(32768)
    for i in range(len(samples)):
        out[i] = np.int16(np.int32(np.rint(min(max(samples[i] * scale, low), high))))
    return out


# --- identity


@inline
def _rotated(x, bits):
    return x << np.uint64(bits) | x >> np.uint64(64 - bits)


_P1, _P2, _P3 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)
_P4, _P5 = np.uint64(0x85EBCA77C2B2AE63), np.uint64(0x27D4EB2F165667C5)


@inline
def _round(state, word):
    return _rotated(state + word * _P2, 31) * _P1


@jit
def xxh64(pcm):
    """XXH64 (Collet), with seed 0, of int16[n] as bytes, the lower one first: not for those who make collisions on purpose."""
    n = len(pcm)
    words = pcm[: n // 4 * 4].view(np.uint64)
    at = 0
    if n >= 16:
        a, b, c, d = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while at + 4 <= len(words):
            a, b = _round(a, words[at]), _round(b, words[at + 1])
            c, d = _round(c, words[at + 2]), _round(d, words[at + 3])
            at += 4
        out = _rotated(a, 1) + _rotated(b, 7) + _rotated(c, 12) + _rotated(d, 18)
        out = (out ^ _round(np.uint64(0), a)) * _P1 + _P4
        out = (out ^ _round(np.uint64(0), b)) * _P1 + _P4
        out = (out ^ _round(np.uint64(0), c)) * _P1 + _P4
        out = (out ^ _round(np.uint64(0), d)) * _P1 + _P4
    else:
        out = _P5
    out += np.uint64(2 * n)
    while at < len(words):
        out = _rotated(out ^ _round(np.uint64(0), words[at]), 27) * _P1 + _P4
        at += 1
    at *= 4
    if at + 2 <= n:
        word = np.uint64(np.uint16(pcm[at])) | np.uint64(np.uint16(pcm[at + 1])) << np.uint64(16)
        out = _rotated(out ^ word * _P1, 23) * _P2 + _P3
        at += 2
    if at < n:
        last = np.uint64(np.uint16(pcm[at]))
        for byte in (last & np.uint64(255), last >> np.uint64(8)):
            out = _rotated(out ^ byte * _P5, 11) * _P1
    out = (out ^ out >> np.uint64(33)) * _P2
    out = (out ^ out >> np.uint64(29)) * _P3
    return out ^ out >> np.uint64(32)


# --- levels


@jit
def _sums(pcm, out):
    """Fill in int64[blocks, 3] for whole blocks of int16[n]; returns the lowest and the highest of all samples."""
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
def _frames(sums):
    """float64[2, m]: variances of frames, of all frequencies and of those below 2 kHz."""
    blocks = len(sums)
    m = max(1, (blocks - FRAME) // HOP + 1)
    out = np.zeros((2, m))
    for f in range(m):
        first, last = HOP * f, min(HOP * f + FRAME, blocks)
        total = squares = low = np.int64(0)
        for b in range(first, last):
            total += sums[b, SUM]
            squares += sums[b, SQUARES]
            low += sums[b, LOW_SQUARES]
        n = max(1, (last - first) * BLOCK)
        mean = total / n
        out[0, f] = max(0.0, squares / n - mean * mean)
        out[1, f] = max(0.0, low / (4 * n) - mean * mean)
    return out


@jit
def _quantile(values, share):
    """The value that `share` of `values` are below, about."""
    k = min(len(values) - 1, int(share * len(values)))
    return np.partition(values, k)[k]


@jit
def _is_speech(energy):
    """`(speech, noise, loud)`: bool[m] of float64[m]; energies of the noise and of the loudest frames, 0 where all is silence."""
    speech = np.zeros(len(energy), np.bool_)
    audible = energy[energy > DIGITAL_SILENCE]
    if len(audible) == 0:
        return speech, 0.0, 0.0
    noise, loud = _quantile(audible, NOISE_SHARE), _quantile(audible, LOUD_SHARE)
    bound = max(ABOVE_NOISE * noise, BELOW_LOUD * loud)
    for f in range(len(energy)):
        speech[f] = energy[f] > bound
    _without_short_runs(speech, True, SHORTEST_SPEECH)
    _without_short_runs(speech, False, SHORTEST_PAUSE)
    return speech, noise, loud


@jit
def _without_short_runs(flags, value, shortest):
    """Turn runs of `value` that are shorter than so many; of pauses (False) those between two runs only."""
    start = 0
    for f in range(1, len(flags) + 1):
        if f == len(flags) or flags[f] != flags[start]:
            if flags[start] == value and f - start < shortest and (value or 0 < start and f < len(flags)):
                flags[start:f] = not value
            start = f


@inline
def _edge(f, frames, n):
    """Sample at which what frame f stands for begins; the first begins, and the last ends, with the recording."""
    if f == 0:
        return 0
    return n if f == frames else min(n, f * HOP * BLOCK + EDGE)


@jit
def _silences(speech, n):
    """`(starts, ends)`, int64[k], in samples: the silences among n samples, those at the edges included."""
    frames = len(speech)
    starts, ends = np.empty(frames // 2 + 1, np.int64), np.empty(frames // 2 + 1, np.int64)
    k = start = 0
    for f in range(1, frames + 1):
        if f == frames or speech[f] != speech[start]:
            if not speech[start]:
                starts[k], ends[k] = _edge(start, frames, n), _edge(f, frames, n)
                k += 1
            start = f
    return starts[:k], ends[:k]


@jit
def _snr(energy, noise):
    """In dB: frames clearly above the noise, less the noise, over the noise. 0 where there are none."""
    total, count = 0.0, 0
    for value in energy:
        if value > SNR_ABOVE_NOISE * noise:
            total += value - noise
            count += 1
    if count == 0 or noise <= 0:
        return 0.0
    return min(max(10 * np.log10(total / count / noise), 0.0), MOST_SNR)


@jit
def _clipped(pcm, lowest, highest):
    """Samples in runs of two or more at the ceiling or the floor."""
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


@jit
def levels(samples, out):
    """Fill in a recording's numbers, float64[NUMBERS], except the bandwidth; returns its samples as int16 and their XXH64.

    Peak, RMS and mean: of full scale. Speech, silences: in seconds (`SILENT`: their share). VOICED_…: samples, see `fingerprint`.
    """
    pcm = to_int16(samples)
    n = len(pcm)
    sums = np.empty((n // BLOCK, 3), np.int64)
    lowest, highest = _sums(pcm, sums)
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
    out[CLIPPED] = _clipped(pcm, low, high) / n

    energy = _frames(sums)
    speech, noise, loud = _is_speech(energy[0])
    out[SNR] = _snr(energy[0], noise)
    starts, ends = _silences(speech, n)
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

    voiced = energy[1]
    bound = VOICED * _quantile(voiced, LOUD_SHARE)
    frames = len(voiced)
    first, last = 0, frames
    while first < last and not voiced[first] > bound:
        first += 1
    while last > first and not voiced[last - 1] > bound:
        last -= 1
    if first < last:
        out[VOICED_FROM], out[VOICED_TO] = _edge(first, frames, n), _edge(last, frames, n)
    return pcm, xxh64(pcm)


@jit
def _silences_of(samples):
    pcm = to_int16(samples)
    sums = np.empty((len(pcm) // BLOCK, 3), np.int64)
    _sums(pcm, sums)
    return _silences(_is_speech(_frames(sums)[0])[0], len(pcm))


def silences(samples: np.ndarray, shortest: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """`(starts, ends)`: int64[k], in samples, of the silences of `shortest` seconds or more in float32[n] at 16 kHz.

    Where a long recording may be cut. Those at its edges are among them; all of it is one silence where nobody speaks.
    """
    starts, ends = _silences_of(samples)
    long = ends - starts >= shortest * RATE
    return starts[long], ends[long]


# --- spectrum

FFT = 256  # samples in a frame of the spectrum: 16 ms, 62.5 Hz a bin
BINS = FFT // 2 + 1
STEP, MOST_FRAMES_SHORT = 512, 128  # samples from frame to frame, or fewer, so that a short recording has so many frames
BANDS, SEGMENTS = 16, 32
LOWEST_HZ, HIGHEST_HZ = 250.0, 3600.0  # of the bands: what is left by a telephone
WINDOW = np.hanning(FFT + 1)[:FFT].astype(np.float32)


def _bands() -> tuple[np.ndarray, np.ndarray]:
    """`(band, share)` of each bin: it counts for `band` (from the first) by 1 - share, for the next by share. -2 where it is none's.

    Triangles, their centres equally far apart in mel (2595 lg(1 + f / 700 Hz), O'Shaughnessy 1987).
    """
    low, high, mel = (2595 * np.log10(1 + f / 700) for f in (LOWEST_HZ, HIGHEST_HZ, np.arange(BINS) * RATE / FFT))
    place = (mel - low) / (high - low) * (BANDS + 1) - 1
    band = np.floor(place).astype(np.int64)
    inside = (band >= -1) & (band < BANDS)
    return np.where(inside, band, -2), np.where(inside, place - band, 0).astype(np.float32)


BAND_OF, SHARE_OF = _bands()


@jit
def windowed(pcm, first, step, window, out):
    """Fill in float32[m, FFT]: frames from sample `first` on, `step` apart, times the window; zeros beyond the end."""
    for f in range(len(out)):
        start = first + f * step
        row = out[f]
        if start + FFT <= len(pcm):
            frame = pcm[start : start + FFT]
            for k in range(FFT):
                row[k] = np.float32(frame[k]) * window[k]
        else:
            for k in range(FFT):
                row[k] = np.float32(pcm[start + k]) * window[k] if start + k < len(pcm) else np.float32(0)


@jit
def accumulate(spectra, first, count, band_of, share_of, power, image):
    """Add frames `first` … of `count` to the power of each bin, float64[BINS], and to the image, float64[SEGMENTS, BANDS].

    `spectra`: float32[m, 2 * BINS], real and imaginary parts. A frame counts for the two segments whose centres it is between.
    """
    bins = np.empty(BINS, np.float32)
    bands = np.empty(BANDS + 2, np.float32)
    for f in range(len(spectra)):
        row = spectra[f]
        for k in range(BINS):
            bins[k] = row[2 * k] * row[2 * k] + row[2 * k + 1] * row[2 * k + 1]
        for k in range(BINS):
            power[k] += bins[k]
        bands[:] = 0
        for k in range(BINS):
            if band_of[k] >= -1:
                bands[band_of[k] + 1] += bins[k] * (np.float32(1) - share_of[k])
                bands[band_of[k] + 2] += bins[k] * share_of[k]
        place = (first + f + 0.5) / count * SEGMENTS - 0.5
        segment = int(np.floor(place))
        share = place - segment
        left, right = max(segment, 0), min(segment + 1, SEGMENTS - 1)
        for k in range(BANDS):
            image[left, k] += bands[k + 1] * (1 - share)
            image[right, k] += bands[k + 1] * share
