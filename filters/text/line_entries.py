"""The entries of the lists `boilerplate` and `widgets`, in one hash table, and how well a line's key agrees with them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from filters import unicode as u
from filters.kernels import inline, jit_helper, mix64, slots_for
from filters.text.line_keys import BAR, COUNT, KEY, MORE, fold_line
from filters.text.phrases import narrow_phrases

STAR = 24  # codes that `*` stands for
ENDS = 4  # codes that a key is first looked at by
NONE, WEAK, STRONG = range(3)
# What four codes may be of an entry, or all of fewer: the whole of it, the first ones, the last ones backwards.
ALONE, FIRST, LAST = np.uint8(1), np.uint8(2), np.uint8(4)
_PLACEHOLDER = "\ua66e"  # a letter that no list has: stands for a star while an entry is folded
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_PART_BITS = 14  # a table that fits a core's first cache
_PART_SHIFT = np.uint64(64 - _PART_BITS)


class LineTable(NamedTuple):
    """The entries of both lists for compiled code.

    `keys`, `values`: an open-addressing table of hashes. The value of a whole key is its strength; of a beginning or an end its number;
    of a pair of numbers its strength, and 16 more where the star has no bound. `ends`: by `_quadruple`, whether an entry begins or ends
    with these codes (0 where there are fewer). `parts`: by the highest bits of a hash, whether it may be one of a beginning or an end,
    as `FIRST` and `LAST`. `longest`: codes of the longest beginning and end.
    """

    keys: np.ndarray  # uint64[slots]
    values: np.ndarray  # int32[slots]
    ends: np.ndarray  # uint8[65536]
    parts: np.ndarray  # uint8[1 << _PART_BITS]
    longest: np.ndarray  # int64[2]


@inline
def add_code(h, code):
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
def may_begin(codes, m, ends):
    """Whether an entry begins as a key of `m` codes (-1: of more than four) does: with the same four codes, or all of fewer."""
    b = codes[1] if m < 0 or m > 1 else 0
    c = codes[2] if m < 0 or m > 2 else 0
    d = codes[3] if m < 0 or m > 3 else 0
    a = codes[0]
    if ends[_quadruple(a, b, c, d)] & (FIRST | ALONE) and (d or ends[_quadruple(a, b, c, d)] & ALONE):
        return True
    return (ends[_quadruple(a, b, c, 0)] | ends[_quadruple(a, b, 0, 0)] | ends[_quadruple(a, 0, 0, 0)]) & FIRST != 0


@inline
def may_end(codes, m, ends):
    """Whether an entry ends as a key does: with the same four codes, or all of fewer."""
    a, b, c = codes[m - 1], codes[m - 2], codes[m - 3]
    return (
        ends[_quadruple(a, b, c, codes[m - 4])]
        | ends[_quadruple(a, b, c, 0)]
        | ends[_quadruple(a, b, 0, 0)]
        | ends[_quadruple(a, 0, 0, 0)]
    ) & LAST != 0


@inline
def _has_number(codes, m):
    for i in range(m):
        if codes[i] <= COUNT:
            return True
    return False


@jit_helper
def classify_key(codes, m, keys, values, parts, longest, numbers):
    """Strength of a key: that of an entry for the whole, or the greatest of those with a beginning and an end of it."""
    h = np.uint64(0)
    first_count = 0
    numbers[0, 0] = 0  # the empty beginning, and the empty end
    numbers[1, 0] = 0
    first_sizes, last_sizes = numbers[2], numbers[3]
    first_sizes[0] = last_sizes[0] = 0
    for i in range(m):
        h = add_code(h, codes[i])
        if i < longest[0] and i < m - 1 and first_count < 7 and parts[h >> _PART_SHIFT] & FIRST:
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
        h = add_code(h, codes[m - 1 - i])
        if not parts[h >> _PART_SHIFT] & LAST:
            continue
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


@jit_helper
def classify_menu(codes, m, keys, values, spaces):
    """Strength of a key whose parts between | and > are all entries, at least two; numbers are no evidence.

    One part of `boilerplate` makes it strong, or a number of parts that is no row of a table.
    """
    parts, most = 0, np.int32(NONE)
    h = np.uint64(0)
    size, numbers = 0, False
    for i in range(m + 1):
        if i == m or codes[i] == BAR or codes[i] == MORE:
            if size and not (size == 1 and numbers):
                strength = _find(keys, values, _salted(h, 0))
                if strength == NONE:
                    return NONE
                most = max(most, strength)
                parts += not numbers
            h, size, numbers = np.uint64(0), 0, False
        else:
            h = add_code(h, codes[i])
            size += 1
            numbers |= codes[i] <= COUNT
    if parts < 2:
        return NONE
    return STRONG if most == STRONG or parts >= (5 if spaces else 3) else WEAK


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


def _add_entry(
    entry: str,
    strength: int,
    table: dict[int, int],
    ends: np.ndarray,
    parts: np.ndarray,
    numbers: dict[tuple[int, ...], int],
) -> None:
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
            for separator in (BAR, MORE):
                ends[_quadruple(*(*codes, separator, 0, 0)[:ENDS])] |= FIRST
        return
    at = codes.index(ord(_PLACEHOLDER))
    first, last = tuple(codes[:at]), tuple(codes[at + 1 :])
    for salt, part in ((1, first), (2, last[::-1])):
        if part:
            parts[_hash(list(part)) >> int(_PART_SHIFT)] |= FIRST if salt == 1 else LAST
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
    ends, parts = np.zeros(0x10000, np.uint8), np.zeros(1 << _PART_BITS, np.uint8)
    numbers: dict[tuple[int, ...], int] = {}
    for name, strength in (("widgets", WEAK), ("boilerplate", STRONG)):
        for entry in narrow_phrases(name):
            _add_entry(entry, strength, entries, ends, parts, numbers)
            if strength == STRONG and entry.endswith(_SENTENCE):
                _add_entry(f"{entry}。", strength, entries, ends, parts, numbers)
    slots = slots_for(2 * len(entries))
    keys, values = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    for key, value in entries.items():
        s = (key >> 20) & (slots - 1)
        while keys[s]:
            s = (s + 1) & (slots - 1)
        keys[s], values[s] = key, value
    longest = np.array([max(len(part) - 1 for part in numbers if part[0] == salt) for salt in (1, 2)], np.int64)
    return LineTable(keys, values, ends, parts, longest)
