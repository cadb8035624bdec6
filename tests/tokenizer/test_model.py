"""What is encoded comes back, ids are SentencePiece's, and Hugging Face's are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.kernels import buffers
from pipeline.core.errors import UsageError
from tokenizer.export import export, make_tokenizer_json
from tokenizer.model import Tokenizer, proto
from tokenizer.settings import Training

KINDS = [("unigram", "none"), ("bpe", "none"), ("unigram", "mecab"), ("bpe", "mecab"), ("unigram", "sudachi")]
# Where round trips usually fail: whitespace of every kind, U+2581, NUL, bytes written out, special tokens as text, joined emoji.
HARD = [
    "", " ", "  a  b ", "\n", "\n\n\t\t\n", "\u3000全角\u3000\u3000空白", "\u2581", "a\u2581b \u2581\u2581", "\u2585", "\0", "a\0b",
    "<s>", "</s><unk><pad><mask>", "<0x41><0x0A>", "</s", "<cls>終〔終〕", "<|user|>こんにちは<|user|>", "記号※※", "\r\n行\r",
    "\u2028\u2029\x85", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1ef\U0001f1f5 \u263a\ufe0f", "ｶﾞギガ①㍻㈱", "が", "か\u3099",
    "𠮟る𩸽", "12345 3.14", "\ue000\uf8ff\ufeff\ufffd", "\ufdfa\u202eabc", "あ" * 3000, "x\u0301" * 50,
]  # fmt: skip
# Mostly Japanese and what is hard, so that pieces are found and not found in turn.
ANY_TEXT = st.text(max_size=60) | st.lists(
    st.sampled_from([*HARD[:-2], "日本語", "です。", "の", "カタカナ", "abc", "2024年", "、"]) | st.text(max_size=3),
    max_size=12,
).map("".join)


def encode_texts(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    ids, ends = tokenizer.encode(*buffers(pl.Series(texts, dtype=pl.String)))
    return [ids[a:b].tolist() for a, b in zip(ends, ends[1:])]


@pytest.fixture(scope="module")
def huggingface(trained: Callable[..., Tokenizer], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    from transformers import AutoTokenizer

    known: dict[Any, Any] = {}

    def get(*kind: str) -> Any:
        if kind not in known:
            folder = tmp_path_factory.mktemp("exported")
            export(trained(*kind), folder)
            known[kind] = AutoTokenizer.from_pretrained(folder)
        return known[kind]

    return get


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_hard_texts_come_back_with_the_same_ids_everywhere(
    kind: tuple[str, str], trained: Callable[..., Tokenizer], huggingface: Callable[..., Any], texts: list[str]
) -> None:
    tokenizer, other = trained(*kind), huggingface(*kind)
    documents = HARD + texts
    ours, theirs = encode_texts(tokenizer, documents), other(documents, add_special_tokens=False)["input_ids"]
    for text, a, b in zip(documents, ours, theirs):
        assert a == tokenizer.processor.encode(text) == b
        assert tokenizer.decode(a) == text == other.decode(b)


@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT)
@pytest.mark.parametrize("kind", KINDS[:2], ids="-".join)
def test_any_text_comes_back_with_the_same_ids_everywhere(
    kind: tuple[str, str], trained: Callable[..., Tokenizer], huggingface: Callable[..., Any], text: str
) -> None:
    tokenizer, other = trained(*kind), huggingface(*kind)
    ids = encode_texts(tokenizer, ["前", text, "後"])[1]
    assert ids == tokenizer.processor.encode(text) == other(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text == other.decode(ids)


def test_a_long_document_has_the_same_ids(
    trained: Callable[..., Tokenizer], huggingface: Callable[..., Any], texts: list[str]
) -> None:
    long = "\n".join(texts)[:90_000]
    ids = encode_texts(trained(), [long])[0]
    assert (
        ids == trained().processor.encode(long) == huggingface("unigram", "none")(long, add_special_tokens=False)["input_ids"]
    )


def test_special_tokens_are_no_text_and_symbols_are(trained: Callable[..., Tokenizer]) -> None:
    tokenizer = trained()
    special = {tokenizer.processor.piece_to_id(p) for p in ("<s>", "</s>", "<pad>", "<mask>", "<unk>", "<cls>", "〔終〕")}
    found = encode_texts(tokenizer, ["<s></s><pad><mask><unk><cls>〔終〕"])[0]
    assert len(special) == 7 and not special & set(found)
    assert encode_texts(tokenizer, ["<|user|>"])[0] == [tokenizer.processor.piece_to_id("<|user|>")]
    assert [tokenizer.id_of(role) for role in ("unk", "bos", "eos", "pad")] == [0, 1, 2, 3]


def test_digits_are_split_and_whitespace_runs_are_pieces(trained: Callable[..., Tokenizer]) -> None:
    pieces = [p.piece for p in trained().proto.pieces if p.type == trained().proto.SentencePiece.NORMAL]
    assert not [p for p in pieces if len(p) > 1 and any(c.isascii() and c.isdigit() for c in p)]
    assert "\n" in pieces and "\t" in pieces
    assert not [p for p in pieces if "\u2581" in p or "\ue000" in p]


def test_no_piece_crosses_a_word_that_mecab_sees(trained: Callable[..., Tokenizer]) -> None:
    longest = {
        words: sorted(len(p.piece) for p in trained("unigram", words).proto.pieces)[-200:] for words in ("none", "mecab")
    }
    assert sum(longest["mecab"]) < sum(longest["none"])
    assert len(trained("unigram", "mecab")) == len(trained("bpe", "mecab")) == len(trained()) == 3000


@pytest.mark.parametrize(
    "normal", [{"add_dummy_prefix": True}, {"remove_extra_whitespaces": True}, {"escape_whitespaces": True}]
)
def test_models_of_others_are_encoded_by_sentencepiece_and_not_exported(
    normal: dict[str, bool], trained: Callable[..., Tokenizer], texts: list[str]
) -> None:
    model = proto.ModelProto.FromString(trained().content)
    for key, value in normal.items():
        setattr(model.normalizer_spec, key, value)
    tokenizer = Tokenizer(model.SerializeToString())
    assert encode_texts(tokenizer, HARD + texts[:50]) == tokenizer.processor.encode(HARD + texts[:50])
    with pytest.raises(UsageError, match="cannot be exported with the same ids"):
        make_tokenizer_json(tokenizer)


@pytest.mark.parametrize("content", [b"", b"\x0a\xff not a model", b"{}", b"PAR1" * 100])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.model").write_bytes(content)
    with pytest.raises(UsageError, match="not a SentencePiece model"):
        Tokenizer.load(tmp_path / "x.model")
    with pytest.raises(UsageError, match="no tokenizer in"):
        Tokenizer.load(tmp_path)


def test_empty_columns_and_texts_have_no_ids(trained: Callable[..., Tokenizer]) -> None:
    for kind in ("unigram", "bpe"):
        ids, ends = trained(kind).encode(np.zeros(0, np.uint8), np.zeros(1, np.int64))
        assert len(ids) == 0 and ends.tolist() == [0]
        assert encode_texts(trained(kind), ["", "", "あ", ""])[0::3] == [[], []]


def test_the_longest_piece_has_512_characters_at_most() -> None:
    """SentencePiece accepts no more."""
    assert Training(longest_piece=512).longest_piece == 512
    with pytest.raises(ValidationError, match="longest_piece"):
        Training(longest_piece=513)
