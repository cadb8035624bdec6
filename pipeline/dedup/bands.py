"""Banding: documents with a band of their signatures in common are candidates.

How many bands of how many values (`banding`), the keys of a document (`band_keys`), and the key ranges, of which one task looks at one
(`range_of`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from filters.kernels import jit, mix64
from pipeline.dedup.settings import MinHashTable

# Band keys of one key range: 32 MB of keys and documents, three times as much while they are sorted.
ROWS_PER_RANGE = 2_000_000


@lru_cache(maxsize=8)
def bands_and_rows(threshold: float, permutations: int) -> tuple[int, int]:
    """Return the bands and rows that are best for a Jaccard threshold: those that datasketch's MinHashLSH finds for the same weights.

    A pair of similarity s is a candidate with probability 1 - (1 - s^rows)^bands. Least is the sum of 0.1 times the integral of that
    below the threshold (false candidates) and 0.9 times the integral of its complement above (misses). A false candidate costs one
    comparison, since every pair is verified; a missed pair stays in the corpus. The integrands are polynomials of a degree of at most
    `permutations`, so that Gauss-Legendre quadrature with half as many nodes is exact.
    """
    nodes, weights = np.polynomial.legendre.leggauss(permutations // 2 + 1)
    below, above = (nodes + 1) / 2 * threshold, threshold + (nodes + 1) / 2 * (1 - threshold)
    best, least = (0, 0), float("inf")
    for bands in range(1, permutations + 1):
        for rows in range(1, permutations // bands + 1):
            false_candidates = float(threshold / 2 * weights @ (1 - (1 - below**rows) ** bands))
            misses = float((1 - threshold) / 2 * weights @ (1 - above**rows) ** bands)
            if (error := 0.1 * false_candidates + 0.9 * misses) < least:
                best, least = (bands, rows), error
    return best


def banding(settings: MinHashTable) -> tuple[int, int]:
    """Return bands and rows in use: those of the manifest or, where it names none, those found for its threshold."""
    if settings.bands and settings.rows:
        return settings.bands, settings.rows
    return bands_and_rows(settings.threshold, settings.permutations)


@jit
def _band_keys(signatures, rows, key_hashes, has_signature, bands, width):
    """Return keys of every document in `rows`: one for its whole key, and one per band where it has a signature."""
    keys = np.empty(len(rows) * (bands + 1), np.uint64)
    documents = np.empty(len(rows) * (bands + 1), np.uint32)
    m = 0
    for p in range(len(rows)):
        d = rows[p]
        keys[m] = mix64(key_hashes[d])
        documents[m] = p
        m += 1
        if not has_signature[d]:
            continue
        for band in range(bands):
            h = np.uint64(band + 1) * np.uint64(0x9E3779B97F4A7C15)
            for j in range(band * width, band * width + width):
                h = mix64(h ^ np.uint64(signatures[d, j])) + np.uint64(0x9E3779B97F4A7C15)
            keys[m] = h
            documents[m] = p
            m += 1
    return keys[:m], documents[:m]


def band_keys(
    signatures: np.ndarray, rows: np.ndarray, key_hashes: np.ndarray, has_signature: np.ndarray, bands: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return `(keys, documents)`, uint64 and uint32; documents are numbered as in the partition."""
    keys, positions = _band_keys(signatures, rows, key_hashes, has_signature, bands, width)
    return keys, rows[positions].astype(np.uint32)


def range_of(keys: np.ndarray, ranges: int) -> np.ndarray:
    """Return the key range, 0 to `ranges` - 1, that every key falls in."""
    return ((keys >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32)).astype(np.int64)
