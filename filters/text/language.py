"""Language of a document, a line or a caption: by script where that decides, by Han where there is little else, by lid.176 elsewhere.

No language but Japanese is written with kana. Where kana make up at least `KANA_SHARE` of the letters, and at least
`KANA_TO_HAN` of kana and Han together, the answer is Japanese with score 1. But kana stand in other languages, too: as faces,
ヽ(´ー`)ノ, in names of products, as 的 is written の, in lessons. So where kana are few beside Han, hangul or other letters, a second
look takes away those that stand alone, and weighs the Han around them: simplified characters are not Japanese.
Text of Han alone is weighed character by character (`filters.text.han`); whatever is undecided is Japanese, since the corpus is: 東京大学,
犬 and 山水画 could be either. lid.176 is asked about what is in other letters; where it is not sure of a language in Latin letters, kana among
them make a text Japanese. Romaji is "ja-Latn" (`filters.text.romaji`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import polars as pl

from filters.kernels import buffers, to_arrow
from filters.text import language_script as s
from filters.text.han import CHINESE_AT, chinese_probability, chinese_steps
from filters.text.language_model import PREFIX, UNKNOWN, identify
from filters.text.romaji import is_romaji

KANA_SHARE = 0.02  # of letters; see docs/measures.md for what other values would do
KANA_TO_HAN = 0.15  # kana / (kana + Han); running Japanese text has 0.4 to 0.9, lists of kanji terms about 0.2
MINIMUM_KANA = 5  # characters: a single decorative の decides nothing
SHORT = 100  # letters: below, kana that stand alone, as in a table of kana, may be most of a text
CLEAR_SHARE = 0.5  # hiragana / (hiragana + Han), and of all letters: from here on a text is running Japanese
PROSE_SHARE = 0.35  # hiragana / (hiragana + Han), below which Chinese characters make a text Chinese that quotes kana
CHINESE_HAN = 0.05  # of the Han, less those that are Japanese only: characters that only Chinese has
LEAST_HAN = 5  # characters of both sides whose weights say something
ONE_SIDED = 6  # steps of weight (`filters.text.han.STEP`) that a character of one side only counts for: 20 to 1
FEW_HIRAGANA = 2  # beside which one Chinese character is enough: の for 的; beside more it is a name in Japanese
NAMES_WEIGHT = 0.5  # steps for each of the Han, from which on they are Chinese where kana are a の or names
FOREIGN = 4  # letters of Latin and other scripts for each of kana and Han, among which katakana without hiragana are names
FOREIGN_OF_QUOTES = 2  # … where no hiragana stand beside other letters, as particles do
MOST_NAMES = 100  # katakana: where there are more, it is a list in Japanese
MOST_QUOTED = 20  # kana: up to so many are words quoted in a text of foreign letters, where lid.176 is sure of its language
LEAST_MIXED = 3  # kana among more foreign letters, with which a text is Japanese where lid.176 is not sure
FEW_WORDS = 4  # in Latin letters, beside which as many kana and Han make a short text theirs: Nintendo Switch 本体
TO_WORDS = 1.25  # kana and Han for each of more words
SURE = 0.7  # lid.176's score
JAPANESE, ROMAJI = "ja", "ja-Latn"
_EAST_ASIAN = re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u9fff]")
_KANA = re.compile("[\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff\u31f0-\u31ff]")
_GLOSS = re.compile(r"[(（][^()（）]*[)）]")

COUNTERS = ("language", "language_score")


class Languages(NamedTuple):
    """Languages of n texts, as ISO 639 codes, with scores from 0 to 1, and the counts of `filters.text.language_script`."""

    codes: np.ndarray  # object[n] of str
    scores: np.ndarray  # float32[n]
    counts: np.ndarray  # int32[COLUMNS, n]


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`language` (object[n] of str) and `language_score` (float32[n]) of any texts."""
    found = judge(data, offsets)
    return {"language": found.codes, "language_score": found.scores}


