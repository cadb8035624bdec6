"""What the trainers on recordings share: samples, frames, masks, and batches in which padding changes nothing.

A batch is as long as its longest recording. The convolutions do not mind, and attention is masked, but the normalisation over time that
HuBERT base begins with (`feat_extract_norm = "group"`) would take in the padding: `padding_proof` makes it leave that out. So a recording
has the outputs that it has alone, as everywhere that the model will be used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from filters.audio.decoding import RATE, Unreadable, decode
from pipeline.core.errors import UsageError
from trainers.data.reader import Skip
from trainers.training.settings import built, named

BUILD = "make them with python -m pipeline.build, such as reazonspeech or speech-ja"


def samples_of(audio: memoryview | None, normalise: bool) -> np.ndarray:
    """float32[n], mono at 16 kHz; with `normalise` of mean 0 and variance 1, as Wav2Vec2FeatureExtractor does. Raises Skip."""
    try:
        samples = decode(audio or b"").samples
    except Unreadable as error:
        raise Skip(str(error)) from None
    if normalise:
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    return samples


@dataclass(frozen=True)
class Frames:
    """How a model's convolutions turn samples into frames."""

    stride: int  # samples between frames
    window: int  # samples that a frame is of

    @classmethod
    def of(cls, config: Any) -> Frames:
        """Of a HubertConfig: 320 and 400, unless it is an unusual one."""
        window, stride = 1, 1
        for kernel, step in zip(config.conv_kernel, config.conv_stride, strict=True):
            window, stride = window + (kernel - 1) * stride, stride * step
        return cls(stride, window)

    def count(self, samples: int) -> int:
        return max(0, (samples - self.window) // self.stride + 1)

    def slice(self, first: int, count: int) -> slice:
        """The samples of some frames."""
        return slice(first * self.stride, (first + count - 1) * self.stride + self.window)


def spans(rng: np.random.Generator, frames: int, share: float, length: int, least: int = 2) -> np.ndarray:
    """bool[frames]: what is masked, in spans that may overlap (wav2vec 2.0, section 3.1).

    So many that they would be `share` of the frames if they did not overlap, rounded up or down by chance; at least `least`.
    """
    masked = np.zeros(frames, bool)
    length = min(length, frames)
    if share > 0 and frames:
        number = min(max(least, int(share * frames / length + rng.random())), frames - length + 1)
        starts = rng.choice(frames - length + 1, number, replace=False)
        masked[starts[:, None] + np.arange(length)] = True
    return masked


def padded(arrays: Sequence[np.ndarray], fill: float = 0) -> torch.Tensor:
    """[batch, longest] of arrays of one dtype."""
    out = np.full((len(arrays), max(map(len, arrays))), fill, arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(out)


def sound_inputs(samples: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> tuple[dict[str, torch.Tensor], float]:
    """Arguments of HubertModel: samples, which of them there are, and which frames are masked; and how many seconds they are."""
    there = padded([np.ones(len(s), bool) for s in samples])
    found = {"input_values": padded(samples), "attention_mask": there, "mask_time_indices": padded(masks)}
    return found, float(there.sum()) / RATE


class PaddedNorm(nn.GroupNorm):
    """A norm over the time of each channel, of which `frames` (int64[batch]) are no padding; of all where that is None."""

    frames: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if self.frames is None:
            return super().forward(hidden)
        number = self.frames[:, None, None]
        there = torch.arange(hidden.shape[-1], device=hidden.device) < number
        hidden = hidden.float()
        mean = (hidden * there).sum(-1, keepdim=True) / number
        centred = (hidden - mean) * there
        deviation = (centred.square().sum(-1, keepdim=True) / number + self.eps).sqrt()
        return centred * (self.weight[:, None] / deviation) + self.bias[:, None]


def padding_proof(model: Any) -> Any:
    """A HubertModel, changed so that outputs of frames do not depend on padding, where `attention_mask` says what that is."""
    first = model.feature_extractor.conv_layers[0]
    if model.config.feat_extract_norm != "group":
        return model
    old, conv = first.layer_norm, first.conv
    norm = first.layer_norm = PaddedNorm(old.num_groups, old.num_channels, old.eps).to(old.weight.device)
    norm.load_state_dict(old.state_dict())

    def note(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        mask = named.get("attention_mask")
        norm.frames = None if mask is None else (mask.sum(-1) - conv.kernel_size[0]) // conv.stride[0] + 1

    model.register_forward_pre_hook(note, with_kwargs=True)
    return model


def loaded(kind: Any, place: str, **options: Any) -> Any:
    """A transformers model of a folder, or by its name on the Hub. Raises UsageError where there is no HuBERT."""
    from transformers import AutoConfig

    named(place, "the model that python -m trainers.hubert makes in OUT/model")
    try:
        found = AutoConfig.from_pretrained(place).model_type
    except Exception as error:  # whatever reading a folder that is none, or is damaged, raises
        raise UsageError(f"no HuBERT is in {place} (python -m trainers.hubert makes one in OUT/model): {error}") from None
    if found == "hubert":
        with built(place):
            return kind.from_pretrained(place, **options)
    raise UsageError(f"{place} holds a {found}, not a HuBERT: python -m trainers.hubert makes one in OUT/model")


def normalises(place: str, config: Any) -> bool:
    """Whether a model wants samples of mean 0 and variance 1: by its `preprocessor_config.json`, or by its kind where there is none."""
    from transformers import Wav2Vec2FeatureExtractor

    try:
        return bool(Wav2Vec2FeatureExtractor.from_pretrained(place).do_normalize)
    except OSError:
        return config.feat_extract_norm == "layer"


def preprocessor(normalise: bool) -> Any:
    """What makes inputs of samples elsewhere, as here."""
    from transformers import Wav2Vec2FeatureExtractor

    return Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=normalise, return_attention_mask=True)


def model_sha256(place: str) -> str:
    """Of a model's file of weights; of a model by name, the name."""
    path = Path(place) / "model.safetensors"
    if not path.is_file():
        return place
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
