"""What a caption is made of: navigation, file names, tags, prices, part numbers, words and emoji."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from filters import unicode as u
from filters.kernels import buffers, class_of, decode, inline, jit, mix64, slots_for, to_arrow
from filters.text.phrases import phrases

# Patterns of normalised text. `(?-u:\b)` is a boundary of ASCII words: Japanese may follow without a space.
_EXTENSIONS = "(?:jpe?g|jpe|jfif|png|gif|webp|bmp|tiff?|svg|ico|heic|heif|avif|psd|eps|pdf|raw|nef|cr2|mp4|mov|avi)"
_CAMERA = (
    "_?dsc[nfp]?|_?img[pg]?|imag|image|cimg|sany|pict?|pxl|mvi|vid|gopr|hpim|kimg|rimg|photo|picture|screenshot|capture|scan"
)
_UNITS = "(?:円|ドル|ユーロ|ウォン|ポンド|USD|JPY|EUR)"
_TAX = r"(?: ?[(（](?:税込み?|税抜き?|税別|本体価格)[)）]|\+税)?"
PATTERNS = {
    "n_file_name_chars": "|".join(
        [
            rf"(?i:(?:^|\s)[^\s]+\.{_EXTENSIONS})(?:\s|$)",
            rf"(?i:[A-Za-z0-9_()+%~./-]+\.{_EXTENSIONS})(?-u:\b)",
            rf"(?-u:\b)(?i:{_CAMERA})[-_]?[0-9]{{2,}}[0-9_-]*(?-u:\b)",
            r"(?-u:\b)(?:IMG|DSC[NF]?|PXL|FB_IMG)[ _][0-9]{2,}[0-9_]*",
            r"(?-u:\b)(?i:image|img)[0-9](?-u:\b)",
            r"(?-u:\b)P[0-9A-C][0-9]{6}(?-u:\b)",
            r"(?:スクリーンショット|画面キャプチャ|Screen ?[Ss]hot)[ _-]?\(?[0-9][0-9 ._:()-]*(?:at [0-9._:]+)?",
            r"(?-u:\b)[0-9]{8}[_-][0-9]{4,}(?-u:\b)",
            r"(?-u:\b)[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?-u:\b)",
            r"(?-u:\b)[0-9A-Fa-f]{16,}(?-u:\b)",
        ]
    ),
    "n_hashtag_chars": r"[#♯][\p{N}_]*\p{L}[\p{L}\p{M}\p{N}_]*|(?:^|\s)@[A-Za-z0-9_][A-Za-z0-9_.]*",
    "n_price_chars": "|".join(
        [
            rf"[¥$€£] ?[0-9][0-9,]*(?:\.[0-9]+)?(?:{_UNITS})?-?{_TAX}",
            rf"[0-9][0-9,.]*(?:[万千百億][0-9]*[0-9,]*)* ?{_UNITS}{_TAX}",
        ]
    ),
    "n_part_number_chars": "|".join(
        [
            r"(?-u:\b)B0[0-9A-Z]{8}(?-u:\b)",
            r"(?-u:\b)[0-9]{12,14}(?-u:\b)",
            r"(?-u:\b)[A-Z0-9]*[A-Z][A-Z0-9]*(?:[-/][A-Z0-9]+)*[-/][A-Z]*[0-9][A-Z0-9]*(?:[-/][A-Z0-9]+)*(?-u:\b)",
            r"(?-u:\b)[A-Z]+[0-9]{2,}[A-Z0-9]*(?:[-/][A-Z0-9]+)*(?-u:\b)",
            r"(?-u:\b)[0-9]+[A-Z]+[0-9][A-Z0-9]*(?:[-/][A-Z0-9]+)*(?-u:\b)",
        ]
    ),
}
WORDS = ("n_words", "n_repeated_words", "n_spaced_words", "n_emoji", "n_navigation_chars")
_WORDS, _REPEATED, _SPACED, _EMOJI, _NAVIGATION = range(5)  # columns of the kernel's output
COUNTERS = (*PATTERNS, *WORDS)

# Symbols below plane 1 that are shown as emoji by default (Unicode's Emoji_Presentation); others are only with U+FE0F after
# them.
_SMALL_EMOJI = (
    "⌚⌛⏩⏪⏫⏬⏰⏳◽◾☔☕♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓❔❕❗➕➖➗➰➿⬛⬜⭐⭕"
)
EMOJI = np.array(sorted(map(ord, _SMALL_EMOJI)), np.int32)
_JOINER, _EMOJI_STYLE, _KEYCAP = 0x200D, 0xFE0F, 0x20E3
_PARTICLE = 2  # a run of at most so many hiragana is a particle or an ending, not a word
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
    """Count those of `m` hashes that came before."""
    repeated = 0
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
    """The hashes of the list `navigation`, as an open-addressing set for `_contains`."""
    keys = np.unique(_hash_letters(*buffers(pl.Series(phrases("navigation"))), u.character_classes()))
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
        while i <= end:
            if i < end:
                cp, i = decode(data, i)
                k = np.int64(class_of(classes, cp))
            else:
                cp, k, i = np.int32(10), np.int64(u.NEWLINE), end + 1
            if k == u.SPACE or k == u.NEWLINE:
                row[_SPACED] += spaced
                spaced = False
            else:
                spaced = True
            if k > u.SPACE:
                counted, flag = _count_emoji(cp, before, counted, flag, emoji, row)
            else:
                counted = flag = False
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
        row[_REPEATED] = _count_repeated(hashes, m, table)
        # "back to top" is a phrase of several parts: it counts where it is the whole caption.
        row[_NAVIGATION] = letters if letters and _contains(navigation, mix64(caption) | np.uint64(1)) else covered
    return out


def _count_covered(column: pl.Series, pattern: str) -> np.ndarray:
    """Count the visible characters that matches of `pattern` cover."""
    covered = np.zeros(len(column), np.int32)
    rows = column.str.contains(pattern).arg_true()
    matches = column.gather(rows).str.extract_all(pattern).list.join("").str.replace_all(r"[\s\p{C}]", "")
    covered[rows.to_numpy()] = matches.str.len_chars().to_numpy()
    return covered


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each. Those of `WORDS` are counted together."""
    wanted = set(wanted)
    counters: dict[str, np.ndarray] = {}
    if wanted & PATTERNS.keys():
        column = pl.Series("caption", to_arrow(data, offsets))
        counters |= {name: _count_covered(column, pattern) for name, pattern in PATTERNS.items() if name in wanted}
    if wanted & set(WORDS):
        matrix = _count_words(data, offsets, u.character_classes(), EMOJI, _navigation_set())
        counters |= {name: matrix[:, i] for i, name in enumerate(WORDS)}
    return counters
