"""What cleaning changes, character by character, and why: the table behind the kernel and behind `docs/cleaning.md`.

A change is made by default only where nobody reads anything else afterwards. What a width or a style may mean stays as it is written, and
`width` and `compatibility` fold it for whoever wants that.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from filters import unicode as u
from filters.unicode import MARK_DAKUTEN, MARK_HANDAKUTEN, TABLE_SIZE, Mapping

Compatibility = Literal["keep", "expand"]
Width = Literal["letters", "keep", "fold"]

# Values of Mapping.kind
UNCHANGED, CHANGED, VOICING, DASH, BREAK = range(5)
COMPOSING = 5  # NFC may compose it with what comes before it
STACKING = 6  # a combining mark that composes with nothing, but that NFC may reorder after another mark
WIDTH = 7  # another width; stays in documents that speak of widths
SIGN = 8  # a full-width sign, which goes with full-width letters or digits on both sides
SPACE = 9

# Signs that are typed for ー; filters/text/prolonged.py decides which are.
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2500\u2501\uff0d"
# In a word or a number: Ｅ－ｍａｉｌ, Ｐ＆Ｇ, １／２. The others end sentences and clauses, too, and count in numbers alone.
WORD_SIGNS, NUMBER_SIGNS = "＆－＿＠＋＝／＇", "．，："
# A document that holds one of these speaks of the widths of characters; lower case. The kernel looks for three bytes of each first.
WIDTH_TERMS = (
    *("全角", "半角", "倍角", "バイト文字", "波ダッシュ", "zenkaku", "hankaku", "nfkc", "nfkd", "u+ff"),
    *(f"{word}{gap}width" for word in ("full", "half", "asian") for gap in ("", "-", " ", "_")),
)

_SPACES = {0x00A0, *range(0x2000, 0x200B), 0x202F, 0x205F}
_BREAKS = {0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029}
_CONTROLS = {*range(0x20), *range(0x7F, 0xA0)} - _BREAKS - {0x09, 0x0A}
# Joiners and variation selectors stay: emoji, Indic scripts and the glyphs of names need them.
_INVISIBLE = {0x00AD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF}
_WIDE_LETTERS = {*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)}
_HALF_WIDTH = set(range(0xFF61, 0xFFA0))
_VERTICAL = dict(zip("︑︒︻︼︽︾﹁﹂﹃﹄", "、。【】《》「」『』", strict=True))
# Radicals that look just as a character does, which fonts of Japanese PDFs name instead. Unicode's EquivalentUnifiedIdeograph.
_RADICALS = dict(zip("⺟⺠⻁⻄⻆⻑⻘⻝⻣⻤⻨⻩⻫⻭⻯⻲", "母民虎西角長青食骨鬼麦黄斉歯竜亀", strict=True))
_FOLDED_SIGNS = {*range(0xFF01, 0xFF5F), *range(0xFFE0, 0xFFE7), *range(0xFFE8, 0xFFEF)} - _WIDE_LETTERS
_FOLDED_DASHES = {0x2010: "-", 0x2011: "-", 0x2212: "-", 0xFE63: "-", 0x2014: "\u2015"}


def _nfkc(c: str) -> str:
    return unicodedata.normalize("NFKC", c)


def _nfc(c: str) -> str:
    return unicodedata.normalize("NFC", c)


def _is_canonical(cp: int) -> bool:
    return not unicodedata.is_normalized("NFC", chr(cp))


def _half_width(c: str) -> str:
    return {"ﾞ": "゛", "ﾟ": "゜"}.get(c) or _nfkc(c)


class Change(NamedTuple):
    """A change of single characters.

    `becomes` maps a character of `characters` to what it becomes. `shown` is how documents show it, `reason` why nobody reads anything
    else afterwards.
    """

    name: str
    shown: str
    characters: frozenset[int]
    becomes: Callable[[str], str]
    reason: str


def _change(
    name: str, shown: str, characters: set[int] | dict[str, str], becomes: str | Callable[[str], str], reason: str
) -> Change:
    if isinstance(characters, dict):
        characters = {ord(c) for c in characters}
    return Change(name, shown, frozenset(characters), becomes if callable(becomes) else lambda _: becomes, reason)


_OLD_RADICALS = {*range(0x2F00, 0x2FD6), 0x2E9F, 0x2EF3}
ALWAYS = (
    _change(
        "control",
        "U+0000–001F but tab and line feed, U+007F–009F: gone",
        _CONTROLS,
        "",
        "no text: left behind by terminals, databases and damage",
    ),
    _change(
        "invisible",
        "BOM, zero-width space, word joiner, soft hyphen, marks of direction: gone",
        _INVISIBLE,
        "",
        "nobody sees them, and words with and without them would be two words",
    ),
    _change(
        "line break",
        "VT, FF, CR, CR LF, NEL, U+2028, U+2029 → LF",
        _BREAKS,
        "\n",
        "one way to end a line; which one was used comes from the system",
    ),
    _change(
        "space",
        "no-break, en, em, thin, figure space … → U+0020",
        _SPACES,
        " ",
        "widths and breaks of typesetting; U+3000 is another matter and stays",
    ),
    _change(
        "ligature",
        "ﬁ ﬂ ﬀ ﬃ ﬄ ﬅ ﬆ → fi fl ff ffi ffl st st",
        set(range(0xFB00, 0xFB07)),
        _nfkc,
        "glyphs of a font, which PDFs give instead of letters",
    ),
    _change(
        "radical",
        "⼀ ⽇ ⻑ … → 一 日 長 …",
        {*_OLD_RADICALS, *map(ord, _RADICALS)},
        lambda c: _RADICALS.get(c) or _nfkc(c),
        "fonts of PDFs name the radical where the character, which looks the same, is meant",
    ),
    _change(
        "vertical form",
        "︑ ︒ ﹁ ﹂ ﹃ ﹄ ︻ ︼ ︽ ︾ → 、 。 「 」 『 』 【 】 《 》",
        _VERTICAL,
        lambda c: _VERTICAL[c],
        "the same marks turned for vertical lines, from PDFs; ︵ ︶ ︿, which faces use, stay",
    ),
    _change("hyphen that does not break", "U+2011 → ‐ U+2010", {0x2011}, "\u2010", "it only forbids a line break"),
)
LETTERS = (
    _change(
        "half-width kana",
        "ｶﾞ ｡ ｢ ｣ ､ ･ ｰ → ガ 。 「 」 、 ・ ー",
        _HALF_WIDTH,
        _half_width,
        "one word would have two spellings, one of them with marks of their own",
    ),
    _change(
        "full-width letter or digit",
        "Ａ … ｚ, ０ … ９ → A … z, 0 … 9",
        _WIDE_LETTERS,
        _nfkc,
        "the same letters as wide as kanji; else 2020 and ２０２０ are two numbers",
    ),
    _change(
        "wave dash",
        "～ U+FF5E → 〜 U+301C",
        {0xFF5E},
        "\u301c",
        "one character of JIS X 0208, which Windows decodes as the other",
    ),
)
SIGNS = _change(
    "full-width sign in a word or number",
    "Ｅ－ｍａｉｌ Ｐ＆Ｇ １．５ １，０００ １２：３０ → E-mail P&G 1.5 1,000 12:30",
    set(map(ord, WORD_SIGNS + NUMBER_SIGNS)),
    _nfkc,
    "a part of it: only between two full-width letters or digits; ． ， ： between digits, ， before three",
)
FOLD = (
    _change(
        "full-width sign",
        "！（＃［～￥ … → !(#[~¥ …, U+3000 → U+0020",
        _FOLDED_SIGNS | {0x3000},
        lambda c: {"～": "\u301c", "\u3000": " ", "￣": "¯"}.get(c) or _nfkc(c),
        '`width = "fold"` alone: as NFKC has it',
    ),
    _change(
        "dash",
        "‐ − ﹣ → -, — → ―",
        set(_FOLDED_DASHES),
        lambda c: _FOLDED_DASHES[ord(c)],
        '`width = "fold"` alone: one hyphen, one dash',
    ),
)
CANONICAL = _change(
    "canonical form (NFC)",
    "e + U+0301, か + U+3099, U+212B, U+FA19 → é, が, Å, 神",
    {cp for cp in range(0x300, TABLE_SIZE) if not 0xD800 <= cp < 0xE000 and _is_canonical(cp)},
    _nfc,
    "by Unicode the same character, which other programs change, too; a variation selector keeps the glyph of a name",
)


def changes(compatibility: Compatibility = "keep", width: Width = "letters") -> tuple[Change, ...]:
    """Return the changes of single characters that these settings make; of those of one character the first counts."""
    widths = {"letters": (*LETTERS, SIGNS), "keep": (), "fold": (*LETTERS, *FOLD)}[width]
    of_width = _HALF_WIDTH | _WIDE_LETTERS | _FOLDED_SIGNS | {0x3000}
    done = {cp for change in (*ALWAYS, *widths) for cp in change.characters} | of_width | {0x309B, 0x309C}
    if compatibility == "keep":
        return (*ALWAYS, *widths, CANONICAL)
    expanded = _change(
        "compatibility character",
        "① ㍻ ㈱ ² ½ ℝ → 1 平成 (株) 2 1⁄2 R",
        {cp for cp in range(0x80, TABLE_SIZE) if _expands(cp)} - done,
        _nfkc,
        '`compatibility = "expand"` alone: as NFKC has it',
    )
    return (*ALWAYS, *widths, expanded, CANONICAL)


def _expands(cp: int) -> bool:
    return not 0xD800 <= cp < 0xE000 and unicodedata.decomposition(chr(cp)).startswith("<")


@lru_cache(maxsize=6)
def cleaning_table(compatibility: Compatibility = "keep", width: Width = "letters") -> Mapping:
    """Return the table of what single characters become, with what the kernel has to do about each."""
    targets: dict[int, Change] = {}
    for change in changes(compatibility, width):
        for cp in change.characters:
            targets.setdefault(cp, change)

    def clean(c: str) -> str:
        change = targets.get(ord(c))
        if change is None:
            return c
        new = change.becomes(c)
        # What comes out may itself be changed: U+1FFD is canonically U+00B4, and that NFKC takes apart.
        return "".join(clean(x) if x != c else x for x in _nfc(new)) if change is not SIGNS else new

    table = u.make_mapping(clean, sorted(targets))
    kind = table.kind
    seconds = {0x1161 + i for i in range(0x11C2 - 0x1161 + 1)}
    for cp in range(TABLE_SIZE):
        parts = unicodedata.decomposition(chr(cp)).split()
        if len(parts) == 2 and parts[0][0] != "<":
            seconds.add(int(parts[1], 16))
    becoming = np.zeros(TABLE_SIZE, np.uint8)  # what a character is that others become
    becoming[[cp for cp in range(0x300, TABLE_SIZE) if unicodedata.combining(chr(cp))]] = STACKING
    becoming[[*seconds]] = COMPOSING
    # The character that is written; of an expansion the kernel looks at the first one. Those above the table are Han.
    new = table.first[0x300:]
    is_mark = (new >= 0) & (new < TABLE_SIZE)
    is_mark[is_mark] = becoming[new[is_mark]] > 0
    kind[0x300:][is_mark] = becoming[new[is_mark]]
    for cp in (MARK_DAKUTEN, MARK_HANDAKUTEN, 0x309B, 0x309C, 0xFF9E, 0xFF9F):
        kind[cp] = VOICING
    if width == "letters":
        for change in LETTERS:
            kind[[cp for cp in change.characters if kind[cp] == CHANGED]] = WIDTH
        kind[list(SIGNS.characters)] = SIGN
    for c in DASHES:
        if kind[ord(c)] == UNCHANGED or kind[ord(c)] == CHANGED:
            kind[ord(c)] = DASH
    kind[list(_BREAKS)] = BREAK
    kind[0x3000] = CHANGED if width == "fold" else SPACE
    return table


@lru_cache(maxsize=1)
def voiced_kana() -> np.ndarray:
    """int32[0x100, 2]: for U+3000 + row, the kana with dakuten and with handakuten, or 0 where there is none."""
    table = np.zeros((0x100, 2), np.int32)
    for low in range(0x100):
        for column, mark in enumerate((MARK_DAKUTEN, MARK_HANDAKUTEN)):
            composed = unicodedata.normalize("NFC", chr(0x3000 + low) + chr(mark))
            if len(composed) == 1:
                table[low, column] = ord(composed)
    return table


@lru_cache(maxsize=1)
def width_terms() -> tuple[np.ndarray, np.ndarray]:
    """`WIDTH_TERMS` as uint8 bytes and int64 offsets."""
    terms = [term.encode() for term in WIDTH_TERMS]
    return np.frombuffer(b"".join(terms), np.uint8), np.cumsum([0, *map(len, terms)])
