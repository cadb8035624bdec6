"""Linear models of text: hashed characters, pairs of characters and shapes, weighed and summed.

Two models ship with Seimai (docs/quality-model.md): `quality-ja`, trained on paragraphs that people called good or bad, and `fluency-ja`,
trained to tell running text from words, names and markup without sentences. `python -m filters.train_quality` makes others.

Documents of up to `WHOLE` bytes are read from end to end; of longer ones four windows of `WINDOW` bytes at even distances are, so that the
cost of a document has a bound. White space of any kind is one space, digits are 0. Features are of three kinds: characters,
pairs of neighbours, and the shapes of five characters in a row: hiragana, katakana, Han, Latin, digit; any other character is its own
shape. A feature that stands there c times, among n features of the kinds that the model has, counts √(c / n): what is said again and again
counts more, yet not as often as it is said. The score is the sum of the weights of features times that.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from filters import unicode as u
from filters.kernels import class_of, decode, jit, jit_helper

WHOLE = 960  # bytes: about 320 characters of Japanese
WINDOW = 180
LEAST_CHARACTERS = 50  # fewer say too little: the score is NaN. Shorter documents are dropped by `chars` in ja-web, too.
KINDS = ("characters", "pairs", "shapes")
# Buckets of the kinds stand behind one another. More of them change nothing on the labelled paragraphs, and cost cache.
BITS = (14, 16, 15)
STARTS = (0, 1 << BITS[0], (1 << BITS[0]) + (1 << BITS[1]))
BUCKETS = sum(1 << bits for bits in BITS)
FORMAT, VERSION = "seimai-text-model", 1
COUNTERS = ("quality_score", "fluency_score")  # each is the score of a shipped model

_MOST = 3 * (WHOLE + 16)  # features of a document
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio (Knuth 1998, 6.4)
_SHAPES = np.uint64((1 << 60) - 1)  # five shapes of 12 bits
_C, _P, _S = (np.uint64(64 - bits) for bits in BITS)
_PAIRS, _SHAPE = STARTS[1:]


class TextModelError(ValueError):
    """A file that is no model of text, or one that this version of Seimai cannot read."""


@jit_helper
def _read_features(data, start, end, classes, counts, out):
    """Count the buckets of data[start:end] in `counts`, which was 0, and write the distinct ones to `out`.

    Returns how many are distinct, the characters that were read (features of each kind), and the visible ones.
    """
    number = read = visible = 0
    length = end - start
    windows = 1 if length <= WHOLE else 4
    for window in range(windows):
        i = start + window * length // windows
        stop = end if windows == 1 else i + WINDOW
        while i < end and data[i] & 0xC0 == 0x80:
            i += 1
        previous = shapes = np.uint64(0)
        after_space = True
        while i < stop:
            cp, i = decode(data, i)
            k = class_of(classes, cp)
            if k == u.SPACE or k == u.NEWLINE or k == u.CONTROL:
                if after_space:
                    continue
                after_space = True
                cp = np.int32(32)
            else:
                after_space = False
                visible += 1
            read += 1
            character = np.uint64(48) if k == u.DIGIT else np.uint64(cp)
            spread = character * _SPREAD
            shape = np.uint64(k) if u.HIRAGANA <= k <= u.DIGIT else spread >> np.uint64(52)
            shapes = (shapes << np.uint64(12) | shape) & _SHAPES
            pair = (previous << np.uint64(21) | character) * _SPREAD
            previous = character
            folded = (shapes ^ (shapes >> np.uint64(30))) * _SPREAD
            # Without branches: whether a feature is new cannot be foreseen.
            bucket = np.int64(spread >> _C)
            out[number] = bucket
            number += counts[bucket] == 0
            counts[bucket] += counts[bucket] < 255
            bucket = np.int64(pair >> _P) + _PAIRS
            out[number] = bucket
            number += counts[bucket] == 0
            counts[bucket] += counts[bucket] < 255
            bucket = np.int64(folded >> _S) + _SHAPE
            out[number] = bucket
            number += counts[bucket] == 0
            counts[bucket] += counts[bucket] < 255
    return number, read, visible


@jit
def _sum_weights(data, offsets, classes, roots, first, second):
    """Return float64[n, 2]: sums over features of two models, int32[n]: characters read, 0 where too few are visible."""
    n = len(offsets) - 1
    sums = np.zeros((n, 2))
    sizes = np.zeros(n, np.int32)
    counts = np.zeros(BUCKETS, np.uint8)
    buckets = np.empty(_MOST, np.int32)
    for d in range(n):
        number, read, visible = _read_features(data, offsets[d], offsets[d + 1], classes, counts, buckets)
        a = b = 0.0
        for f in range(number):
            bucket = buckets[f]
            root = roots[counts[bucket]]
            counts[bucket] = 0
            a += first[bucket] * root
            b += second[bucket] * root
        if visible >= LEAST_CHARACTERS:
            sums[d, 0], sums[d, 1] = a, b
            sizes[d] = read
    return sums, sizes


@jit
def _list_features(data, offsets, classes, roots, uses):
    """Return buckets, what they count, and int64[n + 1] offsets of documents into both; of those that are too short there are none."""
    n = len(offsets) - 1
    ends = np.zeros(n + 1, np.int64)
    out = np.empty(1 << 16, np.int32)
    values = np.empty(1 << 16)
    counts = np.zeros(BUCKETS, np.uint8)
    buckets = np.empty(_MOST, np.int32)
    kinds = uses.sum()
    for d in range(n):
        number, read, visible = _read_features(data, offsets[d], offsets[d + 1], classes, counts, buckets)
        at = ends[d]
        while at + number > len(out):
            out = np.concatenate((out, np.empty_like(out)))
            values = np.concatenate((values, np.empty_like(values)))
        for f in range(number):
            bucket = buckets[f]
            kind = 0 if bucket < _PAIRS else 1 if bucket < _SHAPE else 2
            if uses[kind] and visible >= LEAST_CHARACTERS:
                out[at] = bucket
                values[at] = roots[counts[bucket]] / np.sqrt(kinds * read)
                at += 1
            counts[bucket] = 0
        ends[d + 1] = at
    return out[: ends[n]], values[: ends[n]], ends


_ROOTS = np.sqrt(np.arange(256.0))


def list_features(
    data: np.ndarray, offsets: np.ndarray, kinds: Sequence[str] = KINDS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the features of n documents: buckets (int32[*]), values (float64[*]) and where each document's begin (int64[n + 1]).

    Documents that are too short have none.
    """
    return _list_features(data, offsets, u.character_classes(), _ROOTS, np.array([kind in kinds for kind in KINDS]))


