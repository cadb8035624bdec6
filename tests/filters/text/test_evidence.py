"""What in a text makes a measure what it is: spans that make up the measure's counter, whatever the text."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import MEASURES
from filters.evidence import AMBIGUOUS, join_spans
from filters.kernels import buffers
from filters.published import hojichar, llmjp
from filters.text import characters, mojibake, phrases, repetition, text_model
from filters.text.clauses import weigh_clauses

PIECES = (
    "吾輩は猫である。", "名前はまだ無い。", "「いい句だ」", "・りんご", "■特価", "送料無料", "ポイント還元", "今すぐ登録", "アダルト動画",
    "エロ画像",
    
    "https://a.jp/b?c=1)", "ftp://x", "://", "...", "…", "・・", ".", "！", "!?", "ｱ", "Ａ", "①", " ", "　", "\n", "\n\n", "\t", "=====",
    "ええええ",     "123", "abc", "\ufffd", "𠮷", "😀", "é", "、", "コメント", "死", "モザイク", "叩く", "殺す",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=40).map(
    "".join
)

# Measures whose spans make up a counter: as many as there are, or by their amounts.
BY_NUMBER = {
    "short_line_share": "n_short_lines", "ended_line_share": "n_ended_lines", "ellipsis_line_share": "n_ellipsis_lines",
    "bullet_line_share": "n_bullet_lines", "duplicate_line_share": "n_duplicate_lines",
    "duplicate_paragraph_share": "n_duplicate_paragraphs",
    "hojichar_advertising_words": "n_hojichar_advertising_words", "hojichar_adult_words": "n_hojichar_adult_words",
    "hojichar_english_adult_words": "n_hojichar_english_adult_words", "hojichar_violence_words": "n_hojichar_violence_words",
    "hojichar_discrimination_words": "n_hojichar_discrimination_words", "hojichar_forum_marks": "n_hojichar_forum_marks",
    "llmjp_advertising_words": "n_llmjp_advertising_words", "llmjp_adult_words": "n_llmjp_adult_words",
    "llmjp_violence_words": "n_llmjp_violence_words", "llmjp_discrimination_words": "n_llmjp_discrimination_words",
}  # fmt: skip
BY_AMOUNT = {
    "hiragana_share": "n_hiragana", "katakana_share": "n_katakana", "han_share": "n_han", "latin_share": "n_latin",
    "digit_share": "n_digit",
    "symbol_share": "n_symbol", "replacement_share": "n_replacement", "url_share": "n_url",
    "duplicate_line_char_share": "n_duplicate_line_chars", "duplicate_paragraph_char_share": "n_duplicate_paragraph_chars",
    "adult_share": "n_adult_phrase_chars", "advertising_evidence": "n_advertising_phrase_chars",
    **{f"duplicate_{size}gram_share": f"n_duplicate_{size}gram" for size in repetition.DUPLICATE_SIZES},
}  # fmt: skip


def count(text: str) -> dict[str, int]:
    data, offsets = buffers(pl.Series([text]))
    counters = characters.count(data, offsets) | repetition.count(data, offsets) | phrases.count(data, offsets)
    counters |= hojichar.count(data, offsets, {*BY_NUMBER.values()}) | llmjp.count(data, offsets, {*BY_NUMBER.values()})
    return {name: int(values[0]) for name, values in counters.items()}


def show(measure: str, text: str) -> list[tuple[str, str]]:
    return [(text[span.start : span.end], span.what) for span in MEASURES[measure].evidence(text)]


@given(TEXTS)
def test_spans_make_up_what_the_loops_of_a_build_count(text):
    counters = count(text)
    for name, counter in BY_NUMBER.items():
        assert len(MEASURES[name].evidence(text)) == counters[counter], name
    for name, counter in BY_AMOUNT.items():
        assert sum(span.amount for span in MEASURES[name].evidence(text)) == counters[counter], name
    for size in repetition.TOP_SIZES:
        spans = MEASURES[f"top_{size}gram_share"].evidence(text)
        assert min(len(spans) * size, counters["n_window"]) == counters[f"n_top_{size}gram"]
    matches = MEASURES["compression_ratio"].evidence(text)
    saved = sum(span.amount for span in matches) - 3 * len(matches)
    assert counters["n_window_bytes"] - saved == counters["n_lz_bytes"]
    for name in ("longest_run", "longest_letter_run"):
        longest = sum(span.amount for span in MEASURES[name].evidence(text))
        assert max(longest, min(counters["n_visible"], 1)) == counters[f"n_{name}"]
    unmistakable = {text[s.start : s.end] for s in MEASURES["advertising_evidence"].evidence(text) if s.what != AMBIGUOUS}
    assert len(unmistakable) == counters["n_advertising_phrases"]
    for name, measure in MEASURES.items():
        spans = measure.evidence(text) if measure.evidence else []
        assert all(0 <= span.start < span.end <= len(text) for span in spans) and spans == sorted(spans), name


@given(TEXTS)
def test_clauses_make_up_the_score(text):
    for name in ("quality-ja", "fluency-ja"):
        model = text_model.shipped_model(name)
        for one in (text, text * 40):  # all of it is read, or four windows
            score = model.score(*buffers(pl.Series([one])))[0]
            spans, intercept = weigh_clauses(one, model)
            if score == score:
                odds = sum(span.amount for span in spans) + intercept
                assert 1 / (1 + 2.718281828459045**-odds) == pytest.approx(float(score), abs=1e-4)


def test_what_is_shown():
    assert show("advertising_evidence", "猫も送料無料でポイント還元！送料無料") == [
        ("送料無料", ""), ("ポイント還元", AMBIGUOUS), ("送料無料", ""),
    ]  # fmt: skip
    assert show("url_share", "詳しくは https://a.jp/x へ。") == [("https://a.jp/x", "")]
    assert show("bullet_line_share", "果物\n・りんご\n・みかん") == [("・りんご", ""), ("・みかん", "")]
    assert show("duplicate_line_share", "ホーム\n猫である。\n ホーム ") == [(" ホーム ", "")]
    assert show("duplicate_5gram_share", "今日は晴れです。明日も晴れです。") == [("晴れです。", "")]
    assert show("longest_letter_run", "-----ええ えっ！") == [("ええ え", "")]
    assert show("language_lines_share", "今日は晴れ。\n今天天气很好，我们去公园吧。\nThe weather is fine today.") == [
        ("今天天气很好，我们去公园吧。", "zh"), ("The weather is fine today.", "en"),
    ]  # fmt: skip
    assert show("mean_clause_length", "朝は晴れ、\n激安 通販 時計 財布\n夜は雨。") == [("激安 通販 時計 財布", "")]
    assert show("hojichar_advertising_words", "ﾎﾟｲﾝﾄと送料") == [("送料", "")]
    text = "車の買取は無料査定で口コミ一位。" * 3 + "吾輩は猫である。"
    worst = max(MEASURES["quality_score"].evidence(text), key=lambda span: span.amount)
    assert text[worst.start : worst.end] != "吾輩は猫である。"


def test_mojibake_is_shown_in_the_text_as_it_came():
    mangled = "これは猫です。名前はまだありません。".encode().decode("cp932", "ignore")
    assert MEASURES["mojibake_share"].of_raw
    for text in (mangled, f"吾輩は猫である。\n{mangled}\n名前はまだ無い。", "縺れた糸を繧繝縁の畳に置く。"):
        counted = mojibake.count(*buffers(pl.Series([text])))["n_mojibake"][0]
        spans = MEASURES["mojibake_share"].evidence(text)
        assert sum(span.amount for span in spans) == counted
        if text.startswith("吾輩"):  # within a long text, too
            long = "吾輩は猫である。\n" * 700
            around = MEASURES["mojibake_share"].evidence(f"{long}{mangled}\n{long}")
            assert sum(span.amount for span in around) == counted and around[0].start >= len(long)
            assert all(text[span.start : span.end] in mangled for span in spans) and counted > 0.8 * len(mangled)


def test_stretches_that_touch_are_one():
    spans = MEASURES["top_2gram_share"].evidence("あああ、いう")
    assert len(spans) == 2 and join_spans(spans, 6) == [(0, 3)]


def test_lone_surrogates_count_as_question_marks():
    """Texts of Python may have them, those of builds may not."""
    text = "・猫\ud800だ…\nThe cat \udfff is here, and the dog is there.\n死ぬアダルト動画\n" * 2
    for name, measure in MEASURES.items():
        if measure.evidence is not None:
            plain = text.replace("\ud800", "?").replace("\udfff", "?")
            assert measure.evidence(text) == measure.evidence(plain), name
    assert len(MEASURES["bullet_line_share"].evidence(text)) == 2
    assert [span.what for span in MEASURES["language_lines_share"].evidence(text)] == ["en", "en"]
