"""The figures of a report, counted from the ledger alone: verdicts, reasons, measures, clusters, sources and domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from filters import MEASURES
from filters.url import hosts
from filters.url.hosts import registered_domain
from pipeline.core.tables import scan_parquet
from pipeline.manifest.model import Bound as Rule
from pipeline.manifest.model import Manifest, is_of_corpus
from pipeline.report.histogram import count_bins, find_quantiles
from pipeline.report.ledger import VERDICTS, Ledger, nearest
from pipeline.report.model import Bound, ClusterSize, Grouping, Losses, Measure, OtherWords, WordCount
from pipeline.steps.decide import broken_bound, measured_column
from pipeline.steps.ledger import name_judged_column
from pipeline.steps.losses import LEAST, SHARE

NEAR = 4  # examples of a kind
_CELLS = 50_000_000  # values in memory at a time
_WORDS = 30  # values of a measure of words that are named
_SOURCES = 50  # sources, and domains, that are named
SHARES = (0.0, 1.0)  # between which shares and probabilities lie
_CLUSTER_SIZES = (2, 3, 4, 5, 10, 20, 50, 100, 1000)
_KEPT, _UNREADABLE = VERDICTS.index("kept"), VERDICTS.index("unreadable")


def count_reasons(ledger: Ledger, amount: str | None) -> list[tuple[str, str, str, int, float | None]]:
    """Return step, rule, verdict, records and amount of all that was not kept, the most frequent first."""
    total = pl.sum(amount).cast(pl.Float64) if amount else pl.lit(None, pl.Float64).first()
    counts = (
        ledger.scan()
        .filter(pl.col("verdict") != "kept")
        .group_by("step", "rule", "verdict")
        .agg(pl.len().alias("records"), total.alias("amount"))
        .collect()
        .sort(pl.col("records").cast(pl.Int64), "rule", descending=[True, False])
    )
    return counts.rows()


# -- measures


@dataclass
class MeasuredRule:
    """The figures of a measure, and rows that are kept with a value next to its bound: row number and value."""

    figures: Measure
    kept_near: list[tuple[int, float]] = field(default_factory=list)


def measure_columns(ledger: Ledger, manifest: Manifest) -> list[str]:
    """Return the columns of the ledger that are measures, or that a rule judges."""
    known = [*manifest.measures, *(name for name in manifest.rules if name not in manifest.measures)]
    return [name for name in known if name in ledger.schema]


def describe_measures(ledger: Ledger, manifest: Manifest, dropped: dict[str, int], fitted: pl.DataFrame) -> list[MeasuredRule]:
    """Return the figures of every measure. `dropped`: records by rule; `fitted`: `rule`, `bound`, `bound_text` of fitted bounds."""
    readable = ledger.verdicts != _UNREADABLE
    groups, rows = ledger.verdicts[readable].astype(np.int64), np.flatnonzero(readable)
    names, described = measure_columns(ledger, manifest), list[MeasuredRule]()
    several = max(1, _CELLS // max(len(rows), 1))
    for first in range(0, len(names), several):
        columns = names[first : first + several]
        values = [_find_values(ledger, name) for name in columns]
        frame = ledger.scan().filter(pl.col("verdict") != "unreadable").select(values).collect()
        broken = _count_broken(frame, {name: manifest.rules[name] for name in columns if name in manifest.rules})
        for name in columns:
            rule = manifest.rules.get(name)
            figures = Measure(
                name=name,
                description=MEASURES[name].description if name in MEASURES else "A column of the input (`source.keep`).",
                records=0,
                missing=0,
                dropped=dropped.get(name, 0),
                allowed=rule.any_of if rule else None,
                refused=rule.none_of if rule else None,
                outside=broken.get(name),
                inside=len(frame) - broken[name] if name in broken else None,
            )
            if frame.schema[name] == pl.String:
                describe_words(figures, frame[name], groups)
                described.append(MeasuredRule(figures))
            else:
                bounds = _find_bounds(name, rule, fitted)
                described.append(_describe_numbers(figures, frame[name], groups, rows, bounds, rule))
    return described


def _find_values(ledger: Ledger, name: str) -> pl.Expr:
    """Return the values of a measure as the build judged them."""
    value = pl.col(name_judged_column(name, ledger.schema)).alias(name)
    # Of a record without furniture the ledger says nothing about it.
    return value.fill_null(0.0) if is_of_corpus(name) else value


def describe_words(figures: Measure, column: pl.Series, groups: np.ndarray) -> None:
    """Fill in the figures of a measure whose values are words: those of most records, by verdict, and how many others there are."""
    counts = (
        pl.DataFrame({"value": column, "group": groups})
        .group_by("value")
        .agg(*(pl.col("group").eq(code).sum().cast(pl.Int64).alias(VERDICTS[code]) for code in range(3)), pl.len())
        .sort(pl.col("len").cast(pl.Int64), "value", descending=[True, False], nulls_last=True)
    )
    shown = counts.head(_WORDS)
    figures.missing = int(column.null_count())
    figures.records = len(column) - figures.missing
    figures.words = [WordCount(**row) for row in shown.drop("len").iter_rows(named=True)]
    figures.other_words = int(counts["len"].sum()) - int(shown["len"].sum())
    if len(others := counts[len(shown) :]):
        figures.others = OtherWords(count=len(others), **{name: int(others[name].sum()) for name in VERDICTS[:3]})


def _describe_numbers(
    figures: Measure, column: pl.Series, groups: np.ndarray, rows: np.ndarray, bounds: list[Bound], rule: Rule | None
) -> MeasuredRule:
    has_value, values = _split_values(column)
    groups, rows = groups[has_value], rows[has_value]
    figures.records, figures.missing = len(values), len(column) - len(values)
    figures.infinite = int(np.isinf(values).sum()) if values.dtype.kind == "f" else 0
    figures.bounds = bounds
    figures.quantiles = find_quantiles(values[np.isfinite(values)])
    figures.bins = count_bins(values, groups, bounds, SHARES if is_share(figures.name) else None)
    if rule is not None and rule.iqr is not None:
        figures.fitted = rule.by
    kept = groups == _KEPT
    distances = [np.abs(values[kept].astype(np.float64) - bound.value) for bound in bounds]
    if not distances:
        return MeasuredRule(figures)
    chosen = nearest(rows[kept], np.min(distances, axis=0), NEAR)
    return MeasuredRule(figures, [(row, float(values[np.searchsorted(rows, row)])) for row in chosen])


def is_share(name: str) -> bool:
    """Return whether a measure is a share or a probability: from 0 to 1, by its name."""
    return name.endswith(("_share", "_score"))


def _split_values(column: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return bool[n], which rows have a value, and these values as numbers of 32 bits at least."""
    if column.dtype.is_float():
        values = column.to_numpy()  # null becomes NaN
        has_value = ~np.isnan(values)
        return has_value, values[has_value]
    has_value = column.is_not_null().to_numpy() if column.null_count() else np.ones(len(column), bool)
    values = (column.drop_nulls() if column.null_count() else column).to_numpy()
    return has_value, values.astype(np.int32) if values.dtype.itemsize < 4 else values


