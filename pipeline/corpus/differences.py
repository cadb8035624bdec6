"""What differs in two texts, for people: characters, since Japanese has no spaces between words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import accumulate, groupby
from typing import Any, Literal, NamedTuple

from rapidfuzz.distance import Indel, Levenshtein

# Characters (or lines) of the longer side of one stretch that is compared: time and memory go by the square of it, 50 MB here.
_LONGEST = 20_000
_LEAST_COMMON = (
    3  # characters between two changes; fewer are shown as part of the change, since "a[b→c]d" tells more than letters do
)

Kind = Literal["same", "removed", "added", "replaced"]


class Change(NamedTuple):
    """A stretch of two texts: `before` in the first, `after` in the second. `start`: where it begins in the first."""

    kind: Kind
    before: str
    after: str
    start: int


def diff_texts(before: str, after: str) -> list[Change]:
    """Return how one text becomes another: stretches in order, which joined are `before`, and `after`.

    Lines that both have are found first; between these, characters are compared. Stretches too long for that are replaced as a whole.

    >>> [tuple(change) for change in diff_texts("ﾊﾞﾅﾅは黄色い。", "バナナは黄色い。")]
    [('replaced', 'ﾊﾞﾅﾅ', 'バナナ', 0), ('same', 'は黄色い。', 'は黄色い。', 4)]
    """
    changes: list[Change] = []
    for is_same, lines, others in _compare(before.splitlines(keepends=True), after.splitlines(keepends=True), Indel.opcodes):
        first, second = "".join(lines), "".join(others)
        if is_same or not first or not second:
            changes.append(_change(first, second))
        else:
            changes += [_change(a, b) for _, a, b in _compare(first, second, Levenshtein.opcodes)]
    return _join(changes)


def _compare(first: Any, second: Any, find_opcodes: Callable[[Any, Any], Any]) -> Iterator[tuple[bool, Any, Any]]:
    """Yield stretches of two sequences, and whether they are the same; what is too long to be compared is one stretch."""
    head = len(os.path.commonprefix([first, second]))
    tail = len(os.path.commonprefix([first[head:][::-1], second[head:][::-1]]))
    yield True, first[:head], second[:head]
    left, right = first[head : len(first) - tail], second[head : len(second) - tail]
    if max(len(left), len(right)) > _LONGEST:
        yield False, left, right
    else:
        for is_same, codes in groupby(find_opcodes(left, right), lambda code: code.tag == "equal"):
            spans = [*codes]
            yield is_same, left[spans[0].src_start : spans[-1].src_end], right[spans[0].dest_start : spans[-1].dest_end]
    yield True, first[len(first) - tail :], second[len(second) - tail :]


def _change(before: str, after: str, start: int = 0) -> Change:
    kind: Kind = "same" if before == after else "removed" if not after else "added" if not before else "replaced"
    return Change(kind, before, after, start)


def _join(changes: list[Change]) -> list[Change]:
    """Join stretches of a kind that follow one another, then changes that have next to nothing between them; number the stretches."""
    stretches = _join_neighbours([(change.before, change.after, change.kind == "same") for change in changes])
    last = len(stretches) - 1
    stretches = _join_neighbours(
        [
            (before, after, is_same and (number in (0, last) or len(before) >= _LEAST_COMMON))
            for number, (before, after, is_same) in enumerate(stretches)
        ]
    )
    starts = accumulate((len(before) for before, _, _ in stretches), initial=0)
    return [_change(before, after, start) for (before, after, _), start in zip(stretches, starts, strict=False)]


def _join_neighbours(stretches: list[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    filled = [stretch for stretch in stretches if stretch[0] or stretch[1]]
    return [
        ("".join(before for before, _, _ in group), "".join(after for _, after, _ in group), is_same)
        for is_same, group in ((is_same, [*run]) for is_same, run in groupby(filled, lambda stretch: stretch[2]))
    ]
