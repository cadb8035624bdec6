"""Numbers as they are read: 1600 センロッピャク, 一九四五 センキューヒャクヨンジューゴ, 3.5 サンテンゴ, 1億2000万, 数十, 何百."""

from __future__ import annotations

import re

from filters.transcript.counters import Counter, Number, Stretch, count

LONGEST = 16  # digits; a longer row of them is an account or the like, and is read one by one
HAN_DIGITS = "〇一二三四五六七八九"
_ASCII = str.maketrans(HAN_DIGITS, "0123456789")
_ONES: dict[str, Stretch] = {
    "0": ("ゼロ", "レー"), "1": ("イチ",), "2": ("ニ",), "3": ("サン",), "4": ("ヨン", "シ"), "5": ("ゴ",), "6": ("ロク",),
    "7": ("ナナ", "シチ"), "8": ("ハチ",), "9": ("キュー", "ク"), "数": ("スー",), "何": ("ナン",),
}  # fmt: skip
_ONE_BY_ONE = _ONES | {"0": ("ゼロ", "レー", "マル"), "2": ("ニ", "ニー"), "4": ("ヨン", "シ", "ヨ"), "5": ("ゴ", "ゴー")}
_HUNDREDS = {"1": "ヒャク", "3": "サンビャク", "6": "ロッピャク", "8": "ハッピャク", "何": "ナンビャク"}
_THOUSANDS = {"1": "セン", "3": "サンゼン", "8": "ハッセン", "何": "ナンゼン"}
_VALUES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "億": 10**8, "兆": 10**12, "京": 10**16}
_LARGE = {"万": Counter(("マン",)), "億": Counter(("オク",)), "兆": Counter(("チョー",)), "京": Counter(("ケー",))}
_POINT = Counter(("テン",))
_ZERO_POINT = ("レーテン", "ゼロテン", "コンマ")
_TOKEN = re.compile(r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|[十百千万億兆京数何]")


def one_by_one(digits: str) -> tuple[Stretch, ...]:
    """Digits each on its own, as in a telephone number: 090 ゼロキューゼロ."""
    return tuple(_ONE_BY_ONE[digit] for digit in digits)


def _small(digit: str, unit: str) -> Stretch:
    """One to nine of tens, hundreds or thousands."""
    if unit == "十":
        return ("ジュー",) if digit == "1" else tuple(f"{name}ジュー" for name in _ONES[digit])
    if unit == "百":
        return (_HUNDREDS.get(digit) or f"{_ONES[digit][0]}ヒャク",)
    return ("セン", "イッセン") if digit == "1" else (_THOUSANDS.get(digit) or f"{_ONES[digit][0]}セン",)


def _below_ten_thousand(digits: str) -> tuple[list[Stretch], str]:
    """Parts of up to four digits, and what the last of them is."""
    parts, end = [], ""
    for digit, unit in zip(digits, ("千", "百", "十", "")[-len(digits) :], strict=True):
        if digit != "0":
            parts.append(_small(digit, unit) if unit else _ONES[digit])
            end = unit or digit
    return parts, end


def integer(digits: str) -> Number:
    """Number of decimal digits. With a leading zero, or more than 16 digits, one by one."""
    if len(digits) > LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return Number(one_by_one(digits), digits[-1], int(digits))
    if digits == "0":
        return Number((_ONES["0"],), "0", 0)
    parts: tuple[Stretch, ...] = ()
    end = ""
    for at, name in ((12, "兆"), (8, "億"), (4, "万"), (0, "")):
        four = digits[max(0, len(digits) - at - 4) : len(digits) - at] if len(digits) > at else ""
        section, section_end = _below_ten_thousand(four) if four else ([], "")
        if not section:
            continue
        if name and section_end == "千" and section[-1] == ("セン", "イッセン"):
            section[-1] = ("イッセン", "セン")  # 一千万
        number = Number(tuple(section), section_end)
        parts += count(number, _LARGE[name]) if name else number.stretches
        end = name or section_end
    return Number(parts, end, int(digits))


def decimal(whole: str, fraction: str) -> Number:
    """Number with digits after a point: 3.14 サンテンイチヨン, 1.5 イッテンゴ."""
    before = (_ZERO_POINT,) if whole == "0" else count(integer(whole), _POINT)
    return Number((*before, *one_by_one(fraction)), fraction[-1])


def _digits(token: str) -> Number:
    whole, _, fraction = token.replace(",", "").partition(".")
    return decimal(whole, fraction) if fraction else integer(whole)


def number(text: str) -> Number | None:
    """Number that `text` writes in Arabic or Han digits or both; None where it is none (万 alone)."""
    parts: tuple[Stretch, ...] = ()
    end, pending, value, section = "", "", 0, 0
    is_exact = True
    for token in _TOKEN.findall(text.translate(_ASCII)):
        if token in _LARGE:
            found = _digits(pending) if pending and pending not in "数何" else None
            if pending and found is None:
                parts, end = (*parts, _ONES[pending]), pending
            elif found is not None:
                parts, end = (*parts, *found.stretches), found.end
                section += found.value or 0
            if not parts:
                return None
            if end == "千" and parts[-1] == ("セン", "イッセン"):
                parts = (*parts[:-1], ("イッセン", "セン"))
            parts, end = count(Number(parts, end), _LARGE[token]), token
            value, section, pending = value + section * _VALUES[token], 0, ""
        elif token in _VALUES:
            digit = pending or "1"
            if len(digit) > 1:  # 12百 is nothing that one says, but has to be read
                return None
            parts, end = (*parts, _small(digit, token)), token
            if digit.isdigit():
                section += int(digit) * _VALUES[token]
            else:
                is_exact = False
            pending = ""
        elif pending and pending not in "数何" and token in "数何":  # 10数年
            tens = _digits(pending)
            parts, end, pending, is_exact = (*parts, *tens.stretches), tens.end, token, False
        elif pending:
            if pending not in "数何":
                return None
            parts, pending, is_exact = (*parts, _ONES[pending]), token, False
        else:
            pending = token
            is_exact &= pending not in "数何" and "." not in pending
    if pending in ("数", "何"):
        parts, end = (*parts, _ONES[pending]), pending
    elif pending:
        last = _digits(pending)
        parts, end = (*parts, *last.stretches), last.end
        section += last.value or 0
    return Number(parts, end, value + section if is_exact else None) if parts else None
