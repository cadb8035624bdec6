"""The pattern of numbers, Latin letters and phrases that `filters.transcript.quantities` reads."""

from __future__ import annotations

import re
from functools import cache

from filters.transcript.counters import Stretch, counters

# Words with Han digits that UniDic cuts and misreads.
_PHRASES: dict[str, Stretch] = {
    "一昨日": ("オトトイ", "イッサクジツ", "オトツイ"), "一昨年": ("オトトシ", "イッサクネン"), "三日月": ("ミカズキ",),
    "二人三脚": ("ニニンサンキャク",), "十人十色": ("ジューニントイロ",), "四六時中": ("シロクジチュー",),
    "七転び八起き": ("ナナコロビヤオキ",), "一人者": ("イチニンシャ",), "一段落": ("イチダンラク", "ヒトダンラク"),
    "一回り": ("ヒトマワリ",), "一戸建て": ("イッコダテ",), "八つ当たり": ("ヤツアタリ",), "八千代": ("ヤチヨ",),
    "九段下": ("クダンシタ",), "四捨五入": ("シシャゴニュー",), "七味": ("シチミ",), "六本木": ("ロッポンギ",),
    "一番星": ("イチバンボシ",), "一石二鳥": ("イッセキニチョー",), "紀元前": ("キゲンゼン",),
    "百人一首": ("ヒャクニンイッシュ",), "七五三": ("シチゴサン",), "三三七拍子": ("サンサンナナビョーシ",),
    "十五夜": ("ジューゴヤ",), "一期一会": ("イチゴイチエ",), "四十七士": ("シジューシチシ",), "一か八か": ("イチカバチカ",),
    "五分五分": ("ゴブゴブ",), "八戸": ("ハチノヘ", "ハッコ"), "三角形": ("サンカクケー", "サンカッケー"),
    "四角形": ("シカクケー", "シカッケー", "ヨンカクケー"), "二束三文": ("ニソクサンモン",),
    "十中八九": ("ジッチューハック", "ジュッチューハック"), "一酸化": ("イッサンカ",), "廿日市": ("ハツカイチ",),
    "三日市": ("ミッカイチ",), "六甲山": ("ロッコーサン",), "千秋楽": ("センシューラク",), "三位一体": ("サンミイッタイ",),
    "七福神": ("シチフクジン",), "四面楚歌": ("シメンソカ",), "四十九日": ("シジュークニチ", "ヨンジュークニチ"),
    "九十九里": ("クジュークリ",), "株式会社": ("カブシキガイシャ", "カブシキカイシャ"),
    "三社祭": ("サンジャマツリ",),
    "W杯": ("ワールドカップ", "ダブリューハイ"),
}  # fmt: skip


@cache
def phrases() -> dict[str, Stretch]:
    """`_PHRASES`, also with Arabic digits: 4捨5入."""
    arabic = str.maketrans({digit: str(value) for value, digit in enumerate("〇一二三四五六七八九十")})
    return {word.translate(arabic): readings for word, readings in _PHRASES.items()} | _PHRASES


@cache
def pattern() -> re.Pattern[str]:
    """The pattern of all that is read here."""
    names = sorted(counters(), key=len, reverse=True)
    in_letters = [name for name in names if name[0].isascii() or not name[0].isalpha()]
    unit = "|".join(re.escape(name) + (r"(?![A-Za-z])" if name[-1].isalpha() else "") for name in in_letters)
    counter = "|".join(name for name in names if name not in in_letters)
    phrase_heads = "".join(sorted({word[0] for word in phrases()}))
    arabic = r"(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?[十百千万億兆京]*数?)+(?:万|億)?"
    han = r"[〇一二三四五六七八九十百千数何][〇一二三四五六七八九十百千万億兆数]*"
    any_number = f"(?:{arabic}|{han})"
    return re.compile(
        rf"""
        (?=[-0-9A-Za-z{phrase_heads}\u00c0-\u024f〇一二三四五六七八九十百千数何頃%°℃&〒$¥€£₩+−±▲△√×÷=~〜№\u2160-\u216b])  # for speed
        (?:(?<![0-9])(?P<year>[0-9]{{4}})(?P<bar>[/.-])(?P<month>[0-9]{{1,2}})(?P=bar)(?P<day>[0-9]{{1,2}})(?![0-9])
        |(?<![0-9-])(?P<phone>0[0-9]{{1,4}}[-(][0-9]{{1,4}}[-)][0-9]{{3,4}}|〒?[0-9]{{3}}-[0-9]{{4}})(?![0-9-])
        |(?<![0-9:])(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?(?![0-9:])
        |(?P<below>{any_number})分の(?P<above>{any_number})
        |(?<![0-9/.])(?P<top>[0-9]{{1,4}})[/⁄](?P<bottom>[0-9]{{1,4}})(?![0-9/])
        |(?<![A-Za-z])(?P<number_sign>(?:[Nn]o\.|NO\.|№)\s?)(?P<nth>[0-9]+)
        |(?P<ordinal>[1-5](?:st|nd|rd|th))(?![A-Za-z])
        |(?<![0-9])(?P<phrase>{"|".join(phrases())})
        |(?P<sign>(?<![0-9A-Za-z)])[-−+±▲△√])?(?P<money>US\$|[$¥€£₩])?(?P<first>{arabic})
            (?:(?P<link>[〜~、対-])(?P<other>{arabic}))?(?:\s?(?P<unit>{unit})|(?P<counter>{counter}))?
        |(?P<op>(?<=[0-9])\s?[-+×÷=]\s?(?=[0-9])|(?<=[^\W_])[〜~](?=[0-9一二三四五六七八九十]))
        |(?P<about>(?:(?<=[0-9一二三四五六七八九十][年月日時分])|(?<=時半))頃)
        |(?P<han>{han})(?:(?P<han_link>[〜~、対])(?P<han_other>{han}))?(?P<han_counter>{counter})?
        |(?<![A-Za-z])(?P<roman>VI{{1,3}}|I[VX]|I{{2,3}}|XI{{1,2}}|(?<=第)[IVX]|[\u2160-\u216b])(?P<roman_counter>{counter})?(?![A-Za-z])
        |(?P<latin>[A-Za-zâêîôûāēīōū]+(?:[-'’.&][A-Za-z]+)*)
        |(?P<alone>[%℃&〒]))
        """,
        re.VERBOSE,
    )


@cache
def quantity_pattern() -> str:
    """Pattern of texts in which `find_quantities` may find something, for a whole column."""
    first = "".join(sorted({name[0] for name in counters() if name[0].isalpha() and not name[0].isascii()}))
    return (
        r"[0-9A-Za-z\u00c0-\u024f〇%℃°&〒\u2160-\u216b⁄]"
        rf"|{'|'.join(phrases())}|[一二三四五六七八九十百千数何][一二三四五六七八九十百千万億兆数]*(?:[{first}]|[〜~対][一二三四五六七八九十])"
    )
