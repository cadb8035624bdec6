"""Many input files: each worker cuts its own, small ones share partitions, and nothing of that shows in what comes out."""

import gzip
import tomllib

import polars as pl
import pytest

from pipeline.core.errors import ChangedInputError, UsageError
from pipeline.manifest.loading import load
from pipeline.sources.inputs import resolve
from pipeline.steps import cut, measure
from pipeline.steps.cut import group_files
from tests.support.builds import hash_outputs, read_ledger, read_shards
from tests.support.texts import make_sentences

FILES, DOCUMENTS = 30, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of six documents each; every third is compressed, one is empty."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(FILES):
        body = "\n\n".join(make_sentences(f"{number}-{i}") for i in range(DOCUMENTS)).encode() if number != 7 else b""
        path = folder / f"{number:03d}.txt"
        path.write_bytes(gzip.compress(body) if number % 3 == 0 else body)
    return folder


def test_small_files_share_a_unit_and_large_ones_have_one_each(folder, monkeypatch):
    files = resolve([f"{folder}/*.txt"])
    settings = load("cc100-ja").source
    (unit,) = group_files(files, settings)
    assert (unit.first, unit.files) == (0, tuple(files))
    monkeypatch.setattr(cut, "UNIT_FILES", 7)
    assert [(unit.number, unit.first, len(unit.files)) for unit in group_files(files, settings)] == [
        (0, 0, 7), (1, 7, 7), (2, 14, 7), (3, 21, 7), (4, 28, 2),
    ]  # fmt: skip
    monkeypatch.setattr(cut, "SMALL_FILE", 1000)
    large = [i for i, file in enumerate(files) if file.size >= 1000]
    units = group_files(files, settings)
    assert [file for unit in units for file in unit.files] == files
    assert {unit.first for unit in units if len(unit.files) == 1} >= {*large}


