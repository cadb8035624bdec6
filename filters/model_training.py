"""Training of linear models of text (`filters.text.text_model`): logistic regression, calibrated on texts that were held out.

The optimum is found by dual coordinate descent (Yu, Huang and Lin 2011, Machine Learning 85), one thread, in a seeded order: the same texts
in any order and on any machine give the same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

from filters.kernels import buffers, jit
from filters.text.text_model import BUCKETS, KINDS, TextModel, list_features

FOLDS = 5
PASSES = 40  # over the texts; the weights stand still to three digits by then
COST = 20.0  # how much a text of weight 1 counts beside the squared weights; 5 to 30 do as well on the labelled paragraphs
STEPS = 32_000  # of quantisation, on each side of zero


@dataclass(frozen=True)
class Texts:
    """n texts to train on: bool[n] whether each is good, float64[n] how much it counts."""

    text: pl.Series
    good: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class HeldOut:
    """What models say of texts they were not trained on: float64[n] probabilities, beside bool[n] labels and float64[n] weights."""

    scores: np.ndarray
    good: np.ndarray
    weight: np.ndarray


@jit
def _fit(buckets, values, ends, rows, signs, costs, size, passes, seed):
    """Return float64[size] weights and the bias that minimise ½|w|² + Σ cost · log(1 + exp(−sign · (w·x + bias)))."""
    weights = np.zeros(size)
    bias = 0.0
    np.random.seed(seed)
    order = np.arange(len(rows))
    dual = np.zeros(len(rows))
    for _ in range(passes):
        np.random.shuffle(order)
        for i in order:
            row = rows[i]
            margin = bias
            norm = 1.0  # of the bias
            for f in range(ends[row], ends[row + 1]):
                margin += weights[buckets[f]] * values[f]
                norm += values[f] * values[f]
            margin *= signs[i]
            # The derivative in the dual variable, norm · (z - dual) + margin + log(z / (cost - z)), rises: its root is found by halving.
            low, high = 0.0, costs[i]
            for _ in range(50):
                z = 0.5 * (low + high)
                if z <= 0.0 or z >= costs[i]:
                    break
                if norm * (z - dual[i]) + margin + np.log(z / (costs[i] - z)) > 0:
                    high = z
                else:
                    low = z
            z = 0.5 * (low + high)
            change = (z - dual[i]) * signs[i]
            dual[i] = z
            bias += change
            for f in range(ends[row], ends[row + 1]):
                weights[buckets[f]] += change * values[f]
    return weights, bias


@jit
def _decide(buckets, values, ends, rows, weights, bias):
    out = np.full(len(rows), bias)
    for i in range(len(rows)):
        for f in range(ends[rows[i]], ends[rows[i] + 1]):
            out[i] += weights[buckets[f]] * values[f]
    return out


def _balance(good: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return weights of the same sum, by which good and bad count the same."""
    half = weight.sum() / 2
    return np.where(good, weight * half / weight[good].sum(), weight * half / weight[~good].sum())


def _calibrate(decisions: np.ndarray, good: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the logistic curve through decisions and labels (Platt 1999, with his targets), by Newton's method."""
    n_good, n_bad = good.sum(), (~good).sum()
    target = np.where(good, (n_good + 1) / (n_good + 2), 1 / (n_bad + 2))
    x = np.stack([decisions, np.ones(len(decisions))])
    theta = np.array([1.0, 0.0])
    for _ in range(30):
        p = 1 / (1 + np.exp(-theta @ x))
        gradient = x @ (weight * (p - target))
        hessian = (x * (weight * p * (1 - p))) @ x.T + 1e-9 * np.eye(2)
        theta -= np.linalg.solve(hessian, gradient)
    return float(theta[0]), float(theta[1])


def train_model(texts: Texts, trained_on: str, kinds: Sequence[str] = KINDS, cost: float = COST) -> tuple[TextModel, HeldOut]:
    """Train on all texts; calibrate on, and return, what models trained on four fifths say of the other fifth.

    Equal texts are in one fifth. Texts that are too short have no features: leave them out.
    """
    keys = np.array([xxhash.xxh3_64_intdigest(text.encode()) for text in texts.text], np.uint64)
    order = np.argsort(keys, kind="stable")
    text, good, weight = texts.text.gather(order), texts.good[order], texts.weight[order]
    buckets, values, ends = list_features(*buffers(text), kinds)
    # The hash orders the texts, and is no fold number: equal texts have equal hashes, and stand in one fold.
    folds = (keys[order] >> np.uint64(32)) % np.uint64(FOLDS)
    signs, balanced = np.where(good, 1.0, -1.0), _balance(good, weight)
    rows = np.arange(len(good))

    def fit(chosen: np.ndarray) -> tuple[np.ndarray, float]:
        return _fit(buckets, values, ends, chosen, signs[chosen], cost * balanced[chosen], BUCKETS, PASSES, 1)

    decisions = np.zeros(len(good))
    for fold in range(FOLDS):
        inside = rows[folds != fold]
        if good[inside].all() or not good[inside].any():
            continue
        outside = rows[folds == fold]
        decisions[outside] = _decide(buckets, values, ends, outside, *fit(inside))
    slope, intercept = _calibrate(decisions, good, balanced)
    held_out = HeldOut(1 / (1 + np.exp(-(slope * decisions + intercept))), good, weight)
    weights, bias = fit(rows)
    step = float(np.abs(weights).max()) / STEPS or 1.0
    quantised = np.round(weights / step).astype("<i2")
    # Six digits: what is beyond them depends on the order of sums in the machine's libraries.
    step, slope, intercept = (float(f"{number:.6g}") for number in (step, slope, slope * bias + intercept))
    model = TextModel(quantised, step, slope, intercept, tuple(kind for kind in KINDS if kind in kinds), trained_on)
    return model, held_out