def _find_bounds(name: str, rule: Rule | None, fitted: pl.DataFrame) -> list[Bound]:
    """Return the bounds of a rule as numbers; fitted ones where they are the same for all records."""
    if rule is None:
        return []
    bounds = [
        Bound(kind=kind, value=limit)
        for kind, limit in (("at_least", rule.at_least), ("at_most", rule.at_most))
        if limit is not None
    ]
    if rule.iqr is not None and rule.by == "corpus":
        for text, value in fitted.filter(rule=name).select("bound_text", "bound").iter_rows():
            bounds.append(Bound(kind="at_least" if text.startswith(">=") else "at_most", value=value))
    return bounds


def _count_broken(frame: pl.DataFrame, rules: dict[str, Rule]) -> dict[str, int]:
    """Return how many values break each rule, but for those whose bounds are fitted, which are not in the ledger."""
    known = {name: rule for name, rule in rules.items() if rule.iqr is None}
    if not known:
        return {}
    named = frame.select(pl.col(name).alias(measured_column(name)) for name in known).with_columns(cs.boolean().cast(pl.Int8))
    counts = named.select(broken_bound(name, rule).is_broken.sum().alias(name) for name, rule in known.items())
    return {name: int(count) for name, count in counts.row(0, named=True).items()}


# -- clusters


