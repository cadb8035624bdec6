"""What commands print: tables, lines and progress, in which nothing from outside is obeyed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from pipeline.core.command_names import show_commands
from pipeline.core.errors import BuildError
from pipeline.core.language import translate_message
from pipeline.core.names import escape_unprintable, make_visible
from pipeline.core.python_names import show_options
from pipeline.core.storage import to_json


class Terminal(Console):
    """A console for texts that may quote anything: file names, messages of servers, titles of a stranger's manifest.

    Square brackets and colons are text, not markup; numbers are not coloured. What a terminal would obey is U+FFFD, and URLs have
    neither user nor query. Commands are called as the user started this one (`pipeline.core.command_names`).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"emoji": False, "markup": False, "highlight": False} | options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `Console` does. Lines are in the user's language, and none is broken: paths and commands can be pasted."""
        if objects and all(isinstance(one, str) for one in objects):
            objects = tuple(map(translate_message, objects))
            options = {"soft_wrap": True} | options
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as every table, line and cell shows it."""
        return super().render_str(make_visible(show_options(show_commands(text))), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is written; the texts of rich's own renderables pass here, too."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(make_visible(text), style)

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:
            self._stop_printing(error)

    def on_broken_pipe(self) -> None:
        """Print nothing more where nobody reads any more, as after `| head`. What is at work goes on."""
        self._discard_output()

    def _discard_output(self) -> None:
        """Write nothing more, at the end of Python neither."""
        self.quiet = True
        with suppress(OSError, ValueError):  # a stream of another kind
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)

    def _stop_printing(self, error: OSError) -> None:
        """Raise BuildError for lines that cannot be written, such as on a full disk."""
        self._discard_output()
        stream = "error output" if self.stderr else "output"
        raise BuildError(
            f"the command's {stream} cannot be written ({error.strerror}), so it ended there. What is finished is kept: "
            f"run the same command again, with its {stream} elsewhere"
        ) from None


def tell(text: str) -> None:
    """Print a line."""
    Terminal().print(text)


def tell_json(value: Any) -> None:
    """Print a value as JSON, for scripts: nothing is left out of it, and nothing in it is obeyed by a terminal."""
    try:
        print(escape_unprintable(to_json(value, indent=1)), flush=True)
    except OSError as error:
        Terminal()._stop_printing(error)
