"""Recordings of shards as batches for a HuBERT: samples, frames and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import soundfile
import torch

from filters.audio.decoding import Unreadable, decode
from filters.audio.samples import RATE
from trainers.data.batches import Skip

BUILD_HINT = "make them with python -m pipeline.build, such as reazonspeech or speech-ja"


def decode_samples(audio: memoryview | None, normalise: bool) -> np.ndarray:
    """Return float32[n], mono at 16 kHz. Raises Skip.

    With `normalise` they have mean 0 and variance 1, as Wav2Vec2FeatureExtractor makes them.
    """
    try:
        samples = decode(audio or b"").samples
    except Unreadable as error:
        raise Skip(str(error)) from None
    if normalise:
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    return samples


def measure_durations(columns: dict[str, Any]) -> np.ndarray:
    """Return float64[n] seconds: the column `duration`, or what the header of `audio` says where there is none. 0 without either."""
    audio = columns["audio"]
    seconds = np.array(columns.get("duration", [np.nan] * len(audio)), np.float64)
    for i in np.flatnonzero(~np.isfinite(seconds)):
        try:
            seconds[i] = soundfile.info(BytesIO(audio[i] or b"")).duration
        except soundfile.SoundFileError:  # it is skipped when it is decoded
            seconds[i] = 0.0
    return seconds


@dataclass(frozen=True)
class Frames:
    """How a model's convolutions turn samples into frames."""

    stride: int  # samples from one frame to the next
    window: int  # samples that one frame sees

    @classmethod
    def from_config(cls, config: Any) -> Frames:
        """Derive both from the convolutions of a HubertConfig: usually 320 and 400."""
        window, stride = 1, 1
        for kernel, step in zip(config.conv_kernel, config.conv_stride, strict=True):
            window, stride = window + (kernel - 1) * stride, stride * step
        return cls(stride, window)

    def count(self, samples: int) -> int:
        """Return the number of frames of so many samples."""
        return max(0, (samples - self.window) // self.stride + 1)

    def slice(self, first: int, count: int) -> slice:
        """Return the slice of samples that `count` frames from `first` on see."""
        return slice(first * self.stride, (first + count - 1) * self.stride + self.window)


def draw_mask(rng: np.random.Generator, frames: int, share: float, length: int, at_least: int = 2) -> np.ndarray:
    """Return bool[frames]: masked spans of `length` frames, which may overlap (wav2vec 2.0, section 3.1).

    There are as many spans as would cover `share` of the frames without overlap, rounded up or down by chance, and at least
    `at_least`.
    """
    mask = np.zeros(frames, bool)
    length = min(length, frames)
    if share > 0 and frames:
        number = min(max(at_least, int(share * frames / length + rng.random())), frames - length + 1)
        starts = rng.choice(frames - length + 1, number, replace=False)
        mask[starts[:, None] + np.arange(length)] = True
    return mask


def pad(arrays: Sequence[np.ndarray], fill: float = 0) -> torch.Tensor:
    """Stack arrays of one dtype to [batch, longest]."""
    out = np.full((len(arrays), max(map(len, arrays))), fill, arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(out)


def pad_ones(lengths: Sequence[int]) -> torch.Tensor:
    """Return bool[batch, longest]: what is no padding."""
    return pad([np.ones(length, bool) for length in lengths])


def collate_audio(samples: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> tuple[dict[str, torch.Tensor], float]:
    """Return the arguments of HubertModel (samples, which of them are no padding, which frames are masked), and seconds of audio."""
    attention_mask = pad_ones([len(recording) for recording in samples])
    inputs = {"input_values": pad(samples), "attention_mask": attention_mask, "mask_time_indices": pad(masks)}
    return inputs, float(attention_mask.sum()) / RATE
