from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters import normalise
from filters.transcript.edit_distance import error_rates
from filters.transcript.numerals import integer, number
from filters.transcript.readings import choices, readings

TABLE = Path(__file__).parents[2] / "data" / "numerals.tsv"


@pytest.mark.parametrize("dictionary", ["unidic", "sudachi"])
def test_two_hundred_numbers_with_counters(dictionary):
    """A table written by hand after NHK's usage: of several ways the usual one."""
    rows = pl.read_csv(TABLE, separator="\t", quote_char=None, infer_schema=False)
    assert len(rows) >= 200
    rows = rows.with_columns(found=readings(normalise(rows["text"], width="fold"), dictionary))
    misread = rows.filter(error_rates(rows["found"], rows["reading"], by_sound=True) > 0)
    assert len(misread) <= 0.02 * len(rows), misread.rows()


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("七時に三本買う", "シチジニサンボンカウ"),
        ("唯一の人が一段落", "ユイイツノヒトガイチダンラク"),
        ("三日月", "ミカズキ"),
        ("一匹狼", "イッピキオーカミ"),
        ("三人称", "サンニンショー"),
        ("二、三日", "ニサンニチ"),
        ("3対2で勝つ", "サンタイニデカツ"),
        ("10時半頃", "ジュージハンゴロ"),
        ("十分です", "ジューブンデス"),
        ("十分待った", "ジュップンマッタ"),
        ("一昨日", "オトトイ"),
        ("第2日", "ダイニニチ"),
        ("八百屋で千円", "ヤオヤデセンエン"),
        ("AT&TのB2", "エーティーアンドティーノビーニ"),
        ("10数年と20数人", "ジュースーネントニジュースーニン"),
        ("2³と√2", "ニノサンジョートルートニ"),
        ("▲5%", "マイナスゴパーセント"),
        ("4捨5入", "シシャゴニュー"),
        ("12百円", "イチニヒャクエン"),
        ("紀元前3世紀", "キゲンゼンサンセーキ"),
        ("㈱山田", "カブシキガイシャヤマダ"),
    ],
)
def test_counters_in_sentences(text, reading):
    assert error_rates(readings(pl.Series([text])), pl.Series([reading]), by_sound=True)[0] == 0, readings(pl.Series([text]))[0]


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ("7", "ナナ シチ"),
        ("1日", "イチニチ ツイタチ"),
        ("10分", "ジュップン ジップン"),
        ("1/2", "ニブンノイチ イチガツフツカ"),
        ("9人", "キューニン クニン"),
        ("2020", "ニセンニジュー ニゼロニゼロ"),
        ("MP3", "サン スリー"),
        ("明日", "アシタ アス"),
    ],
)
def test_what_may_be_read_in_several_ways(text, ways):
    assert set(ways.split()) <= set(choices(pl.Series([text]))[0][-1])


def in_han(value: int) -> str:
    """A number as it is written in Han digits: 千六百, 一億二千万."""
    text = ""
    for large, name in ((10**12, "兆"), (10**8, "億"), (10**4, "万"), (1, "")):
        section, value = divmod(value, large)
        digits = [(digit, unit) for digit, unit in zip(f"{section:04}", "千百十 ", strict=True) if digit != "0"]
        text += "".join(
            ("" if digit == "1" and unit != " " else "〇一二三四五六七八九"[int(digit)]) + unit.strip()
            for digit, unit in digits
        )
        text += name if section else ""
    return text


@settings(deadline=None)
@given(st.integers(1, 10**16 - 1))
@example(10_000_000)
@example(8_000_000_000_000)
@example(110_030_003_600)
def test_arabic_and_han_digits_are_read_alike(value):
    arabic, han = integer(str(value)), number(in_han(value))
    assert arabic.value == han.value == value
    assert [ways[0] for ways in arabic.stretches] == [ways[0] for ways in han.stretches]


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_commas_and_large_units_change_no_number(value):
    plain = number(str(value))
    assert number(f"{value:,}") == plain
    assert plain.value == value
    large, rest = divmod(value, 10**4)
    if 0 < large < 10**4 and rest:
        mixed = number(f"{large}万{rest}")
        assert mixed.value == value and [way[0] for way in mixed.stretches] == [way[0] for way in plain.stretches]


def test_what_is_no_number():
    assert number("万") is None and number("億") is None
