"""What llm-jp-corpus v1 measures of Japanese pages (`scripts/filters.py`): HojiChar's filters without its normalisation, and deflate.

Its lists are HojiChar's without the words named here; a word of katakana counts where no katakana are beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
import polars as pl

from filters.kernels import to_arrow
from filters.published.hojichar import EXPRESSIONS
from filters.published.keywords import count_words, listed_words

LEFT_OUT = {
    "adult": frozenset({"AV", "R18", "SM", "jk", "ちつ", "モザイク", "乞食", "援助", "露出"}),
    "discrimination": frozenset[str](),
    "violence": frozenset({"叩く", "死"}),
}
LISTS = {f"n_llmjp_{name}_words": name for name in LEFT_OUT}
LEVEL = 9  # of zlib
COUNTERS = (
    *("n_llmjp_leading_kana", "n_llmjp_full_stops", "n_llmjp_advertising_words"),
    *LISTS,
    *("n_llmjp_bytes", "n_llmjp_deflated_bytes"),
)


def count(data: np.ndarray, offsets: np.ndarray, wanted: Iterable[str] = COUNTERS) -> dict[str, np.ndarray]:
    """The counters named in `wanted`, int32[n] each."""
    names = set(wanted)
    texts = pl.Series("text", to_arrow(data, offsets))
    counters: dict[str, np.ndarray] = {}
    for name in ("leading_kana", "full_stops"):
        if f"n_llmjp_{name}" in names:
            counted = texts.to_frame().select(EXPRESSIONS[f"n_hojichar_{name}"](pl.col("text")).cast(pl.Int32))
            counters[f"n_llmjp_{name}"] = counted.to_series().to_numpy()
    if "n_llmjp_advertising_words" in names:
        counters["n_llmjp_advertising_words"] = count_words(texts, listed_words("hojichar-advertising"))
    for counter, name in LISTS.items():
        if counter in names:
            counters[counter] = count_words(texts, listed_words(f"hojichar-{name}", LEFT_OUT[name]), guard_katakana=True)
    if "n_llmjp_deflated_bytes" in names:
        bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        sizes = [len(zlib.compress(data[start:end].tobytes(), LEVEL)) for start, end in bounds]
        counters["n_llmjp_deflated_bytes"] = np.array(sizes, np.int32)
    if "n_llmjp_bytes" in names:
        counters["n_llmjp_bytes"] = np.diff(offsets).astype(np.int32)
    return counters
