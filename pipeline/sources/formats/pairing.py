"""Which text belongs to which content (an image, a recording), by their names alone.

A text belongs to the content whose whole name it extends (a.jpg.txt), or else to those that are called as it is up to the last dot
(a.txt for a.jpg). Names are compared by their bytes; what is left is compared once more as text in NFC, where only one content and one
text have it. Nothing else is ever concluded: not from order, not from what is left over.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from pipeline.sources.names import normalise_name

K = TypeVar("K", bound=Hashable)


class Choice(NamedTuple):
    """The number of the text that a content has, or None; then `rivals` says among how many contents and texts it cannot be told."""

    text: int | None = None
    rivals: tuple[int, int] | None = None


def split_suffix(name: str) -> tuple[str, str]:
    """Return a name up to its last dot, and what follows it in lower case. A dot that the last part begins with is no such dot."""
    dot = name.rfind(".")
    return (name[:dot], name[dot + 1 :].lower()) if dot > name.rfind("/") + 1 else (name, "")


def group_by(items: Iterable[int], key: Callable[[int], K]) -> dict[K, list[int]]:
    groups: dict[K, list[int]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def match_names(contents: Sequence[str], texts: Sequence[str]) -> list[list[int]]:
    """Return for each content the numbers of the texts that its name gives it. A text may belong to several contents of one name."""
    candidates: list[list[int]] = [[] for _ in contents]
    stems = [split_suffix(name)[0] for name in contents]
    text_stems = [split_suffix(name)[0] for name in texts]
    unused = set(range(len(texts)))
    for names in (contents, stems):  # the whole name first
        by_stem = group_by(sorted(unused), text_stems.__getitem__)
        for i, name in enumerate(names):
            if not candidates[i] and name in by_stem:
                candidates[i] = by_stem[name]
        unused -= {text for matched in candidates for text in matched}
    if unused and any(not name.isascii() and not matched for name, matched in zip(contents, candidates, strict=True)):
        _match_in_normal_form(contents, stems, text_stems, unused, candidates)
    return candidates


def _match_in_normal_form(
    contents: Sequence[str], stems: list[str], text_stems: list[str], unused: set[int], candidates: list[list[int]]
) -> None:
    """Add the matches of names that are the same in NFC only, where that form is one content's and one text's."""
    texts_by_form = group_by(sorted(unused), lambda i: normalise_name(text_stems[i]))
    for names in (contents, stems):
        contents_by_form = group_by(range(len(names)), lambda i, names=names: normalise_name(names[i]))  # type: ignore[misc]
        for form, numbers in contents_by_form.items():
            free = [i for i in numbers if not candidates[i]]
            matched = texts_by_form.get(form, [])
            if free and matched and len({names[i] for i in numbers}) == 1 and len({text_stems[i] for i in matched}) == 1:
                for i in free:
                    candidates[i] = matched
                del texts_by_form[form]


def choose_texts(candidates: list[list[int]], contents: Sequence[str], texts: Sequence[str]) -> list[Choice]:
    """Return which text each content has: the only one of its name.

    Where contents of exactly one name are there as often as texts of one name, they go together in their order. All else cannot be told.
    """
    choices = [Choice() for _ in candidates]
    for matched, numbers in group_by(range(len(candidates)), lambda i: tuple(candidates[i])).items():
        names = {contents[i] for i in numbers}
        is_row = len(names) == len({texts[i] for i in matched}) == 1 and len(matched) == len(numbers)
        for nth, i in enumerate(numbers):
            if len(matched) == 1 and len(names) == len(numbers):
                choices[i] = Choice(matched[0])
            elif is_row:
                choices[i] = Choice(matched[nth])
            elif matched:
                choices[i] = Choice(None, (len(numbers), len(matched)))
    return choices


def explain_rivals(rivals: tuple[int, int], content: str, text: str) -> str:
    """Return why contents have none of the texts that go with their name; `content` and `text` are what messages call them."""
    return f"{rivals[0]} {content}s and {rivals[1]} {text}s are called alike: it cannot be told which go together"
