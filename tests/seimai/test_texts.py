"""Strings and tables of other libraries, as texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seimai

TEXTS = ["ﾊﾞナナ", "", None, "e\u0301"]
CLEANED = ["バナナ", "", None, "é"]


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        tuple(TEXTS),
        (text for text in [*TEXTS]),
        np.array(TEXTS, object),
        pl.Series(TEXTS),
        pl.Series(TEXTS, dtype=pl.Categorical),
        pl.DataFrame({"id": range(4), "text": TEXTS}),
        pl.LazyFrame({"text": TEXTS}),
        {"text": TEXTS},
        pd.Series(TEXTS, index=[7, 7, 8, 9]),
        pd.DataFrame({"本文": TEXTS, "n": 1}, index=[7, 7, 8, 9]),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        pa.table({"text": pa.array(TEXTS).dictionary_encode()}),
        pa.record_batch({"text": pa.array(TEXTS, pa.string_view())}),
    ],
    ids=lambda texts: f"{type(texts).__module__}.{type(texts).__name__}",
)
def test_every_kind_of_table(texts):
    cleaned = seimai.clean(texts)
    assert isinstance(cleaned, pl.Series) and cleaned.to_list() == CLEANED


def test_one_text_is_one_text():
    assert seimai.clean("ﾊﾞナナ") == "バナナ"
    assert seimai.measure("吾輩は猫", "chars").rows() == [(4,)] and seimai.measure([], "chars").rows() == []
    assert seimai.clean([]).to_list() == [] and seimai.clean(pl.Series([None])).to_list() == [None]


def test_a_column_by_its_name():
    frame = pl.DataFrame({"a": ["ｱ"], "b": ["ｲ"]})
    assert seimai.clean(frame, column="b").to_list() == ["イ"]
    with pytest.raises(seimai.UsageError, match=r"no column of text .*'a' .*'b' .*Name the column of text with column="):
        seimai.clean(frame)
    with pytest.raises(seimai.UsageError, match="no column 'c'"):
        seimai.clean(frame, column="c")


@pytest.mark.parametrize("texts", [[1, 2], ["a", 1], 5, b"abc", {"a"}, pl.Series([1]), {"text": [1]}, pd.Series([1, "a"])])
def test_what_is_no_text_is_refused(texts):
    with pytest.raises(seimai.UsageError, match="strings|no column of text"):
        seimai.clean(texts)


def test_half_of_a_surrogate_pair_is_refused():
    with pytest.raises(seimai.UsageError, match="surrogate"):
        seimai.clean(["a", "\ud800"])


def test_bytes_that_are_no_text_are_unreadable():
    frame = pl.DataFrame({"text": ["猫".encode(), "猫".encode("cp932")]})
    assert seimai.clean(frame).to_list() == ["猫", None]
    assert seimai.Rules("ja-web").apply(frame)["verdict"].to_list() == ["dropped", "unreadable"]


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"])))))
def test_many_at_once_are_cleaned_as_one_by_one(texts):
    assert seimai.clean(texts).to_list() == [None if text is None else seimai.clean(text) for text in texts]
