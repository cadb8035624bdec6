"""Han characters by who writes them: Japanese, Chinese, or both.

Characters that only one side's national standard has (JIS X 0208; GB 2312 and Big5) say most. Each of the others has its log odds in
`lists/han.txt`, a logistic regression over single characters.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np

from filters import unicode as u

ONLY_JAPANESE, ONLY_CHINESE = 1, 2
STEP = 0.5  # of log odds; weights are in such steps, above 0 for Chinese
# Printed with their older forms since JIS X 0213 (2000) and the list of 2010, though JIS X 0208 has only the simplified ones.
_PRINTED_FORMS = "俠俱剝吞啞噓嚙囊塡姸屛屢嵤幷摑攢搔杻桒桺潑焰瘦禱簞繡繫萊蔣蠟蟬軀醬頰顚驒鷗鹼麴麵"


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
