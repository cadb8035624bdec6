"""Katakana cut into the words of UniDic as MeCab cuts it, from the part of the dictionary that is in katakana.

The whole dictionary takes 250 MB on the disk, which reading text does not need. `make_katakana.py` made the part.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

WORDS = Path(__file__).parents[1] / "lists" / "katakana_words.npz"
CHARACTERS = "".join(map(chr, (*range(ord("ァ"), ord("ヺ") + 1), ord("ー"), *range(ord("ㇰ"), ord("ㇿ") + 1))))
_GROUPED = 24  # characters after the first of an unknown word: MeCab's default


class _Word(NamedTuple):
    """A word as MeCab knows it: what it is on its left and on its right, for the costs of connections, and its own cost."""

    left: int
    right: int
    cost: int


class _Path(NamedTuple):
    """The best way to a word: its cost, where the word begins, whether it is unknown, and the way before."""

    cost: int
    right: int
    start: int
    is_unknown: bool
    before: _Path | None


class _Katakana:
    """The words in katakana, connections between them, and how unknown words are made: by the kind of their first character."""

    def __init__(self) -> None:
        with np.load(WORDS) as file:
            arrays = dict(file)
        surfaces = arrays["surfaces"].tobytes().decode().split("\n")
        ends = np.cumsum(arrays["counts"], dtype=np.int64).tolist()
        self._rows = arrays["words"]
        self._words = {
            surface: (end - count, end) for surface, end, count in zip(surfaces, ends, arrays["counts"].tolist(), strict=True)
        }
        self._longest = max(map(len, surfaces))
        self._connections = arrays["connections"].astype(np.int64).tolist()
        self._kinds = {c: tuple(a[i].item() for a in map(arrays.__getitem__, _KIND)) for i, c in enumerate(CHARACTERS)}
        unknown = zip(arrays["unknown_kinds"].tolist(), arrays["unknown"].tolist(), strict=True)
        self._unknown = {kind: [_Word(*word) for _, word in words] for kind, words in groupby(unknown, lambda pair: pair[0])}

    def cut(self, text: str) -> tuple[str, ...] | None:
        """Return the words of `text`, None where the best way has one that the dictionary lacks."""
        ways: list[list[_Path]] = [[_Path(0, 0, 0, False, None)], *([] for _ in text)]
        for start in range(len(text)):
            if ways[start]:
                for end, words, is_unknown in self._find_words(text, start):
                    for word in words:
                        ways[end].append(self._connect(ways[start], word, start, is_unknown))
        path: _Path | None = self._connect(ways[len(text)], _Word(0, 0, 0), len(text), False).before
        found = []
        end = len(text)
        while path is not None and path.before is not None:
            if path.is_unknown:
                return None
            found.append(text[path.start : end])
            path, end = path.before, path.start
        return tuple(reversed(found))

    def _connect(self, ways: list[_Path], word: _Word, start: int, is_unknown: bool) -> _Path:
        cost, _, best = min((way.cost + self._connections[way.right][word.left], -i, way) for i, way in enumerate(ways))
        return _Path(cost + word.cost, word.right, start, is_unknown, best)

    def _find_words(self, text: str, start: int) -> list[tuple[int, list[_Word], bool]]:
        found = []
        for end in range(start + 1, min(len(text), start + self._longest) + 1):
            if (rows := self._words.get(text[start:end])) is not None:
                found.append((end, [_Word(*row) for row in self._rows[rows[0] : rows[1]].tolist()], False))
        kind, mask, length, is_grouped, is_invoked = self._kinds[text[start]]
        if found and not is_invoked:
            return found
        ends = []
        same = start + 1
        while same < len(text) and self._kinds[text[same]][1] & mask:
            same += 1
        if is_grouped and same - start - 1 <= _GROUPED:
            ends.append(same)
        for end in range(start + 1, min(start + length, len(text)) + 1):
            if not (is_grouped and end == same):
                ends.append(end)
            if end >= same:
                break
        if not found and not ends:
            ends.append(start + 1)
        return found + [(end, self._unknown[kind], True) for end in ends]


_KIND = ("kinds", "masks", "lengths", "groups", "invokes")


@lru_cache(maxsize=1)
def _katakana() -> _Katakana:
    return _Katakana()


@lru_cache(maxsize=100_000)
def cut_katakana(text: str) -> tuple[str, ...] | None:
    """Return the words of `text`, or None where UniDic does not know one of them or there are characters beside `CHARACTERS`.

    >>> cut_katakana("ベルリンマラソン"), cut_katakana("サーバーサイド"), cut_katakana("ヴャヴャ"), cut_katakana("サ―バ")
    (('ベルリン', 'マラソン'), ('サーバー', 'サイド'), None, None)
    """
    if any(character not in CHARACTERS for character in text):
        return None
    return _katakana().cut(text)
