"""Records next to a bound: those that it just keeps, and those that it just drops."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from filters import MEASURES
from pipeline.core.errors import UsageError
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.measured import fit_bands, measured_columns
from pipeline.corpus.records import read_record
from pipeline.manifest.model import Bound, Manifest, did_you_mean


@dataclass(frozen=True)
class Neighbour:
    """A record by a bound. `fits`: whether it is on the side that the bound keeps; `verdict`, `rule`: what became of it."""

    limit: float
    fits: bool
    value: float
    id: str
    verdict: str
    rule: str | None
    excerpt: str | None


def find_neighbours(corpus: BuiltCorpus, manifest: Manifest, rule: str, most: int) -> list[Neighbour]:
    """Return the records nearest to the limits of a rule, at most `most` on either side of each; below first, the nearest last.

    Raises UsageError for a rule that is none of the manifest's, or has no limit that is a number.
    """
    bound = manifest.rules.get(rule)
    if bound is None:
        known = did_you_mean(rule, manifest.rules)
        hint = "; it is measured, but not bounded: give it a bound with --set" if rule in MEASURES else known
        raise UsageError(f"--near {rule}: the corpus has no rule of that name{hint} Rules: {', '.join(manifest.rules)}")
    limits = _list_limits(corpus, manifest, rule, bound)
    if not limits:
        raise UsageError(f"--near {rule}: its bound is about words, not numbers, so that nothing is near it")
    if rule not in corpus.ledger_schema:
        raise UsageError(f"--near {rule}: the ledger has no such column, since the build found nothing that it judges")
    value = measured_columns(corpus, {rule: bound})[0].cast(pl.Float64).alias("value")
    numbered = corpus.scan_ledger().select("verdict", value).with_row_index("number")
    judged = numbered.filter((pl.col("verdict") != "unreadable") & pl.col("value").is_finite()).select("number", "value")
    found: list[Neighbour] = []
    for limit, is_least in limits:
        is_above = pl.col("value") >= limit if is_least else pl.col("value") > limit
        for fits, side in ((not is_least, ~is_above), (is_least, is_above)):
            nearest = judged.filter(side).bottom_k(most, by=[(pl.col("value") - limit).abs(), pl.col("number")]).collect()
            for number, at in nearest.sort("value", "number").iter_rows():
                row = read_record(corpus, number).row
                found.append(Neighbour(limit, fits, at, row["id"], row["verdict"], row["rule"], row["excerpt"]))
    return found


def _list_limits(corpus: BuiltCorpus, manifest: Manifest, rule: str, bound: Bound) -> list[tuple[float, bool]]:
    """Return the limits of a bound, each with whether it is a least value; of fitted ones those of the whole corpus."""
    limits = [(limit, is_least) for limit, is_least in ((bound.at_least, True), (bound.at_most, False)) if limit is not None]
    bands = fit_bands(corpus, {rule: bound}) if bound.iqr is not None else None
    if bands is not None:
        of_corpus = bands.filter(pl.col("group").is_null())
        limits += [(low, True) for low in of_corpus["low"]] + [(high, False) for high in of_corpus["high"]]
    return limits
