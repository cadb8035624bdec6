"""Where compiled loops are kept for a user who can write to neither the code nor a home, and what is done with damaged ones."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numba
import pytest

from filters import compile_cache
from filters.kernels import jit, jit_helper


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Nothing beside the code or below a home can be written to; temporary files go to `tmp_path`."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that what a test sets is undone
    monkeypatch.delenv("NUMBA_CACHE_DIR")
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


def test_a_folder_that_cannot_be_used_is_passed_over(no_home, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", os.environ["NUMBA_CACHE_DIR"])
    compile_cache.choose_cache_folder()
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR == str(tmp_path / f"numba-{os.getuid()}")


def test_without_any_folder_each_process_compiles(no_home, monkeypatch, tmp_path, load_module):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    compile_cache.choose_cache_folder()
    assert "NUMBA_CACHE_DIR" not in os.environ
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])  # what numba finds then
    assert load_module().double(21) == 42


SOURCE = """
from filters.kernels import jit

OFFSET = 0


@jit
def double(x):
    return 2 * x + OFFSET
"""


@pytest.fixture
def load_module(tmp_path, monkeypatch) -> Callable[[], ModuleType]:
    """Load a module with one compiled function, as a new process would; what is compiled goes to `tmp_path`."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    path = tmp_path / "doubling.py"
    path.write_text(SOURCE)

    def load() -> ModuleType:
        compile_cache._digest_file.cache_clear()
        spec = importlib.util.spec_from_file_location("doubling", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def was_loaded(module: ModuleType) -> bool:
    """Return whether the function was loaded from the disk, in place of compiled."""
    return sum(module.double.stats.cache_hits.values()) == 1


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [cut, flip, lambda content: b"", lambda content: b"\x80garbage" * 99, None])
def test_a_damaged_cache_is_compiled_anew(damage, suffix, load_module, tmp_path):
    assert load_module().double(21) == 42
    (file,) = (tmp_path / "__pycache__").glob(f"*.{suffix}")
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage(file.read_bytes()))
    again = load_module()
    assert again.double(21) == 42 and not was_loaded(again)
    third = load_module()
    assert third.double(21) == 42 and was_loaded(third)


def test_a_cache_is_stale_when_a_value_has_changed_that_was_compiled_in(load_module):
    assert load_module().double(21) == 42
    module = load_module()
    module.OFFSET = 1  # such as one that is imported from a module that was edited
    assert module.double(21) == 43
    assert load_module().double(21) == 42


def test_a_full_disk_keeps_nothing_from_being_computed(load_module, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compile_cache._CheckedFile, "_save_index", refuse)
    assert load_module().double(21) == 42


SORTS = """
import sys

import numpy as np

from filters.kernels import jit


@jit
def first(values):
    return values


@jit
def second(values):
    return first(values)


@jit
def third(values):
    return second(values)


@jit
def order(values):
    return np.argsort(third(values))


@jit
def arrange(values):
    return np.sort(values)


values = np.array([3.0, 1.0, 2.0] * 20)
for name in sys.argv[1:]:
    print(*globals()[name](values))
"""


def test_what_processes_compile_apart_is_loaded_together(tmp_path):
    """Sort and argsort are made of functions of the same names; numba counts them anew in each process, here to the same numbers."""
    (tmp_path / "sorts.py").write_text(SORTS)

    def start(*names: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": os.getcwd(), "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, str(tmp_path / "sorts.py"), *names]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE)

    apart = [process.communicate()[0] for process in (start("order"), start("arrange"))]
    assert apart[1].split() == sorted(apart[1].split())
    assert start("order", "arrange").communicate()[0] == "".join(apart)


def test_a_file_is_of_one_type_even_where_processes_write_at_once(load_module, tmp_path):
    folder = tmp_path / "__pycache__"
    assert load_module().double(21) == 42
    (whole,) = folder.glob("*.nbc")
    (index,) = folder.glob("*.nbi")
    index.unlink()  # as another process finds it that began before the first was done
    assert load_module().double(1.5) == 3
    (decimal,) = folder.glob("*.nbc")  # and what no index names is gone
    assert decimal.name != whole.name


def test_constants_in_calls_are_numbers_like_others():
    @jit_helper
    def add(a, b):
        return a + b

    @jit
    def add_thrice(x):
        return add(x, 0) + add(x, 1) + add(x, x)

    assert add_thrice(3) == 3 + 4 + 6
    assert len(add.signatures) == 1
