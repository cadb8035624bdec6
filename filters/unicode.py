"""Tables over Unicode code points that the compiled kernels look characters up in.

Two tables, both indexed by code point, and a function:

* `character_classes()`: one small integer per code point (`HIRAGANA`, `HAN`, `SPACE` ...).
* `normalisation(compatibility)`: what a character becomes when text is cleaned.
* `fold_letters`, of one character: what it becomes in the key that duplicates are compared by (`filters.text.signs.key_table`).

The tables come from Python's own `unicodedata`, so they follow the interpreter's Unicode version.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

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
    SENTENCE_END,  # 。！？!? and their kin; "." is judged in context by the kernel
    PUNCTUATION,
    SYMBOL,
    HANGUL,
    CONTROL,
    MARK,
    CLOSING,  # 」』） …: may follow a sentence end and belongs to it
    ELLIPSIS,
) = range(16)
CLASS_COUNT = 16

_SENTENCE_ENDS = set("。．！？!?｡‼⁇⁈⁉")
_SPACES = set("\t\r\u3000\u00a0\u1680\u202f\u205f ") | {chr(c) for c in range(0x2000, 0x200B)}
_LINE_BREAKS = set("\x0b\x0c\x85\u2028\u2029")
# Zero-width joiners and variation selectors stay: emoji and Indic scripts need them.
_REMOVED_FORMAT = (
    {0x00AD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, 0x180E} | set(range(0x202A, 0x202F)) | set(range(0x2066, 0x206A))
)
_WAVES = {0xFF5E, 0x223C, 0x223E, 0x3030}
_HYPHENS = {0x2010, 0x2011, 0x2212, 0xFE63, 0xFF0D}
HORIZONTAL_BAR = 0x2015
PROLONGED = 0x30FC
WAVE_DASH = 0x301C
# Dashes that are often typed for the prolonged sound mark; they become ー only between katakana.
PROLONGED_LOOKALIKES = (0x2012, 0x2013, 0x2014, 0x2015, 0x2500, 0x2501)

REMOVE = -1  # table value: the character is dropped
MARK_DAKUTEN = 0x3099
MARK_HANDAKUTEN = 0x309A

Compatibility = Literal["keep", "expand"]


class Mapping(NamedTuple):
    """A character mapping for compiled code.

    `first[cp]` is the code point that `cp` becomes, `REMOVE`, or `-2 - i` for the i-th expansion, whose code points are
    `expansions[starts[i]:starts[i + 1]]`. `kind[cp]` is 0 where nothing at all is to be done (the common case).
    """

    first: np.ndarray  # int32[TABLE_SIZE]
    starts: np.ndarray  # int32[n + 1]
    expansions: np.ndarray  # int32[*]
    kind: np.ndarray  # uint8[TABLE_SIZE]


# Values of Mapping.kind
UNCHANGED, CHANGED, VOICING, DASH, BREAK = range(5)
COMPOSING = 5  # NFC may compose it with what comes before it
STACKING = 6  # a combining mark that composes with nothing, but that NFC may reorder after another mark


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


def _is_ligature_or_radical(cp: int) -> bool:
    return 0xFB00 <= cp <= 0xFB4F or 0x2E80 <= cp <= 0x2FDF


# Compatibility decompositions that only undo a width, a font or a position and never change what is read.
_ALWAYS_FOLDED = {
    "<wide>",
    "<narrow>",
    "<vertical>",
    "<noBreak>",
    "<font>",
    "<initial>",
    "<medial>",
    "<final>",
    "<isolated>",
    "<small>",
}


def _cleaned(c: str, compatibility: Compatibility) -> str:
    cp = ord(c)
    if c in "\n\t":
        return c
    if c in _SPACES:
        return " "
    if c in _LINE_BREAKS:
        return "\n"
    if cp in _REMOVED_FORMAT:
        return ""
    if cp in _WAVES:
        return chr(WAVE_DASH)
    if cp in _HYPHENS:
        return "-"
    if cp == 0x2014:
        return chr(HORIZONTAL_BAR)
    if c in "゛゜" or cp in (MARK_DAKUTEN, MARK_HANDAKUTEN):
        return c
    if cp == 0xFF9E:
        return "゛"
    if cp == 0xFF9F:
        return "゜"
    category = unicodedata.category(c)
    if category == "Cc":
        return ""
    if category == "Co" or category == "Cn" or category == "Cs":
        return c
    decomposition = unicodedata.decomposition(c)
    if not decomposition:
        return c
    tag = decomposition.split()[0]
    if tag[0] != "<":
        folded = unicodedata.normalize("NFC", c)
    elif compatibility == "expand" or _is_ligature_or_radical(cp):
        folded = unicodedata.normalize("NFKC", c)
    elif tag in _ALWAYS_FOLDED:
        # One step only: ￣ becomes ¯, which NFKC would take apart into a space and a combining mark.
        folded = unicodedata.normalize("NFC", "".join(chr(int(x, 16)) for x in decomposition.split()[1:]))
    else:
        return c
    # What comes out may itself be a character of the families above (﹣, ～ in vertical forms).
    return "".join(_cleaned(x, compatibility) if x != c else x for x in folded)


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


def make_mapping(target: Callable[[str], str]) -> Mapping:
    """Return the table of what `target` makes of every character."""
    first = np.arange(TABLE_SIZE, dtype=np.int32)
    kind = np.zeros(TABLE_SIZE, np.uint8)
    starts, expansions = [0], list[int]()
    for cp in range(TABLE_SIZE):
        if 0xD800 <= cp <= 0xDFFF:
            continue
        new = target(chr(cp))
        if len(new) == 1:
            if ord(new) != cp:
                first[cp], kind[cp] = ord(new), CHANGED
        elif not new:
            first[cp], kind[cp] = REMOVE, CHANGED
        else:
            first[cp], kind[cp] = -2 - (len(starts) - 1), CHANGED
            expansions.extend(ord(x) for x in new)
            starts.append(len(expansions))
    return Mapping(first, np.array(starts, np.int32), np.array(expansions or [0], np.int32), kind)


@lru_cache(maxsize=2)
def normalisation(compatibility: Compatibility = "keep") -> Mapping:
    """The cleaning table.

    Width variants, half-width kana, the hyphen and wave-dash families, spaces, controls and zero-width characters are always
    unified. ① ㍻ ㈱ ² ½ … (compatibility characters that carry meaning) stay with `"keep"` and become their NFKC expansion with
    `"expand"`.
    """
    table = make_mapping(lambda c: _cleaned(c, compatibility))
    kind = table.kind
    for cp in (MARK_DAKUTEN, MARK_HANDAKUTEN, 0x309B, 0x309C, 0xFF9E, 0xFF9F):
        kind[cp] = VOICING
    kind[np.isin(table.first, PROLONGED_LOOKALIKES)] = DASH
    seconds = {0x1161 + i for i in range(0x11C2 - 0x1161 + 1)}
    for cp in range(TABLE_SIZE):
        parts = unicodedata.decomposition(chr(cp)).split()
        if len(parts) == 2 and parts[0][0] != "<":
            seconds.add(int(parts[1], 16))
    for cp in range(0x300, TABLE_SIZE):
        new = int(table.first[cp])  # the character that is written; of an expansion the kernel looks at the first one
        if new >= 0 and kind[cp] != VOICING and (new in seconds or unicodedata.combining(chr(new))):
            kind[cp] = COMPOSING if new in seconds else STACKING
    for c in _LINE_BREAKS:
        kind[ord(c)] = BREAK
    return table


@lru_cache(maxsize=1)
def voiced_kana() -> np.ndarray:
    """int32[0x100, 2]: for U+3000 + row, the kana with dakuten and with handakuten, or 0 where there is none."""
    table = np.zeros((0x100, 2), np.int32)
    for low in range(0x100):
        for column, mark in enumerate((MARK_DAKUTEN, MARK_HANDAKUTEN)):
            composed = unicodedata.normalize("NFC", chr(0x3000 + low) + chr(mark))
            if len(composed) == 1:
                table[low, column] = ord(composed)
    return table
