"""Phantoms: what recognisers that learned from captions of videos put where nobody speaks (ご視聴ありがとうございました).

People say these phrases, too. So the text alone says nothing: `phantom_morae_per_second` asks whether there is as much speech in the
recording as the phrase takes.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from filters.kernels import to_arrow
from filters.text.phrases import phrases

COUNTERS = ("is_phantom",)
LEAST_SHARE = 0.8  # of the letters: phrases of the list, perhaps several times; beside them a filler or a name
_NO_LETTERS = r"[^\p{L}\p{N}ー]"


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`is_phantom` bool[n]: whether a transcript is (nearly) nothing but phrases of the list `phantoms`."""
    letters = pl.Series("text", to_arrow(data, offsets)).str.replace_all(_NO_LETTERS, "")
    listed = list(phrases("phantoms"))
    found = np.zeros(len(letters), bool)
    rows = letters.str.contains_any(listed).arg_true()
    candidates = letters.gather(rows)
    covered = candidates.str.extract_many(listed, leftmost=True).list.eval(pl.element().str.len_chars()).list.sum()
    found[rows.to_numpy()] = (covered >= LEAST_SHARE * candidates.str.len_chars()).to_numpy()
    return {"is_phantom": found}
