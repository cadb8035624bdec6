"""The dictionaries that know how words are read: UniDic by MeCab, or SudachiDict by Sudachi."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol
from unicodedata import normalize

Dictionary = Literal["unidic", "sudachi"]

MOST = 4  # readings of a word beside the first; the dictionaries' rarer ones are names and old words
_KATAKANA = re.compile(r"[\u30a1-\u30ff]+")


class Words(Protocol):
    """A dictionary: words of a text, and readings of single words."""

    def parse(self, text: str) -> str:
        """Words of one text, "<tab>surface<space>pronunciation" a line, nothing after the space of an unknown word."""

    def readings(self, surface: str) -> tuple[str, ...]:
        """Readings that the dictionary has for a word, the usual ones first. Latin letters are in full width."""


class _UniDic:
    def __init__(self) -> None:
        import fugashi
        import unidic_lite

        rc = Path(__file__).with_name("mecabrc")
        self._tagger: Any = fugashi.GenericTagger(f'-d "{unidic_lite.DICDIR}" -r "{rc}"')
        self.parse = self._tagger.parse
        self.readings = lru_cache(100_000)(self._readings)

    def _readings(self, surface: str) -> tuple[str, ...]:
        # The best ways to read a word: those that take it whole are entries of the dictionary.
        ways = f"{self._tagger.nbest(surface, 12)}\n".replace(f"\n\t{surface} ", f"\n\n\t{surface} ")
        entries = [line.removeprefix(f"\t{surface} ") for line in ways.split("\n") if line.startswith(f"\t{surface} ")]
        return tuple(dict.fromkeys(entry for entry in entries if _KATAKANA.fullmatch(entry)))[:MOST]


class _Sudachi:
    """SudachiDict's readings are spellings; particles become what is said."""

    _PARTICLES = {"ハ": "ワ", "ヘ": "エ", "ヲ": "オ"}

    def __init__(self) -> None:
        try:
            from sudachipy import Dictionary as Sudachi
            from sudachipy import SplitMode
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"readings by Sudachi need {error.name}: pip install 'seimai[sudachi]'") from None
        self._dictionary: Any = Sudachi(dict="core")
        # `create` is deprecated.
        self._tokenizer = self._dictionary.tokenizer() if hasattr(self._dictionary, "tokenizer") else self._dictionary.create()
        self._mode = SplitMode.C
        self.readings = lru_cache(100_000)(self._readings)

    def parse(self, text: str) -> str:
        words = []
        for at in range(0, len(text), 10_000):  # Sudachi takes 49,149 bytes at a time
            for word in self._tokenizer.tokenize(text[at : at + 10_000], self._mode):
                kind, reading = word.part_of_speech()[0], word.reading_form()
                if kind in ("補助記号", "空白", "記号") or (word.is_oov() and not _KATAKANA.fullmatch(reading)):
                    reading = ""
                elif kind == "助詞":
                    reading = self._PARTICLES.get(reading, reading)
                words.append(f"\t{word.surface().replace(' ', '')} {reading}\n")
        return "".join(words)[:-1]

    def _readings(self, surface: str) -> tuple[str, ...]:
        if not hasattr(self._dictionary, "lookup"):
            return ()
        entries = [word.reading_form() for word in self._dictionary.lookup(normalize("NFKC", surface))]
        return tuple(dict.fromkeys(entry for entry in entries if _KATAKANA.fullmatch(entry)))[:MOST]


@lru_cache(maxsize=2)
def words_of(dictionary: Dictionary) -> Words:
    """The dictionary of that name, loaded once."""
    return _UniDic() if dictionary == "unidic" else _Sudachi()
