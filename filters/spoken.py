"""Transcripts as they are spoken: what stands in captions and is not said is kept, removed or marked.

| | |
|---|---|
| tags | sounds and manners: （笑） [拍手] ＜ナレーション＞ ♪ ≫ → |
| speakers | who speaks, before what is said: 「田中：」 （司会） ≫ |
| fillers | えー あのー えっと んー |

Marked, a tag is `[笑]`, and a filler `(F えー)` as in the Corpus of Spontaneous Japanese.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

Treatment = Literal["keep", "remove", "mark"]

# Brackets of captions hold what is heard or who speaks: a few characters, no sentence.
_OPENING, _CLOSING = r"(（\[［〔【<＜〈《", r")）\]］〕】>＞〉》"
_TAG = f"[{_OPENING}]([^{_OPENING}{_CLOSING}。、]{{1,20}})[{_CLOSING}]"
_FILLED, _NESTED = "\ue000", 3  # a private character; how deep tags may stand in tags
_SIGNS = "[♪♫♬≫≪⇒→←☎📱▶◀]+"
# A name of up to eight characters before a colon, at the beginning of the transcript or of a sentence. 10:30 is a time.
_NAME = r"[\p{Han}\p{Katakana}\p{Hiragana}ーA-Za-z0-9・]{1,8}"
_SPEAKER = rf"(?:^|(?P<end>[。!?！？\n\])）]))\s*[≫≪>]*\s*{_NAME}[:：]\s*(?P<next>[^\d\s]|$)"
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

    Speakers can be told apart from tags only before a colon or after ≫: a name in brackets goes with the tags.
    """
    name = texts.name
    found = texts
    if tags != "keep":
        found = found.str.replace_all("(F ", _FILLED, literal=True)  # a filler that is marked already is no tag
        for _ in range(_NESTED if tags == "remove" else 1):
            found = found.str.replace_all(_TAG, "" if tags == "remove" else "[${1}]")
        found = found.str.replace_all(_FILLED, "(F ", literal=True)
    if speakers == "remove":
        found = found.str.replace_all(_SPEAKER, "${end}${next}")
    if tags != "keep":
        found = found.str.replace_all(_SIGNS, "" if tags == "remove" else "[$0]")
    if fillers != "keep":
        into = "${before}(F ${filler})${after}" if fillers == "mark" else "${before}${after}"
        for _ in range(3):  # one after the other share the comma between them
            found = found.str.replace_all(_FILLER, into)
    return found.str.replace_all(r"\s+", " ").str.strip_chars().alias(name)
