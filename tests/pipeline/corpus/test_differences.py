"""What differs in two texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import differences
from pipeline.corpus.differences import diff_texts

TEXTS = st.text(st.sampled_from("あいう漢\n "), max_size=60)


@given(before=TEXTS, after=TEXTS)
def test_stretches_join_to_both_texts(before, after):
    changes = diff_texts(before, after)
    assert "".join(change.before for change in changes) == before
    assert "".join(change.after for change in changes) == after
    assert [change.start for change in changes] == [len("".join(c.before for c in changes[:i])) for i in range(len(changes))]
    kinds = [change.kind == "same" for change in changes]
    assert all(a != b for a, b in zip(kinds, kinds[1:], strict=False))  # never two of a kind in a row
    for change in changes:
        assert (change.kind == "same") == (change.before == change.after)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", []),
        ("猫", "猫", [("same", "猫", "猫")]),
        ("猫\nメニュー\n犬", "猫\n犬", [("same", "猫\n", "猫\n"), ("removed", "メニュー\n", ""), ("same", "犬", "犬")]),
        (
            "今日は雨です。",
            "今日は、雨です。",
            [("same", "今日は", "今日は"), ("added", "", "、"), ("same", "雨です。", "雨です。")],
        ),
        ("\nあ", "\nああ", [("same", "\nあ", "\nあ"), ("added", "", "あ")]),  # a common line, then a common character
        ("1a2b3", "4a5b6", [("replaced", "1a2b3", "4a5b6")]),  # single letters in common say nothing
    ],
)
def test_what_people_see(before, after, expected):
    assert [(change.kind, change.before, change.after) for change in diff_texts(before, after)] == expected


def test_what_is_too_long_is_replaced_as_a_whole(monkeypatch):
    monkeypatch.setattr(differences, "_LONGEST", 10)
    changes = diff_texts("頭" + "あい" * 20 + "尾", "頭" + "うえ" * 20 + "尾")
    assert [change.kind for change in changes] == ["same", "replaced", "same"]
    assert (changes[0].before, changes[2].before) == ("頭", "尾")


def test_a_megabyte():
    line = "吾輩は猫である。名前はまだ無い。"
    before = (line + "\n") * 30_000 + line * 30_000
    after = (line + "\n") * 29_000 + "終わり\n" + line * 29_000
    changes = diff_texts(before, after)
    assert "".join(change.after for change in changes) == after
