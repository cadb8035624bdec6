"""Measures of other projects, as they define them, for presets that are compared with ours. They are computed only where a rule, a
preset or `measure.also` names them. `tests/filters/published` and `benchmarks/presets.py` hold them to the originals' decisions.

In the examples `measure_text` is `filters.measure_text`. A share of nothing is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import polars as pl

from filters.evidence import Evidence
from filters.expressions import share
from filters.published import gopher, hojichar, llmjp, swallow
from filters.published.evidence import show_guarded_words, show_pattern, show_words
from filters.registry import measure

_document = partial(measure, kind="document", on_request=True)


def _share_of(name: str, part: str | pl.Expr, whole: str | pl.Expr, description: str) -> None:
    """Register the measure `name`: `part` over `whole`."""

    def function() -> pl.Expr:
        return share(_column(part), _column(whole))

    _register(name, function, description)


def _counter(name: str, counter: str, description: str, evidence: Evidence | None = None) -> None:
    """Register the measure `name`: a counter as it is."""
    _register(name, lambda: pl.col(counter), description, evidence)


def _register(name: str, function: Callable[[], pl.Expr], description: str, evidence: Evidence | None = None) -> None:
    function.__name__, function.__doc__ = name, description
    _document(function, evidence=evidence)


def _column(value: str | pl.Expr) -> pl.Expr:
    return pl.col(value) if isinstance(value, str) else value


# -- Swallow Corpus v1: of all letters, spaces and line ends among them


_SWALLOW_LETTERS = pl.sum_horizontal("n_swallow_hiragana", "n_swallow_katakana", "n_swallow_kanji", "n_swallow_marks")


@_document
def swallow_japanese_letters() -> pl.Expr:
    """Swallow: hiragana, katakana (without ー), kanji, and 、，。．！？.

    >>> measure_text("スープ、どうぞ。", "swallow_japanese_letters")
    7
    """
    return _SWALLOW_LETTERS


_share_of("swallow_japanese_share", _SWALLOW_LETTERS, "n_chars", "Swallow: share of Japanese letters among all characters.")
_share_of(
    "swallow_hiragana_share", "n_swallow_hiragana", _SWALLOW_LETTERS, "Swallow: share of hiragana among Japanese letters."
)
_share_of(
    "swallow_katakana_share", "n_swallow_katakana", _SWALLOW_LETTERS, "Swallow: share of katakana among Japanese letters."
)


@_document
def swallow_mean_sentence_length() -> pl.Expr:
    """Swallow: mean characters of sentences, which end with one of 。．！？!? or with the line.

    >>> measure_text("猫。犬である。", "swallow_mean_sentence_length")
    3.5
    """
    return share(pl.col("n_swallow_sentence_chars"), pl.col("n_swallow_sentences"))


_counter("swallow_longest_sentence", "n_swallow_longest_sentence", "Swallow: characters of the longest sentence.")
_share_of(
    "swallow_ellipsis_sentence_share",
    "n_swallow_ellipses",
    "n_swallow_sentences",
    "Swallow: share of sentences that end with … or ・.",
)


@_document
def swallow_repeated_line_share() -> pl.Expr:
    r"""Swallow: share of lines, empty ones among them, that stood in the document before.

    >>> measure_text("猫。\n\n犬。\n", "swallow_repeated_line_share")
    0.25
    """
    return share(pl.col("n_swallow_repeated_paragraphs"), pl.col("n_swallow_paragraphs"))


_share_of(
    "swallow_repeated_line_char_share",
    "n_swallow_repeated_paragraph_chars",
    "n_swallow_sentence_chars",
    "Swallow: share of characters in lines that stood in the document before.",
)
_share_of(
    "swallow_repeated_sentence_share",
    "n_swallow_repeated_sentences",
    "n_swallow_sentences",
    "Swallow: share of sentences that stood in the document before.",
)
_share_of(
    "swallow_repeated_sentence_char_share",
    "n_swallow_repeated_sentence_chars",
    "n_swallow_sentence_chars",
    "Swallow: share of characters in sentences that stood in the document before.",
)
for _size in swallow.TOP_SIZES:
    _share_of(
        f"swallow_top_{_size}gram_share",
        f"n_swallow_top_{_size}gram",
        f"n_swallow_{_size}grams",
        f"Swallow: occurrences of the most frequent sequence of {_size} characters, as a share of all sequences.",
    )
for _size in swallow.REPEATED_SIZES:
    _share_of(
        f"swallow_repeated_{_size}gram_share",
        f"n_swallow_repeated_{_size}grams",
        f"n_swallow_distinct_{_size}grams",
        f"Swallow: share of the different sequences of {_size} characters that come more than once.",
    )


# -- Gopher and FineWeb, as datatrove computes them for FineWeb-2: over Sudachi's short units


@_document
def gopher_words() -> pl.Expr:
    """Gopher: words (Sudachi's short units) that are more than signs.

    >>> measure_text("猫が、いる。", "gopher_words")
    3
    """
    return pl.col("n_gopher_plain_words")


_share_of(
    "gopher_mean_word_length",
    "n_gopher_plain_word_chars",
    "n_gopher_plain_words",
    "Gopher: mean characters of words that are more than signs.",
)
_share_of(
    "gopher_duplicate_line_share",
    "n_gopher_duplicate_lines",
    "n_gopher_written_lines",
    "Gopher: share of lines that stood in the document before, spaces and all.",
)
_share_of("gopher_hashes_per_word", "n_gopher_hashes", "n_gopher_words", "Gopher: signs # for every word.")
_share_of("gopher_ellipses_per_word", "n_gopher_ellipses", "n_gopher_words", "Gopher: ellipses (... and …) for every word.")
_share_of(
    "gopher_bullet_line_share", "n_gopher_bullet_lines", "n_gopher_lines", "Gopher: share of lines that begin with • or -."
)
_share_of(
    "gopher_ellipsis_line_share", "n_gopher_ellipsis_lines", "n_gopher_lines", "Gopher: share of lines that end with ... or …."
)
_share_of(
    "gopher_letter_word_share", "n_gopher_letter_words", "n_gopher_words", "Gopher: share of words with a letter in them."
)
_counter(
    "gopher_stop_words", "n_gopher_stop_words", "Gopher: different stop words of FineWeb-2 (のにをはたてがとで年し・月れさ)."
)
for _size in gopher.TOP_SIZES:
    _share_of(
        f"gopher_top_{_size}gram_share",
        f"n_gopher_top_{_size}gram",
        "n_chars",
        f"Gopher: share of characters taken by the most frequent sequence of {_size} words.",
    )
for _size in gopher.REPEATED_SIZES:
    _share_of(
        f"gopher_duplicate_{_size}gram_share",
        f"n_gopher_duplicate_{_size}gram",
        "n_chars",
        f"Gopher: share of characters in sequences of {_size} words that stood in the document before.",
    )


@_document
def fineweb_ended_line_share() -> pl.Expr:
    r"""FineWeb: share of lines whose last character ends a sentence (Unicode's property Sentence_Terminal).

    >>> measure_text("会社案内\n「猫である。」\n猫である。\n犬。", "fineweb_ended_line_share")
    0.5
    """
    return share(pl.col("n_gopher_ended_lines"), pl.col("n_gopher_filled_lines"))


_share_of(
    "fineweb_duplicate_line_char_share",
    "n_gopher_duplicate_line_chars",
    "n_gopher_line_chars",
    "FineWeb: share of characters in lines that stood in the document before, spaces and all.",
)
_share_of("fineweb_newlines_per_word", "n_gopher_newlines", "n_gopher_words", "FineWeb: line ends for every word.")


# -- HojiChar: of text in NFKC


_counter("hojichar_chars", "n_hojichar_chars", "HojiChar: characters in NFKC.")
_counter("hojichar_leading_kana", "n_hojichar_leading_kana", "HojiChar: kana among the first 50 characters.")


@_document
def hojichar_full_stop_share() -> pl.Expr:
    """HojiChar: share of 。 among all characters.

    >>> measure_text("猫。犬。", "hojichar_full_stop_share")
    0.5
    """
    return share(pl.col("n_hojichar_full_stops"), pl.col("n_hojichar_chars"))


_counter(
    "hojichar_advertising_words",
    "n_hojichar_advertising_words",
    "HojiChar: words of its list of advertising.",
    evidence=show_words("hojichar-advertising", in_nfkc=True),
)
_counter(
    "hojichar_forum_marks",
    "n_hojichar_forum_marks",
    "HojiChar: dates, hyphens and words of forums and shops (コメント, 投稿, レビュー …).",
    evidence=show_pattern(hojichar.FORUM, in_nfkc=True),
)
_counter(
    "hojichar_adult_words",
    "n_hojichar_adult_words",
    "HojiChar: words of its list of adult content, in other words too.",
    evidence=show_words("hojichar-adult", in_nfkc=True),
)
_counter(
    "hojichar_english_adult_words",
    "n_hojichar_english_adult_words",
    "HojiChar: words of its English list of adult content.",
    evidence=lambda text: show_pattern(hojichar.english_words(), in_nfkc=True)(text),
)
_counter(
    "hojichar_discrimination_words",
    "n_hojichar_discrimination_words",
    "HojiChar: words of its list of discrimination.",
    evidence=show_words("hojichar-discrimination", in_nfkc=True),
)
_counter(
    "hojichar_violence_words",
    "n_hojichar_violence_words",
    "HojiChar: words of its list of violence (死 is one).",
    evidence=show_words("hojichar-violence", in_nfkc=True),
)


@_document
def hojichar_frequent_5gram_share() -> pl.Expr:
    """HojiChar: share of the most frequent sequences of 5 characters, as many as the root of the number of different ones."""
    return share(pl.col("n_hojichar_frequent_5grams"), pl.col("n_hojichar_5grams"))


_counter("hojichar_longest_run", "n_hojichar_longest_run", "HojiChar: length of the longest run of one character.")
_share_of(
    "hojichar_ellipsis_line_share",
    "n_hojichar_ellipsis_lines",
    pl.max_horizontal("n_hojichar_newlines", pl.lit(1, pl.Int32)),
    "HojiChar: line ends after ... or …, as a share of all line ends.",
)
_share_of(
    "hojichar_short_line_share",
    "n_hojichar_short_lines",
    pl.col("n_hojichar_newlines") + 1,
    "HojiChar: share of lines of at most 10 characters, empty ones among them.",
)
_share_of("hojichar_special_share", "n_hojichar_special", "n_hojichar_chars", "HojiChar: share of signs, spaces and emoji.")
_share_of(
    "hojichar_noun_share", "n_hojichar_nouns", "n_hojichar_words", "HojiChar: share of nouns among words (MeCab, unidic-lite)."
)
_share_of(
    "hojichar_repeated_7gram_share",
    "n_hojichar_repeated_7grams",
    "n_hojichar_7grams",
    "HojiChar: share of sequences of 7 words that come more than once.",
)


# -- llm-jp-corpus v1: of text as it is


_counter("llmjp_leading_kana", "n_llmjp_leading_kana", "llm-jp: kana among the first 50 characters.")
_counter(
    "llmjp_advertising_words",
    "n_llmjp_advertising_words",
    "llm-jp: words of HojiChar's list of advertising.",
    evidence=show_words("hojichar-advertising"),
)
_counter(
    "llmjp_adult_words",
    "n_llmjp_adult_words",
    "llm-jp: words of its list of adult content; of katakana, whole ones.",
    evidence=show_guarded_words("hojichar-adult", llmjp.LEFT_OUT["adult"]),
)
_counter(
    "llmjp_discrimination_words",
    "n_llmjp_discrimination_words",
    "llm-jp: words of its list of discrimination; of katakana, whole ones.",
    evidence=show_guarded_words("hojichar-discrimination", llmjp.LEFT_OUT["discrimination"]),
)
_counter(
    "llmjp_violence_words",
    "n_llmjp_violence_words",
    "llm-jp: words of its list of violence; of katakana, whole ones.",
    evidence=show_guarded_words("hojichar-violence", llmjp.LEFT_OUT["violence"]),
)
_share_of("llmjp_full_stop_share", "n_llmjp_full_stops", "n_chars", "llm-jp: share of 。 among all characters.")


@_document
def llmjp_deflate_ratio() -> pl.Expr:
    """llm-jp: bytes of the text deflated (zlib, level 9) over bytes of the text.

    >>> measure_text("猫である。" * 60, "llmjp_deflate_ratio") < 0.1
    True
    """
    return share(pl.col("n_llmjp_deflated_bytes"), pl.col("n_llmjp_bytes"))
