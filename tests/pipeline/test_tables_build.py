"""Builds from JSON lines and tables that are not as they should be: what is told before work begins, what is lost, and what is kept."""

import gzip
import json

import polars as pl
import pytest

from pipeline.manifest.loading import load
from tests.support.builds import read_ledger, read_shards
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
    assert len(row) == 1 and row["value_text"][0].startswith("line 6: not JSON")


def test_cells_that_are_no_numbers_are_null_and_reasons_are_told(build, tmp_path):
    """One cell of a column that no rule uses costs no record; a rule takes it for missing. Broken lines have their reasons."""
    scores = [*("N/A", "", "3,5", 0.25), *[0.9] * 8]
    lines = [json.dumps({"text": text, "score": score}) for text, score in zip(TEXTS, scores, strict=True)]
    lines += ["{", "[1]", "[2]", '{"text": 5, "score": 0.5}', '"text"']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), "utf-8")
    options = ["--input", tmp_path / "a.jsonl", "--out", tmp_path / "o", "--set", "source.keep=score:float"]
    done = build("jsonl", *options)
    assert done.returncode == 0, done.stderr
    assert (
        'warning: 3 values do not fit score:float of source.keep, such as "N/A": they became null, which a rule takes for missing. '
        "Write score there without :float to keep the column as text"
    ) in done.stdout
    assert (
        "warning: 5 of 17 records could not be read; 2 of them like this: line 14: no JSON object but a list\n" in done.stdout
    )
    assert "and 1 like this: line 13: not JSON: Expecting property name" in done.stdout
    assert "\nand 1 for other reasons; the ledger has that of each, in value_text\n" in done.stdout
    ledger = read_ledger(tmp_path / "o")
    assert dict(ledger["verdict"].value_counts().rows()) == {"kept": 12, "unreadable": 5}
    assert ledger["score"].to_list()[12:] == [None, None, None, 0.5, None]  # what could be read of a line without text
    assert read_shards(tmp_path / "o").sort("id")["score"].to_list()[:4] == [None, None, None, 0.25]
    done = build("jsonl", *options, "--set", "rules.score.at_least=0.2")
    dropped = read_ledger(tmp_path / "o").filter(rule="score")
    assert done.returncode == 0 and dropped["value_text"].to_list() == ["missing"] * 3 and "3 values do not fit" in done.stdout


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


def test_input_of_ones_own_is_not_said_to_be_under_the_terms_of_a_shipped_manifest(build, tmp_path):
    """Until its licence is stated, which says what the input is."""
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS), "utf-8")
    options = ["--input", tmp_path / "a.jsonl", "--out", tmp_path / "o"]
    for more, license, title in (
        ([], "unknown", "C4 Japanese, polished (own input)"),
        (["--set", "license=CC-BY-4.0"], "CC-BY-4.0", "C4 Japanese, polished"),
    ):
        done = build("c4-ja", *options, *more)
        assert done.returncode == 0, done.stderr
        assert ("license unknown: the manifest c4-ja does not say what this input is under" in done.stdout) == (not more)
        assert set(read_shards(tmp_path / "o")["license"]) == {license}
        card = (tmp_path / "o" / "README.md").read_text("utf-8")
        assert f"\nlicense: {license.lower()}\n" in card and f"\n# {title}\n" in card.replace("\\", "")
        assert ("huggingface.co/datasets/allenai/c4" in card) == bool(more)


def test_records_say_which_input_they_are_from_and_under_which_license(build, tmp_path):
    """By a name that is the same from wherever the build is run; what a record says of itself comes first."""
    own = [{}, {"license": "CC-BY-4.0"}, {"license": " ", "source": "blog | x"}]
    for folder, texts in (("a", TEXTS[:6]), ("b", TEXTS[6:])):
        (tmp_path / folder).mkdir()
        lines = (json.dumps({"text": text, **own[i % 3]}) for i, text in enumerate(texts))
        (tmp_path / folder / "x.jsonl").write_text("\n".join(lines), "utf-8")
    files = (tmp_path / "a" / "x.jsonl", tmp_path / "b" / "x.jsonl")
    done = build("jsonl", *(word for file in files for word in ("--input", file)), "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    expected = {"jsonl/a/x.jsonl": 4, "jsonl/b/x.jsonl": 4, "blog | x": 4}
    shards = read_shards(tmp_path / "o")
    for frame in (read_ledger(tmp_path / "o"), shards):
        assert dict(frame["source"].value_counts().rows()) == expected
    manifest = load("jsonl")
    assert dict(shards["license"].value_counts().rows()) == {manifest.license: 8, "CC-BY-4.0": 4}
    chars = shards.group_by("license").agg(pl.sum("chars"))
    card = (tmp_path / "o" / "README.md").read_text("utf-8")
    for license, count in chars.rows():
        assert f"| `{license}` | {8 if license == manifest.license else 4} | {count:,} |" in card
    (tmp_path / "c").mkdir()
    files[1].rename(tmp_path / "c" / "y.jsonl")
    inputs = ("--input", "../a/x.jsonl", "--input", "y.jsonl")
    assert build("jsonl", *inputs, "--out", tmp_path / "p", cwd=tmp_path / "c").returncode == 0
    assert set(read_ledger(tmp_path / "p")["source"]) == {"jsonl/x.jsonl", "jsonl/y.jsonl", "blog | x"}


def test_of_several_files_the_sound_ones_are_kept(build, parquet, tmp_path):
    raw = parquet.read_bytes()
    (tmp_path / "b.parquet").write_bytes(raw[: len(raw) // 2])
    options = ["--input", tmp_path / "*.parquet", "--out", tmp_path / "o"]
    done = build("parquet", *options)
    assert done.returncode == 1 and "b.parquet is not a whole Parquet file" in " ".join((done.stdout + done.stderr).split())
    done = build("parquet", *options, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert len(read_ledger(tmp_path / "o")) == 12
