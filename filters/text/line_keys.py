"""The key of a line: what is left of it without spaces, brackets, bullets and the value of numbers, in lower case."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, inline, jit, jit_helper

KEY = 64  # codes of the longest key
# Codes of keys that stand for no character. U+0000 to U+001F do not occur in cleaned lines.
YEAR, NUMBER, COUNT, COPYRIGHT = range(1, 5)
IN_CONTEXT, IGNORED = 0, 0xFFFF  # in `letter_codes`
BAR, MORE, COLON = 0x7C, 0x3E, 0x3A  # | > : between words


@inline
def _is_weekday(cp):
    return cp in (0x65E5, 0x6708, 0x706B, 0x6C34, 0x6728, 0x91D1, 0x571F, 0x795D)  # 日月火水木金土祝


@inline
def _half_width(cp):
    return cp - 0xFEE0 if 0xFF01 <= cp <= 0xFF5E else cp


@inline
def _append(codes, m, pending, code):
    """Write a code, after the one that is pending between words; return how many there are then, or -1 where there is no room."""
    if pending and m > 0:
        if m == len(codes):
            return -1
        codes[m] = pending
        m += 1
    if m == len(codes):
        return -1
    codes[m] = code
    return m + 1


@jit_helper
def fold_line(data, start, end, classes, codes, spaces):
    """Fill `codes` with the key of the line `data[start:end]`; return its length, or -1 where `codes` is too short.

    Letters and kana stay, Latin ones in lower case. A number is one code, a year (1900 to 2099) another, a number in brackets a third;
    points, strokes and colons within a number are points. | / > and : stay between words. 「」、。 stay, since prose has them; other
    signs, brackets, weekdays in brackets and spaces go. With `spaces` these are | too.
    """
    m = 0
    pending = 0
    i = start
    while i < end:
        cp, j = decode(data, i)
        cp = _half_width(cp)
        k = class_of(classes, cp)
        if k == u.DIGIT:
            size, first, second = 0, cp, np.int32(0)
            bracketed = (
                m > 0 and i > start and (data[i - 1] == 40 or data[i - 1] == 0x88 and i > start + 2 and data[i - 3] == 0xEF)
            )
            while True:
                size += 1
                second = cp if size == 2 else second
                i = j
                if i >= end:
                    break
                cp, j = decode(data, i)
                cp = _half_width(cp)
                if cp == 44 and j < end and 48 <= data[j] <= 57:  # 1,000
                    cp, j = decode(data, j)
                if class_of(classes, cp) != u.DIGIT:
                    break
            code = YEAR if size == 4 and (first == 49 and second == 57 or first == 50 and second == 48) else NUMBER
            if bracketed and i < end and (cp == 41 or cp == 0x4EF6):  # (14) or (14件)
                code = COUNT
            if m > 0 and YEAR <= codes[m - 1] <= NUMBER and pending == 0 and code != COUNT:
                continue
            m = _append(codes, m, pending, code)
            if m < 0:
                return -1
            pending = 0
            # A point, stroke, hyphen or colon before another digit belongs to the number.
            if i < end and (cp == 46 or cp == 47 or cp == 45 or cp == 58) and j < end and 48 <= data[j] <= 57:
                if m == len(codes):
                    return -1
                codes[m] = 46
                m += 1
                i = j
            continue
        if k == u.SPACE:
            if spaces and pending == 0:
                pending = BAR
            i = j
            continue
        if cp == 40 or cp == 0x300A or cp == 91:  # ( and [: a weekday or a C in them is one thing
            inner, after = np.int32(0), end
            if j < end:
                inner, after = decode(data, j)
            if after < end and (inner | 0x20) == 99 and _half_width(decode(data, after)[0]) == 41:
                if m == len(codes):
                    return -1
                codes[m] = COPYRIGHT
                m += 1
                pending = 0
                i = after + 1
                continue
            if after < end and _is_weekday(inner):
                closing, last = decode(data, after)
                while last < end and (closing == 0x66DC or closing == 0x65E5 or closing == 0x30FB or _is_weekday(closing)):
                    closing, last = decode(data, last)
                if _half_width(closing) == 41 or closing == 93:
                    i = last
                    continue
        if cp == 0xA9:
            if m == len(codes):
                return -1
            codes[m] = COPYRIGHT
            m += 1
            pending = 0
            i = j
            continue
        if cp == 0x7C or cp == 0x2F or cp == 0x2502 or cp == 0x2503:
            pending = BAR
        elif cp == 0x3E or cp == 0xBB or cp == 0x203A or cp == 0x226B or cp == 0x300B or cp == 0x25B6 or cp == 0x2192:
            pending = MORE
        elif cp == 0x3A:
            pending = COLON
        elif (
            k == u.OTHER
            or u.HIRAGANA <= k <= u.LATIN
            or k == u.HANGUL
            or cp == 0x3002
            or cp == 0x3001
            or 0x300C <= cp <= 0x300F
            or cp == 0x40
            or cp == 0x25
            or cp == 0xA5
            or cp == 0x3012  # 〒
        ):
            m = _append(codes, m, pending, cp | 0x20 if 65 <= cp <= 90 else cp)
            if m < 0:
                return -1
            pending = 0
        i = j
    return m


@jit
def _fold_characters(data, offsets, classes):
    """Return `letter_codes`, made by folding every character alone, and between two letters, as `data` has it."""
    out = np.full(0x10000, IN_CONTEXT, np.uint16)
    codes = np.empty(8, np.int32)
    for cp in range(0x10000):
        start, end = offsets[cp], offsets[cp + 1]
        m = fold_line(data, start + 1, end - 1, classes, codes, False)
        if m == 1 and codes[0] > COPYRIGHT:
            out[cp] = codes[0]
        elif m == 0 and not _is_bracket(_half_width(cp)) and fold_line(data, start, end, classes, codes, False) == 2:
            out[cp] = IGNORED
    return out


@inline
def _is_bracket(cp):
    """Whether a weekday or a C may stand in it: ( ) [ ] and the double angle bracket."""
    return cp == 40 or cp == 41 or cp == 91 or cp == 93 or cp == 0x300A


@lru_cache(maxsize=1)
def letter_codes() -> np.ndarray:
    """Return uint16[65536]: the codes of characters that are one code wherever they stand, as letters are.

    `IGNORED` of those that are none, as spaces are, and `IN_CONTEXT` of the others: numbers, brackets, and what stands between words.
    """
    between_letters = [f"a{chr(cp)}a".encode("utf-8", "surrogatepass") for cp in range(0x10000)]
    offsets = np.cumsum([0, *map(len, between_letters)])
    return np.asarray(_fold_characters(np.frombuffer(b"".join(between_letters), np.uint8), offsets, u.character_classes()))


@jit_helper
def first_letters(data, start, end, letters, codes):
    """Fill `codes` with the first codes of a line's key, and return True; False where they have to be folded, or are too few."""
    i, m = start, 0
    while i < end:
        cp, i = decode(data, i)
        code = letters[cp] if cp < 0x10000 else np.uint16(IN_CONTEXT)
        if code == IN_CONTEXT:
            return False
        if code != IGNORED:
            codes[m] = code
            m += 1
            if m == len(codes):
                return True
    return False


@jit_helper
def last_letters(data, start, end, letters, codes):
    """As `first_letters`, of the last codes, in the order of the line. `start` may lie within a character, which is left out."""
    i, m = end, len(codes)
    while i > start:
        i -= 1
        if (data[i] & 0xC0) == 0x80:
            continue
        cp, _ = decode(data, i)
        code = letters[cp] if cp < 0x10000 else np.uint16(IN_CONTEXT)
        if code == IN_CONTEXT:
            return False
        if code != IGNORED:
            m -= 1
            codes[m] = code
            if m == 0:
                return True
    return False
