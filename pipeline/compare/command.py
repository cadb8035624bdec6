"""The command `python -m pipeline.compare`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.compare.judgement import compare
from pipeline.compare.terminal import as_json, print_comparison
from pipeline.core.command import report_errors
from pipeline.core.help import command
from pipeline.core.options import CountRange
from pipeline.core.paths import expand_home
from pipeline.core.terminal import Terminal, tell_json
from pipeline.corpus.built import open_corpus, refuse_damage
from pipeline.corpus.rules import load_rules


@command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--on", "folder", metavar="CORPUS", required=True, type=click.Path(path_type=Path), help="A built corpus.")
@click.option(
    "--set-a", multiple=True, metavar="KEY=VALUE", help="Change a rule of A, e.g. rules.chars.at_least=100; may be repeated."
)
@click.option("--set-b", multiple=True, metavar="KEY=VALUE", help="Change a rule of B.")
@click.option("--examples", type=CountRange(min=0, max=1000), default=1, show_default=True, help="Examples of each rule.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON, for scripts.")
def main(a: str, b: str, folder: Path, set_a: tuple[str, ...], set_b: tuple[str, ...], examples: int, is_json: bool) -> None:
    """Show where the rules of A and B differ on a built corpus: records that both keep, that one keeps, and by which rule.

    A and B are presets or manifests by name, TOML files of either, or as-built: the rules that the corpus was built by. Answers come from
    the measures in its ledger; no input is read. Exit code 0: done; 1: reading failed; 2: wrong usage, or a measure that was not stored.
    """
    console = Terminal()
    with report_errors("comparing", "--on", "run the same command again"):
        corpus = open_corpus(expand_home(folder), "--on ", steps=["measure"])
        first = load_rules(a, set_a, "--set-a", corpus)
        second = load_rules(b, set_b, "--set-b", corpus)
        with refuse_damage(corpus.shown, corpus.folder):
            found = compare(corpus, first.rules, second.rules, examples)
        if is_json:
            tell_json(as_json(corpus, first, second, found))
        else:
            print_comparison(console, corpus, first, second, found)
