"""Repetition inside a document: lines, paragraphs, character n-grams and how far they compress it.

Definitions follow Gopher (Rae et al. 2021, arXiv:2112.11446, table A1) with n-grams of *characters*, spaces left out, as
Swallow uses them for Japanese (arXiv:2404.17733): words would need a segmenter and change with its dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, inline, jit, jit_helper, mix64, slots_for, utf8_length

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
# n-grams are counted over at most this many visible characters of a document, so that scratch memory is bounded.
WINDOW = 1 << 20

COUNTERS = (
    "n_line_total",
    "n_line_chars",
    "n_duplicate_lines",
    "n_duplicate_line_chars",
    "n_paragraphs",
    "n_duplicate_paragraphs",
    "n_duplicate_paragraph_chars",
    "n_window",  # visible characters looked at
    "n_window_bytes",
    "n_lz_bytes",  # bytes that a greedy LZ77 parse of the window takes
    *(f"n_top_{n}gram" for n in TOP_SIZES),  # characters of the most frequent n-gram
    *(f"n_duplicate_{n}gram" for n in DUPLICATE_SIZES),  # characters covered by n-grams seen before
)
# Columns of the kernel's output.
(
    _LINES,
    _LINE_CHARS,
    _DUPLICATE_LINES,
    _DUPLICATE_LINE_CHARS,
    _PARAGRAPHS,
    _DUPLICATE_PARAGRAPHS,
    _DUPLICATE_PARAGRAPH_CHARS,
    _WINDOW,
    _WINDOW_BYTES,
    _LZ_BYTES,
    _TOP_2GRAM,
) = range(11)
_DUPLICATE_5GRAM = COUNTERS.index("n_duplicate_5gram")
_MATCH_COST = 3  # bytes of a back reference: a token and a 16-bit distance, as in LZ4
_B = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)


@inline
def _seen(table, mask, key):
    """Insert `key` (non-zero) into the open-addressing set `table`; return whether it was in it already."""
    s = np.int64(mix64(key)) & mask
    while table[s] != 0:
        if table[s] == key:
            return True
        s = (s + 1) & mask
    table[s] = key
    return False


@jit
def _count_repetition(data, offsets, classes, wanted_sizes):
    n = len(offsets) - 1
    out = np.zeros((n, len(COUNTERS)), np.int32)
    longest = 0
    for d in range(n):
        longest = max(longest, offsets[d + 1] - offsets[d])
    capacity = min(longest, WINDOW) + 16
    codes = np.empty(capacity, np.int32)
    h = np.empty(capacity, np.uint64)
    positions = np.empty(capacity, np.int32)
    slot_of = np.empty(capacity, np.int32)
    before = np.empty(capacity, np.int32)
    table = np.empty(slots_for(capacity), np.int32)
    tally = np.empty(slots_for(2 * capacity), np.int32)
    exact = np.empty(slots_for(capacity), np.int32)
    for d in range(n):
        row = out[d]
        m = _lines_and_window(data, offsets[d], offsets[d + 1], classes, codes, row)
        row[_WINDOW] = m
        size = 0
        for i in range(m):
            size += utf8_length(codes[i])
        row[_WINDOW_BYTES] = size
        if m >= 2:
            _count_ngrams(codes, m, h, positions, slot_of, before, table, tally, exact, wanted_sizes, row)
        else:
            row[_LZ_BYTES] = size
    return out


@jit
def _lines_and_window(data, start, end, classes, codes, row):
    """Count repeated lines and paragraphs; copy the visible characters to `codes` and return how many."""
    newlines = 1
    for i in range(start, end):
        newlines += data[i] == 10
    mask = slots_for(newlines) - 1
    lines = np.zeros(mask + 1, np.uint64)
    paragraphs = np.zeros(mask + 1, np.uint64)
    m = 0
    line_hash, line_chars = np.uint64(0), 0
    paragraph_hash, paragraph_chars = np.uint64(0), 0
    i = start
    while i <= end:
        if i < end:
            cp, i = decode(data, i)
        else:
            cp, i = np.int32(10), end + 1
        if cp == 10:
            if line_chars:
                row[_LINES] += 1
                row[_LINE_CHARS] += line_chars
                if _seen(lines, mask, line_hash | np.uint64(1)):
                    row[_DUPLICATE_LINES] += 1
                    row[_DUPLICATE_LINE_CHARS] += line_chars
                paragraph_hash = (paragraph_hash + line_hash) * _B + np.uint64(1)
                paragraph_chars += line_chars
            if (line_chars == 0 or i > end) and paragraph_chars:
                row[_PARAGRAPHS] += 1
                if _seen(paragraphs, mask, paragraph_hash | np.uint64(1)):
                    row[_DUPLICATE_PARAGRAPHS] += 1
                    row[_DUPLICATE_PARAGRAPH_CHARS] += paragraph_chars
                paragraph_hash, paragraph_chars = np.uint64(0), 0
            line_hash, line_chars = np.uint64(0), 0
            continue
        k = class_of(classes, cp)
        if k == u.SPACE or k == u.CONTROL:
            continue
        line_hash = (line_hash + np.uint64(cp)) * _B
        line_chars += 1
        # A drawn rule (-----) is not repetition of phrases: a run counts as three characters; `longest_run` measures runs.
        if m < WINDOW and not (m >= 3 and codes[m - 1] == cp and codes[m - 2] == cp and codes[m - 3] == cp):
            codes[m] = cp
            m += 1
    return m


@inline
def _keep_repeated(positions, slot_of, tally, count):
    """Keep those of `count` positions whose slot has more than one; return how many are kept."""
    kept = 0
    for p in range(count):
        positions[kept] = positions[p]
        kept += tally[slot_of[p]] > 1
    return kept


@inline
def _slot(table, mask, h, i):
    """The slot of `table` with the hash of position `i`, or the empty slot where it belongs."""
    s = np.int64((h[i] * _SPREAD) >> np.uint64(20)) & mask
    while table[s] >= 0 and h[table[s]] != h[i]:
        s = (s + 1) & mask
    return s


@inline
def _tally(h, count, slot_of, tally):
    """Count positions by slot of their hash, several hashes to a slot; return the fullest slot's count and a position in it."""
    slots = slots_for(2 * count)
    shift = np.uint64(64)
    width = slots
    while width > 1:
        shift -= np.uint64(1)
        width >>= 1
    for i in range(count):
        slot_of[i] = np.int32((h[i] * _SPREAD) >> shift)
    tally[:slots] = 0
    most = np.int32(0)
    at = 0
    for i in range(count):
        t = tally[slot_of[i]] + np.int32(1)
        tally[slot_of[i]] = t
        if t > most:
            most = t
            at = i
    return most, at


