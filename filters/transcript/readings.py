"""How a text is read aloud: katakana, as pronounced, by MeCab with UniDic or by Sudachi.

A reading is for comparing what was said: 「分かる」 and 「わかる」 are both ワカル, 「3台」 and 「三台」 both サンダイ. Long
vowels are ー as UniDic's pronunciation has them, particles are ワ エ オ, punctuation is left out. Words that no dictionary has
are read letter by letter, Han characters each on its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal

import polars as pl

from filters.transcript.numerals import read_out_all

Dictionary = Literal["unidic", "sudachi"]
# Where the dictionary's first choice is not what is said, or what those who write kana write: (surface, its choice, ours).
_INSTEAD = (
    ("私", "ワタクシ", "ワタシ"), ("明日", "アス", "アシタ"), ("良い", "ヨイ", "イー"), ("よい", "ヨイ", "イー"),
    ("日本", "ニッポン", "ニホン"), ("行く", "ユク", "イク"), ("ゆく", "ユク", "イク"), ("行き", "ユキ", "イキ"),
    ("ゆき", "ユキ", "イキ"), ("ゆっ", "ユッ", "イッ"), ("言う", "ユー", "イウ"), ("いう", "ユー", "イウ"), ("ゆう", "ユー", "イウ"),
)  # fmt: skip
_NAMES = (
    "エー ビー シー ディー イー エフ ジー エイチ アイ ジェー ケー エル エム "
    "エヌ オー ピー キュー アール エス ティー ユー ブイ ダブリュー エックス ワイ ゼット"
)
_LETTERS = dict(zip("abcdefghijklmnopqrstuvwxyz", _NAMES.split(), strict=True))
_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}  # from hiragana
_NOT_READ = r"[^\p{Katakana}ー\p{Han}]"  # Han: what no dictionary reads is at least the same on both sides


def katakana(text: str) -> str:
    """Hiragana to katakana; everything else stays."""
    return text.translate(_KATAKANA)


@lru_cache(maxsize=1)
def _mecab() -> Callable[[str], str]:
    """A parser of one text into "<tab>surface<space>pronunciation<newline>" per word. See filters/mecabrc."""
    import fugashi
    import unidic_lite

    rc = Path(__file__).with_name("mecabrc")
    return fugashi.GenericTagger(f'-d "{unidic_lite.DICDIR}" -r "{rc}"').parse


@lru_cache(maxsize=1)
def _sudachi() -> Callable[[str], str]:
    """The same by Sudachi, whose readings are spellings: particles are put as they are said."""
    try:
        from sudachipy import Dictionary as Sudachi
        from sudachipy import SplitMode
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"readings by Sudachi need {error.name}: pip install 'seimai[sudachi]'") from None
    made = Sudachi(dict="core")
    tokenizer = made.tokenizer() if hasattr(made, "tokenizer") else made.create()  # the latter is deprecated
    particles = {"ハ": "ワ", "ヘ": "エ", "ヲ": "オ"}

    def parse(text: str) -> str:
        words = []
        for at in range(0, len(text), 10_000):  # Sudachi takes 49,149 bytes at a time
            for word in tokenizer.tokenize(text[at : at + 10_000], SplitMode.C):
                kind, reading = word.part_of_speech()[0], word.reading_form()
                if kind in ("補助記号", "空白", "記号") or (word.is_oov() and not re.fullmatch(r"[\u30a0-\u30ff]+", reading)):
                    reading = ""
                elif kind == "助詞":
                    reading = particles.get(reading, reading)
                words.append(f"\t{word.surface().replace(' ', '')} {reading}\n")
        return "".join(words)[:-1]

    return parse


def _parser(dictionary: Dictionary) -> Callable[[str], str]:
    return _mecab() if dictionary == "unidic" else _sudachi()


def _unknown(surface: str, parse: Callable[[str], str]) -> str:
    """The reading of a word that the dictionary does not have."""
    out = []
    for character in katakana(surface):
        if character.lower() in _LETTERS:
            out.append(_LETTERS[character.lower()])
        elif "\u4e00" <= character <= "\u9fff":
            out.append(parse(character).rpartition(" ")[2].strip() or character)
        else:
            out.append(character)
    return "".join(out)


def readings(texts: pl.Series, dictionary: Dictionary = "unidic") -> pl.Series:
    """Katakana readings of a column of (normalised) texts; null stays null, "" is what has nothing to be read.

    `dictionary`: "unidic" (fugashi and unidic-lite) or "sudachi" (SudachiPy and sudachidict-core, which must be installed).
    `dictionary`: "unidic" (fugashi and unidic-lite) or "sudachi" (SudachiPy and sudachidict-core, which must be installed).
    """
    parse = _parser(dictionary)
    # MeCab takes a NUL for the end and a line for a sentence.
    plain = read_out_all(texts.str.replace_all(r"[\p{C}\s]+", " "))
    parsed = pl.Series("reading", [None if text is None else f"{parse(text)}\n" for text in plain], dtype=pl.String)
    asked, said = ([f"\t{surface} {reading}\n" for surface, reading in pairs] for pairs in _replacements())
    parsed = parsed.str.replace_many(asked, said)
    unread = parsed.str.contains(r"\t[^ ]*[\p{L}\p{N}][^ ]* \n").fill_null(False)
    if unread.any():

        def fill(words: str) -> str:
            return re.sub(r"\t([^ \t\n]+) \n", lambda found: f"\t {_unknown(found[1], parse)}\n", words)

        parsed = parsed.scatter(unread.arg_true(), pl.Series([fill(words) for words in parsed.filter(unread)], dtype=pl.String))
    return parsed.str.replace_all(r"\t[^ ]* ", "").str.replace_all(_NOT_READ, "").alias("reading")


def _replacements() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return [(s, choice) for s, choice, _ in _INSTEAD], [(s, ours) for s, _, ours in _INSTEAD]


def morae(readings: pl.Series) -> pl.Series:
    """Morae of katakana readings: characters, but small vowels and glides (ャ ュ ョ ァ …) belong to what is before them."""
    return (readings.str.len_chars() - readings.str.count_matches("[ァィゥェォャュョヮ]")).cast(pl.Int32).alias("morae")