def is_running_japanese(counters: dict[str, np.ndarray]) -> np.ndarray:
    """bool[n]: whether the counters of `filters.text.characters` show so many hiragana that nothing else need be looked at."""
    hiragana, han = counters["n_hiragana"], counters["n_han"]
    letters = hiragana + han + sum(counters[f"n_{name}"] for name in ("katakana", "hangul", "latin", "other_letter"))
    return (hiragana >= CLEAR_SHARE * (hiragana + han)) & (hiragana >= CLEAR_SHARE * letters) & (letters >= SHORT)


def judge(data: np.ndarray, offsets: np.ndarray, ask: bool = True) -> Languages:
    """Return the languages of n texts. Without `ask` the code is "" where only lid.176 would know."""
    c = s.count_scripts(data, offsets[:-1], offsets[1:])
    codes, scores = np.full(c.shape[1], "", dtype=object), np.ones(c.shape[1], np.float32)
    kana, han, hangul, words = c[s.HIRAGANA] + c[s.KATAKANA], c[s.HAN], c[s.HANGUL], c[s.LATIN_WORDS]
    letters = c[s.ALL_KANA] + han + _foreign(c)
    is_open = np.ones(c.shape[1], bool)

    def answer(rows: np.ndarray, code: str, score: float = 1) -> None:
        rows = rows & is_open
        codes[rows], scores[rows] = code, score
        is_open[rows] = False

    answer(letters == 0, UNKNOWN, 0)
    answer(is_japanese_by_script(c) | (c[s.ALL_KANA] == letters), JAPANESE)
    is_short = letters < SHORT
    least = np.where(words <= FEW_WORDS, 1, TO_WORDS) * words
    prevails_by_words = is_short & (kana + han >= least) & (kana + han >= np.maximum(hangul, c[s.OTHER]))
    prevails = (kana + han > _foreign(c)) | prevails_by_words & (kana + han > 0)
    _weigh_rows(data, offsets, np.flatnonzero(is_open & prevails), Languages(codes, scores, c))
    is_open &= ~prevails
    answer((hangul >= words) & (hangul > kana + han) & (hangul >= c[s.OTHER]), "ko")
    if ask:
        _ask_model(data, offsets, np.flatnonzero(is_open), Languages(codes, scores, c))
    return Languages(codes, scores, c)


def is_japanese_by_script(c: np.ndarray) -> np.ndarray:
    """bool[n]: whether kana alone say that a text is Japanese."""
    hiragana, kana, foreign = c[s.HIRAGANA], c[s.HIRAGANA] + c[s.KATAKANA], _foreign(c)
    is_chinese = _is_chinese(c) & (hiragana < PROSE_SHARE * (hiragana + c[s.HAN]))
    return _has_kana_enough(kana, c[s.HAN], foreign) & ~is_chinese & ~_has_quotes_only(c) & (c[s.HANGUL] <= kana)


def _foreign(c: np.ndarray) -> np.ndarray:
    return c[s.LATIN] + c[s.OTHER] + c[s.HANGUL]


