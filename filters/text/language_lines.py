"""Mixed documents: how much of a document is in lines of other languages than Japanese.

A document is judged by its letters together (`filters.text.language`), where kana outweigh what is written without them: one Japanese
line among eight of Chinese makes a document with kana enough. So documents that are not Japanese through and through are looked at line
by line. A line is told by script: kana with their Han, Han that weigh for Chinese (those of a document together), hangul, other
scripts, and Latin letters where they are words of a sentence. Code (fenced by ```, indented, or told by its signs), addresses, numbers
and labels are no evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from filters.kernels import buffers, read_only, to_arrow
from filters.text import language
from filters.text import language_script as s
from filters.text.han import CHINESE_AT, STEP, chinese_odds
from filters.text.language import (
    EAST_ASIAN,
    IS_CHINESE,
    IS_JAPANESE,
    IS_KOREAN,
    NO_LETTERS,
    OPEN,
    identify_languages,
    judge_by_script,
)
from filters.text.language_model import UNKNOWN, identify
from filters.text.language_scan import LEAST_WORDS, MOST_SIGNS, SENTENCE_SHARE, gather, scan_lines

LEAST_SHARE = (
    0.4  # of lines in Japanese, from which on a document is Japanese: a text and its translation, line by line, have 0.5
)
MIXED_SHARE = 0.75  # … below which a Japanese document is called mixed
LEAST_MIXED = 0.05  # … from which on a document in another language is
# What a character counts in a line in an alphabet: the same news take 55 of them in Japanese, 54 in Korean, 43 in Chinese and 106 in
# English (NTREX, 998 sentences translated from English); what was written in Japanese takes two and a half times as many in English.
ALPHABET = 0.4
MOST_FOREIGN = (
    0.25  # of the letters, alphabets by `ALPHABET`: documents below, with hiragana as in prose, are not looked at line by line
)
LEAST_HIRAGANA = 0.3  # hiragana / (hiragana + Han): as in prose
MOST_OPEN = 0.1  # of the visible characters: lines that are not kana, up to which they are not looked at either
LEAST_LETTERS = 5  # of a line; shorter ones are labels
SURE = 0.8  # score of Han alone, from which on a line of them is Japanese
SURELY = 0.98  # … from which on it is even among lines that are Chinese together

COUNTERS = ("language", "language_score", "language_kind", "japanese_weight", "told_weight")
JAPANESE, MIXED, ROMAJI, OTHER = "japanese", "mixed", "romaji", "other"


def count(data: np.ndarray, offsets: np.ndarray, counters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`language`, `language_kind` (object[n] of str), `language_score`, `japanese_weight` and `told_weight` (float32[n]) of documents.

    The weights are of the characters in lines that are in Japanese, and in all lines whose language can be told. `counters` are those of
    `filters.text.characters`.
    """
    n = len(offsets) - 1
    codes, scores = np.full(n, language.JAPANESE, object), np.ones(n, np.float32)
    texts = pl.Series("text", to_arrow(data, offsets))
    rows = np.flatnonzero(~language.is_clearly_japanese(counters))
    codes[rows], scores[rows] = identify_languages(*buffers(texts.gather(rows)))
    was_japanese = codes == language.JAPANESE
    has_kana = counters["n_hiragana"] + counters["n_katakana"] > 0
    rows = np.flatnonzero(np.where(was_japanese, ~_is_plainly_japanese(counters), has_kana))
    weights = np.zeros((n, len(LineWeights._fields)))
    weights[rows] = np.column_stack(tell_lines(*buffers(texts.gather(rows)), was_japanese[rows]))
    weights[was_japanese & (weights.sum(axis=1) == 0), 0] = 1
    japanese, told = weights[:, 0], weights.sum(axis=1)
    share = japanese / np.maximum(told, 1e-9)
    for row in np.flatnonzero(was_japanese & (share < LEAST_SHARE)).tolist():
        codes[row], scores[row] = _name_other(texts[row], tuple(weights[row, 1:])), 1 - share[row]
    # Not a line among code and labels, which cannot be told.
    is_much = japanese >= LEAST_SHARE * _weigh_letters(counters)
    codes[~was_japanese & is_much & (share >= LEAST_SHARE)] = language.JAPANESE
    is_japanese = codes == language.JAPANESE
    scores[is_japanese & ~was_japanese] = 1
    scores = np.minimum(scores, np.where(is_japanese, np.maximum(share, 0.5), 1 - share))
    return {
        "language": codes,
        "language_score": scores.astype(np.float32),
        "language_kind": _name_kinds(codes, share, _quotes_kana(counters)),
        "japanese_weight": japanese.astype(np.float32),
        "told_weight": told.astype(np.float32),
    }


def _quotes_kana(counters: dict[str, np.ndarray]) -> np.ndarray:
    """bool[n]: whether kana are more than decoration, if few."""
    kana = counters["n_hiragana"] + counters["n_katakana"]
    letters = kana + sum(counters[f"n_{name}"] for name in ("han", "hangul", "latin", "other_letter"))
    return (kana >= language.MINIMUM_KANA) & (kana >= language.KANA_SHARE * letters)


