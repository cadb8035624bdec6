"""What commands have in common: how they tell the user that something went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from pipeline.core.errors import SeimaiError, explain_os_error


@contextmanager
def reported(
    doing: str, elsewhere: str = "--out or --work", again: str = "run the same command again to go on"
) -> Iterator[None]:
    """End the process with a sentence and the exit code of what went wrong inside, without a traceback.

    `doing` and `elsewhere` are for `explain_os_error`; `again` is said after Ctrl-C.
    """
    errors = Console(stderr=True)
    try:
        yield
    except SeimaiError as error:
        _say(errors, error)
        if os.environ.get("SEIMAI_TRACEBACK") and error.__cause__:
            raise
        sys.exit(error.exit_code)
    except OSError as error:
        _say(errors, explain_os_error(error, doing, elsewhere))
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print(f"interrupted; {again}", highlight=False)
        sys.exit(130)


def _say(errors: Console, error: Exception) -> None:
    errors.print(_printable(f"error: {error}"), style="red", highlight=False, markup=False, soft_wrap=True)


def _printable(text: str) -> str:
    """Without what a terminal would obey: names and text from outside may hold escape sequences."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
