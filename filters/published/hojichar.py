"""What HojiChar's document filters measure (0.18.1, `filters/document_filters.py`): of text in NFKC, as its DocumentNormalizer makes it.

Nouns and words are MeCab's with unidic-lite, its default. Everything else is expressions and one pass over characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
import polars as pl

from filters.kernels import buffers, jit, to_arrow
from filters.published.keywords import count_words, listed_words
from filters.published.ngrams import BASE, code_points, extend, make_buffers, occurrences
from filters.published.words import mecab_words

LOOKUP = 50  # characters at the beginning in which AcceptJapanese looks for kana
SHORT_LINE = 10  # characters of a line that is short to DiscardTooShortLines
REPEATED_SIZE = 5  # characters of an n-gram to CharRepetitionRatioFilter
REPEATED_WORDS = 7  # words of an n-gram to WordRepetitionRatioFilter
_KANA = "[ぁ-んァ-ン]"
# DiscardBBSComments: dates and what stands around comments.
FORUM = (
    r"\d{4}[年.\-/] *\d{1,2}[月.\-/] *\d{1,2}日*"
    r"|コメント|SOLD OUT|レビュー|投稿|ページ|\([月火水木金土日]\)|質問|\d+話|楽天市場|-"
)
# DiscardTooManySpecialToken, after BigScience's list: ASCII punctuation, spaces, signs, and emoji of one character.
_SPECIAL = (
    r"[!-/:-@\[-`{-~ \t\n\r\x0b\x0c\u00a0\u00ad\u180e\u2000-\u200f\u2028\u2029\u202f\u205f\u3000\ufeff\ufffc\ufffd"
    "’“–▬…✦£•€«»°·═×士＾˘⇓（）§″′´¿−±∈﻿¢ø‚„½¼¾¹²³―⁃，ˌ¸‹›ʺˈʻ¦⠀‰‑≤≥‖◆●■►▼▲▴∆▻¡★☆✱ːº。¯˜¥ɪ≈†：⁄♡✓⊕․．⋅÷１‟；،、"
    "¨ाাी्े◦˚゜ʼ≖¤℃√！？【】‿∞➤～πه۩☛₨➩☻๑٪♥ıॽ《‘©﴿٬？▷Г♫∟™ª₪®「—❖」﴾》"
    r"\p{Emoji_Presentation}\p{Extended_Pictographic}--\p{Cn}]"
)


@lru_cache(maxsize=1)
def english_words() -> str:
    """DiscardAdultContentEn: a word after a space, at the beginning or the end of the text, and before a space, a comma or a full stop."""
    words = "|".join(re.escape(word) for word in listed_words("hojichar-adult-english"))
    return rf"(?i)(?:^| )(?:{words})(?:[ ,.]|$)"


EXPRESSIONS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "n_hojichar_chars": lambda text: text.str.len_chars(),
    "n_hojichar_leading_kana": lambda text: text.str.head(LOOKUP).str.count_matches(_KANA),
    "n_hojichar_full_stops": lambda text: text.str.count_matches("。", literal=True),
    "n_hojichar_forum_marks": lambda text: text.str.count_matches(FORUM),
    "n_hojichar_ellipsis_lines": lambda text: text.str.count_matches(r"(\.{3}|…)\n"),
    "n_hojichar_newlines": lambda text: text.str.count_matches("\n", literal=True),
    "n_hojichar_short_lines": lambda text: text.str.count_matches(rf"(?m)^[^\n]{{0,{SHORT_LINE}}}$"),
    "n_hojichar_special": lambda text: text.str.count_matches(_SPECIAL),
    "n_hojichar_english_adult_words": lambda text: text.str.count_matches(english_words()),
}
LISTS = {
    "n_hojichar_adult_words": "hojichar-adult",
    "n_hojichar_discrimination_words": "hojichar-discrimination",
    "n_hojichar_violence_words": "hojichar-violence",
    "n_hojichar_advertising_words": "hojichar-advertising",
}
CHARACTER_COUNTERS = ("n_hojichar_longest_run", "n_hojichar_5grams", "n_hojichar_frequent_5grams")
WORD_COUNTERS = ("n_hojichar_words", "n_hojichar_nouns", "n_hojichar_7grams", "n_hojichar_repeated_7grams")
COUNTERS = (*EXPRESSIONS, *LISTS, *CHARACTER_COUNTERS, *WORD_COUNTERS)


@jit
def _count_characters(data, offsets):
    n = len(offsets) - 1
    out = np.zeros((n, len(CHARACTER_COUNTERS)), np.int32)
    codes, h, keys, counts = make_buffers(offsets, offsets[n])
    for d in range(n):
        m = code_points(data, offsets[d], offsets[d + 1], codes)
        run = 0
        for i in range(m):
            run = run + 1 if i and codes[i] == codes[i - 1] else 1
            out[d, 0] = max(out[d, 0], run)
        count = m - REPEATED_SIZE + 1
        if count < 1:
            continue
        for i in range(m):
            h[i] = np.uint64(codes[i] + 1)
        power = np.uint64(1)
        for size in range(2, REPEATED_SIZE + 1):
            power *= BASE
            extend(h, codes, m - size + 1, size, power)
        slots = occurrences(h, count, keys, counts)
        different = repeated = 0
        for s in range(slots):
            if counts[s]:
                counts[different] = counts[s]
                repeated += counts[s] > 1
                different += 1
        frequencies = np.sort(counts[:different])
        most = min(int(np.sqrt(different)), repeated)
        out[d, 1] = count
        out[d, 2] = frequencies[different - most :].sum()
    return out


def _count_mecab(texts: pl.Series) -> np.ndarray:
    out = np.zeros((len(texts), len(WORD_COUNTERS)), np.int32)
    for row, text in zip(out, texts, strict=True):
        ngrams: Counter[tuple[str, ...]] = Counter()
        for words in mecab_words(text):
            counted = [kind for _, kind in words if kind != "補助記号"]
            row[0] += len(counted)
            row[1] += counted.count("名詞")
            surfaces = [surface for surface, _ in words]
            ngrams.update(zip(*(surfaces[i:] for i in range(REPEATED_WORDS)), strict=False))
        row[2] = ngrams.total()
        row[3] = sum(times for times in ngrams.values() if times > 1)
    return out


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each. Words are cut only where they are needed."""
    names = set(wanted)
    texts = pl.Series("text", to_arrow(data, offsets)).str.normalize("NFKC")
    column = pl.col("text")
    expressions = [make(column).cast(pl.Int32).alias(name) for name, make in EXPRESSIONS.items() if name in names]
    counters = {name: values.to_numpy() for name, values in texts.to_frame().select(expressions).to_dict().items()}
    counters |= {name: count_words(texts, listed_words(listed)) for name, listed in LISTS.items() if name in names}
    if names & {*CHARACTER_COUNTERS}:
        matrix = _count_characters(*buffers(texts))
        counters |= {name: matrix[:, i] for i, name in enumerate(CHARACTER_COUNTERS)}
    if names & {*WORD_COUNTERS}:
        matrix = _count_mecab(texts)
        counters |= {name: matrix[:, i] for i, name in enumerate(WORD_COUNTERS)}
    return {name: values for name, values in counters.items() if name in names}
