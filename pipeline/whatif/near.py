"""Records next to a bound: those that it just keeps, and those that it just drops."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from filters import MEASURES
from pipeline.core.errors import SeimaiError, UsageError
from pipeline.core.names import did_you_mean
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.content import read_measured_by
from pipeline.corpus.evidence import Passage, find_evidence, has_evidence, list_passages
from pipeline.corpus.measured import fit_bands, measured_columns
from pipeline.corpus.records import LedgerRecord, read_record
from pipeline.manifest.model import Bound, Manifest
from pipeline.steps.decide import broken_bound

_PASSAGES = 5  # of a record


@dataclass(frozen=True)
class Neighbour:
    """A record by a bound. `fits`: whether it is on the side that the bound keeps; `verdict`, `rule`: what became of it.

    `passages`: what counts for the bound's measure in its text, where that shows something and the text is still there.
    """

    limit: float
    fits: bool
    value: float
    id: str
    verdict: str
    rule: str | None
    excerpt: str | None
    passages: tuple[Passage, ...] = ()


def find_neighbours(corpus: BuiltCorpus, manifest: Manifest, rule: str, most: int) -> list[Neighbour]:
    """Return the records nearest to the limits of a rule, at most `most` on either side of each; below first, the nearest last.

    Raises UsageError for a rule that is none of the manifest's, or has no limit that is a number.
    """
    bound = manifest.rules.get(rule)
    if bound is None:
        rules = ", ".join(manifest.rules)
        if rule in corpus.ledger_schema and rule in MEASURES:
            example = f"--set rules.{rule}.at_most=VALUE (or at_least)"
            raise UsageError(
                f"--near {rule}: it is measured, but no rule bounds it. Give it a bound: {example}. Rules: {rules}"
            )
        if rule in MEASURES:
            raise UsageError(
                f"--near {rule}: this corpus was built without that measure, so no rule can bound it. Rules: {rules}"
            )
        known = did_you_mean(rule, [*manifest.rules, *(name for name in corpus.ledger_schema if name in MEASURES)])
        raise UsageError(f"--near {rule}: there is no rule and no measure of that name{known} Rules: {rules}")
    limits = _list_limits(corpus, manifest, rule, bound)
    if not limits:
        raise UsageError(f"--near {rule}: its bound is about words, not numbers, so that nothing is near it")
    if rule not in corpus.ledger_schema:
        raise UsageError(f"--near {rule}: the ledger has no such column, since the build found nothing that it judges")
    column = measured_columns(corpus, {rule: bound})[0]
    numbered = corpus.scan_ledger().select("verdict", column, column.cast(pl.Float64).alias("value")).with_row_index("number")
    judged = numbered.filter((pl.col("verdict") != "unreadable") & pl.col("value").is_finite()).drop("verdict")
    found: list[Neighbour] = []
    for limit, is_least in limits:
        is_above = _is_above(rule, bound, limit, is_least)
        for fits, side in ((not is_least, ~is_above), (is_least, is_above)):
            nearest = judged.filter(side).bottom_k(most, by=[(pl.col("value") - limit).abs(), pl.col("number")]).collect()
            for number, at in nearest.sort("value", "number").select("number", "value").iter_rows():
                record = read_record(corpus, number)
                row, passages = record.row, _find_passages(corpus, manifest, rule, record)
                found.append(Neighbour(limit, fits, at, row["id"], row["verdict"], row["rule"], row["excerpt"], passages))
    return found


def _find_passages(corpus: BuiltCorpus, manifest: Manifest, rule: str, record: LedgerRecord) -> tuple[Passage, ...]:
    if not has_evidence(rule):
        return ()
    try:
        evidence = find_evidence(manifest, rule, read_measured_by(corpus, record, rule))
    except SeimaiError:  # shards that are gone: the excerpt is all there is
        return ()
    return () if evidence is None else tuple(list_passages(evidence)[:_PASSAGES])


def _is_above(rule: str, bound: Bound, limit: float, is_least: bool) -> pl.Expr:
    """Return whether values are on the upper side of a limit, compared as the step decide compares them: in the type of the column."""
    if bound.iqr is not None:  # fitted limits are numbers of 64 bits
        return pl.col("value") >= limit if is_least else pl.col("value") > limit
    alone = Bound(at_least=limit) if is_least else Bound(at_most=limit)
    is_broken = broken_bound(rule, alone).is_broken
    return ~is_broken if is_least else is_broken


def _list_limits(corpus: BuiltCorpus, manifest: Manifest, rule: str, bound: Bound) -> list[tuple[float, bool]]:
    """Return the limits of a bound, each with whether it is a least value; of fitted ones those of the whole corpus."""
    limits = [(limit, is_least) for limit, is_least in ((bound.at_least, True), (bound.at_most, False)) if limit is not None]
    bands = fit_bands(corpus, {rule: bound}) if bound.iqr is not None else None
    if bands is not None:
        of_corpus = bands.filter(pl.col("group").is_null())
        limits += [(low, True) for low in of_corpus["low"]] + [(high, False) for high in of_corpus["high"]]
    return limits
