"""Folders of models that transformers 4 loads as well as 5, which writes names that 4 lacks."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.storage import read_json, write_json

TOKENIZER_CLASS = "PreTrainedTokenizerFast"  # known to both; what 5 calls TokenizersBackend
_NEW_CLASS = "TokenizersBackend"
_NEW_KEYS = ("backend", "is_local", "local_files_only")  # which 4 would hand on to the tokenizer


def make_tokenizers_portable(folder: Path) -> None:
    """Let transformers 4.5x load the tokenizers that transformers 5 saved in a folder and in those of a diffusion model's components.

    Ids are in `tokenizer.json`, which both read alike, and stay as they are.
    """
    for path in [folder / "tokenizer_config.json", *folder.glob("*/tokenizer_config.json")]:
        config = read_json(path) or {}
        if config.get("tokenizer_class") == _NEW_CLASS:
            known = {key: value for key, value in config.items() if key not in _NEW_KEYS}
            write_json(path, known | {"tokenizer_class": TOKENIZER_CLASS})
    index = read_json(folder / "model_index.json") or {}
    if index.get("tokenizer") == ["transformers", _NEW_CLASS]:
        write_json(folder / "model_index.json", index | {"tokenizer": ["transformers", TOKENIZER_CLASS]})
