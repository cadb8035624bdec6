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

from filters.kernels import inline, jit
from filters.text.normalisation import normalise

LISTS = ("adult", "advertising")
# Text has いいね！する and いいね!する.
_WIDE_SIGNS = {cp: cp + 0xFEE0 for cp in range(0x21, 0x7E) if not chr(cp).isalnum()}
COUNTERS = tuple(f"n_{name}_phrase{what}" for name in LISTS for what in ("_chars", "s"))
SLOTS = 1 << 12  # small enough for a core's first cache
AMBIGUOUS = "?"  # begins the line of a phrase that means other things as well


class Automaton(NamedTuple):
    """The phrases of all lists for compiled code, those that begin alike next to one another, the longest first.

    `data`, `offsets`: their bytes. `first`, `ends`: by a hash of a phrase's first three bytes, where such phrases begin and end, -1 where
    there are none. `goes_on`: by that hash and the one of the next three bytes, whether a phrase begins so. `list_of`, `is_evidence`,
    `characters`: of each phrase.
    """

    data: np.ndarray
    offsets: np.ndarray
    first: np.ndarray
    ends: np.ndarray
    goes_on: np.ndarray
    list_of: np.ndarray
    is_evidence: np.ndarray
    characters: np.ndarray


@inline
def _slot(a, b, c):
    return (np.int64(a) << 11 ^ np.int64(b) << 6 ^ np.int64(c)) & (SLOTS - 1)


@jit
def _count_phrases(data, offsets, phrase_data, phrase_offsets, first, ends, goes_on, list_of, is_evidence, characters, lists):
    """For each document and list: characters in phrases, the longest first and none twice, and different phrases that are evidence."""
    n = len(offsets) - 1
    covered = np.zeros((n, lists), np.int32)
    different = np.zeros((n, lists), np.int32)
    seen_in = np.full(len(list_of), -1, np.int64)
    free = np.empty(lists, np.int64)  # where the next phrase of a list may begin
    for d in range(n):
        end = offsets[d + 1]
        free[:] = offsets[d]
        following = offsets[d]
        while following < end - 5:
            i = following
            b = data[i]
            following = i + (1 if b < 0x80 else 3 if b >= 0xE0 else 2)
            s = _slot(b, data[i + 1], data[i + 2])
            if first[s] < 0 or not goes_on[s ^ _slot(data[i + 3], data[i + 4], data[i + 5])]:
                continue
            for q in range(first[s], ends[s]):
                size = phrase_offsets[q + 1] - phrase_offsets[q]
                which = list_of[q]
                if i + size > end or i < free[which]:
                    continue
                k = 0
                while k < size and data[i + k] == phrase_data[phrase_offsets[q] + k]:
                    k += 1
                if k == size:
                    covered[d, which] += characters[q]
                    free[which] = i + size
                    if is_evidence[q] and seen_in[q] != d:
                        seen_in[q] = d
                        different[d, which] += 1
    return covered, different


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
            if len(entry) < 6:
                raise ValueError(
                    f"phrase {phrase!r} of the list {name} is too short: two kana or kanji, or six letters, are the least"
                )
            entries.append((int(_slot(*entry[:3])), -len(entry), entry, number, phrase not in ambiguous, len(phrase)))
    entries.sort()
    first, ends = np.full(SLOTS, -1, np.int32), np.zeros(SLOTS, np.int32)
    for place in range(len(entries) - 1, -1, -1):
        first[entries[place][0]] = place
    goes_on = np.zeros(SLOTS, np.bool_)
    for place, (slot, _, entry, *_) in enumerate(entries):
        ends[slot] = place + 1
        goes_on[slot ^ int(_slot(*entry[3:6]))] = True
    columns = list(zip(*entries, strict=True))
    offsets = np.concatenate([[0], np.cumsum([len(entry) for entry in columns[2]])]).astype(np.int64)
    return Automaton(
        np.frombuffer(b"".join(columns[2]), np.uint8),
        offsets,
        first,
        ends,
        goes_on,
        np.array(columns[3], np.int64),
        np.array(columns[4], np.bool_),
        np.array(columns[5], np.int32),
    )


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each: characters that the phrases of a list cover, and different phrases that are evidence.

    Overlapping phrases of one list count once, the longest first.
    """
    names = set(wanted) & set(COUNTERS)
    if not names:
        return {}
    covered, different = _count_phrases(data, offsets, *automaton(), len(LISTS))
    counters: dict[str, np.ndarray] = {}
    for i, name in enumerate(LISTS):
        counters |= {f"n_{name}_phrase_chars": covered[:, i], f"n_{name}_phrases": different[:, i]}
    return {name: counters[name] for name in COUNTERS if name in names}
