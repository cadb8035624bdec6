"""Counters: how a number and what it counts are read together, 三本 サンボン, 一人 ヒトリ, 八分 ハップン.

The sounds change by the last digit and the first sound of the counter: before k, s, t, h and p, 一 六 八 十 百 end short (イッ ロッ ハッ
ジュッ ヒャッ), and h becomes p; after ン some counters are voiced. The table `counters.txt` says which, and what follows no rule.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

Stretch = tuple[str, ...]  # the readings that a stretch of text may have, in katakana, the usual one first

MOST = 8  # readings of a stretch
_VOICED = {
    "b": str.maketrans("ハヒフヘホ", "バビブベボ"), "p": str.maketrans("ハヒフヘホ", "パピプペポ"),
    "g": str.maketrans("カキクケコ", "ガギグゲゴ"), "z": str.maketrans("サシスセソ", "ザジズゼゾ"),
}  # fmt: skip
_SHORTENED_BY = (
    dict.fromkeys("カキクケコハヒフヘホ", "168十百")
    | dict.fromkeys("サシスセソタチツテト", "18十")
    | dict.fromkeys("パピプペポ", "168十百")
)
_ENDS_IN_N = ("3", "千", "万", "何")
_EXCEPTION = re.compile(r"(=?)([0-9]+|[十百千万数何])(.+)")


class Counter(NamedTuple):
    """Readings of a counter, its sound after ン, and what is read otherwise: for whole numbers (`=1`), or by the last digit."""

    readings: Stretch
    after_n: str = ""  # b, p, g, z: what its first sound becomes after 三 何 千; p4 after 四 too; "" for no change
    is_loan: bool = False  # イチキロ and ハチキロ, where other words have イッ and ハッ
    exceptions: dict[str, Stretch] = {}  # noqa: RUF012


class Number(NamedTuple):
    """A number as it is read: a stretch for each of its parts, what the last is (1 to 9, 十 百 千 万, 数 何), and its value."""

    stretches: tuple[Stretch, ...]
    end: str
    value: int | None = None  # of a whole number


def distinct(readings: list[str]) -> Stretch:
    """The first eight different readings."""
    return tuple(dict.fromkeys(readings))[:MOST]


@cache
def counters() -> dict[str, Counter]:
    """Counters and units of `counters.txt` by their spelling."""
    found: dict[str, Counter] = {}
    for line in Path(__file__).with_name("counters.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        names, readings, *rest = line.split(" ")
        marks = [word for word in rest if word.isalnum() and word.isascii() and word[0].isalpha()]
        exceptions = {}
        for word in rest:
            if match := _EXCEPTION.fullmatch(word):
                exceptions[match[1] + match[2]] = tuple(match[3].split("|"))
        after_n = next((mark for mark in marks if mark[0] in _VOICED), "")
        counter = Counter(tuple(readings.split("|")), after_n, "l" in marks, exceptions)
        found |= dict.fromkeys(names.split("~"), counter)
    return found


def _shorten(piece: str) -> list[str]:
    """イチ イッ, ジュー ジュッ ジッ, ヒャク ヒャッ."""
    if piece.endswith("ジュー"):
        return [f"{piece[:-2]}ュッ", f"{piece[:-2]}ッ"]
    return [f"{piece[:-1]}ッ"]


def _join(piece: str, end: str, reading: str, counter: Counter) -> list[str]:
    """Ways in which a number's last part and a reading of the counter sound together."""
    first = reading[0]
    plain = piece + reading
    if counter.is_loan and first in "ハヒフヘホ":  # 十ヘルツ is ジューヘルツ
        return [plain, *(before + reading for before in _shorten(piece) if end == "十")]
    if end in _SHORTENED_BY.get(first, ""):
        head = reading.translate(_VOICED["p"])[0] + reading[1:] if first in "ハヒフヘホ" else reading
        short = [before + head for before in _shorten(piece)]
        stays = (counter.is_loan and end in "18") or (first in "パピプペポ" and end in "6百")
        return [plain, *short] if stays else [*short, plain]
    if counter.after_n and (end in _ENDS_IN_N or (end == "4" and counter.after_n == "p4" and piece.endswith("ン"))):
        return [piece + reading[0].translate(_VOICED[counter.after_n[0]]) + reading[1:], plain]
    return [plain]


def count(number: Number, counter: Counter, *, is_ordinal: bool = False) -> tuple[Stretch, ...]:
    """Readings of `number` with `counter` after it. An ordinal (第2) has no words of its own: ニニチメ is not フツカメ."""
    generic = [
        way
        for reading in counter.readings
        for piece in number.stretches[-1]
        for way in _join(piece, number.end, reading, counter)
    ]
    whole = counter.exceptions.get(f"={number.value}", ())
    if whole and not is_ordinal:
        if len(number.stretches) == 1:
            return (distinct([*whole, *counter.exceptions.get(number.end, ()), *generic]),)
        before = "".join(stretch[0] for stretch in number.stretches[:-1])
        return (distinct([*whole, *(before + way for way in generic)]),)
    by_end = counter.exceptions.get(number.end, ())
    return (*number.stretches[:-1], distinct([*by_end, *generic]))
