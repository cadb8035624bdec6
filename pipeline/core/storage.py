"""Writing files so that nothing half-written is ever seen under its final name."""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from pipeline.core.errors import BuildError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes it when the block ends well, and is removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")


def read_json(path: Path) -> Any:
    """The value in `path`, or None where there is no such (whole) file."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def write_array(path: Path, values: np.ndarray) -> None:
    with atomic(path) as temporary, open(temporary, "wb") as file:  # np.save would add .npy to a path
        np.save(file, values)


def remove_temporaries(folder: Path) -> None:
    """Remove what killed writers left behind. Only call while holding the build's lock."""
    if folder.is_dir():
        for path in folder.rglob(".*.tmp"):
            path.unlink(missing_ok=True)


def remains(path: Path, ending: str) -> list[Path]:
    """What stands beside `path` under the name `.<its name>-<ending>`; `ending` is a regular expression."""
    if not path.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(path.name)}-{ending}")
    return [other for other in path.parent.iterdir() if name.fullmatch(other.name)]


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else makes `path` meanwhile. Raises BuildError where somebody does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.parent / f".{path.name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BuildError(f"another process is making {path}; wait for it, or choose another --out") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else 0


def human(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def fingerprint(*values: Any) -> str:
    """Sixteen hexadecimal digits that change when any of the (JSON-like) values does."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
