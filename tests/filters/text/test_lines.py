"""Keys of lines, and documents without some of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.kernels import buffers
from filters.text.lines import CHARS_AT, HASH_AT, LABEL, MOST_CHARS, PROSE, line_keys, remove_spans
from filters.text.normalisation import normalise


def keys_of(text: str) -> np.ndarray:
    return line_keys(*buffers(pl.Series([text])))[0]


def same(one: str, other: str) -> bool:
    return bool(keys_of(one)[0] >> np.uint64(HASH_AT) == keys_of(other)[0] >> np.uint64(HASH_AT))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("カテゴリー (12)", "カテゴリー (3)"),
        ("コメント: 3", "コメント: 1,024"),
        ("会社 概要", "会社概要"),
        ("お知らせ ", "お知らせ"),
        ("12", "12"),
    ],
)
def test_lines_that_differ_in_spaces_and_counts_have_one_key(one, other):
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("第1回", "第2回"),
        ("2019年3月", "2019年4月"),
        ("会社概要", "会社案内"),
        ("1", "2"),
        ("あ" * 100, "あ" * 99 + "い"),
        ("い" + "あ" * 99, "あ" * 100),
    ],
)
def test_other_lines_have_other_keys(one, other):
    assert not same(one, other)


@pytest.mark.parametrize(
    "line", ["会社概要", "お問い合わせ", "カテゴリー (12)", "2019年3月", "人事異動について", "Copyright 青山通信"]
)
def test_labels(line):
    assert keys_of(line)[0] & np.uint64(LABEL | PROSE) == LABEL


@pytest.mark.parametrize(
    "line",
    [
        "はい。",
        "ありがとうございます！",
        "これより会議を開きます。",
        "第一条",
        "(施行期日)",
        " 借入金の額",
        "# 使い方",
        "成功時には、",
    ],
)
def test_prose_is_no_label(line):
    assert not keys_of(line)[0] & np.uint64(LABEL)


@pytest.mark.parametrize("line", ["}", "12", "return 0", "----", "Home", "あ" * 90])
def test_what_is_neither(line):
    assert keys_of(line)[0] & np.uint64(LABEL | PROSE) == 0


texts = st.lists(st.text("あ漢a1 \n。(", max_size=40) | st.just("長" * 70_000), max_size=5)


@given(texts)
def test_there_is_a_key_for_every_line(documents):
    keys, numbers = line_keys(*buffers(pl.Series(documents, dtype=pl.String)))
    lines = [text.split("\n") if text else [] for text in documents]
    assert numbers.tolist() == [len(one) for one in lines]
    flat = [line for one in lines for line in one]
    assert ((keys == 0) == [not line.strip() for line in flat]).all()
    chars = (keys >> np.uint64(CHARS_AT)) & np.uint64(MOST_CHARS)
    assert chars.tolist() == [min(len(line), MOST_CHARS) if line.strip() else 0 for line in flat]


@given(st.lists(st.tuples(st.text("あ漢\n", max_size=30), st.sets(st.integers(0, 12))), min_size=1, max_size=4))
def test_documents_without_spans(documents):
    cleaned = normalise(pl.Series([text for text, _ in documents])).to_list()
    numbers = [sorted(n for n in chosen if n < len(text.split("\n")) and text) for (_, chosen), text in zip(documents, cleaned)]
    left, removed = remove_spans(
        pl.Series(cleaned), pl.Series([[n for one in some for n in (one, one)] for some in numbers], dtype=pl.List(pl.Int32))
    )
    lines = [(text.split("\n"), set(some)) for text, some in zip(cleaned, numbers)]
    assert removed.to_list() == [one[n] for one, some in lines for n in sorted(some) if one[n]]
    for (one, some), before, after in zip(lines, cleaned, left.to_list()):
        if some:
            kept = "\n".join(line for n, line in enumerate(one) if n not in some)
            assert normalise(pl.Series([kept])).item() == after
        else:
            assert before == after
