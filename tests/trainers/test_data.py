"""The reader: every record once an epoch, whatever the ranks, and on from any record."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError, UsageError
from trainers.data.reader import Reader, Shards, Skip, stream
from trainers.data.record_assignment import Deal

HINT = "python -m pipeline.build makes them"


def made(folder: Path, files: list[list[int]], split: str = "train") -> Shards:
    """Shards whose row groups have so many rows; `n` counts them."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    n = 0
    for number, groups in enumerate(files):
        path = folder / "data" / f"{split}-{number:05d}-of-{len(files):05d}.parquet"
        schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
        with pq.ParquetWriter(path, schema) as writer:
            for rows in groups:
                here = range(n, n + rows)
                writer.write_table(pa.table({"n": list(here), "text": [f"文{i}" for i in here]}, schema=schema))
                n += rows
    return Shards(folder, split, ["n", "text"], HINT)


def numbers(reader: Reader, deal: Deal, rank: int, records: int, size: int = 4, taken: int = 0) -> list[int]:
    """`n` of the next records of a rank."""

    def collate(columns: dict[str, Any]) -> tuple[dict[str, Any], float]:
        assert columns["text"] == [f"文{i}" for i in columns["n"]]
        return {"n": columns["n"].tolist()}, 1.0

    found: list[int] = []
    for batch in stream(reader, deal.spans(rank, taken), size, collate):
        found += batch.inputs["n"]
        if len(found) >= records:
            return found[:records]
    raise AssertionError("an endless stream ended")


FILES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(FILES, st.integers(0, 3), st.integers(1, 4), st.sampled_from([1, 400, 10**9]))
def test_every_record_is_read_once_an_epoch_by_some_rank(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], seed: int, ranks: int, buffer: int
) -> None:
    shards = made(tmp_path_factory.mktemp("shards"), files)
    if shards.total < ranks:
        return
    reader, deal = Reader(shards, seed, buffer), Deal(shards.total, ranks)
    per_rank = [[last - first for _, first, last in islice(deal.spans(rank), 2)] for rank in range(ranks)]
    for epoch in range(2):
        seen: Counter[int] = Counter()
        for rank in range(ranks):
            before = sum(per_rank[rank][:epoch])
            seen.update(numbers(reader, deal, rank, per_rank[rank][epoch], size=3, taken=before))
        assert seen == Counter(range(shards.total))


@settings(max_examples=100, deadline=None)
@given(st.integers(8, 60), st.lists(st.tuples(st.integers(1, 8), st.integers(0, 70)), min_size=1, max_size=5))
def test_nothing_is_missed_or_seen_twice_when_ranks_change(total: int, runs: list[tuple[int, int]]) -> None:
    """Runs of some ranks that each take some records, one after the other."""
    seen: Counter[tuple[int, int]] = Counter()
    deal = Deal(total, runs[0][0])
    for number, (ranks, steps) in enumerate(runs):
        deal = deal if number == 0 else deal.again([runs[number - 1][1]] * runs[number - 1][0], ranks)
        for rank in range(ranks):
            left = steps
            for epoch, first, last in deal.spans(rank):
                took = min(left, last - first)
                seen.update((epoch, position) for position in range(first, first + took))
                left -= took
                if not left:
                    break
    last = deal.again([runs[-1][1]] * runs[-1][0], 1)
    seen.update((epoch, position) for epoch, a, b in last.queue for position in range(a, b))
    assert set(seen.values()) <= {1}
    epochs = {epoch for epoch, _ in seen}
    assert epochs == set(range(last.epoch))
    assert len(seen) == total * last.epoch


@settings(max_examples=25, deadline=None)
@given(FILES, st.integers(1, 3), st.integers(0, 60), st.integers(1, 7))
def test_a_stream_goes_on_from_any_record(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], ranks: int, taken: int, size: int
) -> None:
    shards = made(tmp_path_factory.mktemp("shards"), files)
    if shards.total < ranks:
        return
    deal = Deal(shards.total, ranks)
    whole = numbers(Reader(shards, 7, 300), deal, ranks - 1, taken + 20, size)
    assert numbers(Reader(shards, 7, 300), deal, ranks - 1, 20, size, taken) == whole[taken:]


