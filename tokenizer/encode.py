"""`python -m tokenizer.encode CORPUS`: encode documents and pack them into sequences of one length, in Parquet.

The tasks are in `tokenizer.encoding`: workers find them by the name of their module, and this one is called `__main__`.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pipeline.core.added import list_added
from pipeline.core.command import report_errors
from pipeline.core.help import command
from pipeline.core.inline import check_options, make_engine, scheduler_option, workers_option
from pipeline.core.language import translate
from pipeline.core.locks import hold_corpus_lock, hold_lock
from pipeline.core.options import Count
from pipeline.core.ownership import mark_scratch
from pipeline.core.paths import refuse_unwritable, shorten_path
from pipeline.core.tables import suggest_look
from pipeline.core.terminal import Terminal
from tokenizer.encoding import TokenShardBuild
from tokenizer.settings import Encoding, parse_options
from tokenizer.token_shards import is_of_earlier_build


def make_counts_table(description: dict[str, Any]) -> Table:
    """Tabulate tokens in and out, a column a split, for the terminal."""
    table = Table("", box=None, pad_edge=False)
    for split in description["splits"]:
        table.add_column(split, justify="right")
    for name in ("documents", "tokens", "separators", "sequences", "left_out", "padding"):
        label = translate(name.replace("_", " "))
        table.add_row(label, *(f"{counts[name]:,}" for counts in description["splits"].values()))
    return table


@command()
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option("--tokenizer", type=click.Path(path_type=Path), help="Folder or .model file.  [default: CORPUS/tokenizer]")
@click.option("--sequence-length", type=Count(), default=2048, show_default=True, metavar="N", help="Tokens per sequence.")
@click.option(
    "--packing", type=click.Choice(["concatenate", "best-fit"]), default="concatenate", show_default=True,
    help="Cut the stream of documents anywhere, or keep documents whole where they fit and pad.",
)  # fmt: skip
@click.option("--bos/--no-bos", default=True, show_default=True, help="Put BOS before every document; EOS always ends it.")
@click.option("--shuffle", type=Count(), default=1, show_default=True, metavar="SEED", help="Decides the order of documents.")
@click.option("--tokens-per-shard", type=Count(), default=1 << 24, show_default=True, metavar="N", help="About so many.")
@click.option("--column", help="Column with the text.  [default: text, caption or transcript]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the token shards.  [default: CORPUS/tokens]")
@click.option("--overwrite", is_flag=True, help="Replace token shards that were made with another tokenizer.")
@workers_option
@scheduler_option
def main(
    corpus: Path,
    tokenizer: Path | None,
    column: str | None,
    out: Path | None,
    overwrite: bool,
    workers: int | None,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Encode the documents of CORPUS, a folder that Seimai built (or of Parquet files), and pack them into sequences.

    Killed, the same command goes on from there. The same input gives the same bytes on any number of workers.
    """
    console = Terminal()
    with report_errors("encoding", "--out"):
        check_options(workers, scheduler)
        settings = parse_options(Encoding, options)
        build = TokenShardBuild(corpus, tokenizer or corpus / "tokenizer", settings, out, column)
        description = build.find_complete()
        if description is None:
            build.check_output_folder(overwrite)
            refuse_unwritable("--out", build.out.parent)
            if is_of_earlier_build(tokenizer or corpus / "tokenizer", corpus):
                console.print(
                    f"the tokenizer was trained before {corpus} was built anew, which it encodes as well; "
                    f"python -m tokenizer.train {shlex.quote(str(corpus))} trains another",
                    highlight=False, markup=False, soft_wrap=True,
                )  # fmt: skip
            description = run_with_engine(build, workers, scheduler, console)
        else:
            with hold_corpus_lock(build.named):
                list_added(build.named)  # where a run was killed before it did
            console.print(f"{shorten_path(build.out)} is up to date: nothing to do", highlight=False, markup=False)
        console.print()
        console.print(make_counts_table(description))
        folder = shorten_path(build.out)
        console.print(f"\n{folder}", style="bold", highlight=False, markup=False)
        console.print(f"  {suggest_look(folder, 'train-*.parquet')}", highlight=False, markup=False, soft_wrap=True)


def run_with_engine(build: TokenShardBuild, workers: int | None, scheduler: str | None, console: Console) -> dict[str, Any]:
    """Run a build on an engine of its own. Raises BuildError where another process is at work on the same folder."""
    mark_scratch(build.folder)
    with hold_corpus_lock(build.named), hold_lock(build.out):
        with make_engine(workers, scheduler, build.folder / "dask", Terminal(stderr=True)) as engine:
            description = build.run(engine)
        mark_scratch(build.folder)
        build.remove_leftovers()  # what Dask wrote since, too
        return description


if __name__ == "__main__":
    main()
