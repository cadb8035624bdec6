"""Where compiled loops are kept for a user who can write to neither the code nor a home."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numba
import pytest

from filters import compile_cache


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Nothing beside the code or below a home can be written to; temporary files go to `tmp_path`."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(compile_cache, "_PACKAGE", Path("/proc/nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_temporary_files_are_the_last_resort(no_home, tmp_path):
    compile_cache.choose_cache_folder()
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR == str(tmp_path / f"numba-{os.getuid()}")
    assert [path.name for path in tmp_path.iterdir()] == [f"numba-{os.getuid()}"]  # and no folder of the name ~
    assert os.stat(numba.config.CACHE_DIR).st_mode & 0o077 == 0
    chosen = numba.config.CACHE_DIR
    compile_cache.choose_cache_folder()
    assert numba.config.CACHE_DIR == chosen


def test_a_folder_of_somebody_else_is_not_used(no_home, tmp_path):
    (tmp_path / f"numba-{os.getuid()}").mkdir(mode=0o700)
    (tmp_path / f"numba-{os.getuid()}").chmod(0o777)
    compile_cache.choose_cache_folder()
    assert numba.config.CACHE_DIR != str(tmp_path / f"numba-{os.getuid()}") and Path(numba.config.CACHE_DIR).parent == tmp_path


def test_where_the_code_can_be_written_to_nothing_changes(no_home, monkeypatch, tmp_path):
    monkeypatch.setattr(compile_cache, "_PACKAGE", tmp_path)
    compile_cache.choose_cache_folder()
    assert numba.config.CACHE_DIR == "" and "NUMBA_CACHE_DIR" not in os.environ
