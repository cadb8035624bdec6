"""What Swallow Corpus v1 measures (Okazaki et al. 2024, arXiv:2404.17733; swallow-corpus `quality.py`), in one pass over characters.

Letters are code points, spaces and line ends among them. A paragraph is a line, an empty one too. A sentence is a stretch of a line
up to one mark of 。．！？!?; further marks right after it belong to nothing. n-grams run over the whole text.

Two things differ from the original: Han beyond U+FFFF count as kanji, and n-grams are counted over the first 2^20 letters, which bounds
memory.
"""

from __future__ import annotations

import numpy as np

from filters.kernels import jit, slots_for
from filters.published.ngrams import BASE, code_points, extend, make_buffers, occurrences, was_seen

WINDOW = 1 << 20
TOP_SIZES = (2, 3, 4)
REPEATED_SIZES = (5, 6, 7, 8, 9, 10)

COUNTERS = (
    *("n_swallow_hiragana", "n_swallow_katakana", "n_swallow_kanji", "n_swallow_marks"),  # marks: 、，。．！？
    *("n_swallow_paragraphs", "n_swallow_repeated_paragraphs", "n_swallow_repeated_paragraph_chars"),
    *("n_swallow_sentences", "n_swallow_repeated_sentences", "n_swallow_repeated_sentence_chars", "n_swallow_sentence_chars"),
    *("n_swallow_longest_sentence", "n_swallow_ellipses"),
    *(f"n_swallow_{size}grams" for size in TOP_SIZES),
    *(f"n_swallow_top_{size}gram" for size in TOP_SIZES),
    *(f"n_swallow_distinct_{size}grams" for size in REPEATED_SIZES),
    *(f"n_swallow_repeated_{size}grams" for size in REPEATED_SIZES),
)
(
    _HIRAGANA,
    _KATAKANA,
    _KANJI,
    _MARKS,
    _PARAGRAPHS,
    _REPEATED_PARAGRAPHS,
    _REPEATED_PARAGRAPH_CHARS,
    _SENTENCES,
    _REPEATED_SENTENCES,
    _REPEATED_SENTENCE_CHARS,
    _SENTENCE_CHARS,
    _LONGEST_SENTENCE,
    _ELLIPSES,
    _NGRAMS,
) = range(14)
_TOP = COUNTERS.index("n_swallow_top_2gram")
_DISTINCT = COUNTERS.index("n_swallow_distinct_5grams")
_REPEATED = COUNTERS.index("n_swallow_repeated_5grams")


@jit
def _count_swallow(data, offsets):
    n = len(offsets) - 1
    out = np.zeros((n, len(COUNTERS)), np.int32)
    codes, h, keys, counts = make_buffers(offsets, WINDOW)
    for d in range(n):
        m = code_points(data, offsets[d], offsets[d + 1], codes)
        _count_letters(codes, m, out[d])
        _count_lines(codes, m, out[d])
        _count_ngrams(codes, min(m, WINDOW), h, keys, counts, out[d])
    return out


@jit
def _count_letters(codes, m, row):
    for i in range(m):
        c = codes[i]
        if 0x3041 <= c <= 0x3096:
            row[_HIRAGANA] += 1
        elif 0x30A1 <= c <= 0x30FA:
            row[_KATAKANA] += 1
        elif (
            0x3400 <= c <= 0x9FFF
            or 0xF900 <= c <= 0xFAFF
            or 0x20000 <= c <= 0x323AF
            or c == 0x3005
            or c == 0x3007
            or c == 0x303B
        ):
            row[_KANJI] += 1
        elif c == 0x3001 or c == 0xFF0C or c == 0x3002 or c == 0xFF0E or c == 0xFF01 or c == 0xFF1F:
            row[_MARKS] += 1


@jit
def _count_lines(codes, m, row):
    """Count paragraphs and sentences, and those that stood before."""
    ends = 1
    for i in range(m):
        c = codes[i]
        ends += c == 10 or c == 0x3002 or c == 0xFF0E or c == 0xFF01 or c == 0xFF1F or c == 33 or c == 63
    slots = slots_for(ends)
    paragraph_keys, paragraph_used = np.empty(slots, np.uint64), np.zeros(slots, np.bool_)
    sentence_keys, sentence_used = np.empty(slots, np.uint64), np.zeros(slots, np.bool_)
    paragraph, paragraph_chars = np.uint64(0), 0
    sentence, chars = np.uint64(0), 0
    last = np.int32(0)  # of the sentence, spaces left out
    for i in range(m + 1):
        c = codes[i] if i < m else np.int32(10)
        is_mark = c == 0x3002 or c == 0xFF0E or c == 0xFF01 or c == 0xFF1F or c == 33 or c == 63
        if c != 10 and not (is_mark and chars == 0):
            sentence = (sentence + np.uint64(c + 1)) * BASE
            paragraph = (paragraph + np.uint64(c + 1)) * BASE
            chars += 1
            paragraph_chars += 1
            if c != 32 and c != 9 and c != 0x3000 and c != 0xA0:
                last = c
        if chars and (is_mark or c == 10):
            row[_SENTENCES] += 1
            row[_SENTENCE_CHARS] += chars
            row[_LONGEST_SENTENCE] = max(row[_LONGEST_SENTENCE], chars)
            row[_ELLIPSES] += last == 0x30FB or last == 0x2026
            if was_seen(sentence, sentence_keys, sentence_used, slots - 1):
                row[_REPEATED_SENTENCES] += 1
                row[_REPEATED_SENTENCE_CHARS] += chars
            sentence, chars, last = np.uint64(0), 0, np.int32(0)
        if c == 10:
            row[_PARAGRAPHS] += 1
            if was_seen(paragraph, paragraph_keys, paragraph_used, slots - 1):
                row[_REPEATED_PARAGRAPHS] += 1
                row[_REPEATED_PARAGRAPH_CHARS] += paragraph_chars
            paragraph, paragraph_chars = np.uint64(0), 0


@jit
def _count_ngrams(codes, m, h, keys, counts, row):
    """Count n-grams: how many there are and the most frequent one (2 to 4), how many different ones and repeated ones (5 to 10)."""
    for i in range(m):
        h[i] = np.uint64(codes[i] + 1)
    power = np.uint64(1)
    for size in range(2, 11):
        power *= BASE
        count = max(m - size + 1, 0)
        extend(h, codes, count, size, power)
        slots = occurrences(h, count, keys, counts)
        most = distinct = repeated = 0
        for s in range(slots):
            most = max(most, counts[s])
            distinct += counts[s] > 0
            repeated += counts[s] > 1
        if size < 5:
            row[_NGRAMS + size - 2] = count
            row[_TOP + size - 2] = most
        else:
            row[_DISTINCT + size - 5] = distinct
            row[_REPEATED + size - 5] = repeated


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Every counter of `COUNTERS` for n documents: int32[n] each."""
    matrix = _count_swallow(data, offsets)
    return {name: matrix[:, i] for i, name in enumerate(COUNTERS)}
