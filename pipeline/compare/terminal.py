"""What the command prints: a table, or JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.compare.judgement import Comparison, Count, Difference
from pipeline.core.bounds import translate_bound
from pipeline.core.language import translate
from pipeline.core.names import make_printable
from pipeline.core.numbers import show_number
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.rules import NamedRules

_EXCERPT = 60


def print_comparison(console: Console, corpus: BuiltCorpus, a: NamedRules, b: NamedRules, found: Comparison) -> None:
    """Print what both keep, what one keeps, and which rules of the other drop that, with examples."""
    unit = corpus.amount[1] if corpus.amount else None
    console.print(f"A = {a.name}\nB = {b.name}\n", highlight=False, markup=False, soft_wrap=True)
    table = Table("", box=None, pad_edge=False)
    for heading in ("records", "share", *([unit] if unit else [])):
        table.add_column(translate(heading), justify="right", no_wrap=True)
    for name, count in (
        ("both keep", found.both),
        ("only A keeps", found.only_a),
        ("only B keeps", found.only_b),
        ("neither", found.neither),
    ):
        table.add_row(translate(name), *_cells(count, found.records, unit))
    console.print(table)
    more = f", {found.unreadable:,} more could not be read" if found.unreadable else ""
    console.print(f"{found.records:,} records before deduplication{more}", highlight=False)
    _print_differences(console, "what A keeps, by the rule of B that drops it", found.dropped_by_b, found.records, unit)
    _print_differences(console, "what B keeps, by the rule of A that drops it", found.dropped_by_a, found.records, unit)


def _print_differences(console: Console, title: str, differences: list[Difference], records: int, unit: str | None) -> None:
    if not differences:
        return
    table = Table(translate(title), box=None, pad_edge=False)
    for heading in ("records", "share", *([unit] if unit else [])):
        table.add_column(translate(heading), justify="right", no_wrap=True)
    for difference in differences:
        table.add_row(difference.rule, *_cells(difference.count, records, unit))
    console.print()
    console.print(table)
    for difference in differences:
        for example in difference.examples:
            excerpt = make_printable(" ".join((example.excerpt or "").split()))  # crawled text may hold escape sequences
            value = make_printable(example.value_text or "") if example.value is None else show_number(example.value)
            bound = translate_bound(example.bound_text)
            line = f"  {difference.rule} {value} ({bound})  {make_printable(example.id)}  {excerpt[:_EXCERPT]}"
            console.print(Text(line), soft_wrap=True)


def _cells(count: Count, records: int, unit: str | None) -> list[str]:
    cells = [f"{count.records:,}", f"{count.records / max(records, 1):.2%}"]
    return [*cells, f"{count.amount:,.0f}"] if unit else cells


def as_json(corpus: BuiltCorpus, a: NamedRules, b: NamedRules, found: Comparison) -> dict[str, Any]:
    """Return the same for scripts."""
    unit = corpus.amount[1] if corpus.amount else None

    def counts(count: Count) -> dict[str, Any]:
        return {"records": count.records} | ({unit: round(count.amount)} if unit else {})

    def differences(several: list[Difference]) -> list[dict[str, Any]]:
        return [{"rule": one.rule} | counts(one.count) | {"examples": [vars(e) for e in one.examples]} for one in several]

    return {
        "corpus": str(corpus.folder),
        "a": a.name,
        "b": b.name,
        "records": found.records,
        "unreadable": found.unreadable,
        "both_keep": counts(found.both),
        "only_a_keeps": counts(found.only_a),
        "only_b_keeps": counts(found.only_b),
        "neither_keeps": counts(found.neither),
        "kept_by_a_dropped_by_b": differences(found.dropped_by_b),
        "kept_by_b_dropped_by_a": differences(found.dropped_by_a),
    }
