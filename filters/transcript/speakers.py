"""Who speaks, as a transcript says before a colon: 「田中：」 「司会：」 「A:」.

What comes before a colon at the beginning of a transcript or a sentence is a speaker where it

- follows ≫,
- names a role (司会, 記者, 男性, 話者1, A), or ends in a title (山田さん, 高橋アナ), or
- is a person's name to the dictionary: 田中, 夏目漱石, アリス.

Anything else is read aloud, and stays: 本名：山田, 第1回：始まり, 例：猫, https:.
"""

from __future__ import annotations

import re
from functools import lru_cache

import polars as pl

from filters.transcript.dictionary import is_personal_name

_LABEL = re.compile(
    r"(?:^|(?<=[。!?！？\n\])）]))(?P<space>\s*)(?P<turn>[≫≪>]*)\s*"
    r"(?P<label>[\u3005\u3041-\u309f\u30a1-\u30ff\u4e00-\u9fffA-Za-z0-9・]{1,10})[:：](?!//)\s*"
)
_ROLES = re.compile(
    "(?:司会者?|進行|記者|質問者|回答者|聞き手|話し手|話者|語り手?|ナレーター|ナレーション|アナウンサー|アナ|キャスター|リポーター|レポーター|インタビュアー|ゲスト|ホスト|"
    "実況|解説者?|先生|生徒|学生|教師|講師|客|お客さん|店員|店長|医者|医師|看護師|患者|警官|刑事|運転手|車掌|駅員|オペレーター|スタッフ|議長|委員長?|議員|"
    "お?母さん|お?父さん|お?兄さん|お?姉さん|母親?|父親?|兄|姉|弟|妹|祖[父母]|息子|娘|夫|妻|男|女|男性|女性|男の子|女の子|子供|子ども|少年|少女|老人|青年|"
    "私|僕|俺|友人|友達|上司|部下|社長|部長|課長|全員|一同|スピーカー|[Ss]peaker|[Hh]ost|[Gg]uest|[Nn]arrator|[Ii]nterviewer|MC|DJ)[A-Za-z0-9一二三四五]{0,2}"
    "|[A-PR-Z][0-9]?"  # Q begins a question
)
_TITLES = re.compile(
    ".+(?:さん|さま|様|氏|君|くん|ちゃん|先生|選手|監督|記者|議員|大臣|総理|知事|市長|社長|部長|課長|会長|局長|長官|教授|博士|委員長?|アナ|アナウンサー|キャスター)"
)


@lru_cache(10_000)
def is_speaker(label: str) -> bool:
    """True where `label`, before a colon, names somebody who speaks."""
    if _ROLES.fullmatch(label) or _TITLES.fullmatch(label):
        return True
    return bool(re.search("[^0-9A-Za-z・]", label)) and is_personal_name(label)


def _remove(match: re.Match[str]) -> str:
    return match["space"] if match["turn"] or is_speaker(match["label"]) else match[0]


def remove_speakers(texts: pl.Series) -> pl.Series:
    """Texts without speakers before a colon; null stays null."""
    rows = texts.str.contains("[:：]").fill_null(False).arg_true()
    if not len(rows):
        return texts
    return texts.scatter(rows, pl.Series([_LABEL.sub(_remove, text) for text in texts.gather(rows)], dtype=pl.String))
