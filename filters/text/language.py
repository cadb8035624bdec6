"""Language of a document, a line or a caption: by script where that decides, by Han where there is little else, by lid.176 elsewhere.

No language but Japanese is written with kana. Where kana make up at least `KANA_SHARE` of the letters, and at least
`KANA_TO_HAN` of kana and Han together, the answer is Japanese with score 1. But kana stand in other languages, too: as faces,
ヽ(´ー`)ノ, in names of products, as 的 is written の, in lessons. So where kana are few beside Han, hangul or other letters, a second
look takes away those that stand alone, and weighs the Han around them: simplified characters are not Japanese.

Text of Han alone is weighed character by character (`filters.text.han`); whatever is undecided is Japanese, since the corpus is:
東京大学, 犬 and 山水画 could be either. lid.176 is asked about what is in other letters; where it is not sure of a language in Latin
letters, kana among them make a text Japanese. Romaji is "ja-Latn" (`filters.text.romaji`). Documents of lines in several languages are
looked at again by `filters.text.language_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
MANY = 5  # times as many hiragana as would do
MOST_NAMES = 100  # katakana: where there are more, it is a list in Japanese
MOST_QUOTED = 20  # kana: up to so many are words quoted in a text of foreign letters, where lid.176 is sure of its language
LEAST_MIXED = 3  # kana among more foreign letters, with which a text is Japanese where lid.176 is not sure
FEW_WORDS = 4  # in Latin letters, beside which as many kana and Han make a short text theirs: Nintendo Switch 本体
TO_WORDS = 1.25  # kana and Han for each of more words
SURE = 0.7  # lid.176's score
JAPANESE, ROMAJI = "ja", "ja-Latn"
EAST_ASIAN = re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u9fff]")
_KANA = re.compile("[\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff\u31f0-\u31ff]")
_GLOSS = re.compile(r"[(（][^()（）]*[)）]")


# What script says: nothing, so that lid.176 is asked, or one of four codes.
OPEN, NO_LETTERS, IS_JAPANESE, IS_CHINESE, IS_KOREAN = range(5)
_CODES = np.array(["", UNKNOWN, JAPANESE, "zh", "ko"], object)


class Verdicts(NamedTuple):
    """What script says of n texts."""

    verdicts: np.ndarray  # uint8[n]: `OPEN` and so on
    scores: np.ndarray  # float32[n], 0 to 1
    counts: np.ndarray  # int32[COLUMNS, n], of `filters.text.language_script`


class Languages(NamedTuple):
    """Languages of n texts."""

    codes: np.ndarray  # object[n] of str: ISO 639 codes
    scores: np.ndarray  # float32[n], 0 to 1


def identify_languages(data: np.ndarray, offsets: np.ndarray) -> Languages:
    """Return the languages of n documents, lines or captions."""
    found = judge_by_script(data, offsets)
    codes, scores = _CODES[found.verdicts], found.scores.copy()
    rows = np.flatnonzero(found.verdicts == OPEN)
    for row, answer in zip(rows.tolist(), _ask_model(data, offsets, rows, found.counts), strict=True):
        codes[row], scores[row] = answer
    return Languages(codes, scores)


def is_clearly_japanese(counters: dict[str, np.ndarray]) -> np.ndarray:
    """bool[n]: whether the counters of `filters.text.characters` show so many hiragana that nothing else need be looked at."""
    hiragana, han, hangul = counters["n_hiragana"], counters["n_han"], counters["n_hangul"]
    letters = hiragana + han + hangul + sum(counters[f"n_{name}"] for name in ("katakana", "latin", "other_letter"))
    is_running = (hiragana >= CLEAR_SHARE * (hiragana + han)) & (hiragana >= CLEAR_SHARE * letters) & (letters >= SHORT)
    # Neither are they quotes, then, nor can the Han be Chinese, nor do faces among them matter.
    is_prose = (hiragana >= PROSE_SHARE * (hiragana + han)) & (hiragana >= MANY * MOST_QUOTED) & (hiragana >= 2 * hangul)
    return is_running | is_prose & (hiragana >= MANY * KANA_SHARE * letters)


def judge_by_script(data: np.ndarray, offsets: np.ndarray) -> Verdicts:
    """Return what script, and the weights of Han, say of n texts."""
    c = s.count_scripts(data, offsets[:-1], offsets[1:])
    kana, han, hangul, words = c[s.HIRAGANA] + c[s.KATAKANA], c[s.HAN], c[s.HANGUL], c[s.LATIN_WORDS]
    letters = c[s.ALL_KANA] + han + _foreign(c)
    least = np.where(words <= FEW_WORDS, 1, TO_WORDS) * words
    prevails_by_words = (letters < SHORT) & (kana + han >= least) & (kana + han >= np.maximum(hangul, c[s.OTHER]))
    prevails = (kana + han > _foreign(c)) | prevails_by_words & (kana + han > 0)
    is_korean = (hangul >= words) & (hangul > kana + han) & (hangul >= c[s.OTHER])
    verdicts = np.where(is_korean & ~prevails, IS_KOREAN, OPEN).astype(np.uint8)
    scores = np.ones(len(letters), np.float32)
    settled = is_japanese_by_script(c) | (c[s.ALL_KANA] == letters)
    weighed = np.flatnonzero(prevails & ~settled)
    verdicts[weighed], scores[weighed] = _weigh(data, offsets, weighed, c[:, weighed])
    verdicts[settled] = IS_JAPANESE
    verdicts[letters == 0], scores[letters == 0] = NO_LETTERS, 0
    return Verdicts(verdicts, scores, c)


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


def _weigh(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return verdicts and scores of `rows`, texts that consist of Han and perhaps a few kana, with the counts `c`."""
    kana, one_sided = c[s.HIRAGANA] + c[s.KATAKANA], c[s.ONLY_CHINESE_HAN] - c[s.ONLY_JAPANESE_HAN]
    quotes_kana = (one_sided > 0) & ((kana <= c[s.NO]) | (kana < KANA_TO_HAN * (kana + c[s.HAN])))
    texts = pl.Series("text", to_arrow(data, offsets)).gather(rows)
    steps = chinese_steps(texts, one_sided, c[s.WEIGHT], c[s.KINDS], c[s.STOP])
    is_chinese = (steps >= CHINESE_AT) & ((kana == 0) | quotes_kana)
    is_chinese |= (kana > 0) & _is_chinese(c) & (c[s.HIRAGANA] < PROSE_SHARE * (c[s.HIRAGANA] + c[s.HAN]))
    chance = chinese_probability(steps)
    has_kana = (kana > 0) & ~quotes_kana & (kana >= KANA_TO_HAN * (kana + c[s.HAN]))
    scores = np.where(is_chinese, np.maximum(chance, 0.5), np.where(has_kana, 1, 1 - chance))
    return np.where(is_chinese, IS_CHINESE, IS_JAPANESE), scores


