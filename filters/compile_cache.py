"""What numba compiled, kept on disk: where that is, and how it is checked before it is run.

numba's own cache runs whatever lies in its files. Here they end with a digest, and what does not fit it is compiled anew. They are stale
when anything has changed that was compiled in: the function's file, the files of functions that it calls, the values of its globals.
Processes that share a folder compile at once, and load what others have compiled: `_number_apart`, `_CheckedFile.save`.
"""

from __future__ import annotations

import glob
import itertools
import os
import pickle
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numba
import xxhash
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import FunctionCache, IndexDataCacheFile

_CONFIG: Any = numba.config  # numba fills it at run time
_PACKAGE = Path(__file__).parent
_OWN_PACKAGES = ("filters", "pipeline", "tokenizer", "trainers")
_DIGEST_BYTES = 16


# -- where


def choose_cache_folder() -> None:
    """Let numba keep compiled loops among the temporary files where it can write neither beside the code nor to the user's cache.

    numba raises an error there, at import: for a user without a home, as in many containers, whose packages are read-only. A folder that
    NUMBA_CACHE_DIR names stays, if files can be made in it. Processes that this one starts use the same folder.
    """
    if _CONFIG.CACHE_DIR:
        if _is_writable(Path(_CONFIG.CACHE_DIR)):
            return
        os.environ.pop("NUMBA_CACHE_DIR", None)
        _CONFIG.CACHE_DIR = ""
    if _is_writable(_PACKAGE / "__pycache__") or _is_writable(_find_user_cache()):
        return
    folder = _make_private_folder()
    if folder is not None:
        os.environ["NUMBA_CACHE_DIR"] = _CONFIG.CACHE_DIR = folder


def _find_user_cache() -> Path | None:
    """Return the folder of the user's cache, None where the user has no home."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) if os.path.isabs(cache) else None


def _is_writable(folder: Path | None) -> bool:
    """Return whether files can be made in a folder, which need not exist yet."""
    if folder is None:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _make_private_folder() -> str | None:
    """Return the folder of this user among the temporary files, or a new one where somebody else has that name; None without either."""
    try:
        folder = os.path.join(tempfile.gettempdir(), f"numba-{os.getuid()}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.lstat(folder)
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return folder
    except OSError:
        pass
    try:
        return tempfile.mkdtemp(prefix="numba-")
    except OSError:
        return None


# -- how it is checked


def _number_apart() -> None:
    """Give the functions that this process compiles numbers that no other process gives.

    numba counts them from 1, and tells functions of one name apart by it, such as the parts of sort and argsort. The number is in the
    symbols of what is kept: a process that loads two such functions, which two others compiled, has one symbol twice, and calls one
    function in place of both.
    """
    FunctionIdentity._unique_ids = itertools.count(secrets.randbits(62))


_number_apart()
os.register_at_fork(after_in_child=_number_apart)


def keep_compiled(dispatcher: Any) -> Any:
    """Let a jitted function keep what it compiles. Where no folder can be written to, each process compiles it for itself.

    numba compiles a function once more for each constant that compiled code calls it with, where a number would do.
    """
    compiler = dispatcher._compiler
    fold_arguments = compiler.fold_argument_types

    def fold_without_constants(arguments: Any, named: Any) -> Any:
        signature, folded = fold_arguments(arguments, named)
        return signature, tuple(numba.types.unliteral(argument) for argument in folded)

    compiler.fold_argument_types = fold_without_constants
    try:
        dispatcher._cache = _CheckedCache(dispatcher.py_func)
    except RuntimeError:
        pass
    return dispatcher


class _CheckedCache(FunctionCache):
    """Loads what is sound and fresh; whatever goes wrong with its files, the function is compiled."""

    @cached_property
    def _checked_file(self) -> _CheckedFile:
        # Not before the first call, when the globals of the function are complete.
        return _CheckedFile(self._cache_path, self._impl.filename_base, _digest_sources(self._py_func))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            self._cache_file = self._checked_file
            return super().load_overload(sig, target_context)
        except Exception:  # of unpickling alone there are dozens of kinds
            self._checked_file.remove()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._cache_file = self._checked_file
            super().save_overload(sig, data)
        except OSError:  # such as a full disk: the function was compiled nevertheless
            pass


class _CheckedFile(IndexDataCacheFile):
    """An index and its data files, each with a digest at its end."""

    def remove(self) -> None:
        """Remove the index. Data files that it named are written over."""
        Path(self._index_path).unlink(missing_ok=True)

    def save(self, key: Any, data: Any) -> None:
        """Write what was compiled for some types, then the index, and remove what the index does not name.

        A file is named after what is in it. numba counts, and two processes that compile for different types at once write one file.
        """
        base = self._index_name.removesuffix(".nbi")
        name = f"{base}.{xxhash.xxh3_128_hexdigest(repr((self._source_stamp, key)).encode())}.nbc"
        overloads = {**self._load_index(), key: name}
        self._save_data(name, data)
        self._save_index(overloads)
        for path in Path(self._cache_path).glob(f"{glob.escape(base)}.*.nbc"):
            if path.name not in overloads.values():
                path.unlink(missing_ok=True)

    def _dump(self, obj: Any) -> bytes:
        content = super()._dump(obj)
        return content + xxhash.xxh3_128_digest(content)

    def _load_index(self) -> dict[Any, str]:
        beginning = pickle.dumps(self._version, protocol=-1)
        try:
            content = Path(self._index_path).read_bytes()
        except FileNotFoundError:
            return {}
        if not content.startswith(beginning):
            return {}
        stamp, overloads = pickle.loads(_check(content[len(beginning) :]))
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_check(Path(self._data_path(name)).read_bytes()))


def _check(content: bytes) -> bytes:
    """Return what a digest vouches for. Raises ValueError where it does not."""
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if xxhash.xxh3_128_digest(body) != digest:
        raise ValueError("damaged")
    return body


# -- what was compiled in


def _digest_sources(function: Any) -> str:
    """Return a digest of all that is compiled into a function: sources, and values of globals."""
    # This file has a say in what symbols are called.
    return xxhash.xxh3_128_hexdigest("\n".join([_digest_file(__file__), *_list_sources(function, set())]).encode())


def _list_sources(function: Any, seen: set[int]) -> Iterator[str]:
    """Yield a line for the function's file, for every global that it names, and so on for the functions among them."""
    if id(function) in seen:
        return
    seen.add(id(function))
    yield _digest_file(function.__code__.co_filename)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    for value in [*(function.__globals__.get(name) for name in _list_names(function.__code__)), *cells]:
        called = getattr(value, "py_func", None)
        if called is not None:
            yield from _list_sources(called, seen)
        elif (file := _find_own_file(value)) is not None:
            yield _digest_file(file)
        elif hasattr(value, "tobytes"):
            yield f"{value.dtype} {value.shape} {xxhash.xxh3_128_hexdigest(value.tobytes())}"
        elif isinstance(value, bool | int | float | str | bytes | tuple):
            yield repr(value)


def _list_names(code: CodeType) -> Iterator[str]:
    """Yield the names that code, and code inside it, may look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _list_names(constant)


def _find_own_file(value: Any) -> str | None:
    """Return the file of a module of Seimai, or of what is defined in one; None for all else."""
    module = value if isinstance(value, ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
    is_own = module is not None and module.__name__.split(".")[0] in _OWN_PACKAGES
    return getattr(module, "__file__", None) if is_own else None


@cache
def _digest_file(path: str) -> str:
    try:
        return xxhash.xxh3_128_hexdigest(Path(path).read_bytes())
    except OSError:
        return path
