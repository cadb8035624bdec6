"""Boilerplate lines: the notices, menus and buttons around a page's text that HTML extraction leaves behind."""

from __future__ import annotations

import numpy as np
import polars as pl

from filters.kernels import to_arrow
from filters.text.normalisation import Cleaned
from filters.text.phrases import phrases

# A notice is short. A longer line that merely mentions a phrase is prose (a sentence about Cookies, a manual on JavaScript).
LINE_CHARS = 60


def boilerplate_lines(cleaned: Cleaned, longest: int = LINE_CHARS) -> np.ndarray:
    """bool[lines]: whether a line has at most `longest` characters and contains a phrase of the list `boilerplate`."""
    is_boilerplate = np.zeros(len(cleaned.line_offsets) - 1, bool)
    sizes = np.diff(cleaned.line_offsets)
    # A character of Japanese text has at most three bytes: lines with more bytes are too long.
    shortest = min(len(phrase.encode()) for phrase in phrases("boilerplate"))
    short = np.flatnonzero((sizes >= shortest) & (sizes <= 3 * longest + 1))
    if len(short) == 0:
        return is_boilerplate
    lines = pl.Series("line", to_arrow(cleaned.data, cleaned.line_offsets)).gather(short)
    hits = lines.str.contains_any(list(phrases("boilerplate"))) & (lines.str.strip_chars().str.len_chars() <= longest)
    is_boilerplate[short[hits.to_numpy()]] = True
    return is_boilerplate
