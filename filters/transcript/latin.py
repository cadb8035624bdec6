"""Latin letters as they are read: words as words (YouTube ユーチューブ), abbreviations letter by letter (NHK エヌエイチケー).

A word is looked up in `latin_words.txt`, then in the dictionary. Of what neither has, capitals alone are spelled out; the rest is read
as romaji where it is romaji (Takahashi), and else by rough rules of English spelling. The other way is kept as a second reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from filters.transcript.counters import Stretch, distinct

Lookup = Callable[[str], tuple[str, ...]]  # readings of a word in the dictionary, or nothing

_NAMES = (
    "エー ビー シー ディー|デー イー エフ ジー エイチ|エッチ アイ ジェー ケー エル エム エヌ オー ピー キュー アール エス ティー|テー ユー "
    "ブイ|ヴィー ダブリュー|ダブル エックス ワイ ゼット|ズィー"
)
LETTERS: dict[str, Stretch] = {
    letter: tuple(names.split("|")) for letter, names in zip("abcdefghijklmnopqrstuvwxyz", _NAMES.split(), strict=True)
}
_ROWS = {
    "": "アイウエオ", "k": "カキクケコ", "s": "サシスセソ", "t": "タチツテト", "n": "ナニヌネノ", "h": "ハヒフヘホ", "m": "マミムメモ",
    "r": "ラリルレロ", "l": "ラリルレロ", "g": "ガギグゲゴ", "z": "ザジズゼゾ", "d": "ダジズデド", "b": "バビブベボ",
    "p": "パピプペポ", "c": "カシクセコ",
}  # fmt: skip
_GLIDES = {
    "ky": "キ", "sy": "シ", "sh": "シ", "ty": "チ", "ch": "チ", "cy": "チ", "ny": "ニ", "hy": "ヒ", "my": "ミ", "ry": "リ",
    "gy": "ギ", "zy": "ジ", "j": "ジ", "jy": "ジ", "by": "ビ", "py": "ピ",
}  # fmt: skip
_KANA = {head + vowel: kana for head, row in _ROWS.items() for vowel, kana in zip("aiueo", row, strict=True)}
_KANA |= {head + vowel: kana + small for head, kana in _GLIDES.items() for vowel, small in zip("aueo", "ァュェォ", strict=True)}
_KANA |= {head + "a": kana + "ャ" for head, kana in _GLIDES.items()} | {
    head + "o": kana + "ョ" for head, kana in _GLIDES.items()
}
_KANA |= {head + "i": _GLIDES[head] for head in ("sh", "ch", "j")}
_KANA |= {
    "tsu": "ツ",
    "fa": "ファ",
    "fi": "フィ",
    "fu": "フ",
    "fe": "フェ",
    "fo": "フォ",
    "ya": "ヤ",
    "yu": "ユ",
    "yo": "ヨ",
    "wa": "ワ",
    "wo": "オ",
}
_ROMAJI = re.compile(r"[ksthmrgzdbp]?(?:" + "|".join(sorted(_KANA, key=len, reverse=True)) + r")|n(?![aiueoy])|m(?=[bpm])")
_ONLY_ROMAJI = re.compile(rf"(?:{_ROMAJI.pattern})+")
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}  # as UniDic has Latin letters
_MACRONS = str.maketrans("âêîôûāēīōū", "aeiouaeiou")
# From spelling to something like romaji, in this order; "-" is a long vowel.
_ENGLISH = [
    (re.compile(pattern), into)
    for pattern, into in (
        (r"[’']", ""), (r"tion\b", "shon"), (r"(?<=[aeiou][^aeiou])e\b", ""), (r"igh", "ai"), (r"ck", "kk"), (r"sh(?![aeiou])", "shu"),
        (r"tch|ch(?![aeiou])", "cchi"), (r"ph", "f"), (r"th", "s"), (r"qu", "kuu"), (r"x", "kkusu"), (r"ee|ea", "i-"), (r"oo", "u-"),
        (r"ou|ow", "au"), (r"ai|ay", "ei"), (r"oa", "o-"), (r"[aeiou]r(?![aeiou])", "a-"), (r"ng\b", "ngu"), (r"wh", "h"),
        (r"c(?=[eiy])", "s"), (r"c", "k"), (r"v", "b"), (r"l", "r"), (r"(?<=[^aeiou])y\b", "i-"), (r"([kstpgdb])\1", r"\1"),
        (r"j(?![aiueo])", "ji"), (r"([td])(?![aiueohsy])", r"\1o"), (r"([ksmrgzbphf])(?![aiueohy])", r"\1u"), (r"w(?![a])", "u"),
        (r"y(?![auo])", "i"),
    )
]  # fmt: skip
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z'’]+")  # of CamelCase


@cache
def words() -> dict[str, Stretch]:
    """Readings of `latin_words.txt` by their spelling in small letters, without hyphens."""
    lines = Path(__file__).with_name("latin_words.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split(" ") for line in lines if not line.startswith("#"))
    return {word: tuple(found.split("|")) for word, found in rows}


def spell(letters: str) -> tuple[Stretch, ...]:
    """Read letter by letter; other characters are not read."""
    return tuple(LETTERS[letter] for letter in letters.lower() if letter in LETTERS or letter.lower() in LETTERS)


def romaji(text: str) -> str | None:
    """Katakana of romaji, or None where `text` is something else."""
    text = text.lower().translate(_MACRONS)
    if not _ONLY_ROMAJI.fullmatch(text):
        return None
    kana = []
    for syllable in _ROMAJI.findall(text):
        if syllable in ("n", "m"):
            kana.append("ン")
        elif syllable in _KANA:
            kana.append(_KANA[syllable])
        else:
            kana.append("ッ" + _KANA[syllable[1:]])
    return "".join(kana)


def english(word: str) -> str:
    """Roughly what a word is in katakana, by its English spelling: Seimai's own few rules, no dictionary."""
    text = word.lower()
    for pattern, into in _ENGLISH:
        text = pattern.sub(into, text)
    return "".join("ー" if part == "-" else romaji(part) or "" for part in re.split(r"(-)|(?<=[^-])(?=-)", text) if part)


def _one_word(word: str, lookup: Lookup) -> tuple[Stretch, ...]:
    key = re.sub("[-'’.]", "", word).lower()
    spelled = "".join(names[0] for names in spell(word))
    known = [*words().get(key, ()), *lookup(word.translate(_FULL_WIDTH))]
    if len(key) == 1 or (word.isupper() and not known and (len(word) < 5 or not romaji(word))):
        return spell(word)
    if known:
        return (distinct([*known, spelled] if len(key) <= 5 else known),)
    if len(parts := _PARTS.findall(word)) > 1:
        return tuple(stretch for part in parts for stretch in _one_word(part, lookup))
    if not re.search("[aeiouy]", key):
        return spell(word)
    read = [found for found in (romaji(word), english(word)) if found]
    return (distinct([*read, spelled] if len(key) <= 5 else read),)


def read_latin(token: str, lookup: Lookup) -> tuple[Stretch, ...]:
    """Readings of a run of Latin letters with `-`, `'`, `.` or `&` inside: stretches, of which each has the usual reading first."""
    key = re.sub("[-'’.&]", "", token).lower()
    if key in words():
        return (words()[key],)
    stretches: list[Stretch] = []
    for piece in re.split(r"([-.&])", token):
        if piece == "&":
            stretches.append(("アンド", ""))
        elif piece == ".":
            stretches.append(("", "ドット"))
        elif piece and piece != "-":
            stretches.extend(_one_word(piece, lookup))
    return tuple(stretches)
