"""The difference of two texts as a report shows it: of bounded length, with what is equal left out where it is long."""

from __future__ import annotations

from typing import Literal

from pipeline.corpus.differences import diff_texts

COMPARED = 4_000  # characters of either text
_CONTEXT = 40  # characters of equal text beside a change
_LONGEST = 240  # characters of one stretch
_STRETCHES = 60

Stretch = tuple[Literal["same", "removed", "added", "gap"], str]


def find_difference(before: str, after: str) -> list[Stretch]:
    """Return how the beginning of one text becomes that of another."""
    stretches: list[Stretch] = []
    changes = diff_texts(before[:COMPARED], after[:COMPARED])
    for number, change in enumerate(changes):
        if change.kind == "same":
            stretches += _shorten(change.before, is_first=number == 0, is_last=number == len(changes) - 1)
            continue
        if change.before:
            stretches.append(("removed", _cut(change.before)))
        if change.after:
            stretches.append(("added", _cut(change.after)))
    if len(stretches) > _STRETCHES:
        stretches = [*stretches[:_STRETCHES], ("gap", "")]
    return stretches


def _shorten(text: str, is_first: bool, is_last: bool) -> list[Stretch]:
    """Return equal text with its middle left out; of the first stretch its end is shown, of the last its beginning."""
    head, tail = (0 if is_first else _CONTEXT), (0 if is_last else _CONTEXT)
    if is_first and is_last:
        head = 2 * _CONTEXT
    if len(text) <= head + tail + _CONTEXT:
        return [("same", text)]
    ends: list[Stretch] = [("same", text[:head]), ("gap", ""), ("same", text[len(text) - tail :])]
    return [(kind, part) for kind, part in ends if part or kind == "gap"]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
