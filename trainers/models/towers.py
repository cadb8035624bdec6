"""The two towers of a VisionTextDualEncoderModel, and the tokenizer that goes with them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import UsageError
from tokenizer.model import Tokenizer
from trainers.models.configuration import check_model_path, explain_model_errors, model_config, special_token_ids


def build_vision_tower(settings: dict[str, Any]) -> Any:
    """Load the vision tower of a checkpoint, or make a new one. Raises UsageError."""
    from transformers import AutoConfig, AutoModel  # late: heavy

    table = dict(settings)
    path, freeze = table.pop("pretrained", ""), table.pop("freeze", False)
    if not isinstance(freeze, bool) or not isinstance(path, str) or bool(path) == bool(table):
        raise UsageError("vision: expected pretrained = PATH|NAME, or model_type and settings, and freeze = true or false")
    if not path:
        config = model_config(table, "vision")
        image_size(config)
        with explain_model_errors("vision"):
            return AutoModel.from_config(config)
    check_model_path(path, "vision.pretrained")
    try:
        config = AutoConfig.from_pretrained(path)
        return AutoModel.from_pretrained(path, config=getattr(config, "vision_config", config), dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"vision.pretrained: {path!r} cannot be loaded: {str(error).splitlines()[0]} "
            'Name a local folder, or begin anew with --set vision.pretrained="" --set vision.model_type=vit'
        ) from None


def build_text_tower(settings: dict[str, Any], length: int, tokenizer: Any) -> Any:
    """Make a new text tower with positions for captions of `length` tokens. Raises UsageError."""
    from transformers import AutoModel  # late: heavy

    # RoBERTa and its like count positions from pad + 1.
    needed = length + (0 if settings.get("model_type") == "bert" else tokenizer.pad_token_id + 1)
    table = {"max_position_embeddings": needed} | settings
    config = model_config(table, "text", vocab_size=len(tokenizer), **special_token_ids(tokenizer))
    if config.max_position_embeddings < needed:
        raise UsageError(f"text.max_position_embeddings: captions of {length} tokens need {needed}, or a lower text_length")
    with explain_model_errors("text"):
        return AutoModel.from_config(config)


def join_towers(vision: Any, text: Any, projection: int) -> Any:
    """Join both towers by projections of so many dimensions, with CLIP's initial inverse temperature."""
    from transformers import VisionTextDualEncoderConfig, VisionTextDualEncoderModel  # late: heavy

    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        vision.config, text.config, projection_dim=projection, logit_scale_init_value=math.log(1 / 0.07)
    )
    return VisionTextDualEncoderModel(config, vision, text)


def image_size(config: Any) -> int:
    """Return the side, in pixels, of the images that a vision tower sees. Raises UsageError if they are not square."""
    size = getattr(config, "image_size", 224)
    sides = set(size) if isinstance(size, list | tuple) else {size}
    if len(sides) != 1 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UsageError(f"vision.image_size: expected a square, found {size}")
    return int(sides.pop())


def load_tokenizer(folder: Path, length: int) -> Any:
    """Load a tokenizer that puts BOS and EOS around captions and cuts them to `length` tokens. Raises UsageError."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer  # late: heavy

    if not (folder / "tokenizer.json").is_file():
        Tokenizer.load(folder)  # says what is missing, and the command that makes it
        raise UsageError(f"{folder} has no tokenizer.json: train a tokenizer with python -m tokenizer.train CORPUS")
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=length)
    if None in (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token):
        raise UsageError(f"the tokenizer in {folder} has no BOS, EOS or padding: python -m tokenizer.train makes one that has")
    bos_and_eos = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (tokenizer.bos_token, tokenizer.eos_token)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A {tokenizer.eos_token}", special_tokens=bos_and_eos
    )
    return tokenizer
