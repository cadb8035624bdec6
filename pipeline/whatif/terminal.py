"""What the command prints: tables, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.core.bounds import translate_bound
from pipeline.core.language import translate, translate_message
from pipeline.core.names import make_printable, shorten
from pipeline.core.numbers import show_number
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.evidence import Passage
from pipeline.corpus.rules import NamedRules
from pipeline.manifest.model import Manifest
from pipeline.manifest.rules import AS_BUILT
from pipeline.modalities import modality_of
from pipeline.report.facts import describe_rule
from pipeline.whatif.answer import Answer, Movement, Total
from pipeline.whatif.changes import Example
from pipeline.whatif.near import Neighbour

_EXCERPT = 60
_PASSAGE = 16  # characters of what counts
_CELLS = 74  # of an excerpt on a line of its own
_SHOWN = 12  # rules or sources in a table
_SIGNS = ("", "", "+", "-")  # of what was, what is, what comes and what goes


def list_changed_rules(before: Manifest, after: Manifest) -> dict[str, tuple[str | None, str | None]]:
    """Return the bounds that differ, in words: as built and now, None where there is none."""
    rules = dict.fromkeys([*before.rules, *after.rules])
    words = {
        rule: tuple(describe_rule(one, rule)[0] if rule in one.rules else None for one in (before, after)) for rule in rules
    }
    changed = {rule: pair for rule, pair in words.items() if before.rules.get(rule) != after.rules.get(rule)}
    return {rule: (pair[0], pair[1]) for rule, pair in changed.items() if pair[0] != pair[1]}


def print_answer(console: Console, corpus: BuiltCorpus, named: NamedRules, found: Answer) -> None:
    """Print what would come and go, by rule and source, with examples."""
    terms = modality_of(corpus.manifest).terms
    has_amount = corpus.amount is not None
    changed = list_changed_rules(corpus.manifest, named.manifest)
    for rule, pair in [*changed.items()][:_SHOWN]:
        before, after = (translate_bound(words) if words else translate("no bound") for words in pair)
        console.print(f"{rule}: {before} -> {after}")
    if len(changed) > _SHOWN:
        console.print(f"… and {len(changed) - _SHOWN} more rules differ")
    if not changed:
        console.print("these are the bounds that the corpus was built by")
    table = Table(box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    for heading in ("before", "after", "gains", "losses"):
        table.add_column(translate(heading), justify="right", no_wrap=True)
    for name, moved in (("pass the rules", found.passing), ("are kept", found.kept)):
        table.add_row(translate(name), *(f"{sign}{total.records:,}" for sign, total in zip(_SIGNS, moved, strict=True)))
        if has_amount:
            amounts = (f"{sign}{terms.format_amount(total.amount)}" for sign, total in zip(_SIGNS, moved, strict=True))
            table.add_row(f"  {terms.amount.local}", *amounts, style="dim")
    console.print()
    console.print(table)
    console.print(_explain_deduplication(found))
    kept = found.kept
    if has_amount and kept.before.amount + kept.gained.amount - kept.lost.amount != kept.after.amount:
        console.print("what comes and goes is counted before lines that recur are removed, what is kept after that")
    _print_totals(console, terms, has_amount, "losses, by the rule that drops it now", found.lost)
    _print_totals(console, terms, has_amount, "gains, by the rule that dropped it", found.gained)
    if len(found.sources) > 1:
        _print_sources(console, found.sources)
    _print_examples(console, found.changes.examples)


def _explain_deduplication(found: Answer) -> str:
    if found.is_replayed:
        return "duplicates were found anew, from stored signatures: this is what a build would keep"
    if found.is_exact:
        return "what passes the rules is the same, and so are its duplicates: this is what a build would keep"
    reason = translate_message(found.reason or "")
    return (
        f"duplicates were not found anew ({reason}): records that are gained may be duplicates of others, and duplicates of records that "
        "are lost may take their places"
    )


def _print_totals(console: Console, terms: Any, has_amount: bool, title: str, totals: dict[str, Total]) -> None:
    if not totals:
        return
    table = Table(translate(title), box=None, pad_edge=False)
    for heading in ("records", *([terms.amount.local] if has_amount else [])):
        table.add_column(translate(heading), justify="right", no_wrap=True)
    for rule, total in [*totals.items()][:_SHOWN]:
        table.add_row(rule, f"{total.records:,}", *([terms.format_amount(total.amount)] if has_amount else []))
    console.print()
    console.print(table)
    _print_more(console, totals)


def _print_sources(console: Console, sources: dict[str, tuple[Total, Total]]) -> None:
    table = Table(translate("by source"), box=None, pad_edge=False)
    for heading in ("gains", "losses"):
        table.add_column(translate(heading), justify="right", no_wrap=True)
    for source, (lost, gained) in [*sources.items()][:_SHOWN]:
        table.add_row(make_printable(source), f"+{gained.records:,}", f"-{lost.records:,}")
    console.print()
    console.print(table)
    _print_more(console, sources)


def _print_more(console: Console, rows: dict[str, Any]) -> None:
    if len(rows) > _SHOWN:
        console.print(f"… and {len(rows) - _SHOWN:,} more; --json has all of them")


def _print_examples(console: Console, examples: Sequence[Example]) -> None:
    if not examples:
        return
    console.print()
    for example in examples:
        sign, style = ("-", "red") if example.side == "lost" else ("+", "green")
        value = _show_value(example.value, example.value_text)
        bound = f" ({translate_bound(example.bound_text)})" if example.bound_text else ""
        line = Text(f"{sign} {example.rule}{f' {value}' if value else ''}{bound}", style=style)
        line.append(f"  {make_printable(example.id)}", style="bold")
        line.append(f"  {_shorten(example.excerpt)}", style="default")
        console.print(line, soft_wrap=True)


def _show_value(value: float | None, text: str | None) -> str:
    return show_number(value) if value is not None else shorten(text or "", _EXCERPT)


def _shorten(excerpt: str | None) -> str:
    """Return the beginning of a record on one line; crawled text may hold anything."""
    return make_printable(" ".join((excerpt or "").split()))[:_EXCERPT]


def print_neighbours(console: Console, rule: str, neighbours: Sequence[Neighbour]) -> None:
    """Print the records nearest to the bound of a rule, by value."""
    limit: float | None = None
    width = max((len(show_number(one.value)) for one in neighbours), default=0)
    sides = [translate(words) for words in ("breaks the bound", "keeps the bound")]
    side_width = max(map(cell_len, sides))
    for one in neighbours:
        if one.limit != limit:
            limit = one.limit
            console.print(f"{rule}: the records nearest to {show_number(limit)}")
        line = Text(f"  {show_number(one.value):<{width}}  ", style="green" if one.fits else "red")
        line.append(f"{set_cell_size(sides[one.fits], side_width)}  ")
        line.append(f"{_describe_outcome(one)}  ", style="default")
        line.append(make_printable(one.id), style="bold")
        console.print(line, soft_wrap=True)
        if one.excerpt:
            console.print(Text(f"    {set_cell_size(_shorten(one.excerpt), _CELLS).rstrip()}", style="default"), soft_wrap=True)
        if one.passages:
            console.print(
                Text(f"    {translate('what counts')}: ", style="dim").append_text(_join_passages(one.passages)), soft_wrap=True
            )
    if not neighbours:
        console.print("no record has a value")


def _describe_outcome(neighbour: Neighbour) -> str:
    """Return what became of a record: kept, dropped by a rule, or a duplicate."""
    verdict = translate(neighbour.verdict)
    if neighbour.verdict != "dropped" or neighbour.rule is None:
        return verdict
    return translate("dropped by {0}").replace("{0}", neighbour.rule)


def _join_passages(passages: Sequence[Passage]) -> Text:
    shown = [(shorten(one.text, _PASSAGE), f" {one.count:,}×" if one.count > 1 else "") for one in passages]
    return Text(", ").join(Text(text, style="underline").append(times, style="dim not underline") for text, times in shown)


# -- for scripts


def as_json(corpus: BuiltCorpus, named: NamedRules, found: Answer) -> dict[str, Any]:
    """Return the answer for scripts; amounts are in characters, or in milliseconds."""
    unit = {"text": "characters", "speech": "milliseconds"}.get(corpus.manifest.modality) if corpus.amount else None

    def total(one: Total) -> dict[str, int]:
        return {"records": one.records} | ({unit: one.amount} if unit else {})

    def movement(moved: Movement) -> dict[str, Any]:
        return {name: total(one) for name, one in moved._asdict().items()}

    changed = list_changed_rules(corpus.manifest, named.manifest)
    return {
        "corpus": str(corpus.folder),
        "rules_of": None if named.name.split(" ")[0] == AS_BUILT else named.name.split(" ")[0],
        "changed_rules": {rule: {"before": before, "after": after} for rule, (before, after) in changed.items()},
        "passing": movement(found.passing),
        "kept": movement(found.kept),
        "kept_is_exact": found.is_exact,
        "deduplication": {"replayed": found.is_replayed, "reason": found.reason},
        "dropped_by_rule": {rule: {"before": before, "after": after} for rule, (before, after) in found.rules.items()},
        "lost_by_rule": {rule: total(one) for rule, one in found.lost.items()},
        "gained_by_rule": {rule: total(one) for rule, one in found.gained.items()},
        "by_source": {name: {"lost": total(lost), "gained": total(gained)} for name, (lost, gained) in found.sources.items()},
        "examples": [vars(example) for example in found.changes.examples],
    }


def near_as_json(corpus: BuiltCorpus, rule: str, neighbours: Sequence[Neighbour]) -> dict[str, Any]:
    """Return the records nearest to a bound for scripts."""
    return {"corpus": str(corpus.folder), "rule": rule, "nearest": [_neighbour_as_json(one) for one in neighbours]}


def _neighbour_as_json(neighbour: Neighbour) -> dict[str, Any]:
    passages = [{"text": one.text, "count": one.count, "what": one.what} for one in neighbour.passages]
    return {name: value for name, value in vars(neighbour).items() if name != "passages"} | {"evidence": passages}
