"""The measures of a text document: scripts, lines and sentences, repetition, phrases, language, quality.

"Visible" characters are those that are neither space, newline nor control; shares are of visible characters, 0 to 1, unless a
description says otherwise. A share of nothing is 0. In the examples `measure_text` is `filters.measure_text`.
"""

from __future__ import annotations

import polars as pl

from filters import unicode as u
from filters.expressions import given, share
from filters.registry import measure
from filters.text import evidence as e
from filters.text.clauses import show_clauses
from filters.text.repetition import DUPLICATE_SIZES, TOP_SIZES

# A share of lines says nothing of a document of one or two: those that it lacks count as lines of prose.
FEW_LINES = 5


def _of_lines(name: str, total: str = "n_lines") -> pl.Expr:
    return share(pl.col(name), pl.max_horizontal(pl.col(total), pl.lit(FEW_LINES)))


# Shorter texts are titles and buttons, unless they are sentences: the least length of uzushio and of EleutherAI/dps.
SHORT_TEXT = 50


def _of_visible(*names: str) -> pl.Expr:
    return share(pl.sum_horizontal(*names), pl.col("n_visible"))


@measure
def chars() -> pl.Expr:
    """Characters (Unicode code points) of the cleaned text."""
    return pl.col("n_chars")


@measure(evidence=e.show_characters(u.HIRAGANA))
def hiragana_share() -> pl.Expr:
    """Share of hiragana."""
    return _of_visible("n_hiragana")


@measure(evidence=e.show_characters(u.KATAKANA))
def katakana_share() -> pl.Expr:
    """Share of katakana, the prolonged sound mark included.

    >>> measure_text("スープとラーメン", "katakana_share")
    0.875
    """
    return _of_visible("n_katakana")


@measure(evidence=e.show_characters(u.HIRAGANA, u.KATAKANA))
def kana_share() -> pl.Expr:
    """Share of hiragana and katakana together."""
    return _of_visible("n_hiragana", "n_katakana")


@measure(evidence=e.show_characters(u.HAN))
def han_share() -> pl.Expr:
    """Share of kanji (Han characters)."""
    return _of_visible("n_han")


@measure(evidence=e.show_characters(u.HIRAGANA, u.KATAKANA, u.HAN))
def japanese_share() -> pl.Expr:
    """Share of hiragana, katakana and kanji.

    >>> measure_text("猫ネコねこcat12", "japanese_share")
    0.5
    """
    return _of_visible("n_hiragana", "n_katakana", "n_han")


@measure(evidence=e.show_characters(u.LATIN))
def latin_share() -> pl.Expr:
    """Share of Latin letters."""
    return _of_visible("n_latin")


@measure(evidence=e.show_characters(u.DIGIT))
def digit_share() -> pl.Expr:
    """Share of digits."""
    return _of_visible("n_digit")


@measure(evidence=e.show_characters(u.SYMBOL))
def symbol_share() -> pl.Expr:
    """Share of symbols: neither letters, digits nor punctuation (★ ■ = < > and the like).

    >>> measure_text("★★特価", "symbol_share")
    0.5
    """
    return _of_visible("n_symbol")


@measure(evidence=e.show_replacements)
def replacement_share() -> pl.Expr:
    r"""Share of U+FFFD, which a failed decoding leaves behind.

    >>> measure_text("文字化\ufffd", "replacement_share")
    0.25
    """
    return _of_visible("n_replacement")


@measure(evidence=e.show_mojibake, of_raw=True)
def mojibake_share() -> pl.Expr:
    """Share of characters in mojibake: text that was written in one charset and read in another (before normalisation).

    >>> measure_text("これは猫です。".encode().decode("cp932", "ignore"), "mojibake_share") > 0.9
    True
    >>> measure_text("縺れた糸を繧繝縁の畳に置く。", "mojibake_share")
    0.0
    """
    return share(pl.col("n_mojibake"), pl.col("n_raw_visible"))


