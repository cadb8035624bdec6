"""Output that nobody reads any more, as after `| head`: commands go on to their end without it."""

from __future__ import annotations

import io
import os
import stat
import sys


class _Pipe(io.FileIO):
    """A pipe that takes what is written also when its reader has ended."""

    def write(self, data: object, /) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        try:
            return super().write(view)
        except BrokenPipeError:
            return view.nbytes


def outlive_readers() -> None:
    """Let this process go on, silently, when whoever reads its output or its error output has ended. Commands call this first.

    Python would end it with a traceback, once when it prints and once when it exits: half-way through a build, and with an exit code
    that says nothing of what was verified. It has no SIGPIPE, which ends other programs, since it ignores that signal.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper) or not _is_pipe(stream):
            continue
        stream.flush()
        pipe = io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False))
        buffering = stream.line_buffering, stream.write_through
        setattr(sys, name, io.TextIOWrapper(pipe, stream.encoding, stream.errors, None, *buffering))


def _is_pipe(stream: io.TextIOWrapper) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):  # closed, or of no file
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
