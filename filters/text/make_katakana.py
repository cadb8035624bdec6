"""Make `filters/lists/katakana_words.npz` anew: the words of UniDic in katakana, with what MeCab needs to cut text into them.

    python -m filters.text.make_katakana        # needs fugashi and unidic-lite

It takes 79,009 of the 756,264 words of unidic-lite 1.0.8 (BSD, LGPL or GPL), which as a whole takes 250 MB on the disk. Formats are those
of MeCab 0.996: `sys.dic` is a double array of surfaces and a table of words, `matrix.bin` has costs of connections, `char.bin` and
`unk.dic` say how unknown words are cut.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from filters.text.katakana import CHARACTERS, WORDS

_HEADER = 40 + 32  # bytes: ten numbers, the name of a charset
_UNIT = np.dtype([("base", "<i4"), ("check", "<u4")])
_WORD = np.dtype([("left", "<u2"), ("right", "<u2"), ("pos", "<u2"), ("cost", "<i2"), ("feature", "<u4"), ("compound", "<u4")])


class _Dictionary:
    """A compiled dictionary of MeCab."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        units, words = struct.unpack_from("<2I", raw, 24)
        self._units = np.frombuffer(raw, _UNIT, units // _UNIT.itemsize, _HEADER)
        self.words = np.frombuffer(raw, _WORD, words // _WORD.itemsize, _HEADER + units)

    def _step(self, base: int, data: bytes) -> int | None:
        for byte in data:
            at = base + byte + 1
            if at >= len(self._units) or int(self._units["check"][at]) != base:
                return None
            base = int(self._units["base"][at])
        return base

    def find(self, surface: bytes) -> np.ndarray:
        """Return the words of a surface."""
        base = self._step(int(self._units["base"][0]), surface)
        return self.words[:0] if base is None else self._words_at(base)

    def _words_at(self, base: int) -> np.ndarray:
        value = int(self._units["base"][base])
        if int(self._units["check"][base]) != base or value >= 0:
            return self.words[:0]
        first, count = divmod(-value - 1, 256)
        return self.words[first : first + count]

    def list_words(self, characters: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the surfaces that are of `characters` alone, with their words."""
        steps = [(character, character.encode()) for character in characters]
        waiting = [(int(self._units["base"][0]), "")]
        while waiting:
            base, surface = waiting.pop()
            if surface and len(words := self._words_at(base)):
                yield surface, words
            for character, data in steps:
                if (following := self._step(base, data)) is not None:
                    waiting.append((following, surface + character))


def _read_kinds(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return MeCab's names of kinds of characters, and what it knows of each code point."""
    raw = (folder / "char.bin").read_bytes()
    (count,) = struct.unpack_from("<I", raw)
    names = [raw[4 + 32 * i : 36 + 32 * i].rstrip(b"\0").decode() for i in range(count)]
    return names, np.frombuffer(raw, "<u4", offset=4 + 32 * count)


def make_words(folder: Path) -> dict[str, Any]:
    """Return the arrays of `katakana_words.npz`, from the folder of the dictionary."""
    matrix = np.frombuffer((folder / "matrix.bin").read_bytes(), "<i2", offset=4)
    size = struct.unpack_from("<H", (folder / "matrix.bin").read_bytes())[0]
    surfaces, rows = [], []
    for surface, words in sorted(_Dictionary(folder / "sys.dic").list_words(CHARACTERS)):
        surfaces.append(surface)
        rows.append(np.unique(words[["left", "right", "cost"]]))
    names, codes = _read_kinds(folder)
    infos = codes[[ord(character) for character in CHARACTERS]]
    unknown_words = _Dictionary(folder / "unk.dic")
    kinds = infos >> 18 & 0xFF
    unknown = {int(kind): np.unique(unknown_words.find(names[kind].encode())[["left", "right", "cost"]]) for kind in set(kinds)}
    every = np.concatenate([*rows, *unknown.values()])
    left, right = np.unique(np.append(every["left"], 0)), np.unique(np.append(every["right"], 0))

    def compact(words: np.ndarray) -> np.ndarray:
        ids = np.searchsorted(left, words["left"]), np.searchsorted(right, words["right"]), words["cost"]
        return np.stack([column.astype(np.int16) for column in ids], axis=1)

    return {
        "surfaces": np.frombuffer("\n".join(surfaces).encode(), np.uint8),
        "counts": np.array([len(words) for words in rows], np.uint8),
        "words": compact(np.concatenate(rows)),
        # Of a connection: MeCab's table is by the left side's right number, then by the right side's left number.
        "connections": matrix.reshape(size, size).T[np.ix_(right, left)],
        "kinds": kinds.astype(np.uint8),
        "masks": (infos & 0x3FFFF).astype(np.int32),
        "lengths": (infos >> 26 & 0xF).astype(np.uint8),
        "groups": (infos >> 30 & 1).astype(np.bool_),
        "invokes": (infos >> 31 & 1).astype(np.bool_),
        "unknown_kinds": np.concatenate([np.full(len(words), kind, np.uint8) for kind, words in sorted(unknown.items())]),
        "unknown": compact(np.concatenate([words for _, words in sorted(unknown.items())])),
    }


if __name__ == "__main__":
    import unidic_lite

    np.savez_compressed(WORDS, **make_words(Path(unidic_lite.DICDIR)))
