import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels import buffers
from filters.text import characters

ALPHABET = {
    "n_hiragana": "あかがのゝ",
    "n_katakana": "アラーヶｱ",
    "n_han": "漢字々〆〇𠮷",
    "n_latin": "aZéＡ",
    "n_other_letter": "Жא",
    "n_digit": "09５",
    "n_space": " \u3000\t\u00a0",
    "n_newline": "\n",
    "n_sentence_mark": "。！？!?",
    "n_punctuation": "、・,.:/「（-",
    "n_symbol": "★|=①😀\ufffd",
    "n_hangul": "가ㄱ",
    "n_control": "\x07\u200d",
    "n_mark": "\u3099\u0301",
    "n_closing": "」）』)\"'",
    "n_ellipsis": "…",
}
CLASS = {c: name for name, characters_ in ALPHABET.items() for c in characters_}
INVISIBLE = ("n_space", "n_newline", "n_control")


def count(*texts):
    return characters.count(*buffers(pl.Series(texts, dtype=pl.String)))


def count_one(text):
    return {name: int(values[0]) for name, values in count(text).items()}


def reference(text):
    found = {name: sum(CLASS[c] == name for c in text) for name in ALPHABET}
    lines = ["".join(c for c in line if CLASS[c] not in INVISIBLE) for line in text.split("\n")]
    run = longest = 0
    for line in lines:
        for i, c in enumerate(line):
            run = run + 1 if i and line[i - 1] == c else 1
            longest = max(longest, run)
    return found | {
        "n_chars": len(text),
        "n_visible": sum(map(len, lines)),
        "n_replacement": text.count("\ufffd"),
        "n_lines": sum(bool(line) for line in lines),
        "n_bullet_lines": sum(line[:1] in ("・", "-", "★") and len(line) < characters.LONG_ITEM for line in lines),
        "n_longest_run": longest,
    }


@given(texts=st.lists(st.text(st.sampled_from([*CLASS, *"\n\n\nああ・★"]), max_size=60), max_size=4))
@settings(max_examples=200, deadline=None)
def test_simple_counters_agree_with_a_plain_count(texts):
    found = count(*texts)
    for d, text in enumerate(texts):
        expected = reference(text)
        assert {name: int(found[name][d]) for name in expected} == expected


