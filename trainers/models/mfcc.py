"""Mel-frequency cepstral coefficients as Kaldi's defaults have them, in numpy: what the units of a first HuBERT are clusters of.

Kaldi, src/feat/{feature-window,mel-computations,feature-mfcc}.cc with the options of `compute-mfcc-feats`, but `--use-energy=false` and
`--dither=0`: HuBERT's recipe. Samples are taken as they are; fairseq and torchaudio give full scale as 1, Kaldi's tools as 32,768.
"""

from __future__ import annotations

import numpy as np

RATE = 16_000  # Hz
WINDOW, SHIFT, FFT = 400, 160, 512  # samples: 25 ms, 10 ms, and the next power of two
MELS, CEPSTRA, LIFTER = 23, 13, 22
LOWEST, HIGHEST = 20.0, RATE / 2  # Hz
EMPHASIS = 0.97
FRAMES_PER_SECOND = RATE // SHIFT
_BLOCK = 2_048  # frames at a time: about 8 MB


def _window() -> np.ndarray:
    """Povey's: Hann's to the power of 0.85."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    return (hann**0.85).astype(np.float32)


def _mel(frequency: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def _filters() -> np.ndarray:
    """float32[bins, MELS]: triangles that are even in mel. The bin at half the sampling rate is in none."""
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), MELS + 2)
    bins = _mel(np.arange(FFT // 2 + 1) * (RATE / FFT))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    found = np.maximum(0.0, np.minimum(rising, falling))
    found[-1] = 0.0
    return found.astype(np.float32)


def _cosines() -> np.ndarray:
    """float32[MELS, CEPSTRA]: the orthonormal DCT-II, liftered."""
    k = np.arange(CEPSTRA)
    table = np.sqrt(2.0 / MELS) * np.cos(np.pi / MELS * np.outer(np.arange(MELS) + 0.5, k))
    table[:, 0] = np.sqrt(1.0 / MELS)
    return (table * (1.0 + 0.5 * LIFTER * np.sin(np.pi * k / LIFTER))).astype(np.float32)


_POVEY, _FILTERS, _COSINES = _window(), _filters(), _cosines()


def mfcc(samples: np.ndarray) -> np.ndarray:
    """float32[frames, 13] of float32[n] at 16 kHz: a frame every 160 samples as long as 400 are left."""
    if len(samples) < WINDOW:
        return np.zeros((0, CEPSTRA), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float32, copy=False), WINDOW)[::SHIFT]
    out = np.empty((len(frames), CEPSTRA), np.float32)
    for at in range(0, len(frames), _BLOCK):
        block = frames[at : at + _BLOCK]
        block = block - block.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        emphasised = block * np.float32(1 - EMPHASIS)  # the first sample has itself before it
        emphasised[:, 1:] = block[:, 1:] - np.float32(EMPHASIS) * block[:, :-1]
        spectrum = np.fft.rfft(emphasised * _POVEY, FFT, axis=1)
        energies = (spectrum.real**2 + spectrum.imag**2) @ _FILTERS
        out[at : at + _BLOCK] = np.log(np.maximum(energies, np.finfo(np.float32).eps)) @ _COSINES
    return out


def deltas(features: np.ndarray) -> np.ndarray:
    """The slope of every column over 5 frames, by regression (HTK book, 5.9); beyond the ends, what is at the ends."""
    if not len(features):
        return features.copy()
    padded = np.pad(features, ((2, 2), (0, 0)), mode="edge")
    one, two = padded[3:-1] - padded[1:-3], padded[4:] - padded[:-4]
    return ((one + 2 * two) / np.float32(10)).astype(features.dtype, copy=False)


def with_deltas(features: np.ndarray) -> np.ndarray:
    """float32[frames, 3 × columns]: the features, their slopes, and the slopes of these."""
    first = deltas(features)
    return np.concatenate([features, first, deltas(first)], axis=1)
