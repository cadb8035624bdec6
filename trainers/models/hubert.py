"""HuBERT models for training: loaded from a folder or the Hub, and changed so that padding does not matter.

A batch is as long as its longest recording. Convolutions do not mind, and attention is masked. But HuBERT base begins with a
normalisation over time (`feat_extract_norm = "group"`), which would take in the padding. `ignore_padding` makes it leave that out,
so that a recording has the same outputs in a batch as on its own, which is how the model will be used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from filters.audio.samples import RATE
from pipeline.core.errors import UsageError
from trainers.models.configuration import check_model_path, explain_model_errors
from trainers.models.pretrained import LoadReport, Tell, check_report, load_with_report


class PaddedGroupNorm(nn.GroupNorm):
    """A norm over the time of each channel, of the first `frames` (int64[batch]) only, or of all if that is None."""

    frames: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if self.frames is None:
            return super().forward(hidden)
        number = self.frames[:, None, None]
        is_sound = torch.arange(hidden.shape[-1], device=hidden.device) < number
        hidden = hidden.float()
        mean = (hidden * is_sound).sum(-1, keepdim=True) / number
        centred = (hidden - mean) * is_sound
        deviation = (centred.square().sum(-1, keepdim=True) / number + self.eps).sqrt()
        return centred * (self.weight[:, None] / deviation) + self.bias[:, None]


def ignore_padding(model: Any) -> Any:
    """Change a HubertModel so that its outputs do not depend on what `attention_mask` says is padding, and return it."""
    if model.config.feat_extract_norm != "group":
        return model
    first = model.feature_extractor.conv_layers[0]
    old, convolution = first.layer_norm, first.conv
    norm = first.layer_norm = PaddedGroupNorm(old.num_groups, old.num_channels, old.eps).to(old.weight.device)
    norm.load_state_dict(old.state_dict())

    def count_frames(_: nn.Module, args: tuple[Any, ...], arguments: dict[str, Any]) -> None:
        mask = arguments.get("attention_mask")
        norm.frames = None if mask is None else (mask.sum(-1) - convolution.kernel_size[0]) // convolution.stride[0] + 1

    model.register_forward_pre_hook(count_frames, with_kwargs=True)
    return model


def load_hubert(
    model_class: Any, path: str, tell: Tell, must_exist: Callable[[str], bool], new: Sequence[str] = (), **options: Any
) -> tuple[Any, LoadReport]:
    """Load a transformers model from a folder, or by its name on the Hub, and return it with what was missing.

    `must_exist` and `new` are those of `check_report`. Raises UsageError if it is not a HuBERT, or lacks what training does not change.
    """
    from transformers import AutoConfig  # late: heavy

    check_model_path(path, "the model that python -m trainers.hubert makes in OUT/model")
    try:
        model_type = AutoConfig.from_pretrained(path, trust_remote_code=False).model_type
    except Exception as error:  # whatever reading a folder without a model, or a damaged one, raises
        raise UsageError(f"no HuBERT is in {path} (python -m trainers.hubert makes one in OUT/model): {error}") from None
    if model_type != "hubert":
        raise UsageError(f"{path} holds a {model_type}, not a HuBERT: python -m trainers.hubert makes one in OUT/model")
    with explain_model_errors(path):
        model, report = load_with_report(model_class, path, **options)
    check_report(report, path, "the HuBERT to begin with", tell, must_exist, new)
    return model, report


def expects_normalised_samples(path: str, config: Any) -> bool:
    """Return whether a model expects samples of mean 0 and variance 1.

    Its `preprocessor_config.json` says so; without one, large models do and base models do not.
    """
    from transformers import Wav2Vec2FeatureExtractor  # late: heavy

    try:
        return bool(Wav2Vec2FeatureExtractor.from_pretrained(path).do_normalize)
    except OSError:
        return config.feat_extract_norm == "layer"


def make_feature_extractor(normalise: bool) -> Any:
    """Return what makes a model's inputs of samples elsewhere, in the way of these trainers."""
    from transformers import Wav2Vec2FeatureExtractor  # late: heavy

    return Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=normalise, return_attention_mask=True)


def hash_model(path: str) -> str:
    """Return the SHA-256 of a model's file of weights; for a model on the Hub, its name."""
    weights = Path(path) / "model.safetensors"
    if not weights.is_file():
        return path
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
