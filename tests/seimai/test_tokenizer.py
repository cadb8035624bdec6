"""Tokenizers with strings in and ids out."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pytest
import sentencepiece

import seimai
from tests.support.texts import make_sentences
from tokenizer.fitting import fit
from tokenizer.model import MODEL, finish_model
from tokenizer.settings import Training

TEXTS = ["吾輩は猫である。", "", None, "a\n\t b  😀▁", "駅前で古い新聞を読んでいた。"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus's folder, as far as it has a tokenizer."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "tokenizer").mkdir()
    text = folder / "text"
    text.write_text("\n".join(make_sentences(i) for i in range(50)), "utf-8")
    model = finish_model(fit(Training(vocab_size=600), text).content)
    (folder / "tokenizer" / MODEL).write_bytes(model)
    return folder


def test_ids_are_those_of_sentencepiece_and_decode_to_the_text(folder):
    tokenizer = seimai.Tokenizer(folder)
    processor = sentencepiece.SentencePieceProcessor(model_proto=(folder / "tokenizer" / MODEL).read_bytes())
    texts = [text for text in TEXTS if text is not None]
    assert [tokenizer.encode(text) for text in texts] == processor.encode(texts)
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts
    assert len(tokenizer) == 600 and tokenizer.id_of("eos") == processor.eos_id()


@pytest.mark.parametrize("make", [list, pl.Series, pd.Series, lambda texts: pl.Series(texts).to_arrow()])
def test_many_at_once(folder, make):
    tokenizer = seimai.Tokenizer(str(folder / "tokenizer"))
    ids = tokenizer.encode_batch(make(TEXTS))
    assert ids.dtype == pl.List(pl.Int32)
    assert ids.to_list() == [None if text is None else tokenizer.encode(text) for text in TEXTS]
    assert tokenizer.decode_batch(ids).to_list() == TEXTS == tokenizer.decode_batch(ids.to_list()).to_list()
    assert tokenizer.encode_batch(make([])).to_list() == []


def test_bad_input(folder, tmp_path):
    with pytest.raises(seimai.UsageError, match="there is no tokenizer in"):
        seimai.Tokenizer(tmp_path)
    tokenizer = seimai.Tokenizer(folder / "tokenizer" / MODEL)
    with pytest.raises(seimai.UsageError, match="encode_batch takes many"):
        tokenizer.encode(["a"])
    with pytest.raises(seimai.UsageError, match="expected strings"):
        tokenizer.encode_batch([1])
