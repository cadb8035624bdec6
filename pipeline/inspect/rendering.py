"""How values become HTML: numbers, texts from outside, addresses. Nothing from outside is markup, and nothing turns the text around it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline.core.bounds import translate_bound
from pipeline.core.language import choose_language, translate
from pipeline.core.names import UNPRINTABLE
from pipeline.core.numbers import show_number
from pipeline.inspect.view import make_url

LONGEST = 20_000  # characters of a text that a page shows at first
# Controls, which tabs and ends of lines are not here, and what changes the direction of the text around it.
_MARKED = re.compile(f"(?![\\n\\t])(?:{UNPRINTABLE[:-1]}\u061c\u200e\u200f\ud800-\udfff])")


@cache
def make_environment() -> Environment:
    """Return what templates are rendered by."""
    environment = Environment(
        loader=PackageLoader("pipeline.inspect"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"t": translate, "link": make_link, "language": choose_language}
    environment.filters |= {
        "marked": mark_text, "bound": translate_bound, "spans": mark_spans,
        "line": make_line, "count": format_count, "value": format_value, "percent": format_percent,
    }  # fmt: skip
    return environment


def make_link(path: str, parameters: dict[str, Any] | None = None, **more: Any) -> str:
    """Return an address of this application; `__` in a name stands for a point, lists for several values."""
    given = [(name.replace("__", "."), value) for name, value in ((parameters or {}) | more).items() if value is not None]
    pairs = [(name, str(one)) for name, value in given for one in (value if isinstance(value, list) else [value])]
    return make_url(path, pairs)


def mark_text(text: object) -> Markup:
    """Return a text from outside as HTML. What is not to be obeyed is shown by its code point, as U+202E is.

    >>> mark_text("a<b>\\u202ecod.exe")
    Markup('a&lt;b&gt;<span class="mark">U+202E</span>cod.exe')
    """
    pieces, at, given = [], 0, str(text)
    for match in _MARKED.finditer(given):
        pieces += [escape(given[at : match.start()]), Markup('<span class="mark">U+{:04X}</span>').format(ord(match[0]))]
        at = match.end()
    return Markup("").join([*pieces, escape(given[at:])])


def mark_spans(text: str, spans: Iterable[tuple[int, int]]) -> Markup:
    """Return a text from outside as HTML, with stretches marked; they are in order and do not overlap.

    >>> mark_spans("a<b>c", [(1, 4)])
    Markup('a<mark>&lt;b&gt;</mark>c')
    """
    pieces, at = [], 0
    for start, end in spans:
        if start < len(text):
            pieces += [mark_text(text[at:start]), Markup("<mark>"), mark_text(text[start:end]), Markup("</mark>")]
            at = end
    return Markup("").join([*pieces, mark_text(text[at:])])


def make_line(text: object) -> Markup:
    """Return a text from outside on one line."""
    return mark_text(" ".join(str(text).split()))


def format_count(number: float) -> str:
    """Return a whole number with separators."""
    return f"{round(number):,}"


def format_percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or not share else "< 0.1%"


def format_value(value: object) -> str:
    """Return a value of a column: a number in the digits that it needs, a dash for none."""
    if value is None:
        return "–"
    return show_number(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def join_words(words: Iterable[str]) -> str:
    """Return words in a list, as the language of the page has it."""
    return ("、" if choose_language() == "ja" else ", ").join(words)
