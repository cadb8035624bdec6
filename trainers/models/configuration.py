"""Models made of tables of settings, with errors that name the setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.errors import SeimaiError, UsageError

SIZES = ("num_hidden_layers", "hidden_size", "num_attention_heads", "max_position_embeddings")


def model_config(table: dict[str, Any], name: str, **fixed: Any) -> Any:
    """Return a transformers configuration of a table with `model_type` and what differs from its defaults.

    `fixed` are settings that the tokenizer decides. Raises UsageError, with the name of the table, for settings that are unknown
    or do not go together.
    """
    from transformers import AutoConfig  # late: heavy

    options = dict(table)
    model_type = options.pop("model_type", None)
    try:
        defaults = AutoConfig.for_model(model_type)
    except ValueError:
        raise UsageError(f"{name}.model_type: transformers has no {model_type!r}") from None
    if unknown := [key for key in options if not hasattr(defaults, key) or callable(getattr(defaults, key))]:
        raise UsageError(f"{name}.{unknown[0]}: {model_type} has no such setting")
    if decided := [key for key in options if key in fixed]:
        raise UsageError(f"{name}.{decided[0]}: the tokenizer decides it, {fixed[decided[0]]}")
    with explain_model_errors(name):
        config = AutoConfig.for_model(model_type, **options, **fixed)
    for key in SIZES:
        if getattr(config, key, 1) < 1:
            raise UsageError(f"{name}.{key}: {getattr(config, key)}, but one is the least")
    return config


def special_token_ids(tokenizer: Any) -> dict[str, int]:
    """Return the settings of a model that name the tokenizer's padding, BOS and EOS."""
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}


@contextmanager
def explain_model_errors(name: str) -> Iterator[None]:
    """Turn what libraries raise at settings that do not go together into a UsageError."""
    try:
        yield
    except SeimaiError:
        raise
    except Exception as error:  # each model raises other kinds of errors
        problem = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{name}: no model can be made of these settings: {problem[:300]}") from error


def check_model_path(path: str, option: str) -> None:
    """Raise UsageError unless `path` is a folder or may be OWNER/NAME on the Hub, before the network is asked."""
    if not Path(path).exists() and (path.count("/") != 1 or path[0] in "./~"):
        raise UsageError(f"{option}: there is no folder {path}, and it is no name of a model on the Hub (OWNER/NAME)")
