"""The spectrum of a recording at 16 kHz: its bandwidth, and the fingerprint that copies of a recording are found by.

The fingerprint is made of an *image* of the speech: the logarithm of the power in 16 bands over 32 segments of time, each band
beside its mean, so that neither gain nor an equaliser changes it. Its low frequencies are hashed, in two views. The image
itself, in bytes, is the descriptor that `similarity` compares.
"""

from __future__ import annotations

import numpy as np

from filters.audio.levels import BANDWIDTH, VOICED_FROM, VOICED_TO
from filters.audio.samples import FULL_SCALE, RATE
from filters.kernels import above_median, jit

FFT = 256  # samples in a frame of the spectrum: 16 ms, 62.5 Hz a bin
BINS = FFT // 2 + 1
STEP, FEWEST_FRAMES = 512, 128  # samples from frame to frame; fewer where a short recording would have fewer frames than that
CHUNK = 64  # frames that are transformed at once: more take memory that the allocator returns, and page faults each time
BANDS, SEGMENTS = 16, 32  # of the image
LOWEST_HZ, HIGHEST_HZ = 250.0, 3600.0  # of the bands: what a telephone leaves
WINDOW = np.hanning(FFT + 1)[:FFT].astype(np.float32)
# The highest bin of the bandwidth has more than this share of the power of the strongest one, 60 dB below it (in speech 8 kHz
# is 45 dB below at the most), and ten times what rounding to 16 bits makes.
LEAST_POWER, ROUNDING = 1e-6, 10 * float((WINDOW**2).sum()) / 12

# Added to a band relative to its mean over time: what is 10 dB below the mean counts as little as silence does, and noise
# cannot change it.
QUIET = 0.1
# Low frequencies of the image that are hashed, in time and across bands. Each view finds some pairs that the other misses.
VIEWS = 2
TIMES, ACROSS = (16, 8), (4, 8)
IMAGE_BYTES = SEGMENTS * BANDS
DESCRIPTOR_BYTES = IMAGE_BYTES + 2  # the image and the logarithm of its duration
DEVIATION = 40  # of a descriptor's bytes
# Below this deviation, in nepers, the image is that of a constant tone (0.05) or noise (0.25); speech has 0.7 to 1.5.
# Recordings with a shorter stretch of speech, in samples, cannot be told apart.
FLAT, SHORTEST = 0.4, 0.15 * RATE
# Bound of `similarity`. Of 320 utterances (JSUT's sentences, one speaker) and 21 edits of each (codecs, telephone, trimmed
# silence, noise 20 dB below), an edit and its original have a correlation of 0.95 or more; of 0.82, where a gain of 10 dB clips
# it. Of the 51,040 pairs of different utterances the most alike have 0.49, of a nearly normal distribution with a deviation of
# 0.12.
ACCEPT = 0.9
# Stretches of speech of copies differ by at most this share and so many samples: edits make it 10 ms, clipping 30.
DURATION_SHARE, DURATION_SAMPLES = 0.02, 0.04 * RATE
_LOG_STEP = 2048  # steps of a descriptor's duration to a factor of two


def _assign_bins_to_bands() -> tuple[np.ndarray, np.ndarray]:
    """`(band, share)` of each bin: it counts for `band` by 1 - share, for the next by share; -1 is before the first, -2 is none.

    Triangles, their centres equally far apart in mel (2595 lg(1 + f / 700 Hz), O'Shaughnessy 1987).
    """
    low, high, mel = (2595 * np.log10(1 + f / 700) for f in (LOWEST_HZ, HIGHEST_HZ, np.arange(BINS) * RATE / FFT))
    position = (mel - low) / (high - low) * (BANDS + 1) - 1
    band = np.floor(position).astype(np.int64)
    is_inside = (band >= -1) & (band < BANDS)
    return np.where(is_inside, band, -2), np.where(is_inside, position - band, 0).astype(np.float32)


BAND_OF, SHARE_OF = _assign_bins_to_bands()
FIRST_BIN, LAST_BIN = int(np.flatnonzero(BAND_OF > -2)[0]), int(np.flatnonzero(BAND_OF > -2)[-1])


def _cosines(n: int) -> np.ndarray:
    """float64[16, n]: the lowest 16 frequencies of the DCT-II of n values."""
    return np.cos(np.pi * np.arange(16)[:, None] * (2 * np.arange(n) + 1) / (2 * n))


COSINES_IN_TIME, COSINES_ACROSS = _cosines(SEGMENTS), _cosines(BANDS)


@jit
def _fill_frames(pcm, first, step, count, window, out, loud):
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

    `spectra`: float32[m, 2 * BINS], real and imaginary parts. Loud frames have a row of `power` of their own. A frame counts
    for the two segments whose centres it is between.
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
        position = (first + f + 0.5) / count * SEGMENTS - 0.5
        segment = int(np.floor(position))
        share = position - segment
        left, right = image[max(segment, 0)], image[min(segment + 1, SEGMENTS - 1)]
        for k in range(BANDS):
            left[k] += bands[k + 1] * (1 - share)
            right[k] += bands[k + 1] * share


@jit
def _bandwidth(power):
    """Hz, from float64[BINS], the mean power of the bins of a frame; 0 where there is nothing but rounding."""
    bound = max(ROUNDING, LEAST_POWER * power.max())
    for k in range(BINS - 1, 0, -1):
        if power[k] > bound:
            return k * RATE / FFT
    return 0.0


