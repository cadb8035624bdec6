"""The measures of a transcript: how fast it would have to be spoken, whether it loops, and how much a second one differs.

The caller gives what the text does not say: `speech_seconds` (float, of the recording without silence, NaN where unknown),
`n_morae` (of the reading), `surface_error` and `reading_error` (error rates against a second transcript, NaN without one). Passes
over the text count `n_looped`, the characters in the longest loop, `n_chinese`, the Han of a Chinese sentence, and say with `is_phantom`
whether a transcript is what recognisers put where nobody speaks.
"""

from __future__ import annotations

import polars as pl

from filters.expressions import given, share
from filters.registry import measure

_OTHER = r"[\p{L}\p{M}--[\p{Han}\p{Hiragana}\p{Katakana}ーｰ々〆]]"
_NO_CAPITAL = r"[\p{L}\p{M}--[\p{Han}\p{Hiragana}\p{Katakana}ーｰ々〆A-ZＡ-Ｚ]]"
# Abbreviations are Japanese, too: NHK, DVD, EU. Sentences in capitals have longer words.
_OTHER_WORD = rf"{_OTHER}*{_NO_CAPITAL}{_OTHER}*(?:[.'’-]{_OTHER}+)*|[A-ZＡ-Ｚ]{{6,}}"
_LONE_WORD = r"^\P{L}*\p{Latin}*\p{Lu}\p{Latin}*\P{L}*$"  # Yes!, iPhone
_OPEN_ENDED = r"[をがはにへとのもや、,](?:[\s」』）)]*)$"


def _per(count: pl.Expr, seconds: pl.Expr) -> pl.Expr:
    return pl.when(seconds > 0).then(count / seconds).cast(pl.Float32)


@measure(kind="transcript")
def morae() -> pl.Expr:
    """Morae of the reading: the beats of Japanese, about seven a second."""
    return pl.col("n_morae")


@measure(kind="transcript")
def morae_per_second() -> pl.Expr:
    """Morae per second of speech (silence left out); null where the recording has no speech."""
    return _per(pl.col("n_morae"), given("speech_seconds"))


@measure(kind="transcript")
def seconds_per_mora() -> pl.Expr:
    """Seconds of speech per mora: too many where text is missing, too few where there is too much of it. Null without morae."""
    seconds = given("speech_seconds")
    return pl.when(seconds > 0).then(_per(seconds, pl.col("n_morae").cast(pl.Float32)))


@measure(kind="transcript")
def characters_per_second() -> pl.Expr:
    """Characters of the transcript per second of speech; null where the recording has no speech."""
    return _per(pl.col("n_chars"), given("speech_seconds"))


@measure(kind="transcript")
def japanese_word_share() -> pl.Expr:
    """Share of kana and Han, where a word in other letters counts as one, and digits, signs and abbreviations (NHK) do not.

    1 without letters, and for a single name (iPhone). Chinese sentences without kana count as other letters.

    >>> measure_text("2011年3月11日です", "japanese_word_share"), measure_text("NHKです。", "japanese_word_share")
    (1.0, 1.0)
    >>> measure_text("請不吝點讚訂閱", "japanese_word_share")
    0.0
    >>> measure_text("The library is closed.", "japanese_word_share")
    0.0
    """
    japanese = pl.sum_horizontal("n_hiragana", "n_katakana", "n_han")
    words = japanese + pl.col("text").str.count_matches(_OTHER_WORD)
    is_free = (words == 0) | pl.col("text").str.contains(_LONE_WORD)
    return pl.when(is_free).then(1.0).otherwise(share(japanese - pl.col("n_chinese"), words)).cast(pl.Float32)


@measure(kind="transcript")
def looped_share() -> pl.Expr:
    """Share of the characters in the longest loop: a phrase of up to 20 that comes so often in a row that it makes 30, or 20 times.

    >>> measure_text("はいはいはいはい、以上です。", "looped_share")
    0.0
    >>> measure_text("ありがとうございました。" * 12, "looped_share")
    1.0
    """
    return share(pl.col("n_looped"), pl.col("n_chars"))


@measure(kind="transcript")
def phantom_morae_per_second() -> pl.Expr:
    """Morae per second of speech of a transcript that is a phrase of the list `phantoms`; null for any other.

    Recognisers put these phrases (ご視聴ありがとうございました) where nobody speaks: over silence they would have to be said at hundreds of
    morae a second, over music or noise at one or two. Who says them in earnest takes his time.
    """
    seconds = given("speech_seconds").clip(lower_bound=0.01)
    return pl.when(pl.col("is_phantom")).then(pl.col("n_morae") / seconds).cast(pl.Float32)


@measure(kind="transcript")
def ends_open() -> pl.Expr:
    """1 where the transcript ends with a particle that something must follow (を が に …) or a comma, as where it was cut off.

    >>> measure_text("明日は雨が", "ends_open")
    1
    >>> measure_text("明日は雨です。", "ends_open")
    0
    """
    return pl.col("text").str.contains(_OPEN_ENDED).cast(pl.Int8)


@measure(kind="transcript")
def surface_error_rate() -> pl.Expr:
    """Character error rate of a second transcript as written, symbols left out; null where there is no second one."""
    return given("surface_error")


@measure(kind="transcript")
def reading_error_rate() -> pl.Expr:
    """Error rate of a second transcript as read aloud: 分かる and わかる are the same. Null where there is no second one."""
    return given("reading_error")
