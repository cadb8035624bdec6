"""The dictionaries that know how words are read: UniDic by MeCab, or SudachiDict by Sudachi."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol
from unicodedata import normalize

from filters.unidic import open_unidic

Dictionary = Literal["unidic", "sudachi"]

MOST = 4  # readings of a word
# In MeCab's costs: how much rarer than the usual reading another may be. Words have other readings up to サクジツ for 昨日 (4,800); single
# characters, of which everything is made that a recogniser did not understand, few (カラダ and タイ for 体 720).
DEARER, DEARER_CHARACTER = 5_000, 1_500
DEARER_NAME = 2_500  # a person's name beside a place's
_KATAKANA = re.compile(r"[\u30a1-\u30ff]+")


class Words(Protocol):
    """A dictionary: words of a text, and readings of single words."""

    def parse(self, text: str) -> str:
        """Words of one text, "<tab>surface<space>pronunciation" a line, nothing after the space of an unknown word."""

    def readings(self, surface: str) -> tuple[str, ...]:
        """Readings that the dictionary has for a word, the usual ones first. Latin letters are in full width."""


class _UniDic:
    def __init__(self) -> None:
        def tagger(rc: str) -> Any:
            return open_unidic(f'-r "{Path(__file__).with_name(rc)}"')

        self.parse = tagger("mecabrc").parse
        self._entries = tagger("mecabrc-entries")
        self.readings = lru_cache(100_000)(self._readings)

    def _readings(self, surface: str) -> tuple[str, ...]:
        # The best ways to cut a word: those that leave it whole are entries of the dictionary.
        costs: dict[str, int] = {}
        for line in self._entries.nbest(surface, 12).split("\n"):
            entry = line.split("\t")
            if entry[0] != surface or len(entry) < 4 or not _KATAKANA.fullmatch(entry[1]) or (costs and entry[2] == "人名"):
                continue
            costs.setdefault(entry[1], int(entry[3]))
        least = min(costs.values(), default=0)
        return tuple(
            reading for reading, cost in costs.items() if cost <= least + (DEARER if len(surface) > 1 else DEARER_CHARACTER)
        )[:MOST]

    def is_personal_name(self, words: str) -> bool:
        # Where names of speakers stand: elsewhere 林 is a wood.
        kinds = [line.split("\t")[2:3] for line in self._entries.parse(f"≫{words}：").split("\n")[1:-1]]
        if kinds == [["地名"]]:  # 三田 is a person hardly less often than a place, 神戸 far less
            entries = [line.split("\t") for line in self._entries.nbest(words, 12).split("\n")]
            costs = {entry[2]: int(entry[3]) for entry in reversed(entries) if entry[0] == words}
            return costs.get("人名", 99_999) <= costs["地名"] + DEARER_NAME
        return bool(kinds) and all(kind == ["人名"] for kind in kinds)


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
        # It tells no costs: of a single character the first reading is taken.
        entries = self._dictionary.lookup(normalize("NFKC", surface))
        found = [word.reading_form() for word in entries if word.part_of_speech()[2] != "人名"]
        return tuple(dict.fromkeys(reading for reading in found if _KATAKANA.fullmatch(reading)))[
            : MOST if len(surface) > 1 else 1
        ]


@lru_cache(maxsize=2)
def words_of(dictionary: Dictionary) -> Words:
    """The dictionary of that name, loaded once."""
    return _UniDic() if dictionary == "unidic" else _Sudachi()


def is_personal_name(words: str) -> bool:
    """True where UniDic has `words` as names of people, or as a place's name that people have as well."""
    unidic = words_of("unidic")
    assert isinstance(unidic, _UniDic)
    return unidic.is_personal_name(words)
