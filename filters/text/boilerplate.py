"""Boilerplate lines: the notices, menus and buttons around a page's text that HTML extraction leaves behind.

Two lists say what such lines are. A line of `boilerplate` falls wherever it stands, one of `widgets` only in company. A line is compared
by its key (`line_keys.py`). An entry is the key of a whole line, or of its beginning and end around a star. All entries lie in one hash
table (`line_entries.py`), so that a line costs a look at its first and last characters, and few cost more.
"""

from __future__ import annotations

import numpy as np

from filters import unicode as u
from filters.kernels import jit
from filters.text.line_entries import (
    ENDS,
    NONE,
    STRONG,
    WEAK,
    add_code,
    classify_key,
    classify_menu,
    line_table,
    may_begin,
    may_end,
)
from filters.text.line_keys import COUNT, KEY, first_letters, fold_line, last_letters, letter_codes
from filters.text.menus import drop_lists, drop_menus, is_markup, label_classes
from filters.text.normalisation import Cleaned

# A notice is short. A longer line that begins like one is prose (a sentence about Cookies, a manual on JavaScript).
LINE_CHARS = 60
NEAR = 3  # lines before and after that may be a widget's company
COMPANY = 2  # how many of them it takes


@jit
def _stands_in_code(data, line_offsets, begin, end, line):
    """Whether the line before or after is code."""
    for step in (-1, 1):
        other = line + step
        while begin <= other < end and line_offsets[other + 1] - line_offsets[other] <= 1:
            other += step
        if begin <= other < end and is_markup(data, line_offsets[other], line_offsets[other + 1] - 1):
            return True
    return False


@jit
def _may_have_spaces(data, start, end):
    """Whether there may be a space of any kind in a line: no other characters begin with these bytes, or few do."""
    for i in range(start, end):
        b = data[i]
        if b <= 32 or b == 0xC2 or b == 0xE1 or b == 0xE2 or b == 0xE3 and data[i + 1] == 0x80 and data[i + 2] == 0x80:
            return True
    return False


@jit
def _classify_lines(data, line_offsets, classes, letters, table_keys, table_values, ends, parts, longest_entry, longest):
    """Return the strength of every line and a hash of its key."""
    lines = len(line_offsets) - 1
    strengths = np.zeros(lines, np.uint8)
    hashes = np.zeros(lines, np.uint64)
    codes = np.empty(KEY, np.int32)
    numbers = np.empty((4, 8), np.int64)
    head, tail = np.empty(ENDS, np.int32), np.empty(32, np.int32)
    last = tail[:ENDS]
    for line in range(lines):
        start, end = line_offsets[line], line_offsets[line + 1]
        if end > start and data[end - 1] == 10:
            end -= 1
        if end - start < 1 or end - start > 3 * longest:
            continue
        # The first codes of a key, or else its last ones, tell of nearly every line that it is no entry. Most lines begin and end with
        # letters, which are codes as they stand; the others have to be folded.
        if first_letters(data, start, end, letters, head):
            m = ENDS
        else:
            m = fold_line(data, start, end, classes, head, False)
        if m == 0:
            continue
        if not may_begin(head, m, ends):
            if last_letters(data, max(end - 15, start), end, letters, last):
                m = ENDS
            else:
                i = max(end - 15, start)
                while i < end and (data[i] & 0xC0) == 0x80:
                    i += 1
                m = fold_line(data, i, end, classes, tail, False)
            if m >= ENDS and not may_end(tail, m, ends):
                continue
        characters = 0
        for i in range(start, end):
            characters += (data[i] & 0xC0) != 0x80
        if characters > longest or is_markup(data, start, end):
            continue
        m = fold_line(data, start, end, classes, codes, False)
        if m < 1:
            continue
        strength = classify_key(codes, m, table_keys, table_values, parts, longest_entry, numbers)
        if strength != STRONG and m > 2:
            strength = max(strength, classify_menu(codes, m, table_keys, table_values, False))
            if strength == NONE and _may_have_spaces(data, start, end):
                m = fold_line(data, start, end, classes, codes, True)
                if m > 2:
                    strength = classify_menu(codes, m, table_keys, table_values, True)
        i = start
        while i < end - 1 and data[i] == 32:
            i += 1
        if strength == STRONG or strength == WEAK and not 97 <= data[i] <= 122:  # labels in Latin letters begin with a capital
            strengths[line] = strength
            h = np.uint64(0)
            words = False
            for i in range(m):
                h = add_code(h, codes[i])
                words |= codes[i] > COUNT and codes[i] != 46
            hashes[line] = h if words else np.uint64(1)  # dates, times and pages are of one kind
    return strengths, hashes


@jit
def _judge_lines(data, line_offsets, first_line, strengths, hashes, classes):
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
            drop_menus(data, line_offsets, begin, end, strengths, hashes, falls)
            drop_lists(data, line_offsets, begin, end, hashes, classes, falls)
    return falls


def boilerplate_lines(cleaned: Cleaned, longest: int = LINE_CHARS) -> np.ndarray:
    """bool[lines]: which lines fall; none of more than `longest` characters, or of a key of more than 64.

    A line falls where it is an entry of the list `boilerplate`, or a row of entries of both lists (ホーム | 検索). One of `widgets` falls
    with two others, not of its own key, among the three lines before and after it. In a menu, a run of short lines of which enough
    are entries, what stands between entries falls with them. On a page with furniture of many kinds lists of labels fall (`menus.py`).
    """
    table = line_table()
    strengths, hashes = _classify_lines(
        cleaned.data, cleaned.line_offsets, u.character_classes(), letter_codes(), *table, longest
    )
    if not strengths.any():
        return np.zeros(len(strengths), bool)
    return _judge_lines(cleaned.data, cleaned.line_offsets, cleaned.first_line, strengths, hashes, label_classes())
