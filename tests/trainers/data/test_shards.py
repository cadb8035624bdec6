"""Shards and their derived columns, and what is said of those that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import InputError, UsageError
from trainers.data.batches import stream
from trainers.data.reader import Reader
from trainers.data.record_assignment import Assignment
from trainers.data.shards import Shards

HINT = "python -m pipeline.build makes them"


def test_derived_columns_are_read_along_with_the_shards(numbered_shards: Callable[..., Shards], tmp_path: Path) -> None:
    numbered_shards(tmp_path / "corpus", [[5, 4], [3]])
    for file in (tmp_path / "corpus" / "data").iterdir():
        with pq.ParquetFile(file) as source:
            (tmp_path / "derived").mkdir(exist_ok=True)
            with pq.ParquetWriter(tmp_path / "derived" / file.name, pa.schema([("double", pa.int64())])) as writer:
                for group in range(source.num_row_groups):
                    n = source.read_row_group(group)["n"].to_numpy()
                    writer.write_table(pa.table({"double": 2 * n}))
    shards = Shards(tmp_path / "corpus", "train", ["n", "double"], HINT, [tmp_path / "derived"])
    (parts,) = Reader(shards, 1).batches(Reader(shards, 1).one_pass(0, 1, 99), 99)
    assert all((part["double"] == 2 * part["n"]).all() for part in parts)
    next((tmp_path / "derived").iterdir()).unlink()
    with pytest.raises(UsageError, match="is missing"):
        Shards(tmp_path / "corpus", "train", ["n", "double"], HINT, [tmp_path / "derived"])


def test_what_is_wrong_with_shards_is_said(numbered_shards: Callable[..., Shards], tmp_path: Path) -> None:
    numbered_shards(tmp_path / "good", [[3]])
    with pytest.raises(UsageError, match="there are no validation shards.*pipeline.build"):
        Shards(tmp_path / "good", "validation", ["n"], HINT)
    with pytest.raises(UsageError, match="no column 'caption'.*pipeline.build"):
        Shards(tmp_path / "good", "train", ["n", "caption"], HINT)
    file = next((tmp_path / "good" / "data").iterdir())
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="not a complete Parquet file"):
        Shards(tmp_path / "good", "train", ["n"], HINT)
    file.write_bytes(content)
    shards = Shards(tmp_path / "good", "train", ["n", "text"], HINT)
    times = file.stat()
    file.write_bytes(b"\0" * len(content))
    with pytest.raises(InputError, match="was replaced while it was read"):
        next(stream(Reader(shards, 1), Assignment(3, 1).spans(0), 1, lambda c: (c, 1.0)))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(InputError, match="row group 0"):
        next(stream(Reader(shards, 1), Assignment(3, 1).spans(0), 1, lambda c: (c, 1.0)))