@measure(evidence=e.show_urls)
def url_share() -> pl.Expr:
    """Share of characters in URLs.

    >>> measure_text("詳しくは https://a.jp", "url_share")
    0.75
    """
    return _of_visible("n_url")


@measure(evidence=e.show_longest_run(of_letters=False))
def longest_run() -> pl.Expr:
    """Length of the longest run of one character repeated (spaces apart), drawn rules included.

    >>> measure_text("ええええっ！", "longest_run")
    4
    """
    return pl.col("n_longest_run")


@measure(evidence=e.show_longest_run(of_letters=True))
def longest_letter_run() -> pl.Expr:
    """Length of the longest run of one letter, digit, ！ or ？ repeated. Rows of - = ─ _ * ・ … are drawn rules, and no run.

    >>> measure_text("-----えええっ！", "longest_letter_run")
    3
    """
    return pl.col("n_longest_letter_run")


@measure
def lines() -> pl.Expr:
    """Lines with anything visible in them."""
    return pl.col("n_lines")


@measure(evidence=e.show_lines("n_short_lines"))
def short_line_share() -> pl.Expr:
    r"""Share of lines (five at the least) of at most 10 visible characters, as in menus, times the share of text outside sentences.

    A short line that ends with 。！？ or begins with 「 is no item of a menu, nor is one of five characters or more of which half and
    the last are hiragana. Of fewer than five lines the share is of five. A table within a text has short lines beside sentences.

    >>> round(measure_text("ホーム\n会社概要\n地図\n採用情報\nお知らせ", "short_line_share"), 2)
    1.0
    >>> round(measure_text("ホーム\n会社概要\n地図\n採用情報\n猫は一日の大半を寝て過ごす。", "short_line_share"), 2)
    0.39
    >>> round(measure_text("古池や\n蛙飛びこむ\n水の音\n「いい句だ」\n春", "short_line_share"), 2)
    0.6
    >>> round(measure_text("ホーム", "short_line_share"), 2)
    0.2
    """
    return (_of_lines("n_short_lines") * (1 - prose_share())).cast(pl.Float32)


@measure(evidence=e.show_lines("n_ended_lines"))
def ended_line_share() -> pl.Expr:
    r"""Share of lines that end with a sentence end (。！？ and closing brackets after them).

    >>> measure_text("会社案内\n「猫である。」", "ended_line_share")
    0.5
    """
    return share(pl.col("n_ended_lines"), pl.col("n_lines"))


@measure(evidence=e.show_lines("n_ellipsis_lines"))
def ellipsis_line_share() -> pl.Expr:
    r"""Share of lines (five at the least) that end with …, ・・ or ...

    >>> round(measure_text("猫は…\n犬は…\n鳥は…\n魚は…\n猫である。", "ellipsis_line_share"), 2)
    0.8
    >>> round(measure_text("猫は…", "ellipsis_line_share"), 2)
    0.2
    """
    return _of_lines("n_ellipsis_lines")


@measure(evidence=e.show_lines("n_bullet_lines"))
def bullet_line_share() -> pl.Expr:
    r"""Share of lines (five at the least) that are items of a list: less than 30 visible characters after a bullet (・ ■ ● ◆ ※ - *).

    ○ ● ◆ before a name (○山田太郎君, ○議長（山田君）　…) mark a speaker. Longer lines are prose.

    >>> round(measure_text("果物\n・りんご\n・みかん\n・梨\n・柿", "bullet_line_share"), 2)
    0.8
    >>> round(measure_text("○国務大臣（山田太郎君）　お答えします。", "bullet_line_share"), 2)
    0.0
    """
    return _of_lines("n_bullet_lines")


@measure
def sentences() -> pl.Expr:
    """Sentences: stretches that end with 。！？!? or, failing that, with the line.

    >>> measure_text("円周率は3.14である。本当？ そうだ", "sentences")
    3
    """
    return pl.col("n_sentences")


@measure
def mean_sentence_length() -> pl.Expr:
    """Mean length of sentences in visible characters."""
    return share(pl.col("n_visible"), pl.col("n_sentences"))


