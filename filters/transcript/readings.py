"""How a text is read aloud: katakana, as pronounced, by MeCab with UniDic or by Sudachi.

A reading is for comparing what was said. 「分かる」 and 「わかる」 are both ワカル, 「3台」 and 「三台」 both サンダイ. Long
vowels are ー as UniDic's pronunciation has them, particles are ワ エ オ, punctuation is left out. Numbers and Latin letters are read by
`quantities.py`; of other words that no dictionary has, Han characters are read each on its own.

`readings` gives the usual reading of a text, `choices` all that it may have: 七 シチ or ナナ, 明日 アス or アシタ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from filters.transcript.counters import Stretch, distinct
from filters.transcript.dictionary import Dictionary, Words, words_of
from filters.transcript.quantities import find_quantities
from filters.transcript.quantity_pattern import quantity_pattern

# Where the dictionary's first choice is not what is said, or what people write in kana: (surface, its choice, ours).
_CORRECTIONS = (
    ("私", "ワタクシ", "ワタシ"), ("明日", "アス", "アシタ"), ("良い", "ヨイ", "イー"), ("よい", "ヨイ", "イー"),
    ("日本", "ニッポン", "ニホン"), ("行く", "ユク", "イク"), ("ゆく", "ユク", "イク"), ("行き", "ユキ", "イキ"),
    ("ゆき", "ユキ", "イキ"), ("ゆっ", "ユッ", "イッ"), ("言う", "ユー", "イウ"), ("いう", "ユー", "イウ"), ("ゆう", "ユー", "イウ"),
)  # fmt: skip
# Single characters that are read in several ways where they stand alone.
_SEVERAL: dict[str, Stretch] = {
    "私": ("ワタシ", "ワタクシ", "アタシ"), "七": ("シチ", "ナナ"), "四": ("ヨン", "シ", "ヨ"), "九": ("キュー", "ク"),
    "十": ("ジュー", "ジュッ", "トー"), "家": ("イエ", "ウチ"), "何": ("ナニ", "ナン"), "後": ("アト", "ノチ", "ゴ"),
    "中": ("ナカ", "チュー", "ジュー"), "上": ("ウエ", "ジョー", "カミ"), "下": ("シタ", "モト", "カ"), "間": ("アイダ", "マ", "カン"),
    "方": ("ホー", "カタ"), "他": ("ホカ", "タ"), "夜": ("ヨル", "ヨ"), "金": ("カネ", "キン"), "人": ("ヒト", "ニン", "ジン"),
    "空": ("ソラ", "カラ"), "頃": ("コロ", "ゴロ"), "時": ("トキ", "ジ"), "日": ("ヒ", "ニチ"), "様": ("ヨー", "サマ"),
    "所": ("トコロ", "ショ"), "物": ("モノ", "ブツ"), "者": ("モノ", "シャ"), "生": ("ナマ", "セー"), "角": ("カド", "カク", "ツノ"),
    "音": ("オト", "ネ"), "店": ("ミセ", "テン"), "代": ("ダイ", "ヨ"),
}  # fmt: skip
# What may be left out of a transcript: only the usual readings have it for certain.
_FILLER = re.compile("え[ーえ]+と?|え[ーえ]*っと|あのー+|うー+ん|んー+|まー|まあ")
_LONG_END = re.compile("[ァ-ヺ][ァ-ヺー]+ー")  # コンピューター, which is コンピュータ to some
_DRAWN_OUT = re.compile("[ぁ-ゖ]+[ぁ-ゖー]*ー[ぁ-ゖー]*")  # すごーい
_CORRECTED = {(surface, choice): ours for surface, choice, ours in _CORRECTIONS}
_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}  # from hiragana
_NOT_READ = r"[^\p{Katakana}ー\p{Han}]"  # unread Han stay: they are at least the same in both texts
_NOT_KANA_OR_HAN = re.compile(
    "[^\u3005-\u3007\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
)
_HAN = re.compile("[\u3005\u3400-\u4dbf\u4e00-\u9fff]")
# Stands for what quantities.py reads: a counter that both dictionaries have and nobody writes, so that 前 after it is マエ.
_STAND_IN = "瓲"
_STAND_IN_WORD = re.compile(rf"\t([^ \t\n]*{_STAND_IN}[^ \t\n]*) [^\n]*\n")


def katakana(text: str) -> str:
    """Hiragana to katakana; everything else stays."""
    return text.translate(_KATAKANA)


class _Parsed(NamedTuple):
    """Words of texts, "<tab>surface<space>pronunciation<newline>" each, and what their stand-ins are read as, by row."""

    words: pl.Series
    quantities: dict[int, list[tuple[Stretch, ...]]]


def _parse(texts: pl.Series, dictionary: Words) -> _Parsed:
    # MeCab takes a NUL for the end of the text and a line for a sentence. All texts end with 。, so that none is read otherwise
    # for it.
    # 3½ is three and a half, which NFKC makes 31⁄2.
    plain = texts.str.replace_all(r"([0-9０-９])([¼-¾⅐-⅞])", "${1}と${2}")
    plain = plain.str.replace_all(r"([0-9０-９])([²³¹⁰⁴-⁹]+)", "${1}の${2}乗").str.replace_all(r"㈱|[(（]株[)）]", "株式会社")
    plain = plain.str.normalize("NFKC").str.replace_all(_STAND_IN, "トン", literal=True)
    plain = plain.str.replace_all(r"[\p{C}\s]+", " ").str.replace_all("ーー+", "ー").str.strip_chars_end(" 。") + "。"
    quantities: dict[int, list[tuple[Stretch, ...]]] = {}
    lines = plain.to_list()
    for row in plain.str.contains(quantity_pattern()).fill_null(False).arg_true().to_list():
        text, pieces, at, stretches = lines[row], [], 0, []
        for found in find_quantities(text, dictionary.readings):
            # A space before it: MeCab would make one word of it and of an unknown character.
            pieces += [text[at : found.start], " ", _STAND_IN]
            stretches.append(found.stretches)
            at = found.end
        if stretches:
            lines[row] = "".join([*pieces, text[at:]])
            quantities[row] = stretches
    parse = dictionary.parse
    words = pl.Series("reading", [None if text is None else f"{parse(text)}\n" for text in lines], dtype=pl.String)
    return _Parsed(words, quantities)


def _read_unknown_word(surface: str, dictionary: Words) -> str:
    """Read a word that the dictionary does not have: kana as they are, Han each on its own."""
    return "".join(
        (dictionary.readings(character) or (character,))[0] if _HAN.match(character) else character
        for character in katakana(surface)
    )


def _fill(words: str, quantities: list[tuple[Stretch, ...]], dictionary: Words) -> str:
    """The words of a text with a reading for each: quantities in place of their stand-ins, unknown words read."""
    following = iter(quantities)

    def read_stand_ins(match: re.Match[str]) -> str:
        read = [_usual(next(following)) if c == _STAND_IN else _read_unknown_word(c, dictionary) for c in match[1]]
        return f"\t {''.join(read)}\n"

    if quantities:
        words = _STAND_IN_WORD.sub(read_stand_ins, words)
    return re.sub(r"\t([^ \t\n]+) \n", lambda match: f"\t {_read_unknown_word(match[1], dictionary)}\n", words)


def _usual(stretches: tuple[Stretch, ...]) -> str:
    return "".join(stretch[0] for stretch in stretches)


def readings(texts: pl.Series, dictionary: Dictionary = "unidic") -> pl.Series:
    """Katakana readings of a column of texts, the usual one of each. Null stays null; a text with nothing to read has "".

    `dictionary`: "unidic" (fugashi and unidic-lite) or "sudachi" (SudachiPy and sudachidict-core, which must be installed).
    """
    known = words_of(dictionary)
    words, quantities = _parse(texts, known)
    pairs = [f"\t{surface} {choice}\n" for surface, choice, _ in _CORRECTIONS]
    words = words.str.replace_many(pairs, [f"\t{surface} {ours}\n" for surface, _, ours in _CORRECTIONS])
    unread = words.str.contains(rf"\t[^ ]*[\p{{L}}\p{{N}}][^ ]* \n|{_STAND_IN}").fill_null(False).arg_true()
    if len(unread):
        filled = [
            _fill(line, quantities.get(row, []), known)
            for row, line in zip(unread.to_list(), words.gather(unread), strict=True)
        ]
        words = words.scatter(unread, pl.Series(filled, dtype=pl.String))
    return words.str.replace_all(r"\t[^ ]* ", "").str.replace_all(_NOT_READ, "").alias("reading")


def choices(texts: pl.Series, dictionary: Dictionary = "unidic") -> list[list[Stretch]]:
    """All readings that each text may have: stretches, of which each has one or several. The first of each make `readings`."""
    known = words_of(dictionary)
    words, quantities = _parse(texts.fill_null(""), known)
    stretches = ([*_choose(line, quantities.get(row, []), known)] for row, line in enumerate(words))
    return [[stretch for stretch in text if any(stretch)] for text in stretches]


def _choose(words: str, quantities: list[tuple[Stretch, ...]], dictionary: Words) -> Iterator[Stretch]:
    following = iter(quantities)
    for line in words.split("\n"):
        surface, _, read = line[1:].partition(" ")
        if _STAND_IN in surface:
            for character in surface:
                yield from next(following) if character == _STAND_IN else (_readings_of(character, "", dictionary),)
        elif read:
            yield _readings_of(surface, read, dictionary)
        else:
            for character in surface:
                yield _readings_of(character, "", dictionary)


def _readings_of(surface: str, read: str, dictionary: Words) -> Stretch:
    """Readings of a word, beginning with the dictionary's choice `read`, or of a single character that it does not have."""
    if _FILLER.fullmatch(surface):
        return (read or katakana(surface), "")
    if _LONG_END.fullmatch(surface) and dictionary.readings(surface):  # a word that nobody knows is spelled as it sounds
        return distinct([read or surface, (read or surface).removesuffix("ー")])
    if _DRAWN_OUT.fullmatch(surface):
        return distinct([read or katakana(surface), katakana(surface).replace("ー", "")])
    others = dictionary.readings(surface) if _HAN.search(surface) else (katakana(surface),)
    first = _CORRECTED.get((surface, read), read) or others[0] if others else read or surface
    return distinct(
        [_NOT_KANA_OR_HAN.sub("", way) for way in (first, *([read] if read else []), *others, *_SEVERAL.get(surface, ()))]
    )


def morae(readings: pl.Series) -> pl.Series:
    """Count the morae of katakana readings: their characters, without small vowels and glides (ャ ュ ョ ァ …)."""
    return (readings.str.len_chars() - readings.str.count_matches("[ァィゥェォャュョヮ]")).cast(pl.Int32).alias("morae")
