"""The measures that only captions and alt texts of images have, beside those of `filters.text.measures`.

Captions are one line: the step measure undoes HTML entities and makes one space of every run of white space.
"""

from __future__ import annotations

import polars as pl

from filters.expressions import share
from filters.registry import measure


def _of_visible(name: str) -> pl.Expr:
    # Where Python and polars follow different versions of Unicode they may disagree on what is visible.
    return share(pl.min_horizontal(name, "n_visible"), pl.col("n_visible"))


@measure(kind="caption", words=True)
def caption_language() -> pl.Expr:
    """Language of a short text: ISO 639 code, by script; by which Han characters and words where there are no kana.

    >>> measure_text("東京タワー", "caption_language")
    'ja'
    >>> measure_text("上海外滩", "caption_language")
    'zh'
    """
    return pl.col("caption_language")


@measure(kind="caption")
def caption_language_score() -> pl.Expr:
    """How sure that is, 0 to 1: 1 where script settles it, else a probability."""
    return pl.col("caption_language_score")


@measure(kind="caption")
def navigation_share() -> pl.Expr:
    """Share of letters in parts that are a phrase of the list `navigation` (戻る, 画像1, 「次へ」, No Image): 1 where nothing else is.

    Labels beside words are left out.

    >>> measure_text("戻る 画像1", "navigation_share")
    1.0
    """
    return share(pl.col("n_navigation_chars"), pl.col("n_plain_letters"))


@measure(kind="caption")
def file_name_share() -> pl.Expr:
    """Share of characters in file names (DSC_0123.JPG, IMG-2034, スクリーンショット 2020-01-01 10.00.00, long hexadecimal numbers)."""
    return _of_visible("n_file_name_chars")


@measure(kind="caption")
def hashtag_share() -> pl.Expr:
    """Share of characters in tags and mentions (#タグ, @name).

    >>> measure_text("猫です #ねこ", "hashtag_share")
    0.5
    """
    return _of_visible("n_hashtag_chars")


@measure(kind="caption")
def price_share() -> pl.Expr:
    """Share of characters in prices (¥1,980, 1,980円(税込), $12.99).

    >>> measure_text("猫缶 ¥1,980", "price_share")
    0.75
    """
    return _of_visible("n_price_chars")


@measure(kind="caption")
def part_number_share() -> pl.Expr:
    """Share of characters in part and article numbers (ABC-1234-56, B00ABCDEFG, 4901234567894)."""
    return _of_visible("n_part_number_chars")


@measure(kind="caption")
def label_share() -> pl.Expr:
    """Share of characters in labels: file names, tags, prices, part numbers, addresses, dates, offers. 0 where words stand beside them.

    >>> measure_text("猫缶 ¥1,980", "label_share")
    0.0
    >>> measure_text("激安！！ 198円", "label_share")
    0.75
    """
    return _of_visible("n_label_chars")


@measure(kind="caption")
def repeated_word_share() -> pl.Expr:
    """Share of words that stood in the caption before. A word is a run of one script; numbers and up to two hiragana are none.

    0 where there are at most three words: 雪、雪、雪.

    >>> measure_text("猫 写真 猫 写真", "repeated_word_share")
    0.5
    """
    return share(pl.col("n_repeated_words"), pl.col("n_words"))


@measure(kind="caption")
def spaced_words() -> pl.Expr:
    """Words as spaces divide them: what tools made for English count.

    >>> measure_text("free cat photo", "spaced_words")
    3
    """
    return pl.col("n_spaced_words")


@measure(kind="caption")
def emoji() -> pl.Expr:
    """Number of emoji; a family, a flag or a skin tone is one.

    >>> measure_text("👨‍👩‍👧🇯🇵👍🏽", "emoji")
    3
    """
    return pl.col("n_emoji")


@measure(kind="caption")
def emoji_share() -> pl.Expr:
    """Emoji for every letter or emoji, labels left out of the letters: 1 where there are no letters.

    >>> measure_text("🍣寿司🍣", "emoji_share")
    0.5
    """
    return share(pl.col("n_emoji"), pl.col("n_emoji") + pl.col("n_plain_letters"))


@measure(kind="caption")
def ornament_share() -> pl.Expr:
    """Share of symbols that are no emoji (★ ■ ♪ =).

    >>> measure_text("☆七夕☆", "ornament_share")
    0.5
    """
    return _of_visible("n_ornaments")
