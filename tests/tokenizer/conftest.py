"""A small real tokenizer of each kind, each trained once."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest

from tokenizer.fitting import fit
from tokenizer.model import Tokenizer, finish_model
from tokenizer.settings import Training
from tokenizer.words import DELIMITER

# So that models have all kinds of pieces.
SYMBOLS, SPECIAL = ["<|user|>", "記号※"], ["<cls>", "〔終〕"]


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lines of the embedded sample, as training takes them."""
    raw = lzma.decompress((files("manifests") / "samples" / "cc100-ja.txt.xz").read_bytes()).decode("utf-8", "replace")
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_text("".join(f"{line}\n" for line in raw.split("\n") if line and "\t" not in line and "\0" not in line), "utf-8")
    return path


@pytest.fixture(scope="session")
def trained(lines: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tokenizer]:
    """A tokenizer by model and words; each is trained once."""
    known: dict[tuple[str, str], Tokenizer] = {}

    def get(model: str = "unigram", words: str = "none") -> Tokenizer:
        if (model, words) not in known:
            settings = Training(vocab_size=3000, model=model, words=words, symbols=SYMBOLS, special=SPECIAL)
            text = tmp_path_factory.mktemp("model") / "text"
            text.write_bytes(lines.read_bytes())
            known[model, words] = Tokenizer(finish_model(fit(settings, text).content, DELIMITER if words != "none" else ""))
        return known[model, words]

    return get


@pytest.fixture(scope="session")
def texts(lines: Path) -> list[str]:
    """Documents of several lines."""
    all_lines = lines.read_text("utf-8").split("\n")
    return ["\n".join(all_lines[at : at + 7]) for at in range(0, len(all_lines), 7)]


@pytest.fixture(scope="session")
def corpus(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as Seimai builds it: two training shards of many row groups and one of validation; some texts empty, one missing."""
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    (folder / "data").mkdir(parents=True)
    many = [f"{text}\n{copy}" for copy in range(4) for text in texts]
    many[5] = many[77] = ""
    halves = many[:700], [*many[700:-20], None], many[-20:]
    for name, rows in zip(("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"), halves, strict=True):
        frame = pl.DataFrame({"id": [str(i) for i in range(len(rows))], "text": pl.Series(rows, dtype=pl.String)})
        frame.write_parquet(folder / "data" / f"{name}.parquet", row_group_size=64)
    return folder
