"""Han characters by who writes them: Japanese, Chinese, or both.

lid.176 is no judge of a few Han characters: of Japanese runs that Chinese could write as well it calls a quarter to a third
Chinese, of Chinese ones 40 % Japanese (docs/measures.md). Characters that only one side's national standard has (JIS X 0208; GB 2312 and
Big5) say most. Each of the others has its log odds in `lists/han.txt`, a logistic regression over single characters; words of
`lists/chinese.txt` are Chinese, those of `lists/japanese.txt` Japanese.
"""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.resources import files

import numpy as np
import polars as pl

from filters import unicode as u
from filters.text.phrases import phrases

ONLY_JAPANESE, ONLY_CHINESE = 1, 2
STEP = 0.5  # of log odds; weights are in such steps, above 0 for Chinese
CHINESE_AT = (
    7  # steps: from here on, with the prior log odds of 2.3, a text of Han is Chinese; docs/measures.md has what that costs
)
# Printed with their older forms since JIS X 0213 (2000) and the list of 2010, though JIS X 0208 has only the simplified ones.
_PRINTED_FORMS = "俠俱剝吞啞噓嚙囊塡姸屛屢嵤幷摑攢搔杻桒桺潑焰瘦禱簞繡繫萊蔣蠟蟬軀醬頰顚驒鷗鹼麴麵"
_PRIOR = -1.2  # log odds before any character is seen: the intercept of the regression behind lists/han.txt
_ONE_SIDED = 10  # a character that only one side's standard has: it weighs much, but not more than all others together
_FULL_STOP = 8  # a Japanese sentence has kana: Han that end with 。 are rarely one
_WORD = 8  # a word of lists/chinese.txt, or of lists/japanese.txt for the other side
_MOST = 40
# By math.exp, once: numpy's gives other last digits for one value than for many.
_PROBABILITY = np.array([1 / (1 + math.exp(-_PRIOR - STEP * k)) for k in range(-_MOST, _MOST + 1)], np.float32)


def _characters_of(codec: str) -> set[int]:
    """Return the Han characters of a national standard: those that its codec writes in two bytes."""
    every = [0x3005, 0x3006, 0x3007, *range(0x4E00, 0xA000)]
    return {cp for cp in every if len(chr(cp).encode(codec, "ignore")) == 2}


@lru_cache(maxsize=1)
def han_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return `(side, weight)`, both int8[TABLE_SIZE]: characters of one side only, and the weights of the others in steps."""
    japanese, chinese = _characters_of("euc_jp"), _characters_of("gb2312") | _characters_of("big5")
    side, weight = np.zeros(u.TABLE_SIZE, np.int8), np.zeros(u.TABLE_SIZE, np.int8)
    side[sorted(japanese - chinese | {ord("々")})] = ONLY_JAPANESE
    side[sorted(chinese - japanese - set(map(ord, _PRINTED_FORMS + "々")))] = ONLY_CHINESE
    for line in (files("filters") / "lists" / "han.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            log_odds, characters = line.split()
            weight[[ord(c) for c in characters]] = round(float(log_odds) / STEP)
    return side, weight


def chinese_steps(
    texts: pl.Series, one_sided: np.ndarray, weight: np.ndarray, kinds: np.ndarray, stop: np.ndarray
) -> np.ndarray:
    """int[n]: log odds, less the prior, that texts of Han are Chinese, in steps within ±40.

    `one_sided` are characters that only Chinese has, less those that only Japanese has; `weight` the sum of the others' weights;
    `kinds` and `stop` whether there are different Han, and 。 at the end.
    """
    chinese, japanese = (
        texts.str.contains_any(list(phrases(name))).to_numpy().astype(np.int32) for name in ("chinese", "japanese")
    )
    # One character has no context, however often it stands there: 犬 and 雪、雪、雪 stay with the prior.
    sums = np.where(kinds, weight, 0) + _FULL_STOP * stop * kinds
    return np.clip(sums + _ONE_SIDED * one_sided + _WORD * (chinese - japanese), -_MOST, _MOST)


def chinese_probability(steps: np.ndarray) -> np.ndarray:
    """float32[n]: the probability that goes with `chinese_steps`."""
    return _PROBABILITY[steps + _MOST]


def chinese_odds(probability: np.ndarray) -> np.ndarray:
    """Log odds of `chinese_probability` without the prior: what texts of one document add up."""
    clipped = probability.astype(np.float64).clip(1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped)) - _PRIOR
