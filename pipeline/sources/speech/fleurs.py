"""FLEURS's lists (huggingface.co/datasets/google/fleurs), which have no header.

`id file_name raw_transcription transcription transcription_by_letters num_samples gender`, tabs between them; the recordings have 16 kHz.
`raw_transcription` is what was read, with its signs; `transcription` has none.
"""

from __future__ import annotations

import polars as pl

from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.lines import split_cells
from pipeline.sources.speech.columns import is_audio_name

_NAMES = ["number", "path", "transcript", "normalised", "letters", "num_samples", "gender"]
_RATE = 16_000  # Hz


def is_fleurs(lines: list[str]) -> bool:
    """Return whether most of the first lines are FLEURS's."""
    cells = [line.split("\t") for line in lines]
    fits = [len(one) == len(_NAMES) and is_audio_name(one[1]) and one[0].isdigit() and one[5].isdigit() for one in cells]
    return sum(fits) * 2 > len(lines)


def read_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Return `path`, `transcript`, `duration` in seconds, and `PROBLEM`."""
    cells = split_cells(lines, _NAMES)
    duration = pl.col("num_samples").cast(pl.Float64, strict=False) / _RATE
    return cells.select("path", "transcript", PROBLEM, duration=duration)
