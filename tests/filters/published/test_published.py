"""What other projects' measures count, against their definitions written out in a few lines of Python."""

import re
import unicodedata
import zlib
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import MEASURES, measure_frame, measure_text
from filters.published import gopher, words
from filters.published.keywords import count_words, listed_words

PUBLISHED = [name for name, found in MEASURES.items() if found.on_request]
OF_SWALLOW = [name for name in PUBLISHED if name.startswith("swallow_")]
OF_HOJICHAR = [
    name
    for name in PUBLISHED
    if name.startswith("hojichar_") and name not in ("hojichar_noun_share", "hojichar_repeated_7gram_share")
]
pieces = st.sampled_from(
    ["猫", "犬だ。", "アス", "...", "…", "\n", "\n\n", " ", "！？", "・", "-", "#", "あいうえお", "漢字、", "ﾊﾞ㍻", "abc"]
)
some_text = st.lists(pieces, max_size=40).map("".join)


def measured(text, names):
    row = measure_frame(pl.DataFrame({"text": [text]}), names).row(0, named=True)
    return {name: row[name] for name in names}


def ratio(part, whole):
    return pytest.approx(part / whole if whole else 0, rel=1e-6)


def repeats(items):
    """How many items stood before, and how many characters they have."""
    counts = Counter(items)
    return sum(n - 1 for n in counts.values()), sum((n - 1) * len(item) for item, n in counts.items())


@given(text=some_text)
@settings(max_examples=60, deadline=None)
def test_swallow(text):
    paragraphs = [re.findall(r"[^。．！？!?]+[。．！？!?]?", line) for line in text.split("\n")]
    sentences = [sentence for paragraph in paragraphs for sentence in paragraph]
    lines = ["".join(paragraph) for paragraph in paragraphs]
    letters = sum(map(len, sentences))
    japanese = len(re.findall("[ぁ-ゖァ-ヺ々〇〻㐀-鿿豈-﫿、，。．！？]", text))
    expected = {
        "swallow_japanese_letters": japanese,
        "swallow_japanese_share": ratio(japanese, len(text)),
        "swallow_hiragana_share": ratio(len(re.findall("[ぁ-ゖ]", text)), japanese),
        "swallow_katakana_share": ratio(len(re.findall("[ァ-ヺ]", text)), japanese),
        "swallow_mean_sentence_length": ratio(letters, len(sentences)),
        "swallow_longest_sentence": max(map(len, sentences), default=0),
        "swallow_ellipsis_sentence_share": ratio(sum(s.strip().endswith(("・", "…")) for s in sentences), len(sentences)),
        "swallow_repeated_line_share": ratio(repeats(lines)[0], len(lines)),
        "swallow_repeated_line_char_share": ratio(repeats(lines)[1], letters),
        "swallow_repeated_sentence_share": ratio(repeats(sentences)[0], len(sentences)),
        "swallow_repeated_sentence_char_share": ratio(repeats(sentences)[1], letters),
    }
    for size in range(2, 11):
        counts = Counter(text[i : i + size] for i in range(len(text) - size + 1))
        if size < 5:
            expected[f"swallow_top_{size}gram_share"] = ratio(max(counts.values(), default=0), counts.total())
        else:
            expected[f"swallow_repeated_{size}gram_share"] = ratio(sum(n > 1 for n in counts.values()), len(counts))
    assert measured(text, OF_SWALLOW) == expected


