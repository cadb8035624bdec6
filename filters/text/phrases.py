"""Phrase lists: how much of a document is made of listed phrases, and how many different ones, in one pass for all lists.

A list is a UTF-8 file in `filters/lists/`, one phrase a line, `#` for comments. Phrases are matched in normalised text. One that begins
with `?` means other things as well: it covers characters as the others do, but is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import polars as pl

from filters.kernels import inline, jit, jit_helper, load_word
from filters.text.normalisation import normalise

LISTS = ("adult", "advertising")
# Text has いいね！する and いいね!する.
_WIDE_SIGNS = {cp: cp + 0xFEE0 for cp in range(0x21, 0x7E) if not chr(cp).isalnum()}
# Characters in phrases, different phrases that are evidence, and different phrases of any kind.
COUNTERS = tuple(f"n_{name}_{what}" for name in LISTS for what in ("phrase_chars", "phrases", "terms"))
HEAD = 6  # bytes: what a phrase is looked for by, and the length of the shortest
HEAD_BITS = 16  # of its hash: few phrases share one with other text
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio (Knuth 1998, 6.4)
AMBIGUOUS = "?"  # begins the line of a phrase that means other things as well


class Automaton(NamedTuple):
    """The phrases of all lists for compiled code, those that begin alike next to one another, the longest first.

    `data`, `offsets`: their bytes. By a hash of a phrase's first six bytes, `begins`: whether a phrase begins so, `first`, `ends`: where
    such phrases begin and end, -1 where there are none. `list_of`, `is_evidence`, `characters`: of each phrase.
    """

    data: np.ndarray
    offsets: np.ndarray
    first: np.ndarray
    ends: np.ndarray
    begins: np.ndarray
    list_of: np.ndarray
    is_evidence: np.ndarray
    characters: np.ndarray


@inline
def _head_slot(word):
    """Return the slot in `begins` of the first six bytes of a word."""
    return (word << np.uint64(16)) * _SPREAD >> np.uint64(64 - HEAD_BITS)


@jit_helper
def _read_word(data, i):
    """Return what `load_word` does, with zeros for what lies behind the end of `data`."""
    word = np.uint64(0)
    for k in range(min(8, len(data) - i)):
        word |= np.uint64(data[i + k]) << np.uint64(8 * k)
    return word


@jit_helper
def _find_head(data, i, last, begins):
    """Return the first byte from `i` to `last` near which a phrase may begin: there, or at one of the two bytes after it.

    Every byte is looked at, not every character: where characters begin cannot be foreseen, which costs more than looking. The heads at
    three bytes lie in one word.
    """
    words_end = min(last + 1, len(data) - 7)
    while i < words_end:
        word = load_word(data, i)
        first, second, third = _head_slot(word), _head_slot(word >> np.uint64(8)), _head_slot(word >> np.uint64(16))
        if begins[first] | begins[second] | begins[third]:
            return i
        i += 3
    while i <= last and not begins[_head_slot(_read_word(data, i))]:
        i += 1
    return i


@jit
def _count_phrases(data, offsets, phrase_data, phrase_offsets, first, ends, begins, list_of, is_evidence, characters, lists):
    """Return int32[n, lists] each: characters in phrases, the longest first, none twice; different phrases that are evidence; all."""
    n = len(offsets) - 1
    covered = np.zeros((n, lists), np.int32)
    evidence = np.zeros((n, lists), np.int32)
    different = np.zeros((n, lists), np.int32)
    seen_in = np.full(len(list_of), -1, np.int64)
    free = np.empty(lists, np.int64)  # where the next phrase of a list may begin
    for d in range(n):
        start, end = offsets[d], offsets[d + 1]
        last = end - HEAD  # the last byte that a phrase may begin at
        free[:] = start
        following = start
        while True:
            i = _find_head(data, following, last, begins)
            if i > last:
                break
            following = i + 3
            for at in range(i, min(i + 2, last) + 1):
                s = _head_slot(_read_word(data, at))
                if first[s] < 0:
                    continue
                for q in range(first[s], ends[s]):
                    size = phrase_offsets[q + 1] - phrase_offsets[q]
                    which = list_of[q]
                    if at + size > end or at < free[which]:
                        continue
                    k = 0
                    while k < size and data[at + k] == phrase_data[phrase_offsets[q] + k]:
                        k += 1
                    if k == size:
                        covered[d, which] += characters[q]
                        free[which] = at + size
                        if seen_in[q] != d:
                            seen_in[q] = d
                            different[d, which] += 1
                            evidence[d, which] += is_evidence[q]
    return covered, evidence, different


@lru_cache(maxsize=8)
def listed(name: str) -> tuple[str, ...]:
    """The lines of list `name` as they stand, without comments."""
    lines = (files("filters") / "lists" / f"{name}.txt").read_text("utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


@lru_cache(maxsize=8)
def phrases(name: str) -> tuple[str, ...]:
    """The phrases of list `name` as cleaned text has them, with narrow and with full-width signs, longest first."""
    return tuple(sorted(_add_wide_signs(narrow_phrases(name)), key=len, reverse=True))


@lru_cache(maxsize=8)
def narrow_phrases(name: str) -> tuple[str, ...]:
    """The phrases of list `name`, normalised with every sign narrow, longest first: for keys in which width is nothing."""
    return tuple(sorted(_fold(listed(name)), key=len, reverse=True))


def _fold(lines: Iterable[str]) -> dict[str, None]:
    plain = pl.Series([line.removeprefix(AMBIGUOUS) for line in lines], dtype=pl.String)
    return dict.fromkeys(normalise(plain, width="fold"))


def _add_wide_signs(narrow: Iterable[str]) -> dict[str, None]:
    narrow = list(narrow)
    return dict.fromkeys([*narrow, *(phrase.translate(_WIDE_SIGNS) for phrase in narrow)])


@lru_cache(maxsize=1)
def automaton() -> Automaton:
    """Return the phrases of every list of `LISTS`, ready to be searched for."""
    entries = []
    for number, name in enumerate(LISTS):
        ambiguous = _add_wide_signs(_fold(line for line in listed(name) if line.startswith(AMBIGUOUS)))
        for phrase in phrases(name):
            entry = phrase.encode()
            if len(entry) < HEAD:
                raise ValueError(
                    f"phrase {phrase!r} of the list {name} is too short: two kana or kanji, or six letters, are the least"
                )
            slot = int(_head_slot(np.uint64(_read_word(np.frombuffer(entry, np.uint8), 0))))
            entries.append((slot, -len(entry), entry, number, phrase not in ambiguous, len(phrase)))
    entries.sort()
    first, ends = np.full(1 << HEAD_BITS, -1, np.int32), np.zeros(1 << HEAD_BITS, np.int32)
    for place in range(len(entries) - 1, -1, -1):
        first[entries[place][0]] = place
    for place, (slot, *_) in enumerate(entries):
        ends[slot] = place + 1
    begins = first >= 0
    columns = list(zip(*entries, strict=True))
    offsets = np.concatenate([[0], np.cumsum([len(entry) for entry in columns[2]])]).astype(np.int64)
    return Automaton(
        np.frombuffer(b"".join(columns[2]), np.uint8),
        offsets,
        first,
        ends,
        begins,
        np.array(columns[3], np.int64),
        np.array(columns[4], np.bool_),
        np.array(columns[5], np.int32),
    )


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """Return the counters named in `wanted`, int32[n] each.

    Overlapping phrases of one list count once, the longest first.
    """
    names = set(wanted) & set(COUNTERS)
    if not names:
        return {}
    counts = _count_phrases(data, offsets, *automaton(), len(LISTS))
    counters = dict(zip(COUNTERS, (each[:, i] for i in range(len(LISTS)) for each in counts), strict=True))
    return {name: counters[name] for name in COUNTERS if name in names}
