"""The words that the lists of other projects find in a text."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

import polars as pl

from filters.evidence import Evidence, Span
from filters.published.keywords import find_guarded, listed_words


def show_pattern(pattern: str, in_nfkc: bool = False) -> Evidence:
    """Return what finds the matches of a regular expression; `in_nfkc`: those in the text in NFKC, which HojiChar reads."""

    def find(text: str) -> list[Span]:
        read, places = _normalise(text) if in_nfkc else (text, [*range(len(text) + 1)])
        matches = (match for match in re.finditer(pattern, read) if match[0])
        return [Span(places[match.start()], places[match.end() - 1] + 1, 1) for match in matches]

    return find


def show_words(name: str, in_nfkc: bool = False) -> Evidence:
    """Return what finds the words of a list, from the left, the first word of the list that fits."""
    return lambda text: show_pattern("|".join(map(re.escape, listed_words(name))), in_nfkc)(text)


def show_guarded_words(name: str, left_out: frozenset[str]) -> Evidence:
    """Return what finds the words of a list without those `left_out`; those of katakana where no katakana are beside them."""

    def find(text: str) -> list[Span]:
        words = listed_words(name, left_out)
        places = {at: place for place, at in enumerate(accumulate((len(c.encode()) for c in text), initial=0))}
        texts = pl.Series([text])
        starts = texts.str.find_many([*words], overlapping=True)[0]
        hits = [*zip(starts, texts.str.extract_many([*words], overlapping=True)[0], strict=True)]
        return [Span(places[at], places[at] + len(word), 1) for at, word in find_guarded(text, hits, words)]

    return find


def _normalise(text: str) -> tuple[str, list[int]]:
    """Return a text in NFKC, and the place in `text` that each of its characters comes from.

    Where characters compose with their neighbours the places are of the text composed before, which moves none in cleaned text.
    """
    pieces = [unicodedata.normalize("NFKC", c) for c in text]
    places = [place for place, piece in enumerate(pieces) for _ in piece]
    return "".join(pieces), [*places, len(text)]
