"""Which files of a folder or a repository are its documents."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from pipeline.core.errors import UsageError
from pipeline.sources.base import Fields
from pipeline.sources.text.arrow import ArrowSource
from pipeline.sources.text.data_files import choose_data_files
from pipeline.sources.text.inputs import find_document_files
from pipeline.sources.text.parquet import ParquetSource
from tests.pipeline.sources.text.helpers import read_all

CARD = """---
license: cc0-1.0
configs:
- config_name: ja
  {default}
  data_files:
  - split: train
    path: ["data/ja/train-*", "more/*.parquet"]
  - split: test
    path: data/ja/test-*
- config_name: en
  data_files: data/en/*.parquet
---
# A dataset
"""
REPOSITORY = [
    "README.md",
    ".gitattributes",
    "data/ja/train-0.parquet",
    "data/ja/test-0.parquet",
    "more/x.parquet",
    "data/en/a.parquet",
]


@pytest.mark.parametrize(
    ("paths", "chosen"),
    [
        (["a.parquet", "b.parquet", "README.md", "LICENSE", ".hidden", "_OK", "d/.git/x", "state.json"], ["a.parquet", "b.parquet"]),
        (["data/train-0.parquet", "data/train-1.parquet", "data/validation-0.parquet"], ["data/train-0.parquet", "data/train-1.parquet"]),
        (["train.jsonl", "test.jsonl", "more.jsonl"], ["train.jsonl", "more.jsonl"]),
        (["a.jsonl", "b.jsonl", "train.jsonl"], ["a.jsonl", "b.jsonl", "train.jsonl"]),
        (["dev-blog.jsonl", "news.jsonl", "latest.jsonl"], ["dev-blog.jsonl", "news.jsonl", "latest.jsonl"]),
        (["test/a.txt"], ["test/a.txt"]),
        (["Training/a.jsonl.gz", "eval/b.jsonl.gz"], ["Training/a.jsonl.gz"]),
        (["contest.txt", "trainer.txt"], ["contest.txt", "trainer.txt"]),
    ],
)  # fmt: skip
def test_files_are_chosen_by_name(paths, chosen):
    files = choose_data_files(paths, None, "here")
    assert files.paths == chosen
    assert (files.note is None) == all(path in chosen or path.startswith((".", "_", "d/")) for path in paths)


def test_what_is_left_out_is_told():
    note = choose_data_files(["train.jsonl", "test.jsonl", "README.md"], None, "here").note
    assert note == "of here only the split train is read (1 files), not test (1: test.jsonl): name the files of those"
    assert choose_data_files(["a.jsonl", "README.md"], None, "here").note == "of here 1 files are read, not README.md"


def test_the_card_says_which_files_are_read():
    files = choose_data_files(REPOSITORY, CARD.format(default="default: true"), "here")
    assert files.paths == ["data/ja/train-0.parquet", "more/x.parquet"] and "not test (1: data/ja/test-0.parquet)" in files.note


def test_several_configs_are_told_with_their_files():
    with pytest.raises(
        UsageError, match=r"has 2 configs: ja, en. Name the files of one \(ja: here/data/ja/train-\*; en: here/data/en/"
    ):
        choose_data_files(REPOSITORY, CARD.format(default=""), "here")


@pytest.mark.parametrize(
    "card", ["no YAML", "---\n: [\n---\n", "---\nconfigs: 5\n---\n", "---\nconfigs:\n- config_name: a\n---\n"]
)
def test_a_card_that_says_nothing_is_passed_over(card):
    assert choose_data_files(["README.md", "a.parquet"], card, "here").paths == ["a.parquet"]


def test_splits_without_a_train_split_are_told():
    with pytest.raises(UsageError, match="has the splits validation, test, and none is called train"):
        choose_data_files(["val.jsonl", "test.jsonl"], None, "here")


def test_a_script_is_never_run():
    with pytest.raises(UsageError, match=r"a script, corpus.py, which is never run.*here@refs/convert/parquet"):
        choose_data_files(["corpus.py", "README.md"], None, "here")


def test_a_folder_of_nothing_is_told(tmp_path):
    with pytest.raises(UsageError, match="has no files of documents; in it are README.md"):
        (tmp_path / "README.md").write_text("a")
        find_document_files([str(tmp_path)])


# -- what `datasets` saves

TEXTS = [f"文書{i}" for i in range(30)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    dataset = Dataset.from_dict({"text": TEXTS, "url": [f"https://a.b/{i}" for i in range(30)]})
    dataset.save_to_disk(folder / "one", num_shards=3)
    DatasetDict({"train": dataset, "validation": dataset.select(range(5))}).save_to_disk(folder / "splits")
    dataset.to_parquet(folder / "hub" / "data" / "train-00000-of-00001.parquet")
    return folder


def test_a_saved_dataset_is_read_in_its_order(saved):
    files = find_document_files([str(saved / "one")])
    assert [file.name for file in files] == [f"data-0000{i}-of-00003.arrow" for i in range(3)] and files[0].note is None
    rows = [row for file in files for row in read_all(ArrowSource(), file, Fields()).rows]
    assert [row["text"] for row in rows] == TEXTS and rows[3]["url"] == "https://a.b/3"


def test_of_saved_splits_train_is_read(saved):
    files = find_document_files([str(saved / "splits")])
    assert files[0].url.startswith(str(saved / "splits" / "train"))
    assert files[0].note.startswith(f"of {saved / 'splits'} only the split train is read, not validation")
    assert len(find_document_files([str(saved / "splits" / "validation")])) == 1


def test_a_folder_in_the_hubs_layout_is_read(saved):
    (file,) = find_document_files([str(saved / "hub")])
    assert file.name == "data/train-00000-of-00001.parquet" and read_all(ParquetSource(), file).texts() == TEXTS


def test_a_dataset_that_was_not_saved_to_its_end_is_told(tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-0.arrow"}]}))
    with pytest.raises(UsageError, match="names data-0.arrow, which is not there"):
        find_document_files([str(tmp_path)])


def test_a_dataset_does_not_lead_out_of_its_folder(tmp_path):
    (tmp_path / "x.arrow").write_bytes(b"")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../x.arrow"}]}))
    with pytest.raises(UsageError, match="not saved to its end"):
        find_document_files([str(tmp_path / "in")])


def test_files_folders_and_globs_together(saved, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    files = find_document_files([str(tmp_path / "*.txt"), str(saved / "hub"), str(saved / "one")])
    assert len(files) == 5 and len({file.name for file in files}) == 5
    with pytest.raises(UsageError, match="given twice"):
        find_document_files([str(saved / "hub"), str(saved / "hub")])


def test_links_and_pipes_in_a_folder_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.txt").symlink_to("../b.txt")
    os.mkfifo(tmp_path / "in" / "c.txt")
    with pytest.raises(
        UsageError, match=r"b.txt and 1 more are not read: links, pipes .* A glob such as '.*/in/\*' takes links"
    ):
        find_document_files([str(tmp_path / "in")])
    (tmp_path / "in" / "a.txt").write_text("a")
    (file,) = find_document_files([str(tmp_path / "in")])
    assert file.name == "a.txt" and "b.txt and 1 more are not read" in file.note
    (tmp_path / "in" / "c.txt").unlink()
    (tmp_path / "in" / "sub").symlink_to(tmp_path)
    (file,) = find_document_files([str(tmp_path / "in")])
    assert "b.txt and 1 more are not read" in file.note


@pytest.mark.parametrize("pattern", ["in", "in/**/*.txt", "in/*/*.txt", "in/*/deep/*.txt"])
def test_folders_that_may_not_be_listed_are_no_empty_ones(pattern):
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which lies in a folder of root's
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "in" / "sub" / "deep").mkdir(parents=True)
        for path in ("in/a.txt", "in/sub/b.txt", "in/sub/deep/c.txt"):
            (folder / path).write_text("a")
        (folder / "in" / "sub").chmod(0)
        found = ask_as_another_user(lambda: find_document_files([f"{folder}/{pattern}"]))
        assert "/in/sub" in found and "cannot be listed" in found and "what is in it would be missing" in found
        (folder / "in" / "sub").chmod(0o755)
        assert ask_as_another_user(lambda: find_document_files([f"{folder}/{pattern}"])) == ""


def ask_as_another_user(call: Callable[[], object]) -> str:
    """Return the message of the UsageError of `call` in a child without root's rights."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            call()
        except UsageError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as opened:
        message = opened.read()
    os.waitpid(child, 0)
    return message