def score_texts(models: Sequence[TextModel], data: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    """Return, for one or two models, float32[n]: the probability that each of n documents is of the model's first kind ("good").

    Good and bad count as equally frequent. NaN where a document has fewer than `LEAST_CHARACTERS` visible characters.
    """
    sums, sizes = _sum_weights(data, offsets, u.character_classes(), _ROOTS, models[0].weights, models[-1].weights)
    scores = []
    for column, model in enumerate(models):
        decision = sums[:, column] / np.sqrt(np.maximum(sizes * len(model.kinds), 1))
        score = 1 / (1 + np.exp(-(model.slope * model.step * decision + model.intercept)))
        scores.append(np.where(sizes > 0, score, np.nan).astype(np.float32))
    return scores


@dataclass(frozen=True)
class TextModel:
    """A trained model. `weights` is int16[BUCKETS] in steps of `step`; the probability is the logistic of `slope` × score + `intercept`."""

    weights: np.ndarray
    step: float
    slope: float
    intercept: float
    kinds: tuple[str, ...] = KINDS  # of features; the weights of others are 0
    trained_on: str = ""

    def score(self, data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """float32[n]: `score_texts` of this model alone."""
        return score_texts([self], data, offsets)[0]

    def to_bytes(self) -> bytes:
        """Return the file: a .npz without pickles, the same bytes for the same model."""
        head = {
            "format": FORMAT, "version": VERSION, "kinds": self.kinds, "step": self.step, "slope": self.slope,
            "intercept": self.intercept, "trained_on": self.trained_on, "sha256": _digest(self.weights),
        }  # fmt: skip
        out = BytesIO()
        text = json.dumps(head, ensure_ascii=False, indent=1).encode()
        np.savez(out, head=np.frombuffer(text, np.uint8), weights=self.weights.astype("<i2"))
        return out.getvalue()

    @staticmethod
    def from_bytes(content: bytes, name: str) -> TextModel:
        """Read a file that `to_bytes` made. Raises TextModelError; `name` is what messages call it."""
        head, weights = _open(content, name)
        if head.get("version") != VERSION:
            raise TextModelError(
                f"{name} is a model of version {head.get('version')!r}; this Seimai reads version {VERSION}. "
                "Train it anew: python -m filters.train_quality GOOD BAD --out MODEL"
            )
        try:
            kinds = tuple(kind for kind in KINDS if kind in head["kinds"])
            step, slope, intercept = (float(head[key]) for key in ("step", "slope", "intercept"))
            is_sound = weights.dtype == np.dtype("<i2") and weights.shape == (BUCKETS,) and head["sha256"] == _digest(weights)
        except (ValueError, KeyError, TypeError):
            is_sound = False
        if not is_sound or not kinds or not np.isfinite([step, slope, intercept]).all():
            raise TextModelError(f"{name} is damaged: its weights are not what its head says. Copy it again, or train it anew")
        return TextModel(weights, step, slope, intercept, kinds, str(head.get("trained_on", "")))


def _open(content: bytes, name: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return the head and the weights of a file, unchecked."""
    try:
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            head, weights = json.loads(arrays["head"].tobytes()), arrays["weights"]
        if head["format"] == FORMAT:
            return head, weights
    except (ValueError, KeyError, TypeError, OSError, EOFError, AttributeError, IndexError, zipfile.BadZipFile):
        pass
    raise TextModelError(f"{name} is no model of text. Make one with python -m filters.train_quality GOOD BAD --out MODEL")


def _digest(weights: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(weights, "<i2").tobytes()).hexdigest()


@lru_cache(maxsize=8)
def _load(path: Path, identity: tuple[int, int]) -> TextModel:
    return TextModel.from_bytes(path.read_bytes(), str(path))


def load_model(path: Path | str) -> TextModel:
    """Read a model from a file. Raises TextModelError where it is none, or of another version."""
    try:
        status = os.stat(path)
        return _load(Path(path), (status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise TextModelError(f"{path} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=len(COUNTERS))
def shipped_model(name: str) -> TextModel:
    """Return a model that ships with Seimai: `quality-ja` or `fluency-ja`."""
    return TextModel.from_bytes((files("filters") / "models" / f"{name}.npz").read_bytes(), f"filters/models/{name}.npz")


def count(data: np.ndarray, offsets: np.ndarray, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The scores named in `wanted`, float32[n] each, by the shipped models."""
    names = [name for name in COUNTERS if name in wanted]
    models = [shipped_model(name.replace("_score", "-ja")) for name in names]
    return dict(zip(names, score_texts(models, data, offsets), strict=True))
