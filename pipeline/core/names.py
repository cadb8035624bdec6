"""What comes from outside (names, paths, URLs, messages of servers), as it may stand in ids, messages and reports.

`make_visible` is what every message passes through: nothing in it is obeyed by a terminal, and no URL in it tells a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# What a name must not have: controls, which end lines and which a terminal obeys; marks that turn the direction of the text around
# them; halves of surrogate pairs, which Python has for bytes that are not UTF-8. Spaces of any width, joiners and characters that
# no font has are printed like others.
UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
_UNPRINTABLE = re.compile(UNPRINTABLE[:-1] + "\ud800-\udfff]")
# Marks of direction that may be part of a name, but that a message does without: they move what stands beside them.
_UNSHOWN = re.compile(_UNPRINTABLE.pattern[:-1] + "\u061c\u200e\u200f]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LONGEST_MESSAGE = 20_000  # characters: a list of hundreds of names fits, a page that a server sends in its error does not

# User and password before the host of a URL, and everything from ? or # on, but for what ends the sentence that it stands in.
_USER = re.compile(r"(?<=://)[^\s/<>]*@")
_QUERY = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s?#'\"<>`]*)[?#]\S*?(?=['\"<>`.,:;)\]]*(?:\s|$))")
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/.~])/(?:[^/\s'\"`,;:()]+/)+([^/\s'\"`,;:()]*)")


def is_printable(name: str) -> bool:
    """Return whether a name can stand in an id and on a line of a report as it is."""
    return not _UNPRINTABLE.search(name)


def make_printable(text: str, keep: str = "") -> str:
    """Return a text from outside with U+FFFD for what is not printable, but for the characters of `keep`."""
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0] in keep else _REPLACEMENT, text)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return '; did you mean …?' for the nearest of `words`, or a full stop."""
    matches = difflib.get_close_matches(word, list(words), 1, 0.6)
    return f"; did you mean {matches[0]!r}?" if matches else "."


def shorten(text: str, longest: int) -> str:
    """Return a text from outside on one line: printable, and its beginning alone where it is longer.

    >>> shorten("a\\nb\\x1b" + "c" * 10, 6)
    'a⏎b�cc …'
    """
    line = make_printable(text[:longest].replace("\n", "⏎"))
    return line if len(text) <= longest else f"{line} …"


def hide_secrets(text: str) -> str:
    """Return a text whose URLs have neither user nor query: these may hold passwords, tokens and signatures.

    >>> hide_secrets("https://me:pass@a.jp/f.gz?X-Amz-Signature=1: no such file")
    'https://a.jp/f.gz: no such file'
    """
    return _QUERY.sub(r"\1", _USER.sub("", text)) if "://" in text else text


def strip_secrets(url: str) -> str:
    """Return a URL without user, query and fragment, and anything else as it is."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    host = rest.partition("/")[0].rpartition("@")[2] if "@" in rest.partition("/")[0] else authority
    return f"{scheme}://{re.split('[?#]', host, maxsplit=1)[0]}{slash}{path}"


def make_visible(text: str) -> str:
    """Return a text that may quote anything from outside as messages show it: printable, of bounded length, without secrets.

    Its own ends of lines stay.
    """
    shown = _UNSHOWN.sub(lambda match: match[0] if match[0] == "\n" else _REPLACEMENT, hide_secrets(text))
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]} … ({len(shown):,} characters)"


def escape_unprintable(text: str) -> str:
    """Return JSON as a terminal may show it: what that would obey is an escape, which means the same. Ends of lines stay."""
    return _UNSHOWN.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)


def hide_folders(text: str, paths: Iterable[str] = ()) -> str:
    """Return a text in which a path from the root, as one of `paths`, is the last part of its name alone."""
    for path in sorted({path.rstrip("/") for path in paths if path.startswith("/")}, key=len, reverse=True):
        text = text.replace(path, path.rsplit("/", 1)[-1]) if path else text
    return _ABSOLUTE_PATH.sub(r"\1", text)
