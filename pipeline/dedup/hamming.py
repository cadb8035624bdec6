"""Near duplicates among 64-bit hashes: all pairs within a Hamming distance, by an index and never by all pairs.

Multi-index hashing (Norouzi, Punjani, Fleet 2012, arXiv:1307.2982): the bits are dealt out to m substrings. Two hashes that differ in
at most d bits differ in at most r = d // m in one of the first d % m + 1 substrings, or in at most r - 1 in one of the others. So one
table per substring, and a look at every key within that radius, finds every pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from pathlib import Path
from typing import NamedTuple

import numpy as np

from filters.kernels import jit
from pipeline.core.storage import write_array

BITS = 64
# The most that one hash may cost in one table: neighbours that are kept, hashes that it is compared with. Hostile data reaches
# them; of a million evenly spread hashes each is compared with about a thousand. What is kept does not depend on slices: neighbours
# whose keys differ in fewer bits come first, then those of lower keys and indices.
NEIGHBOURS, COMPARISONS = 128, 50_000
_LOOK = 4  # a look at a key costs about as much as so many comparisons
_LARGEST_TABLE = 24  # bits


class HashPairs(NamedTuple):
    """Pairs of hashes: `left` < `right` are indices, int64; `distance` in bits, uint8. `cut`: how often a hash had more."""

    left: np.ndarray
    right: np.ndarray
    distance: np.ndarray
    cut: int


def _widths(substrings: int) -> list[int]:
    return [(BITS + k) // substrings for k in range(substrings)][::-1]


def _radii(distance: int, substrings: int) -> list[int]:
    """Return the radius to search each table with; -1 for one that need not be searched."""
    quotient, rest = divmod(distance, substrings)
    return [quotient if k <= rest else quotient - 1 for k in range(substrings)]


def substrings(count: int, distance: int) -> int:
    """Return how many substrings make the search cheapest for `count` evenly spread hashes."""

    def cost(m: int) -> float:
        keys = [
            (sum(comb(width, flips) for flips in range(radius + 1)), width)
            for width, radius in zip(_widths(m), _radii(distance, m), strict=True)
        ]
        # Tables of their own size, too: for few hashes small ones are made faster than they are used.
        return sum(count * looks * (_LOOK + count / 2 / 2.0**width) + 2.0**width for looks, width in keys)

    return min((m for m in range(1, 17) if _widths(m)[0] <= _LARGEST_TABLE), key=cost)


@lru_cache(maxsize=64)
def _flips(width: int, radius: int) -> np.ndarray:
    """Return uint32: every way to flip at most `radius` of `width` bits, fewest first."""
    masks = [sum(1 << bit for bit in bits) for flips in range(radius + 1) for bits in combinations(range(width), flips)]
    return np.array(masks, np.uint32)


@jit
def _deal_bits(hashes, substrings):
    """Return every hash with its bits dealt out to the substrings in turns: neighbouring bits of a perceptual hash are alike."""
    out = np.zeros(len(hashes), np.uint64)
    to = 0
    for first in range(substrings):
        for bit in range(first, BITS, substrings):
            for i in range(len(hashes)):
                out[i] |= (hashes[i] >> np.uint64(bit) & np.uint64(1)) << np.uint64(to)
            to += 1
    return out


@jit
def _count_bits(x):
    x = x - (x >> np.uint64(1) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + (x >> np.uint64(2) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(x * np.uint64(0x0101010101010101) >> np.uint64(56))


@jit
def _scan(h, hashes, begin, end, distance, positions):
    """Write the positions in `begin:end` of what is within the distance of `h` to `positions`; return how many there are."""
    count = 0
    for k in range(begin, end):
        positions[count] = k
        count += _count_bits(h ^ hashes[k]) <= distance
    return count


@jit
def _search(starts, ids, hashes, shifts, widths, radii, flips, flips_from, first, last, distance):
    """Return pairs of what stands at `first:last` of every table. Rows of `starts`, `ids` and `hashes` are tables.

    Of two keys that are compared, the one with a 0 in the lowest bit that differs looks at the other, so that each pair is met once.
    """
    capacity = 4096
    left, right = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    distances = np.empty(capacity, np.uint8)
    count = cut = 0
    neighbours, comparisons = np.empty(last - first, np.int64), np.empty(last - first, np.int64)
    close = np.empty(COMPARISONS + 1, np.int64)
    for t in range(len(widths)):
        mask = (np.uint64(1) << np.uint64(widths[t])) - np.uint64(1)
        starts_here, ids_here, hashes_here = starts[t], ids[t], hashes[t]
        neighbours[:] = 0
        comparisons[:] = 0
        p = first
        while p < last:
            key = np.int64(hashes_here[p] >> np.uint64(shifts[t]) & mask)
            # All that have this key look at one other key together: it stays in the cache.
            run = min(last, starts_here[key + 1])
            for f in range(flips_from[t], flips_from[t + 1]):
                flip = np.int64(flips[f])
                if key & (flip & -flip):
                    continue
                begin, end = starts_here[key ^ flip], starts_here[(key ^ flip) + 1]
                for q in range(p, run):
                    if flip == 0:
                        begin = q + 1
                    if neighbours[q - first] >= NEIGHBOURS or comparisons[q - first] >= COMPARISONS:
                        continue
                    stop = min(end, begin + COMPARISONS - comparisons[q - first])
                    comparisons[q - first] += stop - begin
                    cut += stop < end
                    h = hashes_here[q]
                    for n in range(_scan(h, hashes_here, begin, stop, distance, close)):
                        differing = h ^ hashes_here[close[n]]
                        is_repeated = False  # found in an earlier table
                        for u in range(t):
                            low = (np.uint64(1) << np.uint64(widths[u])) - np.uint64(1)
                            is_repeated |= _count_bits(differing >> np.uint64(shifts[u]) & low) <= radii[u]
                        if is_repeated:
                            continue
                        if count == capacity:
                            capacity *= 2
                            left, right = np.concatenate((left, left)), np.concatenate((right, right))
                            distances = np.concatenate((distances, distances))
                        i, j = np.int64(ids_here[q]), np.int64(ids_here[close[n]])
                        left[count], right[count], distances[count] = min(i, j), max(i, j), _count_bits(differing)
                        count += 1
                        neighbours[q - first] += 1
                        if neighbours[q - first] == NEIGHBOURS:
                            cut += 1
                            break
            p = run
    return left[:count], right[:count], distances[:count], cut


@dataclass(frozen=True)
class HammingIndex:
    """One table per substring over n distinct hashes: where every key begins, the hashes in order of it, and their indices."""

    starts: np.ndarray  # int64[m, 2 ** longest + 1]
    ids: np.ndarray  # uint32[m, n]
    hashes: np.ndarray  # uint64[m, n], their bits dealt out

    def __len__(self) -> int:
        return self.ids.shape[1]

    @classmethod
    def build(cls, hashes: np.ndarray, distance: int) -> HammingIndex:
        """Return the index over `hashes`, made for searches within `distance`; other distances are found as exactly, but slower."""
        m = substrings(len(hashes), distance)
        widths = _widths(m)
        dealt = _deal_bits(np.ascontiguousarray(hashes, np.uint64), m)
        starts = np.zeros((m, 2 ** max(widths) + 1), np.int64)
        ids = np.empty((m, len(dealt)), np.uint32)
        ordered = np.empty((m, len(dealt)), np.uint64)
        shift = 0
        for t, width in enumerate(widths):
            keys = dealt >> np.uint64(shift) & np.uint64(2**width - 1)
            ids[t] = np.argsort(keys.astype(np.uint16 if width <= 16 else np.uint32), kind="stable")
            ordered[t] = dealt[ids[t]]
            np.cumsum(np.bincount(keys.astype(np.int64), minlength=starts.shape[1] - 1), out=starts[t, 1:])
            shift += width
        return cls(starts, ids, ordered)

    def save(self, folder: Path) -> None:
        for name in self.__dataclass_fields__:
            write_array(folder / f"hamming-{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> HammingIndex:
        """Return the index that was saved, memory-mapped: workers on one machine share it."""
        return cls(*(np.load(folder / f"hamming-{name}.npy", mmap_mode="r") for name in cls.__dataclass_fields__))

    def search(self, first: int, last: int, distance: int) -> HashPairs:
        """Return pairs of hashes that differ in at most `distance` bits, one slice of the work: every pair is found in exactly one slice.

        A slice is of the positions in the tables, not of the indices: both hashes of a pair may have indices beyond it.
        """
        m = len(self.starts)
        widths, radii = _widths(m), _radii(distance, m)
        flips = [_flips(width, radius) for width, radius in zip(widths, radii, strict=True)]
        left, right, distances, cut = _search(
            self.starts,
            self.ids,
            self.hashes,
            np.cumsum([0, *widths[:-1]]),
            np.array(widths),
            np.array(radii),
            np.concatenate(flips),
            np.cumsum([0, *map(len, flips)]),
            first,
            min(last, len(self)),
            distance,
        )
        return HashPairs(left, right, distances, cut)

    def pairs(self, first: int, last: int, distance: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return `(left, right, distance)` of `search`."""
        return self.search(first, last, distance)[:3]
