"""Decode recordings and make what their measures are computed from.

| counter | |
|---|---|
| `duration` `speech_seconds` | seconds of the recording, or of the part that is asked for; the same without silences |
| `sampling_rate` `channels` `audio_format` | of the file; the format is None where it could not be decoded |
| `peak` `dc_offset` | largest and mean sample, of full scale |
| `rms_dbfs` | root of the mean square in dB of full scale |
| `clipping_share` `silence_share` | shares of the samples: in clipped runs, in silences |
| `leading_silence` `trailing_silence` `inner_silence` | seconds of silence at the edges, and of the longest one between |
| `snr_db` `bandwidth` | dB; Hz |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xxhash import xxh64_intdigest

from filters.audio import levels
from filters.audio.decoding import MAX_SECONDS, Source, decode, resample
from filters.audio.fingerprint import DESCRIPTOR_BYTES, VIEWS, Fingerprinter
from filters.audio.samples import RATE, to_int16
from filters.inspected import Inspected, Unreadable
from filters.registry import Counters

Span = tuple[float, float | None]  # start and end of a part, in seconds; None is the end of the recording
SILENCE_DB = -100.0  # peak and RMS of silence: below the smallest step of 16 bits, which is 90.3 dB below full scale


@dataclass(frozen=True)
class InspectedRecordings(Inspected):
    """What `inspect` gave. Flat recordings are silence, a steady tone or noise; all but mono FLAC of 16 bits need reencoding."""

    total: np.ndarray  # float64[n]: seconds of the whole recording, also where a part was asked for; NaN where it does not say
    exact: np.ndarray  # uint64[n]: of the samples as 16 bits, mono at `rate`: the same for the same samples in WAV and FLAC


def inspect(
    blobs: Sequence[Source | None],
    *,
    spans: Sequence[Span] | None = None,
    channels: Sequence[Sequence[int] | None] | None = None,
    rate: int = RATE,
    max_seconds: float = MAX_SECONDS,
) -> InspectedRecordings:
    """Decode and measure recordings (bytes of files, or paths), each on its own: a result does not depend on the rest of the batch.

    `spans`: the part of each to look at; `channels`: which of its channels, None for all. Everything is measured at 16 kHz. `rate` is
    the one that recordings are to be written at, which decides `needs_reencoding` and `exact`.
    """
    n = len(blobs)
    numbers = np.zeros((n, levels.NUMBERS))
    hashes, exact = np.zeros((n, VIEWS), np.uint64), np.zeros(n, np.uint64)
    descriptors = np.zeros((n, DESCRIPTOR_BYTES), np.uint8)
    flat, needs_reencoding = np.ones(n, bool), np.zeros(n, bool)
    total = np.zeros(n)
    seconds, rates, n_channels = np.zeros(n, np.float32), np.zeros(n, np.int32), np.zeros(n, np.int32)
    formats = np.full(n, None, object)
    problems: list[str | None] = [None] * n
    fingerprinter = Fingerprinter()
    for i, blob in enumerate(blobs):
        start, end = spans[i] if spans is not None else (0.0, None)
        chosen = channels[i] if channels is not None else None
        try:
            sound = decode(
                b"" if blob is None else blob, rate=rate, start=start, end=end, channels=chosen, max_seconds=max_seconds
            )
        except Unreadable as problem:
            problems[i] = str(problem)
            continue
        written = to_int16(sound.samples)
        exact[i] = xxh64_intdigest(written.data)
        pcm = written if rate == RATE else to_int16(resample(sound.samples, rate, RATE))
        levels.fill_levels(pcm, numbers[i])
        flat[i] = not fingerprinter.fill(pcm, numbers[i], hashes[i], descriptors[i])
        seconds[i], rates[i], n_channels[i] = len(sound.samples) / rate, sound.sampling_rate, sound.channels
        total[i] = sound.seconds
        formats[i], needs_reencoding[i] = sound.format, sound.needs_reencoding

    def column(number: int) -> np.ndarray:
        return numbers[:, number].astype(np.float32)

    is_readable = np.array([problem is None for problem in problems], bool)
    rms = np.maximum(numbers[:, levels.RMS], 10 ** (SILENCE_DB / 20))
    counters: Counters = {
        "duration": seconds,
        "speech_seconds": column(levels.SPEECH),
        "sampling_rate": rates,
        "channels": n_channels,
        "peak": column(levels.PEAK),
        "rms_dbfs": np.where(numbers[:, levels.PEAK] > 0, 20 * np.log10(rms), SILENCE_DB * is_readable).astype(np.float32),
        "clipping_share": column(levels.CLIPPED),
        "dc_offset": column(levels.MEAN),
        "leading_silence": column(levels.LEADING),
        "trailing_silence": column(levels.TRAILING),
        "inner_silence": column(levels.PAUSE),
        "silence_share": column(levels.SILENT),
        "snr_db": column(levels.SNR),
        "bandwidth": column(levels.BANDWIDTH),
        "audio_format": formats,
    }
    return InspectedRecordings(counters, problems, hashes, flat, descriptors, needs_reencoding, total, exact)
