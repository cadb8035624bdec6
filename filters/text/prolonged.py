"""The prolonged sound mark, ー, where a dash was typed for it: サ―バ―, デ–タ, コンピュ−タ.

A dash between katakana may as well part two words: ベルリン―ロオマ, ミラー–ラビン, セブン-イレブン. It is ー only where something says so:
UniDic has the word with ー and not the words on both sides of the dash, or the same document writes the word with ー, or a small kana
follows, with which no word begins. On the development text: docs/benchmarks/cleaning.md.
"""

from __future__ import annotations

import re

from filters.text.changes import DASHES
from filters.text.katakana import cut_katakana

_KATAKANA = "ァ-ヺーㇰ-ㇿ"
_DASH = f"[{re.escape(DASHES)}]"
# Two dashes in a row are never ー.
_RUN = re.compile(rf"(?<![{_KATAKANA}{re.escape(DASHES)}])[{_KATAKANA}]+(?:{_DASH}[{_KATAKANA}]+)*{_DASH}?(?!{_DASH})")
_WORD = re.compile(rf"[{_KATAKANA}]*ー[{_KATAKANA}]*")
_TO_PROLONGED = str.maketrans(dict.fromkeys(DASHES, "ー"))
_SMALL = "ァィゥェォッャュョヮンー"
_ENDS = re.compile(r"$|[ぁ-ゖ、。，．,.！？!?」』）)\]・…]")
_LONGEST = 40  # characters of a run; longer ones are tables
_SHORTEST = 3  # characters of a word: ア－オ is a range


def _is_word(text: str) -> bool:
    return cut_katakana(text) == (text,)


def _is_ambiguous(left: str, right: str, following: str) -> bool:
    """Return whether the dash between `left` and `right`, pieces of one word when it is ー, may part two words as well.

    `following` is the character after the word, which decides about a dash at its end: カレ―の is カレー, パリ―東京 is not パリー.
    """
    if right:
        return len(left) > 1 and len(right) > 1 and _is_word(left) and _is_word(right)
    return _is_word(left) or len(left) < 2 or following in _SMALL


def _find_prolonged(piece: str, dashes: list[int], following: str, spelled_here: set[str]) -> set[int]:
    """Return the offsets of the dashes in `piece` that are ー by the dictionary, or because the document writes it so."""
    spelled = piece.translate(_TO_PROLONGED)
    words = (spelled,) if spelled in spelled_here else cut_katakana(spelled) or ()
    found: set[int] = set()
    end = 0
    for word in words:
        start, end = end, end + len(word)
        inside = [at for at in dashes if start <= at < end]
        if len(word) < _SHORTEST:
            continue
        for at in inside:
            after = piece[end : end + 1] or following
            right = piece[at + 1 : end]
            ambiguous = (
                _is_ambiguous(piece[start:at], right, after)
                or bool(right)
                and _is_ambiguous(piece[:at], piece[at + 1 :], after)
            )
            # The last one of サ―バ―を: サーバ is a word, too, but the first one tells, and no other word follows.
            is_last = not right and bool(found & set(inside)) and _ENDS.match(after) is not None
            if not ambiguous or is_last:
                found.add(at)
    return found


def mend_prolonged(text: str) -> str:
    """Write ー for the dashes that were typed for it.

    >>> mend_prolonged("サ―バ―の台数")
    'サーバーの台数'
    >>> mend_prolonged("ベルリン―ロオマ行")
    'ベルリン―ロオマ行'
    """
    spelled_here: set[str] | None = None

    def mend(match: re.Match[str]) -> str:
        nonlocal spelled_here
        run = match[0]
        dashes = [i for i, c in enumerate(run) if c in DASHES]
        if not dashes or len(run) > _LONGEST:
            return run
        following = text[match.end() : match.end() + 1]
        found = {at for at in dashes if at + 1 < len(run) and run[at + 1] in _SMALL}
        # Parts between dashes, from the longest: of パリ―サ―バ the last two are one word.
        edges = [-1, *dashes, len(run)]
        spans = sorted(
            ((i, j) for i in range(len(edges)) for j in range(i + 2, len(edges))), key=lambda span: span[0] - span[1]
        )
        for i, j in spans:
            a, b = edges[i] + 1, edges[j]
            inner = [at - a for at in dashes if a <= at < b]
            if spelled_here is None:
                spelled_here = set(_WORD.findall(text))
            after = run[b : b + 1] or following
            found |= {a + at for at in _find_prolonged(run[a:b], inner, after, spelled_here)}
        return "".join("ー" if i in found else c for i, c in enumerate(run))

    return _RUN.sub(mend, text)
