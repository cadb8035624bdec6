"""Where numba keeps what it compiled."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import numba

_CONFIG: Any = numba.config  # numba fills it at run time
_PACKAGE = Path(__file__).parent


def choose_cache_folder() -> None:
    """Let numba keep compiled loops among the temporary files where it can write neither beside the code nor to the user's cache.

    numba raises an error there, at import: for a user without a home, as in many containers, whose packages are read-only. A folder that
    NUMBA_CACHE_DIR names stays. Processes that this one starts use the same folder.
    """
    if _CONFIG.CACHE_DIR or _is_writable(_PACKAGE / "__pycache__") or _is_writable(_find_user_cache()):
        return
    os.environ["NUMBA_CACHE_DIR"] = _CONFIG.CACHE_DIR = _make_private_folder()


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
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _make_private_folder() -> str:
    """Return the folder of this user among the temporary files, or a new one where somebody else has that name."""
    folder = os.path.join(tempfile.gettempdir(), f"numba-{os.getuid()}")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.lstat(folder)
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return folder
    except OSError:
        pass
    return tempfile.mkdtemp(prefix="numba-")
