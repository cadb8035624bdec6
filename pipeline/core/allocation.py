"""Space on the disk for what is mapped into memory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_BLOCK = bytes(1 << 20)


def allocate(descriptor: int, size: int, place: Path) -> None:
    """Give an empty file `size` bytes that are there when they are written to.

    A file that only claims its size ends the process with SIGBUS when it is written to through a map and the disk is full. Raises OSError
    for a full disk, which names `place`.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(descriptor, 0, size)
                return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
        for start in range(0, size, len(_BLOCK)):
            os.pwrite(descriptor, _BLOCK[: size - start], start)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from None
