"""What the options of a build are called where a program calls `seimai`: `set={…}` and `out=` for `--set` and `--out`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pipeline.core.errors import SeimaiError
from pipeline.core.language import translate_message

_PARAMETERS = {
    "--input": "inputs=", "--out": "out=", "--work": "work=", "--workers": "workers=", "--limit": "limit=", "--images": "images=",
    "--audio": "audio=", "--scheduler": "scheduler=", "--download": "download=True", "--keep-going": "keep_going=True",
    "--clean": "clean=True",
}  # fmt: skip
# A command is to be pasted to a shell, up to the end of its line, and stays as it is.
_KEY, _END = r"[A-Za-z_][\w.-]*\w", r"(?=[.]?(?:\s|$|[:;,)。、）」]))"
_VALUE = r"\[[^\]]*\]|\{[^}]*\}|'[^']*'|\"[^\"]*\"|[^\s:;,。、）」]+?"
_MENTIONED = re.compile(
    rf"(?P<command>python -m .*)|--set '(?P<quoted>{_KEY})=(?P<text>[^']*)'|--set (?P<key>{_KEY})=(?P<value>{_VALUE}){_END}"
    rf"|--set (?P<bare>{_KEY}\.\w+)|(?P<set>--set)\b|(?P<option>{'|'.join(_PARAMETERS)})(?![\w-])(?P<path> (?=[/~.'\"]))?"
)
_LITERAL = re.compile(r"-?\d[\d_.]*(?:e[+-]?\d+)?|True|False|None|[\[{'\"].*", re.DOTALL)
_calls: ContextVar[bool] = ContextVar("calls", default=False)


def show_options(text: str) -> str:
    """Return a text whose options are called as the user gives them: in Python, as parameters.

    >>> with call_from_python():
    ...     show_options("--set shards.size=1x: a size is expected; choose another --out")
    'set={"shards.size": "1x"}: a size is expected; choose another out='
    >>> with call_from_python():
    ...     show_options("State it with --set license=… --set title=…")
    'State it with set={"license": "…", "title": "…"}'
    """
    return _MENTIONED.sub(_name_parameter, text).replace("} set={", ", ") if _calls.get() else text


def _name_parameter(match: re.Match[str]) -> str:
    if match["command"]:
        return match[0]
    if match["option"]:
        return _PARAMETERS[match["option"]]
    if match["set"]:
        return "set={…}"
    key, value = match["quoted"] or match["key"] or match["bare"], match["text"] or match["value"]
    shown = "…" if match["bare"] else value if _LITERAL.fullmatch(value) else f'"{value}"'
    return f'set={{"{key}": {shown}}}'


@contextmanager
def call_from_python() -> Iterator[None]:
    """Let what is printed in the block, and errors that leave it, speak to a program's author: of parameters, in the user's language."""
    if _calls.get():
        yield
        return
    token = _calls.set(True)
    try:
        yield
    except SeimaiError as error:
        error.args = (show_options(translate_message(str(error))),)
        raise
    finally:
        _calls.reset(token)
