"""Readers see one version, the old or the new: publications that are killed at every moment, and readers that look all the while."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest

from pipeline.core import renames
from pipeline.core.errors import BuildError, InputError
from pipeline.core.ownership import EARLIER_STATE_FOLDER, OWNER_FILE, STATE_FOLDER
from pipeline.core.publication import Entry, corpus_publication, settle_publication
from tests.promises.conftest import OTHER_BOUND, Versions
from tests.support.builds import build_environment
from tests.support.killing import run_and_kill
from tokenizer.texts import Texts
from trainers.data.shards import Shards

STAGING = f"{STATE_FOLDER}/write-0123456789abcdef"
NAMES = ("data", "ledger", "README.md", "manifest.lock.toml", f"{STATE_FOLDER}/state.json")


def hash_entry(path: Path) -> str:
    """Return a digest of a file, or of the names and contents of the Parquet files in a folder."""
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(
        repr([(file.name, file.read_bytes()) for file in sorted(path.glob("*.parquet"))]).encode()
    ).hexdigest()


def hash_version(corpus: Path) -> tuple[str, ...]:
    return tuple(hash_entry(corpus / name) for name in NAMES)


def stage(corpus: Path, new: Path) -> list[Entry]:
    """Stage the version `new` beside that of `corpus`, with a temporary file of a killed writer and a marker."""
    staging = corpus / STAGING
    shutil.copytree(new / "data", staging / "data", ignore=lambda _, names: [n for n in names if not n.endswith(".parquet")])
    shutil.copytree(
        new / "ledger", staging / "ledger", ignore=lambda _, names: [n for n in names if not n.endswith(".parquet")]
    )
    (staging / "data" / ".train-00000-of-00009.parquet.0123abcd.tmp").write_bytes(b"half")
    (staging / "data" / "foreign.parquet").write_bytes(b"no shard of this build")
    (staging / "group-00000.json").write_text("{}")
    for name in NAMES[2:]:
        shutil.copyfile(new / name, staging / Path(name).name)
    entries = []
    for name in NAMES:
        is_folder = (new / name).is_dir()
        files = tuple(sorted(path.name for path in (new / name).glob("*.parquet"))) if is_folder else None
        known = tuple(path.name for path in (corpus / name).glob("*.parquet")) if is_folder else ("",)
        entries.append(Entry(name, f"{STAGING}/{Path(name).name}", files, known))
    return entries


def fresh_corpus(folder: Path, versions: Versions) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(versions.first, folder, ignore=shutil.ignore_patterns("work"), symlinks=True)
    return folder


@pytest.mark.parametrize("can_exchange", [True, False])
def test_killed_at_any_moment_a_publication_is_completed_or_never_was(versions, tmp_path, monkeypatch, can_exchange):
    """At every moment each entry is there, as one version; whoever comes next finds them all of one."""
    if not can_exchange:  # as on a filesystem that lacks it
        monkeypatch.setattr(renames, "_exchange_names", lambda one, other: False)
    old, new = hash_version(versions.first), hash_version(versions.second)
    assert all(a != b for a, b in zip(old, new, strict=True))
    mixed, moment, outcomes = 0, 0, []
    while True:
        corpus = fresh_corpus(tmp_path / "corpus", versions)
        (corpus / "data" / "notes.txt").write_text("mine")
        entries = stage(corpus, versions.second)
        was_killed = run_and_kill(partial(corpus_publication(corpus).publish, entries, [f"{STAGING}/group-00000.json"]), moment)
        is_marked = (corpus / STATE_FOLDER / "publication.json").exists()
        if can_exchange:
            seen = hash_version(corpus)
            assert all(one in pair for one, pair in zip(seen, zip(old, new, strict=True), strict=True))
            assert is_marked or seen in (old, new)
            mixed += seen not in (old, new)
        settle_publication(corpus)
        found = hash_version(corpus)
        assert found == (new if is_marked or not was_killed else found) and found in (old, new), moment
        assert (corpus / "data" / "notes.txt").read_text() == "mine"
        assert not (corpus / STATE_FOLDER / "publication.json").exists()
        assert sorted(path.name for path in (corpus / "data").iterdir()) == sorted(
            {path.name for path in ((versions.second if found == new else versions.first) / "data").glob("*.parquet")}
            | {"notes.txt"}
        )
        # What vouched for the staged files is gone with them.
        assert (corpus / STAGING / "group-00000.json").exists() == (found == old)
        outcomes.append(found == new)
        if not was_killed:
            break
        moment += 1
    assert outcomes == sorted(outcomes) and not outcomes[0] and moment > 20
    assert mixed == (len(NAMES) - 1) * can_exchange
    assert (corpus / STAGING / "data.unpublished" / "foreign.parquet").read_bytes() == b"no shard of this build"


def test_a_publication_whose_new_version_is_lost_is_undone(versions, tmp_path):
    corpus = fresh_corpus(tmp_path / "corpus", versions)
    entries = stage(corpus, versions.second)
    moment = 0
    while hash_version(corpus) in (hash_version(versions.first), hash_version(versions.second)):
        corpus = fresh_corpus(tmp_path / "corpus", versions)
        entries = stage(corpus, versions.second)
        assert run_and_kill(partial(corpus_publication(corpus).publish, entries), moment)
        moment += 1
    shutil.rmtree(corpus / STAGING / "ledger")
    (corpus / STAGING / "README.md").write_text("another")
    settle_publication(corpus)
    assert hash_version(corpus) == hash_version(versions.first)


@pytest.mark.parametrize("state", [STATE_FOLDER, EARLIER_STATE_FOLDER])
def test_a_journal_that_leads_elsewhere_is_refused(tmp_path, state):
    """A corpus may come from a stranger, with a journal that any command would go on from."""
    corpus, mine = tmp_path / "corpus", tmp_path / "mine"
    for folder in (corpus / state, mine):
        folder.mkdir(parents=True)
    (mine / "a.txt").write_text("mine")
    (corpus / state / OWNER_FILE).write_text("{}")
    (corpus / "link").symlink_to(mine)
    sound = {"name": "data", "staged": f"{state}/old", "new": {}, "known": ["a.txt"]}
    for entry, markers in (
        (sound | {"staged": "../mine"}, []), (sound | {"staged": str(mine)}, []), (sound | {"staged": "link/deep"}, []),
        (sound | {"known": ["../../../mine/a.txt"]}, []), (sound | {"name": "../mine"}, []), (sound, ["../mine/a.txt"]),
        (sound, ["link/a.txt"]), ({}, []), (sound | {"known": 5}, []),
    ):  # fmt: skip
        (corpus / state / "publication.json").write_text(
            json.dumps({"entries": [entry], "markers": markers, "exchanged": True})
        )
        with pytest.raises(BuildError, match="is damaged"):
            settle_publication(corpus)
        assert (mine / "a.txt").read_text() == "mine"


def test_what_is_staged_on_another_filesystem_is_told(tmp_path):
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second filesystem")
    with tempfile.TemporaryDirectory(dir=shared) as state:
        (tmp_path / STATE_FOLDER).parent.mkdir(parents=True)
        (tmp_path / STATE_FOLDER).symlink_to(state)
        (tmp_path / STATE_FOLDER / "new.md").write_text("new")
        (tmp_path / "README.md").write_text("old")
        with pytest.raises(BuildError, match=r"README.md cannot be replaced .* must lie on one filesystem.*--work"):
            corpus_publication(tmp_path).publish([Entry("README.md", f"{STATE_FOLDER}/new.md")])
        assert (tmp_path / "README.md").read_text() == "old" and not (tmp_path / STATE_FOLDER / "publication.json").exists()


def test_a_reader_that_looks_all_the_while_sees_the_old_or_the_new(versions, tmp_path):
    """It takes what it read for one version where no publication was under way before and after, and the lock is the same."""
    known = {hash_version(versions.first), hash_version(versions.second)}
    corpus = fresh_corpus(tmp_path / "corpus", versions)
    journal = corpus / STATE_FOLDER / "publication.json"
    reader = os.fork()
    if reader == 0:
        seen = set()
        try:
            while len(seen) < 2 or not (tmp_path / "end").exists():
                lock = hash_entry(corpus / "manifest.lock.toml")
                before = journal.exists()
                try:
                    version = hash_version(corpus)
                except FileNotFoundError:  # a shard of the version that went meanwhile
                    version = None
                if not before and not journal.exists() and lock == hash_entry(corpus / "manifest.lock.toml"):
                    assert version in known
                    seen.add(version)
        except BaseException:
            os._exit(1)
        os._exit(0)
    for number in range(24):
        new = (versions.second, versions.first)[number % 2]
        entries = stage(corpus, new)
        run_and_kill(partial(corpus_publication(corpus).publish, entries), 1000 if number % 3 else 12 + number)
        settle_publication(corpus)
        shutil.rmtree(corpus / STAGING)
    (tmp_path / "end").touch()
    _, status = os.waitpid(reader, 0)
    assert status == 0, "the reader saw what is neither"


@pytest.mark.parametrize("read", [lambda corpus: Texts.find(corpus), lambda corpus: Shards(corpus, "train", ["text"], "")])
def test_whoever_reads_a_corpus_completes_its_publication(versions, tmp_path, read):
    corpus = fresh_corpus(tmp_path / "corpus", versions)
    entries = stage(corpus, versions.second)
    moment = 0
    while not (corpus / STATE_FOLDER / "publication.json").exists():
        run_and_kill(partial(corpus_publication(corpus).publish, entries), moment)
        moment += 1
    assert hash_version(corpus) == hash_version(versions.first)
    read(corpus)
    assert hash_version(corpus) == hash_version(versions.second)


def test_row_groups_of_another_version_are_not_read(versions, tmp_path):
    """A trainer reads for days; a build meanwhile must not change what it reads without a word."""
    corpus = fresh_corpus(tmp_path / "corpus", versions)
    shards = Shards(corpus, "train", ["text"], "")
    shards.read([0])
    corpus_publication(corpus).publish(stage(corpus, versions.second))
    with pytest.raises(InputError, match="was replaced while it was read"):
        shards.read([0])


def test_a_build_that_is_killed_while_it_publishes_is_completed_by_one_that_fails(build, cluster, versions, tmp_path):
    """The whole command, killed between shards and ledger; then a build that has no input."""
    folder = tmp_path / "corpus"
    shutil.copytree(versions.first, folder, symlinks=True)
    kill_between = """
