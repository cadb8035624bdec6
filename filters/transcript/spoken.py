"""Transcripts as they are spoken: what stands in captions and is not said is kept, removed or marked.

| | |
|---|---|
| tags | sounds and manners: （笑） [拍手] ＜ナレーション＞ ♪ ≫ → |
| speakers | who speaks, before what is said: 「田中：」 （司会） ≫ |
| fillers | えー あのー えっと んー |

Marked, a tag is `[笑]`, and a filler `(F えー)` as in the Corpus of Spontaneous Japanese.
Marked, a tag is `[笑]`, and a filler `(F えー)` as in the Corpus of Spontaneous Japanese.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

Treatment = Literal["keep", "remove", "mark"]

# Brackets of captions hold what is heard or who speaks: a few characters, no sentence.
_OPENING, _CLOSING = r"(（\[［〔【<＜〈《", r")）\]］〕】>＞〉》"
_TAG = f"[{_OPENING}]([^{_OPENING}{_CLOSING}。、]{{1,20}})[{_CLOSING}]"
_FILLED, _HEADED = "\ue000", "\ue001"  # private characters
_NESTED = 3  # how deep tags may stand in tags
_SIGNS = "[♪♫♬≫≪⇒→←☎📱▶◀]+"
# A name of up to eight characters before a colon, at the beginning of the transcript or of a sentence. 10:30 is a time, https:
# a URL.
_BEGINNING = r"(?:^|(?P<end>[。!?！？\n\])）]))\s*[≫≪>]*\s*"
_SIGN = r"[\p{Han}\p{Katakana}\p{Hiragana}ーA-Za-z0-9・]"
_SPEAKER = rf"{_BEGINNING}{_SIGN}{{1,8}}[:：]\s*(?P<next>[^\d\s/／]|$)"
# What stands before a colon and is no name: 第1回, 2つ目, 問1, 例. (三田 and 一条 are names.)
_DIGIT = r"[\d一二三四五六七八九十百]"
_WORDS = (
    "問|答|答え|例|注|図|表|式|質問|回答|解答|問題|設問|例題|例文|正解|注意|補足|備考|参考|出典|引用|結論|結果|理由|原因|方法|課題|日時|日付|場所|題名|"
    "件名|その|ステップ|ポイント|パート|レッスン|テーマ|タイトル|ヒント|メモ"
)
_HEADING = rf"(?P<before>{_BEGINNING}(?:第{_DIGIT}{_SIGN}{{0,6}}|\d{_SIGN}{{0,7}}|(?:{_WORDS}){_DIGIT}{{0,3}}))(?P<colon>[:：])"
_FILLERS = (
    "え[ーえ]+っ?と[ーぉお]*", "えっと(?:です)?ね?ー?", "え[ーえ〜~]+", "あの[ーう〜~]+", "あ[ー〜~]+", "その[ー〜~]+", "う[ー〜~]+ん*と?",
    "ん[ー〜~]+", "ま[ーあ〜~]+", "なんか[ー〜~]+", "お[ー〜~]+",
)  # fmt: skip
# Set off by punctuation or the transcript's ends: あのー in あのーら is none.
_FILLER = rf"(?P<before>^|[、。,.!?！？:：)\s])(?P<filler>{'|'.join(_FILLERS)})(?:[、,]\s*|(?P<after>[。.!?！？\s]|$))"


def spoken(
    texts: pl.Series, tags: Treatment = "remove", speakers: Literal["keep", "remove"] = "remove", fillers: Treatment = "keep"
) -> pl.Series:
    """A column of transcripts with `tags`, `speakers` and `fillers` so treated; white space single, null stays null.

    Speakers can be told apart from tags only before a colon or after ≫: a name in brackets goes with the tags. Headings
    (第1回： 例：) are none.
    """
    name = texts.name
    found = texts
    if tags != "keep":
        found = found.str.replace_all("(F ", _FILLED, literal=True)  # a filler that is marked already is no tag
        for _ in range(_NESTED if tags == "remove" else 1):
            found = found.str.replace_all(_TAG, "" if tags == "remove" else "[${1}]")
        found = found.str.replace_all(_FILLED, "(F ", literal=True)
    if speakers == "remove":
        found = found.str.replace_all(_HEADING, f"${{before}}{_HEADED}${{colon}}")
        found = found.str.replace_all(_SPEAKER, "${end}${next}").str.replace_all(_HEADED, "", literal=True)
    if tags != "keep":
        found = found.str.replace_all(_SIGNS, "" if tags == "remove" else "[$0]")
    if fillers != "keep":
        into = "${before}(F ${filler})${after}" if fillers == "mark" else "${before}${after}"
        for _ in range(3):  # one after the other share the comma between them
            found = found.str.replace_all(_FILLER, into)
    return found.str.replace_all(r"\s+", " ").str.strip_chars().alias(name)