@given(text=st.text(st.sampled_from([*CLASS, *"\n。」. "]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_counters_are_consistent(text):
    found = count_one(text)
    visible = found["n_visible"]
    assert sum(found[name] for name in ALPHABET) == found["n_chars"]
    assert 0 <= found["n_prose"] <= visible
    assert found["n_longest_sentence"] <= visible
    assert found["n_ended_lines"] + found["n_ellipsis_lines"] <= found["n_lines"]
    assert found["n_url"] <= visible
    assert (found["n_sentences"] == 0) == (found["n_longest_sentence"] == 0)


@pytest.mark.parametrize(
    ("text", "sentences", "longest"),
    [
        ("", 0, 0),
        ("。", 0, 0),
        ("吾輩は猫である。", 1, 8),
        ("吾輩は猫である。名前はまだ無い。", 2, 8),
        ("吾輩は猫である", 1, 7),
        ("これはひとつ\nこれもひとつ", 2, 6),
        ("「そうだ。」と彼は言った。", 2, 7),
        ("何だと!?そうか！！終わり。", 3, 4),  # the length is taken to the first mark
        ("円周率は3.14です。", 1, 11),
        ("終わりです.次に進む.", 2, 6),
        ("See a.b and c.d now. Then stop.", 2, 16),
        ("version 3.11 is out.", 1, 17),
        ("He left. Then rain.", 2, 9),
        ("……。", 0, 0),
        ("待って……来た。", 1, 8),
        ("文。\n\n\n文。", 2, 2),
    ],
)
def test_sentences(text, sentences, longest):
    found = count_one(text)
    assert (found["n_sentences"], found["n_longest_sentence"]) == (sentences, longest)


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("吾輩は猫である。", 8),
        ("吾輩は猫である", 0),
        ("吾輩は猫である。名前は", 8),
        ("「そうだ。」", 6),  # the bracket belongs to the sentence
        ("『「そうだ。」』", 8),
        ("そうか！！", 5),
        ("ホーム\n会社案内\n今日は晴れだ。", 7),
        ("空 白 は 数えない。", 8),
        ("です.次", 3),
        ("3.14", 0),
    ],
)
def test_prose_is_what_stands_in_ended_sentences(text, prose):
    assert count_one(text)["n_prose"] == prose


@pytest.mark.parametrize(
    ("line", "ended", "ellipsis"),
    [
        ("終わった。", 1, 0),
        ("「終わった。」", 1, 0),
        ("終わった。）", 1, 0),
        ("終わった。 ", 1, 0),
        ("本当!?", 1, 0),
        ("The end.", 1, 0),
        ("終わった", 0, 0),
        ("終わった。次", 0, 0),
        ("終わった、", 0, 0),
        ("つづきは…", 0, 1),
        ("つづきは...", 0, 1),
        ("つづきは・・・", 0, 1),
        ("つづきは・", 0, 0),
        ("…つづき", 0, 0),
    ],
)
def test_line_ends(line, ended, ellipsis):
    found = count_one(line + "\nつぎの行")
    assert (found["n_ended_lines"], found["n_ellipsis_lines"]) == (ended, ellipsis)


@pytest.mark.parametrize(
    ("text", "bullets"),
    [("・項目\n■項目\n※注", 3), ("  ・項目", 1), ("-項目\n* 項目", 2), ("項目・項目", 0), ("・・項目", 1), ("\n・\n", 1)],
)
def test_bullets(text, bullets):
    assert count_one(text)["n_bullet_lines"] == bullets


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com/a?b=c#d", 27),
        ("詳細はhttps://example.com/を見て", 20),
        ("http://a.jp http://b.jp", 22),
        ('<a href="http://a.jp">', 11),
        ("(http://a.jp)", 11),
        ("http://web.archive.org/web/2020/http://example.com/", 51),  # one address, not one and a half
        ("example.com", 0),
        ("http:/a", 0),
        ("http:", 0),
        ("://", 3),
    ],
)
def test_urls(text, url):
    assert count_one(text)["n_url"] == url


def test_many_urls_in_one_take_linear_time():
    text = "a://" * 200_000
    assert count_one(text)["n_url"] == len(text)


def test_empty_column():
    assert {len(values) for values in count().values()} == {0}


@pytest.mark.parametrize(
    ("text", "sentences", "ended_lines"),
    [
        ("であるとした．また，そうである．", 2, 1),
        ("１．はじめに", 1, 0),
        ("値は３．５である．", 1, 1),
        ("次の図は１．\n方法はＡ．", 2, 2),
    ],
)
def test_full_width_full_stops_end_sentences(text, sentences, ended_lines):
    found = count_one(text)
    assert (found["n_sentences"], found["n_ended_lines"]) == (sentences, ended_lines)


@pytest.mark.parametrize(
    ("line", "is_item"),
    [
        ("・りんご", True),
        ("○ りんご", True),
        ("○国務大臣（山田太郎君）　お答えします。", False),
        ("○山田太郎君", False),
        ("●田中さん", False),
    ]
    + [("◆委員長 はい", False), ("〇山田太郎君", False), ("・" + "長い項目は散文である" * 3, False)],
)
def test_what_an_item_of_a_list_is(line, is_item):
    assert count_one(line)["n_bullet_lines"] == is_item


def test_runs_of_letters_and_drawn_rules():
    assert count_one("|" + "-" * 300 + "|")["n_longest_letter_run"] == 1
    assert count_one("★" * 300 + "すごーーーい！！")["n_longest_letter_run"] == 3
    assert count_one("ア" * 250)["n_longest_letter_run"] == 250


def test_commas_divide_only_sentences_that_end():
    assert count_one("、".join(["それは長い文であり"] * 20) + "。")["n_clauses"] == 20
    assert count_one("、".join(["激安通販"] * 20))["n_clauses"] == 1
