"""Lines as what recurs over documents: a key for each, and whether it reads like an item of a menu rather than like prose.

A menu, a header or a footer is the same sequence of lines on page after page. `pipeline.dedup.recurring` counts such sequences over a
corpus, from the keys that are made here.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from filters.kernels import buffers, decode, inline, jit, jit_helper, load_word, mix64, to_arrow
from filters.text.normalisation import Cleaned, drop_lines, find_lines

LABEL_CHARS = 80  # of a label at most
_LABEL_BYTES = 3 * LABEL_CHARS
_BYTES_PER_LINE = 64  # fewer than most texts have: room for so many lines is made at first
# A key holds, from the lowest bit: whether the line is a label, whether it is prose, its characters (at most `MOST_CHARS`), the hash.
LABEL, PROSE = 1, 2
CHARS_AT, HASH_AT = 2, 18
MOST_CHARS = (1 << (HASH_AT - CHARS_AT)) - 1

_SPREAD = np.uint64(0x9FB21C651E98DF25)
_ONES = np.uint64(0x0101010101010101)
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_SPACE, _COUNT, _END, _BEGINNING, _NUMBERED, _LETTER = (1 << bit for bit in range(6))


def _classify() -> np.ndarray:
    """Return uint8[65536]: what characters are to a line, as bits."""
    classes = np.zeros(1 << 16, np.uint8)
    for bit, characters in (
        (_SPACE, " \t\u3000\xa0"),
        # What may follow the words of a line and vary: カテゴリー (12), コメント: 3.
        (_COUNT, "0123456789,.:%/()[]-+"),
        # A sentence, or a line of a sentence that is broken into several, ends so.
        (_END, "。．.！？!?…」』、，,;；をにがので"),
        # Markdown, tables, code, and headings in brackets as statutes have them begin so.
        (_BEGINNING, "#|`<{}>&@$\\\"'（(【附─-=*＊"),
        (_NUMBERED, "条章節款項編目"),  # 第三条 is a heading of a statute
    ):
        classes[[*map(ord, characters)]] |= bit
    for first, last in ((0x3041, 0x30FA), (0x4E00, 0x9FFF), (0x3005, 0x3005)):
        classes[first : last + 1] |= _LETTER
    return classes


_CLASSES = _classify()


@jit_helper
def _find_newline(data, i, end):
    """Return the first byte from `i` on that is a newline, or `end`. Eight bytes are looked at at a time (Warren 2012, 6-1)."""
    while i + 8 <= end:
        word = load_word(data, i) ^ _NEWLINES
        zeros = (word - _ONES) & ~word & (_ONES << np.uint64(7))
        if zeros:
            before = ((zeros & (~zeros + np.uint64(1))) - np.uint64(1)) & _ONES  # a bit for each byte up to the first
            return i + np.int64(before * _ONES >> np.uint64(56)) - 1
        i += 8
    while i < end and data[i] != 10:
        i += 1
    return i


@inline
def _class_of(cp, classes):
    return classes[cp] if cp < 65536 else np.uint8(0)


@jit_helper
def _look_at_ends(data, start, stop, classes):
    """Whether a line begins or ends like prose, and its bytes between spaces."""
    cp, begins, is_indented = np.int32(0), np.uint8(_SPACE), False
    while start < stop:
        cp, after = decode(data, start)
        begins = _class_of(cp, classes)
        if not begins & _SPACE:
            break
        is_indented = True  # as paragraphs are
        start = after
    if start >= stop:
        return True, start, start
    while True:
        last = stop - 1
        while (data[last] & 0xC0) == 0x80:
            last -= 1
        ends = _class_of(decode(data, last)[0], classes)
        if not ends & _SPACE:
            break
        stop = last
    is_heading = cp == 0x7B2C and ends & _NUMBERED
    is_prose = is_indented or begins & _BEGINNING or ends & _END or is_heading
    return is_prose, start, stop


@inline
def _mix(value, word):
    value = (value ^ word) * _SPREAD
    return value ^ value >> np.uint64(32)


@inline
def _count_continuing(word):
    """Count the bytes of a word that continue a character."""
    return (word >> np.uint64(7) & ~word >> np.uint64(6) & _ONES) * _ONES >> np.uint64(56)


@jit_helper
def _hash_bytes(data, start, stop):
    """Return a hash of bytes, and how many characters they are. Words are mixed into two numbers in turn, neither of which waits."""
    even = odd = np.uint64(stop - start)
    continuing = np.uint64(0)
    i = start
    while i + 16 <= stop:
        first, second = load_word(data, i), load_word(data, i + 8)
        continuing += _count_continuing(first) + _count_continuing(second)
        even, odd = _mix(even, first), _mix(odd, second)
        i += 16
    if i + 8 <= stop:
        word = load_word(data, i)
        continuing += _count_continuing(word)
        even = _mix(even, word)
        i += 8
    if i < stop:
        word = np.uint64(0)
        if i + 8 <= len(data):
            word = load_word(data, i) & (np.uint64(1) << np.uint64(8 * (stop - i))) - np.uint64(1)
        else:
            for k in range(i, stop):
                word |= np.uint64(data[k]) << np.uint64(8 * (k - i))
        continuing += _count_continuing(word)
        odd = _mix(odd, word)
    return mix64(even ^ mix64(odd)), stop - start - np.int64(continuing)


@jit_helper
def _hash_label(data, start, stop, classes):
    """A hash of a line without spaces and the count that it ends in; how many letters of Japanese, and how many characters it has."""
    value, before_count = np.uint64(0x9E3779B97F4A7C15), np.uint64(0)
    letters = chars = 0
    i = start
    while i < stop:
        cp, i = decode(data, i)
        chars += 1
        kind = _class_of(cp, classes)
        if kind & _SPACE:
            continue
        value = (value ^ np.uint64(cp)) * _SPREAD
        value ^= value >> np.uint64(32)
        if not kind & _COUNT:
            before_count = value
        letters += (kind & _LETTER) != 0
    return mix64(before_count if before_count else value), letters, chars


@jit_helper
def _count_ends(data, start, stop):
    count = 0
    for i in range(start, stop):
        count += (data[i] & 0xC0) != 0x80
    return count


@jit
def _line_keys(data, offsets, classes):
    n = len(offsets) - 1
    number = np.zeros(n, np.int32)
    keys = np.empty(n + (offsets[n] - offsets[0]) // _BYTES_PER_LINE, np.uint64)
    k = 0
    for d in range(n):
        start, end = offsets[d], offsets[d + 1]
        is_over = start == end
        while not is_over:
            stop = _find_newline(data, start, end)
            is_over = stop == end
            if k == len(keys):
                keys = np.concatenate((keys, np.empty(k, np.uint64)))
            keys[k] = 0
            reads_like_prose, first, last = _look_at_ends(data, start, stop, classes)
            if first < last:
                if not reads_like_prose and last - first <= _LABEL_BYTES:
                    value, letters, chars = _hash_label(data, first, last, classes)
                    kind = np.uint64(LABEL if letters >= 2 and chars <= LABEL_CHARS else 0)
                else:
                    value, chars = _hash_bytes(data, first, last)
                    is_japanese = 2 * (last - first) > 3 * chars  # of three-byte characters for the most part
                    kind = np.uint64(PROSE if reads_like_prose and is_japanese else 0)
                # Spaces at its ends, as before a paragraph, are of the text, though they tell no lines apart.
                chars += _count_ends(data, start, first) + _count_ends(data, last, stop)
                size = np.uint64(min(chars, MOST_CHARS))
                keys[k] = (
                    ((value | np.uint64(1 << 63)) >> np.uint64(HASH_AT) << np.uint64(HASH_AT))
                    | (size << np.uint64(CHARS_AT))
                    | kind
                )
            k += 1
            number[d] += 1
            start = stop + 1
    return keys[:k].copy(), number


def line_keys(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return uint64 keys of the lines of n documents, in order, and int32[n]: how many lines each has.

    The lines are those of `text.split("\n")`; an empty text has none. An empty line has the key 0. Equal lines have equal keys,
    whatever spaces and whatever count (as of カテゴリー (12)) they end in. The lowest bits say whether the line is a label: at most
    `LABEL_CHARS` characters with Japanese among them that neither end like a sentence nor begin like Markdown, code or a heading of a
    statute; and whether it is prose: Japanese that ends or begins so. Above them are its characters.
    """
    return _line_keys(data, offsets, _CLASSES)


