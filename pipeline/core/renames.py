"""Two names change places, in one step where system and filesystem can."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)


def exchange(staged: Path, final: Path) -> None:
    """Put `staged` in the place of `final`, and the other way round; in one step where the filesystem can."""
    if not os.path.lexists(final):
        staged.rename(final)
        return
    if not _exchange_names(staged, final):
        final.rename(_spare_name(staged))
        finish_exchange(staged, final)


def _spare_name(staged: Path) -> Path:
    return staged.with_name(f"{staged.name}.old")


def finish_exchange(staged: Path, final: Path) -> None:
    """Finish an exchange by renames, which went by a spare name."""
    spare = _spare_name(staged)
    if os.path.lexists(spare):
        if not os.path.lexists(final):
            staged.rename(final)
        if not os.path.lexists(staged):
            spare.rename(staged)


def _exchange_names(one: Path, other: Path) -> bool:
    """Exchange two names by `renameat2`; return False where system or filesystem lack it."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))
