"""What exit 0 published is whole and durable, also after a power cut.

Every file that a build leaves between two rounds of its tasks is damaged in four ways: emptied, halved, with zeros for its second
half, with one bit flipped. The files are found by walking the folder, so that a new intermediate is tried without a line here.
`tests/promises/damage.py` runs a build for each.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.core.added import withdraw_added
from pipeline.core.checksums import make_entry
from pipeline.core.errors import BuildError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.vouching import find_damage, list_markers, read_marker, read_vouched, write_marker
from pipeline.steps.cut import Partition, load_bodies
from pipeline.verify import verify
from pipeline.workspace import Part, is_step_file
from tests.support.builds import build_environment, hash_outputs
from tests.support.damage import DAMAGES, damage, find_new_kinds, list_vouched
from tests.support.sharing import SharedFolders
from tests.support.stages import Build, Stages, make_stages
from tests.support.texts import SMALL_PARTITIONS

# What no marker vouches for, since every build writes it anew before it reads it, or needs it for nothing.
WRITTEN_ANEW = re.compile(
    r".*/(?:layout|inputs)\.parquet|.*/spent\.json|.*/\.seimai-scratch|(?:.*/)?(?:inputs|state|owners?|published|tokenizer|libraries|units)\.json"
    r"|(?:.*/)?lock|.*\.lock|.*/\.gitignore|README\.md|report\.(?:html|json)|croissant\.json|manifest\.lock\.toml|SHA256SUMS|(?:data|ledger|tokenizer|tokens)/.*"
)


@pytest.fixture(scope="module", params=["text", "image-text", "speech"])
def recorded(request: pytest.FixtureRequest, build: Build, mixed: Path, shared_folders: SharedFolders) -> Stages:
    return make_stages(request.param, build, mixed, shared_folders)


def test_whatever_is_damaged_is_noticed_by_its_marker(recorded):
    tried = set()
    for stage, new in find_new_kinds(recorded.stages):
        markers = list_vouched(stage)
        for kind, path in new.items():
            if WRITTEN_ANEW.fullmatch(kind):
                continue
            assert path in markers, f"nothing vouches for {kind}, which the round {stage.name} left"
            content = path.read_bytes()
            for how in DAMAGES:
                if damage(path, how):
                    assert all(find_damage(marker) for marker in markers[path]), f"{kind}, {how}, is not noticed"
                    path.write_bytes(content)
            content = path.rename(path.with_suffix(".gone"))
            assert all(find_damage(marker) for marker in markers[path]), f"{kind} is gone, and nobody notices"
            content.rename(path)
            tried.add(kind)
    assert len(tried) > 25, sorted(tried)


def test_every_file_of_a_step_is_known_by_its_name(recorded):
    """So that it is removed with its folder, and its marker found where that is all that is left of a step."""
    checked = 0
    for stage in recorded.stages:
        for folder in [*(stage / STATE_FOLDER / "work").glob("*-*"), *(stage / STATE_FOLDER).glob("write-*")]:
            files = [path for path in folder.rglob("*") if path.is_file()]
            assert [path for path in files if not is_step_file(path.relative_to(folder).as_posix())] == []
            sound = {path for path in files if path.suffix == ".json" and read_marker(path) is not None}
            assert sound - {*list_markers(folder)} == set()
            checked += len(sound)
    assert checked > 100


@pytest.mark.parametrize("recorded", ["text"], indirect=True)
def test_builds_go_on_from_damaged_files_to_the_same_bytes(recorded, build, tmp_path):
    """All new files of a stage are damaged at once, so that nothing is noticed for another's sake alone: each vouches for itself."""
    with_news = find_new_kinds(recorded.stages)
    chosen = [with_news[0], with_news[len(with_news) // 3], with_news[2 * len(with_news) // 3], with_news[-1]]
    for number, (stage, new) in enumerate(chosen):
        out = tmp_path / str(number)
        shutil.copytree(stage, out, symlinks=True)
        ways = cycle(DAMAGES)
        for _ in range(number):
            next(ways)
        for kind, path in new.items():
            if "lock" not in kind and "owner.json" not in kind:  # a folder of another owner is refused
                damage(out / path.relative_to(stage), next(ways))
        done = build(*recorded.arguments, "--out", out)
        assert done.returncode == 0, (stage.name, done.stderr)
        assert hash_outputs(out) == hash_outputs(recorded.out), stage.name


@pytest.mark.parametrize(
    ("how", "folders"),
    [("zero tail", ("data",)), ("zero tail", ("ledger", "tokenizer")), ("flipped bit", ("data", "ledger", "tokenizer"))],
)
@pytest.mark.parametrize("recorded", ["text"], indirect=True)
def test_a_build_that_goes_on_after_publishing_reads_what_it_published(recorded, how, folders, build, tmp_path):
    """Sizes are as they were: a build that has token shards left to make is not content with that."""
    news = find_new_kinds(recorded.stages)
    stage = next(stage for stage, new in news if any(kind.startswith("tokenizer/") for kind in new))
    shutil.copytree(stage, tmp_path / "out", symlinks=True)
    published = [path for name in folders for path in (tmp_path / "out" / name).iterdir()]
    assert published and not (tmp_path / "out" / "tokens").exists()
    assert all(damage(path, how) for path in published)
    done = build(*recorded.arguments, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "-of-00001.parquet has changed since it was published: it is written again" in done.stdout
    assert hash_outputs(tmp_path / "out") == hash_outputs(recorded.out)


@pytest.mark.parametrize("recorded", ["text"], indirect=True)
def test_a_build_is_not_up_to_date_with_an_output_of_another_size(recorded, build, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(recorded.out, out)
    before = hash_outputs(out)
    withdraw_added(out / "tokenizer")  # as a training that was killed then leaves the sums
    assert verify(out)[1] != []
    assert "is up to date" in build(*recorded.arguments, "--out", out).stdout
    assert verify(out)[1] == []
    shard = next((out / "data").glob("train-*"))
    damage(shard, "halved")
    for path in (out / "tokens").glob("train-*"):
        damage(path, "emptied")
    done = build(*recorded.arguments, "--out", out)
    assert done.returncode == 0 and "is up to date" not in done.stdout, done.stderr
    assert hash_outputs(out) == before
    assert {p.name: p.read_bytes() for p in (out / "tokens").iterdir()} == {
        p.name: p.read_bytes() for p in (recorded.out / "tokens").iterdir()
    }


def test_raw_bytes_are_as_long_as_the_range_says(tmp_path):
    part = Part(tmp_path, "00000-00000")
    part.raw.parent.mkdir()
    part.raw.write_bytes(b"0123456789")
    partition = Partition("00000-00000", (), (4, None, 6))
    assert [None if body is None else bytes(body) for body in load_bodies(part, partition)] == [b"0123", None, b"456789"]
    part.raw.write_bytes(b"01234")
    with pytest.raises(BuildError, match="has 5 bytes instead of 10"):
        load_bodies(part, partition)


@pytest.mark.parametrize("way", ["", "here/..", "link/.."])
def test_a_marker_vouches_for_files_by_the_path_that_its_own_has(tmp_path, way):
    """Whoever looks for a file writes the folder as the marker's is written, with `..` after a link, too."""
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    folder = tmp_path / way / "step"
    for name in ("cut", "raw"):
        (folder / name).mkdir(parents=True)
    files = [folder / "raw" / "a.bin", folder / "cut" / "b.npy"]
    for file in files:
        file.write_bytes(b"content")
    write_marker(folder / "cut" / "00000-00000.json", {}, files)
    assert set(read_vouched(folder / "cut" / "00000-00000.json")) == set(files)
    assert find_damage(folder / "cut" / "00000-00000.json") == []


def test_a_staged_file_that_is_damaged_is_not_published(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.arange(1000))
    write_marker(tmp_path / "marker-000.json", {"n": 1000}, [path])
    size, digest = read_vouched(tmp_path / "marker-000.json")[path]
    assert make_entry(path, path.name, size, digest)["bytes"] == path.stat().st_size
    for how in DAMAGES:
        content = path.read_bytes()
        damage(path, how)
        with pytest.raises(BuildError, match="is not what was written"):
            make_entry(path, path.name, size, digest)
        path.write_bytes(content)


# -- the order of calls


class Call(NamedTuple):
    """A call of the system that has returned: `sync` of a file or folder, or `rename` to a path."""

    kind: str
    path: str


def _read_trace(path: Path) -> list[Call]:
    """Return the syncs and renames of all processes, in the order in which they returned."""
    calls, pending = [], dict[str, str]()
    for line in path.read_text("utf-8", "replace").splitlines():
        process, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            pending[process] = call.removesuffix("<unfinished ...>").rstrip()
            continue
        if call.startswith("<... "):
            call = pending.pop(process, "") + call.partition(" resumed>")[2]
        if sync := re.match(r"f(?:data)?sync\(\d+<(.*?)>\)\s*= 0", call):
            calls.append(Call("sync", sync[1]))
        elif renamed := re.match(r'rename(?:at2?)?\(.*"([^"]*)"(?:, [A-Z_0-9|]+)?\)\s*= 0', call):
            calls.append(Call("rename", renamed[1]))
    return calls


@pytest.mark.timeout(900)
def test_files_and_folders_are_synced_before_what_vouches_for_them(mixed, tmp_path):
    """`strace` of one whole build: of every marker that is still there afterwards, and of the card, the lock file and the sums."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: apt-get install strace")
    out, trace = tmp_path / "out", tmp_path / "trace"
    done = subprocess.run(
        [strace, "-f", "--seccomp-bpf", "-y", "-qq", "-s", "4096", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", trace,
         sys.executable, "-m", "pipeline.build", "cc100-ja", "--input", mixed, "--out", out, "--workers", "1", "--set", SMALL_PARTITIONS],
        cwd=tmp_path, env=build_environment() | {"PYTHONPATH": str(Path(__file__).parents[2])}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    if "ptrace" in done.stderr.lower() or "seccomp" in done.stderr.lower():
        pytest.skip(f"strace cannot trace here: {done.stderr[:200]}")
    assert done.returncode == 0, done.stderr
    calls = _read_trace(trace)
    renamed = {call.path: number for number, call in enumerate(calls) if call.kind == "rename"}
    checked = 0
    for marker in sorted(out.rglob("*.json")):
        for file in read_vouched(marker):
            before = calls[: renamed[str(marker)]]
            assert Call("sync", str(file)) in before, f"{file} is not synced before {marker.name}"
            moved = renamed[str(file)]
            assert Call("sync", str(file.parent)) in calls[moved : renamed[str(marker)]], f"{file.parent} is not synced"
            checked += 1
    assert checked > 20
    for name in ("README.md", "manifest.lock.toml", "SHA256SUMS"):
        written = next(number for number, call in enumerate(calls) if call.kind == "rename" and Path(call.path).name == name)
        assert any(Path(call.path).name.startswith(f".{name}.") for call in calls[:written] if call.kind == "sync"), name
        assert Call("sync", str(Path(calls[written].path).parent)) in calls[written:], name
    for shard in sorted((out / "data").iterdir()):
        assert any(Path(call.path).name == shard.name for call in calls if call.kind == "sync"), shard.name
