"""What the command prints about a mixture."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.core.language import translate
from pipeline.core.storage import format_size
from pipeline.mixture.facts import MixtureFacts
from pipeline.report.terminal import print_warnings


def print_mixture(console: Console, facts: MixtureFacts, startup: float) -> None:
    """Print what every part had and what of it is in the mixture, then time (`startup`: before it began to work), memory and warnings."""
    console.print()
    console.print(make_sources_table(facts))
    console.print()
    if facts.size_note is not None:
        console.print(f"size          {facts.size_note.local}", highlight=False, soft_wrap=True)
    duplicates = facts.duplicates
    console.print(
        f"duplicates    {duplicates['exact']:,} exact, {duplicates['near']:,} near; {duplicates['shared']:,} of the documents left "
        f"are in several parts",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(
        f"{facts.seconds:.1f} s and {startup:.1f} s to start   peak memory {format_size(facts.peak_memory)}", highlight=False
    )
    print_warnings(console, facts)


def make_sources_table(facts: MixtureFacts) -> Table:
    """Tabulate the parts and their sum. Large numbers are rounded: the card has them exactly."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(translate("part"), overflow="fold")
    is_repeated = any(source.copies > source.documents for source in facts.sources)
    counts_tokens = any(source.tokens is not None for source in facts.sources)
    shown = ["records", "duplicates", "documents", *["copies"] * is_repeated, "chars", *["tokens"] * counts_tokens]
    headings = {"duplicates": "lost", "documents": "chosen"}
    for name in (*(headings.get(name, name) for name in shown), "share", "wanted"):
        table.add_column(translate(name), justify="right", no_wrap=True)
    for source in facts.sources:
        wanted = translate("all") if source.wanted is None else round_number(source.wanted)
        table.add_row(source.name, *(round_number(getattr(source, name)) for name in shown), f"{source.share:.2%}", wanted)
    sums = (sum(getattr(source, name) for source in facts.sources) for name in shown)
    table.add_row(translate("all"), *map(round_number, sums), "", "")
    return table


def round_number(number: int) -> str:
    """Return a number as a person reads it.

    >>> round_number(99_999), round_number(4_871_400), round_number(312_500_000_000)
    ('99,999', '4.871 M', '312.5 B')
    """
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6)):
        if number >= size:
            digits = 3 - (number >= 10 * size) - (number >= 100 * size)
            return f"{number / size:.{digits}f} {unit}"
    return f"{number:,}"
