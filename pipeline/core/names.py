"""Names and paths from outside, as they may stand in ids, messages and reports."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.core.errors import UsageError

# What a name must not have: controls, which end lines and which a terminal obeys; marks that turn the direction of the text around
# them; halves of surrogate pairs, which Python has for bytes that are not UTF-8. Spaces of any width, joiners and characters that
# no font has are printed like others.
UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
_UNPRINTABLE = re.compile(UNPRINTABLE[:-1] + "\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def is_printable(name: str) -> bool:
    """Return whether a name can stand in an id and on a line of a report as it is."""
    return not _UNPRINTABLE.search(name)


def make_printable(text: str, keep: str = "") -> str:
    """Return a text from outside with U+FFFD for what is not printable, but for the characters of `keep`."""
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0] in keep else _REPLACEMENT, text)


def expand_home(path: Path | str) -> Path:
    """Return a path with the user's home for `~`. Raises UsageError where the user has none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: there is no home folder for ~ to stand for; write the path out") from None
