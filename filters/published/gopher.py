"""What Gopher's rules measure (Rae et al. 2021, arXiv:2112.11446, table A1), and FineWeb's, in the definitions of datatrove and FineWeb-2.

Words are Sudachi's short units, as in FineWeb-2's Japanese part. Of n-grams of 2 to 4 words the most frequent one counts with its spaces
between words; of 5 to 10 words those that stood before, without spaces, and the search goes on after such a one. Both are set against
the characters of the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import polars as pl

from filters.kernels import decode, jit, mix64, slots_for, to_arrow
from filters.published.ngrams import BASE, occurrences, was_seen
from filters.published.words import as_codes, sudachi_words

TOP_SIZES = (2, 3, 4)
REPEATED_SIZES = (5, 6, 7, 8, 9, 10)
# FineWeb-2, configs/jpn_Jpan.yml.
STOP_WORDS = tuple("のにをはたてがとで年し・月れさ")
# What datatrove takes for no word, where a word has nothing else: these, controls, and marks that end sentences.
_SIGNS = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"

LINE_COUNTERS = (
    "n_gopher_lines",
    "n_gopher_bullet_lines",  # lines that begin with • or -
    "n_gopher_ellipsis_lines",  # … that end with … or ...
    "n_gopher_filled_lines",  # … with anything but spaces
    "n_gopher_ended_lines",  # … of these, with a mark that ends sentences as the last character
    "n_gopher_written_lines",  # … with any character, a space too
    "n_gopher_duplicate_lines",  # … of these, which stood before, spaces and all
    "n_gopher_line_chars",
    "n_gopher_duplicate_line_chars",  # of duplicate lines with anything but spaces
    "n_gopher_newlines",
    "n_gopher_hashes",
    "n_gopher_ellipses",
)
(
    _LINES,
    _BULLETS,
    _ELLIPSIS_LINES,
    _FILLED,
    _ENDED,
    _WRITTEN,
    _DUPLICATES,
    _LINE_CHARS,
    _DUPLICATE_CHARS,
    _NEWLINES,
    _HASHES,
    _ELLIPSES,
) = range(len(LINE_COUNTERS))
WORD_COUNTERS = (
    "n_gopher_words",
    "n_gopher_plain_words",  # words that are not of signs alone
    "n_gopher_plain_word_chars",
    "n_gopher_letter_words",  # words with a letter
    "n_gopher_stop_words",  # different ones
    *(f"n_gopher_top_{size}gram" for size in TOP_SIZES),
    *(f"n_gopher_duplicate_{size}gram" for size in REPEATED_SIZES),
)
_TOP = WORD_COUNTERS.index("n_gopher_top_2gram")
COUNTERS = (*LINE_COUNTERS, *WORD_COUNTERS)


@lru_cache(maxsize=1)
def sentence_ends() -> np.ndarray:
    """The code points of Unicode's property Sentence_Terminal, ascending: int32. FineWeb's list is that property of an older Unicode."""
    every = [*range(0xD800), *range(0xE000, 0x20000)]
    is_end = pl.Series(map(chr, every)).str.contains(r"^\p{Sentence_Terminal}$")
    return np.array(every, np.int32)[is_end.to_numpy()]


@lru_cache(maxsize=1)
def _signs() -> frozenset[str]:
    controls = [*range(9), 11, 12, *range(13, 32), *range(127, 160)]
    return frozenset([*_SIGNS, *map(chr, controls), *map(chr, sentence_ends().tolist())])


@jit
def _count_lines(data, offsets, ends):
    n = len(offsets) - 1
    out = np.zeros((n, len(LINE_COUNTERS)), np.int32)
    for d in range(n):
        row = out[d]
        end = offsets[d + 1]
        i = offsets[d]
        first = last = np.int32(0)  # characters of the line that are no spaces
        final = np.int32(0)  # the last character
        dots = line_dots = length = 0
        line = np.uint64(0)
        newlines = 1
        for j in range(i, end):
            newlines += data[j] == 10
        slots = slots_for(newlines)
        keys, used = np.empty(slots, np.uint64), np.zeros(slots, np.bool_)
        while i <= end:
            if i < end:
                c, i = decode(data, i)
            else:
                c, i = np.int32(10), end + 1
            if c == 10:
                at_end = i > end
                if length or not at_end:
                    row[_LINES] += 1
                    row[_BULLETS] += first == 0x2022 or first == 45
                    row[_ELLIPSIS_LINES] += last == 0x2026 or line_dots >= 3
                if first:
                    row[_FILLED] += 1
                    at = np.searchsorted(ends, final)
                    row[_ENDED] += at < len(ends) and ends[at] == final
                if length:
                    row[_WRITTEN] += 1
                    row[_LINE_CHARS] += length
                    if was_seen(line, keys, used, slots - 1):
                        row[_DUPLICATES] += 1
                        row[_DUPLICATE_CHARS] += length if first else 0
                row[_NEWLINES] += not at_end
                line = np.uint64(0)
                first = last = final = np.int32(0)
                dots = line_dots = length = 0
                continue
            length += 1
            line = (line + np.uint64(c + 1)) * BASE
            final = c
            row[_HASHES] += c == 35
            row[_ELLIPSES] += c == 0x2026
            dots = dots + 1 if c == 46 else 0
            if dots and dots % 3 == 0:
                row[_ELLIPSES] += 1
            if c != 32 and c != 9 and c != 0x3000 and c != 0xA0:
                last = c
                line_dots = dots
                if not first:
                    first = c
    return out


@jit
def _slot_of(h, keys, mask):
    """The slot of a hash that `occurrences` counted."""
    s = np.int64(mix64(h)) & mask
    while keys[s] != h:
        s = (s + 1) & mask
    return s


@jit
def _count_word_ngrams(codes, starts, row):
    """Count the characters of repeated sequences of words."""
    words = len(starts) - 1
    hashes = np.empty(words, np.uint64)
    prefix = np.zeros(len(codes) + 1, np.uint64)
    powers = np.ones(len(codes) + 1, np.uint64)
    for w in range(words):
        word = np.uint64(0)
        for i in range(starts[w], starts[w + 1]):
            word = (word + np.uint64(codes[i] + 1)) * BASE
            prefix[i + 1] = prefix[i] * BASE + np.uint64(codes[i] + 1)
            powers[i + 1] = powers[i] * BASE
        hashes[w] = word * BASE + np.uint64(1)
    slots = slots_for(words)
    keys = np.empty(slots, np.uint64)
    counts = np.empty(slots, np.int32)
    h = hashes.copy()
    power = np.uint64(1)
    for size in range(2, 5):
        power *= BASE
        count = words - size + 1
        if count < 1:
            break
        for i in range(count):
            h[i] += hashes[i + size - 1] * power
        used = occurrences(h, count, keys, counts)
        most = 0
        for s in range(used):
            most = max(most, counts[s])
        # Of equally frequent ones, that which stands first.
        mask = used - 1
        for i in range(count):
            s = _slot_of(h[i], keys, mask)
            if counts[s] == most:
                row[_TOP + size - 2] = most * (starts[i + size] - starts[i] + size - 1)
                break
    for size in range(5, 11):
        seen = np.zeros(slots, np.bool_)
        i = repeated = 0
        while i < words - size + 1:
            first, last = starts[i], starts[i + size]
            if was_seen(prefix[last] - prefix[first] * powers[last - first], keys, seen, slots - 1):
                repeated += last - first
                i += size
            else:
                i += 1
        row[_TOP + size - 2] = repeated


def _count_words(texts: pl.Series) -> np.ndarray:
    out = np.zeros((len(texts), len(WORD_COUNTERS)), np.int32)
    signs, stop_words = _signs(), frozenset(STOP_WORDS)
    is_sign: dict[str, bool] = {}
    has_letter: dict[str, bool] = {}
    for row, text in zip(out, texts, strict=True):
        words = sudachi_words(text)
        for word in (different := set(words)) - is_sign.keys():
            is_sign[word] = signs.issuperset(word)
            has_letter[word] = any(map(str.isalpha, word))
        plain = [len(word) for word in words if not is_sign[word]]
        row[:5] = (
            len(words),
            len(plain),
            sum(plain),
            sum(has_letter[word] for word in words),
            len(different & stop_words),
        )
        if words:
            _count_word_ngrams(*as_codes(words), row)
    return out


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each. Words are cut only where they are needed.

    Raises ModuleNotFoundError where that is so and SudachiPy is not installed.
    """
    names = set(wanted)
    counters: dict[str, np.ndarray] = {}
    if names & {*LINE_COUNTERS}:
        matrix = _count_lines(data, offsets, sentence_ends())
        counters |= {name: matrix[:, i] for i, name in enumerate(LINE_COUNTERS)}
    if names & {*WORD_COUNTERS}:
        matrix = _count_words(pl.Series("text", to_arrow(data, offsets)))
        counters |= {name: matrix[:, i] for i, name in enumerate(WORD_COUNTERS)}
    return {name: values for name, values in counters.items() if name in names}
