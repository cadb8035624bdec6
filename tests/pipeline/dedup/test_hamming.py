"""Every pair within the distance is found, once, by whatever slices; and hostile hashes cost a bounded amount."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import hamming
from pipeline.dedup.hamming import NEIGHBOURS, HammingIndex, substrings


def brute_force(hashes, distance):
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    left, right = np.nonzero(np.triu(apart <= distance, 1))
    return set(zip(left.tolist(), right.tolist(), apart[left, right].tolist(), strict=True))


def found(index, distance, slices=1):
    cuts = np.linspace(0, len(index), slices + 1).astype(int)
    out = [index.search(a, b, distance) for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]
    pairs = [pair for f in out for pair in zip(f.left.tolist(), f.right.tolist(), f.distance.tolist(), strict=True)]
    assert len(set(pairs)) == len(pairs), "a pair was found twice"
    assert not any(f.cut for f in out)
    return set(pairs)


def clustered(rng, count, centres, bits):
    """Hashes around a few centres, each with up to `bits` bits flipped: many pairs at every distance."""
    middle = rng.integers(0, 2**64, centres, dtype=np.uint64)
    hashes = middle[rng.integers(0, centres, count)]
    for _ in range(bits):
        flip = np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
        hashes = np.where(rng.random(count) < 0.7, hashes ^ flip, hashes)
    return np.unique(hashes)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(0, 300),
    st.integers(1, 40),
    st.integers(0, 14),
    st.integers(0, 16),
    st.integers(0, 16),
    st.integers(1, 7),
)
def test_all_pairs_within_the_distance(seed, count, centres, bits, made_for, distance, slices):
    hashes = clustered(np.random.default_rng(seed), count, centres, bits)
    index = HammingIndex.build(hashes, made_for)
    # So dense that a hash has more neighbours than are kept: not a question of exactness.
    if count / centres < NEIGHBOURS / 2:
        assert found(index, distance, slices) == brute_force(hashes, distance)


@pytest.mark.parametrize("m", range(3, 17))
def test_any_number_of_substrings(m, monkeypatch):
    hashes = clustered(np.random.default_rng(m), 400, 20, 10)
    monkeypatch.setattr(hamming, "substrings", lambda count, distance: m)
    index = HammingIndex.build(hashes, 8)
    for distance in (0, 1, m - 1, m, m + 1, 12):
        if distance // m <= 4:
            assert found(index, distance, 3) == brute_force(hashes, distance)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=40, unique=True), st.integers(0, 10))
def test_any_hashes(values, distance):
    hashes = np.array(sorted(values), np.uint64)
    assert found(HammingIndex.build(hashes, distance), distance) == brute_force(hashes, distance)


def test_hashes_that_differ_in_few_bits_only():
    hashes = np.arange(200, dtype=np.uint64) << np.uint64(28)
    for distance in (1, 2, 3):
        assert found(HammingIndex.build(hashes, distance), distance, 5) == brute_force(hashes, distance)


def test_no_hashes_and_one():
    for hashes in (np.zeros(0, np.uint64), np.array([7], np.uint64)):
        index = HammingIndex.build(hashes, 10)
        left, right, apart = index.pairs(0, 10, 10)
        assert len(index) == len(hashes) and len(left) == len(right) == len(apart) == 0


def test_saved_and_memory_mapped(tmp_path):
    hashes = clustered(np.random.default_rng(5), 3000, 200, 8)
    index = HammingIndex.build(hashes, 9)
    index.save(tmp_path)
    again = HammingIndex.load(tmp_path)
    assert isinstance(again.hashes, np.memmap) and len(again) == len(hashes)
    assert found(again, 9, 4) == found(index, 9) == brute_force(hashes, 9)
    # Left to right, as promised, with the types that are promised.
    left, right, apart = again.pairs(0, len(again), 9)
    assert (left < right).all() and (left.dtype, right.dtype, apart.dtype) == (np.int64, np.int64, np.uint8)


def test_slices_run_at_once():
    hashes = clustered(np.random.default_rng(6), 4000, 300, 8)
    index = HammingIndex.build(hashes, 8)
    with ThreadPoolExecutor(4) as pool:
        pieces = list(pool.map(lambda k: index.search(k * 500, (k + 1) * 500, 8), range(8)))
    assert sum(len(p.left) for p in pieces) == len(brute_force(hashes, 8))


def test_substrings_get_longer_with_more_hashes():
    assert substrings(1_000, 10) >= substrings(1_000_000, 10) >= substrings(100_000_000, 10) >= 3


def test_planted_neighbours_among_many():
    rng = np.random.default_rng(8)
    hashes = rng.integers(0, 2**64, 100_000, dtype=np.uint64)
    planted = hashes[:2000].copy()
    for k in range(2000):
        for bit in rng.choice(64, 1 + k % 10, replace=False):
            planted[k] ^= np.uint64(1) << np.uint64(bit)
    distinct, where = np.unique(np.concatenate([hashes, planted]), return_inverse=True)
    pairs = {(a, b) for a, b, _ in found(HammingIndex.build(distinct, 10), 10, 3)}
    for a, b in zip(where[:2000].tolist(), where[100_000:].tolist(), strict=True):
        assert (min(a, b), max(a, b)) in pairs


@pytest.mark.parametrize("kind", ["one ball", "one key"])
def test_hostile_hashes_cost_a_bounded_amount(kind):
    """All within the distance of one another, or all with the same key: never all pairs, and the same ones from any slices."""
    rng = np.random.default_rng(9)
    if kind == "one ball":
        flips = np.array([sum(1 << int(b) for b in rng.choice(64, 4, replace=False)) for _ in range(3_000)], np.uint64)
        hashes = np.unique(flips)
    else:
        # What is dealt to the first substring is the same everywhere.
        hashes = np.unique(rng.integers(0, 2**64, 30_000, dtype=np.uint64) & ~np.uint64(0x1111111111111111))
    index = HammingIndex.build(hashes, 10)
    began = time.perf_counter()
    whole = index.search(0, len(index), 10)
    assert time.perf_counter() - began < 20
    assert len(whole.left) <= len(index) * NEIGHBOURS * len(index.starts)
    if kind == "one ball":
        assert whole.cut > 0
        # Everything hangs together all the same.
        assert len(np.unique(np.concatenate([whole.left, whole.right]))) == len(index)
    halves = [index.search(0, 777, 10), index.search(777, len(index), 10)]
    for k in range(2):
        together = np.concatenate([f[k] for f in halves])
        assert (np.sort(together) == np.sort(whole[k])).all()


def test_where_comparisons_end_does_not_depend_on_slices():
    hashes = clustered(np.random.default_rng(10), 3_000, 40, 4)
    index = HammingIndex.build(hashes, 10)
    whole = index.search(0, len(index), 10)
    halves = [index.search(0, 1_000, 10), index.search(1_000, len(index), 10)]
    assert whole.cut == sum(f.cut for f in halves)
    pairs = {(a, b) for f in halves for a, b in zip(f.left.tolist(), f.right.tolist())}
    assert pairs == set(zip(whole.left.tolist(), whole.right.tolist()))
