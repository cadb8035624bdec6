"""The features whose clusters are the units of a first HuBERT: 13 MFCC, their deltas, and the deltas of those.

The coefficients are Kaldi's, with the options of HuBERT's recipe: `--use-energy=false` and `--dither=0`. Samples are taken as they
are: fairseq and torchaudio give full scale as 1, Kaldi's tools as 32,768.
"""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np

from filters.audio.samples import RATE

WINDOW, SHIFT = 400, 160  # samples: 25 ms and 10 ms, Kaldi's defaults
CEPSTRA = 13
FRAMES_PER_SECOND = RATE // SHIFT


def compute_mfcc(samples: np.ndarray) -> np.ndarray:
    """Return float32[frames, 13] of float32[n] at 16 kHz: a frame every 160 samples, as long as 400 are left."""
    if len(samples) < WINDOW:
        return np.zeros((0, CEPSTRA), np.float32)
    options = kaldi_native_fbank.MfccOptions()
    options.use_energy = False
    options.frame_opts.dither = 0.0
    extractor = kaldi_native_fbank.OnlineMfcc(options)
    extractor.accept_waveform(RATE, samples.tolist())
    extractor.input_finished()
    return np.stack([extractor.get_frame(i) for i in range(extractor.num_frames_ready)])


def compute_deltas(features: np.ndarray) -> np.ndarray:
    """Return the slope of every column over 5 frames, by regression (HTK book, 5.9). Beyond the ends, the first and last frame repeat.

    torchaudio, which HuBERT's recipe calls, repeats the ends at each order; Kaldi only once. They differ in 4 frames.
    """
    if not len(features):
        return features.copy()
    padded = np.pad(features, ((2, 2), (0, 0)), mode="edge")
    by_one, by_two = padded[3:-1] - padded[1:-3], padded[4:] - padded[:-4]
    return ((by_one + 2 * by_two) / np.float32(10)).astype(features.dtype, copy=False)


def append_deltas(features: np.ndarray) -> np.ndarray:
    """Return float32[frames, 3 × columns]: the features, their deltas, and the deltas of those."""
    deltas = compute_deltas(features)
    return np.concatenate([features, deltas, compute_deltas(deltas)], axis=1)
