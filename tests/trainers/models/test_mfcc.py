"""The features of HuBERT's first iteration: 13 MFCC by Kaldi's formula, their deltas, and the deltas of those."""

from __future__ import annotations

import tarfile
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest

import manifests
from filters.audio.decoding import decode
from filters.audio.samples import RATE
from trainers.models.mfcc import append_deltas, compute_deltas, compute_mfcc

N = RATE * 2
T = np.arange(N) / RATE
NOISE = np.random.default_rng(1)


def mel(frequency: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def mfcc_by_formula(samples: np.ndarray) -> np.ndarray:
    """Follow Kaldi's feature-window.cc, mel-computations.cc and feature-mfcc.cc, with --use-energy=false and --dither=0."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]  # 25 ms, every 10 ms
    frames = frames - frames.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)  # Kaldi's samples are float32
    emphasised = frames - np.float32(0.97) * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    povey = ((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85).astype(np.float32)
    power = np.abs(np.fft.rfft(emphasised * povey, 512, axis=1)) ** 2
    edges = np.linspace(mel(20.0), mel(RATE / 2), 25)  # of 23 triangles that are even in mel
    bins = mel(np.arange(257) * RATE / 512)[:, None]
    rising, falling = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles[-1] = 0.0  # no triangle has the bin at half the sampling rate
    energies = np.log(np.maximum(power @ triangles, np.finfo(np.float32).eps))
    k = np.arange(13)
    dct = np.sqrt(2 / 23) * np.cos(np.pi / 23 * np.outer(np.arange(23) + 0.5, k))
    dct[:, 0] = np.sqrt(1 / 23)
    lifter = 1 + 0.5 * 22 * np.sin(np.pi * k / 22)
    return energies @ (dct * lifter)


def voice() -> np.ndarray:
    """Return a recording of the embedded sample."""
    folder = Path(manifests.__file__).parent / "samples"
    for path in sorted(folder.glob("speech*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith((".flac", ".wav")) and "plain" in member.name:
                    file = tar.extractfile(member)
                    assert file
                    return decode(file.read()).samples
    raise AssertionError("no recording in the embedded sample")


SIGNALS = {
    "noise": NOISE.normal(0, 0.1, N),
    "quiet noise": NOISE.normal(0, 3e-4, N),
    # With noise: next to the silence around a pure tone, the transform in single precision is 0.03 off.
    "chirp": 0.5 * np.sin(2 * np.pi * (100 + 1_900 * T) * T) + NOISE.normal(0, 1e-2, N),
    "offset": 0.3 + 0.1 * np.sin(2 * np.pi * 440 * T) + NOISE.normal(0, 0.01, N),
    "clicks": (np.arange(N) % 1_000 == 0) * 0.9 + NOISE.normal(0, 1e-3, N),
    "16 bits": np.round(NOISE.normal(0, 0.05, N) * 32_768),
    "silence": np.zeros(N),
    "one frame": NOISE.normal(0, 0.1, 400),
    "almost two frames": NOISE.normal(0, 0.1, 559),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_made_signals_have_the_coefficients_of_the_formula(name: str) -> None:
    samples = SIGNALS[name].astype(np.float32)
    coefficients, expected = compute_mfcc(samples), mfcc_by_formula(samples)
    assert coefficients.dtype == np.float32
    assert coefficients.shape == expected.shape == (1 + (len(samples) - 400) // 160, 13)
    np.testing.assert_allclose(coefficients, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("scale", [1, 32_768])
def test_a_voice_has_the_coefficients_of_the_formula(scale: int) -> None:
    samples = voice() * np.float32(scale)
    coefficients = compute_mfcc(samples)
    assert len(coefficients) > 200
    np.testing.assert_allclose(coefficients, mfcc_by_formula(samples), atol=1e-3, rtol=0)


def test_silence_has_known_coefficients() -> None:
    """All 23 energies are log(eps) of single precision: the first coefficient is √23 times that, the others are 0."""
    expected = np.zeros(13)
    expected[0] = np.sqrt(23) * np.log(np.finfo(np.float32).eps)
    np.testing.assert_allclose(compute_mfcc(np.zeros(400, np.float32))[0], expected, atol=1e-3)


def test_what_is_shorter_than_a_window_has_no_frame() -> None:
    assert compute_mfcc(np.zeros(399, np.float32)).shape == (0, 13)
    assert append_deltas(compute_mfcc(np.zeros(0, np.float32))).shape == (0, 39)


def test_a_frame_does_not_depend_on_what_lies_before_it() -> None:
    samples = NOISE.normal(0, 0.1, 2_100 * 160 + 240).astype(np.float32)
    coefficients = compute_mfcc(samples)
    assert len(coefficients) == 2_100
    np.testing.assert_allclose(coefficients[2_040:], compute_mfcc(samples[2_040 * 160 :]), atol=1e-4, rtol=0)


def test_deltas_are_slopes() -> None:
    line = np.arange(20, dtype=np.float32)[:, None] * [[2.0, -0.5]] + 7
    slopes = compute_deltas(line.astype(np.float32))
    np.testing.assert_allclose(slopes[2:-2], np.tile([[2.0, -0.5]], (16, 1)), atol=1e-5)
    # At the ends: frame 0 sees itself twice before it.
    np.testing.assert_allclose(slopes[0], (line[1] - line[0] + 2 * (line[2] - line[0])) / 10, atol=1e-6)


def test_features_are_coefficients_deltas_and_deltas_of_those() -> None:
    coefficients = NOISE.normal(size=(30, 13)).astype(np.float32)
    features = append_deltas(coefficients)
    assert features.shape == (30, 39) and features.dtype == np.float32
    np.testing.assert_array_equal(features[:, :13], coefficients)
    reference = kaldi_native_fbank.compute_deltas(kaldi_native_fbank.DeltaOptions(), coefficients)
    # Kaldi filters the features twice and only then repeats the ends, torchaudio (HuBERT's) slope by slope: the same but for 4 frames.
    np.testing.assert_allclose(features[:, :26], reference[:, :26], atol=1e-5)
    np.testing.assert_allclose(features[4:-4], reference[4:-4], atol=1e-5)
