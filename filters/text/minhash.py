"""The key that near duplicates are compared by, and its MinHash signature (Broder 1997) over character 5-grams.

The key is the text without spaces, punctuation, decoration and width: NFKC, lower case, letters and digits, and the signs that
change what is said (`filters.text.signs`): 1.5 ≠ 15, C++ ≠ C#, ○ ≠ ×. No voicing mark is lost and kana are not folded, so か ≠ が and
か ≠ カ while ﾊﾞ = バ. A key shorter than one shingle has no signature: it is compared by its hash only. Exact duplicates are texts
that are equal as they are, and have a hash of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from filters.kernels import buffers, encode, jit, jit_helper, load_word, mix64, to_arrow
from filters.text.normalisation import normalise
from filters.text.signs import fill_key, key_table

SHINGLE = 5  # characters; see docs: 5 Japanese characters are two to three words
PERMUTATIONS = 112
SKETCH_BINS = 512  # deviation at a similarity of 0.8: 0.018
_TILE = 4096  # shingles hashed at a time, so that their hashes stay in the first-level cache
_EMPTY = np.uint32(0xFFFFFFFF)


def permutations(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers (odd) and addends of `count` permutations x → a·x + b mod 2^32, as uint32[count] each."""
    random = np.random.Generator(np.random.PCG64(seed))
    a = random.integers(0, 1 << 31, count, np.uint32) * np.uint32(2) + np.uint32(1)
    return a, random.integers(0, 1 << 32, count, np.uint32)


@jit_helper
def _hash_shingles(codes, total, multipliers, out):
    """Fill in uint32[total]: the hashes of the shingles of `codes`."""
    # A sum of products over a window: no step waits for the one before, so it runs in vectors. The finaliser is
    # murmur3's, without which shingles that differ by a constant would have hashes that do.
    for j in range(total):
        out[j] = 0
    for k in range(len(multipliers)):
        factor = multipliers[k]
        for j in range(total):
            out[j] += np.uint32(np.uint32(codes[j + k]) * factor)
    for j in range(total):
        x = out[j]
        x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        out[j] = x ^ (x >> np.uint32(16))