@given(text=some_text)
@settings(max_examples=60, deadline=None)
def test_hojichar(text):
    normal = unicodedata.normalize("NFKC", text)
    counts = sorted(Counter(normal[i : i + 5] for i in range(len(normal) - 4)).values(), reverse=True)
    most = min(int(len(counts) ** 0.5), sum(n > 1 for n in counts))
    lines = normal.split("\n")
    forum = r"\d{4}[年.\-/] *\d{1,2}[月.\-/] *\d{1,2}日*|コメント|SOLD OUT|レビュー|投稿|ページ|\([月火水木金土日]\)|質問|\d+話|楽天市場|-"
    adult = "|".join(map(re.escape, listed_words("hojichar-adult")))
    found = measured(text, OF_HOJICHAR)
    expected = {
        "hojichar_chars": len(normal),
        "hojichar_leading_kana": len(re.findall("[ぁ-んァ-ン]", normal[:50])),
        "hojichar_full_stop_share": ratio(normal.count("。"), len(normal)),
        "hojichar_forum_marks": len(re.findall(forum, normal)),
        "hojichar_adult_words": len(re.findall(adult, normal)),
        "hojichar_frequent_5gram_share": ratio(sum(counts[:most]), sum(counts)),
        "hojichar_longest_run": max((len(run[0]) for run in re.finditer(r"(?s)(.)\1*", normal)), default=0),
        "hojichar_ellipsis_line_share": ratio(len(re.findall(r"(\.{3}|…)\n", normal)), max(len(lines) - 1, 1)),
        "hojichar_short_line_share": ratio(sum(len(line) <= 10 for line in lines), len(lines)),
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("これは猫です。" * 40, "hojichar_english_adult_words", 0),
        ("死ぬほど笑った。殺人鬼", "hojichar_violence_words", 2),  # 死ぬ and 殺人鬼, not 死 or 殺人 as well
        ("★★☆! 猫だ", "hojichar_special_share", 5 / 7),
        ("①お問い合わせください", "hojichar_advertising_words", 1),  # NFKC makes 1 of ①
        ("①お問い合わせください", "llmjp_advertising_words", 2),
        ("リンゴ・オレンジ・ミカン・バナナ セール中", "hojichar_noun_share", pytest.approx(5 / 6, abs=0.17)),
        ("今日は晴れだと聞いた。" * 9, "hojichar_repeated_7gram_share", 1),
        ("猫。", "hojichar_repeated_7gram_share", 0),
    ],
)
def test_values(text, name, value):
    assert measure_text(text, name) == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("text", "guarded", "plain"),
    [
        ("アスが来る", 1, 1),
        ("アスパラガス", 0, 1),
        ("アスとバスのアス", 2, 2),
        ("エロ動画", 1, 2),  # the plain scan takes the first of the list that fits
        ("スーパーエロ動画", 1, 2),
        ("エロスとエロ", 1, 2),
        ("エロー", 0, 1),
        ("", 0, 0),
    ],
)
def test_a_word_of_katakana_can_be_asked_to_stand_alone(text, guarded, plain):
    listed = ("アス", "エロ", "エロ動画", "動画")
    assert count_words(pl.Series([text]), listed, guard_katakana=True).tolist() == [guarded]
    assert count_words(pl.Series([text]), listed).tolist() == [plain]


@given(text=st.text(st.sampled_from("アスエロー動画の"), max_size=12))
@settings(max_examples=150, deadline=None)
def test_guarded_words_are_counted_as_a_regular_expression_counts_them(text):
    listed = ("アス", "エロ", "エロ動画", "動画")
    pattern = re.compile("エロ動画|動画|(?<![ァ-ヴー])(アス|エロ)(?![ァ-ヴー])")
    assert count_words(pl.Series([text]), listed, guard_katakana=True).tolist() == [len(pattern.findall(text))]


def test_lists_have_words_alone():
    for name, count in {"adult": 1471, "adult-english": 111, "advertising": 31, "discrimination": 150, "violence": 75}.items():
        listed = listed_words(f"hojichar-{name}")
        assert len(listed) == count and not any(word.startswith("#") or word != word.strip() for word in listed)


def test_deflate_and_full_stops_of_llmjp():
    text = "吾輩は猫である。名前はまだ無い。" * 5
    assert measure_text(text, "llmjp_deflate_ratio") == pytest.approx(len(zlib.compress(text.encode(), 9)) / len(text.encode()))
    assert measure_text(text, "llmjp_full_stop_share") == pytest.approx(2 / 16)


# -- Gopher and FineWeb