def describe_clusters(ledger: Ledger) -> tuple[list[ClusterSize], list[int]]:
    """Return how many clusters have how many records, and the rows of the survivors of the largest, the largest first."""
    sizes = ledger.read("cluster_size")["cluster_size"].fill_null(0).to_numpy().astype(np.int64)
    rows = np.flatnonzero((sizes > 1) & (ledger.verdicts == _KEPT))
    of_clusters = sizes[rows]
    described = []
    for least, above in pairwise((*_CLUSTER_SIZES, np.inf)):
        chosen = of_clusters[(of_clusters >= least) & (of_clusters < above)]
        most = None if above == np.inf else int(above) - 1
        if len(chosen):
            described.append(ClusterSize(least=int(least), most=most, clusters=len(chosen), records=int(chosen.sum())))
    return described, nearest(rows, -of_clusters.astype(np.float64), 2 * NEAR)


# -- sources and domains


def count_losses(ledger: Ledger, key: str, amount: str | None) -> Grouping:
    """Return what the records with each value of a column became."""
    return _summarise(_group_losses(ledger, pl.col(key), amount), amount)


def count_domain_losses(ledger: Ledger, amount: str | None) -> Grouping | None:
    """Return what the records of each registered domain became; None where the ledger has no URLs."""
    if "url" not in ledger.schema:
        return None
    counts = _group_losses(ledger, pl.col("url").map_batches(hosts, pl.String), amount).filter(pl.col("key").is_not_null())
    if counts.is_empty():
        return None
    renamed = counts.with_columns(key=pl.Series([registered_domain(host) for host in counts["key"]], dtype=pl.String))
    return _summarise(_order(renamed.group_by("key").agg(pl.all().sum())), amount)


def _group_losses(ledger: Ledger, key: pl.Expr, amount: str | None) -> pl.DataFrame:
    is_kept = pl.col("verdict") == "kept"
    steps = {
        "unreadable": pl.col("verdict") == "unreadable",
        **{step: (pl.col("step") == step) & ~is_kept for step in ("decide", "deduplicate", "strip")},
        "kept": is_kept,
    }
    counts = (expression.fill_null(False).sum().cast(pl.Int64).alias(name) for name, expression in steps.items())
    kept_amount = pl.col(amount).filter(is_kept).cast(pl.Float64).sum() if amount else pl.lit(0.0)
    columns = [pl.len().cast(pl.Int64).alias("records"), *counts, kept_amount.alias("kept_amount")]
    # A file at a time: URLs of a large corpus are more than memory holds.
    grouped = pl.concat(scan_parquet(file).group_by(key.alias("key")).agg(columns).collect() for file in ledger.files)
    return _order(grouped.group_by("key").agg(pl.all().sum()))


def _order(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.sort("records", "key", descending=[True, False], nulls_last=True)


def _summarise(counts: pl.DataFrame, amount: str | None) -> Grouping:
    named = counts.filter(pl.col("key").is_not_null())
    shown = named.head(_SOURCES)
    rest = pl.concat([named[_SOURCES:], counts.filter(pl.col("key").is_null())]).drop("key").sum()
    others = None if not rest["records"][0] else _losses("", rest.row(0, named=True), amount)
    rows = shown.iter_rows(named=True)
    return Grouping(count=len(named), shown=[_losses(row.pop("key"), row, amount) for row in rows], others=others)


def _losses(name: str, counts: dict[str, Any], amount: str | None) -> Losses:
    left, worst, most_at = counts["records"] - counts["unreadable"], SHARE, None
    for step in ("decide", "deduplicate", "strip"):
        if left >= LEAST and counts[step] > worst * left:
            worst, most_at = counts[step] / left, step
        left -= counts[step]
    return Losses(name=name, **counts | {"kept_amount": counts["kept_amount"] if amount else None}, most_at=most_at)


def find_fitted(ledger: Ledger, rules: Sequence[str]) -> pl.DataFrame:
    """Return `rule`, `bound` and `bound_text` that records of fitted rules broke."""
    columns = ("rule", "bound", "bound_text")
    if not rules:
        return pl.DataFrame(schema={"rule": pl.String, "bound": pl.Float64, "bound_text": pl.String})
    broken = ledger.scan().filter(pl.col("rule").is_in([*rules]) & pl.col("bound").is_not_null())
    return broken.select(columns).unique().collect().sort(columns)
