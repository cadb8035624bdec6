"""Letters of a stretch of text by script: what `filters.text.language` judges documents, lines and captions by.

Kana that stand alone, as in faces, ヽ(´ー`)ノ, are counted apart: they are in every language.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, jit
from filters.text.han import ONLY_CHINESE, ONLY_JAPANESE, han_tables

LONGEST_FACE = 2  # katakana in a row, with nothing like a word around them, that belong to a face: ノ, ノシ

# Columns of the counts. `HIRAGANA` and `KATAKANA` leave out those of faces, `ALL_KANA` does not. `BESIDE` are hiragana beside letters,
# as particles and endings are, and words that are quoted are not. `SIGNS` are those of programs and addresses; `KINDS` is 1 where there
# are different Han, `STOP` where the last visible character but brackets is 。.
(
    HIRAGANA,
    KATAKANA,
    BESIDE,
    ALL_KANA,
    NO,
    HAN,
    KINDS,
    ONLY_JAPANESE_HAN,
    ONLY_CHINESE_HAN,
    WEIGHT,
    LATIN,
    LATIN_WORDS,
    HANGUL,
    OTHER,
    VISIBLE,
    SIGNS,
    STOP,
) = range(17)
COLUMNS = 17
SIGNS_OF_CODE = "{}[]<>=_|\\/;#$&*+@^~%`"
_SIGNS = np.zeros(128, np.bool_)
_SIGNS[[ord(c) for c in SIGNS_OF_CODE]] = True


@jit
def _count_scripts(data, starts, ends, classes, side, weight, signs):
    out = np.zeros((len(starts), COLUMNS), np.int32)
    for d in range(len(starts)):
        row = out[d]
        i, end = starts[d], ends[d]
        hiragana = katakana = 0  # of the run of kana that ends here
        after_word = False  # whether a word, or a number, stood before it
        is_word: Any = False
        is_arm: Any = False
        previous = np.uint8(u.SPACE)
        last: Any = 0
        first_han: Any = 0
        while i <= end:
            cp, k = np.int32(0), np.uint8(u.SPACE)
            if i < end:
                cp, i = decode(data, i)
                k = class_of(classes, cp)
            else:
                i += 1
            if k != u.SPACE and k != u.NEWLINE and k != u.CONTROL:
                row[VISIBLE] += 1
                if k != u.CLOSING:
                    last = cp
            if k == u.HIRAGANA or k == u.KATAKANA:
                if hiragana + katakana == 0:
                    after_word = is_word
                hiragana += k == u.HIRAGANA
                katakana += k == u.KATAKANA
                row[ALL_KANA] += 1
                row[NO] += cp == 0x306E
                is_arm = cp == 0x30FD or cp == 0x30FE  # ヽ and ヾ: of a face, whatever stands before it
                is_word = True
                previous = k
                continue
            is_word = k <= u.DIGIT or k == u.HANGUL
            if hiragana + katakana:
                is_alone = not is_word and (not after_word or is_arm)
                if not (is_alone and (hiragana + katakana == 1 or hiragana == 0 and katakana <= LONGEST_FACE)):
                    row[HIRAGANA] += hiragana
                    row[KATAKANA] += katakana
                    if is_word or after_word:
                        row[BESIDE] += hiragana
                hiragana = katakana = 0
            if k == u.LATIN:
                row[LATIN] += 1
                row[LATIN_WORDS] += previous != u.LATIN
            elif k == u.HAN:
                row[HAN] += 1
                first_han = first_han or cp
                row[KINDS] |= cp != first_han
                if cp < u.TABLE_SIZE:
                    row[ONLY_JAPANESE_HAN] += side[cp] == ONLY_JAPANESE
                    row[ONLY_CHINESE_HAN] += side[cp] == ONLY_CHINESE
                    row[WEIGHT] += weight[cp]
            elif k == u.HANGUL:
                row[HANGUL] += 1
            elif k == u.OTHER:
                row[OTHER] += 1
            elif cp < 128 and signs[cp]:
                row[SIGNS] += 1
            previous = k
        row[STOP] = last == 0x3002
    return out


def count_scripts(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """int32[`COLUMNS`, n]: the counts of the n stretches `data[starts[i]:ends[i]]`."""
    return _count_scripts(data, starts, ends, u.character_classes(), *han_tables(), _SIGNS).T
