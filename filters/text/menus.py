"""Menus: runs of short lines that name things, on pages that have furniture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from filters.kernels import decode, jit
from filters.text.line_entries import NONE

ITEM = 20  # characters: longer lines are no items of a menu
MENU_ITEMS = 6  # lines of the shortest menu
MENU_GAP = 40  # items in a row between two lines that are furniture
MENU_SHARE = 10  # of so many lines of a menu one at the least is furniture
# On a page with furniture of so many kinds a run of labels is a list of links. Tuned on 30 pages (docs/benchmarks/boilerplate.md).
PAGE_KINDS = 5
PAGE_SHARE = 12  # of so many lines of such a page one at the least is furniture: tables of shops have fewer
LABEL = 30  # characters of the longest label
LABEL_DIGITS = 4  # more are a price, a date, a size
LIST = 6  # lines of the shortest list of labels
LIST_WITH_FURNITURE = 4  # … of one with furniture among them
LIST_SHARE = 20  # of so many lines of which one is furniture


_MARKUP = np.zeros(256, np.uint8)  # 1: a sign that only markup has, 2: one that may begin it
_MARKUP[[*b'{}=;"$\\_`']] = 1
_MARKUP[[*b"<("]] = 2

_BEGINNING, _END, _NEVER, _DIGIT, _QUANTITY, _HIRAGANA, _COLON = (1 << bit for bit in range(7))


@lru_cache(maxsize=1)
def label_classes() -> np.ndarray:
    """Return uint8[65536]: what characters are to a label, as bits."""
    classes = np.zeros(1 << 16, np.uint8)
    for bit, characters in (
        # Items of a text, quotations, headings and markup begin so.
        (_BEGINNING, "#|`<{}&@$\\\"'(（【■●◆◇□○・*＊「『※＜─-=第"),
        # Sentences end so, and lines that a sentence goes on from.
        (_END, "。．.！？!?…、，,;；をにがのではもて"),
        (_NEVER, "。、「」円¥￥%％=＝"),
        (_DIGIT, "0123456789"),
        (_COLON, ":："),
        (_QUANTITY, "個本枚杯片束缶袋人合切株丁玉匹羽gGlLcm々量宜"),  # 1個, 200g, 少々, 適量: ingredients
    ):
        classes[[*map(ord, characters)]] |= bit
    classes[0x3041:0x3097] |= _HIRAGANA
    return classes


@jit
def is_markup(data, start, end):
    """Whether a line is code, a row of a table or a heading of Markdown: what such say is content."""
    if end - start >= 2:
        first, second = data[start], data[start + 1]
        if first == 35 or first == 124 or first == second and (first == 47 or first == 42 or first == 96):  # # | // ** ``
            return True
        if first == 0xE2 and second == 0x94 or data[end - 1] == 40:  # a branch of a tree, a call that goes on
            return True
    for i in range(start, end):
        kind = _MARKUP[data[i]]
        if kind == 0:
            continue
        if kind == 1:
            return True
        if i + 1 < end:
            after = data[i + 1]
            if data[i] == 60 and (97 <= (after | 0x20) <= 122 or after == 47):  # <a </a
                return True
            if data[i] == 40 and after == 41:  # ()
                return True
    return False


@jit
def is_item(data, start, end):
    """Whether a line could be an item of a menu: short, without numbers and the signs of sentences (。 、 「 」)."""
    if is_markup(data, start, end) or data[start] == 45 or data[start] == 42:
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
def drop_menus(data, line_offsets, begin, end, strengths, hashes, falls):
    """Mark the items of menus: those between furniture in runs of items of which enough are furniture.

    A run is one of lines that could be items; furniture of at least three kinds has to be in it.
    """
    start = begin
    while start < end:
        stop, items, marks, previous = start, 0, 0, -1
        one = two = three = np.uint64(0)
        while stop < end:
            if line_offsets[stop + 1] - line_offsets[stop] > 1:
                if strengths[stop] == NONE and not is_item(data, line_offsets[stop], line_offsets[stop + 1] - 1):
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


@jit
def is_label(data, start, end, classes):
    """Return whether a line may name a link, whether it ends in hiragana, and whether it does in a colon, as names of fields do.

    Such a line is short, and neither begins nor ends as sentences and items of a text do. It has few digits, no price and no quantity.
    """
    if is_markup(data, start, end):
        return False, False, False
    characters = digits = 0
    before = kind = np.uint8(0)
    i = start
    while i < end:
        cp, i = decode(data, i)
        if cp == 32 or cp == 0x3000:
            continue
        before, kind = kind, classes[cp] if cp < 65536 else np.uint8(0)
        characters += 1
        if kind & _NEVER or characters == 1 and kind & _BEGINNING or characters > LABEL:
            return False, False, False
        digits += kind & _DIGIT != 0
    if characters == 0 or kind & _END or kind & _QUANTITY and before & (_DIGIT | _QUANTITY):
        return False, False, False
    may_name = digits <= LABEL_DIGITS and 2 * digits < characters
    return may_name, kind & _HIRAGANA != 0, kind & _COLON != 0


@jit
def _is_page(line_offsets, hashes, falls, begin, end):
    """Return whether furniture of `PAGE_KINDS` kinds falls, one of `PAGE_SHARE` lines at the least."""
    seen = np.empty(PAGE_KINDS, np.uint64)
    kinds = furniture = lines = 0
    for line in range(begin, end):
        lines += line_offsets[line + 1] - line_offsets[line] > 1
        if falls[line]:
            furniture += 1
            fresh = kinds < PAGE_KINDS
            for k in range(kinds):
                fresh &= seen[k] != hashes[line]
            if fresh:
                seen[kinds] = hashes[line]
                kinds += 1
    return kinds == PAGE_KINDS and furniture * PAGE_SHARE >= lines


@jit
def drop_lists(data, line_offsets, begin, end, hashes, classes, falls):
    """Mark runs of labels and furniture on a page that has furniture of many kinds.

    Verse stays: of the labels of a run at most half end in hiragana. So does a field with its value (都市: / 岡山県).
    """
    if not _is_page(line_offsets, hashes, falls, begin, end):
        return
    start = begin
    while start < end:
        stop, field = start, -1  # the latest line, where it is the name of a field
        furniture = labels = verse = 0
        while stop < end:
            if falls[stop]:
                furniture += 1
                field = -1
            elif line_offsets[stop + 1] - line_offsets[stop] > 1:
                may_name, ends_in_hiragana, is_field = is_label(data, line_offsets[stop], line_offsets[stop + 1] - 1, classes)
                if not may_name:
                    break
                if field >= 0 and not is_field:
                    labels -= 1
                    break
                field = stop if is_field else -1
                labels += 1
                verse += ends_in_hiragana
            stop += 1
        lines = furniture + labels
        has_furniture = lines >= LIST_WITH_FURNITURE and furniture * LIST_SHARE >= lines
        if (has_furniture or lines >= LIST) and 2 * verse <= labels:
            falls[start : field if field >= 0 and stop < end else stop] = True
        start = stop + 1