def _is_plainly_japanese(counters: dict[str, np.ndarray]) -> np.ndarray:
    """bool[n]: whether so little is in other letters, and so much in hiragana, that lines cannot change the answer."""
    hiragana, han, letters = counters["n_hiragana"], counters["n_han"], _weigh_letters(counters)
    foreign = letters - hiragana - counters["n_katakana"] - han
    return (hiragana >= LEAST_HIRAGANA * (hiragana + han)) & (foreign <= MOST_FOREIGN * letters) & (hiragana > 0)


def _weigh_letters(counters: dict[str, np.ndarray]) -> np.ndarray:
    """float64[n]: letters, those of alphabets by `ALPHABET`."""
    alphabets = counters["n_latin"] + counters["n_other_letter"]
    return sum(counters[f"n_{name}"] for name in ("hiragana", "katakana", "han", "hangul")) + ALPHABET * alphabets


class LineWeights(NamedTuple):
    """What the lines of n documents weigh, float64[n] each: visible characters, those of lines in alphabets by `ALPHABET`."""

    japanese: np.ndarray
    chinese: np.ndarray
    korean: np.ndarray
    alphabets: np.ndarray


def tell_lines(data: np.ndarray, offsets: np.ndarray, is_trusted: np.ndarray) -> LineWeights:
    """Return what the lines of n documents weigh by language.

    Kana alone make a line Japanese in documents where `is_trusted` (bool[n]) says that they are no decoration.
    """
    n = len(offsets) - 1
    scan = scan_lines(data, offsets, is_trusted)
    japanese, alphabets = scan.japanese.astype(np.float64), ALPHABET * scan.latin
    chinese, korean = np.zeros(n), np.zeros(n)
    is_asked = ~is_trusted | (scan.open > MOST_OPEN * (japanese + scan.latin))
    rows = np.flatnonzero(is_asked[scan.documents])
    documents = scan.documents[rows]
    lines, line_offsets = map(read_only, gather(data, scan.starts[rows], scan.ends[rows]))
    told, visible = _judge_lines(lines, line_offsets, documents, n)
    for weights, verdict, factor in (
        (japanese, IS_JAPANESE, 1),
        (chinese, IS_CHINESE, 1),
        (korean, IS_KOREAN, 1),
        (alphabets, OPEN, ALPHABET),
    ):
        weights += np.bincount(documents, factor * visible * (told == verdict), n)
    return LineWeights(japanese, chinese, korean, alphabets)


def _judge_lines(data: np.ndarray, offsets: np.ndarray, documents: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what lines of n documents are in, and their visible characters.

    An alphabet is `OPEN`, what cannot be told `NO_LETTERS`.
    """
    verdicts, scores, c = judge_by_script(data, offsets)
    kana, visible = c[s.HIRAGANA] + c[s.KATAKANA], c[s.VISIBLE]
    is_long = c[s.ALL_KANA] + c[s.HAN] + c[s.LATIN] + c[s.OTHER] + c[s.HANGUL] >= LEAST_LETTERS
    # A line of Han may say little; those of a document say it together.
    is_han = (kana == 0) & (c[s.HAN] > 0) & ((verdicts == IS_JAPANESE) | (verdicts == IS_CHINESE))
    chance = np.where(verdicts == IS_CHINESE, scores, 1 - scores)
    total = np.bincount(documents, np.where(is_han, chinese_odds(chance), 0), n)
    is_chinese = (verdicts == IS_CHINESE) & is_long | is_han & (total[documents] >= STEP * CHINESE_AT) & (chance > 1 - SURELY)
    is_japanese = (verdicts == IS_JAPANESE) & ((kana > 1) | (scores >= SURE)) & ~is_chinese
    is_other = (c[s.OTHER] > c[s.LATIN]) & (c[s.OTHER] >= 2 * LEAST_LETTERS)
    is_sentence = (c[s.LATIN_WORDS] >= LEAST_WORDS) & (c[s.LATIN] + c[s.OTHER] >= SENTENCE_SHARE * visible)
    is_alphabet = (verdicts == OPEN) & (is_other | is_sentence & (c[s.SIGNS] <= MOST_SIGNS * visible))
    is_korean = (verdicts == IS_KOREAN) & is_long
    told = np.select([is_chinese, is_japanese, is_korean, is_alphabet], [IS_CHINESE, IS_JAPANESE, IS_KOREAN, OPEN], NO_LETTERS)
    return told, visible


def _name_other(text: str, weights: tuple[float, float, float]) -> str:
    """Return the language of the lines that are not in Japanese, given the weights of those in Chinese, Korean and alphabets."""
    if weights[2] < max(weights):
        return "zh" if weights[0] >= weights[1] else "ko"
    lines = [line for line in text.split("\n") if len(line.split()) >= LEAST_WORDS or not line.isascii()]
    code, _ = identify(EAST_ASIAN.sub(" ", "\n".join(lines)))
    return code if code != language.JAPANESE else UNKNOWN


def _name_kinds(codes: np.ndarray, share: np.ndarray, has_words: np.ndarray) -> np.ndarray:
    """Return `language_kind` of documents, object[n] of str."""
    is_japanese, is_romaji = codes == language.JAPANESE, codes == language.ROMAJI
    is_mixed = np.where(is_japanese, share < MIXED_SHARE, (share >= LEAST_MIXED) | has_words)
    return np.select([is_romaji, is_mixed, is_japanese], [ROMAJI, MIXED, JAPANESE], OTHER).astype(object)
