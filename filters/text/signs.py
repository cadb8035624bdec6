"""Signs that the key of duplicates keeps: without them 1.5 g is 15 g, -5.0 is 50, C++ is C# and ○ is ×.

Some always count, such as ○, × and ≠. Of others it depends on what stands beside them: a point before a digit is a decimal point, a
hyphen before one may be a minus, `+` and `#` after a letter belong to a name, ▲ before a word is a bullet. A comma in 1,000 is none: 1000
is the same number. All others are punctuation and decoration, in which copies of a text differ.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from filters import unicode as u
from filters.kernels import decode, inline, jit_helper
from filters.text.changes import voiced_kana

# -- which signs

# Marks of right and wrong, of sex and pitch. Several characters look alike: the first is the one in the key.
_MARKS = ("○◯⭕⚪", "×✕✖✗✘☒╳⨯❌❎", "✓✔☑✅", *"◎△☐♂♀♯♭♮°±÷¬☀☁☂☃☔⛄⚫🙆🙅👍👎")
_ARROWS = {*range(0x2190, 0x2200), *range(0x27F0, 0x2800), *range(0x2900, 0x2980), *range(0x2B05, 0x2B12), 0x27A1}

# Kinds of signs whose neighbours decide.
(
    SPACE,
    NEWLINE,
    POINT,
    COMMA,
    COLON,
    SLASH,
    MINUS,
    PLUS,
    HASH,
    RELATION,
    UNIT,
    CURRENCY,
    BETWEEN,
    BEFORE,
    POWER,
    BULLET,
    NOT,
    MARK,
) = range(1, 19)
_MEMBERS = {
    SPACE: " \t\u3000",
    NEWLINE: "\n\r",
    POINT: ".．",
    COMMA: ",，、",
    COLON: ":：",
    SLASH: "/／\u2044\u2215",
    MINUS: "-－\u2010\u2011\u2012\u2013\u2014\u2015\u2212⁻₋",
    PLUS: "+＋⁺₊",
    HASH: "#＃",
    RELATION: "<＜>＞=＝⁼₌",
    UNIT: "%％‰\u2032\u2033\u2034",
    BETWEEN: "*＊・·･∙⋅",
    BEFORE: "〜~～∼∽∾〰^＾♠♡♢♣♤♥♦♧§",
    POWER: "⁰¹²³⁴⁵⁶⁷⁸⁹",
    BULLET: "●■□◆◇★☆▲▼▽▶▷◀◁🔺🔻🔼🔽",
    NOT: "!！",
    MARK: "\u3099\u309a゛゜ﾞﾟ",
}
_WRITTEN = {COMMA: ",", SLASH: "/", MINUS: "-"}  # one way to write all of a kind; of the others every member has its own
_WAVES = "~～∼∽∾〰"

OTHER, DIGIT, LETTER = range(3)  # classes of characters, as rules tell them apart
_NUMERALS = np.array(sorted(ord(c) for c in "〇一二三四五六七八九"), np.int32)
_UNCHANGED = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xAC00, 0xD7A4))  # Han and hangul
_NEVER = ("Cn", "Co", "Cc")  # categories without letters: most of the table is unassigned
_LONGEST_NAME = 2  # Latin letters before a hyphen that belongs to them: A-, AB-, not the first line of a word that is broken
_NO_GROUP = 9  # digits before a comma that is none of thousands


class KeyTable(NamedTuple):
    """What every character is in the key; arrays of `TABLE_SIZE`, but for the expansions (`filters.unicode.Mapping`).

    `kinds`: a kind of sign, 0 for other characters. `written`: what a sign of that kind is in the key, where it is kept.
    """

    first: np.ndarray
    starts: np.ndarray
    expansions: np.ndarray
    kinds: np.ndarray
    written: np.ndarray
    voiced: np.ndarray  # filters.text.changes.voiced_kana


def _find_always() -> dict[str, str]:
    """Return the signs that always count, and what they are in the key: marks, arrows and signs of mathematics beyond ASCII."""
    found = {c: alike[0] for alike in _MARKS for c in alike}
    contextual = {c for members in _MEMBERS.values() for c in members}
    for cp in range(0x80, u.TABLE_SIZE):
        c = chr(cp)
        if c not in contextual and c not in found and (cp in _ARROWS or unicodedata.category(c) == "Sm"):
            folded = unicodedata.normalize("NFKC", c)
            found[c] = found.get(folded, folded) if len(folded) == 1 and unicodedata.category(folded) == "Sm" else c
    return found


@lru_cache(maxsize=1)
def key_table() -> KeyTable:
    """Return the table behind the duplicate key: that of letters and digits (`filters.unicode.fold_letters`), and signs."""
    always = _find_always() | {"\u2044": "/"}  # the stroke within ½

    def fold(c: str) -> str:
        if unicodedata.category(c) in _NEVER:
            return ""
        return always.get(c) or "".join(always.get(x) or u.fold_letters(x) for x in unicodedata.normalize("NFKC", c))

    mapping = u.make_mapping(fold, sorted(set(range(u.TABLE_SIZE)).difference(*_UNCHANGED)))
    kinds, written = np.zeros(u.TABLE_SIZE, np.uint8), np.zeros(u.TABLE_SIZE, np.int32)
    currencies = "".join(chr(cp) for cp in range(u.TABLE_SIZE) if unicodedata.category(chr(cp)) == "Sc")
    for kind, members in {**_MEMBERS, CURRENCY: currencies}.items():
        for c in members:
            folded = _WRITTEN.get(kind) or ("〜" if c in _WAVES else unicodedata.normalize("NFKC", c))
            kinds[ord(c)], written[ord(c)] = kind, ord(folded if len(folded) == 1 else c)
            mapping.first[ord(c)] = u.REMOVE
    for i, c in enumerate(_MEMBERS[MARK]):
        mapping.first[ord(c)] = written[ord(c)] = u.MARK_HANDAKUTEN if i % 2 else u.MARK_DAKUTEN
    return KeyTable(mapping.first, mapping.starts, mapping.expansions, kinds, written, voiced_kana())


# -- what stands beside them


@inline
def _narrow(cp):
    """Return a full-width sign as ASCII and U+3000 as a space: text may have either."""
    if 0xFF01 <= cp <= 0xFF5E:
        return cp - 0xFEE0
    return np.int32(32) if cp == 0x3000 else cp


@inline
def _sign_at(data, i, end):
    """Return the character at byte `i`, full-width signs as ASCII, or a line feed at the end."""
    if i >= end:
        return np.int32(10)
    cp, _ = decode(data, i)
    return _narrow(cp)


@jit_helper
def _class_at(data, i, end, table):
    """Return the class of the character at byte `i`."""
    if i >= end:
        return OTHER
    cp, _ = decode(data, i)
    if cp >= u.TABLE_SIZE:
        return LETTER if cp < 0x40000 else OTHER
    if table.kinds[cp] == POWER or 48 <= table.first[cp] <= 57:
        return DIGIT
    return OTHER if table.first[cp] == u.REMOVE else LETTER


@jit_helper
def _skip_spaces(data, i, end):
    while i < end:
        if data[i] == 32 or data[i] == 9:
            i += 1
        elif data[i] == 0xE3 and data[i + 1] == 0x80 and data[i + 2] == 0x80:
            i += 3
        else:
            break
    return i


@jit_helper
def _leads_to_digit(data, i, end, table):
    """Return whether a number begins at byte `i`, be it with a sign of its own: 5, .5, ¥5, -5."""
    if _class_at(data, i, end, table) == DIGIT:
        return True
    if i >= end:
        return False
    cp, after = decode(data, i)
    if cp >= u.TABLE_SIZE or table.kinds[cp] not in (POINT, CURRENCY, MINUS):
        return False
    return _class_at(data, after, end, table) == DIGIT


@jit_helper
def _skip_relation(data, i, end):
    """Return the byte after signs that go on a relation: the = of >= and !=."""
    while i < end and 60 <= _sign_at(data, i, end) <= 62:
        i += 1 if data[i] < 0x80 else 3
    return i


@jit_helper
def _is_alone(data, i, end, before):
    """Return whether a sign after the character `before` is all that is in brackets, or after a colon on its line: Rh(+), 結果：-."""
    after = _sign_at(data, _skip_spaces(data, i, end), end)
    if before == 40:
        return after == 41
    return before == 58 and (after == 10 or after == 13)


@jit_helper
def _is_kana_or_han(data, i, end):
    """Return whether hiragana or Han stand at byte `i`: A-です, O-型; not katakana, as in e-ラーニング, which is eラーニング."""
    if i >= end:
        return False
    cp, _ = decode(data, i)
    return 0x3041 <= cp <= 0x309F or 0x4E00 <= cp <= 0x9FFF


@jit_helper
def _begins_name(data, i, end):
    """Return whether one or two Latin letters stand at byte `i`, as in x < y and E = mc², and no word."""
    n = 0
    while i < end and 97 <= (_sign_at(data, i, end) | 32) <= 122:
        n += 1
        i += 1 if data[i] < 0x80 else 3
    return 0 < n <= _LONGEST_NAME


@jit_helper
def _begins_thousands(data, i, end, table):
    """Return whether exactly three digits stand at byte `i`."""
    for _ in range(3):
        if _class_at(data, i, end, table) != DIGIT:
            return False
        _, i = decode(data, i)
    return _class_at(data, i, end, table) != DIGIT


@jit_helper
def _is_numeral(cp):
    for numeral in _NUMERALS:
        if cp == numeral:
            return True
    return False


@jit_helper
def _counts(kind, cp, data, i, end, table, last, last_cp, latin, after_number, begins_line, name, before):
    """Return whether the sign `cp` of a kind counts; the text goes on at byte `i`.

    `last`: the class of the character before it, `last_cp` itself; `latin`: how many Latin letters end there; `after_number`: whether
    nothing but what does not count stands between it and a digit; `begins_line`: whether it is the first on its line; `name`: how many
    Latin letters stand before it and before spaces; `before`: the character before it that is no space.
    """
    following = _class_at(data, i, end, table)
    if kind == POINT:
        if i < end and _is_numeral(last_cp) and _is_numeral(decode(data, i)[0]):
            return True  # 三.五
        return following == DIGIT and last_cp != 46  # of 1...5 it is no point
    if kind == COMMA:
        return last == DIGIT and following == DIGIT
    if kind == NOT:
        return _sign_at(data, i, end) == 61  # !=
    if kind == HASH:
        return latin > 0 or following == DIGIT
    if kind == UNIT:
        return last == DIGIT or 48 <= before <= 57
    if kind == CURRENCY:
        return last == DIGIT or _leads_to_digit(data, i, end, table)
    after_spaces = _skip_spaces(data, i, end)
    if kind == BULLET:
        return not begins_line or _class_at(data, after_spaces, end, table) != LETTER
    if after_number and not begins_line and _leads_to_digit(data, after_spaces, end, table):
        return True
    if kind == SLASH:
        return last == DIGIT and following == LETTER or last == LETTER and following == DIGIT
    if kind == MINUS:
        if cp == 0x207B and last != OTHER:
            return True  # O²⁻
        if last_cp < 0x80 and 0 < latin <= _LONGEST_NAME and (following == OTHER or _is_kana_or_han(data, i, end)):
            return True
        return _leads_to_digit(data, i, end, table) or _is_alone(data, i, end, before)
    if kind == PLUS:
        return last != OTHER or following == DIGIT or _is_alone(data, i, end, before)
    if kind == RELATION:
        after_relation = _skip_spaces(data, _skip_relation(data, i, end), end)
        if 0 < name <= _LONGEST_NAME and _begins_name(data, after_relation, end):
            return True
        return after_number or _leads_to_digit(data, after_relation, end, table)
    if kind == BETWEEN:
        return i < end and _is_numeral(last_cp) and _is_numeral(decode(data, i)[0])
    return kind == BEFORE and following == DIGIT


# -- the key


@jit_helper
def fill_key(data, start, end, table, codes):
    """Fill `codes` with the key of `data[start:end]`; return its length, or -1 where `codes` is too short.

    It has letters and digits as `table.first` has them, signs that count, and a space between digits that something else divides.
    """
    first, kinds = table.first, table.kinds
    m = 0
    i = start
    spare = len(codes) - (end - start)
    last, last_cp = OTHER, np.int32(0)
    latin = digits = 0  # how many of them end here
    name, before = 0, np.int32(10)  # Latin letters that ended before spaces; the last character that is no space
    divided, begins_line, raised = (
        False,
        True,
        False,
    )  # divided: what came since a digit does not count; raised: the last digit is a power
    while i < end:
        run = m
        while i < end and 0xE3 <= data[i] <= 0xE9:  # kana and Han, which most of a text is
            cp = (np.int32(data[i]) & 0x0F) << 12 | (np.int32(data[i + 1]) & 0x3F) << 6 | np.int32(data[i + 2]) & 0x3F
            if first[cp] <= 57 or kinds[cp] != 0:
                break
            codes[m] = first[cp]
            m += 1
            i += 3
        if m > run:
            last_cp = before = decode(data, i - 3)[0]
            last, latin, digits, name = LETTER, 0, 0, 0
            divided = begins_line = raised = False
            if i >= end:
                break
        cp, i = decode(data, i)
        cp = _narrow(cp)
        new, kind = cp, 0
        if cp < u.TABLE_SIZE:
            new, kind = first[cp], kinds[cp]
        elif cp >= 0x40000:  # variation selectors, tags and private use
            continue
        if kind == POWER:
            if last == DIGIT and not raised:
                codes[m] = 94
                m += 1
            codes[m] = table.written[cp]
            m += 1
            last, last_cp, latin, digits, divided, begins_line, raised = DIGIT, cp, 0, _NO_GROUP, False, False, True
            name, before = 0, cp
            continue
        if kind == MARK:
            # が may be written as か and a mark, ｶ and a mark.
            if m > 0 and 0x3000 <= codes[m - 1] < 0x3100 and table.voiced[codes[m - 1] - 0x3000, new - u.MARK_DAKUTEN] != 0:
                codes[m - 1] = table.voiced[codes[m - 1] - 0x3000, new - u.MARK_DAKUTEN]
                before = codes[m - 1]
                continue
            kind = 0
        if kind == SPACE or kind == NEWLINE or new == u.REMOVE:
            after_number = last == DIGIT or divided
            if kind > NEWLINE and _counts(
                kind, cp, data, i, end, table, last, last_cp, latin, after_number, begins_line, name, before
            ):
                if kind == COMMA and cp == 44 and 0 < digits <= 3 and _begins_thousands(data, i, end, table):
                    digits = 0  # the number goes on
                    before = cp
                    continue
                codes[m] = table.written[cp]
                m += 1
                after_number = False
            if not ((kind == PLUS or kind == HASH) and last == LETTER):  # the second of ++ is after a letter, too
                last, latin = OTHER, 0
            divided = after_number
            digits = _NO_GROUP if kind == POINT else 0
            begins_line = kind == NEWLINE or kind == SPACE and begins_line
            last_cp, raised = cp, False
            if kind != SPACE:
                before = cp
                if kind != RELATION and kind != NOT:
                    name = 0
            continue
        if new < u.REMOVE:
            begin, stop = table.starts[-2 - new], table.starts[-1 - new]
            spare -= stop - begin + 1
            if spare < 0:
                return -1
            if 48 <= table.expansions[begin] <= 57 and (last == DIGIT or divided):
                codes[m] = 32  # of 1½ it makes 1 1/2
                m += 1
            for e in range(begin, stop):
                codes[m] = table.expansions[e]
                m += 1
            last = DIGIT if 48 <= codes[m - 1] <= 57 else LETTER
            latin, digits = 0, _NO_GROUP
        else:
            if 48 <= new <= 57:
                if divided:
                    codes[m] = 32
                    m += 1
                last, latin, digits = DIGIT, 0, digits + 1
            else:
                last, latin, digits = LETTER, latin + 1 if 97 <= new <= 122 else 0, 0
            codes[m] = new
            m += 1
        last_cp = before = cp
        name = latin
        divided = begins_line = raised = False
    return m