def _has_kana_enough(kana: np.ndarray, han: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (kana >= MINIMUM_KANA) & (kana >= KANA_SHARE * (kana + han + others)) & (kana >= KANA_TO_HAN * (kana + han))


def _has_quotes_only(c: np.ndarray) -> np.ndarray:
    """bool[n]: whether kana are so few among letters of Latin and other scripts that they may be names or words that are quoted."""
    kana = c[s.HIRAGANA] + c[s.KATAKANA]
    few = (kana <= MOST_QUOTED) | (c[s.HIRAGANA] == 0) & (kana <= MOST_NAMES)
    least = np.where(c[s.BESIDE] > 0, FOREIGN, FOREIGN_OF_QUOTES)
    return few & (c[s.LATIN] + c[s.OTHER] > least * (kana + c[s.HAN]))


def _is_chinese(c: np.ndarray) -> np.ndarray:
    """bool[n]: whether Han of one side only, or what all of them weigh, speak for Chinese beside kana."""
    one_sided, han = c[s.ONLY_CHINESE_HAN] - c[s.ONLY_JAPANESE_HAN], c[s.HAN]
    hiragana, kana = c[s.HIRAGANA], c[s.HIRAGANA] + c[s.KATAKANA]
    has_names = (hiragana == 1) | (hiragana == 0) & (kana >= MINIMUM_KANA)
    least = np.where(has_names & (han >= 2 * LEAST_HAN), NAMES_WEIGHT, 1)
    has_weight = (han >= LEAST_HAN) & (c[s.WEIGHT] + ONE_SIDED * one_sided >= least * han) & (kana <= han)
    is_enough = (one_sided > 1) | (hiragana <= FEW_HIRAGANA)
    return (one_sided > 0) & (one_sided >= CHINESE_HAN * han) & is_enough | (one_sided >= 0) & has_weight


def _weigh_rows(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, out: Languages) -> None:
    """Fill in what `rows` are in, texts that consist of Han and perhaps a few kana."""
    c = out.counts[:, rows]
    kana, one_sided = c[s.HIRAGANA] + c[s.KATAKANA], c[s.ONLY_CHINESE_HAN] - c[s.ONLY_JAPANESE_HAN]
    quotes_kana = (one_sided > 0) & ((kana <= c[s.NO]) | (kana < KANA_TO_HAN * (kana + c[s.HAN])))
    texts = pl.Series("text", to_arrow(data, offsets)).gather(rows)
    steps = chinese_steps(texts, one_sided, c[s.WEIGHT], c[s.KINDS], c[s.STOP])
    is_chinese = (steps >= CHINESE_AT) & ((kana == 0) | quotes_kana)
    is_chinese |= (kana > 0) & _is_chinese(c) & (c[s.HIRAGANA] < PROSE_SHARE * (c[s.HIRAGANA] + c[s.HAN]))
    chance = chinese_probability(steps)
    has_kana = (kana > 0) & ~quotes_kana & (kana >= KANA_TO_HAN * (kana + c[s.HAN]))
    out.codes[rows] = np.where(is_chinese, "zh", JAPANESE)
    out.scores[rows] = np.where(is_chinese, np.maximum(chance, 0.5), np.where(has_kana, 1, 1 - chance))


def _ask_model(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, out: Languages) -> None:
    """Fill in what lid.176 says of `rows`, as far as kana, hangul or romaji do not know better."""
    c = out.counts[:, rows]
    kana, han, foreign = c[s.HIRAGANA] + c[s.KATAKANA], c[s.HAN], _foreign(c)
    is_decoration = (kana == 0) | _has_quotes_only(c)
    may_be_mixed = (c[s.HANGUL] <= kana) & ((kana >= LEAST_MIXED) | (c[s.BESIDE] > 0)) & (kana + han >= KANA_SHARE * foreign)
    for i, row in enumerate(rows.tolist()):
        start = offsets[row]
        text = data[start : min(offsets[row + 1], start + 16 * PREFIX)].tobytes().decode(errors="ignore")
        code, score = identify(_KANA.sub(" ", text) if is_decoration[i] else text)
        if kana[i] + han[i]:
            if code != JAPANESE and score < SURE and (gloss := _judge_without_gloss(text)):
                code, score = gloss
            elif may_be_mixed[i] and score < SURE:
                code, score = JAPANESE, max(0.5, score if code == JAPANESE else 1 - score)
            elif code == JAPANESE and foreign[i] >= SHORT and foreign[i] > FOREIGN_OF_QUOTES * (kana[i] + han[i]):
                code, score = identify(_EAST_ASIAN.sub(" ", text))
        elif code == JAPANESE:  # lid.176 may say so of a word in capitals
            code, score = UNKNOWN, 0.0
        if c[s.LATIN][i] > kana[i] + han[i] + c[s.OTHER][i] and is_romaji(text):
            code, score = ROMAJI, 1.0
        out.codes[row], out.scores[row] = code, score


def _judge_without_gloss(text: str) -> tuple[str, float] | None:
    """Judge a text of Han by what stands outside brackets: 势在必行 (Il faut bien le faire). None where that is in other letters, too."""
    outside = _GLOSS.sub("", text)
    if outside == text:
        return None
    found = judge(*buffers(pl.Series([outside])), ask=False)
    return (found.codes[0], float(found.scores[0])) if found.codes[0] in (JAPANESE, "zh") else None
