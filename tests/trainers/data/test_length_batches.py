"""Batches of like length: little padding, every record once an epoch, and the same from any batch on."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.audio.encoding import encode_flac
from trainers.data.batches import Batch, Skip, stream
from trainers.data.length_batches import LengthBatches, cropped_share, number_batches, padding_share
from trainers.data.reader import Reader
from trainers.data.record_assignment import Assignment
from trainers.data.recordings import measure_durations
from trainers.data.shards import Shards

UTTERANCES = Path(__file__).parents[4] / "shared" / "data" / "speech" / "utterances.jsonl.gz"
# What JSUT's BASIC5000 has: 3.98 ± 1.22 s, from 2.15 to 15.97 s; the logarithms have a mean of 1.345 and a deviation of 0.258.
MADE = np.clip(np.random.default_rng(1).lognormal(1.345, 0.258, 2_500), 2.15, 15.97)


def published_lengths() -> np.ndarray:
    if not UTTERANCES.exists():
        pytest.skip("the development data is absent")
    with gzip.open(UTTERANCES, "rt", encoding="utf-8") as file:
        return np.array([json.loads(line)["duration"] for line in file])


@pytest.mark.parametrize("lengths", [lambda: MADE, published_lengths], ids=["made", "JSUT"])
@pytest.mark.parametrize("seconds", [56.25, 87.5, 200.0])
def test_of_read_sentences_a_tenth_at_most_is_padding(lengths: Callable[[], np.ndarray], seconds: float) -> None:
    values = lengths()
    in_any_order = padding_share(values, number_batches(values, seconds, 128))
    found = LengthBatches(seconds, 128, lambda columns: columns["s"]).arrange(
        {"s": values}, np.arange(len(values)), np.random.default_rng(2)
    )
    assert padding_share(values[found.rows], found.numbers) < 0.05 < 0.2 < in_any_order
    assert cropped_share(values[found.rows], found.numbers) < 0.05


@given(st.lists(st.floats(0, 40), min_size=1, max_size=60), st.floats(1, 100), st.integers(1, 9), st.integers(0, 9))
def test_batches_keep_to_their_bounds(lengths: list[float], seconds: float, size: int, seed: int) -> None:
    values, rows = np.array(lengths), np.arange(len(lengths))
    batches = LengthBatches(seconds, size, lambda columns: columns["s"])
    for rng in (None, np.random.default_rng(seed)):
        found = batches.arrange({"s": values}, rows, rng)
        assert sorted(found.rows) == list(rows) and (np.diff(found.numbers) >= 0).all()
        assert set(found.numbers) == set(range(found.numbers[-1] + 1))
        for number in set(found.numbers):
            of_batch = values[found.rows[found.numbers == number]]
            assert len(of_batch) <= size and (len(of_batch) == 1 or len(of_batch) * of_batch.max() <= seconds)
        if rng is None:
            assert (found.rows == rows).all()


def measure(columns: dict[str, Any]) -> np.ndarray:
    return np.asarray(columns["n"]) * 7 % 11 + 1.0


def decode(record: dict[str, Any]) -> int:
    if record["n"] % 7 == 3:
        raise Skip("a seventh of them")
    return int(record["n"])


def batches_of(reader: Reader, assignment: Assignment, rank: int, taken: int = 0, threads: int = 2) -> Any:
    return stream(reader, assignment.spans(rank, taken), 4, lambda n: ({"n": n}, 1.0), decode, taken, threads)


FILES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3)


@settings(max_examples=15, deadline=None)
@given(FILES, st.integers(1, 3), st.integers(0, 12), st.sampled_from([1, 400, 10**9]), st.integers(1, 3))
def test_a_stream_goes_on_from_any_batch_and_from_other_ranks(
    numbered_shards: Callable[..., Shards],
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[int]],
    ranks: int,
    steps: int,
    buffer: int,
    other_ranks: int,
) -> None:
    shards = numbered_shards(tmp_path_factory.mktemp("shards"), [[8], *files])
    reader, assignment = Reader(shards, 7, buffer, LengthBatches(20.0, 4, measure)), Assignment(shards.total, ranks)
    taken, seen = [0] * ranks, Counter[int]()
    for rank in range(ranks):
        of_rank: list[Batch] = list(islice(batches_of(reader, assignment, rank), steps + 6))
        before, after = of_rank[:steps], of_rank[steps:]
        taken[rank] = before[-1].taken if before else 0
        seen.update(n for batch in before for n in batch.inputs["n"])
        again = islice(batches_of(Reader(shards, 7, buffer, reader.length_batches), assignment, rank, taken[rank], 1), 6)
        assert [(batch.inputs, batch.taken) for batch in again] == [(batch.inputs, batch.taken) for batch in after]
        for batch in of_rank:
            assert max(measure({"n": batch.inputs["n"]})) * len(batch.inputs["n"]) <= 20
    # On another number of ranks what is left of the epoch under way comes first: nothing twice, nothing left out.
    resumed = assignment.reassign(taken, other_ranks)
    for rank in range(other_ranks):
        leftover = [span for span in islice(resumed.spans(rank), 40) if span.epoch < resumed.first_epoch]
        for batch in stream(reader, iter(leftover), 4, lambda n: ({"n": n}, 1.0), decode):
            seen.update(batch.inputs["n"])
    usable = {n for n in range(shards.total) if n % 7 != 3}
    assert seen == Counter(dict.fromkeys(usable, resumed.first_epoch)) or resumed.first_epoch == 0


def test_batches_come_in_another_order_each_epoch(numbered_shards: Callable[..., Shards], tmp_path: Path) -> None:
    shards = numbered_shards(tmp_path, [[60]])
    reader, assignment = Reader(shards, 3, length_batches=LengthBatches(20.0, 4, measure)), Assignment(60, 1)
    epochs, longest = [list[int](), list[int]()], list[float]()
    for batch in batches_of(reader, assignment, 0):
        if batch.taken > 120:
            break
        epochs[batch.taken > 60] += batch.inputs["n"]
        longest.append(max(measure({"n": batch.inputs["n"]})))
    assert sorted(epochs[0]) == sorted(epochs[1]) and epochs[0] != epochs[1]
    assert longest != sorted(longest)


def test_durations_are_those_of_the_column_or_of_the_header() -> None:
    sound = memoryview(encode_flac(np.zeros(24_000, np.float32)))
    assert measure_durations({"audio": [sound, None, memoryview(b"x")]}).tolist() == [1.5, 0, 0]
    known = np.array([2.0, np.nan, np.nan])
    assert measure_durations({"audio": [sound, sound, None], "duration": known}).tolist() == [2.0, 1.5, 0]


def test_the_mean_number_of_records_in_a_batch() -> None:
    batches = LengthBatches(10.0, 4, lambda columns: np.array(columns["seconds"]))
    # Sorted: four of 1 s, which is the most; then two of 5 s, one of 9 s.
    assert batches.count_records({"seconds": [5.0, 1.0, 1.0, 9.0, 1.0, 5.0, 1.0]}) == 7 / 3
