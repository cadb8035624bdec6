"""Files are complete or absent, and locks keep other processes out."""

import subprocess
import sys

import pytest

from pipeline.core.errors import BuildError
from pipeline.core.locks import hold_lock, hold_lock_file
from pipeline.core.storage import (
    find_leftovers,
    fingerprint,
    format_size,
    read_json,
    remove_temporaries,
    sum_file_sizes,
    write_atomically,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "file"
    with write_atomically(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(KeyboardInterrupt), write_atomically(path) as temporary:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]


def test_temporaries_of_killed_writers_are_removed(tmp_path):
    write_json(tmp_path / "deep" / "kept.json", {"a": "精米"})
    (tmp_path / "deep" / ".kept.json.0123abcd.tmp").write_text("{")
    remove_temporaries(tmp_path)
    remove_temporaries(tmp_path / "absent")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["kept.json"]


@pytest.mark.parametrize("content", [None, "", '{"a": ', "[" * 100_000, b"\xff"])
def test_what_is_not_json_reads_as_none(tmp_path, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_json(tmp_path / "x") is None


def test_leftovers_are_those_of_this_path_only(tmp_path):
    for name in (".out-0a", ".out-0", ".output-0a", "out-0a", ".out-0a.json", ".o.t-0a"):
        (tmp_path / name).touch()
    assert [path.name for path in find_leftovers(tmp_path / "out", "[0-9a-f]{2}")] == [".out-0a"]
    assert [path.name for path in find_leftovers(tmp_path / "o.t", "[0-9a-f]{2}")] == [".o.t-0a"]
    assert find_leftovers(tmp_path / "absent" / "out", ".*") == []


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (20_000_000, "20.0 MB"), (2e15, "2000.0 TB")]
)
def test_sizes_as_people_read_them(size, text):
    assert format_size(size) == text


def test_folder_sizes(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_bytes(bytes(5))
    (tmp_path / "a" / "y").write_bytes(bytes(7))
    assert sum_file_sizes(tmp_path) == 12 and sum_file_sizes(tmp_path / "absent") == 0


def test_fingerprints_change_with_any_value_and_are_those_of_earlier_versions():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 1, "b": [3]})
    assert fingerprint("精米", 1, None) == "c042125786eea854"


def try_lock(expression):
    script = f"from pathlib import Path\nfrom pipeline.core.locks import *\nwith {expression}: pass"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


def test_a_lock_keeps_other_processes_out_and_leaves_no_file(tmp_path):
    path = tmp_path / "folder" / "out"
    with hold_lock(path):
        other = try_lock(f"hold_lock(Path({str(path)!r}))")
        assert other.returncode and f"another process is making {path}" in other.stderr
    assert not list(path.parent.iterdir())
    assert not try_lock(f"hold_lock(Path({str(path)!r}))").returncode


def test_a_lock_is_released_after_a_failure(tmp_path):
    with pytest.raises(BuildError, match="mine"), hold_lock_file(tmp_path / "lock", "busy"):
        raise BuildError("mine")
    with hold_lock_file(tmp_path / "lock", "busy"):
        assert "busy" in try_lock(f"hold_lock_file(Path({str(tmp_path / 'lock')!r}), 'busy')").stderr
