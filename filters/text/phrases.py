"""Phrase lists: how much of a document is made of listed phrases, by Aho-Corasick over the whole column at once.

A list is a UTF-8 file in `filters/lists/`, one phrase a line, `#` for comments. Phrases are matched in normalised text.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

import numpy as np
import polars as pl

from filters.kernels import to_arrow
from filters.text.normalisation import normalise

LISTS = ("adult", "advertising")
# Text has いいね！する and いいね!する.
_WIDE_SIGNS = {cp: cp + 0xFEE0 for cp in range(0x21, 0x7F) if not chr(cp).isalnum()}
COUNTERS = tuple(f"n_{name}_phrase_chars" for name in LISTS)


@lru_cache(maxsize=8)
def phrases(name: str) -> tuple[str, ...]:
    """The phrases of list `name`, normalised as text is, with full-width signs as well, longest first."""
    lines = (files("filters") / "lists" / f"{name}.txt").read_text("utf-8").splitlines()
    listed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    # Where two phrases begin together, the automaton takes the first of the list: the longer one.
    narrow = normalise(pl.Series(listed), width="fold").to_list()
    return tuple(sorted(dict.fromkeys([*narrow, *(phrase.translate(_WIDE_SIGNS) for phrase in narrow)]), key=len, reverse=True))


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each: characters that the phrases of a list cover.

    Overlapping phrases count once, the longest first.
    """
    lists = {counter: list(phrases(name)) for counter, name in zip(COUNTERS, LISTS, strict=True) if counter in set(wanted)}
    if not lists:
        return {}
    texts = pl.Series("text", to_arrow(data, offsets))
    # Most documents hold no phrase of any list: one pass finds those that do.
    rows = texts.str.contains_any([phrase for listed in lists.values() for phrase in listed]).arg_true()
    candidates = texts.gather(rows)
    counters: dict[str, np.ndarray] = {}
    for counter, listed in lists.items():
        matches = candidates.str.extract_many(listed, leftmost=True)
        counters[counter] = np.zeros(len(texts), np.int32)
        counters[counter][rows.to_numpy()] = matches.list.eval(pl.element().str.len_chars()).list.sum().to_numpy()
    return counters
