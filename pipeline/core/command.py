"""How commands tell the user that something went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from pipeline.core.errors import SeimaiError, explain_os_error


@contextmanager
def report_errors(
    activity: str, out_options: str = "--out or --work", advice: str = "run the same command again to go on"
) -> Iterator[None]:
    """End the process with a message and an exit code, instead of a traceback, when the block fails.

    `activity` and `out_options` are for `explain_os_error`; `advice` is printed after Ctrl-C. With SEIMAI_TRACEBACK in the
    environment, errors that have a cause keep their traceback.
    """
    console = Console(stderr=True, emoji=False)  # a file may be called x:b:.jsonl
    try:
        yield
    except SeimaiError as error:
        _print_error(console, error)
        if os.environ.get("SEIMAI_TRACEBACK") and error.__cause__:
            raise
        sys.exit(error.exit_code)
    except OSError as error:
        _print_error(console, explain_os_error(error, activity, out_options))
        sys.exit(1)
    except KeyboardInterrupt:
        console.print(f"interrupted; {advice}", highlight=False)
        sys.exit(130)


def _print_error(console: Console, error: Exception) -> None:
    text = "".join(  # names and text from outside may hold escape sequences, which a terminal would obey
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in f"error: {error}"
    )
    console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
