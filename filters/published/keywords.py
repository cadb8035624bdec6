"""Words of other projects' lists, counted as their regular expressions count them: from the left, the first word of the list that fits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
import polars as pl

_KATAKANA = re.compile(r"[ァ-ヴー]+")


@lru_cache(maxsize=8)
def listed_words(name: str, left_out: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The words of the list `name` in its order, without those `left_out`. They are matched as they stand."""
    lines = (files("filters") / "lists" / f"{name}.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#") and line not in left_out)


def count_words(texts: pl.Series, words: tuple[str, ...], guard_katakana: bool = False) -> np.ndarray:
    """Count words in texts: int32[n]. With `guard_katakana` a word of katakana counts where no katakana are beside it."""
    counts = np.zeros(len(texts), np.int32)
    rows = texts.str.contains_any([*words]).arg_true()
    found = texts.gather(rows)
    if not guard_katakana:
        counts[rows.to_numpy()] = found.str.extract_many([*words], leftmost=True).list.len().to_numpy()
        return counts
    starts = found.str.find_many([*words], overlapping=True)
    matches = found.str.extract_many([*words], overlapping=True)
    for row, text, at, hits in zip(rows, found, starts, matches, strict=True):
        counts[row] = len(find_guarded(text, [*zip(at, hits, strict=True)], words))
    return counts


def find_guarded(text: str, hits: Sequence[tuple[int, str]], words: Sequence[str]) -> list[tuple[int, str]]:
    """Return those of the overlapping `hits`, of bytes of the text and words there, that a scan from the left takes.

    At one place the first of `words` goes first, those of katakana alone last; these count where no katakana are beside them.
    """
    encoded = text.encode()
    places = {word: place for place, word in enumerate(sorted(words, key=lambda word: bool(_KATAKANA.fullmatch(word))))}
    taken, end = list[tuple[int, str]](), 0
    for start, word in sorted(hits, key=lambda hit: (hit[0], places[hit[1]])):
        if start < end:
            continue
        stop = start + len(word.encode())
        if _KATAKANA.fullmatch(word):
            before, after = encoded[max(start - 3, 0) : start], encoded[stop : stop + 3]
            if _KATAKANA.fullmatch(before.decode("utf-8", "ignore")[-1:]) or _KATAKANA.match(after.decode("utf-8", "ignore")):
                continue
        taken.append((start, word))
        end = stop
    return taken
