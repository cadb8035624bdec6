"""Tables over Unicode code points that the compiled kernels look characters up in.

* `character_classes()`: one small integer per code point (`HIRAGANA`, `HAN`, `SPACE` ...).
* `make_mapping`: a table of what characters become, when text is cleaned (`filters.text.changes`) or compared (`filters.text.signs`).
* `fold_letters`, of one character: what it becomes in the key that duplicates are compared by.

The tables come from Python's own `unicodedata`, so they follow the interpreter's Unicode version.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Planes 0 and 1 are tabulated; above them lie rare Han (planes 2 and 3) and format characters.
TABLE_SIZE = 0x20000

(
    OTHER,  # letters of scripts not named below
    HIRAGANA,
    KATAKANA,
    HAN,
    LATIN,
    DIGIT,
    SPACE,
    NEWLINE,
    SENTENCE_END,  # 。！？!? and their kin; "." and "．" are judged in context by the kernel
    PUNCTUATION,
    SYMBOL,
    HANGUL,
    CONTROL,
    MARK,
    CLOSING,  # 」』） …: may follow a sentence end and belongs to it
    ELLIPSIS,
) = range(16)
CLASS_COUNT = 16

_SENTENCE_ENDS = set("。！？!?｡‼⁇⁈⁉")
_SPACES = set("\t\r\u3000\u00a0\u1680\u202f\u205f ") | {chr(c) for c in range(0x2000, 0x200B)}

REMOVE = -1  # table value: the character is dropped
MARK_DAKUTEN = 0x3099
MARK_HANDAKUTEN = 0x309A


class Mapping(NamedTuple):
    """A character mapping for compiled code.

    `first[cp]` is the code point that `cp` becomes, `REMOVE`, or `-2 - i` for the i-th expansion, whose code points are
    `expansions[starts[i]:starts[i + 1]]`. `kind[cp]` is 0 where nothing at all is to be done (the common case), else 1, unless the
    table's maker tells more kinds apart.
    """

    first: np.ndarray  # int32[TABLE_SIZE]
    starts: np.ndarray  # int32[n + 1]
    expansions: np.ndarray  # int32[*]
    kind: np.ndarray  # uint8[TABLE_SIZE]


def _class_of(c: str) -> int:
    cp = ord(c)
    if c == "\n":
        return NEWLINE
    if c in _SPACES:
        return SPACE
    if c in _SENTENCE_ENDS:
        return SENTENCE_END
    if c in "…‥⋯":
        return ELLIPSIS
    if c in "々〆〇ヶ仝〻":
        return KATAKANA if c == "ヶ" else HAN
    if 0x3041 <= cp <= 0x3096 or 0x309D <= cp <= 0x309F or 0x1B001 <= cp <= 0x1B11F:
        return HIRAGANA
    if 0x30A1 <= cp <= 0x30FA or 0x30FC <= cp <= 0x30FF or 0x31F0 <= cp <= 0x31FF or 0xFF66 <= cp <= 0xFF9D or cp == 0x1B000:
        return KATAKANA
    if 0x3400 <= cp <= 0x4DBF or 0x4E00 <= cp <= 0x9FFF or 0xF900 <= cp <= 0xFAFF or 0x2E80 <= cp <= 0x2FDF:
        return HAN
    if 0xAC00 <= cp <= 0xD7A3 or 0x1100 <= cp <= 0x11FF or 0x3130 <= cp <= 0x318F or 0xFFA0 <= cp <= 0xFFDC:
        return HANGUL
    category = unicodedata.category(c)
    if category[0] == "L":
        return LATIN if cp < 0x250 or 0x1E00 <= cp < 0x1F00 or 0xFF21 <= cp <= 0xFF5A else OTHER
    if category == "Nd":
        return DIGIT
    if category[0] == "N":
        return SYMBOL
    if category[0] == "M":
        return MARK
    if category in ("Pe", "Pf") or c in "\"'":
        return CLOSING
    if category[0] == "P":
        return PUNCTUATION
    if category[0] == "S":
        return SYMBOL
    if category[0] == "Z":
        return SPACE
    return CONTROL


@lru_cache(maxsize=1)
def character_classes() -> np.ndarray:
    """Class of every code point below `TABLE_SIZE`, as uint8; what lies above is Han (planes 2 and 3) or `CONTROL`."""
    return np.fromiter((_class_of(chr(cp)) for cp in range(TABLE_SIZE)), np.uint8, TABLE_SIZE)


def fold_letters(c: str) -> str:
    """Return the letters and digits in a character: NFKC, lower case. No voicing mark is lost (か ≠ が), kana are not folded (か ≠ カ)."""
    out = []
    for x in unicodedata.normalize("NFKC", c).lower():
        if 0xFE00 <= ord(x) <= 0xFE0F:  # variation selectors: marks by category
            continue
        category = unicodedata.category(x)
        # A voicing mark that could not be composed is kept: か゚ is not か.
        if category[0] in "LN" or ord(x) in (MARK_DAKUTEN, MARK_HANDAKUTEN) or category in ("Mc", "Mn") and ord(x) >= 0x900:
            out.append(x)
    return "".join(out)


def make_mapping(target: Callable[[str], str], characters: Iterable[int] = range(TABLE_SIZE)) -> Mapping:
    """Return the table of what `target` makes of every character. It is asked about `characters` alone; all others stay as they are."""
    first = np.arange(TABLE_SIZE, dtype=np.int32)
    kind = np.zeros(TABLE_SIZE, np.uint8)
    starts, expansions = [0], list[int]()
    for cp in characters:
        if 0xD800 <= cp <= 0xDFFF:
            continue
        new = target(chr(cp))
        if len(new) == 1:
            if ord(new) != cp:
                first[cp], kind[cp] = ord(new), 1
        elif not new:
            first[cp], kind[cp] = REMOVE, 1
        else:
            first[cp], kind[cp] = -2 - (len(starts) - 1), 1
            expansions.extend(ord(x) for x in new)
            starts.append(len(expansions))
    return Mapping(first, np.array(starts, np.int32), np.array(expansions or [0], np.int32), kind)
