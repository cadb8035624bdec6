"""Seimai never deletes what it did not write: files of a user's own in every folder, input inside output, shared folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.locks import hold_lock
from pipeline.core.ownership import (
    OWNER_FILE,
    STATE_FOLDER,
    NamedPath,
    check_owner,
    claim_folder,
    mark_scratch,
    refuse_overlap,
    remove_known,
    remove_scratch_leftovers,
)
from pipeline.core.publication import folder_publication, replace_folder
from pipeline.fetch.command import main as fetch
from tests.promises.conftest import OTHER_BOUND, Versions, add_foreign_files, read_foreign_files
from tests.support.killing import run_and_kill
from tokenizer.train import main as train
from tokenizer.train import remove_leftovers
from trainers.training.checkpoints import Checkpoints


def list_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_files_of_a_user_are_all_there_after_a_build(versions: Versions) -> None:
    """In the output, its shards and ledger, what a build remembers, its intermediates, and those of steps that are gone."""
    assert read_foreign_files(versions.foreign) == versions.foreign and len(versions.foreign) > 50
    mine = {os.path.relpath(path, versions.second) for path in versions.foreign}
    before, after = (
        {path.relative_to(folder).as_posix() for path in (folder / STATE_FOLDER / "work").glob("*-*/*") if path.is_file()}
        - mine
        for folder in (versions.first, versions.second)
    )
    # What the first build alone needed is gone: its measured parts are those of the second, too.
    assert before & after == {path for path in before if "/measure-" in path}
    assert len([path for path in after if "/measure-" in path]) < len(after)
    assert not list(versions.second.rglob(".*.0123abcd.tmp"))


@pytest.mark.parametrize("name", ["data/train-extra.parquet", "ledger/mine.parquet"])
def test_what_publishing_would_replace_or_mix_up_is_refused_before_work_begins(build, versions, tmp_path, name):
    corpus = tmp_path / "corpus"
    shutil.copytree(versions.first, corpus, symlinks=True)
    (corpus / name).write_text("a user's own")
    before = list_names(corpus)
    done = build(*versions.arguments, "--out", corpus, "--set", OTHER_BOUND)
    assert done.returncode == 2 and str(corpus / name) in done.stderr and "measure" not in done.stdout
    assert (corpus / name).read_text() == "a user's own" and set(before) <= set(list_names(corpus))


def test_a_card_that_somebody_changed_is_kept(build, versions, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(versions.first, corpus, symlinks=True)
    (corpus / "README.md").write_text("my own words", "utf-8")
    done = build(*versions.arguments, "--out", corpus, "--set", OTHER_BOUND)
    assert done.returncode == 0 and f"kept in {corpus / 'README.kept.md'}" in done.stdout, done.stderr
    assert (corpus / "README.kept.md").read_text("utf-8") == "my own words"
    assert (corpus / "README.md").read_text("utf-8").startswith("---\n")


def test_input_inside_the_output_is_refused(build, versions, tmp_path):
    """Also through links, relative paths, globs, and the other way round."""
    corpus = tmp_path / "corpus"
    shutil.copytree(versions.first, corpus, symlinks=True)
    (tmp_path / "alias").symlink_to(corpus)
    (tmp_path / "file.parquet").symlink_to(corpus / "data" / "train-00000-of-00001.parquet")
    (tmp_path / "raw").mkdir()
    shutil.copyfile(corpus / "data" / "train-00000-of-00001.parquet", tmp_path / "raw" / "a.parquet")
    before = {name: (corpus / name).read_bytes() for name in list_names(corpus) if (corpus / name).is_file()}
    cases = [
        (corpus, ["--out", corpus]),
        ("corpus/data", ["--out", corpus]),
        ("corpus/data/*.parquet", ["--out", "alias"]),
        (tmp_path / "alias" / "data" / "train-00000-of-00001.parquet", ["--out", corpus]),
        ("file.parquet", ["--out", "raw/../corpus"]),
        ("raw/a.parquet", ["--out", tmp_path / "new", "--work", tmp_path / "raw", "--set", "name=a.parquet"]),
        (tmp_path / "raw", ["--out", tmp_path / "raw" / "corpus"]),
        ("raw/**/*.parquet", ["--out", "raw/corpus"]),
    ]
    for given, folders in cases:
        done = build("parquet", "--input", given, *folders, "--set", "source.partition=1 MB", cwd=tmp_path)
        assert done.returncode == 2, (given, done.stdout, done.stderr)
        assert "lies in" in done.stderr or "is a file" in done.stderr, (given, done.stderr)
    assert {name: (corpus / name).read_bytes() for name in before} == before
    assert not (tmp_path / "raw" / "corpus").exists()


def test_what_is_read_beside_the_input_counts_as_input(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    out = [NamedPath("--out", tmp_path / "a" / "b")]
    with pytest.raises(UsageError, match="lies in --out"):
        refuse_overlap(out, [NamedPath("list", tmp_path / "link" / "b" / "list.tsv")])
    with pytest.raises(UsageError, match="--out lies in folder"):
        refuse_overlap(out, [NamedPath("folder", tmp_path / "link")])
    refuse_overlap(out, [NamedPath("folder", tmp_path / "link")], within=False)
    refuse_overlap(out, [NamedPath("list", tmp_path / "a" / "list.tsv")])  # a neighbour of the output folder


def test_builds_that_share_intermediates_keep_what_each_needs(build, versions, tmp_path):
    def steps() -> set[str]:
        return {path.name for path in (tmp_path / "work" / "cc100-ja").glob("*-*") if path.is_dir()}

    def run(out: str, *settings: str) -> set[str]:
        done = build(*versions.arguments, "--out", tmp_path / out, "--work", tmp_path / "work", *settings)
        assert done.returncode == 0, done.stderr
        return steps()

    first = run("a")
    both = run("b", "--set", OTHER_BOUND)
    assert first < both
    assert run("a", "--set", OTHER_BOUND) == both - (first - {name for name in first if name.startswith("measure-")})


def test_an_owner_that_is_no_command_is_told_as_damage(tmp_path):
    claim_folder(tmp_path, "pipeline.build")
    owner = tmp_path / STATE_FOLDER / OWNER_FILE
    owner.write_text(owner.read_text("utf-8").replace("pipeline", "pypeline"), "utf-8")  # one letter is another
    with pytest.raises(
        UsageError, match="owner.json says that 'pypeline.build' made the folder, .* the file is damaged, or a later"
    ):
        claim_folder(tmp_path, "pipeline.build")
    owner.unlink()  # as the message says
    claim_folder(tmp_path, "pipeline.build")
    assert check_owner(tmp_path, "pipeline.build")


def test_folders_belong_to_the_command_that_made_them(versions, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(versions.first, corpus, symlinks=True)
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    before = list_names(corpus)
    done = CliRunner().invoke(fetch, [str(tmp_path / "list.txt"), "--out", str(corpus)])
    assert done.exit_code == 2 and "was made by python -m pipeline.build" in done.output
    claim_folder(tmp_path / "images", "pipeline.fetch")
    shutil.copyfile(tmp_path / "list.txt", tmp_path / "images" / "list.txt")
    done = CliRunner().invoke(fetch, [str(tmp_path / "images" / "list.txt"), "--out", str(tmp_path / "images")])
    assert done.exit_code == 2 and "would write over its own input" in done.output
    assert list_names(corpus) == before


def test_a_fetch_replaces_no_file_that_it_did_not_write(tmp_path):
    claim_folder(tmp_path / "images", "pipeline.fetch")
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    (tmp_path / "images" / "00000.tar").write_text("a user's own")
    done = CliRunner().invoke(fetch, [str(tmp_path / "list.txt"), "--out", str(tmp_path / "images")])
    assert done.exit_code == 2 and "00000.tar was not written by this fetch" in done.output
    assert (tmp_path / "images" / "00000.tar").read_text() == "a user's own"


def test_files_beside_and_in_a_tokenizer_stay(tmp_path):
    """Killed at any moment, the new folder has the files of the new version and those of the user."""
    moment = 0
    while True:
        folder = tmp_path / str(moment)
        (folder / "tokenizer").mkdir(parents=True)
        for name in ("tokenizer.model", "training.json"):
            (folder / "tokenizer" / name).write_text("old")
        foreign = add_foreign_files(folder / "tokenizer")
        (folder / ".tokenizer-previous").mkdir()
        (folder / ".tokenizer-abcdef01").mkdir()
        foreign |= add_foreign_files(folder / ".tokenizer-previous") | add_foreign_files(folder / ".tokenizer-abcdef01")
        scratch = folder / ".tokenizer-0123abcd"
        mark_scratch(scratch)
        (scratch / "out").mkdir()
        (scratch / "text").write_text("of a killed training")
        (scratch / "out" / "tokenizer.model").write_text("new")

        def work(folder: Path = folder, scratch: Path = scratch) -> None:
            replace_folder(folder / "tokenizer", scratch / "out", {"tokenizer.model", "training.json"})

        was_killed = run_and_kill(work, moment)
        assert (folder / "tokenizer" / "tokenizer.model").read_text() in ("old", "new")
        remove_leftovers(folder / "tokenizer")
        assert not scratch.exists()
        assert read_foreign_files(foreign) == foreign
        is_new = (folder / "tokenizer" / "tokenizer.model").read_text() == "new"
        assert (folder / "tokenizer" / "training.json").exists() != is_new and is_new | was_killed
        if not was_killed:
            break
        moment += 1
    assert moment > 10


def test_a_training_does_not_write_over_its_text(tmp_path):
    (tmp_path / "training.json").write_text("{}")
    (tmp_path / "text.txt").write_text("吾輩は猫である。\n")
    done = CliRunner().invoke(train, [str(tmp_path / "text.txt"), "--out", str(tmp_path)])
    assert done.exit_code == 2 and "would write over its own input" in done.output
    assert (tmp_path / "text.txt").read_text() == "吾輩は猫である。\n"


def test_files_in_the_folders_of_a_run_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    foreign: dict[str, str] = {}

    def export(version: str) -> None:
        checkpoints.save_model(
            lambda folder: [(folder / name).write_text(version) for name in ("config.json", f"{version}.bin")]
        )

    for step, version in enumerate(("old", "new")):
        checkpoints.save(step, {"step": step})
        export(version)
        folders = [checkpoints.folder / f"step-{step:09d}", *([tmp_path / "model", tmp_path] if not step else [])]
        foreign |= {path: content for folder in folders for path, content in add_foreign_files(folder).items()}
    assert read_foreign_files(foreign) == foreign
    assert (tmp_path / "model" / "config.json").read_text() == "new" and not (tmp_path / "model" / "old.bin").exists()
    assert [path.name for path in checkpoints.folder.glob("step-*/state.pt")] == ["state.pt"]


def test_a_file_in_the_way_stops_a_publication_that_changes_nothing(tmp_path):
    for name in ("final", "staged"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.parquet").write_text(name)
    with pytest.raises(BuildError, match=r"a\.parquet was not written by Seimai"):
        replace_folder(tmp_path / "final", tmp_path / "staged", [])
    assert (tmp_path / "final" / "a.parquet").read_text() == "final" and not folder_publication(
        tmp_path / "final"
    ).journal.exists()


def test_a_file_that_is_called_like_a_lock_stays(tmp_path):
    (tmp_path / ".run.lock").write_text("a user's own")
    with pytest.raises(UsageError, match="is no lock of Seimai"), hold_lock(tmp_path / "run"):
        pass
    assert (tmp_path / ".run.lock").read_text() == "a user's own"


def test_only_what_is_known_is_removed(tmp_path):
    folder = tmp_path / "step"
    (folder / "cut").mkdir(parents=True)
    foreign = add_foreign_files(folder)
    (folder / "cut" / "00000-00000.json").touch()
    assert not remove_known(folder, lambda path: path.endswith("00000.json"))
    assert read_foreign_files(foreign) == foreign and not (folder / "cut").exists()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "00000.json").touch()
    (tmp_path / "to-elsewhere").symlink_to(tmp_path / "elsewhere")
    remove_known(tmp_path / "to-elsewhere", lambda path: True)
    assert (tmp_path / "elsewhere" / "00000.json").exists()
    mark_scratch(tmp_path / ".out-0a")
    (tmp_path / ".out-0a" / "mine").touch()
    remove_scratch_leftovers(tmp_path / "out", "[0-9a-f]{2}", lambda path: path == "text")
    assert (tmp_path / ".out-0a" / "mine").exists()
