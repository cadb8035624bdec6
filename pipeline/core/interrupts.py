"""Ctrl-C where `pipeline.core.command` does not see it: while modules are imported, while workers start, and once a command has ended."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType

from pipeline.core.command_names import WORDS
from pipeline.core.pipes import outlive_readers


def expect_interrupts() -> None:
    """Let Ctrl-C end a command with a line, not a traceback, while its modules are imported, and a closed pipe end nothing.

    Packages call this first. Other programs that import Seimai keep their own ways.
    """
    if starts_command() and sys.excepthook is not _report_interrupt:
        sys.excepthook = _report_interrupt
        outlive_readers()


def starts_command() -> bool:
    """Return whether this process is about to import a command of Seimai: as `seimai`, or as `python -m pipeline.build` and its like."""
    program = sys.argv[0] if sys.argv else ""
    if program != "-m":  # what Python has there until the module of `python -m MODULE` is found
        return Path(program).name == "seimai"
    words = sys.orig_argv
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    return module.removesuffix(".__main__") in WORDS


def _report_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted; run the same command again", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


@contextmanager
def delay_interrupt() -> Iterator[None]:
    """Raise a KeyboardInterrupt for Ctrl-C in the block at its end; a second Ctrl-C ends this process.

    Threads that are started in the block never get it, nor do processes that these start, then or later.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    received = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        end_at_next_interrupt()

    resource_tracker.ensure_running()  # which unblocks the signal in the thread that starts it
    handler = signal.signal(signal.SIGINT, note)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # for threads to inherit; older ones still take it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if received:
        raise KeyboardInterrupt


def end_at_next_interrupt() -> None:
    """Let the next Ctrl-C end this process at once: what is left to do is to wait for others."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