@measure(evidence=e.show_longest_stretch)
def mean_clause_length() -> pl.Expr:
    """Mean length of clauses in visible characters: sentences, and in those with an end mark what stands between 、.

    Keywords in a row have no end mark; a long sentence has one, and 、 in it.

    >>> round(measure_text("朝は晴れ、昼は曇り、夜は雨。", "mean_clause_length"), 2)
    4.67
    >>> round(measure_text("激安、通販、時計、財布", "mean_clause_length"), 2)
    11.0
    """
    return share(pl.col("n_visible"), pl.col("n_clauses"))


@measure
def longest_sentence() -> pl.Expr:
    """Length of the longest sentence in visible characters.

    >>> measure_text("猫。犬である。", "longest_sentence")
    5
    """
    return pl.col("n_longest_sentence")


@measure
def prose_share() -> pl.Expr:
    r"""Share of characters in sentences that have an end mark.

    >>> measure_text("会社案内\n猫です。", "prose_share")
    0.5
    """
    return _of_visible("n_prose")


@measure
def short_prose_share() -> pl.Expr:
    """Share of characters in sentences that have an end mark, of texts of fewer than 50 characters; null for longer ones.

    >>> measure_text("ホーム 会社案内 採用情報", "short_prose_share")
    0.0
    """
    return pl.when(pl.col("n_chars") < SHORT_TEXT).then(_of_visible("n_prose"))


@measure(evidence=e.show_duplicate_lines)
def duplicate_line_share() -> pl.Expr:
    r"""Share of lines (five at the least) that stood in the document before.

    >>> round(measure_text("ホーム\n猫である。\nホーム\n犬である。\n鳥である。", "duplicate_line_share"), 2)
    0.2
    """
    return _of_lines("n_duplicate_lines", "n_line_total")


@measure(evidence=e.show_duplicate_lines)
def duplicate_line_char_share() -> pl.Expr:
    r"""Share of characters in lines that stood in the document before; of a document of fewer than five lines a fifth of that for each.

    >>> round(measure_text("ホーム\nホーム", "duplicate_line_char_share"), 2)
    0.2
    """
    few = pl.min_horizontal(pl.col("n_line_total"), pl.lit(FEW_LINES)) / FEW_LINES
    return (share(pl.col("n_duplicate_line_chars"), pl.col("n_line_chars")) * few).cast(pl.Float32)


@measure(evidence=e.show_duplicate_paragraphs)
def duplicate_paragraph_share() -> pl.Expr:
    r"""Share of paragraphs (blocks between empty lines) that stood in the document before.

    >>> measure_text("ホーム\n\n猫。\n\nホーム\n\n犬。", "duplicate_paragraph_share")
    0.25
    """
    return share(pl.col("n_duplicate_paragraphs"), pl.col("n_paragraphs"))


@measure(evidence=e.show_duplicate_paragraphs)
def duplicate_paragraph_char_share() -> pl.Expr:
    """Share of characters in paragraphs that stood in the document before."""
    return share(pl.col("n_duplicate_paragraph_chars"), pl.col("n_line_chars"))


@measure(evidence=e.show_matches)
def compression_ratio() -> pl.Expr:
    """Bytes of a greedy LZ77 parse (matches of five characters or more, three bytes each) over bytes of the visible text.

    >>> measure_text("猫である。", "compression_ratio")
    1.0
    >>> measure_text("猫である。" * 60, "compression_ratio") < 0.05
    True
    """
    return share(pl.col("n_lz_bytes"), pl.col("n_window_bytes"))


def _register_top_ngram_share(size: int) -> None:
    def function() -> pl.Expr:
        return share(pl.col(f"n_top_{size}gram"), pl.col("n_window"))

    function.__name__ = f"top_{size}gram_share"
    function.__doc__ = f"Share of characters taken by the most frequent sequence of {size} characters."
    measure(evidence=e.show_top_ngram(size))(function)


