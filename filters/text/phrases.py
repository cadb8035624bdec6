"""Phrase lists: how much of a document is made of listed phrases, by Aho-Corasick over the whole column at once.

A list is a UTF-8 file in `filters/lists/`, one phrase a line, `#` for comments. Phrases are matched in normalised text.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import polars as pl

from filters.kernels import to_arrow

LISTS = ("adult", "advertising")
COUNTERS = tuple(f"n_{name}_phrases" for name in LISTS) + tuple(f"n_{name}_phrase_chars" for name in LISTS)


@lru_cache(maxsize=8)
def phrases(name: str) -> tuple[str, ...]:
    """The phrases of list `name`, normalised as text is, longest first."""
    from filters.text.normalisation import normalise

    lines = (files("filters") / "lists" / f"{name}.txt").read_text("utf-8").splitlines()
    listed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    # Where two phrases begin together the automaton takes the first of the list: the longer one.
    return tuple(sorted(dict.fromkeys(normalise(pl.Series(listed)).to_list()), key=len, reverse=True))


def count(data: np.ndarray, offsets: np.ndarray, columns: tuple[str, ...] = COUNTERS) -> dict[str, np.ndarray]:
    """Matches of every list and the characters they cover: int32[n] each. Overlapping phrases count once, the longest first."""
    column = pl.Series("text", to_arrow(data, offsets))
    wanted = [name for name in LISTS if {f"n_{name}_phrases", f"n_{name}_phrase_chars"} & set(columns)]
    if not wanted:
        return {}
    # Most documents hold no phrase of any list: one pass finds those that do.
    some = column.str.contains_any([phrase for name in wanted for phrase in phrases(name)]).arg_true()
    few = column.gather(some)
    found: dict[str, np.ndarray] = {}
    for name in wanted:
        matches = few.str.extract_many(list(phrases(name)), leftmost=True)
        hits, covered = np.zeros(len(column), np.int32), np.zeros(len(column), np.int32)
        hits[some.to_numpy()] = matches.list.len().to_numpy()
        covered[some.to_numpy()] = matches.list.eval(pl.element().str.len_chars()).list.sum().to_numpy()
        found |= {f"n_{name}_phrases": hits, f"n_{name}_phrase_chars": covered}
    return found
