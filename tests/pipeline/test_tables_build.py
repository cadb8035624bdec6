"""Builds from JSON lines and tables that are not as they should be: what is told before work begins, what is lost, and what is kept."""

import gzip
import json

import polars as pl
import pytest

from tests.support.builds import read_ledger
from tests.support.texts import make_sentences

TEXTS = [make_sentences(str(i)) for i in range(12)]


@pytest.fixture
def parquet(tmp_path):
    pl.DataFrame({"body": TEXTS, "score": [i / 12 for i in range(12)], "tags": [["a"]] * 12}).write_parquet(
        tmp_path / "a.parquet"
    )
    return tmp_path / "a.parquet"


def test_a_broken_line_is_one_row_of_the_ledger_with_its_number(build, tmp_path):
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in TEXTS]
    lines[5] = lines[5][:40]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    done = build("jsonl", "--input", tmp_path / "a.jsonl.gz", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    ledger = read_ledger(tmp_path / "o")
    assert len(ledger) == 12
    row = ledger.filter(verdict="unreadable")
    assert len(row) == 1 and row["value"][0].startswith("line 6: not JSON")


@pytest.mark.parametrize(
    ("column", "words"), [(None, ["is known by its name"]), ("text", ["no column 'text'"]), ("tags", ["in 'tags'"])]
)
def test_a_table_without_text_is_told_before_work_begins(build, parquet, tmp_path, column, words):
    options = ["--set", f"source.columns.text={column}"] if column else []
    if column is None:
        pl.read_parquet(parquet).rename({"body": "main"}).write_parquet(parquet)
    done = build("parquet", "--input", parquet, "--out", tmp_path / "o", *options)
    assert done.returncode == 2
    output = " ".join((done.stdout + done.stderr).split())
    assert all(word in output for word in [*words, "'score'", "'tags'"]), output
    assert not (tmp_path / "o").exists()


def test_a_kept_column_goes_to_the_shards_and_rules_judge_it(build, parquet, tmp_path):
    options = ["--set", 'source.keep=["score:float"]', "--set", "rules.score.at_least=0.5"]
    done = build("parquet", "--input", parquet, "--out", tmp_path / "o", *options)
    assert done.returncode == 0, done.stderr
    ledger = read_ledger(tmp_path / "o")
    assert (ledger.filter(rule="score")["score"] < 0.5).all() and ledger["score"].null_count() == 0


def test_of_several_files_the_sound_ones_are_kept(build, parquet, tmp_path):
    raw = parquet.read_bytes()
    (tmp_path / "b.parquet").write_bytes(raw[: len(raw) // 2])
    options = ["--input", tmp_path / "*.parquet", "--out", tmp_path / "o"]
    done = build("parquet", *options)
    assert done.returncode == 1 and "b.parquet is not a whole Parquet file" in " ".join((done.stdout + done.stderr).split())
    done = build("parquet", *options, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert len(read_ledger(tmp_path / "o")) == 12
