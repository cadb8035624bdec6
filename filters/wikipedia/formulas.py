"""Formulas: what of TeX reads as text."""

from __future__ import annotations

import re
from html.entities import html5

_COMMAND = re.compile(r"\\([A-Za-z]+) ?")
_SIMPLE = re.compile(r"[\w ,.()+\-−=<>*/'!|:×±≤≥≠∞⋅→∈\[\]]{1,60}\Z")
MARK = r"{\displaystyle "  # as Wikipedia's own text rendering, and so CirrusSearch, begins a formula


def formula_text(tex: str) -> str:
    """Return a formula as text where it reads as such, else as `{\\displaystyle …}`: sentences with that are left out later.

    >>> formula_text(r"x + \\alpha"), formula_text(r"\\frac{a}{b}")
    ('x + α', '{\\\\displaystyle \\\\frac{a}{b}}')
    """
    text = _COMMAND.sub(
        lambda found: html5.get(f"{found[1]};", found[0]), tex.strip()
    )  # HTML has TeX's names: alpha, times, leq
    if _SIMPLE.match(text):
        return text
    return MARK + re.sub(r"[\n。]", " ", tex.strip()) + "}"