def _register_duplicate_ngram_share(size: int) -> None:
    def function() -> pl.Expr:
        return share(pl.col(f"n_duplicate_{size}gram"), pl.col("n_window"))

    function.__name__ = f"duplicate_{size}gram_share"
    function.__doc__ = f"Share of characters covered by sequences of {size} characters that stood in the document before."
    measure(evidence=e.show_duplicate_ngrams(size))(function)


for _size in TOP_SIZES:
    _register_top_ngram_share(_size)
for _size in DUPLICATE_SIZES:
    _register_duplicate_ngram_share(_size)


@measure(evidence=e.show_phrases("adult"))
def adult_share() -> pl.Expr:
    """Share of characters in phrases of the list `adult`."""
    return share(pl.col("n_adult_phrase_chars"), pl.col("n_visible"))


@measure(evidence=e.show_phrases("advertising"))
def advertising_share() -> pl.Expr:
    """Share of characters in phrases of the list `advertising`."""
    return share(pl.col("n_advertising_phrase_chars"), pl.col("n_visible"))


def _evidence(name: str) -> pl.Expr:
    """Return the share of a list's phrases, or 0 unless one that means nothing else stands beside another."""
    # One phrase in a short text is no evidence of what the text is, nor are words that articles on a subject use.
    is_evidence = (pl.col(f"n_{name}_phrases") > 0) & (pl.col(f"n_{name}_terms") >= 2)
    return pl.when(is_evidence).then(share(pl.col(f"n_{name}_phrase_chars"), pl.col("n_visible"))).otherwise(0).cast(pl.Float32)


@measure(evidence=e.show_phrases("adult"))
def adult_evidence() -> pl.Expr:
    """Share of characters in phrases of the list `adult`, or 0 unless two different ones are there, of which one means nothing else.

    >>> measure_text("アダルト動画", "adult_evidence"), measure_text("人妻と不倫", "adult_evidence")
    (0.0, 0.0)
    >>> measure_text("アダルト動画とエロ画像", "adult_evidence") > 0.9
    True
    """
    return _evidence("adult")


@measure(evidence=e.show_phrases("advertising"))
def advertising_evidence() -> pl.Expr:
    """Share of characters in phrases of the list `advertising`, or 0 unless two different ones are there, of which one means nothing else.

    >>> measure_text("ポイント還元、キャッシング", "advertising_evidence"), measure_text("送料無料", "advertising_evidence")
    (0.0, 0.0)
    >>> round(measure_text("送料無料でポイント還元", "advertising_evidence"), 2)
    0.91
    """
    return _evidence("advertising")


@measure(kind="document")
def boilerplate_share() -> pl.Expr:
    """Characters of the boilerplate lines that cleaning dropped, as a share of the text before."""
    return share(pl.col("n_boilerplate_chars"), pl.col("n_boilerplate_chars") + pl.col("n_chars"))


@measure(kind="document")
def spaced_share() -> pl.Expr:
    """Spaces that cleaning took out between letters spaced out (日 本 語), as a share of the text before."""
    return share(pl.col("n_joined_spaces"), pl.col("n_joined_spaces") + pl.col("n_chars"))


@measure(kind="corpus")
def recurring_line_share() -> pl.Expr:
    """Share of characters in lines of menus, headers and footers that recur over documents, which are removed."""
    return share(pl.col("n_recurring_chars"), pl.col("n_line_chars"))


@measure(kind="page", words=True)
def page_kind() -> pl.Expr:
    """Kind of a page of Wikipedia: article, disambiguation, redirect, or its namespace, such as template. None for other documents."""
    return pl.col("page_kind")


@measure(kind="page")
def page_markup_share() -> pl.Expr:
    """Characters that cleaning took out of a page of Wikipedia (markup, marks, appendices), as a share of the page."""
    return share(pl.col("n_page_markup_chars"), pl.col("n_page_markup_chars") + pl.col("n_chars"))


@measure(words=True, evidence=e.show_other_languages)
def language() -> pl.Expr:
    """Language of most of the text: ISO 639 code, "ja" where kana settle it, "ja-Latn" for romaji (filters/text/language.py).

    >>> measure_text("これは猫。", "language")
    'ja'
    >>> measure_text("This is a cat.", "language"), measure_text("Kore wa neko desu.", "language")
    ('en', 'ja-Latn')
    """
    return pl.col("language")


