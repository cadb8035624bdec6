"""Every byte of the output can be verified: by `sha256sum`, by `python -m pipeline.verify`, and by readers of single pages."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.core.added import list_added, list_added_files, replace_added, withdraw_added
from pipeline.core.checksums import read_lock_entries, read_sums
from pipeline.core.errors import BuildError, InputError
from pipeline.core.tables import open_parquet
from pipeline.core.vouching import read_checked, write_checked
from pipeline.verify import main, verify
from tests.support.damage import DAMAGES, damage
from tests.support.sharing import SharedFolders
from tests.support.stages import Build, make_stages
from trainers.data.shards import Shards


@pytest.fixture(scope="module")
def corpus(build: Build, mixed: Path, shared_folders: SharedFolders) -> Path:
    """A corpus with a tokenizer and token shards. Nothing may write to it."""
    return make_stages("text", build, mixed, shared_folders).out


def list_published(corpus: Path) -> set[str]:
    files = (path for path in corpus.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {path.relative_to(corpus).as_posix() for path in files}


def test_sums_and_lock_list_every_file(corpus):
    sums, published = read_sums(corpus), list_published(corpus)
    assert set(sums) == published - {"SHA256SUMS"}
    assert {"README.md", "manifest.lock.toml", "tokens/tokens.json", "tokenizer/training.json"} <= set(sums)
    assert all(hashlib.sha256((corpus / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())
    entries = {entry["path"]: entry for entry in tomllib.loads((corpus / "manifest.lock.toml").read_text())["lock"]["files"]}
    assert set(entries) == set(sums) - {"manifest.lock.toml"}
    for name, entry in entries.items():
        assert (entry["sha256"], entry["bytes"]) == (sums[name], (corpus / name).stat().st_size)
        assert entry.get("rows") == (pq.read_metadata(corpus / name).num_rows if name.endswith(".parquet") else None)
    if shutil.which("sha256sum"):
        checked = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=corpus, capture_output=True, text=True)
        assert checked.returncode == 0 and checked.stdout.count(": OK") == len(sums), checked.stderr


@pytest.mark.parametrize("modality", ["image-text", "speech"])
def test_corpora_of_all_modalities_are_as_published(modality, build, mixed, shared_folders):
    out = make_stages(modality, build, mixed, shared_folders).out
    entries, differences = verify(out)
    assert differences == [] and {entry["path"] for entry in entries} == list_published(out) - {"SHA256SUMS"}


def test_whatever_is_damaged_is_named(corpus, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy)
    assert verify(copy)[1] == []
    for name in sorted(list_published(copy)):
        path = copy / name
        content = path.read_bytes()
        for how in DAMAGES:
            if damage(path, how):
                differences = verify(copy)[1]
                assert differences and (name == "SHA256SUMS" or name in {one.path for one in differences}), (name, how)
                path.write_bytes(content)
        path.rename(copy / "away")
        assert verify(copy)[1], f"{name} is gone"
        (copy / "away").rename(path)
    (copy / "data" / "more.parquet").write_bytes(b"")
    assert [(one.path, one.kind) for one in verify(copy)[1]] == [("data/more.parquet", "unlisted")]


@pytest.mark.parametrize(
    ("before", "after"), [(b"README.md", b"README.m\0"), (b"README.md\n", b"README.md\x0b"), (b"\n", b"\x0b")]
)
def test_a_list_with_names_that_no_file_has_is_damaged(corpus, tmp_path, before, after):
    shutil.copytree(corpus, tmp_path / "corpus")
    sums = tmp_path / "corpus" / "SHA256SUMS"
    start, end = sums.read_bytes().rsplit(before, 1)
    sums.write_bytes(start + after + end)
    differences = verify(tmp_path / "corpus")[1]
    assert differences and {one.kind for one in differences} <= {"list", "missing"}


@pytest.mark.parametrize("path", ["5", "[1]", "true", '{ a = "README.md" }'])
def test_a_lock_whose_paths_are_no_text_is_damaged(corpus, tmp_path, path):
    shutil.copytree(corpus, tmp_path / "corpus")
    lock = tmp_path / "corpus" / "manifest.lock.toml"
    lock.write_text(lock.read_text("utf-8").replace('path = "README.md"', f"path = {path}"), "utf-8")
    assert read_lock_entries(tmp_path / "corpus") is None
    assert ("manifest.lock.toml", "list") in {(one.path, one.kind) for one in verify(tmp_path / "corpus")[1]}


def test_of_two_sums_for_a_file_one_is_wrong(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "corpus")
    sums = tmp_path / "corpus" / "SHA256SUMS"
    first = sums.read_text("utf-8").splitlines(keepends=True)[0]
    sums.write_text(f"{'0' * 64}{first[64:]}{sums.read_text('utf-8')}", "utf-8")
    assert ("SHA256SUMS", "list") in {(one.path, one.kind) for one in verify(tmp_path / "corpus")[1]}


def test_the_command_says_which_file_differs_and_how(corpus, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy)
    done = CliRunner().invoke(main, [str(copy)])
    assert done.exit_code == 0 and "all as published" in done.output
    shard = next((copy / "data").glob("train-*"))
    damage(shard, "flipped bit")
    damage(copy / "README.md", "halved")
    done = CliRunner().invoke(main, [str(copy)])
    assert done.exit_code == 1
    assert f"data/{shard.name}  its bytes have changed in row group 0 of" in done.output
    assert "README.md  has " in done.output and "2 differ" in done.output
    report = json.loads(CliRunner().invoke(main, [str(copy), "--json"]).output)
    assert [(one["path"], one["kind"]) for one in report["differences"]] == [
        ("README.md", "size"),
        (f"data/{shard.name}", "content"),
    ]
    assert CliRunner().invoke(main, [str(tmp_path)]).exit_code == 2
    (copy / "SHA256SUMS").write_text("0" * 64 + "  ../../secret\n", "utf-8")
    assert ("../../secret", "leads out of the folder: it is not read") in {(one.path, one.what) for one in verify(copy)[1]}


def test_token_shards_elsewhere_are_verified_by_their_own_list(corpus, tmp_path):
    shutil.copytree(corpus / "tokens", tmp_path / "tokens")
    assert verify(tmp_path / "tokens")[1] == []
    shard = next((tmp_path / "tokens").glob("train-*"))
    damage(shard, "flipped bit")
    assert [(one.path, one.kind) for one in verify(tmp_path / "tokens")[1]] == [(shard.name, "content")]


def test_sums_are_true_at_every_moment_while_a_folder_is_replaced(corpus, tmp_path):
    """What encoding does to the lists of a corpus around the exchange of its folder; a kill may come between any two."""
    copy = tmp_path / "corpus"
    shutil.copytree(corpus, copy)
    before = read_sums(copy)
    withdraw_added(copy / "tokens")
    gone = ("manifest.lock.toml", "README.md", "tokens/")  # card and lock tell of the folder
    assert set(read_sums(copy)) == {name for name in before if not name.startswith(gone)}
    assert all(before[name] == digest for name, digest in read_sums(copy).items())
    list_added(copy / "tokens")
    assert read_sums(copy) == before and verify(copy)[1] == []
    withdraw_added(copy / "tokens")
    shutil.rmtree(copy / "tokens")
    list_added(copy / "tokens")
    assert verify(copy)[1] == [] and not any(name.startswith("tokens/") for name in read_sums(copy))
    shutil.copytree(corpus / "tokens", copy / "tokens")  # which somebody puts back
    list_added(copy / "tokens")
    assert read_sums(copy).keys() == before.keys() and verify(copy)[1] == []


@pytest.mark.parametrize("files", [["tokenizer.model"], [{"path": "tokenizer.model"}], 5, {"path": 1}])
def test_a_list_of_somebody_else_is_no_list(tmp_path, files):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.model").write_bytes(b"a model")
    write_checked(tmp_path / "tokenizer" / "training.json", {"files": files})
    assert list_added_files(tmp_path) == []


def test_a_folder_behind_a_link_is_listed_and_an_edited_lock_file_is_kept(corpus, tmp_path):
    copy, staged = tmp_path / "corpus", tmp_path / "staged"
    shutil.copytree(corpus, copy)
    (copy / "tokens").rename(tmp_path / "elsewhere")
    (copy / "tokens").symlink_to(tmp_path / "elsewhere")
    shutil.copytree(corpus / "tokens", staged)
    description = read_checked(staged / "tokens.json") or {}
    write_checked(staged / "tokens.json", description | {"fingerprint": "another"})
    with open(copy / "manifest.lock.toml", "a", encoding="utf-8") as lock:
        lock.write("# my own words\n")
    known = [path.name for path in staged.iterdir()]
    with pytest.raises(BuildError, match="was not written by Seimai"):
        replace_added(copy / "tokens", staged, [])
    assert [one.path for one in verify(copy)[1]] == [] and "my own words" in (copy / "manifest.lock.kept.toml").read_text(
        "utf-8"
    )
    replace_added(copy / "tokens", staged, known)
    assert verify(copy)[1] == [] and (copy / "tokens").is_symlink()
    assert json.loads((copy / "tokens" / "tokens.json").read_text("utf-8"))["fingerprint"] == "another"
    assert not (copy / "manifest.lock.kept1.toml").exists()


@pytest.mark.parametrize("folder", ["data", "ledger", "tokens"])
def test_no_flipped_bit_is_read_as_other_data(corpus, tmp_path, folder):
    """Of 400 bits before the footer, each flipped alone: what is read is what was written, or reading fails.

    The footer has no checksum of its own: what is flipped there `verify` notices, as it does everything.
    """
    source = next((corpus / folder).glob("train-*" if folder != "ledger" else "*"))
    content, whole, path = source.read_bytes(), open_parquet(source).read(), tmp_path / source.name
    draw, silent = random.Random(5), []
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(400):
        at, bit = draw.randrange(pages), draw.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        try:
            read = open_parquet(path).read()
        except (pa.ArrowException, OSError):
            continue
        if not read.equals(whole):
            silent.append(at)
    assert silent == []


def test_trainers_refuse_a_damaged_shard(corpus, tmp_path):
    shutil.copytree(corpus / "data", tmp_path / "data")
    shards = Shards(tmp_path, "train", ["text"], "build it again")
    shard = shards.files[0]
    content = bytearray(shard.read_bytes())
    column, times = pq.read_metadata(shard).row_group(0).column(1), shard.stat()
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    shard.write_bytes(content)
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk that forgets says nothing
    with pytest.raises(InputError, match="row group 0 of .* cannot be read"):
        shards.read([0])