@inline
def _top_count(h, count, slot_of, tally, most, at, table, exact):
    """How often the most frequent hash occurs. `most` and `at` are what `_tally` returned."""
    same = 0
    for i in range(count):
        same += h[i] == h[at]
    if same == most:
        return same
    # The fullest slot is shared: count whole hashes in every slot that could hold something more frequent.
    candidates = 0
    for i in range(count):
        candidates += tally[slot_of[i]] > same
    slots = slots_for(candidates)
    table[:slots] = -1
    for i in range(count):
        if tally[slot_of[i]] > same:
            s = _slot(table, slots - 1, h, i)
            if table[s] < 0:
                table[s] = i
                exact[s] = 0
            exact[s] += 1
            same = max(same, exact[s])
    return same


@jit_helper
def _count_ngrams(codes, m, h, positions, slot_of, before, table, tally, exact, wanted_sizes, row):
    """Count top and duplicate n-grams for n = 2 … 10, and the bytes of a greedy LZ77 parse.

    Every position has its n-gram's hash. For n < 6, positions are tallied by slot of the hash, without a branch. The tallies
    say which hashes to compare in full: those of the fullest slot for the top n-gram, those of slots hit twice for duplicates.
    From n = 6 on, each size looks only at the positions that the size before it left, a small part of ordinary text, since an
    n-gram is repeated only where its (n-1)-gram is.
    """
    for i in range(m):
        before[i] = -1
        h[i] = np.uint64(codes[i])
    power = np.uint64(1)
    count = m
    for size in range(2, 6):
        power *= _B
        count = m - size + 1
        for i in range(count):
            h[i] += np.uint64(codes[i + size - 1]) * power
        if size < 5 and not wanted_sizes[size]:
            continue
        most, at = _tally(h, max(count, 0), slot_of, tally)
        if most < 2:
            count = 0
            break
        if size < 5:
            top = _top_count(h, count, slot_of, tally, most, at, table, exact)
            row[_TOP_2GRAM + size - 2] = min(top * size, m) if top > 1 else 0
    if count > 0:
        for i in range(count):
            positions[i] = i
        count = _keep_repeated(positions, slot_of, tally, count)
    for size in range(5, 11):
        if size > 5:
            power *= _B
            while count > 0 and positions[count - 1] + size > m:
                count -= 1
            for p in range(count):
                i = positions[p]
                h[i] += np.uint64(codes[i + size - 1]) * power
            if not wanted_sizes[size]:
                continue
        if count < 2:
            break
        slots = slots_for(count)
        table[:slots] = -1
        covered = 0
        covered_to = 0
        for p in range(count):
            i = positions[p]
            s = _slot(table, slots - 1, h, i)
            slot_of[p] = s
            if table[s] < 0:
                exact[s] = 1
            else:
                exact[s] += 1
                covered += i + size - max(i, covered_to)
                covered_to = i + size
                if size == 5:
                    before[i] = table[s]
            table[s] = i
        row[_DUPLICATE_5GRAM + size - 5] = covered
        if covered == 0:
            break
        count = _keep_repeated(positions, slot_of, exact, count)
    # Greedy LZ77 parse with the 5-gram matches found above: literals cost their UTF-8 bytes, a match _MATCH_COST.
    cost = 0
    i = 0
    while i < m:
        j = before[i]
        if j >= 0:
            length = 5
            while i + length < m and codes[j + length] == codes[i + length]:
                length += 1
            cost += _MATCH_COST
            i += length
        else:
            cost += utf8_length(codes[i])
            i += 1
    row[_LZ_BYTES] = cost


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each. Sizes of n-gram that are not asked for are not counted."""
    names = [name for name in COUNTERS if name in set(wanted)]
    wanted_sizes = np.array([f"n_duplicate_{size}gram" in names or f"n_top_{size}gram" in names for size in range(11)])
    matrix = _count_repetition(data, offsets, u.character_classes(), wanted_sizes)
    return {name: matrix[:, COUNTERS.index(name)] for name in names}
