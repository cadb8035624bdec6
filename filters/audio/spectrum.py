"""Compiled loops over the samples of one recording at 16 kHz: its levels, where somebody speaks, its spectrum, its fingerprint.

All of it is computed from the samples as 16 bits, which is how they are written: sums are sums of integers, the same on any machine.
Energy is the variance of *frames* of 25 ms, one every 10 ms. A frame is speech where it is 6 dB above the noise,
taken to be the frame that one in twenty is below, and within 35 dB of the loudest; digital silence, which tells nothing of
the noise, is left out. Bursts below 50 ms are no speech and pauses below 100 ms, as before a plosive, are no silence.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import above_median, inline, jit

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
AS_QUIET, CLEARLY_ABOVE = (
    2.0,
    1.5,
)  # bounds of the frames that noise and signal of the ratio are the means of, as ratios of energies
MOST_SNR = 100.0  # dB
DIGITAL_SILENCE = 0.5  # mean square of a frame, in steps of 16 bits; that of rounding alone is 1/12
# Of the loudest frames' energy below 2 kHz: between the first and the last such frame is what the fingerprint is of.
VOICED = 10**-1.5


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
def _fill_int16(samples, out):
    low, high, scale = np.float32(-32768), np.float32(32767), np.float32(32768)
    for i in range(len(samples)):
        out[i] = np.int16(np.int32(np.rint(min(max(samples[i] * scale, low), high))))


def to_int16(samples: np.ndarray) -> np.ndarray:
    """int16[n] of float32 samples, rounded to the nearest (even, at a tie), clipped at full scale."""
    out = np.empty(len(samples), np.int16)
    _fill_int16(samples, out)
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
def _snr(energy, quiet):
    """In dB: frames clearly above the noise, less the noise, over the noise, which is the mean of those about as quiet as `quiet`.

    0 where there are none. Of 80 utterances with white noise, or pink noise above 40 Hz, 5 to 40 dB below their speech, the mean error is
    0.8 dB or less, with a deviation of 0.2 dB; at 0 dB it is 1 dB too much. Cut to their speech, so that only short pauses show the noise,
    the deviation is 1 dB up to 20 dB, and 4 dB at 40, where it is 2 too little. WADA-SNR (Kim and Stern 2008), on the same, is off by 1.5
    to 4 dB up to 20 dB, and by 10 to 25 from 30 on.
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
def levels(pcm, out):
    """Fill in the numbers, float64[NUMBERS], of a recording, int16[n], except the bandwidth; returns the samples' XXH64.

    Peak, RMS and mean: of full scale. Speech, silences: in seconds (`SILENT`: their share). VOICED_…: samples, see `fingerprint`.
    """
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
    return xxh64(pcm)


