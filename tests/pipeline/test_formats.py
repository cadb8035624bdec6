"""Text in every format, known by content: one build of all of them, whole and killed, and what others read of it."""

import os
import random

import duckdb
import polars as pl
import pyarrow.dataset
import pytest

from tests.support.builds import find_temporaries, hash_outputs, read_ledger, read_shards
from tests.support.formats import FORMATS, write_formats
from tests.support.texts import make_sentences

DOCUMENTS = 15
KILLS = int(os.environ.get("SEIMAI_KILLS", 2))
# Small partitions, so that each file has several.
OPTIONS = ("ja-web", "--set", "source.partition=4 KB", "--set", "shards.size=60 KB", "--set", "shards.validation=0.1")


@pytest.fixture(scope="module")
def texts():
    """Documents of each format, by the name of its file."""
    return {name: [make_sentences(f"{name} {i}") for i in range(DOCUMENTS)] for name in FORMATS}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, texts):
    return [f"--input={path}" for path in write_formats(tmp_path_factory.mktemp("formats"), [*texts.values()])]


@pytest.fixture(scope="module")
def corpus(inputs, build_on_cluster, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "o"
    done = build_on_cluster(*OPTIONS, *inputs, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def normalise(text):
    """What every format keeps of a text."""
    return "".join(text.split())


def test_every_document_of_every_format_has_a_row_and_leads_back(corpus, texts):
    ledger = read_ledger(corpus)
    for name, documents in texts.items():
        rows = ledger.filter(source=f"ja-web/{name}")
        assert [normalise(e) for e in rows["excerpt"]] == [normalise(d[:200]) for d in documents], name
        assert (rows["id"] == rows["source"] + "/" + rows["id"].str.split("/").list.last()).all()
    assert len(ledger) == DOCUMENTS * len(FORMATS)
    raw = "\n\n".join(texts["plain.txt"]).encode()
    for number, id_ in enumerate(ledger.filter(source="ja-web/plain.txt")["id"]):
        assert raw[int(id_[-10:]) :].startswith(texts["plain.txt"][number].encode())
    assert ledger.filter(source="ja-web/wikipedia.parquet")["id"].str.slice(-10).cast(pl.Int64).to_list() == [*range(DOCUMENTS)]
    assert ledger.filter(source="ja-web/pages.warc.gz")["id"].str.contains("00000000-0000-4000-8000-0000").all()


def test_url_title_and_date_go_to_shards_and_ledger(corpus):
    for frame in (read_shards(corpus), read_ledger(corpus)):
        rows = {name: frame.filter(source=f"ja-web/{name}").sort("id") for name in FORMATS}
        assert set(rows["c4.json.gz"]["date"]) == {"2019-04-01T00:00:00Z"}
        assert rows["c4.json.gz"]["url"].str.starts_with("https://example.jp/").all()
        assert rows["wikipedia.parquet"]["title"].str.starts_with("題").all()
        assert rows["pages.warc.gz"]["title"].str.starts_with("題").all()
        assert set(rows["pages.warc.gz"]["date"]) == {"2024-05-01T00:00:00Z"}
        assert rows["cirrussearch-content.json.gz"]["url"].str.starts_with("https://ja.wikipedia.org/wiki/").all()
        assert rows["plain.txt"].select("url", "title", "date").null_count().row(0) == (len(rows["plain.txt"]),) * 3


def test_polars_datasets_duckdb_and_pyarrow_read_it(corpus, tmp_path):
    import datasets  # late: takes a second in every worker

    shards = read_shards(corpus).sort("id")
    columns = ["id", "text", "source", "url", "title", "date"]
    expected = shards.select(columns).rows()
    files = f"{corpus}/data/*.parquet"
    assert pl.scan_parquet(files).select(columns).sort("id").collect().rows() == expected
    assert duckdb.sql(f"select {', '.join(columns)} from '{files}' order by id").fetchall() == expected
    table = pyarrow.dataset.dataset(str(corpus / "data"), format="parquet").to_table(columns=columns)
    assert pl.DataFrame(pl.from_arrow(table)).sort("id").rows() == expected
    counts = duckdb.sql(f"select count(*), count(distinct source) from '{corpus}/ledger/*.parquet'").fetchall()
    assert counts[0] == (DOCUMENTS * len(FORMATS), len(FORMATS))
    for streaming in (False, True):
        loaded = datasets.load_dataset(str(corpus), cache_dir=str(tmp_path), streaming=streaming)
        rows = [row for split in loaded.values() for row in split]
        assert len(rows) == len(shards) and set(rows[0]) == set(shards.columns)
        assert sum(row["url"] is None for row in rows) == shards["url"].null_count()


@pytest.mark.e2e
def test_killed_at_random_moments_every_format_goes_on_and_makes_the_same(kill_at, build_on_cluster, inputs, corpus, tmp_path):
    out = tmp_path / "out"
    drawn = random.Random(7)
    pieces = len([*corpus.rglob("*.json")])
    for number in range(KILLS):
        low, high = number * pieces // KILLS, (number + 1) * pieces // KILLS - 2
        wanted = max(2, drawn.randint(low, high))
        kill_at(wanted, out, *OPTIONS, *inputs, "--out", out, "--workers", 0, pause=drawn.uniform(0, 0.05))
    done = build_on_cluster(*OPTIONS, *inputs, "--out", out)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == hash_outputs(corpus)
    assert find_temporaries(out) == []


@pytest.mark.e2e
def test_the_same_bytes_without_workers(build, inputs, corpus, tmp_path):
    """Where each file is cut as it is measured; with two workers, one cuts while both measure."""
    done = build(*OPTIONS, *inputs, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert hash_outputs(tmp_path / "out") == hash_outputs(corpus)