@measure(evidence=e.show_other_languages)
def language_score() -> pl.Expr:
    """How sure that is, 0 to 1: 1 where kana settle it, the share of lines in it where a text is mixed, else a probability."""
    return pl.col("language_score")


@measure(kind="document", evidence=show_clauses("quality-ja"))
def quality_score() -> pl.Expr:
    """Probability that a reader calls the text good, by a model of its characters. None below 50 characters.

    >>> measure_text("車買取 激安 口コミ 査定 ランキング 無料 " * 4, "quality_score") < 0.5
    True
    """
    return given("quality_score")


# Words of buying in a text are no evidence, and a low score is none: together they are.
SOME_ADVERTISING = 0.04


@measure(kind="document", evidence=e.show_phrases("adult", "advertising"))
def advertising_quality() -> pl.Expr:
    """`quality_score` of texts with 4 % of their characters in phrases of `advertising`, or 2 % in those of `adult`; null for others.

    Phrases that mean other things as well count. Of both lists together, those of `adult` count twice.

    >>> measure_text("口コミで評判の車買取ランキング、査定は無料、今だけ特典付き。" * 3, "advertising_quality") < 0.45
    True
    >>> measure_text("吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 2, "advertising_quality") is None
    True
    """
    return pl.when(advertising_share() + 2 * adult_share() >= SOME_ADVERTISING).then(given("quality_score"))


@measure(kind="document", evidence=show_clauses("fluency-ja"))
def fluency_score() -> pl.Expr:
    """Probability that the text is sentences, not words, names or markup in a row, by a model. None below 50 characters.

    >>> measure_text("佐藤翔、鈴木蓮、高橋陽子、田中大輔、伊藤恵子、渡辺健太、" * 3, "fluency_score") < 0.1
    True
    """
    return given("fluency_score")


@measure(evidence=e.show_other_languages)
def language_lines_share() -> pl.Expr:
    r"""Share of characters in Japanese lines among lines whose language can be told; those of alphabets count 0.4.

    Code, addresses, numbers and labels are left out. 1 where the letters of the document alone show that most of it is Japanese. Null where
    no line is Japanese.

    >>> measure_text("今日は天気がいい。\n今天天气很好，我们去公园吧。\n明天我们一起去看电影。", "language_lines_share") < 0.4
    True
    >>> measure_text("関数を呼ぶ。\nprint(max(1, 2), file=sys.stderr)", "language_lines_share")
    1.0
    """
    return pl.when(pl.col("japanese_weight") > 0).then(share(pl.col("japanese_weight"), pl.col("told_weight")))


@measure(words=True)
def language_kind() -> pl.Expr:
    r"""Kind of text: `japanese`, `mixed` (Japanese with a quarter or more in another language, or the reverse), `romaji` or `other`.

    >>> measure_text("今日は天気がいい。", "language_kind"), measure_text("Kyou wa tenki ga ii desu.", "language_kind")
    ('japanese', 'romaji')
    >>> measure_text("The verb たべる means to eat, and its polite form is たべます.", "language_kind")
    'mixed'
    """
    return pl.col("language_kind")


@measure
def quality() -> pl.Expr:
    r"""How much of the text is prose that does not repeat itself, 0 to 1 in steps of 0.05: who survives among duplicates.

    >>> measure_text("猫である。", "quality")
    1.0
    >>> measure_text("猫である。\n猫である。", "quality")
    0.5
    >>> measure_text("会社案内", "quality")
    0.0
    """
    fresh = 1 - share(pl.col("n_duplicate_line_chars"), pl.col("n_line_chars"))
    steps = (_of_visible("n_prose") * fresh * 20).round()
    # In 64 bits: polars divides one row and multiplies many by the reciprocal, which in 32 bits gives different numbers.
    return (steps.cast(pl.Float64) / 20).cast(pl.Float32)
