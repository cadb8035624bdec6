"""How commands tell the user that something went wrong, on whatever terminal."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from pipeline.core.errors import BuildError, SeimaiError, explain_os_error, find_os_error
from pipeline.core.interrupts import end_at_next_interrupt
from pipeline.core.language import translate
from pipeline.core.terminal import Terminal


@contextmanager
def explain_errors(activity: str, out_options: str = "--out or --work") -> Iterator[None]:
    """Raise errors of the system in the block as a BuildError that says what to do. The arguments are for `explain_os_error`."""
    try:
        yield
    except (SeimaiError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if (told := find_os_error(error)) is None and isinstance(error, OSError):
            told = error
        if told is None:
            raise
        raise explain_os_error(told, translate(activity), out_options) from error


@contextmanager
def report_errors(
    activity: str, out_options: str = "--out or --work", advice: str = "run the same command again to go on"
) -> Iterator[None]:
    """End the process with a message and an exit code, instead of a traceback, when the block fails.

    `activity` and `out_options` are for `explain_os_error`; `advice` is printed after Ctrl-C. With SEIMAI_TRACEBACK in the
    environment, errors that have a cause keep their traceback.
    """
    if not gc.isenabled():  # while the command was imported
        gc.freeze()
        gc.enable()
    _read_paths_as_utf8()
    _escape_what_a_terminal_lacks()
    console = Terminal(stderr=True)
    try:
        with explain_errors(activity, out_options):
            yield
    except SeimaiError as error:
        _print_error(console, error)
        if os.environ.get("SEIMAI_TRACEBACK") and error.__cause__:
            raise
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        end_at_next_interrupt()
        console.print(f"interrupted; {advice}", soft_wrap=True)
        sys.exit(130)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception:
        # A fault of Seimai, whose message may quote anything.
        console.print(traceback.format_exc().rstrip(), soft_wrap=True)
        sys.exit(1)


@contextmanager
def import_late(module: str) -> Iterator[None]:
    """Import a module of ours in the block, without looking for garbage meanwhile: there is none, and looking takes a fifth of the time."""
    if module in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _print_error(console: Terminal, error: Exception) -> None:
    with suppress(BuildError):  # of error output that goes nowhere
        console.print(f"error: {error}", style="red", soft_wrap=True)


def _read_paths_as_utf8() -> None:
    """Start the command again in Python's UTF-8 mode where the locale has another encoding of paths, such as Latin-1.

    polars and pyarrow take the paths that Python gives them for UTF-8 in every locale. What is printed keeps the terminal's encoding.
    """
    if sys.getfilesystemencoding().lower() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    environment = os.environ | {"PYTHONUTF8": "1"}
    if encoding := getattr(sys.stdout, "encoding", None):
        environment.setdefault("PYTHONIOENCODING", encoding)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _escape_what_a_terminal_lacks() -> None:
    """Print characters that the terminal's encoding lacks as escapes, in place of a UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
