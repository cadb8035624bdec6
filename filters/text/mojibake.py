"""Mojibake: text that was written in one charset and read in another.

UTF-8 read as CP932 is 縺薙ｌ for これ, EUC-JP read as Latin-1 ¤³¤ì, and no rule on single characters tells them from a list of kanji or
of half-width kana. A pair of neighbouring characters has a weight (`lists/mojibake.npz`, made by `filters.text.train_mojibake`): above
zero where mojibake has it more often than text. Stretches whose weights add up to `EVIDENCE` are mojibake. ISO-2022-JP without its
escapes ($B$3$l(B) is told by its grammar. EUC-JP read as GBK keeps its kana and swaps its kanji: those that stand where rare kanji would
be common ones in EUC-JP are counted apart.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from filters.kernels import decode, jit, jit_helper, load_word, read_only

COUNTERS = ("n_mojibake", "n_raw_visible")
CLASSES = 256  # of characters
SCALE = 40  # of weights: units in one natural logarithm
EVIDENCE = 12 * SCALE  # of a stretch: four pairs at least
SWAPPED = 9 * SCALE  # evidence of swapped kanji: three at least
CALM = SCALE // 4  # of weights: less begins no stretch
SPOKEN = 2  # for mojibake, on average of all characters: fewer are not read for swapped kanji
DROP = 6 * SCALE  # a stretch ends where so much speaks against it
_CODES = 8  # fewest bytes of ISO-2022-JP: four characters
_KANA = 5  # fewest hiragana of UTF-16 in a row


class Tables(NamedTuple):
    """Classes of characters, uint8[65536]; weights of pairs of classes, int8[CLASSES, CLASSES] in `SCALE`ths; swaps, int8[65536]:

    how much more common a kanji of GBK is where its bytes are read as EUC-JP, in the same unit.
    """

    classes: np.ndarray
    weights: np.ndarray
    swaps: np.ndarray


@lru_cache(maxsize=1)
def mojibake_tables() -> Tables:
    with (files("filters") / "lists" / "mojibake.npz").open("rb") as file, np.load(file) as table:
        return Tables(*(np.ascontiguousarray(table[name]) for name in Tables._fields))


@lru_cache(maxsize=1)
def calm_characters() -> np.ndarray:
    """Return bool[65536]: kana, and characters that speak for mojibake by no more than `CALM` beside one another.

    No stretch begins between two of them, and most of a Japanese text is made of them.
    """
    tables = mojibake_tables()
    weights = tables.weights.astype(np.int32)
    calm = sorted({int(k) for k in tables.classes[[*range(0x3001, 0x3003), *range(0x3041, 0x3095), *range(0x30A1, 0x30FD)]]})
    others = [k for k in range(CLASSES) if k not in calm]
    for k in sorted(others, key=lambda k: int(np.maximum(weights[calm, k], weights[k, calm]).max())):
        both = [*calm, k]
        if weights[both, k].max() <= CALM and weights[k, both].max() <= CALM:
            calm.append(k)
    return np.isin(tables.classes, calm)


@jit_helper
def _end_of_jis(data, i, end):
    """Return the byte after ISO-2022-JP without escapes ($B$3$l(B) whose characters begin at byte `i`, or `i` where there is none."""
    j, kana = i, 0
    while j + 1 < end:
        if data[j] == 0x1B and data[j + 1] == 40:
            j += 1
        if data[j] == 40 and j + 1 < end and (data[j + 1] == 66 or data[j + 1] == 74):  # (B or (J
            return j + 2 if j - i >= _CODES and 8 * kana >= j - i else i
        # Rows of kana and signs, of the kanji that are common, and of the others.
        if not (0x21 <= data[j] <= 0x28 or 0x30 <= data[j] <= 0x74) or not 0x21 <= data[j + 1] <= 0x7E:
            return i
        kana += 2 * (data[j] == 0x24 or data[j] == 0x25 or data[j] == 0x21)
        j += 2
    return i


@jit_helper
def _end_of_utf16(data, i, end):
    """Return the byte after hiragana of UTF-16 read as ASCII (B0D0F0) from byte `i` on, or `i` where there are not `_KANA` of them."""
    j = i
    while j + 1 < end and data[j + 1] == 48 and (0x41 <= data[j] <= 0x7F or data[j] < 32 and data[j] not in (9, 10, 13)):
        j += 2
    return j if j - i >= 2 * _KANA else i


@jit_helper
def _end_of_codes(data, i, end):
    """Return the byte after ISO-2022-JP or UTF-16 that were read as ASCII and begin at byte `i`, or `i` where there is none."""
    if data[i] == 36 and i + 1 < end and (data[i + 1] == 66 or data[i + 1] == 64):  # $B or $@
        after = _end_of_jis(data, i + 2, end)
        return i if after == i + 2 else after
    if data[i] == 48 and i + 2 < end and data[i + 2] == 48:
        after = _end_of_utf16(data, i + 1, end)
        return i if after == i + 1 else after
    return i


@jit_helper
def _pass_over(data, i, end, row, classes, weights):
    """Return where text that begins no stretch ends, from byte `i` on, the row of `weights` there, and the visible characters before.

    Nearly all of a clean text is passed over here, so this does as little as will do. It ends at a pair that speaks for mojibake, at
    `$` and `0`, which may begin `_end_of_codes`, at characters of four bytes, and where fewer than eight bytes of `data` are left.
    """
    end = min(end, len(data) - 7)
    visible = 0
    while i < end:
        word = load_word(data, i)
        if word & np.uint64(0xC0C0F0) == np.uint64(0x8080E0):
            cp = (
                (word & np.uint64(0x0F)) << np.uint64(12)
                | (word >> np.uint64(8) & np.uint64(0x3F)) << np.uint64(6)
                | (word >> np.uint64(16) & np.uint64(0x3F))
            )
            kind = np.uint64(classes[cp])
            if weights[row | kind] > 0:
                break
            visible += cp != np.uint64(0x3000)
            i += 3
        elif word & np.uint64(0x80) == np.uint64(0):
            cp = word & np.uint64(0x7F)
            kind = np.uint64(classes[cp])
            if cp == np.uint64(36) or cp == np.uint64(48) or weights[row | kind] > 0:
                break
            visible += cp > np.uint64(32)
            i += 1
        elif word & np.uint64(0x20) == np.uint64(0):
            cp = (word & np.uint64(0x1F)) << np.uint64(6) | (word >> np.uint64(8) & np.uint64(0x3F))
            kind = np.uint64(classes[cp])
            if weights[row | kind] > 0:
                break
            visible += cp > np.uint64(0x9F)
            i += 2
        else:
            break
        row = kind << np.uint64(8)
    return i, row, visible


@jit_helper
def _is_plain(cp, calm):
    """Whether a character begins no stretch beside another one that is plain."""
    return cp < 0x80 or 0x3000 <= cp < 0xE000 and calm[cp]


@jit_helper
def _follows_plain(data, start, i, calm):
    """Whether the character before byte `i` of a document that begins at `start` is plain, as the beginning is."""
    if i == start:
        return True
    i -= 1
    while i > start and (data[i] & 0xC0) == 0x80:
        i -= 1
    return _is_plain(decode(data, i)[0], calm)


@jit
def count_mojibake(data, starts, ends, classes, table, calm, evidence):
    """Return int32[n, 3]: visible characters of mojibake, all visible ones, and the sum of what speaks for mojibake.

    The documents are `data[starts[d]:ends[d]]`.
    """
    out = np.zeros((len(starts), 3), np.int32)
    weights = table.ravel()
    for d in range(len(starts)):
        i, end = starts[d], ends[d]
        visible = found = 0
        newline = row = np.uint64(classes[10]) << np.uint64(8)  # row: of the character before, in `weights`
        total: Any = 0
        peak: Any = 0
        spoken: Any = 0
        first = last = 0  # visible characters before the stretch, and up to its peak
        while i < end:
            if total == 0:
                i, row, passed = _pass_over(data, i, end, row, classes, weights)
                visible += passed
                if i >= end:
                    break
            if data[i] == 36 or data[i] == 48:
                after = _end_of_codes(data, i, end)
                if after > i:
                    visible += after - i
                    found += after - i
                    i, row = after, newline
                    continue
            at = i
            cp, i = decode(data, i)
            visible += (cp > 32) & ((cp < 0x80) | (cp > 0x9F)) & (cp != 0x3000)
            kind = np.uint64(classes[min(cp, 0xFFFF)])
            weight = np.int64(weights[row | kind])
            row = kind << np.uint64(8)
            if total == 0:
                if weight > 0 and not (_is_plain(cp, calm) and _follows_plain(data, starts[d], at, calm)):
                    first = visible - 1
                    total = peak = weight
                    last = visible
                    spoken += weight
                continue
            total += weight
            spoken += max(weight, 0)
            if total > peak:
                peak, last = total, visible
            elif total <= 0 or total < peak - DROP:
                if peak >= evidence:
                    found += last - first
                total = peak = 0
        if peak >= evidence:
            found += last - first
        out[d, 0], out[d, 1], out[d, 2] = min(found, visible), visible, spoken
    return out


@jit_helper
def count_swapped(data, start, end, swaps):
    """Return the visible characters of stretches whose kanji are those of EUC-JP read as GBK. They have kana, which Chinese has not."""
    found = first = last = first_kana = last_kana = 0
    visible: Any = 0
    kana: Any = 0
    total: Any = 0
    peak: Any = 0
    i = start
    while i <= end:
        cp = np.int32(0)
        if i < end:
            cp, i = decode(data, i)
        else:
            i = end + 1
        visible += cp > 32 and cp != 0x3000
        kana += 0x3041 <= cp <= 0x30FF
        if cp and not 0x4E00 <= cp < 0xA000:
            continue
        weight = np.int32(swaps[cp]) if cp else np.int32(-total)
        if total == 0:
            first, first_kana = visible - 1, kana
        total += weight
        if total > peak:
            peak, last, last_kana = total, visible, kana
        elif total <= 0 or total < peak - DROP:
            if peak >= SWAPPED and _KANA * (last_kana - first_kana) >= last - first:
                found += last - first
            total = peak = 0
    return found


def count_spans(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> dict[str, np.ndarray]:
    """Count mojibake in the documents `data[starts[i]:ends[i]]`, which are valid UTF-8: int32[n] each."""
    tables = mojibake_tables()
    data, starts, ends = read_only(data), read_only(starts), read_only(ends)
    counts = count_mojibake(data, starts, ends, tables.classes, tables.weights, calm_characters(), EVIDENCE)
    for d in np.flatnonzero(counts[:, 2] >= SPOKEN * np.maximum(counts[:, 1], 1)):  # a twentieth of clean texts
        counts[d, 0] = max(counts[d, 0], count_swapped(data, starts[d], ends[d], tables.swaps))
    return {name: np.ascontiguousarray(counts[:, i]) for i, name in enumerate(COUNTERS)}


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Count mojibake in n documents: int32[n] each."""
    return count_spans(data, offsets[:-1], offsets[1:])
