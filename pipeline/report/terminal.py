"""What the command prints at the end, and for `--plan`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.core.storage import format_size
from pipeline.core.tables import suggest_look
from pipeline.report.facts import BuildFacts, PlanFacts
from tokenizer.encode import make_counts_table
from tokenizer.evaluate import make_figures_table

_REASONS_SHOWN = 8


def print_summary(console: Console, facts: BuildFacts) -> None:
    """Print records and amounts by step, the most frequent reasons, polishing ratio, time and memory, and warnings."""
    console.print()
    console.print(_build_steps_table(facts))
    reasons = {rule.name: rule.records for rule in facts.rules} | {
        "exact duplicate": facts.duplicates["exact"],
        "near duplicate": facts.duplicates["near"],
        "unreadable": facts.unreadable,
    }
    most_frequent = sorted(((name, count) for name, count in reasons.items() if count), key=lambda reason: -reason[1])
    if most_frequent:
        shown = "  ".join(f"{name} {count:,}" for name, count in most_frequent[:_REASONS_SHOWN])
        console.print(f"\ntop reasons   {shown}", highlight=False, soft_wrap=True)
    for removed in facts.removed:
        console.print(
            f"lines removed {removed.lines:,} ({removed.chars:,} characters): {removed.name.english}",
            highlight=False,
            soft_wrap=True,
        )
    speed = facts.bytes / 1e6 / max(facts.seconds, 1e-6)
    console.print(
        f"polishing ratio {facts.polishing_ratio:.1%} of the raw {facts.terms.ratio.english}   "
        f"{facts.seconds:.1f} s ({speed:.1f} MB/s)   peak memory {format_size(facts.peak_memory)}",
        highlight=False,
    )
    print_warnings(console, facts)


def print_up_to_date(console: Console, facts: BuildFacts) -> None:
    """Print that nothing was to be done, and the warnings of the build that did it."""
    console.print(f"{facts.out} is up to date: nothing to do", highlight=False, markup=False)
    print_warnings(console, facts)


def print_tokenizer(console: Console, facts: BuildFacts) -> None:
    """Print the tokenizer's figures and the tokens by split."""
    if facts.training is not None:
        settings, size = facts.training["settings"], format_size(facts.training["sample"]["bytes"])
        drawn = f": {facts.drawn}" if facts.drawn else ""
        console.print(
            f"\ntokenizer     {settings['model']}, {settings['vocab_size']:,} pieces, from {size} of text{drawn}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        if facts.training["figures"]:
            console.print(make_figures_table([facts.training["figures"] | {"tokenizer": "held-out"}]))
    if facts.tokens:
        console.print()
        console.print(make_counts_table(facts.tokens))


def print_intermediates(console: Console, work: Path, size: int, are_removed: bool) -> None:
    """Print how large the intermediates are, what they are for and how to be rid of them; or that they are gone."""
    if are_removed:
        line = f"intermediates {format_size(size)} removed: another rule, or a mixture, has to measure anew"
    else:
        line = f"intermediates {format_size(size)} in {work}, for other rules and for mixtures; the same command with --clean removes them"
    if size:
        console.print(f"\n{line}", highlight=False, markup=False, soft_wrap=True)


def print_next_commands(console: Console, facts: BuildFacts) -> None:
    """Print the folder, and two lines to paste: one to look at the shards, one to train on them."""
    console.print(f"\n{facts.out}", style="bold", highlight=False, markup=False)
    for line in (suggest_look(facts.out / "data"), facts.training_command):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def print_plan(console: Console, facts: PlanFacts) -> None:
    """Print what is done, what would be done, and how large it would be."""
    for url, size in facts.inputs:
        console.print(f"input   {url}  ({size})", highlight=False, markup=False)
    console.print(f"out     {facts.out}\nwork    {facts.work}\n", highlight=False, markup=False)
    table = Table("step", "state", box=None, pad_edge=False)
    table.add_column("on disk", justify="right")
    for step in facts.steps:
        table.add_row(step.name, step.state, step.size)
    console.print(table)
    console.print(f"\n{facts.conclusion}", highlight=False, soft_wrap=True)


def _build_steps_table(facts: BuildFacts) -> Table:
    table = Table("step", box=None, pad_edge=False)
    for name in ("records in", "records out", f"{facts.terms.amount.english} in", f"{facts.terms.amount.english} out"):
        table.add_column(name, justify="right")
    for step in facts.steps:
        table.add_row(step.name, f"{step.records_in:,}", f"{step.records_out:,}", step.amount_in, step.amount_out)
    return table


def print_warnings(console: Console, facts: BuildFacts) -> None:
    """Print what the build has to say beyond its numbers."""
    for warning in facts.warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
