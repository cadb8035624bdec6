"""Words of documents, as Sudachi (short units) and MeCab with UniDic cut them. Both take one text at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from filters.unidic import open_unidic

SUDACHI_MODULES = ("sudachipy", "sudachidict_core")
SUDACHI_BYTES = 40_000  # Sudachi takes 49,149 at a time; datatrove gives it 40,000
MECAB_CHARS = 100_000  # as HojiChar cuts what it gives to MeCab


@lru_cache(maxsize=1)
def _sudachi() -> Any:
    if name := next((name for name in SUDACHI_MODULES if find_spec(name) is None), None):
        raise ModuleNotFoundError(f"words by Sudachi need {name}: pip install 'seimai[sudachi]'")
    from sudachipy import Dictionary, SplitMode

    dictionary: Any = Dictionary(dict="core")
    # `create` is deprecated.
    return dictionary.tokenizer(SplitMode.A) if hasattr(dictionary, "tokenizer") else dictionary.create(SplitMode.A)


def sudachi_words(text: str) -> list[str]:
    """Return the words of a text, without spaces. Raises ModuleNotFoundError where SudachiPy is not installed."""
    tokenize = _sudachi().tokenize
    surfaces = (word.surface().strip() for chunk in _cut_bytes(text, SUDACHI_BYTES) for word in tokenize(chunk))
    return [surface for surface in surfaces if surface]


def _cut_bytes(text: str, size: int) -> Iterator[str]:
    """Yield pieces of a text of at most `size` bytes."""
    if 4 * len(text) <= size:
        yield text
        return
    data = text.encode()
    start = 0
    while start < len(data):
        end = min(start + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[start:end].decode()
        start = end


@lru_cache(maxsize=1)
def _mecab() -> Any:
    return open_unidic("-r /dev/null")


def mecab_words(text: str) -> Iterator[list[tuple[str, str]]]:
    """Yield, for every MECAB_CHARS characters of a text, its words with their parts of speech."""
    tagger = _mecab()
    for start in range(0, len(text), MECAB_CHARS):
        yield [(node.surface, node.feature[0]) for node in tagger(text[start : start + MECAB_CHARS])]


def as_codes(words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the code points of words, one after the other, and where each begins: int32[characters], int64[words + 1]."""
    codes = np.frombuffer("".join(words).encode("utf-32-le"), np.int32)
    starts = np.zeros(len(words) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, words), np.int64, len(words)), out=starts[1:])
    return codes, starts
