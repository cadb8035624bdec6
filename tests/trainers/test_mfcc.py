"""MFCC against Kaldi's own (kaldi-native-fbank), on made signals and on a voice."""

from __future__ import annotations

import tarfile
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest

import manifests
from filters.audio.decoding import decode
from trainers.models.mfcc import deltas, mfcc, with_deltas

N = 16_000 * 2
T = np.arange(N) / 16_000
NOISE = np.random.default_rng(1)


def kaldi(samples: np.ndarray) -> np.ndarray:
    options = kaldi_native_fbank.MfccOptions()
    options.use_energy = False
    options.frame_opts.dither = 0.0
    found = kaldi_native_fbank.OnlineMfcc(options)
    found.accept_waveform(16_000, samples.tolist())
    found.input_finished()
    return np.stack([found.get_frame(i) for i in range(found.num_frames_ready)])


def voice() -> np.ndarray:
    """A recording of the embedded sample."""
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
    # With noise: where a pure tone stands beside nothing, the transform in single precision is 0.03 off.
    "chirp": 0.5 * np.sin(2 * np.pi * (100 + 1_900 * T) * T) + NOISE.normal(0, 1e-2, N),
    "offset": 0.3 + 0.1 * np.sin(2 * np.pi * 440 * T) + NOISE.normal(0, 0.01, N),
    "clicks": (np.arange(N) % 1_000 == 0) * 0.9 + NOISE.normal(0, 1e-3, N),
    "16 bits": np.round(NOISE.normal(0, 0.05, N) * 32_768),
    "silence": np.zeros(N),
    "one frame": NOISE.normal(0, 0.1, 400),
    "almost two frames": NOISE.normal(0, 0.1, 559),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_made_signals_have_the_coefficients_that_kaldi_finds(name: str) -> None:
    samples = SIGNALS[name].astype(np.float32)
    found, expected = mfcc(samples), kaldi(samples)
    assert found.dtype == np.float32 and found.shape == expected.shape == (1 + (len(samples) - 400) // 160, 13)
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("scale", [1, 32_768])
def test_a_voice_has_the_coefficients_that_kaldi_finds(scale: int) -> None:
    samples = voice() * np.float32(scale)
    found, expected = mfcc(samples), kaldi(samples)
    assert len(found) > 200
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=0)


def test_what_is_shorter_than_a_window_has_no_frame() -> None:
    assert mfcc(np.zeros(399, np.float32)).shape == (0, 13)
    assert with_deltas(mfcc(np.zeros(0, np.float32))).shape == (0, 39)


def test_long_recordings_are_taken_in_blocks_without_a_seam() -> None:
    samples = NOISE.normal(0, 0.1, 2_100 * 160 + 240).astype(np.float32)
    found = mfcc(samples)
    assert len(found) == 2_100
    np.testing.assert_allclose(found[2_040:], mfcc(samples[2_040 * 160 :]), atol=1e-4, rtol=0)


def test_deltas_are_slopes() -> None:
    line = np.arange(20, dtype=np.float32)[:, None] * [[2.0, -0.5]] + 7
    slopes = deltas(line.astype(np.float32))
    np.testing.assert_allclose(slopes[2:-2], np.tile([[2.0, -0.5]], (16, 1)), atol=1e-5)
    # At the ends: frame 0 sees itself twice before it.
    np.testing.assert_allclose(slopes[0], (line[1] - line[0] + 2 * (line[2] - line[0])) / 10, atol=1e-6)
    features = NOISE.normal(size=(30, 13)).astype(np.float32)
    both = with_deltas(features)
    assert both.shape == (30, 39) and both.dtype == np.float32
    np.testing.assert_array_equal(both[:, :13], features)
    reference = kaldi_native_fbank.compute_deltas(kaldi_native_fbank.DeltaOptions(), features)
    # Kaldi filters the features twice and only then repeats the ends, torchaudio (HuBERT's) slope by slope: the same but for 4 frames.
    np.testing.assert_allclose(both[:, :26], reference[:, :26], atol=1e-5)
    np.testing.assert_allclose(both[4:-4], reference[4:-4], atol=1e-5)
