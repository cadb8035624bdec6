"""Nothing is trained on what was made of other shards: tokens, a run's checkpoints, derived columns."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
from rich.console import Console

from pipeline.core.identity import identify_corpus, identify_shards
from pipeline.core.inline import InlineEngine
from tokenizer.encoding import TokenShardBuild
from tokenizer.settings import Encoding
from trainers.data.derived_columns import DerivedColumns, write_derived_column
from trainers.data.shards import Shards


def change_one_character(corpus: Path) -> None:
    """Rewrite the training shard with one character of its text replaced by another."""
    file = next((corpus / "data").glob("train-*"))
    frame = pl.read_parquet(file)
    first = frame["text"][0]
    texts = [("犬" if first[0] != "犬" else "猫") + first[1:], *frame["text"][1:]]
    frame.with_columns(text=pl.Series(texts)).write_parquet(file, row_group_size=64)


def test_a_gpt_trains_on_the_corpus_as_it_is_now(tokenised, train, tmp_path, small_gpt, capsys):
    corpus, out = tmp_path / "corpus", tmp_path / "run"
    shutil.copytree(tokenised, corpus)  # a copy is of the same shards
    steps = ["--set", "train.steps=1", "--set", "train.evaluate_records=1"]
    assert train("gpt", corpus, "--out", out, *small_gpt, *steps) == 0
    change_one_character(corpus)
    assert train("gpt", corpus, "--out", tmp_path / "other", *small_gpt, *steps) == 2
    assert "was built anew" in (said := capsys.readouterr().err.replace("\n", " "))
    assert f"python -m tokenizer.encode {corpus} --sequence-length 32" in said
    build = TokenShardBuild(corpus, corpus / "tokenizer", Encoding(sequence_length=32))
    build.run(InlineEngine(tmp_path / "scratch", Console(quiet=True)))
    assert train("gpt", corpus, "--out", out, *small_gpt, "--set", "train.steps=2", "--resume") == 2
    assert "was made anew since. Begin anew in another --out" in capsys.readouterr().err.replace("\n", " ")
    assert train("gpt", corpus, "--out", tmp_path / "other", *small_gpt, *steps) == 0


def test_shards_are_known_by_their_content_and_not_by_when_they_were_copied(tokenised, tmp_path):
    shutil.copytree(tokenised / "data", tmp_path / "copy" / "data")
    assert identify_corpus(tmp_path / "copy") == identify_corpus(tokenised)
    change_one_character(tmp_path / "copy")
    assert identify_corpus(tmp_path / "copy") != identify_corpus(tokenised)
    assert identify_corpus(tmp_path) is None


def test_derived_columns_are_made_anew_where_a_shard_of_equal_sizes_says_something_else(tmp_path):
    made = list[str]()

    def write(text: str) -> Shards:
        (tmp_path / "data").mkdir(exist_ok=True)
        pl.DataFrame({"text": [text]}).write_parquet(
            tmp_path / "data" / "train-00000-of-00001.parquet", compression="uncompressed"
        )
        return Shards(tmp_path, "train", ["text"], "")

    def build(shards: Shards) -> None:
        schema = pa.schema([("length", pa.int64())])

        def write_file(path: Path, split: Shards) -> None:
            made.append(path.name)
            write_derived_column(path, split, schema, lambda record: record["text"], lambda texts: [*map(len, texts)], 1, 1)

        columns = DerivedColumns("lengths", tmp_path / "derived", False, {"version": 1}, [shards])
        columns.build(dict, write_file, lambda text: None)

    first = write("一")
    build(first)
    build(first)
    second = write("二")
    assert len(made) == 1 and second.fingerprint == first.fingerprint
    build(second)
    assert len(made) == 2 and identify_shards(second.files) == second.identity != first.identity
