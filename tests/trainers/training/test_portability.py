"""Tokenizers that are saved with a model load in transformers 4.5x as in 5, with the same ids.

With SEIMAI_TRANSFORMERS4=FOLDER, where `pip install --target FOLDER 'transformers<5'` put one, that version loads them, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tokenizer.model import Tokenizer
from trainers.models.towers import load_tokenizer
from trainers.training.portability import make_tokenizers_portable

TEXTS = ["日本の夜明け", "空   白\n\tタブ", "<s>😀▁　</s>", "abc <unk>", ""]
# What transformers 4.50 to 4.57 hand on to a tokenizer, of what 5.24 writes; keys beyond these were not tried there.
KNOWN = {
    "add_prefix_space", "bos_token", "clean_up_tokenization_spaces", "eos_token", "mask_token", "model_max_length", "pad_token",
    "padding_side", "processor_class", "split_special_tokens", "tokenizer_class", "truncation_side", "unk_token",
}  # fmt: skip
SCRIPT = """
import json, sys, transformers
from transformers import AutoTokenizer
texts = json.loads(sys.argv[1])
tokenizers = [AutoTokenizer.from_pretrained(folder) for folder in sys.argv[2:]]
print(json.dumps([transformers.__version__, [[one(text)["input_ids"] for text in texts] for one in tokenizers]]))
"""


@pytest.fixture(scope="module")
def folders(gpt_run: Path, tokenised: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The tokenizer of a corpus, that of a GPT, and one that puts BOS and EOS around captions, in a pipeline of diffusers."""
    pipeline = tmp_path_factory.mktemp("pipeline")
    load_tokenizer(tokenised / "tokenizer", 32).save_pretrained(pipeline / "tokenizer")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "tokenizer": ["transformers", "TokenizersBackend"],
        "vae": ["diffusers", "A"],
    }
    (pipeline / "model_index.json").write_text(json.dumps(index))
    make_tokenizers_portable(pipeline)
    return [tokenised / "tokenizer", gpt_run / "model", pipeline / "tokenizer"]


def encode(folders: list[Path]) -> list[list[list[int]]]:
    return [[AutoTokenizer.from_pretrained(folder)(text)["input_ids"] for text in TEXTS] for folder in folders]


def test_their_files_have_what_both_know(folders: list[Path], tokenised: Path) -> None:
    for folder in folders:
        config: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        assert config["tokenizer_class"] == "PreTrainedTokenizerFast" and not config.keys() - KNOWN
        assert (folder / "tokenizer.json").is_file()
    index = json.loads((folders[2].parent / "model_index.json").read_text("utf-8"))
    assert index["tokenizer"] == ["transformers", "PreTrainedTokenizerFast"] and index["vae"] == ["diffusers", "A"]
    corpus, gpt, captions = encode(folders)
    processor = Tokenizer.load(tokenised / "tokenizer").processor
    assert corpus == gpt == [processor.encode(text) for text in TEXTS]
    assert captions == [[1, *ids, 2] for ids in corpus]


@pytest.mark.skipif("SEIMAI_TRANSFORMERS4" not in os.environ, reason="SEIMAI_TRANSFORMERS4 names no folder with transformers 4")
def test_transformers_4_gives_the_same_ids(folders: list[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(TEXTS), *map(str, folders)], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": os.environ["SEIMAI_TRANSFORMERS4"]},
    )  # fmt: skip
    version, ids = json.loads(done.stdout.splitlines()[-1])
    assert version.startswith("4.") and ids == encode(folders)
