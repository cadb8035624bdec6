"""What in a text speaks against it, by a model of text (`text_model.py`): clauses, and what each adds to the score.

The score is the logistic of a sum over features, each of which stands in some clause, so that every clause has its part of the sum: the
words of advertising lower the score, plain sentences raise it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from filters import unicode as u
from filters.evidence import Evidence, Span, classify
from filters.text import text_model
from filters.text.text_model import TextModel, shipped_model

_CLAUSE = re.compile(r"[^。！？!?、,\s]+[。！？!?、,]*|[。！？!?、,]+")
_SPREAD = 0x9E3779B97F4A7C15  # 2^64 / golden ratio (Knuth 1998, 6.4), as the features are hashed
_WORD = (1 << 64) - 1
_SHAPES = (1 << 60) - 1
_CAP = 255  # occurrences of a feature that count


class ClauseWeights(NamedTuple):
    """Clauses with what each adds to the logarithm of the odds, and what that is without any text."""

    spans: list[Span]
    intercept: float


def weigh_clauses(text: str, model: TextModel) -> ClauseWeights:
    """Return the clauses of a text that a model reads (four windows of a long one), and their part of its score."""
    features = _list_features(text)
    counts = Counter(bucket for bucket, _ in features)
    scale = model.slope * model.step / np.sqrt(max(len(features) // 3 * len(model.kinds), 1))
    weights = np.zeros(len(text) + 1)
    for bucket, place in features:
        weights[place] += scale * float(model.weights[bucket]) * np.sqrt(min(counts[bucket], _CAP)) / counts[bucket]
    is_read = np.zeros(len(text) + 1, bool)
    is_read[[place for _, place in features]] = True
    bounds = [match.end() for match in _CLAUSE.finditer(text)]
    spans, start = [], 0
    for end in [*bounds[:-1], len(text)]:
        if is_read[start:end].any():
            first = start + len(text[start:end]) - len(text[start:end].lstrip())
            last = max(first + 1, start + len(text[start:end].rstrip()))
            spans.append(Span(first, min(last, end), float(weights[start:end].sum())))
        start = end
    return ClauseWeights(spans, model.intercept)


def show_clauses(name: str, model: TextModel | None = None) -> Evidence:
    """Return what finds the clauses that speak against a text, by a model or the one that ships as `name`.

    The amount is what each takes from the logarithm of the odds.
    """

    def find(text: str) -> list[Span]:
        spans, _ = weigh_clauses(text, model or shipped_model(name))
        return [span._replace(amount=-span.amount) for span in spans if span.amount < 0]

    return find


def _list_features(text: str) -> list[tuple[int, int]]:
    """Return the buckets of the features that are read, three a character, each with the place of its last character."""
    encoded = [len(c.encode("utf-8", "replace")) for c in text]
    starts = np.concatenate([[0], np.cumsum(encoded)]).tolist()
    length, classes = starts[-1], classify(text).tolist()
    is_short = length <= text_model.WHOLE
    found = []
    for window in range(1 if is_short else 4):
        begin = window * length // 4 if not is_short else 0
        stop = length if is_short else begin + text_model.WINDOW
        previous = shapes = 0
        after_space = True
        for place in range(int(np.searchsorted(starts[:-1], begin)), len(text)):
            if starts[place] >= stop:
                break
            k, code = classes[place], ord(text[place])
            is_space = k in (u.SPACE, u.NEWLINE, u.CONTROL)
            if is_space and after_space:
                continue
            after_space, code = is_space, 32 if is_space else 48 if k == u.DIGIT else code
            spread = code * _SPREAD & _WORD
            shape = k if u.HIRAGANA <= k <= u.DIGIT else spread >> 52
            shapes = (shapes << 12 | shape) & _SHAPES
            pair = (previous << 21 | code) * _SPREAD & _WORD
            previous = code
            folded = (shapes ^ (shapes >> 30)) * _SPREAD & _WORD
            for hashed, bits, first in zip((spread, pair, folded), text_model.BITS, text_model.STARTS, strict=True):
                found.append((first + (hashed >> (64 - bits)), place))
    return found
