"""Marks that Wikipedia's software and editors leave in plain text: [1], [要出典], (、), remains of markup, notices above the text.

Every step is a polars expression over a column of text, tried only on the texts that hold what it looks for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

_DOUBTS = "出典|検証|説明|追加記述|ページ番号|文献特定|非一次資料|高次出典|校閲|明確化|曖昧さ回避|更新|引用元|改訳|翻訳"
_BRACKETED = (
    r"[\[［](?:"
    rf"要(?:{_DOUBTS})[^\[\]［］\n]{{0,20}}"
    r"|(?:注|注釈|註|脚注|出典|原文|注記)[ \u00a0]?\d{0,3}"
    r"|(?:note|nb|N|n|w)[ \u00a0]?\d{1,3}"
    r"|(?:いつ|誰|どこ|ど[のれう]|なぜ|何|独自研究|正確性|中立性)[^\[\]［］\n]{0,8}[?？]"
    r"|リンク切れ|信頼性要検証|出典無効|出典不十分|不十分な出典|疑問点[^\[\]［］\n]{0,20}|編集|ソースを編集|続きの解説"
    r")[\]］]"
)
# After a letter or digit of ASCII a number in brackets may be an index, as in a[1].
_NUMBERED = r"([^\x00-\x7f]|[.,)\"'])[ \u00a0]?(?:[\[［]\d{1,3}[\]］])+"
_FILE = r"(?:ファイル|File|file|画像|Image|image)[:：]"
_MARKUP_LINE = (
    r"(?m)^[ \t\u3000]*(?:"
    rf"{_FILE}[^\n|]*(?:\||\.(?:jpe?g|JPE?G|png|PNG|svg|gif|tiff?|og[gv]|webm|pdf|djvu))[^\n]*"
    r"|(?:Category|category|カテゴリ)[:：][^\n]*"
    r"|(?:[^\n|]{0,20}\|)?(?:thumb|サムネイル|frame|フレーム)\|[^\n]*"
    r"|DEFAULTSORT[:：][^\n]*"
    r"|__[A-Z]{4,20}__[ \t]*"
    r"|[\^↑][ \t\u00a0][^\n]*"
    r")(?:\n|\z)"
)
_NOTICE = (
    r"(?m)^[ \t\u3000]*(?:"
    r"この(?:項目|記事|ページ)(?:では|は)[^\n。]*について[^\n。]*。[^\n]*(?:ご覧|参照)[^\n]*"
    r"|「[^\n「」]+」[^\n。]*(?:この|当)(?:項目|記事|ページ)へ(?:転送|リダイレクト)[^\n]*"
    r"|(?:その他の|他の)[^\n。]{0,40}については[、，]?[^\n。]*(?:をご覧ください|を参照(?:のこと|して下さい|してください)?)。?"
    r")[ \t]*(?:\n|\z)"
)
# What follows names of characters is no remainder of markup: 読点（、）.
_NAMED_MARK = r"(読点|句点|コンマ|カンマ|コロン|中黒|中点|スラッシュ|記号|句読点)([（(])([、，,;；:：・/。]+)([）)])"


class _Step(NamedTuple):
    """Replacements by regular expression, and texts of which at least one stands where any of them has something to do."""

    needles: tuple[str, ...]
    replacements: tuple[tuple[str, str], ...]


_BRACES = r"\{\{[^{}]*\}\}"
_MARKUP = (
    _Step(("<!--",), ((r"(?s)<!--.*?-->", ""),)),
    _Step(("<ref",), ((r"<ref[^<>]*/>|<ref[^<>]*>[^<]*</ref>", ""),)),
    _Step(("{{",), ((_BRACES, ""), (_BRACES, ""), (_BRACES, ""))),  # one in another
    _Step(("{|",), ((r"(?ms)^[ \t:]*\{\|.*?^[ \t]*\|\}[^\n]*\n?", ""),)),
    _Step(
        ("[[",),
        (
            (rf"\[\[(?:{_FILE}|Category:|カテゴリ:)[^\[\]\n]*\]\]", ""),
            (r"\[\[(?:[^\[\]|\n]*\|)?([^\[\]|\n]*[^\x00-\x7f][^\[\]|\n]*)\]\]", "${1}"),
        ),
    ),
    _Step(("'''",), ((r"'{3}([^'\n]+)'{3}", "${1}"),)),
    _Step(("|", "DEFAULTSORT", "__", "^", "↑", "ategory", "カテゴリ", "ファイル", "ile", "画像", "mage"), ((_MARKUP_LINE, ""),)),
)  # fmt: skip
_MARKS = (
    _Step(("ご覧", "参照", "へ転送", "へリダイレクト"), ((_NOTICE, ""),)),
    _Step(("]", "］"), ((_BRACKETED, ""), (_NUMBERED, "${1}"))),
    _Step(("\\displaystyle",), ((r"[^。\n]*\\displaystyle[^。\n]*(?:。|\n|\z)", ""),)),
    _Step(
        (
            *("（、", "（，", "（,", "（；", "（;", "（ ", "（\u3000", "（）", "(、", "(，", "(, ", "(; ", "( ", "()"),
            *("、）", "，）", ",）", "；）", ";）", " ）", "\u3000）", "、)", "，)"),
        ),
        (
            (_NAMED_MARK, "${1}${2}\ue000${3}\ue000${4}"),
            (r"（[ \u3000]*(?:[、，,；;][ \u3000]*)+", "（"),
            (r"\((?: *[、，] *| *[,;] )+", "("),
            (r"(?:[ \u3000]*[、，,；;])+[ \u3000]*）", "）"),
            (r"(?:[ \u3000]*[、，])+[ \u3000]*\)", ")"),
            (r"（[ \u3000]*）", ""),
            (r"([^\x00-\x7f])\( ?\)", "${1}"),
            ("\ue000", ""),
        ),
    ),
)  # fmt: skip
_FOOTNOTES = r"(?s)([。」』）)]) \^ .*"  # of a text without line ends: from the first to the end


def strip_markup(texts: pl.Series) -> pl.Series:
    """Return plain texts without remains of wikitext: braces, tables, lines of files and categories, footnotes.

    >>> strip_markup(pl.Series(["東京は{{仮|x}}首都。\\nCategory:都市"])).item()
    '東京は首都。\\n'
    """
    for step in _MARKUP:
        texts = _replace(texts, step)
    return _drop_footnotes(texts)


def strip_marks(texts: pl.Series, titles: pl.Series | None = None) -> pl.Series:
    """Return texts without marks. Titles, where they are known, tell a navigation line ("A > B > title") from text.

    >>> strip_marks(pl.Series(["東京（、）は首都[1]である[要出典]。"])).item()
    '東京は首都である。'
    """
    for step in _MARKS:
        texts = _replace(texts, step)
    return texts if titles is None else _drop_navigation(texts, titles)


def _replace(texts: pl.Series, step: _Step) -> pl.Series:
    if len(step.needles) == 1:
        rows = texts.str.contains(step.needles[0], literal=True).arg_true()
    else:
        rows = texts.str.contains_any(list(step.needles)).arg_true()
    if not len(rows):
        return texts
    found = texts.gather(rows)
    for pattern, replacement in step.replacements:
        found = found.str.replace_all(pattern, replacement)
    return texts.scatter(rows, found)


def _drop_footnotes(texts: pl.Series) -> pl.Series:
    rows = (texts.str.contains(" ^ ", literal=True) & ~texts.str.contains("\n", literal=True)).arg_true()
    return texts.scatter(rows, texts.gather(rows).str.replace(_FOOTNOTES, "${1}")) if len(rows) else texts


def _drop_navigation(texts: pl.Series, titles: pl.Series) -> pl.Series:
    rows = texts.str.contains(r"\A[^\n]{1,200}? > ").fill_null(False).arg_true()
    stripped = []
    for text, title in zip(texts.gather(rows), titles.gather(rows), strict=True):
        stripped.append(re.sub(rf"\A[^\n]{{1,300}}? > {re.escape(title)}\s*", "", text) if title else text)
    return texts.scatter(rows, pl.Series(stripped, dtype=pl.String)) if stripped else texts
