"""`python -m pipeline.build MANIFEST`: from raw material to sharded Parquet.

What builds is in `pipeline.building`, which takes a second to load: what can be refused without it is refused here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

from pipeline.build_request import BuildRequest
from pipeline.core.command import import_late, report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.inline import scheduler_option, workers_option
from pipeline.core.options import CountRange
from pipeline.core.terminal import Terminal, tell_json
from pipeline.manifest.source_options import FOLDER_OPTIONS

Command = Callable[..., None]


def _folder_options(command: Command) -> Command:
    """Add the options that name a folder of content, such as --images."""
    for name, option in reversed(FOLDER_OPTIONS.items()):
        command = click.option(f"--{name}", name, type=click.Path(), metavar="DIR", help=option.help)(command)
    return command


@command()
@click.argument("manifest", metavar="MANIFEST", required=False)
@click.option("--list", "lists", is_flag=True, help="List manifests, presets and measures by name, then stop.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(),
    metavar="PATH|URL",
    help="Raw input: a path, glob or URL; may be repeated.",
)
@_folder_options
@click.option("--download", is_flag=True, help="Fetch the manifest's raw corpus first (resumable) and build from it.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder.  [default: corpora/<name>]")
@click.option(
    "--work", type=click.Path(path_type=Path), help="Folder for intermediates.  [default: <out>/.cache/huggingface/seimai/work]"
)
@workers_option
@scheduler_option
@click.option("--limit", type=CountRange(1, 2**62), metavar="N", help="Read only the first N records.")
@click.option("--plan", "plan_only", is_flag=True, help="Show what is done, what would be done and how large, then stop.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override any manifest key, e.g. rules.chars.at_least=100."
)
@click.option(
    "--clean", is_flag=True, help="Remove intermediates after success. [default: keep them, for other rules and mixtures]"
)
@click.option("--keep-going", is_flag=True, help="Build from what could be read of a damaged input.")
@click.option(
    "--json", "is_json", is_flag=True, help="Print the summary as JSON, for scripts; all else goes to standard error."
)
def main(
    manifest: str | None,
    lists: bool,
    inputs: tuple[str, ...],
    download: bool,
    out: Path | None,
    work: Path | None,
    workers: int | None,
    scheduler: str | None,
    limit: int | None,
    plan_only: bool,
    overrides: tuple[str, ...],
    clean: bool,
    keep_going: bool,
    is_json: bool,
    **folders: str | None,
) -> None:
    """Build the corpus of MANIFEST, the name of one under manifests/ or a path to a TOML file.

    With no raw corpus at hand it builds the embedded sample. Exit code 0: done; 1: the build failed (run the same command
    again to go on); 2: wrong usage or manifest; 130: interrupted (the same command goes on).
    """
    began = time.perf_counter()
    with report_errors("building"):
        if lists:
            from pipeline.manifest.overview import print_names  # late, as what builds

            print_names(Terminal())
            return
        if manifest is None:
            raise UsageError(
                "name a manifest, such as cc100-ja, or the path to a TOML file; python -m pipeline.build --list has them"
            )
        if is_json and plan_only:
            raise UsageError("--json and --plan exclude one another")
        request = BuildRequest(
            manifest, inputs, download, out, work, workers, scheduler, limit, overrides, keep_going, clean,
            {name: folder for name, folder in folders.items() if folder is not None},
        )  # fmt: skip
        request.check()
        if not plan_only:
            Terminal(stderr=True).print(f"getting ready to build {manifest}")
        with import_late("pipeline.building"):
            from pipeline.building import build
            from pipeline.report.summary import summarise_facts

        built = build(request, Terminal(stderr=is_json), plan_only, began)
        if is_json and built.facts is not None:
            tell_json(summarise_facts(built.facts))


if __name__ == "__main__":
    main()
