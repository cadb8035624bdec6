"""How a text is read aloud: katakana, as pronounced, by MeCab with UniDic or by Sudachi.

A reading is for comparing what was said. 「分かる」 and 「わかる」 are both ワカル, 「3台」 and 「三台」 both サンダイ. Long
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
# Where the dictionary's first choice is not what is said, or what people write in kana: (surface, its choice, ours).
_CORRECTIONS = (
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
_NOT_READ = r"[^\p{Katakana}ー\p{Han}]"  # unread Han stay: they are at least the same in both texts


def katakana(text: str) -> str:
    """Hiragana to katakana; everything else stays."""
    return text.translate(_KATAKANA)


@lru_cache(maxsize=1)
def _mecab() -> Callable[[str], str]:
    """A parser of one text into "<tab>surface<space>pronunciation<newline>" per word. See the file mecabrc."""
    import fugashi
    import unidic_lite

    rc = Path(__file__).with_name("mecabrc")
    return fugashi.GenericTagger(f'-d "{unidic_lite.DICDIR}" -r "{rc}"').parse


@lru_cache(maxsize=1)
def _sudachi() -> Callable[[str], str]:
    """The same by Sudachi. Its readings are spellings; particles become what is said."""
    try:
        from sudachipy import Dictionary as Sudachi
        from sudachipy import SplitMode
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"readings by Sudachi need {error.name}: pip install 'seimai[sudachi]'") from None
    dictionary = Sudachi(dict="core")
    # `create` is deprecated.
    tokenizer = dictionary.tokenizer() if hasattr(dictionary, "tokenizer") else dictionary.create()
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


def _read_unknown_word(surface: str, parse: Callable[[str], str]) -> str:
    """Read a word that the dictionary does not have letter by letter."""
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
    """Katakana readings of a column of (normalised) texts. Null stays null; a text with nothing to read has "".

    `dictionary`: "unidic" (fugashi and unidic-lite) or "sudachi" (SudachiPy and sudachidict-core, which must be installed).
    """
    parse = _parser(dictionary)
    # MeCab takes a NUL for the end of the text and a line for a sentence.
    plain = read_out_all(texts.str.replace_all(r"[\p{C}\s]+", " "))
    parsed = pl.Series("reading", [None if text is None else f"{parse(text)}\n" for text in plain], dtype=pl.String)
    choices = [f"\t{surface} {choice}\n" for surface, choice, _ in _CORRECTIONS]
    parsed = parsed.str.replace_many(choices, [f"\t{surface} {ours}\n" for surface, _, ours in _CORRECTIONS])
    has_unknown_word = parsed.str.contains(r"\t[^ ]*[\p{L}\p{N}][^ ]* \n").fill_null(False)
    if has_unknown_word.any():

        def fill(words: str) -> str:
            return re.sub(r"\t([^ \t\n]+) \n", lambda match: f"\t {_read_unknown_word(match[1], parse)}\n", words)

        parsed = parsed.scatter(
            has_unknown_word.arg_true(), pl.Series([fill(words) for words in parsed.filter(has_unknown_word)], dtype=pl.String)
        )
    return parsed.str.replace_all(r"\t[^ ]* ", "").str.replace_all(_NOT_READ, "").alias("reading")


def morae(readings: pl.Series) -> pl.Series:
    """Count the morae of katakana readings: their characters, without small vowels and glides (ャ ュ ョ ァ …)."""
    return (readings.str.len_chars() - readings.str.count_matches("[ァィゥェォャュョヮ]")).cast(pl.Int32).alias("morae")
