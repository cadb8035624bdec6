"""Transcripts as they are spoken: what captions add to speech is kept, removed or marked.

| | |
|---|---|
| tags | sounds and manners: （笑） [拍手] ＜ナレーション＞ ♪ ≫ → |
| speakers | who speaks, before what is said: 「田中：」 （司会） ≫ |
| fillers | えー あのー えっと んー |

A marked tag is `[笑]`. A marked filler is `(F えー)`, as in the Corpus of Spontaneous Japanese.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

Treatment = Literal["keep", "remove", "mark"]

# Brackets in captions say what is heard or who speaks: a few characters, no sentence.
_OPENING, _CLOSING = r"(（\[［〔【<＜〈《", r")）\]］〕】>＞〉》"
_TAG = f"[{_OPENING}]([^{_OPENING}{_CLOSING}。、]{{1,20}})[{_CLOSING}]"
_MARKED_FILLER, _HEADING_MARK = "\ue000", "\ue001"  # private characters
_NESTED = 3  # how deep tags may stand in tags
_SIGNS = "[♪♫♬≫≪⇒→←☎📱▶◀]+"
# A name of up to eight characters before a colon, at the beginning of the transcript or of a sentence. 10:30 is a time, https:
# a URL.
_BEGINNING = r"(?:^|(?P<end>[。!?！？\n\])）]))\s*[≫≪>]*\s*"
_SIGN = r"[\p{Han}\p{Katakana}\p{Hiragana}ーA-Za-z0-9・]"
_SPEAKER = rf"{_BEGINNING}{_SIGN}{{1,8}}[:：]\s*(?P<next>[^\d\s/／]|$)"
# What comes before a colon and is not a name: 第1回, 2つ目, 問1, 例. (三田 and 一条 are names.)
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
# Set off by punctuation or the transcript's ends: あのー in あのーら is not a filler.
_FILLER = rf"(?P<before>^|[、。,.!?！？:：)\s])(?P<filler>{'|'.join(_FILLERS)})(?:[、,]\s*|(?P<after>[。.!?！？\s]|$))"


def spoken(
    texts: pl.Series, tags: Treatment = "remove", speakers: Literal["keep", "remove"] = "remove", fillers: Treatment = "keep"
) -> pl.Series:
    """Treat `tags`, `speakers` and `fillers` in a column of transcripts. White space becomes single, null stays null.

    A speaker is recognised only before a colon or after ≫: a name in brackets is a tag. Headings (第1回： 例：) are not
    speakers.
    """
    name = texts.name
    treated = texts
    if tags != "keep":
        treated = treated.str.replace_all("(F ", _MARKED_FILLER, literal=True)  # a filler that is marked already is not a tag
        for _ in range(_NESTED if tags == "remove" else 1):
            treated = treated.str.replace_all(_TAG, "" if tags == "remove" else "[${1}]")
        treated = treated.str.replace_all(_MARKED_FILLER, "(F ", literal=True)
    if speakers == "remove":
        treated = treated.str.replace_all(_HEADING, f"${{before}}{_HEADING_MARK}${{colon}}")
        treated = treated.str.replace_all(_SPEAKER, "${end}${next}").str.replace_all(_HEADING_MARK, "", literal=True)
    if tags != "keep":
        treated = treated.str.replace_all(_SIGNS, "" if tags == "remove" else "[$0]")
    if fillers != "keep":
        into = "${before}(F ${filler})${after}" if fillers == "mark" else "${before}${after}"
        for _ in range(3):  # neighbours share the comma between them
            treated = treated.str.replace_all(_FILLER, into)
    return treated.str.replace_all(r"\s+", " ").str.strip_chars().alias(name)
