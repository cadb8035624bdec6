"""What in a text makes a measure what it is: spans of it, looked for in one text when somebody asks, never in a build."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import NamedTuple

import numpy as np

from filters import unicode as u

AMBIGUOUS = "ambiguous"  # of a listed phrase: it means other things as well


class Span(NamedTuple):
    """A stretch `text[start:end]` that counts for a measure.

    `amount`: how much of the measure's counter it is (characters, lines, occurrences), so that the amounts of all spans make the counter.
    `what`: what kind of evidence it is, where there are several: `ambiguous`, a language.
    """

    start: int
    end: int
    amount: float
    what: str = ""


Evidence = Callable[[str], list[Span]]


def replace_surrogates(find: Evidence) -> Evidence:
    """Return what finds the same, and takes lone surrogates, which no UTF-8 has, for question marks, as `classify` does."""

    @wraps(find)
    def find_in_any(text: str) -> list[Span]:
        return find(text.encode("utf-8", "replace").decode("utf-8"))

    return find_in_any


def classify(text: str) -> np.ndarray:
    """Return the class of every character (uint8[characters]), as the loops over characters have it."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    classes = u.character_classes()
    above = np.where(codes < 0x40000, u.HAN, u.CONTROL)
    return np.where(codes < u.TABLE_SIZE, classes[np.minimum(codes, u.TABLE_SIZE - 1)], above).astype(np.uint8)


def list_lines(text: str) -> list[tuple[int, int]]:
    """Return where lines begin and end, without what ends them."""
    lines, start = [], 0
    for line in text.split("\n"):
        lines.append((start, start + len(line)))
        start += len(line) + 1
    return lines


def find_runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Return where runs of True begin and end in bool[n]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [*zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]


def join_spans(spans: Iterable[Span], length: int) -> list[tuple[int, int]]:
    """Return the stretches of a text of `length` characters that spans cover, in order: those that touch or overlap as one."""
    covered = np.zeros(length, bool)
    for span in spans:
        covered[span.start : span.end] = True
    return find_runs(covered)
