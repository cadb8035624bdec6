"""Batches of decoded records: what cannot be used is left out and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import InputError
from trainers.data.batches import Skip, stream
from trainers.data.reader import Reader
from trainers.data.record_assignment import Assignment
from trainers.data.shards import Shards


def test_records_that_cannot_be_decoded_are_left_out_and_counted(
    numbered_shards: Callable[..., Shards], tmp_path: Path
) -> None:
    shards = numbered_shards(tmp_path, [[10, 10]])

    def decode(record: dict[str, Any]) -> int:
        if record["n"] % 5 == 0:
            raise Skip("a fifth of them")
        return int(record["n"])

    def collate(numbers: list[int]) -> tuple[dict[str, Any], float]:
        return {"n": numbers}, 1.0

    for threads in (1, 3):
        shuffled = Reader(shards, 3)
        batches = list(stream(shuffled, shuffled.one_pass(0, 1, 20), 4, collate, decode, threads=threads))
        everything = sorted(n for batch in batches for n in batch.inputs["n"])
        assert everything == [n for n in range(20) if n % 5]
        assert sum(batch.skipped for batch in batches) <= 4 and batches[-1].taken <= 20
        assert [len(batch.inputs["n"]) for batch in batches] == [4, 4, 4, 4]
    in_order = Reader(shards, None)
    taken = [batch.taken for batch in stream(in_order, in_order.one_pass(0, 1, 20), 4, collate, decode)]
    assert taken == [5, 10, 15, 20]  # records of the reader, those that were left out among them: where a checkpoint goes on
    assert next(stream(in_order, in_order.one_pass(0, 1, 20), 4, collate, decode)).inputs == {"n": [1, 2, 3, 4]}


def test_a_stream_of_nothing_usable_ends(numbered_shards: Callable[..., Shards], tmp_path: Path) -> None:
    shards = numbered_shards(tmp_path, [[10, 10]])

    def decode(record: dict[str, Any]) -> int:
        raise Skip("too short")

    with pytest.raises(InputError, match="not one record of 20 can be used.*too short"):
        next(stream(Reader(shards, 1), Assignment(20, 1).spans(0), 4, lambda n: ({}, 1.0), decode))