@jit
def _silences_of(pcm):
    sums = np.empty((len(pcm) // BLOCK, 3), np.int64)
    _sums(pcm, sums)
    return _silences(_is_speech(_frames(sums)[0])[0], len(pcm))


def silences(samples: np.ndarray, shortest: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """`(starts, ends)`: int64[k], in samples, of the silences of `shortest` seconds or more in float32[n] at 16 kHz.

    Where a long recording may be cut. Those at its edges are among them; all of it is one silence where nobody speaks.
    """
    starts, ends = _silences_of(to_int16(samples))
    long = ends - starts >= shortest * RATE
    return starts[long], ends[long]


# --- spectrum and fingerprint

FFT = 256  # samples in a frame of the spectrum: 16 ms, 62.5 Hz a bin
BINS = FFT // 2 + 1
STEP, FEWEST_FRAMES = 512, 128  # samples from frame to frame; fewer where a short recording would have fewer frames than that
CHUNK = 64  # frames that are transformed at once: more take memory that the allocator returns, and page faults each time
BANDS, SEGMENTS = 16, 32  # of the image that the fingerprint is of
LOWEST_HZ, HIGHEST_HZ = 250.0, 3600.0  # of the bands: what a telephone leaves
WINDOW = np.hanning(FFT + 1)[:FFT].astype(np.float32)
# The highest bin of the bandwidth has more than this share of the power of the strongest one, 60 dB below it (in speech 8 kHz is 45 dB
# below at the most), and ten times what rounding to 16 bits makes.
LEAST_POWER, ROUNDING = 1e-6, 10 * float((WINDOW**2).sum()) / 12

# Of a band, beside its mean over time: what is 10 dB below counts as little as silence does, and noise cannot change it.
QUIET = 0.1
# Low frequencies of the image that are hashed, in time and across bands. Both views are of the same image: each finds some pairs that
# the other misses.
VIEWS = 2
TIMES, ACROSS = (16, 8), (4, 8)
DESCRIPTOR_BYTES = SEGMENTS * BANDS + 2
DEVIATION = 40  # of a descriptor's bytes
# Below this deviation, in nepers, the image is that of a constant tone (0.05) or noise (0.25); speech has 0.7 to 1.5. Below this extent
# there is no telling sounds apart.
FLAT, SHORTEST = 0.4, 0.15 * RATE
# Bound of `similarity`. Of 320 utterances (JSUT's sentences, one speaker) and 21 edits of each (codecs, telephone, trimmed silence, noise
# 20 dB below), an edit and its original have a correlation of 0.95 or more; of 0.82, where a gain of 10 dB clips it. Of the 51,040 pairs of
# different utterances the most alike have 0.49, of a nearly normal distribution with a deviation of 0.12.
ACCEPT = 0.9
DURATION_SHARE, DURATION_SAMPLES = 0.02, 0.04 * RATE  # by which extents may differ: edits make it 10 ms, clipping 30
_LOG_STEP = 2048  # steps of a descriptor's duration to a factor of two


def _bands() -> tuple[np.ndarray, np.ndarray]:
    """`(band, share)` of each bin: it counts for `band` by 1 - share, for the next by share; -1 is before the first, -2 is none.

    Triangles, their centres equally far apart in mel (2595 lg(1 + f / 700 Hz), O'Shaughnessy 1987).
    """
    low, high, mel = (2595 * np.log10(1 + f / 700) for f in (LOWEST_HZ, HIGHEST_HZ, np.arange(BINS) * RATE / FFT))
    place = (mel - low) / (high - low) * (BANDS + 1) - 1
    band = np.floor(place).astype(np.int64)
    inside = (band >= -1) & (band < BANDS)
    return np.where(inside, band, -2), np.where(inside, place - band, 0).astype(np.float32)


BAND_OF, SHARE_OF = _bands()
FIRST_BIN, LAST_BIN = int(np.flatnonzero(BAND_OF > -2)[0]), int(np.flatnonzero(BAND_OF > -2)[-1])


def _cosines(n: int) -> np.ndarray:
    return np.cos(np.pi * np.arange(16)[:, None] * (2 * np.arange(n) + 1) / (2 * n))


IN_TIME, IN_BANDS = _cosines(SEGMENTS), _cosines(BANDS)


@jit
def _windowed(pcm, first, step, count, window, out, loud):
    """Fill in `count` rows of float32[m, FFT]: frames from sample `first` on, `step` apart, times the window; zeros beyond the end.

    `loud`: bool[m], of frames that reach full scale, where clipping has spread their spectrum.
    """
    for f in range(count):
        start = first + f * step
        row = out[f]
        if start + FFT <= len(pcm):
            frame = pcm[start : start + FFT]
            low, high = np.int16(0), np.int16(0)
            for k in range(FFT):
                row[k] = np.float32(frame[k]) * window[k]
                low, high = min(low, frame[k]), max(high, frame[k])
            loud[f] = high >= FULL_SCALE - 1 or low <= -FULL_SCALE
        else:
            loud[f] = False
            for k in range(FFT):
                row[k] = np.float32(pcm[start + k]) * window[k] if start + k < len(pcm) else np.float32(0)


@jit
def _accumulate(spectra, loud, first, count, band_of, share_of, power, image):
    """Add frames `first` … of `count` to the power of each bin, float64[2, BINS], and to the image, float64[SEGMENTS, BANDS].

    `spectra`: float32[m, 2 * BINS], real and imaginary parts. A frame counts for the two segments whose centres it is between.
    """
    bins = np.empty(BINS, np.float32)
    bands = np.empty(BANDS + 2, np.float32)
    for f in range(len(spectra)):
        row, sums = spectra[f], power[np.int64(loud[f])]
        for k in range(BINS):
            bins[k] = row[2 * k] * row[2 * k] + row[2 * k + 1] * row[2 * k + 1]
        for k in range(BINS):
            sums[k] += bins[k]
        bands[:] = 0
        for k in range(FIRST_BIN, LAST_BIN + 1):
            band, part = band_of[k] + 1, bins[k] * share_of[k]
            bands[band] += bins[k] - part
            bands[band + 1] += part
        place = (first + f + 0.5) / count * SEGMENTS - 0.5
        segment = int(np.floor(place))
        share = place - segment
        left, right = image[max(segment, 0)], image[min(segment + 1, SEGMENTS - 1)]
        for k in range(BANDS):
            left[k] += bands[k + 1] * (1 - share)
            right[k] += bands[k + 1] * share


@jit
def _bandwidth(power):
    """Hz, of float64[BINS]: mean power of the bins of a frame; 0 where there is nothing but rounding."""
    bound = max(ROUNDING, LEAST_POWER * power.max())
    for k in range(BINS - 1, 0, -1):
        if power[k] > bound:
            return k * RATE / FFT
    return 0.0


@jit
def _hash(image, times, across, in_time, in_bands):
    """64 bits of `times` × `across` low frequencies of float64[SEGMENTS, BANDS]: set where one is above their median."""
    part = np.zeros((times, BANDS))
    for j in range(times):
        for t in range(SEGMENTS):
            weight = in_time[j, t]
            for b in range(BANDS):
                part[j, b] += weight * image[t, b]
    values = np.zeros((times, across))
    for j in range(times):
        for k in range(across):
            for b in range(BANDS):
                values[j, k] += in_bands[k, b] * part[j, b]
    return above_median(values.ravel())


@jit
def _fingerprint(image, power, extent, in_time, in_bands, numbers, hashes, descriptor):
    """Fill in the bandwidth, uint64[VIEWS] and uint8[DESCRIPTOR_BYTES]; returns whether the hashes say anything.

    The image becomes the logarithm of each band beside its mean over time, so that neither gain nor an equaliser changes it.
    """
    numbers[BANDWIDTH] = _bandwidth(power[0] if power[0].max() > 0 else power[1])
    total = 0.0
    for b in range(BANDS):
        mean = 0.0
        for t in range(SEGMENTS):
            mean += image[t, b]
        mean /= SEGMENTS
        for t in range(SEGMENTS):
            image[t, b] = np.log(image[t, b] / max(mean, 1e-9) + QUIET)
            total += image[t, b]
    mean = total / (SEGMENTS * BANDS)
    squares = 0.0
    for t in range(SEGMENTS):
        for b in range(BANDS):
            image[t, b] -= mean
            squares += image[t, b] * image[t, b]
    deviation = np.sqrt(squares / (SEGMENTS * BANDS))
    hashes[0] = _hash(image, TIMES[0], ACROSS[0], in_time, in_bands)
    hashes[1] = _hash(image, TIMES[1], ACROSS[1], in_time, in_bands)
    gain = DEVIATION / max(deviation, FLAT / 4)
    at = 0
    for t in range(SEGMENTS):
        for b in range(BANDS):
            descriptor[at] = np.uint8(min(max(128 + gain * image[t, b] + 0.5, 0.0), 255.0))
            at += 1
    length = np.int64(np.log2(extent) * _LOG_STEP + 0.5)
    descriptor[at], descriptor[at + 1] = length >> 8, length & 255
    return deviation >= FLAT and extent >= SHORTEST


class Describer:
    """Measures recordings one after the other, keeping the memory that this takes."""

    def __init__(self) -> None:
        self._frames = np.empty((CHUNK, FFT), np.float32)
        self._loud = np.empty(CHUNK, np.bool_)

    def describe(self, pcm: np.ndarray, numbers: np.ndarray, hashes: np.ndarray, descriptor: np.ndarray) -> tuple[int, bool]:
        """Fill in a recording's numbers, hashes and descriptor, from int16[n] at 16 kHz, n ≥ 1.

        Returns the XXH64 of its samples as 16 bits, and whether the hashes say nothing: silence, a steady tone or noise.
        """
        from scipy.fft import rfft  # not above: it is slow to import, and text and images do without

        exact = levels(pcm, numbers)
        first, last = int(numbers[VOICED_FROM]), int(numbers[VOICED_TO])
        if first >= last:
            return exact, True
        step = min(STEP, max(1, (last - first) // FEWEST_FRAMES))
        count = max(1, (last - first) // step)
        power, image = np.zeros((2, BINS)), np.zeros((SEGMENTS, BANDS))
        for done in range(0, count, CHUNK):
            some = min(CHUNK, count - done)
            _windowed(pcm, first + done * step, step, some, WINDOW, self._frames, self._loud)
            # scipy's transforms several rows at once, and takes a third of the time of numpy's.
            spectra = rfft(self._frames[:some]).view(np.float32)
            _accumulate(spectra, self._loud, done, count, BAND_OF, SHARE_OF, power, image)
        power /= count
        return exact, not _fingerprint(image, power, last - first, IN_TIME, IN_BANDS, numbers, hashes, descriptor)


@jit
def similarity(descriptors, i, j):
    """Of recordings i and j, 0 to 1; copies of the same one have `ACCEPT` or more, also where codecs or noise came between.

    The correlation of their images, or 0 where the extents of the speech differ by more than an edit makes them.
    """
    a, b = descriptors[i], descriptors[j]
    size = SEGMENTS * BANDS
    log_a = np.int64(a[size]) << 8 | np.int64(a[size + 1])
    log_b = np.int64(b[size]) << 8 | np.int64(b[size + 1])
    long_a, long_b = 2.0 ** (log_a / _LOG_STEP), 2.0 ** (log_b / _LOG_STEP)
    if abs(long_a - long_b) > DURATION_SHARE * max(long_a, long_b) + DURATION_SAMPLES:
        return 0.0
    sum_a = sum_b = square_a = square_b = both = np.int32(0)
    for k in range(size):
        x, y = np.int32(a[k]) - np.int32(128), np.int32(b[k]) - np.int32(128)
        sum_a += x
        sum_b += y
        square_a += x * x
        square_b += y * y
        both += x * y
    across = np.float64(square_a) * size - np.float64(sum_a) * sum_a
    down = np.float64(square_b) * size - np.float64(sum_b) * sum_b
    if across <= 0 or down <= 0:
        return 0.0
    return min(max((np.float64(both) * size - np.float64(sum_a) * sum_b) / np.sqrt(across * down), 0.0), 1.0)


@jit
def similarities(descriptors, left, right):
    """float32: of every pair of recordings `left[k]`, `right[k]`."""
    out = np.empty(len(left), np.float32)
    for k in range(len(left)):
        out[k] = similarity(descriptors, left[k], right[k])
    return out
