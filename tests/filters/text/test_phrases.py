import re
import tomllib
from importlib.resources import files

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import filters
from filters.kernels import buffers
from filters.text import phrases as module
from filters.text.normalisation import normalise
from filters.text.phrases import COUNTERS, LISTS, phrases


def count(*texts, wanted=COUNTERS):
    return module.count(*buffers(pl.Series(texts, dtype=pl.String)), wanted)


@pytest.mark.parametrize("name", [*LISTS, "boilerplate", "widgets"])
def test_lists_are_as_normalised_text_is(name):
    listed = phrases(name)
    assert listed and all(listed) and len(set(listed)) == len(listed)
    assert not [p for p in listed if p.startswith("#")]
    assert normalise(pl.Series(listed)).to_list() == list(listed)


def test_unknown_list():
    with pytest.raises(FileNotFoundError):
        phrases("no-such-list")


@pytest.mark.parametrize("name", LISTS)
def test_every_phrase_is_found_whole(name):
    # A phrase that begins with a shorter one has to stand before it in the list.
    listed = phrases(name)
    found = count(*(f"また{p}など" for p in listed))
    assert found[f"n_{name}_phrase_chars"].tolist() == [len(p) for p in listed]


@given(data=st.data(), name=st.sampled_from(LISTS))
@settings(max_examples=100, deadline=None)
def test_agrees_with_a_regular_expression(data, name):
    listed = phrases(name)
    pieces = st.one_of(st.sampled_from(listed), st.sampled_from(["料", "エロ", "動画", "。", "\n", "お", "セ", "abc"]))
    texts = ["".join(t) for t in data.draw(st.lists(st.lists(pieces, max_size=8), max_size=4))]
    found = count(*texts)
    pattern = re.compile("|".join(map(re.escape, sorted(listed, key=len, reverse=True))))
    for d, text in enumerate(texts):
        matches = pattern.findall(text)
        assert found[f"n_{name}_phrase_chars"][d] == sum(map(len, matches))


def test_only_the_lists_asked_for_are_searched():
    assert set(count("送料無料", wanted=("n_advertising_phrase_chars",))) == {"n_advertising_phrase_chars"}
    assert count("送料無料", wanted=()) == {}


def test_no_documents_and_no_matches():
    assert {len(values) for values in count().values()} == {0}
    assert {int(values.sum()) for values in count("", "吾輩は猫である。").values()} == {0}
    assert count("特価", "ふつう", "特価特価")["n_advertising_phrase_chars"].tolist() == [2, 0, 4]


def test_different_phrases_that_are_evidence_are_counted():
    found = count("激安、激安、特価。", "ポイント還元とキャッシング", "激安のポイント還元")
    assert found["n_advertising_phrases"].tolist() == [2, 0, 1]
    assert found["n_advertising_terms"].tolist() == [2, 2, 2]
    assert found["n_advertising_phrase_chars"].tolist() == [6, 12, 8]


@pytest.mark.parametrize(
    ("measure", "text", "share"),
    [
        ("advertising_evidence", "送料無料。", 0),  # one phrase is no evidence
        ("advertising_evidence", "楽天市場のポイント還元とキャッシング。", 0),  # nor are words that news has, too
        ("advertising_evidence", "送料無料、ポイント還元。", 10 / 12),
        ("adult_evidence", "人妻と熟女の不倫。", 0),
        ("adult_evidence", "人妻のエロ動画。", 6 / 8),
    ],
)
def test_evidence_is_a_phrase_that_means_nothing_else_beside_another(measure, text, share):
    assert filters.measure_text(text, measure) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "is_evidence"),
    [
        (
            "通常3,980円のところ初回限定980円(税込)。今すぐ購入される方は公式サイトはこちら。リピート率98%、口コミで人気のサプリです。",
            True,
        ),
        (
            "十月の便りです。本の読み聞かせ会を開きます。お申し込みは図書館まで。小さなお子さまにおすすめします。お待ちしております。",
            False,
        ),
        ("価格が上がり、通販の送料も高くなったと業者は話す。消費者からは、買い物を控えるという声が聞かれた。", False),
    ],
)
def test_notices_and_news_are_no_advertising(text, is_evidence):
    rules = tomllib.loads((files("manifests") / "presets" / "ja-web.toml").read_text("utf-8"))
    assert (filters.measure_text(text, "advertising_evidence") > rules["advertising_evidence"]["at_most"]) == is_evidence
