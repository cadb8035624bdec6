"""Sounds like speech made by numpy, files of them made by libsndfile, and what `inspect` says about them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
import soundfile

from filters import compute
from filters.audio.inspection import InspectedRecordings, inspect
from filters.audio.samples import RATE

AUDIO_MEASURES = (
    "duration speech_duration sampling_rate channels peak_dbfs rms_dbfs clipping_share dc_offset leading_silence trailing_silence "
    "longest_pause silence_share snr bandwidth audio_format"
).split()


def make_speech(seconds: float = 3.0, seed: int = 0, pause: float = 0.0, level: float = 0.1) -> np.ndarray:
    """Something like speech, float32[n], without silence at its edges: syllables of a gliding voice through two formants, and hisses.

    `pause`: seconds of silence in the middle, beside the short ones between syllables.
    """
    rng = np.random.default_rng(seed)
    out = []
    while sum(map(len, out)) < seconds * RATE:
        n = int(rng.uniform(0.08, 0.25) * RATE)
        t = np.arange(n) / RATE
        pitch = 2 * np.pi * np.cumsum(np.linspace(*rng.uniform(100, 260, 2), n)) / RATE
        formants = np.linspace(rng.uniform((300, 900), (900, 2500)), rng.uniform((300, 900), (900, 2500)), n)
        voice = np.zeros(n)
        for k in range(1, 30):
            frequency = k * np.gradient(pitch) * RATE / (2 * np.pi)
            gain = sum(np.exp(-(((frequency - formants[:, f]) / (100 + 80 * f)) ** 2)) for f in (0, 1)) + 0.01
            voice += gain * np.sin(k * pitch) * (frequency < 7000)
        syllable = voice * np.sin(np.pi * t * RATE / n) ** 0.5 * rng.uniform(0.4, 1)
        hiss = rng.normal(0, 0.3, int(rng.uniform(0.02, 0.08) * RATE)) * rng.uniform(0.1, 0.6)
        out += [hiss, syllable, np.zeros(int(rng.uniform(0, 0.05) * RATE))]
    samples = np.concatenate(out)[: int(seconds * RATE)]
    if pause:
        samples = np.insert(samples, len(samples) // 2, np.zeros(int(pause * RATE)))
    return (samples * level / np.sqrt((samples**2).mean())).astype(np.float32)


def pad_with_silence(
    samples: np.ndarray, before: float = 0.3, after: float = 0.3, noise: float = 1e-4, seed: int = 0
) -> np.ndarray:
    """With silence before and after, and noise of so much throughout."""
    padded = np.concatenate([np.zeros(int(before * RATE)), samples, np.zeros(int(after * RATE))])
    return (padded + np.random.default_rng(seed).normal(0, noise, len(padded))).astype(np.float32)


def encode_sound(
    samples: np.ndarray, format: str = "WAV", rate: int = RATE, subtype: str | None = None, **options: Any
) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=format, subtype=subtype, **options)
    return out.getvalue()


def encode_speech(
    samples: np.ndarray, format: str = "FLAC", rate: int = RATE, subtype: str | None = None, **options: Any
) -> bytes:
    """Encode samples that may lie beyond full scale."""
    return encode_sound(np.clip(samples, -1, 32767 / 32768), format, rate, subtype, **options)


def measure_recordings(inspected: InspectedRecordings) -> pl.DataFrame:
    n = len(inspected.problems)
    return compute(np.zeros(0, np.uint8), np.zeros(n + 1, np.int64), AUDIO_MEASURES, inspected.counters)


def measure_samples(samples: np.ndarray, rate: int = RATE) -> dict[str, Any]:
    inspected = inspect([encode_speech(samples, "WAV", rate, "FLOAT")])
    assert inspected.problems == [None]
    return measure_recordings(inspected).row(0, named=True)


def are_same(left: InspectedRecordings, right: InspectedRecordings) -> bool:
    arrays = ("hashes", "flat", "descriptors", "needs_reencoding", "exact")
    return (
        left.problems == right.problems
        and all(np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays)
        and all(np.array_equal(left.counters[name], right.counters[name]) for name in left.counters)
    )
