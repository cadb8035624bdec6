"""The command `python -m pipeline.whatif`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.options import CountRange
from pipeline.core.paths import expand_home
from pipeline.core.terminal import Terminal, tell_json
from pipeline.corpus.built import open_corpus, refuse_damage
from pipeline.corpus.rules import load_rules
from pipeline.manifest.rules import AS_BUILT
from pipeline.plan import VERSIONS
from pipeline.whatif.answer import answer
from pipeline.whatif.near import find_neighbours
from pipeline.whatif.terminal import as_json, near_as_json, print_answer, print_neighbours


@command()
@click.argument("folder", metavar="CORPUS", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another bound, e.g. rules.chars.at_least=100; may be repeated.",
)
@click.option(
    "--preset", metavar="NAME", help="The rules of a preset or manifest, in place of those that the corpus was built by."
)
@click.option("--near", metavar="RULE", help="Show the records nearest to the bound of a rule, on both sides of it.")
@click.option("--examples", type=CountRange(min=0, max=1000), default=3, show_default=True, help="Examples of each rule.")
@click.option(
    "--replay/--no-replay", default=None, help="Find duplicates anew, from stored signatures.  [default: up to 200,000 records]"
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON, for scripts.")
def main(
    folder: Path,
    overrides: tuple[str, ...],
    preset: str | None,
    near: str | None,
    examples: int,
    replay: bool | None,
    is_json: bool,
) -> None:
    """Show what CORPUS would keep under other bounds: records and characters gained and lost, by rule and source, with examples.

    The measures in its ledger are judged anew, as a build would; no text is read. Duplicates are found anew from the signatures that
    the build stored, where these are there and the corpus is small, or with --replay; else the answer says that they are not. Exit
    code 0: done; 1: reading failed; 2: wrong usage, or a measure that was not stored.
    """
    with report_errors("reading", "CORPUS", "run the same command again"):
        corpus = open_corpus(expand_home(folder), steps=[*VERSIONS])
        named = load_rules(preset or AS_BUILT, overrides, "--set", corpus, allow_fitted=True)
        if not (overrides or preset or near):
            raise UsageError(
                "nothing is to be changed: name another bound (--set rules.chars.at_least=100), a preset (--preset), or --near RULE"
            )
        if near is not None and not examples:
            raise UsageError("--near shows records: --examples 0 would show none. Give --examples a number from 1 on")
        manifest = corpus.manifest.model_copy(update={"rules": named.rules})  # all but the rules stays as it is
        with refuse_damage(corpus.shown, corpus.folder):
            if near is not None:
                neighbours = find_neighbours(corpus, manifest, near, examples)
                if is_json:
                    tell_json(near_as_json(corpus, near, neighbours))
                else:
                    print_neighbours(Terminal(), near, neighbours)
                return
            found = answer(corpus, manifest, examples, replay)
        if is_json:
            tell_json(as_json(corpus, named, found))
        else:
            print_answer(Terminal(), corpus, named, found)
