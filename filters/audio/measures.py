"""The measures of a recording, over the counters of `filters.audio.inspection`."""

from __future__ import annotations

import polars as pl

from filters.audio.inspection import SILENCE_DB
from filters.registry import measure


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
