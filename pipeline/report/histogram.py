"""Histograms of measures: bins that show where values lie, with every bound at an edge, so that no bin has both sides of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.report.model import Bins, Bound, Scale

BINS = 36
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
# The largest value by the median: beyond that most values would share a bin of equal width. Shares are shown as they are.
_HEAVY_TAIL, _LARGE = 10.0, 2.0
_SORTED = 50_000  # values of which median and tails are found
_SHOWN_TAIL = 0.005  # of the values at either end, which the open bins have


def find_quantiles(values: np.ndarray) -> dict[str, float]:
    """Return the values at shares of the ascending finite `values`: the one at `floor(share * (n - 1))`, not interpolated."""
    if not len(values):
        return {}
    ordered = np.sort(values)  # by AVX, which partitioning by several places is not
    return {f"{share:g}": float(ordered[int(share * (len(values) - 1))]) for share in QUANTILES}


def count_bins(
    values: np.ndarray, groups: np.ndarray, bounds: Sequence[Bound], limits: tuple[float, float] | None = None
) -> Bins | None:
    """Return a histogram of `values` (of any number type, without NaN), by group 0 (kept), 1 (duplicate) or 2 (dropped).

    `limits`: what values of this measure lie between; no edge is beyond them, unless a value is or a bound is not within.

    Where more than half of the values are 0 and none is below, these are counted by themselves. Returns None without a value.
    """
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not len(finite):
        return None
    zeros, is_zero = None, values == 0
    if 0.5 * len(values) < is_zero.sum() < len(values) and finite.min() >= 0:
        zeros = np.bincount(groups[is_zero], minlength=3)[:3].tolist()
        values, groups = values[~is_zero], groups[~is_zero]
        finite = finite[finite > 0]
    scale, edges = _choose_edges(finite, bounds)
    if limits is not None and scale == "linear":
        edges = _keep_between(edges, limits, finite, bounds)
    places = np.searchsorted(edges[1:-1], values, side="right")
    counts = np.bincount(places * 3 + groups, minlength=3 * (len(edges) - 1)).reshape(-1, 3)
    kept, duplicate, dropped = counts.T.tolist()
    return Bins(scale=scale, edges=edges.tolist(), kept=kept, duplicate=duplicate, dropped=dropped, zeros=zeros)


def _choose_edges(values: np.ndarray, bounds: Sequence[Bound]) -> tuple[Scale, np.ndarray]:
    """Return the scale and the edges, of the type of `values`, so that comparing them is exact."""
    some = values[:: max(1, len(values) // _SORTED)]
    low, high, median = float(values.min()), float(values.max()), float(np.median(some))
    limits = [bound.value for bound in bounds]
    if low > 0 and high > max(_HEAVY_TAIL * median, _LARGE):
        reach = [low, high, *(limit for limit in limits if limit > 0)]
        first, last = np.log(min(reach)), np.log(max(reach))
        step = (last - first) / BINS
        with np.errstate(over="ignore", under="ignore"):
            edges = np.exp(np.linspace(first - step, last + step, BINS + 3))
        return "log", _set_bounds(edges, bounds, values.dtype)
    if np.issubdtype(values.dtype, np.integer) and max(high, *limits, low) - min(low, *limits, high) <= BINS:
        first, last = np.floor(min(low, *limits, high)), np.ceil(max(high, *limits, low))
        return "linear", np.arange(first, last + 2) - 0.5
    order = np.sort(some)
    tail = int(_SHOWN_TAIL * len(order))
    reach = [float(order[tail]), float(order[len(order) - 1 - tail]), *limits]
    # By quarters: the largest number and its opposite lie further apart than the largest number is large.
    quarter = (max(reach) / 4 - min(reach) / 4) / BINS or 0.125
    quarter = max(quarter, _find_spacing(reach, values.dtype) / 4)
    edges = np.linspace(min(reach) / 4 - quarter, max(reach) / 4 + quarter, BINS + 3)
    with np.errstate(over="ignore"):
        return "linear", _set_bounds(edges * 4, bounds, values.dtype)


def _keep_between(edges: np.ndarray, limits: tuple[float, float], values: np.ndarray, bounds: Sequence[Bound]) -> np.ndarray:
    """Return the edges between limits; of values that are all the same, from one limit to the other."""
    low, high = float(values.min()), float(values.max())
    # A bound at a limit has values on both sides of it, which need a bin each.
    if low < limits[0] or high > limits[1] or not all(limits[0] < bound.value < limits[1] for bound in bounds):
        return edges
    if low == high:
        edges = _set_bounds(np.linspace(*limits, BINS // 2 + 1), bounds, values.dtype)
    return np.unique(edges.clip(*limits))


def _find_spacing(reach: list[float], kind: np.dtype) -> float:
    """Return by how much an edge differs from its neighbours at the least: large numbers of few bits lie far apart."""
    if not np.issubdtype(kind, np.floating):
        return 0.0
    return 2 * float(np.spacing(np.abs(np.array(reach, kind)).max()))


def _set_bounds(edges: np.ndarray, bounds: Sequence[Bound], kind: np.dtype) -> np.ndarray:
    """Move to each bound the nearest inner edge that is not at another one: to the first value on the bound's upper side."""
    is_integer = np.issubdtype(kind, np.integer)
    if not is_integer:
        most = float(np.finfo(kind).max)
        edges = edges.clip(-most, most)
    edges = edges.astype(np.float64 if is_integer else kind)
    moved: list[float] = []
    for bound in bounds:
        limit = edges.dtype.type(bound.value)
        if bound.kind == "at_most":
            limit = np.floor(limit) + 0.5 if is_integer else np.nextafter(limit, edges.dtype.type(np.inf))
        elif is_integer:
            limit = np.ceil(limit) - 0.5
        if edges[0] < limit < edges[-1] and limit not in edges:
            distances = np.where(np.isin(edges, moved), np.inf, np.abs(edges - limit))
            edges[1 + int(np.argmin(distances[1:-1]))] = limit
            edges = np.sort(edges)
        moved.append(limit)
    return np.unique(edges)