def test_the_seed_and_the_epoch_decide_the_order_and_it_is_a_thorough_one(tmp_path: Path) -> None:
    shards = made(tmp_path, [[50] * 8, [50] * 8])
    deal = Deal(shards.total, 1)
    one = numbers(Reader(shards, 1, 2000), deal, 0, 1600)
    assert one == numbers(Reader(shards, 1, 2000), deal, 0, 1600)
    assert one[:800] != numbers(Reader(shards, 2, 2000), deal, 0, 800)
    assert one[:800] != one[800:]
    # Neighbours on disk are no neighbours in the order, and the first tenth comes from several shards and groups.
    assert np.mean(np.abs(np.diff(one[:800])) == 1) < 0.05
    assert len({n // 50 for n in one[:150]}) >= 3
    assert numbers(Reader(shards, None), deal, 0, 800) == list(range(800))


def test_records_that_cannot_be_decoded_are_left_out_and_counted(tmp_path: Path) -> None:
    shards = made(tmp_path, [[10, 10]])

    def decode(record: dict[str, Any]) -> int:
        if record["n"] % 5 == 0:
            raise Skip("a fifth of them")
        return int(record["n"])

    for threads in (1, 3):
        found = list(
            stream(Reader(shards, 3), Reader(shards, 3).once(0, 1, 20), 4, lambda n: ({"n": n}, 1.0), decode, threads=threads)
        )
        everything = sorted(n for batch in found for n in batch.inputs["n"])
        assert everything == [n for n in range(20) if n % 5]
        assert sum(batch.skipped for batch in found) <= 4 and found[-1].taken <= 20
        assert [len(batch.inputs["n"]) for batch in found] == [4, 4, 4, 4]
    assert next(
        iter(stream(Reader(shards, None), Reader(shards, None).once(0, 1, 20), 4, lambda n: ({"n": n}, 1.0), decode))
    ).inputs == {"n": [1, 2, 3, 4]}


def test_a_stream_of_nothing_usable_ends(tmp_path: Path) -> None:
    shards = made(tmp_path, [[10, 10]])

    def decode(record: dict[str, Any]) -> int:
        raise Skip("too short")

    with pytest.raises(InputError, match="not one record of 20 can be used.*too short"):
        next(stream(Reader(shards, 1), Deal(20, 1).spans(0), 4, lambda n: ({}, 1.0), decode))


def test_columns_of_every_kind_also_as_polars_writes_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    frame = pl.DataFrame({
        "id": ["甲", None, "丙"],
        "image": [{"bytes": b"abc", "path": "a"}, {"bytes": None, "path": "b"}, {"bytes": b"", "path": "c"}],
        "square": [[1, 2], [3, 4], [5, 6]],
        "ragged": [[1], None, [2, 3]],
        "score": [0.5, 1.5, 2.5],
    })  # fmt: skip
    frame.write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    for table in (frame.to_arrow(), frame.to_arrow(compat_level=pl.CompatLevel.oldest())):
        pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
        shards = Shards(tmp_path, "train", list(frame.columns), HINT)
        found = shards.read([0]).take(np.array([2, 1, 0]))
        assert found["id"] == ["丙", None, "甲"]
        assert [b if b is None else bytes(b) for b in found["image"]] == [b"", None, b"abc"]
        assert found["square"].tolist() == [[5, 6], [3, 4], [1, 2]]
        assert [None if r is None else r.tolist() for r in found["ragged"]] == [[2, 3], None, [1]]
        assert found["score"].tolist() == [2.5, 1.5, 0.5]


def test_columns_beside_the_shards_are_read_along_with_them(tmp_path: Path) -> None:
    made(tmp_path / "corpus", [[5, 4], [3]])
    for file in (tmp_path / "corpus" / "data").iterdir():
        with pq.ParquetFile(file) as source:
            (tmp_path / "more").mkdir(exist_ok=True)
            with pq.ParquetWriter(tmp_path / "more" / file.name, pa.schema([("double", pa.int64())])) as writer:
                for group in range(source.num_row_groups):
                    n = source.read_row_group(group)["n"].to_numpy()
                    writer.write_table(pa.table({"double": 2 * n}))
    shards = Shards(tmp_path / "corpus", "train", ["n", "double"], HINT, [tmp_path / "more"])
    (parts,) = Reader(shards, 1).batches(Reader(shards, 1).once(0, 1, 99), 99)
    assert all((part["double"] == 2 * part["n"]).all() for part in parts)
    next((tmp_path / "more").iterdir()).unlink()
    with pytest.raises(UsageError, match="is missing"):
        Shards(tmp_path / "corpus", "train", ["n", "double"], HINT, [tmp_path / "more"])


def test_what_is_wrong_with_shards_is_said(tmp_path: Path) -> None:
    made(tmp_path / "good", [[3]])
    with pytest.raises(UsageError, match="there are no validation shards.*pipeline.build"):
        Shards(tmp_path / "good", "validation", ["n"], HINT)
    with pytest.raises(UsageError, match="no column 'caption'.*pipeline.build"):
        Shards(tmp_path / "good", "train", ["n", "caption"], HINT)
    file = next((tmp_path / "good" / "data").iterdir())
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="no whole Parquet file"):
        Shards(tmp_path / "good", "train", ["n"], HINT)
    file.write_bytes(whole)
    shards = Shards(tmp_path / "good", "train", ["n", "text"], HINT)
    file.write_bytes(b"\0" * len(whole))
    with pytest.raises(InputError, match="row group 0"):
        next(stream(Reader(shards, 1), Deal(3, 1).spans(0), 1, lambda c: (c, 1.0)))
