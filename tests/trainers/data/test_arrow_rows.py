"""Rows of Arrow tables, whatever wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from trainers.data.shards import Shards

HINT = "python -m pipeline.build makes them"


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
