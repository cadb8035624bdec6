"""Tasks of tests, as workers run them."""

from __future__ import annotations

import os
import signal
import threading
import time


def stop_once(marker: str) -> int:
    """Stop the whole process, as SIGSTOP does; the second time, return."""
    if _is_first(marker):
        os.kill(os.getpid(), signal.SIGSTOP)
    return 7


def block_once(marker: str) -> int:
    """Wait for a lock that nobody releases, while the process goes on; the second time, return."""
    if _is_first(marker):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    return 8


def work(seconds: float) -> int:
    """Use the processor for some seconds; return the process."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return os.getpid()


def _is_first(marker: str) -> bool:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