@jit_helper
def _hash_key(codes, m):
    """uint64: a hash of a key of `m` codes."""
    total = np.uint64(m)
    for i in range(m):
        x = (np.uint64(codes[i]) + np.uint64(i) * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        total += (x ^ (x >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    return mix64(total)


@jit_helper
def _hash_bytes(data, start, end):
    """uint64: a hash of bytes, eight at a time."""
    total = np.uint64(end - start)
    for i in range(start, end, 8):
        word = np.uint64(0)
        if i + 8 <= end:
            word = load_word(data, i)
        else:
            for k in range(end - i):
                word |= np.uint64(data[i + k]) << np.uint64(8 * k)
        x = (word + np.uint64(i - start) * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        total += (x ^ (x >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    return mix64(total)


@jit
def _sign(data, offsets, table, a, b, multipliers, bins):
    n = len(offsets) - 1
    shingle = len(multipliers)
    signatures = np.full((n, len(a)), _EMPTY, np.uint32)
    sketches = np.zeros((n, bins), np.uint8)
    least = np.empty(max(bins, 1), np.uint32)
    exact, keys = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    lengths = np.zeros(n, np.int32)
    longest = 0
    for d in range(n):
        longest = max(longest, offsets[d + 1] - offsets[d])
    codes = np.empty(longest + 64, np.int32)
    hashes = np.empty(_TILE, np.uint32)
    for d in range(n):
        m = fill_key(data, offsets[d], offsets[d + 1], table, codes)
        while m < 0:
            codes = np.empty(2 * len(codes), np.int32)
            m = fill_key(data, offsets[d], offsets[d + 1], table, codes)
        lengths[d] = m
        exact[d] = _hash_bytes(data, offsets[d], offsets[d + 1])
        # Of nothing but punctuation, decoration or spaces only the same text is a duplicate.
        keys[d] = _hash_key(codes, m) if m else exact[d]
        total = m - shingle + 1
        if total > 0:
            least[:] = _EMPTY
            for at in range(0, total, _TILE):
                size = min(_TILE, total - at)
                _hash_shingles(codes[at:], size, multipliers, hashes)
                _fill_minima(hashes, size, a, b, signatures[d])
                if bins:
                    _fill_bin_minima(hashes, size, least)
            for k in range(bins):
                if least[k] != _EMPTY:
                    sketches[d, k] = 1 + (mix64(np.uint64(least[k]) + np.uint64(1)) >> np.uint64(20)) % np.uint64(255)
    return signatures, exact, keys, lengths, sketches


@jit_helper
def _fill_minima(hashes, total, a, b, out):
    """Lower uint32[count] to the smallest of `total` hashes under every permutation."""
    # Eight shingles at a time against every permutation: the minima are loaded and stored once for eight. numba promotes
    # uint32 * uint32 to 64 bits, so without the casts nothing would wrap and the estimates would be biased.
    for j in range(0, total - 7, 8):
        h0, h1, h2, h3 = hashes[j], hashes[j + 1], hashes[j + 2], hashes[j + 3]
        h4, h5, h6, h7 = hashes[j + 4], hashes[j + 5], hashes[j + 6], hashes[j + 7]
        for k in range(len(a)):
            m, c = a[k], b[k]
            low = min(min(np.uint32(m * h0 + c), np.uint32(m * h1 + c)), min(np.uint32(m * h2 + c), np.uint32(m * h3 + c)))
            high = min(min(np.uint32(m * h4 + c), np.uint32(m * h5 + c)), min(np.uint32(m * h6 + c), np.uint32(m * h7 + c)))
            out[k] = min(out[k], min(low, high))
    for j in range(total - total % 8, total):
        for k in range(len(a)):
            out[k] = min(out[k], np.uint32(a[k] * hashes[j] + b[k]))


@jit_helper
def _fill_bin_minima(hashes, total, least):
    """Lower uint32[bins] to the smallest hash of every bin. The highest bits of a hash are its bin."""
    shift = np.uint32(32)
    width = len(least)
    while width > 1:
        shift -= np.uint32(1)
        width >>= 1
    low = np.uint32((np.uint32(1) << shift) - np.uint32(1))
    for j in range(total):
        at = hashes[j] >> shift
        least[at] = min(least[at], hashes[j] & low)


@jit_helper
def sketch_similarity(sketches, a, b):
    """Estimated Jaccard similarity of rows `a` and `b` of `sketches`, corrected for minima that agree by chance; 0 where both are empty."""
    equal = 0
    both = 0
    some = 0
    for k in range(sketches.shape[1]):
        x, y = sketches[a, k], sketches[b, k]
        filled = (x != 0) & (y != 0)
        both += filled
        some += (x | y) != 0
        equal += filled & (x == y)
    if some == 0:
        return 0.0
    matched = (equal - both / 255.0) / (1.0 - 1.0 / 255.0)
    return max(0.0, matched / some)


class Signatures(NamedTuple):
    """Signatures of n documents.

    `minima`: uint32[n, count], the minimum of every permutation over the key's character n-grams, all ones where the key is
    shorter than an n-gram: what candidates are found by. `exact`: uint64[n], a hash of the whole text. `keys`: uint64[n], a hash of
    the whole key. `lengths`: int32[n], characters of the key. `sketches`: uint8[n, bins], what candidates are verified by:
    one-permutation hashing (Li, Owen, Zhang 2012) without densification, the smallest hash of every bin reduced to 1 … 255, 0 for
    an empty bin. One operation a shingle buys an estimate with the deviation of `bins` independent hashes, or a smaller one where
    the key has fewer n-grams than bins.
    """

    minima: np.ndarray
    exact: np.ndarray
    keys: np.ndarray
    lengths: np.ndarray
    sketches: np.ndarray


def signatures(
    data: np.ndarray, offsets: np.ndarray, count: int = PERMUTATIONS, seed: int = 1, shingle: int = SHINGLE, bins: int = 0
) -> Signatures:
    """Signatures of n documents with `count` permutations; `bins` (a power of two, or 0 for none) is the width of the sketches."""
    a, b = permutations(count, seed)
    multipliers, _ = permutations(shingle, 0x5E1AA1)
    return Signatures(*_sign(data, offsets, key_table(), a, b, multipliers, bins))


@jit
def _write_keys(data, offsets, table, widest):
    n = len(offsets) - 1
    out = np.empty(len(data) * widest + 16, np.uint8)
    new_offsets = np.zeros(n + 1, np.int64)
    longest = 0
    for d in range(n):
        longest = max(longest, offsets[d + 1] - offsets[d])
    codes = np.empty(longest * widest + 8, np.int32)
    o = 0
    for d in range(n):
        for i in range(fill_key(data, offsets[d], offsets[d + 1], table, codes)):
            o = encode(out, o, codes[i])
        new_offsets[d + 1] = o
    return out[:o], new_offsets


def key(column: pl.Series) -> pl.Series:
    """The key itself as text, of raw or cleaned text, for looking at and for tests; the build hashes it without writing it out."""
    data, offsets = buffers(normalise(column))
    table = key_table()
    out, new_offsets = _write_keys(data, offsets, table, int(np.diff(table.starts).max()) * 2)
    return pl.Series(column.name, to_arrow(out, new_offsets))