@pytest.mark.parametrize("units_per_worker", [0, 100])
@pytest.mark.parametrize("small_file", [0, 1 << 20])
def test_the_same_corpus_whoever_cuts_and_however_files_are_grouped(
    folder, build, tmp_path, monkeypatch, units_per_worker, small_file
):
    """Grouping decides which parts there are, and so the shards' bytes; the records and their ids are the same."""
    monkeypatch.setattr(cut, "SMALL_FILE", small_file)
    monkeypatch.setattr(measure, "UNITS_PER_WORKER", units_per_worker)
    done = build("cc100-ja", "--input", f"{folder}/*.txt", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    ledger = read_ledger(tmp_path / "o")
    assert len(ledger) == (FILES - 1) * DOCUMENTS
    assert set(ledger["source"]) == {f"cc100-ja/{number:03d}.txt" for number in range(FILES) if number != 7}
    assert (ledger["id"] == ledger["source"] + "/" + ledger["id"].str.slice(-10)).all()
    assert ledger["id"].to_list() == sorted(ledger["id"])
    for number in (0, 1, 29):
        excerpts = ledger.filter(source=f"cc100-ja/{number:03d}.txt")["excerpt"].to_list()
        assert excerpts == [make_sentences(f"{number}-{i}")[:200] for i in range(DOCUMENTS)]
    shards = read_shards(tmp_path / "o")
    assert dict(shards.select("id", "source").rows()).items() <= dict(ledger.select("id", "source").rows()).items()


def test_who_cuts_does_not_change_a_byte(folder, build, tmp_path, monkeypatch):
    hashes = []
    for name, units_per_worker in (("a", 0), ("b", 100)):
        monkeypatch.setattr(cut, "SMALL_FILE", 0)
        monkeypatch.setattr(measure, "UNITS_PER_WORKER", units_per_worker)
        assert build("cc100-ja", "--input", f"{folder}/*.txt", "--out", tmp_path / name).returncode == 0
        hashes.append(hash_outputs(tmp_path / name))
    assert hashes[0] == hashes[1]


def test_a_limit_counts_over_all_files(folder, build, tmp_path):
    done = build("cc100-ja", "--input", f"{folder}/*.txt", "--out", tmp_path / "o", "--limit", 20)
    assert done.returncode == 0, done.stderr
    assert read_ledger(tmp_path / "o")["source"].value_counts().sort("source").rows() == [
        ("cc100-ja/000.txt", 6), ("cc100-ja/001.txt", 6), ("cc100-ja/002.txt", 6), ("cc100-ja/003.txt", 2),
    ]  # fmt: skip
    said = " ".join(done.stderr.split() + done.stdout.split())
    assert "--limit 20 took the first records, all from 4 of 30 inputs; nothing was read of" in said
    assert "004.txt" in said and "003.txt" not in said


def test_one_damaged_file_of_many_is_named_and_the_others_are_kept(folder, build, tmp_path):
    broken = tmp_path / "in"
    broken.mkdir()
    for path in sorted(folder.iterdir())[:4]:
        data = path.read_bytes()
        (broken / path.name).write_bytes(data[: len(data) // 2] if path.name == "003.txt" else data)
    options = ("cc100-ja", "--input", f"{broken}/*.txt", "--out", tmp_path / "o")
    done = build(*options)
    assert done.returncode == 1 and "003.txt ends too early" in done.stderr and "--keep-going" in done.stderr
    done = build(*options, "--keep-going")
    assert done.returncode == 0, done.stderr
    counts = dict(read_ledger(tmp_path / "o")["source"].value_counts().rows())
    assert [counts[f"cc100-ja/{number:03d}.txt"] for number in range(3)] == [DOCUMENTS] * 3
    lock = tomllib.loads((tmp_path / "o" / "manifest.lock.toml").read_text("utf-8"))
    assert sum("sha256" in file for file in lock["lock"]["inputs"]) == 3


def test_a_file_of_another_format_is_named_with_the_command_that_is_right(folder, build, tmp_path):
    path = tmp_path / "pages.jsonl"
    path.write_text('{"text": "日本語の文書。"}\n' * 3, "utf-8")
    done = build("cc100-ja", "--input", path, "--out", tmp_path / "o")
    assert done.returncode == 2
    assert "is JSON lines" in done.stderr and f"python -m pipeline.build ja-web --input {path}" in done.stderr
    assert not (tmp_path / "o").exists()


def test_rules_may_judge_kept_columns_and_only_those():
    with pytest.raises(UsageError, match="no measure of that name, nor a column of source.keep"):
        load("cc100-ja", ["rules.score.at_least=1"])
    assert pl.String() == load("cc100-ja", ['source.keep=["url"]']).source.kept["url"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ('source.keep=["locator"]', "have a column of that name already"),
        ('source.keep=["file:int"]', "have a column of that name already"),
        ('source.keep=["namespace"]', "have a column of that name already"),
        ('source.keep=[""]', "names no column"),
        ('source.keep=["score:flaot"]', "there is no type 'flaot'"),
        ('source.columns={txt="body"}', "Seimai has no such column, and source.keep does not name it; did you mean 'text'?"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused(override, words):
    with pytest.raises(UsageError) as refused:
        load("jsonl", [override])
    assert words in str(refused.value)


def test_a_kept_column_may_have_another_name():
    source = load("jsonl", ['source.columns={own_file="file"}', 'source.keep=["own_file:int"]']).source
    assert (source.kept["own_file"], source.fields.columns["own_file"]) == (pl.Int64(), "file")


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_a_file_that_changes_under_the_build_is_noticed(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    pack = gzip.compress if suffix.endswith("gz") else bytes
    path.write_bytes(pack("\n\n".join(make_sentences(i) for i in range(30)).encode()))
    manifest = load("cc100-ja", ["source.partition=1000"])
    (unit,) = group_files(resolve([str(path)]), manifest.source)
    (tmp_path / "m").mkdir()
    cutting = cut.cut_unit(manifest, unit, tmp_path / "m", None)
    partition, bodies = next(cutting)
    path.write_bytes(pack("\n\n".join(make_sentences(i) for i in range(31)).encode()))
    with pytest.raises(ChangedInputError, match="has changed since the build began"):
        cut.read_partition(manifest, unit, partition, bodies) if bodies == [None] else [*cutting]


def test_names_are_shown_as_they_are(build, tmp_path):
    done = build("cc100-ja", "--input", tmp_path / "x:b:[red].jsonl", "--out", tmp_path / "o")
    assert "x:b:[red].jsonl: nothing matches" in done.stderr.replace("\n", "")


def test_a_glob_takes_files_where_there_are_folders_beside_them(folder, tmp_path):
    (tmp_path / "a.txt").write_text("文。", "utf-8")
    (tmp_path / "sub").mkdir()
    assert [file.name for file in resolve([f"{tmp_path}/*"])] == ["a.txt"]