@jit
def _mark_spans(first_line, span_offsets, spans, marks):
    for d in range(len(first_line) - 1):
        for s in range(span_offsets[d], span_offsets[d + 1], 2):
            for line in range(spans[s], min(spans[s + 1], first_line[d + 1] - first_line[d] - 1) + 1):
                marks[first_line[d] + line] = True


def remove_spans(texts: pl.Series, spans: pl.Series) -> tuple[pl.Series, pl.Series]:
    r"""Return n documents without some of their lines, and these lines, those of all documents one after another.

    `spans` (lists of int32) are numbers of lines of a document, the first and the last of each span after one another. Of empty lines
    around what is removed one is left, and they are not among the removed.

    >>> texts, removed = remove_spans(pl.Series(["トップ\n会社概要\n\n吾輩は猫である。"]), pl.Series([[0, 1]]))
    >>> texts.item(), removed.to_list()
    ('吾輩は猫である。', ['トップ', '会社概要'])
    """
    data, offsets = buffers(texts)
    span_offsets = np.concatenate([[0], np.cumsum(spans.list.len().to_numpy(), dtype=np.int64)])
    lines, first_line = find_lines(data, offsets)
    marks = np.zeros(len(lines) - 1, np.bool_)
    _mark_spans(first_line, span_offsets, spans.explode().drop_nulls().cast(pl.Int32).to_numpy(), marks)
    nothing = np.zeros(len(offsets) - 1, np.int32)
    cleaned = Cleaned(data, offsets, lines, first_line, nothing - 1, nothing)
    removed = pl.Series("line", to_arrow(data, lines)).filter(marks).str.strip_chars()
    left = drop_lines(cleaned, marks)
    return pl.Series(texts.name, to_arrow(*left[:2]), pl.String), removed.filter(removed != "")
