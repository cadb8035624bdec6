"""Transcripts as they are spoken: what captions add to speech is kept, removed or marked.

| | |
|---|---|
| tags | sounds and manners: （笑） [拍手] 〈音楽〉 ♪ ≫ → |
| speakers | who speaks, before what is said: 「田中：」 （司会） ≫ |
| fillers | えー あのー えっと んー |

A marked tag is `[笑]`. A marked filler is `(F えー)`, as in the Corpus of Spontaneous Japanese. Round and square brackets hold notes. What
stands between 〈〉 《》 ＜＞ is said (a narrator, a voice on the telephone, a title), so that only the marks go, unless it names a sound.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from filters.transcript.speakers import remove_speakers

Treatment = Literal["keep", "remove", "mark"]

# Brackets in captions say what is heard or who speaks: a few characters, no sentence.
_OPENING, _CLOSING = r"(（\[［〔【", r")）\]］〕】"
_TAG = f"[{_OPENING}]([^{_OPENING}{_CLOSING}。、]{{1,20}})[{_CLOSING}]"
_MARKED_FILLER = "\ue000"  # a private character
_NESTED = 3  # how deep tags may stand in tags
_SIGNS = "[♪♫♬≫≪⇒→←☎📱▶◀]+"
# ARIB's captions put another voice between these (ReazonSpeech's builder drops the marks alone); corpora put sounds there, too.
_ANGLE_OPENING, _ANGLE_CLOSING = "<＜〈《", ">＞〉》"
_SOUNDS = (
    "笑い?|爆笑|苦笑|失笑|笑い声|拍手|歓声|悲鳴|泣き声|鳴き声|音楽|音声|効果音|雑音|ノイズ|騒音|無音|沈黙|咳|せき|咳払い|くしゃみ|ため息|溜息|息|舌打ち|どよめき|"
    "ざわめき|チャイム|ブザー|サイレン|ベル|着信音|電話の音|ドアの音|ナレーション|ナレーター|ナレ|BGM|SE|聞き取り不能|聞き取れず|不明|不明瞭"
)
_SOUND = rf"[{_ANGLE_OPENING}]({_SOUNDS})[{_ANGLE_CLOSING}]"
_MARKUP = r"<(/?[a-z_][a-z0-9_ .=\"'/-]*|\|[^|<>]*\|)>"  # <noise> </i> <|ja|>
_SAID = rf"(^|[^0-9A-Za-z])[{_ANGLE_OPENING}]([^{_ANGLE_OPENING}{_ANGLE_CLOSING}]+)[{_ANGLE_CLOSING}]"  # 3<5 is none
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

    Which words before a colon are speakers: `filters.transcript.speakers`. A name in brackets is a tag.
    """
    name = texts.name
    treated = texts
    if tags != "keep":
        treated = treated.str.replace_all("(F ", _MARKED_FILLER, literal=True)  # a filler that is marked already is not a tag
        for _ in range(_NESTED if tags == "remove" else 1):
            treated = treated.str.replace_all(_TAG, "" if tags == "remove" else "[${1}]")
        for pattern in (_SOUND, _MARKUP):
            treated = treated.str.replace_all(pattern, "" if tags == "remove" else "[${1}]")
        for _ in range(_NESTED):
            treated = treated.str.replace_all(_SAID, "${1}${2}")
        treated = treated.str.replace_all(_MARKED_FILLER, "(F ", literal=True)
    if speakers == "remove":
        treated = remove_speakers(treated)
    if tags != "keep":
        treated = treated.str.replace_all(_SIGNS, "" if tags == "remove" else "[$0]")
    if fillers != "keep":
        into = "${before}(F ${filler})${after}" if fillers == "mark" else "${before}${after}"
        for _ in range(3):  # neighbours share the comma between them
            treated = treated.str.replace_all(_FILLER, into)
    return treated.str.replace_all(r"\s+", " ").str.strip_chars().alias(name)
