"""Language of a caption: by its script, and where that is only Han, by its characters and words.

lid.176 is no judge of a few Han characters: of Japanese runs that Chinese could write as well it calls a quarter to a third
Chinese, of Chinese ones 40 % Japanese (docs/measures.md). It is asked only where neither kana nor Han prevail.

Tags, addresses and other labels beside words are left out (`filters.caption.labels`). Any kana make a caption Japanese, but for
a lone の among Chinese characters (鲜の每日) and a few kana in a text of another script. A caption of Han only is weighed.
Characters that only one side's national standard has (JIS X 0208; GB 2312 and Big5) weigh most. Each of the others has its log odds
in `lists/han.txt`; words of `lists/chinese.txt` are Chinese, those of `lists/japanese.txt` Japanese. Where nothing speaks for Chinese
the answer is Japanese, since the corpus is: 東京大学, 犬 and 山水画 could be either.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from filters import unicode as u
from filters.kernels import class_of, decode, jit, to_arrow
from filters.text.han import ONLY_CHINESE, ONLY_JAPANESE, STEP, han_tables
from filters.text.language import UNKNOWN, identify
from filters.text.phrases import phrases

COUNTERS = ("caption_language", "caption_language_score")

_PRIOR = -1.2  # log odds before any character is seen: the intercept of the regression behind lists/han.txt
_CHINESE_AT = (
    7  # steps of log odds: from here on, with the prior 2.3, the answer is Chinese; docs/measures.md has what that costs
)
_ONE_SIDED = 10  # a character that only one side's standard has: it weighs much, but not more than all others together
_FULL_STOP = 8  # a Japanese sentence has kana: Han that end with 。 are rarely one
_WORD = 8  # a word of lists/chinese.txt, or of lists/japanese.txt for the other side
_MOST = 40
# By math.exp, once: numpy's gives other last digits for one value than for many.
_PROBABILITY = np.array([1 / (1 + math.exp(-_PRIOR - STEP * k)) for k in range(-_MOST, _MOST + 1)], np.float32)
_KANA_TO_HAN = 0.15  # fewer kana among Chinese characters are a quotation, as in `filters.text.language`

# Columns of the kernel's output; `_KINDS` is 1 where there are different Han.
(_KANA, _NO, _HAN, _ONLY_JAPANESE, _ONLY_CHINESE, _WEIGHT, _LATIN, _LATIN_WORDS, _HANGUL, _OTHER, _STOP, _KINDS) = range(12)
_COLUMNS = 12


@jit
def _count_characters(data, offsets, classes, side, weight):
    n = len(offsets) - 1
    out = np.zeros((n, _COLUMNS), np.int32)
    for d in range(n):
        row = out[d]
        i, end = offsets[d], offsets[d + 1]
        previous = -1
        last: int = 0
        first_han: int = 0
        while i < end:
            cp, i = decode(data, i)
            k = class_of(classes, cp)
            if k == u.HIRAGANA or k == u.KATAKANA:
                row[_KANA] += 1
                row[_NO] += cp == 0x306E
            elif k == u.HAN:
                row[_HAN] += 1
                first_han = first_han or cp
                row[_KINDS] |= cp != first_han
                if cp < u.TABLE_SIZE:
                    row[_ONLY_JAPANESE] += side[cp] == ONLY_JAPANESE
                    row[_ONLY_CHINESE] += side[cp] == ONLY_CHINESE
                    row[_WEIGHT] += weight[cp]
            elif k == u.LATIN:
                row[_LATIN] += 1
                row[_LATIN_WORDS] += previous != u.LATIN
            elif k == u.HANGUL:
                row[_HANGUL] += 1
            elif k == u.OTHER:
                row[_OTHER] += 1
            if k != u.SPACE and k != u.CLOSING:
                last = cp
            previous = k
        row[_STOP] = last == 0x3002
    return out


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`caption_language` (object[n] of str) and `caption_language_score` (float32[n])."""
    counts = _count_characters(data, offsets, u.character_classes(), *han_tables()).T
    kana, han, latin_words, hangul = counts[_KANA], counts[_HAN], counts[_LATIN_WORDS], counts[_HANGUL]
    chinese = counts[_ONLY_CHINESE] - counts[_ONLY_JAPANESE]
    quotes_kana = (chinese > 0) & ((kana == counts[_NO]) | (kana < _KANA_TO_HAN * (kana + han)))
    is_kana_or_han = (kana + han > 0) & (kana + han >= latin_words) & (kana + han >= hangul) & (kana + han >= counts[_OTHER])
    language = np.full(len(offsets) - 1, "ja", dtype=object)
    score = np.ones(len(offsets) - 1, np.float32)

    only_han = np.flatnonzero(is_kana_or_han & ((kana == 0) | quotes_kana))
    steps = _chinese_steps(data, offsets, only_han, counts)
    chance = _PROBABILITY[steps + _MOST]
    language[only_han[steps >= _CHINESE_AT]] = "zh"
    score[only_han] = np.where(steps >= _CHINESE_AT, chance, 1 - chance)

    letters = kana + han + hangul + counts[_LATIN] + counts[_OTHER]
    is_korean = ~is_kana_or_han & (hangul > 0) & (hangul >= latin_words)
    language[is_korean] = "ko"
    language[letters == 0], score[letters == 0] = UNKNOWN, 0.0
    for d in np.flatnonzero(~is_kana_or_han & ~is_korean & (letters > 0)):
        language[d], score[d] = identify(data[offsets[d] : offsets[d + 1]].tobytes().decode())
        if language[d] == "ja" and kana[d] + han[d] == 0:  # lid.176 may say so of a word in capitals
            language[d], score[d] = UNKNOWN, 0.0
    return {"caption_language": language, "caption_language_score": score}


def _chinese_steps(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Log odds, less the prior, that captions of Han only are Chinese: int[rows] in steps, within ±_MOST."""
    side = counts[_ONLY_CHINESE][rows] - counts[_ONLY_JAPANESE][rows]
    captions = pl.Series("caption", to_arrow(data, offsets)).gather(rows)
    words = (captions.str.contains_any(list(phrases(name))).to_numpy().astype(np.int32) for name in ("chinese", "japanese"))
    chinese_words, japanese_words = words
    # One character has no context, however often it stands there: 犬 and 雪、雪、雪 stay with the prior.
    weight = np.where(counts[_KINDS][rows], counts[_WEIGHT][rows], 0)
    full_stop = _FULL_STOP * counts[_STOP][rows] * counts[_KINDS][rows]
    words_for_chinese = _WORD * (chinese_words - japanese_words)
    return np.clip(weight + _ONE_SIDED * side + words_for_chinese + full_stop, -_MOST, _MOST)
