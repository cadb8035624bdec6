"""Pages of single records: one with its text and measures, one beside its survivor, one before and after cleaning; and its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs

from filters.evidence import join_spans
from pipeline.core.bounds import translate_bound
from pipeline.core.errors import UsageError
from pipeline.core.language import translate, translate_message
from pipeline.corpus.content import read_cleaned, read_content, read_measured_by
from pipeline.corpus.differences import diff_texts
from pipeline.corpus.evidence import Evidence, describe_evidence, find_evidence, has_evidence, list_passages
from pipeline.corpus.media import read_media
from pipeline.corpus.records import LedgerRecord, find_record, read_shard_rows
from pipeline.inspect.opened import OpenedCorpus
from pipeline.inspect.pages import REASONS, Context, find_duplicates
from pipeline.inspect.rendering import LONGEST
from pipeline.manifest.model import Bound, is_of_corpus
from pipeline.modalities.base import EXCERPT
from pipeline.report.facts import describe_rule
from pipeline.steps.decide import broken_bound, measured_column

_DUPLICATES = 10  # on the page of their survivor
_PASSAGES = 12  # of a measure, above the text
_CONTEXT = 200  # characters shown before and after a change


class Piece(NamedTuple):
    """A stretch of a comparison as it is shown: the `same` on both sides, `before` and `after`, or a gap of so many equal characters."""

    kind: str
    same: str = ""
    before: str = ""
    after: str = ""
    length: int = 0


def describe_record(opened: OpenedCorpus, id: str, is_complete: bool, mark: str | None = None) -> Context:
    """Return a record as it is on its page; `is_complete`: with all of a long text. Raises UsageError for an unknown id.

    `mark`: the measure whose evidence is marked in the text, by default the rule that dropped the record; "" for none.
    """
    record = find_record(opened.built, id)
    row, texts = record.row, _read_texts(opened, record)
    text = texts[0] if texts else row["excerpt"] or ""
    is_whole = bool(texts) or (row["verdict"] != "unreadable" and len(text) < EXCERPT)
    evidence = _find_evidence(opened, record, mark)
    if evidence is not None:
        text, is_whole = evidence.text, True
    shown = text if is_complete else text[:LONGEST]
    survivor = find_duplicates(opened, [record.id], _DUPLICATES) if (row.get("cluster_size") or 0) > 1 else {}
    return {
        "row": row,
        "text": shown,
        "spans": [] if evidence is None else join_spans(evidence.spans, len(text)),
        "evidence": evidence,
        "evidence_words": "" if evidence is None else describe_evidence(evidence),
        "passages": [] if evidence is None else list_passages(evidence)[:_PASSAGES],
        "further": len(text) - len(shown),
        "is_complete": is_whole,
        "captions": texts[1:],
        "duplicates": survivor.get(record.id, []),
        "measures": _list_measures(opened, row),
    }


def describe_pair(opened: OpenedCorpus, id: str, is_complete: bool) -> Context:
    """Return a duplicate beside its survivor: what differs in their texts. Raises UsageError where it is none."""
    record = find_record(opened.built, id)
    if not record.row.get("duplicate_of"):
        raise UsageError(f"{record.id} is no duplicate")
    survivor = find_record(opened.built, record.row["duplicate_of"])
    contents = [_read_text(opened, one) for one in (record, survivor)]
    sides = [
        {"name": name, "heading": translate(words), "id": one.id, "verdict": one.row["verdict"], "media": True}
        for name, words, one in (("before", "Duplicate", record), ("after", "Survivor", survivor))
    ]
    texts, reasons = [text for text, _ in contents], [reason for _, reason in contents if reason]
    if reasons:
        texts = [text[:EXCERPT] for text in texts]
    note = translate("Only the beginning is compared: {0}").replace("{0}", translate_message(reasons[0])) if reasons else ""
    return {
        "heading": translate("A duplicate beside its survivor"),
        "note": note,
        "rule": record.row["rule"] or "",
        "similarity": record.row.get("similarity"),
        "bound": record.row["bound"],
        "sides": sides,
    } | _compare(texts[0], texts[1], is_complete)


def describe_changes(opened: OpenedCorpus, id: str, is_complete: bool) -> Context:
    """Return a record before and after cleaning: what differs. Raises UsageError for an unknown id."""
    record = find_record(opened.built, id)
    content = read_content(opened.built, record)
    before = content.extracted if content.extracted is not None else content.raw
    note = ""
    if before is None:
        before = content.text
        note = translate("What came in cannot be read again: {0}").replace("{0}", translate_message(content.reason or ""))
    elif content.extracted is not None and content.raw != content.extracted:
        note = translate("The text was taken out of HTML or wikitext first; here is what was found in it.")
    sides = [
        {"name": name, "heading": translate(words), "id": record.id, "verdict": verdict, "media": False}
        for name, words, verdict in (("before", "As it came", ""), ("after", "After cleaning", record.row["verdict"]))
    ]
    return {
        "heading": translate("What cleaning changed"),
        "note": note,
        "rule": "",
        "similarity": None,
        "bound": None,
        "sides": sides,
    } | _compare(before, content.text, is_complete)


def read_bytes(opened: OpenedCorpus, id: str) -> bytes:
    """Return the image or the recording of a record: from the shards where it was kept, else from its input. Raises SeimaiError."""
    return read_media(opened.built, find_record(opened.built, id))


def _find_evidence(opened: OpenedCorpus, record: LedgerRecord, mark: str | None) -> Evidence | None:
    """Return what in the text counts for a measure; None where none is asked for, or it shows nothing, or the text is not known."""
    row, built = record.row, opened.built
    name = (row["rule"] if row["verdict"] == "dropped" else None) if mark is None else mark
    if not name or built.is_mixture or row["verdict"] == "unreadable":
        return None
    if not has_evidence(name):
        if mark is None:
            return None
        raise UsageError(f"mark = {name!r}: no measure of that name shows anything in a text")
    return find_evidence(built.manifest, name, read_measured_by(built, record, name))


def _read_text(opened: OpenedCorpus, record: LedgerRecord) -> tuple[str, str]:
    """Return the cleaned text of a record and "", or its beginning and why there is no more of it."""
    if (cleaned := read_cleaned(opened.built, record)) is not None:
        return cleaned, ""
    content = read_content(opened.built, record)
    return content.text, (content.reason or "–") if content.cleaned is None else ""


def _read_texts(opened: OpenedCorpus, record: LedgerRecord) -> list[str]:
    """Return the text of a kept record and further captions of its image; nothing of another."""
    if record.row["verdict"] != "kept":
        return []
    names = [opened.text_column, *(["captions"] if opened.media_column == "image" else [])]
    rows = read_shard_rows(opened.built, [record.id], names).to_dicts()
    if not rows:
        return []
    return [row[opened.text_column] or "" for row in rows[:1]] + [
        one for one in rows[0].get("captions") or [] if one != rows[0][names[0]]
    ]


def _compare(before: str, after: str, is_complete: bool) -> Context:
    """Return the pieces of a comparison; unless `is_complete`, of long texts the beginnings, and of what is equal what is near a change."""
    is_cut = not is_complete and max(len(before), len(after)) > LONGEST
    if is_cut:
        before, after = before[:LONGEST], after[:LONGEST]
    changes = diff_texts(before, after)
    pieces = list[Piece]()
    for number, change in enumerate(changes):
        if change.kind != "same":
            pieces.append(Piece(change.kind, before=change.before, after=change.after))
            continue
        text, is_first, is_last = change.before, number == 0, number == len(changes) - 1
        hidden = len(text) - _CONTEXT * (2 - is_first - is_last)
        if is_complete or len(changes) == 1 or hidden < _CONTEXT:
            pieces.append(Piece("same", text))
            continue
        is_cut = True
        start, stop = (0 if is_first else _CONTEXT), (len(text) if is_last else len(text) - _CONTEXT)
        pieces += [Piece("same", text[:start]), Piece("gap", length=stop - start), Piece("same", text[stop:])]
    return {"pieces": pieces, "is_cut": is_cut, "same": before == after}


def _list_measures(opened: OpenedCorpus, row: dict[str, Any]) -> list[Context]:
    """Return the values of a record's measures with their bounds: those with a rule first, in the order that they are tried."""
    manifest = None if opened.built.is_mixture else opened.built.manifest
    rules = manifest.rules if manifest is not None else {}
    # The rule of a duplicate is what it was found by, and may share its name with a column.
    broken = _find_broken(opened, row, rules) | ({row["rule"]} if row["verdict"] == "dropped" else set())
    names = [name for name in rules if name in row] + [name for name in row if name not in rules and name not in REASONS]
    return [
        {
            "name": name,
            "value": row[name],
            "is_number": opened.schema[name].is_numeric(),
            "bound": translate_bound(describe_rule(manifest, name)[0]) if manifest is not None and name in rules else "",
            "broken": name in broken,
            "has_evidence": has_evidence(name),
        }
        for name in names
        if not opened.schema[name].is_nested() and (row[name] is not None or name in rules)
    ]


def _find_broken(opened: OpenedCorpus, row: dict[str, Any], rules: Mapping[str, Bound]) -> set[str]:
    """Return the rules that a record breaks, as the step decide judges it. Of fitted bounds the ledger alone knows."""
    judged = {
        name: bound
        for name, bound in rules.items()
        if name in row and bound.iqr is None and not (row[name] is None and is_of_corpus(name))
    }
    if row["verdict"] == "unreadable" or not judged:
        return set()
    schema = {measured_column(name): opened.schema[name] for name in judged}
    frame = pl.DataFrame({measured_column(name): [row[name]] for name in judged}, schema).with_columns(
        cs.boolean().cast(pl.Int8)
    )
    found = frame.select(broken_bound(name, bound).is_broken.alias(name) for name, bound in judged.items()).row(0, named=True)
    return {name for name, is_broken in found.items() if is_broken}
