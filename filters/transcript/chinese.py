"""Chinese sentences among transcripts: what recognisers that learned from captions put where nothing is said (請不吝點讚訂閱)."""

from __future__ import annotations

import numpy as np
import polars as pl

from filters.kernels import buffers, to_arrow
from filters.text import language

COUNTERS = ("n_chinese",)
LEAST = 5  # Han; fewer are words of both languages: 了解了解
_ONLY_HAN = r"^[^\p{Hiragana}\p{Katakana}]*\p{Han}[^\p{Hiragana}\p{Katakana}]*$"


def count(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`n_chinese` int32[n]: Han of texts without kana that are Chinese by `filters.text.language`, else 0."""
    texts = pl.Series("text", to_arrow(data, offsets))
    counts = np.zeros(len(texts), np.int32)
    rows = texts.str.contains(_ONLY_HAN).arg_true()
    # A full stop speaks for Chinese in captions, in transcripts not.
    plain = texts.gather(rows).str.replace_all(r"[。．.、！!？?\s]", "")
    n_han = plain.str.count_matches(r"\p{Han}")
    long = (n_han >= LEAST).arg_true()
    if len(long):
        answers = language.identify_languages(*buffers(plain.gather(long))).codes
        counts[rows.gather(long).to_numpy()] = np.where(answers == "zh", n_han.gather(long).to_numpy(), 0)
    return {"n_chinese": counts}
