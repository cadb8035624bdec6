"""What the command prints about a mixture."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.core.storage import format_size
from pipeline.mixture.facts import MixtureFacts
from pipeline.report.terminal import print_warnings


def print_mixture(console: Console, facts: MixtureFacts) -> None:
    """Print what every part had and what of it is in the mixture, then time, memory and warnings."""
    console.print()
    console.print(make_sources_table(facts))
    duplicates = facts.duplicates
    console.print(
        f"\nduplicates    {duplicates['exact']:,} exact, {duplicates['near']:,} near; {duplicates['clusters']:,} documents that several "
        f"parts have",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(f"{facts.seconds:.1f} s   peak memory {format_size(facts.peak_memory)}", highlight=False)
    print_warnings(console, facts)


def make_sources_table(facts: MixtureFacts) -> Table:
    """Tabulate the parts and their sum."""
    table = Table("part", box=None, pad_edge=False)
    counts_tokens = any(source.tokens is not None for source in facts.sources)
    names = ("records", "duplicate", "chosen", "copies", "characters", *["tokens"] * counts_tokens, "share", "wanted")
    for name in names:
        table.add_column(name, justify="right")
    for source in facts.sources:
        wanted = "all" if source.wanted is None else f"{source.wanted:,}"
        numbers = [source.records, source.duplicates, source.documents, source.copies, source.chars]
        numbers += [source.tokens or 0] if counts_tokens else []
        table.add_row(source.name, *(f"{number:,}" for number in numbers), f"{source.share:.2%}", wanted)
    sums = [
        sum(column)
        for column in zip(*((s.records, s.duplicates, s.documents, s.copies, s.chars) for s in facts.sources), strict=True)
    ]
    sums += [sum(source.tokens or 0 for source in facts.sources)] if counts_tokens else []
    table.add_row("all", *(f"{number:,}" for number in sums), "", "")
    return table
