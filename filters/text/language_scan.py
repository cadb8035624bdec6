"""A scan of bytes that tells lines of kana and sentences in Latin letters apart, and leaves the other lines to `filters.text.language`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from filters.kernels import inline, jit
from filters.text.language import KANA_TO_HAN, TO_WORDS
from filters.text.language_script import SIGNS_OF_CODE

LEAST_WORDS = 5  # in Latin letters
SENTENCE_SHARE = 0.75  # of the visible characters: Latin letters in a line that is a sentence
MOST_SIGNS = 0.03  # of the visible characters: signs of programs in such a line

_SIGNS = np.zeros(256, np.uint8)
_SIGNS[[ord(c) for c in SIGNS_OF_CODE]] = 1
_FIELD, _CHUNK = 10, 1000  # bits of a field in `_byte_pairs`; bytes after which fields are read, before they run over


def _make_byte_pairs() -> np.ndarray:
    """Return uint64[256 * 256]: for a byte of UTF-8 after another, what it adds to six counts, which are fields of one number.

    They are visible characters, kana, Han, letters of other scripts, Latin letters without accents, and words of these after a space.
    """
    before, byte = np.arange(256)[:, None], np.arange(256)[None, :]
    is_letter = (np.arange(256) | 32 >= 97) & (np.arange(256) | 32 <= 122) & (np.arange(256) < 128)
    fields = [
        (byte > 32) & (byte & 0xC0 != 0x80),
        (before == 0xE3) & (byte >= 0x81) & (byte <= 0x83),
        (byte >= 0xE4) & (byte <= 0xE9),
        (byte >= 0xC3) & (byte <= 0xE1) | (byte >= 0xEA) & (byte <= 0xED),
        is_letter[byte],
        is_letter[byte] & np.isin(before, list(b"\n \"'(-")),
    ]
    out = np.zeros((256, 256), np.uint64)
    for k, field in enumerate(fields):
        out += field.astype(np.uint64) << np.uint64(_FIELD * k)
    return out.ravel()


_PAIRS = _make_byte_pairs()


class Scan(NamedTuple):
    """What a scan of bytes tells of the lines of n documents, and the lines that it leaves open."""

    japanese: np.ndarray  # int64[n]: visible characters in lines of kana and their Han
    latin: np.ndarray  # int64[n]: … in sentences of Latin letters
    open: np.ndarray  # int64[n]: … in lines that are left open
    starts: np.ndarray  # int64[open lines]
    ends: np.ndarray
    documents: np.ndarray


@inline
def _is_fence(data, start, end):
    """Whether a line begins with three grave accents, which code in Markdown begins and ends with."""
    return end - start >= 3 and data[start] == 96 and data[start + 1] == 96 and data[start + 2] == 96


@inline
def _is_indented(data, start, end):
    """Whether a line begins with four spaces, as code in Markdown does."""
    return end - start >= 4 and data[start] == 32 and data[start + 1] == 32 and data[start + 2] == 32 and data[start + 3] == 32


@jit
def _scan_lines(data, offsets, is_trusted, pairs, signs):
    mask = np.uint64((1 << _FIELD) - 1)
    n = len(offsets) - 1
    most = n
    for i in range(offsets[0], offsets[n]):
        most += data[i] == 10
    japanese, latin, unsettled = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    starts, ends, documents = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    k = 0
    for d in range(n):
        start = offsets[d]
        is_code = False
        while start < offsets[d + 1]:
            end: Any = start
            before: Any = 10
            visible = kana = han = others = letters = words = np.int64(0)
            is_in_line = True
            while is_in_line:
                counts, limit = np.uint64(0), min(end + _CHUNK, offsets[d + 1])
                while end < limit:
                    byte = np.int64(data[end])
                    if byte == 10:
                        break
                    counts += pairs[before * 256 + byte]
                    before = byte
                    end += 1
                visible += counts & mask
                kana += (counts >> np.uint64(_FIELD)) & mask
                han += (counts >> np.uint64(2 * _FIELD)) & mask
                others += (counts >> np.uint64(3 * _FIELD)) & mask
                letters += (counts >> np.uint64(4 * _FIELD)) & mask
                words += (counts >> np.uint64(5 * _FIELD)) & mask
                is_in_line = end < offsets[d + 1] and data[end] != 10
            is_code = is_code != _is_fence(data, start, end)
            is_japanese = is_trusted[d] and kana > 1 and kana >= KANA_TO_HAN * (kana + han)
            if is_japanese and max(TO_WORDS * words, 2 * others) <= kana + han:
                japanese[d] += visible
            elif kana + han + others == 0:
                is_sentence = words >= LEAST_WORDS and letters >= SENTENCE_SHARE * visible
                if is_sentence and not is_code and not _is_indented(data, start, end):
                    n_signs = 0
                    for i in range(start, end):
                        n_signs += signs[data[i]]
                    if n_signs <= MOST_SIGNS * visible:
                        latin[d] += visible
            else:
                unsettled[d] += visible
                starts[k], ends[k], documents[k] = start, end, d
                k += 1
            start = end + 1
    return japanese, latin, unsettled, starts[:k], ends[:k], documents[:k]


def scan_lines(data: np.ndarray, offsets: np.ndarray, is_trusted: np.ndarray) -> Scan:
    """Scan the lines of n documents. Kana make a line Japanese where `is_trusted` (bool[n]) says that they are no decoration."""
    return Scan(*_scan_lines(data, offsets, is_trusted, _PAIRS, _SIGNS))


@jit
def gather(data, starts, ends):
    """`(data, offsets)` of the stretches of text, one after the other."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    for i in range(len(starts)):
        offsets[i + 1] = offsets[i] + ends[i] - starts[i]
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(starts)):
        out[offsets[i] : offsets[i + 1]] = data[starts[i] : ends[i]]
    return out, offsets
