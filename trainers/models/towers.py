"""The two towers of a VisionTextDualEncoderModel, and the tokenizer that goes with them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.core.errors import UsageError
from tokenizer.model import Tokenizer
from trainers.models.configuration import check_model_path, explain_model_errors, model_config, special_token_ids
from trainers.models.pretrained import Tell, check_report, load_with_report


def build_vision_tower(settings: dict[str, Any], tell: Tell) -> Any:
    """Load the vision tower of a checkpoint, or make a new one. Raises UsageError, and tells of weights that are missing or not used.

    A pooler of ViT's kind whose weights no checkpoint brings becomes the identity: the image is then the hidden state of the first
    position, as in rinna's models.
    """

    table = dict(settings)
    path, freeze = table.pop("pretrained", ""), table.pop("freeze", False)
    if not isinstance(freeze, bool) or not isinstance(path, str) or bool(path) == bool(table):
        raise UsageError("vision: expected pretrained = PATH|NAME, or model_type and settings, and freeze = true or false")
    tower = _load_vision_tower(path, freeze, tell) if path else _make_vision_tower(table, freeze)
    _check_pooled_output(tower)
    return tower


def _make_vision_tower(table: dict[str, Any], freeze: bool) -> Any:
    from transformers import AutoModel  # late: heavy

    if freeze:
        raise UsageError(
            "vision.freeze: a new tower would stay random: name one with vision.pretrained, or set vision.freeze=false"
        )
    config = model_config(table, "vision")
    image_size(config)
    with explain_model_errors("vision"):
        tower = AutoModel.from_config(config, trust_remote_code=False)
    _pool_first_position(tower)
    return tower


def _load_vision_tower(path: str, freeze: bool, tell: Tell) -> Any:
    from transformers import AutoConfig, AutoModel  # late: heavy

    check_model_path(path, "vision.pretrained")
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        config = getattr(config, "vision_config", config)
        tower, report = load_with_report(AutoModel, path, config=config, dtype=torch.float32, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"vision.pretrained: {path!r} cannot be loaded: {str(error).splitlines()[0]} "
            'Name a local folder, or begin anew with --set vision.pretrained="" --set vision.model_type=vit'
        ) from None
    pooler = [name for name in report.missing if name.startswith("pooler.")]
    if pooler and _pool_first_position(tower):
        tell(f"{path} lacks {', '.join(pooler)}: the hidden state of the first position stands for the image")
        report = report._replace(missing=[name for name in report.missing if name not in pooler])
    check_report(report, path, "vision.pretrained", tell, lambda _: freeze)
    return tower


def _pool_first_position(tower: Any) -> bool:
    """Make the identity of a pooler that is a dense layer with an activation; return whether the tower has one.

    `VisionTextDualEncoderModel` takes what a pooler puts out, and cannot do without.
    """
    dense = getattr(getattr(tower, "pooler", None), "dense", None)
    if not isinstance(dense, nn.Linear) or dense.in_features != dense.out_features or not hasattr(tower.config, "pooler_act"):
        return False
    nn.init.eye_(dense.weight)
    nn.init.zeros_(dense.bias)
    tower.pooler.activation, tower.config.pooler_act = nn.Identity(), "linear"
    return True


def has_fixed_pooler(tower: Any) -> bool:
    """Return whether the pooler is the identity, and to stay it."""
    return hasattr(tower, "pooler") and getattr(tower.config, "pooler_act", None) == "linear"


def _check_pooled_output(tower: Any) -> None:
    """Raise UsageError unless the tower makes one vector of an image."""
    size, width = image_size(tower.config), getattr(tower.config, "hidden_size", 0)
    with explain_model_errors("vision"), torch.no_grad():
        pooled = getattr(tower.eval()(torch.zeros(1, 3, size, size)), "pooler_output", None)
    if pooled is None or pooled.shape != (1, width):
        raise UsageError(
            f"vision: a {tower.config.model_type} makes no vector of {width} numbers of an image, as ViT, CLIP or DINOv2 do"
        )


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
        return AutoModel.from_config(config, trust_remote_code=False)


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
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=length, trust_remote_code=False)
    if None in (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token):
        raise UsageError(f"the tokenizer in {folder} has no BOS, EOS or padding: python -m tokenizer.train makes one that has")
    bos_and_eos = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (tokenizer.bos_token, tokenizer.eos_token)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A {tokenizer.eos_token}", special_tokens=bos_and_eos
    )
    return tokenizer