import os, sys
exchanges = 0
def kill(event, arguments):
    global exchanges
    if event == "ctypes.dlsym" and arguments[1] == "renameat2":
        exchanges += 1
        if exchanges == 2:
            os.kill(os.getpid(), 9)
sys.addaudithook(kill)
from pipeline.build import main
if __name__ == "__main__":
    main()
"""
    (tmp_path / "killed.py").write_text(kill_between)
    command = [sys.executable, "killed.py", *versions.arguments, "--out", folder, "--scheduler", cluster, "--set", OTHER_BOUND]
    environment = build_environment() | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert hash_entry(folder / "data") == hash_entry(versions.second / "data")
    assert hash_entry(folder / "ledger") == hash_entry(versions.first / "ledger")
    assert build("cc100-ja", "--input", tmp_path / "absent*", "--out", folder).returncode == 2
    for name in ("data", "ledger"):
        assert hash_entry(folder / name) == hash_entry(versions.second / name)
    assert (
        json.loads((folder / STATE_FOLDER / "state.json").read_text())["fingerprint"]
        == json.loads((versions.second / STATE_FOLDER / "state.json").read_text())["fingerprint"]
    )
    done = build(*versions.arguments, "--out", folder, "--set", OTHER_BOUND)
    assert done.returncode == 0 and "up to date" in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["data", "README.md"])
def test_a_link_is_refused_and_not_lost(build, versions, tmp_path, name):
    corpus = tmp_path / "corpus"
    shutil.copytree(versions.first, corpus, symlinks=True)
    (corpus / name).rename(tmp_path / "elsewhere")
    (corpus / name).symlink_to(tmp_path / "elsewhere")
    before = hash_version(corpus)
    done = build(*versions.arguments, "--out", corpus, "--set", OTHER_BOUND)
    assert done.returncode != 0 and f"{corpus / name} is a link" in done.stderr
    assert (corpus / name).is_symlink() and hash_version(corpus) == before


def test_an_output_folder_that_is_a_link_is_followed(build, versions, tmp_path):
    real = tmp_path / "disk"
    shutil.copytree(versions.first, real, symlinks=True)
    (tmp_path / "corpus").symlink_to(real)
    done = build(*versions.arguments, "--out", tmp_path / "corpus", "--set", OTHER_BOUND)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "corpus").is_symlink() and hash_entry(real / "data") == hash_entry(versions.second / "data")


def test_a_damaged_journal_is_an_error(tmp_path):
    journal = tmp_path / STATE_FOLDER / "publication.json"
    journal.parent.mkdir(parents=True)
    journal.write_text("{")
    with pytest.raises(BuildError, match="is damaged"):
        settle_publication(tmp_path)
