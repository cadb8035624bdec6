import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels import buffers
from filters.text import phrases as module
from filters.text.boilerplate import LINE_CHARS, boilerplate_lines
from filters.text.normalisation import drop_lines, normalise, normalise_spans
from filters.text.phrases import COUNTERS, LISTS, phrases


def count(*texts, wanted=COUNTERS):
    return module.count(*buffers(pl.Series(texts, dtype=pl.String)), wanted)


def cleaned(*texts):
    data, offsets = buffers(pl.Series(texts, dtype=pl.String))
    return normalise_spans(data, offsets[:-1], offsets[1:])


def without_boilerplate(*texts):
    lines = cleaned(*texts)
    data, offsets, n_lines, n_chars = drop_lines(lines, boilerplate_lines(lines))
    kept = [data[a:b].tobytes().decode() for a, b in zip(offsets, offsets[1:])]
    return kept, n_lines.tolist(), n_chars.tolist()


@pytest.mark.parametrize("name", [*LISTS, "boilerplate"])
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


@pytest.mark.parametrize("phrase", phrases("boilerplate"))
def test_every_boilerplate_phrase_drops_its_line(phrase):
    assert boilerplate_lines(cleaned(f"前の行。\n{phrase}\n後の行。")).tolist() == [False, True, False]


@pytest.mark.parametrize("padding", ["あ", "a", "𠮷"])
@pytest.mark.parametrize("last", [True, False])
def test_a_long_line_with_a_phrase_is_prose(padding, last):
    phrase, end = "続きを読む", "" if last else "\n終"
    room = LINE_CHARS - len(phrase)
    if padding != "𠮷":  # four bytes each: such a line passes for a longer one
        assert boilerplate_lines(cleaned(phrase + padding * room + end))[0]
    assert not boilerplate_lines(cleaned(phrase + padding * (room + 1) + end))[0]


def test_boilerplate_in_context():
    texts = [
        "今日は晴れだった。\n続きを読む\n明日は雨らしい。",
        "もっと見る",
        "本文。\n\nトップページへ\n\n本文。",
        "「続きを読む」という題の本を買ったのだが、最後の頁まで来てもどこに続きがあるのかわからず、作者に手紙を書いて尋ねることにした。",
        "",
    ]
    kept, lines, chars = without_boilerplate(*texts)
    assert kept == ["今日は晴れだった。\n明日は雨らしい。", "", "本文。\n\n本文。", texts[3], ""]
    assert lines == [1, 1, 1, 0, 0]
    assert chars == [6, 5, 8, 0, 0]


LINES = ["続きを読む", "もっと見る ", "本文です。", "", "あ" * 70 + "続きを読む"]


@given(texts=st.lists(st.lists(st.sampled_from(LINES), max_size=6).map("\n".join), max_size=4))
@settings(max_examples=100, deadline=None)
def test_boilerplate_lines_do_not_depend_on_the_batch(texts):
    together = without_boilerplate(*texts)
    alone = [without_boilerplate(text) for text in texts]
    assert [list(part) for part in together] == [[found[k][0] for found in alone] for k in range(3)]
    assert not any("続きを読む" in line and len(line) <= LINE_CHARS for text in together[0] for line in text.split("\n"))