def _ask_model(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, counts: np.ndarray) -> Iterator[tuple[str, float]]:
    """Yield what lid.176 says of `rows`, as far as kana and romaji do not know better."""
    c = counts[:, rows]
    kana, han, foreign = c[s.HIRAGANA] + c[s.KATAKANA], c[s.HAN], _foreign(c)
    is_decoration = (kana == 0) | _has_quotes_only(c)
    may_be_mixed = (c[s.HANGUL] <= kana) & ((kana >= LEAST_MIXED) | (c[s.BESIDE] > 0)) & (kana + han >= KANA_SHARE * foreign)
    is_latin = c[s.LATIN] > kana + han + c[s.OTHER]
    for i, row in enumerate(rows.tolist()):
        start = offsets[row]
        text = data[start : min(offsets[row + 1], start + 16 * PREFIX)].tobytes().decode(errors="ignore")[: 4 * PREFIX]
        if is_latin[i] and is_romaji(text):
            yield ROMAJI, 1.0
            continue
        code, score = identify(_KANA.sub(" ", text) if is_decoration[i] else text)
        if kana[i] + han[i]:
            if foreign[i] < SHORT and code != JAPANESE and score < SURE and (gloss := _judge_without_gloss(text)):
                code, score = gloss
            elif may_be_mixed[i] and score < SURE:
                code, score = JAPANESE, max(0.5, score if code == JAPANESE else 1 - score)
            elif code == JAPANESE and foreign[i] >= SHORT and foreign[i] > FOREIGN_OF_QUOTES * (kana[i] + han[i]):
                code, score = identify(EAST_ASIAN.sub(" ", text))
        elif code == JAPANESE:  # lid.176 may say so of a word in capitals
            code, score = UNKNOWN, 0.0
        yield code, score


def _judge_without_gloss(text: str) -> tuple[str, float] | None:
    """Judge a text of Han by what stands outside brackets: 势在必行 (Il faut bien le faire). None where that is in other letters, too."""
    outside = _GLOSS.sub("", text)
    if outside == text:
        return None
    found = judge_by_script(*buffers(pl.Series([outside])))
    is_told = found.verdicts[0] in (IS_JAPANESE, IS_CHINESE)
    return (_CODES[found.verdicts[0]], float(found.scores[0])) if is_told else None
