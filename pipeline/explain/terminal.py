"""What the command prints: the life of a record in paragraphs, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.core.bounds import translate_bound
from pipeline.core.language import translate, translate_message, translate_text
from pipeline.core.names import make_printable, shorten
from pipeline.core.numbers import show_number
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.differences import Change
from pipeline.corpus.evidence import Evidence
from pipeline.explain.evidence import evidence_as_json, print_evidence
from pipeline.explain.judgement import Judgement
from pipeline.explain.life import RecordLife

_EXCERPT = 300  # characters of a text
_WORDS = 200  # characters of what a source says of a record, such as its title
_STRETCH = 80  # characters of a stretch that differs
_DIGITS = 4  # of a measure
_CONTEXT = 12  # characters of what is the same beside it
_HUNKS = 12  # stretches that differ
_REMOVED, _ADDED = "red", "green"


def print_life(console: Console, corpus: BuiltCorpus, life: RecordLife) -> None:
    """Print where a record came from, what cleaning changed, how it was judged, and its duplicates."""
    row = life.record.row
    console.print(_title(row))
    console.print()
    content = life.content
    if content.input is not None:
        console.print(f"input: {make_printable(content.input)} at {make_printable(content.locator)}")
    if row.get("source"):
        console.print(f"source: {shorten(row['source'], _WORDS)}")
    own = [] if corpus.is_mixture else [*corpus.manifest.source.kept]
    for name in dict.fromkeys(["url", "title", "speaker", "programme", "part", *own]):
        if row.get(name) is not None and row[name] != "":
            console.print(Text(f"{name}: {shorten(str(row[name]), _WORDS)}"), soft_wrap=True)
    if content.raw is not None:
        _print_text(console, "as it came", content.raw)
    elif content.reason is not None:
        console.print(f"as it came: not read again: {translate_message(content.reason)}")
    if content.cleaned is not None and (content.raw is None or content.extracted != content.raw):
        _print_text(console, "cleaned", content.cleaned)
    elif content.cleaned is None and content.raw is None:
        _print_text(console, "the ledger's excerpt", content.excerpt or "")
    if life.changes is not None:
        _print_changes(console, "what cleaning changed", life.changes)
    if row.get("recurring_lines"):
        console.print(f"lines that recur over documents: {row['recurring_lines']} of them were removed")
    _print_cluster(console, life)
    if life.judgement is not None and row["verdict"] != "unreadable":
        _print_rules(console, life.judgement.rules)
        _print_reason(console, life.judgement, row["rule"])
    print_evidence(console, life.evidence)
    _print_measures(console, life.measures)


def _title(row: dict[str, Any]) -> Text:
    style = {"kept": "bold green", "dropped": "bold red"}.get(row["verdict"], "bold yellow")
    return Text.assemble((make_printable(row["id"]), "bold"), "  ", (_describe_verdict(row), style))


def _describe_verdict(row: dict[str, Any]) -> str:
    """Return the verdict with its reason, in the language of the user."""
    verdict = translate(row["verdict"])
    if row["verdict"] == "kept":
        return verdict
    value = show_number(row["value"]) if row["value"] is not None else shorten(row["value_text"] or "", _WORDS)
    if row["verdict"] == "unreadable":
        return f"{verdict}: {translate_message(value)}"
    if row["verdict"] == "duplicate":
        return f"{verdict} ({row['rule']}, {translate('similarity')} {value}): {make_printable(row['duplicate_of'])}"
    return f"{verdict} ({translate('step')} {translate(row['step'])}): {row['rule']} {value} ({translate_bound(row['bound_text'])})"


def _print_text(console: Console, title: str, text: str) -> None:
    console.print()
    console.print(f"{translate(title)} ({len(text):,} {translate('characters')})", style="bold")
    shown = make_printable(text[:_EXCERPT], "\n").strip("\n")
    lines = [line for line in shown.split("\n") if line.strip()][:8]
    more = " …" if len(text) > _EXCERPT or len(lines) < len([one for one in shown.split("\n") if one.strip()]) else ""
    console.print(Text("\n".join(f"  {line}" for line in lines) + more))


def _print_changes(console: Console, title: str, changes: Sequence[Change]) -> None:
    """Print stretches that differ with a little of what stands beside them, as `wdiff` marks them: [-removed-] {+added+}."""
    differing = [number for number, change in enumerate(changes) if change.kind != "same"]
    console.print()
    if not differing:
        console.print(f"{translate(title)}: {translate('nothing')}", style="bold")
        return
    console.print(f"{translate(title)}: [-…-] {{+…+}}", style="bold")
    for number in differing[:_HUNKS]:
        before = changes[number - 1].before[-_CONTEXT:] if number else ""
        after = changes[number + 1].before[:_CONTEXT] if number + 1 < len(changes) else ""
        line = Text(f"  {_on_one_line(before)}")
        line.append(f"[-{_stretch(changes[number].before)}-]" if changes[number].before else "", style=_REMOVED)
        line.append(f"{{+{_stretch(changes[number].after)}+}}" if changes[number].after else "", style=_ADDED)
        line.append(_on_one_line(after))
        console.print(line, soft_wrap=True)
    if len(differing) > _HUNKS:
        console.print(f"  … and {len(differing) - _HUNKS:,} more places; --json has all of them")


def _stretch(text: str) -> str:
    shown = _on_one_line(text[:_STRETCH])
    return shown if len(text) <= _STRETCH else f"{shown} … ({len(text):,} {translate('characters')})"


def _on_one_line(text: str) -> str:
    return make_printable(text.replace("\n", "⏎"))


def _print_rules(console: Console, rules: pl.DataFrame) -> None:
    table = Table(translate("rule"), box=None, pad_edge=False)
    table.add_column(translate("value"), justify="right", no_wrap=True)
    table.add_column(translate("bound"))
    for row in rules.iter_rows(named=True):
        style = _REMOVED if row["broken"] else None
        mark = f"  {translate('broken')}" if row["broken"] else ""
        table.add_row(row["rule"], _value(row), f"{translate_bound(row['bound'])}{mark}", style=style)
    console.print()
    console.print(table)


def _print_reason(console: Console, judgement: Judgement, rule: str | None) -> None:
    """Print what the rule that drops a record measures, and what it is for."""
    for row in judgement.rules.iter_rows(named=True) if rule is not None else ():
        if row["rule"] == rule:
            words = " ".join(translate_text(text) for text in (row["description"], row["reason"]) if text)
            console.print()
            console.print(Text.assemble((row["rule"], "bold"), f": {words}"))


def _value(row: dict[str, Any]) -> str:
    return show_number(row["value"], _DIGITS) if row["value"] is not None else shorten(row["value_text"] or "–", _STRETCH)


def _print_measures(console: Console, measures: dict[str, Any]) -> None:
    """Print measures that no rule judges, on as few lines as they need."""
    words = [
        f"{name} {show_number(value, _DIGITS) if isinstance(value, float) else shorten(str(value), _STRETCH)}"
        for name, value in measures.items()
        if value is not None and value != 0
    ]
    if words:
        console.print()
        console.print(translate("measures without a bound (0 where they are not named)"), style="bold")
        console.print(Text(", ".join(words)))


def _print_cluster(console: Console, life: RecordLife) -> None:
    if life.survivor is not None:
        kept = life.survivor.record
        console.print()
        console.print(Text.assemble((translate("survivor"), "bold"), "  ", _title(kept.row)))
        title = "how it differs, by the ledger's excerpts" if life.survivor.is_excerpt else "how it differs"
        _print_changes(console, title, life.survivor.changes)
        removed, added = "[-…-]", "{+…+}"
        console.print(
            f"  only in this record: {removed}; only in the survivor: {added}", style="dim", markup=False, highlight=False
        )
    if life.duplicates:
        console.print()
        console.print(f"its duplicates: {life.duplicate_count:,}", style="bold")
        for name, similarity in life.duplicates:
            console.print(f"  {make_printable(name)}  {similarity:.3g}")


def print_judgement(
    console: Console, judgement: Judgement, cleaned: str | None, evidence: Sequence[Evidence], not_judged: Sequence[str]
) -> None:
    """Print whether rules would keep a text, and why."""
    style = "bold green" if judgement.verdict == "kept" else "bold red"
    reason = f": {judgement.rule}" if judgement.rule else ""
    console.print(Text(f"{translate(judgement.verdict)}{reason}", style=style))
    if cleaned is not None:
        _print_text(console, "cleaned", cleaned)
    if judgement.verdict != "unreadable":
        _print_rules(console, judgement.rules)
        _print_reason(console, judgement, judgement.rule)
    print_evidence(console, evidence)
    if not_judged:
        console.print(f"not judged without a corpus: {', '.join(not_judged)}")


# -- for scripts


def life_as_json(life: RecordLife) -> dict[str, Any]:
    """Return the life of a record for scripts: its ledger row, its texts, and stretches of these that are not the same."""
    content, survivor = life.content, life.survivor
    return {
        "record": life.record.row,
        "input": content.input,
        "locator": content.locator,
        "raw": content.raw,
        "extracted": content.extracted,
        "cleaned": content.cleaned,
        "not_read_again": content.reason,
        "cleaning": None if life.changes is None else _changes_as_json(life.changes),
        "rules": [] if life.judgement is None else life.judgement.rules.to_dicts(),
        "evidence": [*map(evidence_as_json, life.evidence)],
        "survivor": survivor
        and {
            "record": survivor.record.row,
            "text": survivor.text,
            "differences": _changes_as_json(survivor.changes),
            "of_excerpts": survivor.is_excerpt,
        },
        "duplicates": [{"id": name, "similarity": similarity} for name, similarity in life.duplicates],
        "duplicate_count": life.duplicate_count,
    }


def _changes_as_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [change._asdict() for change in changes if change.kind != "same"]


def judgement_as_json(
    judgement: Judgement, cleaned: str | None, evidence: Sequence[Evidence], not_judged: Sequence[str]
) -> dict[str, Any]:
    """Return what rules say of a text for scripts."""
    return {
        "verdict": judgement.verdict,
        "rule": judgement.rule,
        "cleaned": cleaned,
        "rules": judgement.rules.to_dicts(),
        "evidence": [*map(evidence_as_json, evidence)],
        "not_judged": [*not_judged],
    }
