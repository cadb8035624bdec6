"""Recordings: spectrograms for reports."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from filters.audio.decoding import decode
from filters.inspected import Unreadable
from pipeline.core.errors import ChangedInputError
from pipeline.core.tables import read_arrow_file
from pipeline.modalities.speech.manifest import SpeechManifest
from pipeline.modalities.speech.measure import encoded_sound
from pipeline.sources.rows import Rows
from pipeline.workspace import Part

WIDTH, HEIGHT, QUALITY = 240, 64, 55
LONGEST = 30.0  # seconds that are drawn
_FRAME = 512  # samples of a spectrum
_FLOOR = -80.0  # dB below the loudest that are black


def draw_recordings(manifest: SpeechManifest, part: Part, rows: list[int]) -> list[bytes | None]:
    """Return spectrograms of some records of a partition as WebP, time to the right and 0 to 8 kHz upwards; None for the unreadable."""
    recordings = Rows(read_arrow_file(part.raw)[rows])
    try:
        return [_draw(recordings, row) for row in range(len(rows))]
    finally:
        recordings.close()


def _draw(recordings: Rows, row: int) -> bytes | None:
    frame = recordings.frame
    start, end, channels = frame["start"][row] or 0.0, frame["end"][row], frame["channels"][row]
    end = start + LONGEST if end is None else min(end, start + LONGEST)
    try:
        sound = encoded_sound(recordings, row)
        if sound is None:
            return None
        decoded = decode(sound, start=start, end=end, channels=None if channels is None else channels.to_list())
    except (Unreadable, ChangedInputError):  # the corpus is made by now
        return None
    return draw_spectrogram(decoded.samples)


def draw_spectrogram(samples: np.ndarray) -> bytes:
    """Return the spectrogram of mono samples at RATE as WebP of WIDTH by HEIGHT pixels."""
    padded = np.pad(samples.astype(np.float32), (_FRAME // 2, _FRAME))
    centres = np.linspace(0, max(len(samples) - 1, 0), WIDTH).astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[centres] * np.hanning(_FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(frames)[:, : _FRAME // 2]) ** 2
    bands = power.reshape(WIDTH, HEIGHT, -1).mean(axis=2)
    decibels = 10 * np.log10(np.maximum(bands, 1e-12) / max(float(bands.max()), 1e-12))
    grey = np.clip((1 - decibels / _FLOOR) * 255, 0, 255).astype(np.uint8)
    out = BytesIO()
    Image.fromarray(np.ascontiguousarray(grey.T[::-1])).save(out, "WEBP", quality=QUALITY)
    return out.getvalue()
