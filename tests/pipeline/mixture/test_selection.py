"""How documents are chosen for a target: within the tolerance, in the order of their keys, the smaller choice within the larger."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.settings import parse_count
from pipeline.core.shards import name_shard
from pipeline.mixture.filling import fill
from pipeline.mixture.manifest import MixtureManifest, MixturePart
from pipeline.mixture.selection import CANDIDATES, Selection, Target, _choose, candidates_file, find_targets, select
from pipeline.mixture.shuffle import place_copies, plan_ranges


def write_candidates(folder, amounts, held_out=0.1, seed=0):
    """Write candidates in three partitions; return all of them."""
    drawn = np.random.default_rng(seed)
    out = np.zeros(len(amounts), CANDIDATES)
    out["amount"] = out["chars"] = out["bytes"] = amounts
    out["key"] = drawn.integers(0, 1 << 64, len(amounts), np.uint64, endpoint=False)
    out["held_out"] = drawn.random(len(amounts)) < held_out
    for index, some in enumerate(np.array_split(out, 3)):
        np.save(candidates_file(folder, index), some)
    return out


def reachable(candidates, epochs):
    return int(candidates["amount"].sum() + (epochs - 1) * candidates["amount"][~candidates["held_out"]].sum())


@pytest.mark.parametrize("share", [0.001, 0.03, 0.5, 0.999, 1.0, 1.7, 2.95, 3.0])
def test_a_target_is_met(tmp_path, share):
    candidates = write_candidates(tmp_path, np.random.default_rng(1).integers(50, 5000, 30_000))
    wanted = round(share * reachable(candidates, 1)) if share <= 1 else round(share / 3 * reachable(candidates, 3))
    selection = _choose(tmp_path, range(3), Target(wanted, reachable(candidates, 3)))
    copies = selection.copies(candidates)
    assert abs(int((copies * candidates["amount"]).sum()) - wanted) <= 0.001 * wanted
    assert copies.max() <= 3 and copies[candidates["held_out"]].max() <= 1
    assert copies[~candidates["held_out"]].max() - copies[~candidates["held_out"]].min() <= 1
    sums = select(tmp_path, 0, range(3), Target(wanted, reachable(candidates, 3)))
    assert sums["amount"] == int((copies * candidates["amount"]).sum()) and sums["copies"] == copies.sum()


def test_choices_are_nested_but_for_the_last_few(tmp_path):
    candidates = write_candidates(tmp_path, np.random.default_rng(2).integers(50, 5000, 20_000))
    before = np.zeros(len(candidates), np.int64)
    for wanted in (1_000_000, 3_000_000, 40_000_000, 60_000_000):
        copies = _choose(tmp_path, range(3), Target(wanted, reachable(candidates, 2))).copies(candidates)
        assert (copies < before).sum() <= 4
        before = copies


def test_more_than_there_is(tmp_path):
    candidates = write_candidates(tmp_path, np.full(500, 100))
    most = reachable(candidates, 2)
    copies = _choose(tmp_path, range(3), Target(10**9, most)).copies(candidates)
    assert (copies == np.where(candidates["held_out"], 1, 2)).all() and (copies * 100).sum() == most
    assert (_choose(tmp_path, range(3), Target(None, most)).copies(candidates) == 1).all()
    assert not _choose(tmp_path, range(0), Target(5, 0)).copies(candidates[:0]).size


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.data())
def test_fill_never_misses_by_more_than_the_first_alone(amounts, data):
    array = np.array(amounts, np.int64)
    wanted = data.draw(st.integers(0, max(sum(amounts) - 1, 0)))
    count, extra = fill(array, wanted, 0.0005 * wanted)
    assert len(set(extra)) == len(extra) and all(count <= position < len(amounts) for position in extra)
    ends = np.concatenate([[0], np.cumsum(array)])
    alone = np.abs(ends - wanted)[ends <= wanted].min()
    assert abs(int(array[:count].sum() + array[extra].sum()) - wanted) <= max(alone, 0.0005 * wanted)


def test_a_key_at_the_boundary_is_not_taken_and_extra_ones_are():
    candidates = np.zeros(4, CANDIDATES)
    candidates["key"] = [1, 5, 9, 1 << 63]
    assert Selection(0, 5).copies(candidates).tolist() == [1, 0, 0, 0]
    assert Selection(1, 5, (1 << 63,)).copies(candidates).tolist() == [2, 1, 1, 2]


def part(corpus, **settings):
    return {"corpus": corpus, **settings}


def manifest(*parts, **settings):
    return MixtureManifest.model_validate({"name": "m", "title": "M", "license": "x", "mixture": list(parts)} | settings)


def sums(*amounts):
    return [{"amount": amount, "repeatable": amount - 10} for amount in amounts]


def test_weights_without_a_size_use_one_part_to_its_end():
    one = manifest(part("a", weight=0.25, epochs=2), part("b", weight=0.75))
    assert find_targets(one, sums(100, 900)) == [Target(190, 190), Target(570, 900)]
    whole = manifest(part("a", weight=0.25, epochs=2), part("b", weight=0.75), chars="1 K")
    assert find_targets(whole, sums(100, 900)) == [Target(250, 190), Target(750, 900)]
    assert find_targets(manifest(part("a", chars=7), part("b")), sums(100, 900)) == [Target(7, 100), Target(None, 900)]


def test_amounts_in_words():
    assert [parse_count(text) for text in ("3 B", "1.5K", "2_000", "7 T", 5)] == [3 * 10**9, 1500, 2000, 7 * 10**12, 5]
    assert MixturePart(corpus="a", chars="0.5 M").chars == 500_000


@given(st.integers(1, 40), st.integers(0, (1 << 64) - 1))
def test_copies_stand_equally_far_apart(copies, place):
    places = place_copies(np.full(copies, place, np.uint64), np.arange(copies), np.full(copies, copies))
    exact = [int(p) for p in places]
    assert exact == sorted(exact) and len(set(exact)) == copies
    assert {b - a for a, b in zip(exact, exact[1:])} <= {((1 << 64) - 1) // copies}


@given(st.integers(0, 10**12), st.integers(0, 10**10), st.integers(10**6, 10**10))
def test_ranges_make_shards_of_the_size(train, validation, size):
    ranges = plan_ranges(train, validation, size)
    for split, amount in (("train", train), ("validation", validation)):
        shards = [ranges.of_shard(split, n) for n in range(ranges.count_shards(split))]
        assert len(shards) == -(-amount // size)
        assert sum(map(len, shards)) == getattr(ranges, split)
    assert name_shard("train", 0, 1).startswith("train")
