"""The measures of a recording, and `inspect`, which decodes recordings and makes what the measures are computed from.

| counter | |
|---|---|
| `duration` `speech_seconds` | seconds: of the recording, or of the part of it that is asked for; of it less its silences |
| `sampling_rate` `channels` `audio_format` | of the file; the format is None where it could not be decoded |
| `peak` `dc_offset` | largest and mean sample, of full scale |
| `rms_dbfs` | root of the mean square in dB of full scale |
| `clipping_share` `silence_share` | shares of the samples: in clipped runs, in silences |
| `leading_silence` `trailing_silence` `inner_silence` | seconds of silence at the edges, and of the longest one between |
| `snr_db` `bandwidth` | dB; Hz |

`inspect` makes all of these, from samples at 16 kHz, mono, 16 bits, whatever the file has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from filters.audio import decoding as sound
from filters.audio import spectrum as waves
from filters.audio.decoding import MAX_SECONDS, RATE, Unreadable, cut, reencode
from filters.audio.spectrum import ACCEPT, DESCRIPTOR_BYTES, VIEWS, silences, similarities, similarity
from filters.inspected import concatenated
from filters.registry import Counters, measure

__all__ = [
    "ACCEPT",
    "DESCRIPTOR_BYTES",
    "RATE",
    "VIEWS",
    "Inspected",
    "Unreadable",
    "concatenated",
    "cut",
    "inspect",
    "reencode",
    "silences",
    "similarities",
    "similarity",
]

Span = tuple[float, float | None]
# Peak and RMS of silence, in dB: below the smallest step of 16 bits, 90.3 dB below full scale.
SILENCE_DB = -100.0


@dataclass(frozen=True)
class Inspected:
    """What `inspect` found: row i of everything is recording i, zero (None for strings) where it has a problem."""

    counters: Counters
    problems: list[str | None]
    hashes: np.ndarray  # uint64[n, VIEWS]: perceptual, two views
    flat: np.ndarray  # bool[n]: nothing for the hashes to say anything about: silence, a steady tone or noise
    descriptors: np.ndarray  # uint8[n, DESCRIPTOR_BYTES], for `similarities`
    needs_reencoding: np.ndarray  # bool[n]: anything but FLAC, mono, of 16 bits at `rate`, and all of it
    exact: np.ndarray  # uint64[n]: of the samples, mono at `rate`, as 16 bits: the same for the same samples in WAV and FLAC


def inspect(
    blobs: Sequence[sound.Source | None],
    *,
    spans: Sequence[Span] | None = None,
    rate: int = RATE,
    max_seconds: float = MAX_SECONDS,
) -> Inspected:
    """Decode and measure recordings (bytes of files, or paths), each alone: the result does not depend on the rest of the batch.

    `spans`: the part of each to look at, start and end in seconds. Everything is measured at 16 kHz; `rate` is the one at which the
    recordings are to be written, which decides `needs_reencoding` and `exact`.
    """
    n = len(blobs)
    numbers = np.zeros((n, waves.NUMBERS))
    hashes, exact = np.zeros((n, VIEWS), np.uint64), np.zeros(n, np.uint64)
    descriptors = np.zeros((n, DESCRIPTOR_BYTES), np.uint8)
    flat, needs_reencoding = np.ones(n, bool), np.zeros(n, bool)
    seconds, rates, channels = np.zeros(n, np.float32), np.zeros(n, np.int32), np.zeros(n, np.int32)
    formats, problems = np.full(n, None, object), [None] * n  # type: tuple[np.ndarray, list[str | None]]
    describer = waves.Describer()
    for i, blob in enumerate(blobs):
        start, end = spans[i] if spans is not None else (0.0, None)
        try:
            found = sound.decode(
                b"" if blob is None else blob, rate=rate, start=start, end=end, max_seconds=max_seconds,
                dtype="int16" if rate == waves.RATE else "float32",
            )  # fmt: skip
        except sound.Unreadable as problem:
            problems[i] = str(problem)
            continue
        samples = found.samples
        if rate != waves.RATE:
            exact[i] = waves.xxh64(waves.to_int16(samples))
            samples = waves.to_int16(sound.resampled(samples, rate, waves.RATE))
        of_samples, flat[i] = describer.describe(samples, numbers[i], hashes[i], descriptors[i])
        exact[i] = of_samples if rate == waves.RATE else exact[i]
        seconds[i], rates[i], channels[i] = len(found.samples) / rate, found.sampling_rate, found.channels
        formats[i], needs_reencoding[i] = found.format, found.needs_reencoding

    def column(number: int) -> np.ndarray:
        return numbers[:, number].astype(np.float32)

    unreadable = np.array([problem is not None for problem in problems], bool)
    rms = np.maximum(numbers[:, waves.RMS], 10 ** (SILENCE_DB / 20))
    counters: Counters = {
        "duration": seconds,
        "speech_seconds": column(waves.SPEECH),
        "sampling_rate": rates,
        "channels": channels,
        "peak": column(waves.PEAK),
        "rms_dbfs": np.where(numbers[:, waves.PEAK] > 0, 20 * np.log10(rms), SILENCE_DB * ~unreadable).astype(np.float32),
        "clipping_share": column(waves.CLIPPED),
        "dc_offset": column(waves.MEAN),
        "leading_silence": column(waves.LEADING),
        "trailing_silence": column(waves.TRAILING),
        "inner_silence": column(waves.PAUSE),
        "silence_share": column(waves.SILENT),
        "snr_db": column(waves.SNR),
        "bandwidth": column(waves.BANDWIDTH),
        "audio_format": formats,
    }
    return Inspected(counters, problems, hashes, flat, descriptors, needs_reencoding, exact)


@measure(kind="audio")
def duration() -> pl.Expr:
    """Length of the recording in seconds."""
    return pl.col("duration")


@measure(kind="audio")
def speech_duration() -> pl.Expr:
    """Length of the recording in seconds without its silences."""
    return pl.col("speech_seconds")


@measure(kind="audio")
def sampling_rate() -> pl.Expr:
    """Sampling rate of the file in Hz."""
    return pl.col("sampling_rate")


@measure(kind="audio")
def channels() -> pl.Expr:
    """Channels of the file. Their mean is what is measured."""
    return pl.col("channels")


@measure(kind="audio")
def peak_dbfs() -> pl.Expr:
    """Largest sample in dB of full scale; -100 for digital silence."""
    decibels = 20 * pl.col("peak").clip(10 ** (SILENCE_DB / 20)).log10()
    return pl.when(pl.col("audio_format").is_null()).then(0.0).otherwise(decibels).cast(pl.Float32)


@measure(kind="audio")
def rms_dbfs() -> pl.Expr:
    """Root of the mean square of all samples in dB of full scale (a full sine has -3); -100 for digital silence."""
    return pl.col("rms_dbfs")


@measure(kind="audio")
def clipping_share() -> pl.Expr:
    """Share of samples in runs of two or more at the ceiling: within 0.1 % of the peak, where that is 0.98 of full scale or more."""
    return pl.col("clipping_share")


@measure(kind="audio")
def dc_offset() -> pl.Expr:
    """Distance of the mean of all samples from zero, where full scale is 1."""
    return pl.col("dc_offset").abs()


@measure(kind="audio")
def leading_silence() -> pl.Expr:
    """Seconds of silence before the first speech; the whole recording where nobody speaks."""
    return pl.col("leading_silence")


@measure(kind="audio")
def trailing_silence() -> pl.Expr:
    """Seconds of silence after the last speech."""
    return pl.col("trailing_silence")


@measure(kind="audio")
def longest_pause() -> pl.Expr:
    """Seconds of the longest silence between speech and speech; 0 where there is none of 0.1 s or more."""
    return pl.col("inner_silence")


@measure(kind="audio")
def silence_share() -> pl.Expr:
    """Share of the recording that is silence: before, after and between speech."""
    return pl.col("silence_share")


@measure(kind="audio")
def snr() -> pl.Expr:
    """Signal to noise ratio in dB, 0 to 100: energy of what is above the quietest frames, less theirs, over theirs."""
    return pl.col("snr_db")


@measure(kind="audio")
def bandwidth() -> pl.Expr:
    """Highest frequency in Hz, 8000 at the most, that has more than a millionth of the power of the strongest one."""
    return pl.col("bandwidth")


@measure(kind="audio", words=True)
def audio_format() -> pl.Expr:
    """FLAC, WAV, OGG, MP3 or AIFF."""
    return pl.col("audio_format")
