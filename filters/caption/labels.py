"""Labels of a caption: what names a thing without describing it. File names, tags, prices, part numbers, addresses, dates,
offers.

A caption that has words beside its labels is judged by these words, its *plain* text: 夕焼けの富士山 #富士山 #sunset is 夕焼けの富士山.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

from filters.text.phrases import phrases

# Patterns of normalised text. `(?-u:\b)` is a boundary of ASCII words: Japanese may follow without a space.
_EXTENSIONS = "(?:jpe?g|jpe|jfif|png|gif|webp|bmp|tiff?|svg|ico|heic|heif|avif|psd|eps|pdf|raw|nef|cr2|mp4|mov|avi)"
_CAMERA = (
    "_?dsc[nfp]?|_?img[pg]?|imag|image|cimg|sany|pict?|pxl|mvi|vid|gopr|hpim|kimg|rimg|photo|picture|screenshot|capture|scan"
)
_JAPANESE = r"\p{Han}\p{Hiragana}\p{Katakana}"
_UNITS = "(?:円|ドル|ユーロ|ウォン|ポンド|USD|JPY|EUR)"
_AMOUNT = r"[0-9][0-9,.]*(?:[万千百億][0-9]*[0-9,]*)*"
_TAX = r"(?: ?[(（](?:税込み?|税抜き?|税別|本体価格)[)）]|\+税|税込み?|税抜き?|税別)?"
_PRICE_OF = "(?:(?:(?:販売|通常|参考|特別|本体|希望小売|セール)?価格|定価|特価|売価|値段|税込み?|税抜き?) ?[:：]? ?)?"
PATTERNS = {
    "n_file_name_chars": "|".join(
        [
            # A name of Japanese words is a sentence with an ending: 夕日に染まる富士山.jpg.
            rf"(?i:(?:^|\s)[^\s{_JAPANESE}]+\.{_EXTENSIONS})(?:\s|$)",
            rf"(?i:[A-Za-z0-9_()+%~./-]+\.{_EXTENSIONS})(?-u:\b)",
            rf"(?-u:\b)(?i:{_CAMERA})[-_]?[0-9]{{2,}}[0-9_-]*(?-u:\b)",
            r"(?-u:\b)(?:IMG|DSC[NF]?|PXL|FB_IMG)[ _][0-9]{2,}[0-9_]*",
            r"(?-u:\b)(?i:image|img)[0-9](?-u:\b)",
            r"(?-u:\b)LINE_ALBUM_[^\s]*",
            r"(?-u:\b)P[0-9A-C][0-9]{6}(?-u:\b)",
            r"(?:スクリーンショット|スクショ|画面キャプチャ|キャプチャ|Screen ?[Ss]hot)[ _-]?\(?[0-9][0-9 ._:()-]*(?:at [0-9._:]+)?"
            rf"(?:(?i:{_EXTENSIONS})(?-u:\b))?",
            r"(?-u:\b)[0-9]{8}[_-][0-9]{4,}(?-u:\b)",
            r"(?-u:\b)[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?-u:\b)",
            r"(?-u:\b)[0-9A-Fa-f]{16,}(?-u:\b)",
        ]
    ),
    "n_hashtag_chars": r"[#♯][\p{N}_]*\p{L}[\p{L}\p{M}\p{N}_]*|(?:^|\s)@[A-Za-z0-9_][A-Za-z0-9_.]*",
    "n_price_chars": "|".join(
        [
            rf"{_PRICE_OF}[¥$€£] ?[0-9][0-9,]*(?:\.[0-9]+)?(?:{_UNITS})?-?{_TAX}",
            rf"{_PRICE_OF}{_AMOUNT} ?{_UNITS}{_TAX}",
        ]
    ),
    "n_part_number_chars": "|".join(
        [
            r"(?-u:\b)B0[0-9A-Z]{8}(?-u:\b)",
            r"(?-u:\b)[0-9]{12,14}(?-u:\b)",
            r"(?-u:\b)[A-Z0-9]*[A-Z][A-Z0-9]*(?:[-/][A-Z0-9]+)*[-/][A-Z]*[0-9][A-Z0-9]*(?:[-/][A-Z0-9]+)*(?-u:\b)",
            r"(?-u:\b)[A-Z]+[0-9]{2,}[A-Z0-9]*(?:[-/][A-Z0-9]+)*(?-u:\b)",
            r"(?-u:\b)[0-9]+[A-Z]+[0-9][A-Z0-9]*(?:[-/][A-Z0-9]+)*(?-u:\b)",
        ]
    ),
}
COUNTERS = (*PATTERNS, "n_label_chars")
LANGUAGE_COUNTERS = ("caption_language", "caption_language_score")  # of the plain text, by `filters.text.language`
# A day or a month says when, not what: 2021年3月4日(木) 10:30, 令和5年10月.
_YEAR = "(?:[0-9]{4}|(?:明治|大正|昭和|平成|令和) ?(?:[0-9]{1,2}|元))年(?:度)?"
_DAY = r"[0-9]{1,2}日(?: ?[(（][月火水木金土日](?:[・/]?祝)?[)）])?(?: ?[0-9]{1,2}[:時][0-9]{2}分?)?"
_DATES = rf"{_YEAR} ?[0-9]{{1,2}}月(?: ?{_DAY})?|[0-9]{{1,2}}月 ?{_DAY}"
_ADDRESSES = r"(?:https?://|(?-u:\b)www\.)[^\s]+"
# 100円玉, 1000円札, 100円ショップ: a noun that begins with an amount. What follows a price begins with one of the characters left out
# here: 税込, 送料, 引き, 割引, 以上, 相当, オフ, ポイント, クーポン, セール.
_COIN = rf"({_AMOUNT} ?)({_UNITS}[\p{{Han}}\p{{Katakana}}&&[^税送引割以未相程前後台代分也本弱強別抜均限オポクセ]])"
_SEAM = "\ue000"  # put between an amount and its unit, where it is no price: a code point for private use
# Eyes and a mouth in brackets, with or without arms: (^_^), ヽ(´▽`)ノ.
_FACE = "(?:[^()\\p{L}\\p{N}]|[ωдДツ])"
_KAOMOJI = rf"[ヽヾ٩]?\({_FACE}*[´`^▽∀ω≧≦°дД;_*・○●¯]{_FACE}*\)[ノゞシ۶/]?"
_ENDING = (
    rf"([{_JAPANESE}ー)）」』])[A-Za-z0-9_()+%~-]*\.(?i:{_EXTENSIONS})(\s|$)"  # an ending behind Japanese: 海-1024x683.jpg
)
_VISIBLE = r"[\s\p{C}]"
# Beside tags one word is a caption (猫 #ねこ); a hiragana or two are a particle. Beside other labels it takes two letters: 4901234567894円.
_WORD = r"[\p{L}&&[^\p{Hiragana}]]|\p{Hiragana}{3}"
_TWO_LETTERS = r"\p{L}[^\p{L}]*\p{L}"


_LABELS = "|".join([_ADDRESSES, _DATES, _KAOMOJI, *PATTERNS.values()])


@lru_cache(maxsize=1)
def _labels_and_offers() -> str:
    return "|".join([_LABELS, *(re.escape(phrase) for phrase in phrases("advertising"))])


class Plain(NamedTuple):
    """Captions without their labels, where words stand beside them."""

    captions: pl.Series
    label_chars: np.ndarray  # int32[n]: visible characters in labels, 0 where words stand beside them
    changed: pl.Series  # rows whose plain text is another than their caption


def remove_labels(captions: pl.Series) -> Plain:
    """Remove the labels of captions that have words beside them and beside offers; count them in the others."""
    label_chars = np.zeros(len(captions), np.int32)
    masked = _mask_coins(captions)
    rows = (masked.str.contains(_labels_and_offers()) | captions.str.contains(_ENDING)).arg_true()
    if not len(rows):
        return Plain(captions, label_chars, rows)
    named = pl.col("masked").str.replace_all(_ENDING, "$1$2")
    frame = pl.DataFrame({"masked": masked.gather(rows)}).select(
        named=named,
        plain=named.str.replace_all(_LABELS, " "),
        words=named.str.replace_all(_labels_and_offers(), " "),
        untagged=named.str.replace_all(PATTERNS["n_hashtag_chars"], " "),
    )
    has_only_tags = ~pl.col("untagged").str.contains(_labels_and_offers())
    is_described = pl.col("words").str.contains(_TWO_LETTERS) | (has_only_tags & pl.col("words").str.contains(_WORD))
    frame = frame.select(
        plain=pl.when(is_described).then("plain").otherwise("named").str.replace_all(_SEAM, "", literal=True),
        labels=pl.when(is_described).then(0).otherwise(_visible_chars("named") - _visible_chars("words")),
    )
    label_chars[rows.to_numpy()] = frame["labels"].to_numpy()
    return Plain(captions.scatter(rows, frame["plain"]), label_chars, rows)


def _mask_coins(captions: pl.Series) -> pl.Series:
    """Put a seam into amounts that are part of a noun, so that they match no pattern of prices."""
    return captions.str.replace_all(_COIN, rf"${{1}}{_SEAM}${{2}}")


def _visible_chars(column: str) -> pl.Expr:
    return pl.col(column).str.replace_all(_VISIBLE, "").str.len_chars().cast(pl.Int32)


def count_covered(captions: pl.Series, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """Count the visible characters that each of the `PATTERNS` named in `wanted` covers: int32[n] each."""
    counters = {}
    for name in PATTERNS.keys() & set(wanted):
        pattern = PATTERNS[name]
        column = _mask_coins(captions) if name == "n_price_chars" else captions
        covered = np.zeros(len(column), np.int32)
        rows = column.str.contains(pattern).arg_true()
        matches = column.gather(rows).str.extract_all(pattern).list.join("").str.replace_all(_VISIBLE, "")
        covered[rows.to_numpy()] = matches.str.len_chars().to_numpy()
        counters[name] = covered
    return counters
