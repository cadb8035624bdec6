"""The two towers of a VisionTextDualEncoderModel, and the tokenizer that goes with them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import UsageError
from tokenizer.model import Tokenizer
from trainers.training.settings import built, model_config, named


def vision_tower(settings: dict[str, Any]) -> Any:
    """From a checkpoint's weights, the vision half where it has two, or anew. Raises UsageError."""
    from transformers import AutoConfig, AutoModel

    table = dict(settings)
    place, freeze = table.pop("pretrained", ""), table.pop("freeze", False)
    if not isinstance(freeze, bool) or not isinstance(place, str) or bool(place) == bool(table):
        raise UsageError("vision: expected pretrained = PATH|NAME, or model_type and settings, and freeze = true or false")
    if not place:
        shape = model_config(table, "vision")
        image_size(shape)
        with built("vision"):
            return AutoModel.from_config(shape)
    named(place, "vision.pretrained")
    try:
        config = AutoConfig.from_pretrained(place)
        return AutoModel.from_pretrained(place, config=getattr(config, "vision_config", config), dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"vision.pretrained: {place!r} cannot be loaded: {str(error).splitlines()[0]} "
            'Name a local folder, or begin anew with --set vision.pretrained="" --set vision.model_type=vit'
        ) from None


def text_tower(settings: dict[str, Any], length: int, tokenizer: Any) -> Any:
    """A new one, with positions for captions of `length` tokens. Raises UsageError."""
    from transformers import AutoModel

    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    # RoBERTa and its like count positions from pad + 1.
    needed = length + (0 if settings.get("model_type") == "bert" else tokenizer.pad_token_id + 1)
    config = model_config({"max_position_embeddings": needed} | settings, "text", vocab_size=len(tokenizer), **ids)
    if config.max_position_embeddings < needed:
        raise UsageError(f"text.max_position_embeddings: captions of {length} tokens need {needed}, or a lower text_length")
    with built("text"):
        return AutoModel.from_config(config)


def dual_model(vision: Any, text: Any, projection: int) -> Any:
    """Both, with projections of so many dimensions and CLIP's first inverse temperature."""
    from transformers import VisionTextDualEncoderConfig, VisionTextDualEncoderModel

    shape = VisionTextDualEncoderConfig.from_vision_text_configs(
        vision.config, text.config, projection_dim=projection, logit_scale_init_value=math.log(1 / 0.07)
    )
    return VisionTextDualEncoderModel(shape, vision, text)


def image_size(config: Any) -> int:
    """Of a vision tower, in pixels. Raises UsageError where it is not square."""
    size = getattr(config, "image_size", 224)
    sides = set(size) if isinstance(size, list | tuple) else {size}
    if len(sides) != 1 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UsageError(f"vision.image_size: expected a square, found {size}")
    return int(sides.pop())


def load_tokenizer(place: Path, length: int) -> Any:
    """The corpus's, which from now on puts BOS and EOS around captions, and cuts them to `length`. Raises UsageError."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    if not (place / "tokenizer.json").is_file():
        Tokenizer.load(place)  # says what is missing, and the command that makes it
        raise UsageError(f"{place} has no tokenizer.json: train a tokenizer with python -m tokenizer.train CORPUS")
    found = AutoTokenizer.from_pretrained(place, model_max_length=length)
    if None in (found.bos_token, found.eos_token, found.pad_token):
        raise UsageError(f"the tokenizer in {place} has no BOS, EOS or padding: python -m tokenizer.train makes one that has")
    both = [(token, found.convert_tokens_to_ids(token)) for token in (found.bos_token, found.eos_token)]
    found.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{found.bos_token} $A {found.eos_token}", special_tokens=both
    )
    return found
