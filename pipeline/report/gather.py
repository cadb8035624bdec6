"""The report of a build, gathered: its facts, what the ledger counts, and examples from the ledger and the intermediates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pipeline.core.names import hide_folders, make_visible
from pipeline.corpus.built import AMOUNTS
from pipeline.manifest.model import Manifest
from pipeline.modalities.base import Bilingual
from pipeline.plan import Plan
from pipeline.report import examples as chosen
from pipeline.report import figures
from pipeline.report import model as m
from pipeline.report.content import draw_pictures, read_texts
from pipeline.report.evidence import find_passages, list_near
from pipeline.report.examples import Choice, Rows
from pipeline.report.facts import BuildFacts
from pipeline.report.histogram import count_bins
from pipeline.report.ledger import VERDICTS, Ledger
from pipeline.report.lock import collect_versions
from pipeline.workspace import Layout

LONGEST = 2_000  # characters of one text


class GatheredReport(NamedTuple):
    """A report, and small pictures of records as `data:` URLs by their ids."""

    report: m.Report
    pictures: dict[str, str]


class Counted(NamedTuple):
    """What the ledger says: counts, and rows that are shown as examples. Row numbers count from its first row."""

    totals: dict[str, int]  # by verdict
    reasons: list[tuple[str, str, str, int, float | None]]  # step, rule, verdict, records, amount
    measures: list[m.Measure]
    sizes: list[m.ClusterSize]
    similarity: m.Bins | None
    sources: m.Grouping
    domains: m.Grouping | None
    choices: dict[str, Choice]  # by rule
    kept: list[int]
    largest: list[int]
    duplicates: list[int]
    survivors: dict[str, int]  # of them, by id
    rows: Rows

    @property
    def shown(self) -> list[int]:
        """All rows that are shown, what matters most first."""
        of_rules = (row for choice in self.choices.values() for row in choice.rows)
        return [*self.kept, *self.duplicates, *self.survivors.values(), *self.largest, *of_rules]


def count_ledger(ledger: Ledger, manifest: Manifest) -> Counted:
    """Count a ledger, and choose examples."""
    column = AMOUNTS.get(manifest.modality, (None, ""))[0]
    reasons = figures.count_reasons(ledger, column)
    dropped = {rule: records for _, rule, verdict, records, _ in reasons if verdict == "dropped"}
    fitted = figures.find_fitted(ledger, [name for name, rule in manifest.rules.items() if rule.iqr is not None])
    measured = figures.describe_measures(ledger, manifest, dropped, fitted)
    sizes, largest = figures.describe_clusters(ledger)
    choices = chosen.choose_examples(ledger)
    for one in measured:
        if one.figures.name in choices:
            choices[one.figures.name].kept_near = one.kept_near
    kept, duplicates = chosen.choose_kept(ledger), chosen.choose_pairs(ledger)
    of_duplicates = Rows(ledger, duplicates, ["duplicate_of"])
    survivors = ledger.find(of_duplicates[number]["duplicate_of"] for number in duplicates)
    of_rules = (row for choice in choices.values() for row in choice.rows)
    numbers = [*kept, *duplicates, *survivors.values(), *largest, *of_rules]
    return Counted(
        totals={name: int((ledger.verdicts == code).sum()) for code, name in enumerate(VERDICTS)},
        reasons=reasons,
        measures=[one.figures for one in measured],
        sizes=sizes,
        similarity=_describe_similarity(ledger, _find_accept(manifest)),
        sources=figures.count_losses(ledger, "source", column),
        domains=figures.count_domain_losses(ledger, column),
        choices=choices,
        kept=kept,
        largest=largest,
        duplicates=duplicates,
        survivors=survivors,
        rows=Rows(ledger, numbers, ["duplicate_of", "similarity"]),
    )


def gather_report(plan: Plan, facts: BuildFacts, summary: dict[str, Any], layout: Layout) -> GatheredReport | None:
    """Gather the report of a build from its facts and the ledger, which is staged still; None where no record came in."""
    if not summary["ledgers"]:
        return None
    counted = count_ledger(
        Ledger(tuple(plan.workspace.staging / "ledger" / name for name in summary["ledgers"])), plan.manifest
    )
    rows = counted.rows
    texts = read_texts(layout, [*counted.duplicates, *counted.survivors.values(), *list_near(counted.choices)])
    passages = find_passages(plan.manifest, counted.choices, texts)
    pictures = draw_pictures(plan.manifest, layout, counted.shown, {number: rows[number]["id"] for number in counted.shown})
    report = m.Report(
        corpus=_describe_corpus(plan, facts),
        totals=m.Totals(
            records=sum(counted.totals.values()),
            **counted.totals,
            polishing_ratio=facts.polishing_ratio,
            polishing_unit=_words(facts.terms.ratio),
        ),
        funnel=[*_list_states(facts)],
        splits=[m.Split(name=one.name, records=one.records, amount=_amount(facts, one.amount)) for one in facts.splits],
        reasons=[_describe_reason(plan.manifest, facts, reason, counted, passages) for reason in counted.reasons],
        kept=[*map(rows.record, counted.kept)],
        measures=counted.measures,
        removed=[
            m.Removed(kind=_words(one.name), lines=one.lines, chars=one.chars, samples=one.samples) for one in facts.removed
        ],
        duplicates=_describe_duplicates(plan.manifest, counted, texts),
        sources=counted.sources,
        domains=counted.domains,
        licenses=[m.License(name=one.name, records=one.records, amount=_amount(facts, one.amount)) for one in facts.licenses],
        inputs=[m.Input(**one._asdict()) for one in facts.inputs],
        warnings=[hide_folders(warning, facts.places) for warning in facts.warnings],
        effort=m.Effort(
            seconds=facts.seconds, steps=summary["steps_seconds"], peak_memory=facts.peak_memory, content_bytes=facts.bytes
        ),
        versions=collect_versions(),
    )
    return GatheredReport(add_tokens(_show(report), facts), pictures)


def _show(report: m.Report) -> m.Report:
    """Return a report in which every text is cut and printable, and no URL tells a secret: all but ids may be from outside."""
    return m.Report.model_validate(_show_value(report.model_dump()))


def _show_value(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _show_value(one, name) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_show_value(one, key) for one in value]
    if not isinstance(value, str) or key == "id":
        return value
    return make_visible(value if len(value) <= LONGEST else f"{value[:LONGEST]} …")


def add_tokens(report: m.Report, facts: BuildFacts) -> m.Report:
    """Return a report with the tokenizer and the token shards that a corpus has."""
    training, tokens = facts.training, facts.tokens
    kept = {name: training[name] for name in ("settings", "sample", "figures") if name in training} if training else None
    counts = {name: tokens[name] for name in ("sequence_length", "packing", "splits") if name in tokens} if tokens else None
    return report.model_copy(update={"tokenizer": kept, "tokens": counts})


def _words(term: Bilingual) -> m.Words:
    return m.Words(en=term.english, ja=term.japanese)


def _amount(facts: BuildFacts, amount: int) -> float:
    """Return an amount of the facts in the unit of reports."""
    return amount if facts.terms.per_count == 1 else amount / facts.terms.per_count


def _describe_corpus(plan: Plan, facts: BuildFacts) -> m.Corpus:
    manifest, terms = plan.manifest, facts.terms
    return m.Corpus(
        name=manifest.name,
        title=manifest.title,
        description=manifest.description,
        license=manifest.license,
        homepage=manifest.homepage,
        modality=manifest.modality,
        is_sample=facts.is_sample,
        limit=facts.limit,
        records=_words(terms.records),
        amount=_words(terms.amount),
        unit=terms.counted,
        near_duplicate=facts.near_duplicate,
    )


def _list_states(facts: BuildFacts) -> Iterator[m.State]:
    first = facts.steps[0]
    yield m.State(step="raw", records=first.records_in, amount=_amount(facts, first.amount_in))
    for step in facts.steps:
        yield m.State(step=step.name, records=step.records_out, amount=_amount(facts, step.amount_out))


def _describe_reason(
    manifest: Manifest,
    facts: BuildFacts,
    reason: tuple[str, str, str, int, float | None],
    counted: Counted,
    passages: Mapping[str, Mapping[int, Sequence[m.Passage]]],
) -> m.Reason:
    step, rule, verdict, records, amount = reason
    of_rule = next((one for one in facts.rules if one.name == rule), None)
    bound = manifest.rules.get(rule)
    if amount is None and of_rule is not None:
        amount = _amount(facts, of_rule.amount)
    return m.Reason(
        step=step,
        rule=rule,
        verdict=verdict,
        records=records,
        amount=amount,
        bound=of_rule.bound if of_rule else "",
        description=of_rule.description if of_rule else "",
        source=bound.source if bound else None,
        reason=bound.reason if bound else None,
        examples=counted.rows.examples(counted.choices[rule], passages.get(rule, {}))
        if rule in counted.choices
        else m.Examples(),
    )


def _describe_duplicates(manifest: Manifest, counted: Counted, texts: dict[int, str]) -> m.Duplicates:
    exact, near = (
        sum(
            records
            for _, rule, verdict, records, _ in counted.reasons
            if verdict == "duplicate" and (rule == "exact") is is_exact
        )
        for is_exact in (True, False)
    )
    return m.Duplicates(
        exact=exact,
        near=near,
        clusters=sum(size.clusters for size in counted.sizes),
        sizes=counted.sizes,
        largest=[*map(counted.rows.record, counted.largest)],
        similarity=counted.similarity,
        accept=_find_accept(manifest),
        pairs=chosen.describe_pairs(counted.rows, counted.duplicates, counted.survivors, texts),
    )


def _find_accept(manifest: Manifest) -> float | None:
    """Return the similarity from which on records are duplicates."""
    return getattr(manifest.deduplicate, "accept", None)


def _describe_similarity(ledger: Ledger, accept: float | None) -> m.Bins | None:
    is_near = (pl.col("verdict") == "duplicate") & (pl.col("rule") != "exact")
    values = ledger.scan().filter(is_near).select("similarity").collect().to_series().drop_nulls().to_numpy()
    bounds = [] if accept is None else [m.Bound(kind="at_least", value=accept)]
    return count_bins(values, np.full(len(values), VERDICTS.index("duplicate")), bounds)
