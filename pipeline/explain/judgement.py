"""Every rule on records, one by one: the value, the bound, and whether it is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs

from filters import MEASURES
from pipeline.core.errors import UsageError
from pipeline.core.numbers import show_fitted
from pipeline.corpus.evidence import Evidence, MeasuredText, choose_measures, find_evidence
from pipeline.manifest import rules as named_rules
from pipeline.manifest.loading import Override
from pipeline.manifest.model import Bound, Manifest
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.measure import CleanedDocuments, compute_measures
from pipeline.report.facts import describe_rule
from pipeline.steps.decide import decide_frame, decide_records, measured_column

# What a manifest of texts says where nobody says otherwise: a table has columns that can be named, and may have URLs.
BASE: dict[str, Any] = {"name": "texts", "title": "Texts", "license": "unknown", "source": {"format": "parquet"}}

_RULES_SCHEMA = {
    "rule": pl.String, "value": pl.Float64, "value_text": pl.String, "bound": pl.String, "broken": pl.Boolean,
    "description": pl.String, "reason": pl.String,
}  # fmt: skip


class Judgement(NamedTuple):
    """What rules say of a record: its verdict, the rule that is broken first, and a row for each rule in their order.

    `rules` has `rule`, `value` (a number) or `value_text`, `bound` in words, `broken`, and what the rule measures and is for
    (`description`, `reason`).
    """

    verdict: str
    rule: str | None
    rules: pl.DataFrame


def judge_rules(manifest: Manifest, frame: pl.DataFrame, bounds: dict[str, Bound]) -> Iterator[Judgement]:
    """Judge measured records, as `decide_records` takes them, by every one of the manifest's rules in `bounds`."""
    decided = decide_records(frame, bounds)
    broken = {name: decide_frame(frame, {name: bound})["verdict"] == "dropped" for name, bound in bounds.items()}
    described = {name: describe_rule(manifest, name) for name in bounds}
    for number, (verdict, rule) in enumerate(decided.select("verdict", "rule").iter_rows()):
        is_unreadable = verdict == "unreadable"
        rows = []
        for name, (words, description) in described.items():
            value = None if is_unreadable else frame[measured_column(name)][number]
            number_and_text = (None, value) if isinstance(value, str) else (value, None)
            is_broken = None if is_unreadable else broken[name][number]
            if bounds[name].iqr is not None and (low := frame[f"low:{name}"][number]) is not None:
                words = f"{show_fitted(low)} to {show_fitted(frame[f'high:{name}'][number])} ({words})"
            rows.append((name, *number_and_text, words, is_broken, description, bounds[name].reason))
        yield Judgement(verdict, rule, pl.DataFrame(rows, _RULES_SCHEMA, orient="row"))


def show_evidence(
    manifest: Manifest, judgement: Judgement, texts: MeasuredText, measures: Sequence[str] = ()
) -> list[Evidence]:
    """Return what in the text of a record counts for `measures`, by default for the rules that `choose_measures` chooses."""
    if judgement.verdict == "unreadable":
        return []
    names = measures or choose_measures(judgement.rules, manifest.rules)
    return [one for name in names if (one := find_evidence(manifest, name, texts)) is not None]


# -- texts that are in no corpus


def load_text_rules(reference: str, overrides: list[Override]) -> TextManifest:
    """Return a manifest with the rules that a name or a TOML file stands for. Raises UsageError where they judge no single texts."""
    manifest, _ = named_rules.load_rules(reference, overrides, BASE, TextManifest)
    return check_text_rules(manifest, reference)


def check_text_rules(manifest: Manifest, name: str, takes_settings: bool = False) -> TextManifest:
    """Return a manifest whose rules judge single texts. Raises UsageError where they do not: `name` is what the message calls it.

    `takes_settings`: whether keys of the manifest can be set where it was named.
    """
    if not isinstance(manifest, TextManifest):
        raise UsageError(f"{name} has rules for {manifest.modality.replace('_', '-')} records: here texts are judged")
    if fitted := [rule for rule, bound in manifest.rules.items() if bound.iqr is not None]:
        way_out = (
            f"--set 'rules.skip=[\"{fitted[0]}\"]'"
            if takes_settings
            else "name a file with the same rules but that one with --rules"
        )
        raise UsageError(
            f"{name}: the bounds of {fitted[0]} are fitted to a corpus by a build (iqr), so they say nothing of single texts. "
            f"Leave it out: {way_out}"
        )
    return manifest


def measure_texts(manifest: TextManifest, documents: CleanedDocuments) -> pl.DataFrame:
    """Return the measured table of cleaned documents, with the columns that the manifest's rules judge."""
    rows = documents.rows.frame
    measures = [name for name in manifest.document_rules if name in MEASURES]
    frame = pl.DataFrame(
        [
            *(one.alias(measured_column(one.name)) for one in compute_measures(manifest, documents, measures)),
            *(_take_column(rows, name, kind).alias(measured_column(name)) for name, kind in manifest.source.kept.items()),
            pl.Series("unreadable", documents.problems, pl.String),
            pl.Series("payload", documents.offsets[1:] - documents.offsets[:-1]),
        ]
    )
    return frame.with_columns(cs.boolean().cast(pl.Int8))


def _take_column(frame: pl.DataFrame, name: str, kind: pl.DataType) -> pl.Series:
    """Return a column, of nulls where there is none."""
    return frame[name].cast(kind) if name in frame.columns else pl.Series(name, [None], kind).new_from_index(0, len(frame))
