"""Error rates: how far one text is from another in single edits, over columns, compiled.

Two alphabets: characters as they are written, and what readings sound like (`SOUND`), where long vowels are one whatever their
spelling (コウ コオ コー), and ヂ is ジ.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from filters.kernels import buffers, decode, jit

LONGEST = 5_000  # symbols that are compared of each text
_LONG = 0x30FC  # ー
_VOWELS = "アイウエオ"


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """For the 96 characters from U+30A0: what each sounds like, and its vowel, 0 to 4 (-1: none)."""
    sound = np.arange(0x30A0, 0x3100, dtype=np.int32)
    vowel = np.full(96, -1, np.int8)
    for number, row in enumerate(
        (
            "アカサタナハマヤラワガザダバパァャ",
            "イキシチニヒミリギジヂビピィ",
            "ウクスツヌフムユルグズヅブプゥュヴ",
            "エケセテネヘメレゲゼデベペェ",
            "オコソトノホモヨロヲゴゾドボポォョ",
        )
    ):
        for character in row:
            vowel[ord(character) - 0x30A0] = number
    for said, same in zip("ヂヅヲヴ", "ジズオブ", strict=True):
        sound[ord(said) - 0x30A0] = ord(same)
        vowel[ord(said) - 0x30A0] = vowel[ord(same) - 0x30A0]
    return sound, vowel


_SOUND, _VOWEL = _tables()
_VOWEL_CODES = np.array([ord(c) for c in _VOWELS], np.int32)


@jit
def _symbols(data, start, end, out, by_sound, sounds, vowels, vowel_codes):
    """Code points of UTF-8 text, at most LONGEST; by sound where asked. Returns their number."""
    count, last, at = 0, -1, start
    while at < end and count < len(out):
        code, at = decode(data, at)
        code = np.int32(code)
        if by_sound and 0x30A0 <= code < 0x3100:
            code = sounds[code - 0x30A0]
            # アア, オウ and エイ are long vowels, and so is whatever ー stands behind.
            longer = code == _LONG
            if last >= 0 and not longer:
                longer = (
                    code == vowel_codes[last]
                    or (last == 4 and code == vowel_codes[2])
                    or (last == 3 and code == vowel_codes[1])
                )
            if longer:
                code = np.int32(_LONG)
            else:
                last = vowels[code - 0x30A0]
        elif by_sound:
            last = -1
        out[count] = code
        count += 1
    return count


@jit
def _distance(a, n, b, m, row):
    """Levenshtein distance of a[:n] and b[:m]."""
    begin = 0
    while begin < n and begin < m and a[begin] == b[begin]:
        begin += 1
    while n > begin and m > begin and a[n - 1] == b[m - 1]:
        n -= 1
        m -= 1
    for j in range(begin, m + 1):
        row[j] = j - begin
    for i in range(begin, n):
        diagonal = row[begin]
        row[begin] = i + 1 - begin
        for j in range(begin, m):
            above = row[j + 1]
            row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a[i] != b[j]))
            diagonal = above
    return row[m]


@jit
def _rates(data_a, offsets_a, data_b, offsets_b, by_sound, sounds, vowels, vowel_codes):
    out = np.zeros(len(offsets_a) - 1, np.float32)
    a, b = np.empty(LONGEST, np.int32), np.empty(LONGEST, np.int32)
    row = np.empty(LONGEST + 1, np.int32)
    for i in range(len(out)):
        n = _symbols(data_a, offsets_a[i], offsets_a[i + 1], a, by_sound, sounds, vowels, vowel_codes)
        m = _symbols(data_b, offsets_b[i], offsets_b[i + 1], b, by_sound, sounds, vowels, vowel_codes)
        out[i] = _distance(a, n, b, m, row) / max(n, 1)
    return out


def error_rates(reference: pl.Series, other: pl.Series, *, by_sound: bool = False) -> pl.Series:
    """float32[n]: character error rate, edits over the reference's length; null where either text is null.

    `by_sound` is for katakana readings. Of every text the first 5,000 symbols count. A reference without any has the number of edits.
    """
    missing = reference.is_null() | other.is_null()
    found = _rates(*buffers(reference.fill_null("")), *buffers(other.fill_null("")), by_sound, _SOUND, _VOWEL, _VOWEL_CODES)
    return pl.Series("error_rate", found).set(missing, None)
