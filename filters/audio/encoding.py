"""Encode samples as FLAC, the format of recordings in shards."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import soundfile

from filters.audio.samples import RATE, to_int16


def encode_flac(samples: np.ndarray, rate: int = RATE) -> bytes:
    """Encode float32 samples as mono FLAC of 16 bits: rounded, without dither, clipped at full scale.

    The same samples and version of libFLAC give the same bytes. Samples that came from 16 bits come out as they were.
    """
    out = BytesIO()
    soundfile.write(out, to_int16(samples), rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()
