"""Numbers as they are read: Arabic digits and positional Han numerals become 千六百, 1.5 一点五, and units words."""

from __future__ import annotations

import re

import polars as pl

_DIGITS = "〇一二三四五六七八九"
_ONE_BY_ONE = {ord(str(value)): name for value, name in enumerate("ゼロ 一 二 三 四 五 六 七 八 九".split())}
_POSITIONAL = re.compile(r"[一二三四五六七八九][〇一二三四五六七八九]+|〇[〇一二三四五六七八九]+")
_LARGE = ((10**12, "兆"), (10**8, "億"), (10**4, "万"), (1, ""))
_SMALL = ((1000, "千"), (100, "百"), (10, "十"), (1, ""))
# Units after a number, and how they are read.
UNITS = {
    "mm": "ミリ", "cm": "センチ", "m": "メートル", "km": "キロ", "mg": "ミリグラム", "g": "グラム", "kg": "キロ", "ml": "ミリリットル",
    "l": "リットル", "%": "パーセント", "℃": "度", "°C": "度", "w": "ワット", "kw": "キロワット", "hz": "ヘルツ", "khz": "キロヘルツ",
    "mb": "メガバイト", "gb": "ギガバイト",
}  # fmt: skip
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_NUMBER = re.compile(
    rf"(?P<whole>\d+(?:,\d{{3}})*)(?:\.(?P<fraction>\d+))?(?:\s?(?P<unit>{_UNIT})(?![A-Za-z]))?", re.IGNORECASE
)
LONGEST = 16  # digits; a longer row of them is a telephone number or the like, and is read one by one


def numeral(digits: str) -> str:
    """Han numeral for decimal digits: `1600` becomes 千六百. With a leading zero, or more than 16 digits, one by one."""
    if len(digits) > LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return digits.translate(_ONE_BY_ONE)
    rest = int(digits)
    if not rest:
        return "ゼロ"
    parts = []
    for large, name in _LARGE:
        four_digits, rest = divmod(rest, large)
        for small, mark in _SMALL if four_digits else ():
            digit, four_digits = divmod(four_digits, small)
            if digit:
                # 百, 十 and 千 need no 一 before them; 一千万 has it, 千百万 not.
                is_bare = digit == 1 and small > 1 and not (small == 1000 and name and not four_digits)
                parts.append(("" if is_bare else _DIGITS[digit]) + mark)
        parts.append(name if large <= int(digits) and int(digits) // large % 10**4 else "")
    return "".join(parts)


def _read_number(match: re.Match[str]) -> str:
    fraction = match["fraction"]
    point = f"点{fraction.translate(_ONE_BY_ONE)}" if fraction else ""
    return numeral(match["whole"].replace(",", "")) + point + UNITS.get((match["unit"] or "").lower(), "")


def _read_positional(match: re.Match[str]) -> str:
    digits = "".join(str(_DIGITS.index(c)) for c in match[0])
    return numeral(digits) if "0" in digits else match[0]


def read_out(text: str) -> str:
    """Replace numbers in `text` by how they are read: 1,600倍 → 千六百倍, 170cm → 百七十センチ, 一七〇 → 百七十. Digits are ASCII."""
    return _POSITIONAL.sub(_read_positional, _NUMBER.sub(_read_number, text))


def read_out_all(texts: pl.Series) -> pl.Series:
    """`read_out` of every text."""
    has_number = texts.str.contains(r"[0-9〇]")
    if not has_number.any():
        return texts
    done = pl.Series([read_out(text) for text in texts.filter(has_number)], dtype=pl.String)
    return texts.scatter(has_number.arg_true(), done)
