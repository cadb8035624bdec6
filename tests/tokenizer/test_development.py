"""Ids and round trips on real documents, as raw as they came; skipped where the development data is absent."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from filters.kernels import buffers
from tokenizer.evaluate import evaluate, open_tokenizer
from tokenizer.export import export
from tokenizer.model import Tokenizer

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not (DATA / "text" / "ja.txt.xz").is_file(), reason="needs the development data")


@pytest.fixture(scope="module")
def raw() -> list[str]:
    """Every sixtieth document."""
    content = lzma.decompress((DATA / "text" / "ja.txt.xz").read_bytes())
    with gzip.open(DATA / "text" / "ja.truth.jsonl.gz") as file:
        rows = [json.loads(line) for line in file][::60]
    return [content[row["offset"] : row["offset"] + row["bytes"]].decode() for row in rows]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_raw_documents_come_back_with_the_same_ids(
    kind: str, raw: list[str], trained: Callable[..., Tokenizer], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = trained(kind)
    export(tokenizer, tmp_path)
    other = AutoTokenizer.from_pretrained(tmp_path)
    ids, ends = tokenizer.encode(*buffers(pl.Series(raw)))
    reference = tokenizer.processor.encode(raw)
    for i, text in enumerate(raw):
        here = ids[ends[i] : ends[i + 1]].tolist()
        assert here == reference[i] and tokenizer.decode(here) == text
        if i % 16 == 0:
            assert other(text, add_special_tokens=False)["input_ids"] == here and other.decode(here) == text


def test_published_models_are_evaluated(raw: list[str]) -> None:
    found = {path.stem: evaluate(open_tokenizer(path), raw[:40]) for path in sorted((DATA / "tokenizers").glob("*.model"))}
    assert found["llm-jp-v3.1-100k"]["characters_per_token"] > found["llm-jp-v2.2-50k"]["characters_per_token"] > 1.2
    assert found["rinna-32k"]["round_trip"] < 0.5 < found["llm-jp-v3.1-100k"]["round_trip"]
