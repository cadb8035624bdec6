"""Formulas: what of TeX reads as text."""

from __future__ import annotations

import re

_GREEK = {
    name: chr(first + place)
    for first, names in (
        (0x3B1, "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho . sigma tau upsilon phi chi psi omega"),
        (0x391, "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho . Sigma Tau Upsilon Phi Chi Psi Omega"),
    )
    for place, name in enumerate(names.split())
    if name != "."
}  # fmt: skip
_SIGNS = {
    "times": "×",
    "pm": "±",
    "leq": "≤",
    "le": "≤",
    "geq": "≥",
    "ge": "≥",
    "neq": "≠",
    "infty": "∞",
    "cdot": "·",
    "to": "→",
}
_COMMAND = re.compile(r"\\([A-Za-z]+) ?")
_SIMPLE = re.compile(r"[\w ,.()+\-−=<>*/'!|:×±≤≥≠∞·→\[\]]{1,60}\Z")
MARK = r"{\displaystyle "  # as Wikipedia's own text rendering, and so CirrusSearch, begins a formula


def formula_text(tex: str) -> str:
    """Return a formula as text where it reads as such, else as `{\\displaystyle …}`: sentences with that are left out later.

    >>> formula_text(r"x + \\alpha"), formula_text(r"\\frac{a}{b}")
    ('x + α', '{\\\\displaystyle \\\\frac{a}{b}}')
    """
    text = _COMMAND.sub(lambda found: _GREEK.get(found[1]) or _SIGNS.get(found[1]) or found[0], tex.strip())
    if _SIMPLE.match(text):
        return text
    return MARK + re.sub(r"[\n。]", " ", tex.strip()) + "}"
