"""Processes that die at a chosen moment: an audit hook counts what Python is about to do with files, and kills at one of these."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

# Before each of these the disk is in another state. `ctypes.dlsym` comes before every exchange of two names.
CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "ctypes.dlsym"}


def run_and_kill(work: Callable[[], object], moment: int) -> bool:
    """Run `work` in a child process that is killed before its `moment`-th change of the disk; return whether that came."""
    child = os.fork()
    if child == 0:
        left = moment

        def kill(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in CHANGES:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
    return os.WIFSIGNALED(status)
