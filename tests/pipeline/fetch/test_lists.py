"""Lists of every format."""

import gzip
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import UsageError
from pipeline.fetch.command import fetch
from pipeline.fetch.lists import read_list
from pipeline.fetch.settings import FetchSettings


def read_frame(path):
    return pl.concat(list(read_list(str(path))))


def test_lists_of_every_format(tmp_path):
    urls, captions = [f"https://a.example/{i},x.jpg" for i in range(3)], ["猫", '"犬" が走る', "http は略語"]
    pl.DataFrame(
        {"SAMPLE_ID": [1, 2, 3], "URL": urls, "TEXT": captions, "WIDTH": [1, 2, None], "sha256": ["a", "b", "c"]}
    ).write_parquet(tmp_path / "laion.parquet")
    both = list(zip(urls, captions))
    texts = {
        "cc12m.tsv": "".join(f"{u}\t{c}\n" for u, c in both),
        "cc3m.tsv": "".join(f"{c}\t{u}\n" for u, c in both),
        "crlf.tsv": "\ufeff" + "".join(f"{u}\t{c}\r\n" for u, c in both),
        "header.tsv": "Caption\tURL\tscore\n" + "".join(f"{c}\t{u}\t0.5\n" for u, c in both),
        "header.csv": "id,url,caption\n"
        + "".join('{},"{}","{}"\n'.format(i, u, c.replace('"', '""')) for i, (u, c) in enumerate(both)),
        "lines.jsonl": "".join(json.dumps({"text": c, "url": u, "n": 1}) + "\n" for u, c in both),
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "packed.tsv.gz").write_bytes(gzip.compress(texts["cc12m.tsv"].encode()))
    for name in ("laion.parquet", "packed.tsv.gz", *texts):
        found = read_frame(tmp_path / name)
        assert found["url"].to_list() == urls and found["caption"].to_list() == captions, name
    assert read_frame(tmp_path / "laion.parquet").columns == ["url", "caption", "SAMPLE_ID", "WIDTH", "list_sha256"]
    assert read_frame(tmp_path / "header.tsv").columns == ["url", "caption", "score"]
    (tmp_path / "urls.txt").write_text("\n" + "\n\n".join(urls))
    assert read_frame(tmp_path / "urls.txt")["url"].to_list() == urls
    assert read_frame(tmp_path / "urls.txt")["caption"].null_count() == 3


def test_columns_of_any_type_stay_where_they_can(tmp_path):
    urls, captions = pa.array([b"https://a.example/1.jpg", b"\xff"]), pa.array([b"\xe7\x8a", "犬".encode()])
    price, sums = pa.array([1, 2], pa.decimal256(50, 2)), pa.array([[1], []], pa.list_(pa.decimal256(50, 2)))
    pq.write_table(pa.table({"url": urls, "text": captions, "price": price, "sums": sums}), tmp_path / "a.parquet")
    rows = [("https://a.example/1.jpg", "\ufffd", "1.00", None), (None, "犬", "2.00", None)]
    assert read_frame(tmp_path / "a.parquet").rows() == rows


def test_a_list_without_urls_is_wrong_usage(tmp_path, console):
    pl.DataFrame({"name": ["a"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="no column of URLs among name"):
        fetch([str(tmp_path / "x.parquet")], tmp_path / "out", FetchSettings(), console)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        fetch([str(tmp_path / "empty.txt")], tmp_path / "out", FetchSettings(), console)
