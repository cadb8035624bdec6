"""The life of a record of a built corpus: where it came from, what cleaning made of it, how rules judged it, and its duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from filters import MEASURES
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.content import RecordContent, read_content, read_measured
from pipeline.corpus.differences import Change, diff_texts
from pipeline.corpus.evidence import Evidence
from pipeline.corpus.measured import fit_bands, measured_columns
from pipeline.corpus.records import LedgerRecord, find_record
from pipeline.explain.judgement import Judgement, judge_rules, show_evidence
from pipeline.steps.fit import with_bands
from pipeline.steps.strip import JUDGED

_MEMBERS = 5  # duplicates of a record that are named


@dataclass(frozen=True)
class Survivor:
    """The record that another is a duplicate of, and what differs in their cleaned texts: from the survivor's to the duplicate's.

    `is_excerpt`: only the beginnings of both are compared.
    """

    record: LedgerRecord
    text: str
    changes: list[Change]
    is_excerpt: bool


@dataclass(frozen=True)
class RecordLife:
    """Everything that is known of a record.

    `changes`: from its text as it came (out of HTML or wikitext) to the cleaned one; None where either is not known. `judgement`: None
    for a mixture, which has no rules. `evidence`: what in the text counts for the rules that are asked about. `measures`: those that no
    rule judges. `duplicates`: ids and similarities of some records that are duplicates of this one, `duplicate_count` how many there are.
    """

    record: LedgerRecord
    content: RecordContent
    changes: list[Change] | None
    judgement: Judgement | None
    evidence: list[Evidence]
    measures: dict[str, Any]
    survivor: Survivor | None
    duplicates: list[tuple[str, float]]
    duplicate_count: int


def read_life(corpus: BuiltCorpus, record: LedgerRecord, most_before: int | None, measures: Sequence[str] = ()) -> RecordLife:
    """Read everything that is known of a record. `most_before`: as for `read_content`.

    `measures`: those whose evidence is shown, by default as `choose_measures` says.
    """
    content = read_content(corpus, record, most_before)
    changes = None
    if content.extracted is not None and content.cleaned is not None:
        changes = diff_texts(content.extracted, content.cleaned)
    judgement = None if corpus.is_mixture else _judge(corpus, record)
    judged = set() if judgement is None else {*judgement.rules["rule"]}
    of_duplicates = corpus.scan_ledger().filter(pl.col("duplicate_of") == record.id).select("id", "similarity").collect()
    return RecordLife(
        record,
        content,
        changes,
        judgement,
        []
        if judgement is None
        else show_evidence(corpus.manifest, judgement, read_measured(corpus, record, content), measures),
        {name: value for name, value in record.row.items() if name in MEASURES and name not in judged},
        _find_survivor(corpus, record, content),
        of_duplicates.sort("similarity", descending=True).head(_MEMBERS).rows(),
        len(of_duplicates),
    )


def _judge(corpus: BuiltCorpus, record: LedgerRecord) -> Judgement:
    """Judge a record by every rule on it; of those on what is left without lines that recur, by what the ledger says."""
    manifest = corpus.manifest
    rules = manifest.document_rules
    frame = corpus.scan_ledger().slice(record.number, 1).select(measured_columns(corpus, rules)).collect()
    if (bands := fit_bands(corpus, rules)) is not None:
        frame = with_bands(frame, rules, bands)
    judgement = next(judge_rules(manifest, frame, rules))
    late = {name: manifest.rules[name] for name in JUDGED if name in manifest.rules and name not in rules}
    if not late or record.row.get("recurring_line_share") is None:
        return judgement
    of_left = frame.with_columns(pl.lit(record.row[name]).alias(f"m:{name}") for name in late)
    further = next(judge_rules(manifest, of_left, late)).rules
    return judgement._replace(rules=pl.concat([judgement.rules, further]))


def _find_survivor(corpus: BuiltCorpus, record: LedgerRecord, content: RecordContent) -> Survivor | None:
    if record.row["duplicate_of"] is None:
        return None
    survivor = find_record(corpus, record.row["duplicate_of"])
    of_survivor = read_content(corpus, survivor, 0) if corpus.is_mixture else read_content(corpus, survivor)
    is_excerpt = content.cleaned is None or of_survivor.cleaned is None
    if is_excerpt:
        texts = record.row["excerpt"] or "", survivor.row["excerpt"] or ""
    else:
        texts = content.text, of_survivor.text
    return Survivor(survivor, texts[1], diff_texts(*texts), is_excerpt)
