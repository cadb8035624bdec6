"""Templates that stand for words of the text. All others (boxes, references, navigation, marks of maintenance) have no text.

A template comes as its arguments, rendered: the name first. Names are compared without case, "_" and spaces at the ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from filters.wikipedia.countries import COUNTRIES

_NAMED = re.compile(r"\s*([^\s=<>\[\]{}|][^=<>\[\]{}|\n]{0,30}?)\s*=")
_LANGUAGES = {
    "ja": "日本語", "en": "英語", "de": "ドイツ語", "fr": "フランス語", "it": "イタリア語",
    "es": "スペイン語", "pt": "ポルトガル語", "nl": "オランダ語", "ru": "ロシア語", "zh": "中国語",
    "ko": "朝鮮語", "la": "ラテン語", "el": "ギリシア語", "grc": "古代ギリシア語", "ar": "アラビア語",
    "fa": "ペルシア語", "he": "ヘブライ語", "tr": "トルコ語", "sv": "スウェーデン語", "da": "デンマーク語",
    "no": "ノルウェー語", "fi": "フィンランド語", "pl": "ポーランド語", "cs": "チェコ語", "hu": "ハンガリー語",
    "uk": "ウクライナ語", "vi": "ベトナム語", "th": "タイ語", "hi": "ヒンディー語", "sa": "サンスクリット",
}  # fmt: skip


class Arguments:
    """The arguments of a template by number or name.

    >>> arguments = Arguments(["仮リンク", "首相", "en", "Prime minister", "label=総理"])
    >>> arguments.positional, arguments.named
    (['首相', 'en', 'Prime minister'], {'label': '総理'})
    """

    def __init__(self, args: list[str]) -> None:
        self.positional: list[str] = []
        self.named: dict[str, str] = {}
        for arg in args[1:]:
            found = _NAMED.match(arg)
            if not found:
                self.positional.append(arg.strip())
            elif found[1].isdecimal() and 0 < int(found[1]) <= 9:
                number = int(found[1])
                self.positional += [""] * (number - len(self.positional))
                self.positional[number - 1] = arg[found.end() :].strip()
            else:
                self.named[found[1]] = arg[found.end() :].strip()

    def get(self, number: int, default: str = "") -> str:
        """Return an argument by number, from 1."""
        return self.positional[number - 1] if len(self.positional) >= number else default

    def last(self) -> str:
        return next((value for value in reversed(self.positional) if value), "")


Handler = Callable[[Arguments], str]


def _first(args: Arguments) -> str:
    return args.get(1)


def _second(args: Arguments) -> str:
    return args.get(2)


def _reading(args: Arguments) -> str:
    reading = "、".join(value for value in args.positional[1:] if value)
    return f"{args.get(1)}（{reading}）" if reading else args.get(1)


def _ruby(args: Arguments) -> str:
    return f"{args.get(1)}（{args.get(2)}）" if args.get(2) else args.get(1)


def _link(args: Arguments) -> str:
    return args.named.get("label") or args.get(1)


def _nihongo(args: Arguments) -> str:
    inside = " ".join(value for value in args.positional[1:3] if value)
    return f"{args.get(1)}（{inside}）" if args.get(1) and inside else args.get(1) or inside


def _convert(args: Arguments) -> str:
    """10|km|mi, or 5|-|10|km|mi: the numbers and the unit that the author wrote."""
    values = args.positional
    if len(values) > 3 and not re.search(r"\d", values[1]):
        return f"{values[0]}{values[1] if values[1] in ('-', '–', '×') else '-'}{values[2]}{values[3]}"
    return args.get(1) + args.get(2)


def _number(args: Arguments) -> str:
    power = args.named.get("e")
    return args.get(1) + (f"×10^{power}" if power else "") + (args.named.get("u") or args.named.get("ul") or "")


def _date(args: Arguments) -> str:
    return "".join(value + unit for value, unit in zip(args.positional, "年月日", strict=False) if value.isdecimal())


def _fraction(args: Arguments) -> str:
    values = [value for value in args.positional if value]
    return " ".join([*values[:-2], "/".join(values[-2:])])


def _joined(args: Arguments) -> str:
    return "".join(args.positional)


def _quotation(args: Arguments) -> str:
    """A block of its own."""
    return f"\n\n{args.get(1)}\n\n"


def _species(args: Arguments) -> str:
    """Snamei||Homo sapiens, or Snamei|Homo sapiens|H. sapiens: the name as readers see it."""
    return args.get(2) or args.get(1)


def _chinese(args: Arguments) -> str:
    """The characters, not how they are read: zh|c=北京|p=Běijīng."""
    return next((args.named[key] for key in ("c", "t", "s", "hp", "p") if args.named.get(key)), "") or args.get(1)


def _harvard(args: Arguments) -> str:
    return f"{args.get(1)} ({args.get(2)})" if args.get(2) else args.get(1)


_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys("読み仮名 読み仮名_ruby不使用 よみがな 読みがな ふりがな仮名".split(), _reading),
    **dict.fromkeys("ruby ルビ ruby-ja ふりがな ruby-zh-p ruby-zh-b".split(), _ruby),
    **dict.fromkeys("仮リンク ill2 link-interwiki 日本語版にない記事リンク ill".split(), _link),
    **dict.fromkeys("nihongo nihongo2 nihongo3".split(), _nihongo),
    **dict.fromkeys("lang llang lang2 transl transliteration 色 色文字 color font_color fontcolor".split(), Arguments.last),
    **dict.fromkeys("convert cvt".split(), _convert),
    **dict.fromkeys("val num".split(), _number),
    **dict.fromkeys("生年月日と年齢 生年月日 年月日 日付 和暦".split(), _date),
    **dict.fromkeys("start_date start_date_and_age end_date birth_date birth_date_and_age".split(), _date),
    **dict.fromkeys("frac sfrac 分数".split(), _fraction),
    **dict.fromkeys("chem chem2 linktext 漢字".split(), _joined),
    **dict.fromkeys("harvtxt harvnb_text".split(), _harvard),
    **dict.fromkeys("audio fontsize font-size 文字サイズ".split(), _second),
    **dict.fromkeys("snamei snamej sname".split(), _species),
    "zh": _chinese,
    **dict.fromkeys("quote quotation cquote blockquote bquote 引用 引用文 rquote centered_pull_quote".split(), _quotation),
    **dict.fromkeys(
        """
        nowrap nobr nobreak nobold small smaller big larger resize bold b italic i em strong u underline underline2
        下線 strikethrough unicode ipa ipa2 補助漢字フォント jis2004フォント jis90フォント cjkv 拡張漢字
        拡張漢字フォント 漢字フォント cp932フォント jis2000フォント flag flagcountry 国旗 script visible_anchor vanchor anchor2
        行内引用 indent center centre left sic ママ
        by by2 by2r by3 tooltip abbr 解説 sup sub math mvar nts ntsh interlang kbd code tt samp var mono formatnum
        """.split(),
        _first,
    ),
}  # fmt: skip
_CONSTANTS = {
    "=": "=", "!": "|", "!!": "||", "nbsp": " ", "spaces": " ", "snd": " – ", "–": "–", "—": "—", "・": "・", "*": "・", "sharp": "♯",
    "flat": "♭", "'": "'",
}  # fmt: skip
_TITLES = ("pagename", "subst:pagename", "記事名")
_PREFIXES = ("lang-", "formatnum:", "ipa-")


def _normal_name(name: str) -> str:
    return name.strip().replace(" ", "_").lower()


def stands_for_text(name: str) -> bool:
    """Whether a template of that name may have a text."""
    name = _normal_name(name)
    if name in _HANDLERS or name in _CONSTANTS or name in COUNTRIES or name in _TITLES:
        return True
    return name.startswith(_PREFIXES) or name.endswith("範囲")


def template_text(args: list[str], title: str | None = None) -> str:
    """Return the text that a template stands for, or "".

    >>> template_text(["読み仮名", "東京", "とうきょう"]), template_text(["要出典", "date=2020年"])
    ('東京（とうきょう）', '')
    """
    name = _normal_name(args[0])
    if handler := _HANDLERS.get(name):
        return handler(Arguments(args))
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name in COUNTRIES:
        return Arguments(args).get(1) or COUNTRIES[name]
    if name.startswith("lang-"):
        return _foreign(name, Arguments(args))
    # What readers doubt, from 要出典範囲 to 独自研究範囲, is text all the same.
    if name.endswith("範囲") or name.startswith("ipa-"):
        return Arguments(args).get(1)
    if name.startswith("formatnum:"):
        return args[0].strip()[len("formatnum:") :]
    return (title or "") if name in _TITLES else ""


def _foreign(name: str, args: Arguments) -> str:
    """{{lang-en|…}}: the language's name before the words, as readers see it."""
    code = name.removeprefix("lang-").removesuffix("-short")
    language = _LANGUAGES.get(code.partition("-")[0])
    if name.endswith("-short") and language:
        language = language.removesuffix("語")[:1] if code in ("en", "de", "fr", "it") else language
        language = {"en": "英", "de": "独", "fr": "仏", "it": "伊"}.get(code, language)
    return f"{language}: {args.get(1)}" if language and args.get(1) else args.get(1)
