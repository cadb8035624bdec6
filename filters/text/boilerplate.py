"""Boilerplate lines: the notices, menus and buttons around a page's text that HTML extraction leaves behind.

Two lists say what such lines are. A line of `boilerplate` falls wherever it stands, one of `widgets` only in company. A line is compared
by its *key* (`fold_line`): what is left without spaces, brackets, bullets and the value of numbers, in lower case. An entry is the key of
a whole line, or of its beginning and end around a star. All entries lie in one hash table, so that a line costs a look at its first and
last character, and few cost more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, inline, jit, mix64, slots_for
from filters.text.normalisation import Cleaned
from filters.text.phrases import narrow_phrases

# A notice is short. A longer line that begins like one is prose (a sentence about Cookies, a manual on JavaScript).
LINE_CHARS = 60
KEY = 64  # codes of the longest key
STAR = 24  # codes that `*` stands for
NEAR = 3  # lines before and after that may be a widget's company
COMPANY = 2  # how many of them it takes
ITEM = 20  # characters: longer lines are no items of a menu
MENU_ITEMS = 6  # lines of the shortest menu
MENU_GAP = 40  # items in a row between two lines that are furniture
MENU_SHARE = 10  # of so many lines of a menu one at the least is furniture

# Codes of keys that stand for no character. U+0000 to U+001F do not occur in cleaned lines.
_YEAR, _NUMBER, _COUNT, _COPYRIGHT = range(1, 5)
_BAR, _MORE, _COLON = 0x7C, 0x3E, 0x3A  # | > : between words
_PLACEHOLDER = "\ua66e"  # a letter that no list has: stands for a star while an entry is folded
_SPREAD = np.uint64(0x9E3779B97F4A7C15)

NONE, WEAK, STRONG = range(3)
ENDS = 4  # codes that a key is first looked at by
# What four codes may be of an entry, or all of fewer: the whole of it, the first ones, the last ones backwards.
ALONE, FIRST, LAST = np.uint8(1), np.uint8(2), np.uint8(4)


class LineTable(NamedTuple):
    """The entries of both lists for compiled code.

    `keys`, `values`: an open-addressing table of hashes. The value of a whole key is its strength; of a beginning or an end its number;
    of a pair of numbers its strength, and 16 more where the star has no bound. `ends`: by `_quadruple`, whether an entry begins or ends
    with these codes (0 where there are fewer). `longest`: codes of the longest beginning and end.
    """

    keys: np.ndarray  # uint64[slots]
    values: np.ndarray  # int32[slots]
    ends: np.ndarray  # uint8[65536]
    longest: np.ndarray  # int64[2]


@inline
def _add(h, code):
    return (h + np.uint64(code) + np.uint64(1)) * _SPREAD


@inline
def _salted(h, salt):
    """Key of a hash in the table, by what it is the hash of: a whole key, a beginning, an end, a pair. Never 0."""
    return mix64(h ^ (np.uint64(salt) << np.uint64(56))) | np.uint64(1)


@inline
def _find(keys, values, key):
    mask = len(keys) - 1
    s = np.int64(key >> np.uint64(20)) & mask
    while keys[s] != 0:
        if keys[s] == key:
            return values[s]
        s = (s + 1) & mask
    return np.int32(0)


@inline
def _quadruple(a, b, c, d):
    h = ((np.int64(a) * 0x9E5F + np.int64(b)) * 0x9E5F + np.int64(c)) * 0x9E5F + np.int64(d)
    return (h ^ h >> 17) & 0xFFFF


@inline
def _may_begin(codes, m, ends):
    """Whether an entry begins as a key of `m` codes (-1: of more than four) does: with the same four codes, or all of fewer."""
    b = codes[1] if m < 0 or m > 1 else 0
    c = codes[2] if m < 0 or m > 2 else 0
    d = codes[3] if m < 0 or m > 3 else 0
    a = codes[0]
    if ends[_quadruple(a, b, c, d)] & (FIRST | ALONE) and (d or ends[_quadruple(a, b, c, d)] & ALONE):
        return True
    return (ends[_quadruple(a, b, c, 0)] | ends[_quadruple(a, b, 0, 0)] | ends[_quadruple(a, 0, 0, 0)]) & FIRST != 0


@inline
def _may_end(codes, m, ends):
    """Whether an entry ends as a key does: with the same four codes, or all of fewer."""
    a, b, c = codes[m - 1], codes[m - 2], codes[m - 3]
    return (
        ends[_quadruple(a, b, c, codes[m - 4])]
        | ends[_quadruple(a, b, c, 0)]
        | ends[_quadruple(a, b, 0, 0)]
        | ends[_quadruple(a, 0, 0, 0)]
    ) & LAST != 0


@inline
def _is_weekday(cp):
    return cp in (0x65E5, 0x6708, 0x706B, 0x6C34, 0x6728, 0x91D1, 0x571F, 0x795D)  # 日月火水木金土祝


@inline
def _half_width(cp):
    return cp - 0xFEE0 if 0xFF01 <= cp <= 0xFF5E else cp


@jit
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
            code = _YEAR if size == 4 and (first == 49 and second == 57 or first == 50 and second == 48) else _NUMBER
            if bracketed and i < end and (cp == 41 or cp == 0x4EF6):  # (14) or (14件)
                code = _COUNT
            if m > 0 and _YEAR <= codes[m - 1] <= _NUMBER and pending == 0 and code != _COUNT:
                continue
            if pending and m > 0:
                if m == len(codes):
                    return -1
                codes[m] = pending
                m += 1
            pending = 0
            if m == len(codes):
                return -1
            codes[m] = code
            m += 1
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
                pending = _BAR
            i = j
            continue
        if cp == 40 or cp == 0x300A or cp == 91:  # ( and [: a weekday or a C in them is one thing
            inner, after = np.int32(0), end
            if j < end:
                inner, after = decode(data, j)
            if after < end and (inner | 0x20) == 99 and _half_width(decode(data, after)[0]) == 41:
                if m == len(codes):
                    return -1
                codes[m] = _COPYRIGHT
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
            codes[m] = _COPYRIGHT
            m += 1
            pending = 0
            i = j
            continue
        if cp == 0x7C or cp == 0x2F or cp == 0x2502 or cp == 0x2503:
            pending = _BAR
        elif cp == 0x3E or cp == 0xBB or cp == 0x203A or cp == 0x226B or cp == 0x300B or cp == 0x25B6 or cp == 0x2192:
            pending = _MORE
        elif cp == 0x3A:
            pending = _COLON
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
            if pending and m > 0:
                if m == len(codes):
                    return -1
                codes[m] = pending
                m += 1
            pending = 0
            if m == len(codes):
                return -1
            codes[m] = cp | 0x20 if 65 <= cp <= 90 else cp
            m += 1
        i = j
    return m


@inline
def _has_number(codes, m):
    for i in range(m):
        if codes[i] <= _COUNT:
            return True
    return False


@jit
def _classify_key(codes, m, keys, values, longest, numbers):
    """Strength of a key: that of an entry for the whole, or the greatest of those with a beginning and an end of it."""
    h = np.uint64(0)
    first_count = 0
    numbers[0, 0] = 0  # the empty beginning, and the empty end
    numbers[1, 0] = 0
    first_sizes, last_sizes = numbers[2], numbers[3]
    first_sizes[0] = last_sizes[0] = 0
    for i in range(m):
        h = _add(h, codes[i])
        if i < longest[0] and i < m - 1 and first_count < 7:
            number = _find(keys, values, _salted(h, 1))
            if number:
                first_count += 1
                numbers[0, first_count] = number
                first_sizes[first_count] = i + 1
    strength = _find(keys, values, _salted(h, 0))
    if strength == STRONG:
        return strength
    h = np.uint64(0)
    last_count = 0
    for i in range(min(m - 1, longest[1])):
        h = _add(h, codes[m - 1 - i])
        number = _find(keys, values, _salted(h, 2))
        if number and last_count < 7:
            last_count += 1
            numbers[1, last_count] = number
            last_sizes[last_count] = i + 1
    if first_count == 0 and last_count == 0:
        return strength
    for a in range(first_count + 1):
        for b in range(last_count + 1):
            between = m - first_sizes[a] - last_sizes[b]
            if between < 1 or a == 0 and b == 0:
                continue
            value = _find(keys, values, _salted(np.uint64(numbers[0, a]) << np.uint64(16) | np.uint64(numbers[1, b]), 3))
            if value < 16 and between > STAR or value == WEAK and a == 0 and _has_number(codes, between):
                continue
            strength = max(strength, value & 15)
    return strength


@jit
def _classify_menu(codes, m, keys, values, spaces):
    """Strength of a key whose parts between | and > are all entries, at least two; numbers are no evidence.

    One part of `boilerplate` makes it strong, or a number of parts that is no row of a table.
    """
    parts, most = 0, np.int32(NONE)
    h = np.uint64(0)
    size, numbers = 0, False
    for i in range(m + 1):
        if i == m or codes[i] == _BAR or codes[i] == _MORE:
            if size and not (size == 1 and numbers):
                strength = _find(keys, values, _salted(h, 0))
                if strength == NONE:
                    return NONE
                most = max(most, strength)
                parts += not numbers
            h, size, numbers = np.uint64(0), 0, False
        else:
            h = _add(h, codes[i])
            size += 1
            numbers |= codes[i] <= _COUNT
    if parts < 2:
        return NONE
    return STRONG if most == STRONG or parts >= (5 if spaces else 3) else WEAK


@jit
def _is_markup(data, start, end):
    """Whether a line is code, a row of a table or a heading of Markdown: what such say is content."""
    if end - start >= 2:
        first, second = data[start], data[start + 1]
        if first == 35 or first == 124 or first == second and (first == 47 or first == 42 or first == 96):  # # | // ** ``
            return True
        if first == 0xE2 and second == 0x94 or data[end - 1] == 40:  # a branch of a tree, a call that goes on
            return True
    for i in range(start, end):
        b = data[i]
        if b >= 0x80:
            continue
        if b == 123 or b == 125 or b == 61 or b == 59 or b == 34 or b == 36 or b == 92 or b == 95 or b == 96:  # {}=;"$\\_`
            return True
        if i + 1 < end:
            after = data[i + 1]
            if b == 60 and (97 <= (after | 0x20) <= 122 or after == 47):  # <a </a
                return True
            if b == 40 and after == 41:  # ()
                return True
    return False


@jit
def _stands_in_code(data, line_offsets, begin, end, line):
    """Whether the line before or after is code."""
    for step in (-1, 1):
        other = line + step
        while begin <= other < end and line_offsets[other + 1] - line_offsets[other] <= 1:
            other += step
        if begin <= other < end and _is_markup(data, line_offsets[other], line_offsets[other + 1] - 1):
            return True
    return False


@jit
def _classify_lines(data, line_offsets, first_line, classes, table_keys, table_values, ends, longest_entry, longest):
    """Return the strength of every line and a hash of its key."""
    lines = len(line_offsets) - 1
    strengths = np.zeros(lines, np.uint8)
    hashes = np.zeros(lines, np.uint64)
    codes = np.empty(KEY, np.int32)
    numbers = np.empty((4, 8), np.int64)
    head, tail = np.empty(ENDS, np.int32), np.empty(32, np.int32)
    for line in range(lines):
        start, end = line_offsets[line], line_offsets[line + 1]
        if end > start and data[end - 1] == 10:
            end -= 1
        if end - start < 1 or end - start > 3 * longest:
            continue
        # The first codes of a key, or else its last ones, tell of nearly every line that it is no entry.
        m = fold_line(data, start, end, classes, head, False)
        if m == 0:
            continue
        if not _may_begin(head, m, ends):
            i = max(end - 15, start)
            while i < end and (data[i] & 0xC0) == 0x80:
                i += 1
            m = fold_line(data, i, end, classes, tail, False)
            if m >= ENDS and not _may_end(tail, m, ends):
                continue
        characters = 0
        for i in range(start, end):
            characters += (data[i] & 0xC0) != 0x80
        if characters > longest or _is_markup(data, start, end):
            continue
        m = fold_line(data, start, end, classes, codes, False)
        if m < 1:
            continue
        strength = _classify_key(codes, m, table_keys, table_values, longest_entry, numbers)
        if strength != STRONG and m > 2:
            strength = max(strength, _classify_menu(codes, m, table_keys, table_values, False))
            if strength == NONE:
                m = fold_line(data, start, end, classes, codes, True)
                if m > 2:
                    strength = _classify_menu(codes, m, table_keys, table_values, True)
        i = start
        while i < end - 1 and data[i] == 32:
            i += 1
        if strength == STRONG or strength == WEAK and not 97 <= data[i] <= 122:  # labels in Latin letters begin with a capital
            strengths[line] = strength
            h = np.uint64(0)
            words = False
            for i in range(m):
                h = _add(h, codes[i])
                words |= codes[i] > _COUNT and codes[i] != 46
            hashes[line] = h if words else np.uint64(1)  # dates, times and pages are of one kind
    return strengths, hashes


@jit
def _is_item(data, start, end):
    """Whether a line could be an item of a menu: short, without numbers and the signs of sentences (。 、 「 」)."""
    if _is_markup(data, start, end) or data[start] == 45 or data[start] == 42:
        return False
    characters = 0
    for i in range(start, end):
        characters += (data[i] & 0xC0) != 0x80
        if 48 <= data[i] <= 57:  # prices and dates are content
            return False
        if (
            data[i] == 0xE3
            and i + 2 < end
            and data[i + 1] == 0x80
            and (data[i + 2] in (0x81, 0x82) or 0x8C <= data[i + 2] <= 0x8F)
        ):
            return False
    return characters <= ITEM


@jit
def _judge_lines(data, line_offsets, first_line, strengths, hashes):
    """Return which lines fall: strong ones, weak ones in company, and the few items that stand between those of a menu."""
    lines = len(line_offsets) - 1
    falls = np.zeros(lines, np.bool_)
    for d in range(len(first_line) - 1):
        begin, end = first_line[d], first_line[d + 1]
        marks = 0
        for line in range(begin, end):
            marks += strengths[line] != NONE
        if marks == 0:
            continue
        for line in range(begin, end):
            if strengths[line] and _stands_in_code(data, line_offsets, begin, end, line):
                strengths[line] = NONE
            elif strengths[line] == STRONG:
                falls[line] = True
            elif strengths[line] == WEAK:
                company = 0
                seen = np.uint64(0)
                for step in (-1, 1):
                    other, count = line + step, 0
                    while begin <= other < end and count < NEAR:
                        size = line_offsets[other + 1] - line_offsets[other]
                        if size > 1:
                            count += 1
                            if size > 3 * LINE_CHARS:
                                break
                            if strengths[other] and hashes[other] != hashes[line] and hashes[other] != seen:
                                company += 1
                                seen = hashes[other]
                        other += step
                falls[line] = company >= COMPANY
        if marks > COMPANY:
            _drop_menus(data, line_offsets, begin, end, strengths, hashes, falls)
    return falls


@jit
def _drop_menus(data, line_offsets, begin, end, strengths, hashes, falls):
    """Mark the items of menus: those between furniture in runs of items of which enough are furniture.

    A run is one of lines that could be items; furniture of at least three kinds has to be in it.
    """
    start = begin
    while start < end:
        stop, items, marks, previous = start, 0, 0, -1
        one = two = three = np.uint64(0)
        while stop < end:
            if line_offsets[stop + 1] - line_offsets[stop] > 1:
                if strengths[stop] == NONE and not _is_item(data, line_offsets[stop], line_offsets[stop + 1] - 1):
                    break
                items += 1
                if strengths[stop]:
                    marks += 1
                    h = hashes[stop]
                    if one == 0:
                        one = h
                    elif two == 0 and h != one:
                        two = h
                    elif three == 0 and h != one and h != two:
                        three = h
            stop += 1
        if items >= MENU_ITEMS and three != 0 and marks * MENU_SHARE >= items:
            for line in range(start, stop):
                if strengths[line]:
                    falls[line] = True
                    if previous >= 0 and line - previous <= MENU_GAP + 1:
                        falls[previous:line] = True
                    previous = line
        start = stop + 1


def boilerplate_lines(cleaned: Cleaned, longest: int = LINE_CHARS) -> np.ndarray:
    """bool[lines]: which lines fall; none of more than `longest` characters, or of a key of more than 64.

    A line falls where it is an entry of the list `boilerplate`, or a row of entries of both lists (ホーム | ログイン). One of `widgets` falls
    with two others, not of its own key, among the three lines before and after it. In a menu, a run of short lines of which enough
    are entries, what stands between entries falls with them.
    """
    table = line_table()
    strengths, hashes = _classify_lines(
        cleaned.data, cleaned.line_offsets, cleaned.first_line, u.character_classes(), *table, longest
    )
    if not strengths.any():
        return np.zeros(len(strengths), bool)
    return _judge_lines(cleaned.data, cleaned.line_offsets, cleaned.first_line, strengths, hashes)


def _fold(text: str) -> list[int]:
    data = np.frombuffer(text.encode(), np.uint8)
    codes = np.empty(2 * KEY, np.int32)
    return codes[: fold_line(data, 0, len(data), u.character_classes(), codes, False)].tolist()


def _hash(codes: list[int]) -> int:
    h = 0
    for code in codes:
        h = (h + code + 1) * int(_SPREAD) & 0xFFFF_FFFF_FFFF_FFFF
    return h


# A notice that is a sentence is written with 。 and without.
_SENTENCE = ("い", "ん", "す", "た", "か")


def _add_entry(entry: str, strength: int, table: dict[int, int], ends: np.ndarray, numbers: dict[tuple[int, ...], int]) -> None:
    """Add what `entry` stands for to `table`: a whole key, or a pair of a beginning and an end."""
    head, star, tail = entry.partition("**" if "**" in entry else "*")
    codes = _fold(f"{head}{_PLACEHOLDER}{tail}" if star else entry)
    if "*" in head + tail:
        raise ValueError(f"entry {entry!r} has two stars: one is what an entry may have")
    if len(codes) <= bool(star):
        raise ValueError(f"entry {entry!r} has no letter or digit that a line could be known by")
    if not star:
        table[_salt(_hash(codes), 0)] = strength
        ends[_quadruple(*(*codes, 0, 0, 0)[:ENDS])] |= FIRST if len(codes) >= ENDS else ALONE
        if len(codes) < ENDS:  # it may be the first item of a menu
            for separator in (_BAR, _MORE):
                ends[_quadruple(*(*codes, separator, 0, 0)[:ENDS])] |= FIRST
        return
    at = codes.index(ord(_PLACEHOLDER))
    first, last = tuple(codes[:at]), tuple(codes[at + 1 :])
    for salt, part in ((1, first), (2, last[::-1])):
        if part:
            table[_salt(_hash(list(part)), salt)] = numbers.setdefault((salt, *part), len(numbers) + 1)
    pair = numbers.get((1, *first), 0) << 16 | numbers.get((2, *last[::-1]), 0)
    key = _salt(pair, 3)
    table[key] = max(table.get(key, 0), strength + (16 if star == "**" else 0))
    if first:
        ends[_quadruple(*(*first, 0, 0, 0)[:ENDS])] |= FIRST
    else:
        ends[_quadruple(*(*last[::-1], 0, 0, 0)[:ENDS])] |= LAST


def _salt(h: int, salt: int) -> int:
    return int(_salted(np.uint64(h), salt))


@lru_cache(maxsize=1)
def line_table() -> LineTable:
    """Return the entries of the lists `boilerplate` and `widgets`."""
    entries: dict[int, int] = {}
    ends = np.zeros(0x10000, np.uint8)
    numbers: dict[tuple[int, ...], int] = {}
    for name, strength in (("widgets", WEAK), ("boilerplate", STRONG)):
        for entry in narrow_phrases(name):
            _add_entry(entry, strength, entries, ends, numbers)
            if strength == STRONG and entry.endswith(_SENTENCE):
                _add_entry(f"{entry}。", strength, entries, ends, numbers)
    slots = slots_for(2 * len(entries))
    keys, values = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    for key, value in entries.items():
        s = (key >> 20) & (slots - 1)
        while keys[s]:
            s = (s + 1) & (slots - 1)
        keys[s], values[s] = key, value
    longest = np.array([max(len(part) - 1 for part in numbers if part[0] == salt) for salt in (1, 2)], np.int64)
    return LineTable(keys, values, ends, longest)
