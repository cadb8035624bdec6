"""Locks between processes: one of them writes a folder at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.ownership import STATE_FOLDER


@contextmanager
def hold_lock_file(lock_file: Path, message: str) -> Iterator[None]:
    """Hold the lock that `lock_file` stands for; the file stays. Raises BuildError with `message` where another process holds it."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BuildError(message) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`, which need not exist. Raises BuildError where another process holds it."""
    lock_file = path.parent / f".{path.name}.lock"
    if lock_file.exists() and lock_file.stat().st_size:
        raise UsageError(f"{lock_file} is no lock of Seimai, which are empty: move it elsewhere, or choose another --out")
    with hold_lock_file(lock_file, f"another process is making {path}; wait for it, or choose another --out"):
        try:
            yield
        finally:
            lock_file.unlink(missing_ok=True)  # while it is held, so that no other process's file is removed


@contextmanager
def hold_corpus_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the corpus that `folder`, such as `tokens`, is added to; elsewhere, do nothing.

    Builds hold it, too: what is published, lock file and sums are of one command at a time. Raises BuildError where another is at work.
    """
    state = folder.parent / STATE_FOLDER
    if not os.access(state, os.W_OK):
        yield
        return
    with hold_lock_file(state / "lock", f"another command is at work in {folder.parent}; wait for it, or choose another --out"):
        yield
