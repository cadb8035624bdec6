"""Small shards whose records are numbered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainers.data.shards import Shards

HINT = "python -m pipeline.build makes them"
SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string())])


def write_numbered_shards(folder: Path, files: list[list[int]], split: str = "train") -> Shards:
    """Write shards whose row groups have so many rows; `n` numbers the rows."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    first = 0
    for number, groups in enumerate(files):
        path = folder / "data" / f"{split}-{number:05d}-of-{len(files):05d}.parquet"
        with pq.ParquetWriter(path, SCHEMA) as writer:
            for rows in groups:
                numbers = list(range(first, first + rows))
                writer.write_table(pa.table({"n": numbers, "text": [f"文{n}" for n in numbers]}, schema=SCHEMA))
                first += rows
    return Shards(folder, split, ["n", "text"], HINT)


@pytest.fixture(scope="session")
def numbered_shards() -> Callable[..., Shards]:
    return write_numbered_shards
