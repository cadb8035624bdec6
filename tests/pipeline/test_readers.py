"""What others read the shards with, none of it ours."""

import json
import os
import subprocess
import sys

import polars as pl
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def kept(reference):
    return pl.read_parquet(reference / "ledger" / "*.parquet").filter(verdict="kept")


def test_polars(reference, kept):
    frame = pl.scan_parquet(f"{reference}/data/*.parquet")
    assert frame.select(pl.len()).collect().item() == len(kept)
    long = frame.filter(pl.col("chars") > 200).select("id", "text").collect()
    assert 0 < len(long) < len(kept) and (long["text"].str.len_chars() > 200).all()
    assert pl.scan_parquet(f"{reference}/ledger/*.parquet").filter(verdict="duplicate").collect().height > 0


def test_pyarrow(reference, kept):
    table = pyarrow.dataset.dataset(reference / "data", format="parquet").to_table()
    assert sorted(table.column("id").to_pylist()) == sorted(kept["id"])
    assert {str(f.type) for f in table.schema} == {"string", "float", "int32", "uint32"}
    for path in (reference / "data").iterdir():
        file = pq.ParquetFile(path)
        assert all(file.metadata.row_group(i).num_rows <= 1024 for i in range(file.num_row_groups))
        assert sum(batch.num_rows for batch in file.iter_batches(7)) == file.metadata.num_rows


def test_datasets(reference, kept, tmp_path):
    """In a process of its own, offline, with nothing of ours imported.

    The stream is read to its end: pyarrow aborts at exit, now and then, where a scan was left midway (apache/arrow#45214).
    """
    code = (
        "import datasets, json, sys; d = datasets.load_dataset(sys.argv[1]);"
        "print(json.dumps({k: [v.num_rows, v.features['text'].dtype, v[0]['text']] for k, v in d.items()}));"
        "s = datasets.load_dataset(sys.argv[1], split='train', streaming=True);"
        "print(json.dumps([row['id'] for row in s])); assert 'pipeline' not in sys.modules"
    )
    environment = os.environ | {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(reference)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    splits, streamed = (json.loads(line) for line in done.stdout.splitlines()[-2:])
    assert sum(rows for rows, _, _ in splits.values()) == len(kept)
    assert set(splits) <= {"train", "validation"}
    assert all(kind == "string" and text for _, kind, text in splits.values())
    assert len(streamed) == splits["train"][0] and set(streamed) <= set(kept["id"])
    assert streamed[0] == kept["id"][0]
