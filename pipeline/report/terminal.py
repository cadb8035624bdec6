"""What the command prints at the end, and for `--plan`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from pipeline.core.language import translate, translate_message
from pipeline.core.paths import shorten_path
from pipeline.core.storage import format_size
from pipeline.core.tables import suggest_look
from pipeline.manifest.model import UNKNOWN_LICENSE
from pipeline.report.facts import BuildFacts, PlanFacts
from tokenizer.encode import make_counts_table
from tokenizer.evaluate import make_figures_table

_REASONS_SHOWN = 8
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "soft_wrap": True}
_HEADING_CELLS = 14


def print_summary(console: Console, facts: BuildFacts, startup: float) -> None:
    """Print records and amounts by step, the most frequent reasons, polishing ratio, time and memory, and warnings.

    `startup`: seconds until the build began to work: loading, planning, starting workers.
    """
    console.print()
    console.print(_build_steps_table(facts))
    reasons = {rule.name: rule.records for rule in facts.rules} | {
        translate("exact duplicate"): facts.duplicates["exact"],
        translate("near duplicate"): facts.duplicates["near"],
        "unreadable": facts.unreadable,
    }
    most_frequent = sorted(((name, count) for name, count in reasons.items() if count), key=lambda reason: -reason[1])
    if most_frequent:
        shown = [f"{name} {count:,}" for name, count in most_frequent[:_REASONS_SHOWN]]
        console.print(f"\n{_fill(translate('top reasons'), shown, console.width)}")
    for removed in facts.removed:
        console.print(
            f"lines removed {removed.lines:,} ({removed.chars:,} characters): {removed.name.local}",
            highlight=False,
            soft_wrap=True,
        )
    speed = facts.bytes / 1e6 / max(facts.seconds, 1e-6)
    console.print(f"polishing ratio {facts.polishing_ratio:.1%} of the raw {facts.terms.ratio.local}")
    console.print(
        f"{facts.seconds:.1f} s ({speed:.1f} MB/s) and {startup:.1f} s to start   peak memory {format_size(facts.peak_memory)}"
    )
    print_warnings(console, facts)


def print_up_to_date(console: Console, facts: BuildFacts) -> None:
    """Print that nothing was to be done, and the warnings of the build that did it."""
    console.print(f"{shorten_path(facts.out)} is up to date: nothing to do")
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
            console.print(make_figures_table([facts.training["figures"] | {"tokenizer": translate("held-out")}]))
    if facts.tokens:
        console.print()
        console.print(make_counts_table(facts.tokens))


def print_unknown_license(console: Console, facts: BuildFacts) -> None:
    """Print how to state title and licence of input that the manifest says nothing of."""
    if facts.manifest.license.startswith(UNKNOWN_LICENSE):
        console.print(
            f"\nlicense unknown: the manifest {facts.manifest.name} does not say what this input is under, and the card says so. State it "
            "with --set license=… --set title=…",
            **_PLAIN,
        )


def print_intermediates(console: Console, work: Path, size: int, are_removed: bool) -> None:
    """Print how large the intermediates are, what they are for and how to be rid of them; or that they are gone."""
    if not size:
        return
    console.print()
    if are_removed:
        console.print(f"intermediates {format_size(size)} removed: another rule, or a mixture, has to measure anew", **_PLAIN)
    else:
        console.print(
            f"intermediates {format_size(size)} in {shorten_path(work)}, for other rules and for mixtures; the same command with "
            "--clean removes them",
            **_PLAIN,
        )


def print_next_commands(console: Console, facts: BuildFacts) -> None:
    """Print the folder and its report, and lines to paste: to look at the shards, to ask why, to train."""
    folder = shorten_path(facts.out)
    console.print(f"\n{folder}", style="bold")
    lines = [suggest_look(shorten_path(facts.out / "data")), facts.training_command]
    if facts.has_report:
        why = f"python -m pipeline.explain {shlex.quote(folder)} ID"
        lines = [shlex.quote(shorten_path(facts.out / "report.html")), why, *lines]
    for line in lines:
        console.print(f"  {line}")


def print_plan(console: Console, facts: PlanFacts) -> None:
    """Print what is done, what would be done, and how large it would be."""
    for url, size in facts.inputs:
        console.print(f"input   {url}  ({size})")
    console.print(f"out     {shorten_path(facts.out)}\nwork    {shorten_path(facts.work)}\n")
    table = Table(translate("step"), translate("state"), box=None, pad_edge=False)
    table.add_column(translate("on disk"), justify="right")
    for step in facts.steps:
        table.add_row(translate(step.name), translate_message(translate(step.state)), step.size)
    console.print(table)
    console.print(f"\n{facts.conclusion}")


def _build_steps_table(facts: BuildFacts) -> Table:
    amount = facts.terms.amount.local
    table = Table(translate("step"), box=None, pad_edge=False)
    for name in ("records in", "records out"):
        table.add_column(translate(name), justify="right")
    for name in ("{0} in", "{0} out"):
        table.add_column(translate(name).format(amount), justify="right")
    for step in facts.steps:
        amounts = map(facts.terms.format_amount, (step.amount_in, step.amount_out))
        table.add_row(translate(step.name), f"{step.records_in:,}", f"{step.records_out:,}", *amounts)
    return table


def _fill(heading: str, items: list[str], width: int) -> str:
    """Return items behind a heading, in lines that break between them."""
    lines = [heading + " " * max(_HEADING_CELLS - cell_len(heading), 1)]
    for number, item in enumerate(items):
        if number and cell_len(lines[-1]) + cell_len(item) + 2 > width:
            lines.append(" " * _HEADING_CELLS + item)
        else:
            lines[-1] += ("  " if number else "") + item
    return "\n".join(lines)


def print_warnings(console: Console, facts: BuildFacts) -> None:
    """Print what the build has to say beyond its numbers."""
    for warning in facts.warnings:
        console.print(f"warning: {warning}", style="yellow")
