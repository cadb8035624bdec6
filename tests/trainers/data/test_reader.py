"""The reader: every record once an epoch, whatever the number of ranks, from any position on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.data.batches import stream
from trainers.data.reader import Reader
from trainers.data.record_assignment import Assignment
from trainers.data.shards import Shards


def read_numbers(reader: Reader, assignment: Assignment, rank: int, records: int, size: int = 4, taken: int = 0) -> list[int]:
    """Return `n` of the next records of a rank."""

    def collate(columns: dict[str, Any]) -> tuple[dict[str, Any], float]:
        assert columns["text"] == [f"文{i}" for i in columns["n"]]
        return {"n": columns["n"].tolist()}, 1.0

    found: list[int] = []
    for batch in stream(reader, assignment.spans(rank, taken), size, collate):
        found += batch.inputs["n"]
        if len(found) >= records:
            return found[:records]
    raise AssertionError("an endless stream ended")


FILES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(FILES, st.integers(0, 3), st.integers(1, 4), st.sampled_from([1, 400, 10**9]))
def test_every_record_is_read_once_an_epoch_by_some_rank(
    numbered_shards: Callable[..., Shards],
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[int]],
    seed: int,
    ranks: int,
    buffer: int,
) -> None:
    shards = numbered_shards(tmp_path_factory.mktemp("shards"), files)
    if shards.total < ranks:
        return
    reader, assignment = Reader(shards, seed, buffer), Assignment(shards.total, ranks)
    per_rank = [[last - first for _, first, last in islice(assignment.spans(rank), 2)] for rank in range(ranks)]
    for epoch in range(2):
        seen: Counter[int] = Counter()
        for rank in range(ranks):
            before = sum(per_rank[rank][:epoch])
            seen.update(read_numbers(reader, assignment, rank, per_rank[rank][epoch], size=3, taken=before))
        assert seen == Counter(range(shards.total))


@settings(max_examples=25, deadline=None)
@given(FILES, st.integers(1, 3), st.integers(0, 60), st.integers(1, 7))
def test_a_stream_goes_on_from_any_record(
    numbered_shards: Callable[..., Shards],
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[int]],
    ranks: int,
    taken: int,
    size: int,
) -> None:
    shards = numbered_shards(tmp_path_factory.mktemp("shards"), files)
    if shards.total < ranks:
        return
    assignment = Assignment(shards.total, ranks)
    everything = read_numbers(Reader(shards, 7, 300), assignment, ranks - 1, taken + 20, size)
    assert read_numbers(Reader(shards, 7, 300), assignment, ranks - 1, 20, size, taken) == everything[taken:]


def test_the_seed_and_the_epoch_decide_the_order_and_it_is_a_thorough_one(
    numbered_shards: Callable[..., Shards], tmp_path: Path
) -> None:
    shards = numbered_shards(tmp_path, [[50] * 8, [50] * 8])
    assignment = Assignment(shards.total, 1)
    one = read_numbers(Reader(shards, 1, 2000), assignment, 0, 1600)
    assert one == read_numbers(Reader(shards, 1, 2000), assignment, 0, 1600)
    assert one[:800] != read_numbers(Reader(shards, 2, 2000), assignment, 0, 800)
    assert one[:800] != one[800:]
    # Neighbours on disk are no neighbours in the order, and the first tenth comes from several shards and groups.
    assert np.mean(np.abs(np.diff(one[:800])) == 1) < 0.05
    assert len({n // 50 for n in one[:150]}) >= 3
    assert read_numbers(Reader(shards, None), assignment, 0, 800) == list(range(800))
