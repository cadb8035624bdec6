"""Where a text has numbers and Latin letters, and how they are read: dates, times, fractions, ranges, prices, measures, counted things.

Each becomes stretches (`filters.transcript.counters.Stretch`). Arabic digits are always read here. Han digits are read here where
they count something (三本, 二十歳, 一九四五年); what is a word to the dictionary (一緒, 三日月, 十分に) is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from filters.transcript.counters import Counter, Number, Stretch, count, counters, distinct
from filters.transcript.latin import Lookup, read_latin, spell
from filters.transcript.numerals import integer, number, one_by_one
from filters.transcript.quantity_pattern import pattern, phrases

_ROMAN = {numeral: str(value) for value, numeral in enumerate("I II III IV V VI VII VIII IX X XI XII".split(), 1)}
_ENGLISH = "ゼロ ワン ツー スリー フォー ファイブ シックス セブン エイト ナイン テン イレブン トゥエルブ".split()
_ORDINALS = {"1st": "ファースト", "2nd": "セカンド", "3rd": "サード", "4th": "フォース", "5th": "フィフス"}
_MONEY = {"$": "ドル", "US$": "ドル", "¥": "円", "€": "ユーロ", "£": "ポンド", "₩": "ウォン"}
_SIGNS = {
    "-": "マイナス",
    "−": "マイナス",
    "+": "プラス",
    "±": "プラスマイナス",
    "▲": "マイナス",
    "△": "マイナス",
    "√": "ルート",
}
_LARGE: dict[str, Stretch] = {
    "十": ("ジュー",), "百": ("ヒャク",), "千": ("セン",), "万": ("マン",), "億": ("オク",), "兆": ("チョー",), "京": ("ケー",),
    "数": ("スー",),
}  # fmt: skip
_LINKS: dict[str, Stretch] = {
    "、": ("",), "対": ("タイ",),
    "~": ("カラ", "", "ナイシ"), "〜": ("カラ", "", "ナイシ"), "-": ("ノ", "カラ", "", "タイ", "マイナス", "ヒク", "ハイフン"),
    "+": ("プラス", "タス"), "×": ("カケル", "バツ", ""), "÷": ("ワル",), "=": ("イコール", "ワ"),
}  # fmt: skip
_ALONE: dict[str, Stretch] = {
    "%": ("パーセント",), "℃": ("ド", "セッシ"), "&": ("アンド", "", "ト"), "〒": ("ユービンバンゴー", ""), "kg": ("キログラム", "キロ"),
}  # fmt: skip
# Han digits with these are words of their own more often than counts.
_WORDS = re.compile(
    "[一二三四五六七八九十百千万]+(?:[行色角対言口山着作選式種文門元石里合品世体科把町島線層軍隊社句首節基機灯])"
    "|[千万]歳|[千十一]代|[千百]里|一月|千本|百科|四時"
)
_TEN_MINUTES = re.compile(
    "ほど|程|間|後|前|遅|早|くらい|ぐらい|待|過|お?き|以内|も?経|しか|休"
)  # after 十分 that is ジュップン
_HAN = re.compile("[\u4e00-\u9fff]")


class Found(NamedTuple):
    """Where something is read here, and how."""

    start: int
    end: int
    stretches: tuple[Stretch, ...]


def _with(digits: str, name: str, *, is_ordinal: bool = False) -> tuple[Stretch, ...]:
    """A whole number with a counter; zeros before it are not read."""
    return count(integer(digits.lstrip("0") or "0"), counters()[name], is_ordinal=is_ordinal)


def _date(year: str, month: str, day: str) -> tuple[Stretch, ...]:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return tuple(stretch for part in (year, month, day) for stretch in integer(part).stretches)
    return (*_with(year, "年"), *_with(month, "月"), *_day(day))


def _day(day: str) -> tuple[Stretch, ...]:
    return (("ツイタチ", "イチニチ"),) if int(day) == 1 else _with(day, "日")


def _time(hour: str, minute: str, second: str | None) -> tuple[Stretch, ...]:
    stretches = _with(hour, "時")
    if minute == "00":
        stretches += (("", "ゼロフン", "レーフン", "ゼロゼロフン", "チョード"),)
    elif minute == "30":
        stretches += (("サンジュップン", "サンジップン", "ハン"),)
    else:
        stretches += _with(minute, "分")
    return stretches + (_with(second, "秒") if second else ())


def _fraction(below: Number, above: Number) -> tuple[Stretch, ...]:
    return (*below.stretches, ("ブンノ",), *above.stretches)


def _slashed(top: str, bottom: str) -> tuple[Stretch, ...]:
    """1/2 is a half, or the second of January."""
    fraction = _fraction(integer(bottom), integer(top))
    if 1 <= int(top) <= 12 and 1 <= int(bottom) <= 31:
        usual, date = ("".join(stretch[0] for stretch in way) for way in (fraction, (*_with(top, "月"), *_day(bottom))))
        return ((usual, date),)
    return fraction


def _join(stretches: tuple[Stretch, ...]) -> str:
    return "".join(stretch[0] for stretch in stretches)


def _counted(
    found: Number, counter: str, text: str, start: int, end: int, *, after: Number | None = None
) -> tuple[Stretch, ...]:
    """A number with its counter, by what stands before and after them; `after` is the number that a range begins with."""
    before = text[start - 1] if start else ""
    if counter:
        if counter == "日" and found.value == 1:
            return (("ツイタチ", "イチニチ"),) if before == "月" else (("イチニチ", "ツイタチ"),)
        if counter == "分" and before == "割":
            return count(found, Counter(("ブ",)))
        is_rough = before == "、" and after is not None and found.value == (after.value or 0) + 1 <= 9  # 二、三日 is ニサンニチ
        return count(found, counters()[counter], is_ordinal=before == "第" or is_rough)
    following = text[end] if end < len(text) else ""
    if before == "-" and start > 1 and text[start - 2].isascii():  # M-1
        before = text[start - 2]
    beside_letters = (before.isascii() and before.isalpha()) or (following.isascii() and following.isalpha())
    if beside_letters and found.value is not None and found.value < len(_ENGLISH):
        return (distinct([*found.stretches[0], _ENGLISH[found.value]]),) if len(found.stretches) == 1 else found.stretches
    return found.stretches


def _number(text: str) -> Number:
    """The number of Arabic and Han digits; what is none (12百) character by character, so that nothing is lost."""
    if found := number(text):
        return found
    ways = (one_by_one(c) if c in "0123456789" else ((_LARGE[c],) if c in _LARGE else ()) for c in text)
    return Number(tuple(stretch for way in ways for stretch in way), "0")


def _lower_end(found: Number, counter: str, link: str) -> tuple[Stretch, ...]:
    """The number that a range begins with, and what is read between the two: 3〜4人 サンカラヨニン, サンヨニン, サンニンカラヨニン."""
    if not counter or link in "、対":
        return (*found.stretches, _LINKS[link])
    return (distinct([_join(found.stretches), _join(count(found, counters()[counter]))]), ("カラ", "", "ナイシ"))


def _arabic(match: re.Match[str], text: str) -> tuple[Stretch, ...] | None:
    first, other, counter = match["first"], match["other"], match["counter"] or match["unit"] or ""
    found = _number(first)
    last = _number(other) if other else found
    if match["money"]:
        counter = counter or _MONEY[match["money"]]
    stretches = _counted(
        last, counter, text, match.start("other" if other else "first"), match.end(), after=found if other else None
    )
    if not counter and not other and first.isdigit() and len(first) >= 3 and first[0] != "0":
        stretches = (distinct([_join(stretches), _join(one_by_one(first))]),)  # 2020 ニーゼロニーゼロ
    if other:
        stretches = (*_lower_end(found, counter, match["link"]), *stretches)
    if match["sign"]:
        stretches = ((_SIGNS[match["sign"]],), *stretches)
    return stretches


def _is_in_word(text: str, start: int, end: int, digits: int, lookup: Lookup) -> bool:
    """True where the dictionary has a word that begins before a number (唯一人) or goes on after its counter (三日月)."""
    ahead = next((i for i in range(3) if not _HAN.match(text[end + i : end + i + 1])), 3)
    if any(lookup(text[start : end + i]) for i in range(1, ahead + 1)):
        return True
    return (
        text[start - 1 : start] not in ("", "第")
        and bool(_HAN.match(text[start - 1]))
        and bool(lookup(text[start - 1 : start + digits]))
    )


def _han(match: re.Match[str], text: str, lookup: Lookup) -> tuple[Stretch, ...] | None:
    """Numbers in Han digits that count something; None for what the dictionary is to read."""
    digits, other, counter = match["han"], match["han_other"], match["han_counter"] or ""
    before = text[match.start() - 1] if match.start() else ""
    is_positional = len(digits) > 1 and "〇" in digits and not re.search("[十百千万億兆数何]", digits)
    if not counter and not is_positional and match["han_link"] != "対":
        return None
    if _is_in_word(text, match.start(), match.end(), len(digits), lookup):
        return None
    word = digits + counter
    if word == "十分" and before != "時":
        ways = ("ジューブン", "ジュップン", "ジップン")
        return (ways[1:] + ways[:1] if _TEN_MINUTES.match(text, match.end()) else ways,)
    is_word = before != "第" and _WORDS.fullmatch(word)
    if is_word and not lookup(word):
        return None
    if counter in ("ケ", "ヶ") or (counter == "つ" and len(digits) > 1):
        return None
    found, last = number(digits), number(other) if other else None
    if found is None:
        return None
    begin = match.start("han_other") if other else match.start()
    if last is not None:
        return (*_lower_end(found, counter, match["han_link"]), *_counted(last, counter, text, begin, match.end(), after=found))
    stretches = _counted(found, counter, text, begin, match.end())
    if len(stretches) == 1:  # 一行 may be イッコー, too
        stretches = (distinct([*lookup(word), *stretches[0]] if is_word else [*stretches[0], *lookup(word)]),)
    neighbours = len(digits) == 2 and "〇一二三四五六七八九".find(digits) > 0
    if neighbours and (two := [number(digit) for digit in digits])[0] and two[1]:  # 二三人: two or three
        return (
            distinct([_join(two[0].stretches) + _join(count(two[1], counters()[counter], is_ordinal=True)), _join(stretches)]),
        )
    return stretches


def _read(match: re.Match[str], text: str, lookup: Lookup) -> tuple[Stretch, ...] | None:
    kind = match.lastgroup
    if match["year"]:
        return _date(match["year"], match["month"], match["day"])
    if match["phone"]:
        postal = _ALONE["〒"] if match["phone"][0] == "〒" else ()
        parts = re.findall("[0-9]+", match["phone"])
        digits = [stretch for part in parts for stretch in (*one_by_one(part), ("ノ", ""))][:-1]
        return ((postal,) if postal else ()) + tuple(digits)
    if match["hour"]:
        return _time(match["hour"], match["minute"], match["second"])
    if match["below"]:
        below, above = number(match["below"]), number(match["above"])
        return _fraction(below, above) if below and above else None
    if match["top"]:
        return _slashed(match["top"], match["bottom"])
    if match["nth"]:
        value = int(match["nth"])
        said = integer(match["nth"]).stretches
        return (("ナンバー",), *((distinct([_ENGLISH[value], *said[0]]),) if value < len(_ENGLISH) else said))
    if match["ordinal"]:
        return ((_ORDINALS.get(match["ordinal"], ""),),) if match["ordinal"] in _ORDINALS else None
    if match["first"]:
        return _arabic(match, text)
    if match["op"]:
        return (_LINKS[match["op"].strip()],)
    if match["phrase"]:
        return (phrases()[match["phrase"]],)
    if match["about"]:
        return (("ゴロ", "コロ"),)
    if match["han"]:
        return _han(match, text, lookup)
    if match["roman"]:
        return _roman(match["roman"], match["roman_counter"], text, match)
    if match["latin"]:
        return read_latin(match["latin"], lookup)
    return (_ALONE[match["alone"]],) if kind == "alone" else None


def _roman(numeral: str, counter: str | None, text: str, match: re.Match[str]) -> tuple[Stretch, ...]:
    """A Roman numeral counts before a counter; else it may be read in English, or by its letters."""
    digits = str(ord(numeral) - 0x215F) if numeral >= "\u2160" else _ROMAN[numeral]
    found = integer(digits)
    if counter:
        return _counted(found, counter, text, match.start(), match.end())
    spelled = _join(spell(numeral))
    return (distinct([_join(found.stretches), *found.stretches[0][1:], _ENGLISH[int(digits)], spelled]),)


def find_quantities(text: str, lookup: Lookup) -> Iterator[Found]:
    """All that is read here, in order. `lookup` gives a dictionary's readings of a word in Latin letters."""
    for match in pattern().finditer(text):
        stretches = _read(match, text, lookup)
        if stretches is not None:
            yield Found(match.start(), match.end(), stretches)
