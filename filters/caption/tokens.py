"""What a caption is made of: navigation, words, emoji and ornaments."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from filters import unicode as u
from filters.caption import labels
from filters.caption.navigation import navigation_phrases
from filters.kernels import buffers, class_of, decode, inline, jit, mix64, slots_for, to_arrow

# Of the whole caption, and of its plain text (`filters.caption.labels`).
WHOLE = ("n_spaced_words", "n_emoji", "n_ornaments")
PLAIN = ("n_words", "n_repeated_words", "n_navigation_chars", "n_plain_letters")
WORDS = (*WHOLE, *PLAIN)
_SPACED, _EMOJI, _ORNAMENTS, _WORDS, _REPEATED, _NAVIGATION, _LETTERS = range(7)  # columns of the kernel's output
COUNTERS = (*labels.COUNTERS, *WORDS)

# Symbols below plane 1 that are shown as emoji by default (Unicode's Emoji_Presentation); others are only with U+FE0F after
# them.
_SMALL_EMOJI = (
    "⌚⌛⏩⏪⏫⏬⏰⏳◽◾☔☕♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓❔❕❗➕➖➗➰➿⬛⬜⭐⭕"
)
EMOJI = np.array(sorted(map(ord, _SMALL_EMOJI)), np.int32)
_JOINER, _EMOJI_STYLE, _KEYCAP = 0x200D, 0xFE0F, 0x20E3
_PARTICLE = 2  # a run of at most so many hiragana is a particle or an ending, not a word
_REFRAIN = 3  # so few words may all be one: 猫と猫と猫
_FEW = 16  # words that are compared one by one; more go through a table
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@inline
def _is_emoji(cp, emoji):
    if cp < 0x231A or 0x2B55 < cp < 0x1F000:
        return False
    if cp < 0x10000:
        at = np.searchsorted(emoji, cp)
        return at < len(emoji) and emoji[at] == cp
    # Pictographs of plane 1, less the five skin tones; flags are pairs of regional indicators.
    return (
        0x1F300 <= cp <= 0x1FAFF and not 0x1F3FB <= cp <= 0x1F3FF or cp == 0x1F004 or cp == 0x1F0CF or 0x1F18E <= cp <= 0x1F19A
    )


@inline
def _count_emoji(cp, before, counted, flag, emoji, row):
    """Count `cp` in `row`; return whether it counts as an emoji and whether it is the first half of a flag."""
    if 0x1F1E6 <= cp <= 0x1F1FF:
        row[_EMOJI] += not flag
        return True, not flag
    if cp == _EMOJI_STYLE:
        row[_EMOJI] += not counted
        return True, False
    if cp == _JOINER or cp == _KEYCAP or 0x1F3FB <= cp <= 0x1F3FF:
        return counted, False
    is_emoji = _is_emoji(cp, emoji)
    # What a joiner joins (a family, a profession) is one emoji.
    if is_emoji and not (before == _JOINER and counted):
        row[_EMOJI] += 1
    return is_emoji, False


@inline
def _count_repeated(hashes, m, table):
    """Count those of `m` hashes that came before; none of `_REFRAIN` hashes or fewer."""
    repeated = 0
    if m <= _REFRAIN:
        return repeated
    if m <= _FEW:
        for i in range(1, m):
            for j in range(i):
                if hashes[j] == hashes[i]:
                    repeated += 1
                    break
        return repeated
    mask = slots_for(m) - 1
    table[: mask + 1] = 0
    for i in range(m):
        s = np.int64(hashes[i]) & mask
        while table[s] != 0 and table[s] != hashes[i]:
            s = (s + 1) & mask
        repeated += table[s] != 0
        table[s] = hashes[i]
    return repeated


@inline
def _lower(cp):
    return cp + np.int32(32) if 65 <= cp <= 90 else cp


@inline
def _is_letter(k):
    return k <= u.LATIN or k == u.HANGUL


@inline
def _contains(table, key):
    """Whether the open-addressing set `table` contains `key`, which is not zero."""
    mask = len(table) - 1
    s = np.int64(key) & mask
    while table[s] != 0 and table[s] != key:
        s = (s + 1) & mask
    return table[s] == key


@jit
def _hash_letters(data, offsets, classes):
    """uint64[n]: a hash of the letters of each text, as `_count_words` computes it for parts of captions."""
    keys = np.zeros(len(offsets) - 1, np.uint64)
    for d in range(len(keys)):
        h = np.uint64(0)
        i = offsets[d]
        while i < offsets[d + 1]:
            cp, i = decode(data, i)
            if _is_letter(class_of(classes, cp)):
                h = (h + np.uint64(_lower(cp))) * _FACTOR
        keys[d] = mix64(h) | np.uint64(1)
    return keys


@lru_cache(maxsize=1)
def _navigation_set() -> np.ndarray:
    """The hashes of `navigation_phrases`, as an open-addressing set for `_contains`."""
    keys = np.unique(_hash_letters(*buffers(pl.Series(navigation_phrases())), u.character_classes()))
    table = np.zeros(slots_for(len(keys)), np.uint64)
    for key in keys:
        s = int(key) & (len(table) - 1)
        while table[s]:
            s = (s + 1) & (len(table) - 1)
        table[s] = key
    return table


@jit
def _count_words(data, offsets, classes, emoji, navigation):
    n = len(offsets) - 1
    out = np.zeros((n, len(WORDS)), np.int32)
    longest = 0
    for d in range(n):
        longest = max(longest, offsets[d + 1] - offsets[d])
    hashes = np.empty(longest + 1, np.uint64)
    table = np.zeros(slots_for(longest + 1), np.uint64)
    for d in range(n):
        row = out[d]
        i, end = offsets[d], offsets[d + 1]
        m = 0
        script: Any = -1  # of the word that is being read
        length, h = 0, np.uint64(0)
        part_letters, part = 0, np.uint64(0)  # of the part between spaces, punctuation, digits or symbols
        letters, caption = 0, np.uint64(0)  # of the whole caption
        covered = 0
        spaced = False
        before, flag = np.int32(-1), False  # the code point before; whether it is the first half of a flag
        counted = False  # whether the code point before counts as an emoji
        is_ornament = False  # whether it is another symbol
        while i <= end:
            if i < end:
                cp, i = decode(data, i)
                k = np.int64(class_of(classes, cp))
            else:
                cp, k, i = np.int32(10), np.int64(u.NEWLINE), end + 1
            # 縺, 繧 and 繝: the first bytes of kana in UTF-8, read as Shift_JIS.
            if k == u.SPACE or k == u.NEWLINE:
                row[_SPACED] += spaced
                spaced = False
            else:
                spaced = True
            if k > u.SPACE:
                # U+FE0F makes an emoji of the symbol before it.
                row[_ORNAMENTS] -= cp == _EMOJI_STYLE and is_ornament
                counted, flag = _count_emoji(cp, before, counted, flag, emoji, row)
                is_ornament = k == u.SYMBOL and not counted
                row[_ORNAMENTS] += is_ornament
            else:
                counted = flag = is_ornament = False
            before = cp
            if k == u.MARK and length:
                k = script
            if k != script:
                if length and (script != u.HIRAGANA or length > _PARTICLE):
                    hashes[m] = mix64(h + np.uint64(script + 1)) | np.uint64(1)
                    m += 1
                length, h = 0, np.uint64(0)
                script = k if _is_letter(k) else -1
                if script < 0 and part_letters:
                    if _contains(navigation, mix64(part) | np.uint64(1)):
                        covered += part_letters
                    part_letters, part = 0, np.uint64(0)
            if script >= 0:
                cp = _lower(cp)
                h = (h + np.uint64(cp)) * _FACTOR
                length += 1
                part = (part + np.uint64(cp)) * _FACTOR
                caption = (caption + np.uint64(cp)) * _FACTOR
                part_letters += 1
                letters += 1
        row[_WORDS] = m
        row[_LETTERS] = letters
        row[_REPEATED] = _count_repeated(hashes, m, table)
        # "back to top" is a phrase of several parts: it counts where it is the whole caption.
        row[_NAVIGATION] = letters if letters and _contains(navigation, mix64(caption) | np.uint64(1)) else covered
    return out


def count(
    data: np.ndarray, offsets: np.ndarray, plain: labels.Plain, wanted: Iterable[str] = COUNTERS
) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each. Those of `WORDS` are counted together. `plain`: of the same captions."""
    wanted = set(wanted)
    counters = labels.count_covered(pl.Series("caption", to_arrow(data, offsets)), wanted)
    if "n_label_chars" in wanted:
        counters["n_label_chars"] = plain.label_chars
    if wanted & set(WORDS):
        tables = u.character_classes(), EMOJI, _navigation_set()
        matrix = _count_words(data, offsets, *tables)
        if len(plain.changed):
            of_plain = _count_words(*buffers(plain.captions.gather(plain.changed)), *tables)
            matrix[plain.changed.to_numpy(), len(WHOLE) :] = of_plain[:, len(WHOLE) :]
        counters |= {name: matrix[:, i] for i, name in enumerate(WORDS)}
    return counters