@given(
    lines=st.lists(
        st.sampled_from(["- 猫", "• 犬", "・鳥", "猫...", "犬 … ", "  ", "", "終わり。", "「終わり。」", "a # b", "...."]),
        max_size=8,
    )
)
@settings(max_examples=80, deadline=None)
def test_lines_of_gopher_and_fineweb(lines):
    text = "\n".join(lines)
    split = text.splitlines()
    filled = [line for line in text.split("\n") if line.strip()]
    written = [line for line in text.split("\n") if line]
    expected = {
        "n_gopher_lines": len(split),
        "n_gopher_bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in split),
        "n_gopher_ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in split),
        "n_gopher_filled_lines": len(filled),
        "n_gopher_ended_lines": sum(line.endswith(("。", ".")) for line in filled),
        "n_gopher_written_lines": len(written),
        "n_gopher_duplicate_lines": repeats(written)[0],
        "n_gopher_line_chars": len(text) - text.count("\n"),
        "n_gopher_duplicate_line_chars": repeats(filled)[1],
        "n_gopher_newlines": text.count("\n"),
        "n_gopher_hashes": text.count("#"),
        "n_gopher_ellipses": text.count("...") + text.count("…"),
    }
    data, offsets = filters_buffers(text)
    counters = gopher.count(data, offsets, gopher.LINE_COUNTERS)
    assert {name: int(counters[name][0]) for name in expected} == expected


def filters_buffers(text):
    from filters.kernels import buffers

    return buffers(pl.Series([text]))


def naive_duplicates(found, size):
    seen, repeated, at = set(), 0, 0
    while at < len(found) - size + 1:
        piece = "".join(found[at : at + size])
        repeated += len(piece) if piece in seen else 0
        at += size if piece in seen else 1
        seen.add(piece)
    return repeated


@pytest.mark.parametrize(
    "text",
    [
        "吾輩は猫である。名前はまだ無い。\n" * 3 + "どこで生れたか#知らない…",
        "東京都と東京都庁。東京都と東京都庁、ABC-123",
        "猫",
        "…",
    ],
)
def test_words_of_gopher(text):
    pytest.importorskip("sudachipy")
    found = words.sudachi_words(text)
    assert "".join(found) == re.sub(r"\s", "", text)
    row = measured(text, [name for name in PUBLISHED if name.startswith(("gopher_", "fineweb_"))])
    plain = [word for word in found if not set(word) <= gopher._signs()]
    assert row["gopher_words"] == len(plain)
    assert row["gopher_mean_word_length"] == ratio(sum(map(len, plain)), len(plain))
    assert row["gopher_letter_word_share"] == ratio(sum(any(c.isalpha() for c in word) for word in found), len(found))
    assert row["gopher_stop_words"] == len(set(found) & set(gopher.STOP_WORDS))
    for size in (2, 3, 4):
        grams = Counter(" ".join(found[i : i + size]) for i in range(len(found) - size + 1))
        top, times = grams.most_common(1)[0] if grams else ("", 0)
        assert row[f"gopher_top_{size}gram_share"] == ratio(len(top) * times, len(text))
    for size in range(5, 11):
        assert row[f"gopher_duplicate_{size}gram_share"] == ratio(naive_duplicates(found, size), len(text))


def test_long_texts_are_cut_between_characters():
    text = "吾輩は猫である。" * 4000
    pieces = list(words._cut_bytes(text, words.SUDACHI_BYTES))
    assert "".join(pieces) == text and len(pieces) > 2
    assert max(len(piece.encode()) for piece in pieces) <= words.SUDACHI_BYTES


def test_marks_that_end_sentences():
    ends = {chr(end) for end in gopher.sentence_ends().tolist()}
    assert ends >= set("。．！？!?.｡") and not ends & set("、，・」')…")


# -- what nobody asked for


def test_they_are_computed_only_where_they_are_named(monkeypatch):
    def refuse(*_):
        raise AssertionError("nobody asked for words")

    monkeypatch.setattr(gopher, "sudachi_words", refuse)
    frame = pl.DataFrame({"text": ["吾輩は猫である。"]})
    assert not set(measure_frame(frame).columns) & set(PUBLISHED)
    assert measure_frame(frame, ["fineweb_ended_line_share"])["fineweb_ended_line_share"].to_list() == [1]


def test_without_sudachi_the_message_names_the_package(monkeypatch):
    monkeypatch.setattr(words, "find_spec", lambda name: None)
    words._sudachi.cache_clear()
    with pytest.raises(ModuleNotFoundError, match=r"words by Sudachi need sudachipy: pip install 'seimai\[sudachi\]'"):
        measure_text("猫", "gopher_words")
