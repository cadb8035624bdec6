"""Error rates: how many single edits make one text another, over columns.

Texts are compared by their characters, or readings by their sounds. Sounds spell long vowels in one way (コウ コオ コー are
コー), and ヂ is ジ.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

LONGEST = 5_000  # characters that are compared of each text

SAME_SOUND = str.maketrans("ヂヅヲヴ", "ジズオブ")
# Kana by their vowel, and what makes that vowel long after them.
_LONG_VOWELS = {
    "アカサタナハマヤラワガザダバパァャ": "アー",
    "イキシチニヒミリギジビピィ": "イー",
    "ウクスツヌフムユルグズブプゥュ": "ウー",
    "エケセテネヘメレゲゼデベペェ": "エイー",
    "オコソトノホモヨロゴゾドボポォョ": "オウー",
}
# Of foreign words: ヴェネツィア ベネチア, ウィスキー ウイスキー.
_FOREIGN = {
    "ヴァ": "バ", "ヴィ": "ビ", "ヴェ": "ベ", "ヴォ": "ボ", "ヴュ": "ビュ", "ウィ": "ウイ", "ウェ": "ウエ", "ウォ": "ウオ", "ツィ": "チ",
}  # fmt: skip
_FOREIGN_SOUND = re.compile("|".join(_FOREIGN))
VOWEL = {kana: long for row, long in _LONG_VOWELS.items() for kana in row}
_LONG_VOWEL = re.compile("|".join(f"[{kana}][{long}]+" for kana, long in _LONG_VOWELS.items()))


def is_long(kana: str, vowel: str) -> bool:
    """True where `kana` makes a vowel before it long. `vowel` is of `VOWEL`, or "" after what has none."""
    return kana in vowel


def unite_spellings(reading: str) -> str:
    """A katakana reading in which what sounds alike is spelled alike: ヂ as ジ, ヴェ as ベ."""
    if "ヴ" in reading or "ウ" in reading or "ツ" in reading:
        reading = _FOREIGN_SOUND.sub(lambda kana: _FOREIGN[kana[0]], reading)
    return reading.translate(SAME_SOUND)


def _sounds(reading: str) -> str:
    """A katakana reading by its sounds."""
    return _LONG_VOWEL.sub(lambda kana: kana[0][0] + "ー" * (len(kana[0]) - 1), unite_spellings(reading))


def _symbols(texts: pl.Series, by_sound: bool) -> list[str]:
    """What is compared of each text; nothing of null."""
    symbols = texts.fill_null("").str.head(LONGEST).to_list()
    return [_sounds(text) for text in symbols] if by_sound else symbols


def error_rates(reference: pl.Series, other: pl.Series, *, by_sound: bool = False) -> pl.Series:
    """float32[n]: character error rate, edits over the reference's length; null where either text is null.

    `by_sound` is for katakana readings. The first 5,000 characters of each text count. For an empty reference it is the number
    of edits.
    """
    references, others = _symbols(reference, by_sound), _symbols(other, by_sound)
    edits = cpdist(references, others, scorer=Levenshtein.distance, dtype=np.int64)
    lengths = np.array([len(text) for text in references], np.int64)
    rates = pl.Series("error_rate", (edits / np.maximum(lengths, 1)).astype(np.float32))
    return rates.set(reference.is_null() | other.is_null(), None)