@jit
def _hash(image, times, across, cosines_in_time, cosines_across):
    """64 bits of `times` × `across` low frequencies of float64[SEGMENTS, BANDS]: set where one is above their median."""
    part = np.zeros((times, BANDS))
    for j in range(times):
        for t in range(SEGMENTS):
            weight = cosines_in_time[j, t]
            for b in range(BANDS):
                part[j, b] += weight * image[t, b]
    values = np.zeros((times, across))
    for j in range(times):
        for k in range(across):
            for b in range(BANDS):
                values[j, k] += cosines_across[k, b] * part[j, b]
    return above_median(values.ravel())


@jit
def _fill_fingerprint(image, power, duration, cosines_in_time, cosines_across, numbers, hashes, descriptor):
    """Fill in the bandwidth, uint64[VIEWS] and uint8[DESCRIPTOR_BYTES]; return whether the hashes mean anything.

    `duration`: of the speech, in samples. The image is changed in place.
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
    hashes[0] = _hash(image, TIMES[0], ACROSS[0], cosines_in_time, cosines_across)
    hashes[1] = _hash(image, TIMES[1], ACROSS[1], cosines_in_time, cosines_across)
    gain = DEVIATION / max(deviation, FLAT / 4)
    at = 0
    for t in range(SEGMENTS):
        for b in range(BANDS):
            descriptor[at] = np.uint8(min(max(128 + gain * image[t, b] + 0.5, 0.0), 255.0))
            at += 1
    log_duration = np.int64(np.log2(duration) * _LOG_STEP + 0.5)
    descriptor[at], descriptor[at + 1] = log_duration >> 8, log_duration & 255
    return deviation >= FLAT and duration >= SHORTEST


class Fingerprinter:
    """Makes fingerprints of recordings one after the other, and keeps the memory that this takes."""

    def __init__(self) -> None:
        self._frames = np.empty((CHUNK, FFT), np.float32)
        self._loud = np.empty(CHUNK, np.bool_)

    def fill(self, pcm: np.ndarray, numbers: np.ndarray, hashes: np.ndarray, descriptor: np.ndarray) -> bool:
        """Fill in a recording's bandwidth, hashes and descriptor, from int16[n] at 16 kHz, n ≥ 1, and its levels in `numbers`.

        Returns whether the hashes mean anything. Those of silence, a steady tone or noise do not.
        """
        from scipy.fft import rfft  # late: it is slow to import, and text and images do without

        first, last = int(numbers[VOICED_FROM]), int(numbers[VOICED_TO])
        if first >= last:
            return False
        step = min(STEP, max(1, (last - first) // FEWEST_FRAMES))
        count = max(1, (last - first) // step)
        power, image = np.zeros((2, BINS)), np.zeros((SEGMENTS, BANDS))
        for done in range(0, count, CHUNK):
            size = min(CHUNK, count - done)
            _fill_frames(pcm, first + done * step, step, size, WINDOW, self._frames, self._loud)
            # scipy transforms several rows at once, and takes a third of the time of numpy.
            spectra = rfft(self._frames[:size]).view(np.float32)
            _accumulate(spectra, self._loud, done, count, BAND_OF, SHARE_OF, power, image)
        power /= count
        return _fill_fingerprint(image, power, last - first, COSINES_IN_TIME, COSINES_ACROSS, numbers, hashes, descriptor)


@jit
def _duration(descriptor):
    """Samples of speech that a descriptor is of."""
    return 2.0 ** ((np.int64(descriptor[IMAGE_BYTES]) << 8 | np.int64(descriptor[IMAGE_BYTES + 1])) / _LOG_STEP)


@jit
def similarity(descriptors, i, j):
    """Similarity of recordings i and j, 0 to 1. Copies have `ACCEPT` or more, also where codecs or noise came between.

    It is the correlation of their images, or 0 where the durations of their speech differ by more than edits make them differ.
    """
    a, b = descriptors[i], descriptors[j]
    duration_a, duration_b = _duration(a), _duration(b)
    if abs(duration_a - duration_b) > DURATION_SHARE * max(duration_a, duration_b) + DURATION_SAMPLES:
        return 0.0
    sum_a = sum_b = square_a = square_b = products = np.int32(0)
    for k in range(IMAGE_BYTES):
        x, y = np.int32(a[k]) - np.int32(128), np.int32(b[k]) - np.int32(128)
        sum_a += x
        sum_b += y
        square_a += x * x
        square_b += y * y
        products += x * y
    variance_a = np.float64(square_a) * IMAGE_BYTES - np.float64(sum_a) * sum_a
    variance_b = np.float64(square_b) * IMAGE_BYTES - np.float64(sum_b) * sum_b
    if variance_a <= 0 or variance_b <= 0:
        return 0.0
    covariance = np.float64(products) * IMAGE_BYTES - np.float64(sum_a) * sum_b
    return min(max(covariance / np.sqrt(variance_a * variance_b), 0.0), 1.0)


@jit
def similarities(descriptors, left, right):
    """float32: the similarity of every pair of recordings `left[k]`, `right[k]`."""
    out = np.empty(len(left), np.float32)
    for k in range(len(left)):
        out[k] = similarity(descriptors, left[k], right[k])
    return out
