"""`python -m pipeline.fetch LIST --out DIR`: fetch the images that a list of URLs names, into shards in img2dataset's layout."""

from __future__ import annotations

import asyncio
import gc
import resource
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.language import translate
from pipeline.core.locks import hold_lock_file
from pipeline.core.options import add_options, parse_options
from pipeline.core.ownership import STATE_FOLDER, NamedPath, check_owner, claim_folder, explain_foreign, refuse_overlap
from pipeline.core.paths import expand_home
from pipeline.core.publication import adopt_earlier_state
from pipeline.core.storage import format_size, remove_temporaries
from pipeline.core.tables import suggest_look
from pipeline.core.terminal import Terminal
from pipeline.fetch.lists import expand_lists
from pipeline.fetch.outcomes import PRIVATE_ADDRESS, is_temporary
from pipeline.fetch.run import FetchRun, FetchSummary
from pipeline.fetch.settings import FetchSettings
from pipeline.sources.inputs import is_url

_REASONS_SHOWN = 12


@command()
@click.argument("lists", metavar="LIST...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the shards.")
@add_options(FetchSettings)
def main(lists: tuple[str, ...], out: Path, **options: Any) -> None:
    """Fetch the images of LIST: Parquet (URL, TEXT …), TSV, CSV, JSON lines, or a URL a line; paths and globs.

    Killed or interrupted, the same command fetches what is missing. Exit code 0: every URL has its row in a sidecar, fetched or
    failed with a reason; 1: the fetch broke off; 2: wrong usage.
    """
    with report_errors("fetching", "--out"):
        fetch(lists, expand_home(out), parse_options(FetchSettings, options), Terminal())


def fetch(lists: Sequence[str], out: Path, settings: FetchSettings, console: Console) -> FetchSummary:
    """Fetch what `lists` (paths and globs) name into `out`; print and return a summary.

    Raises UsageError, BuildError where not every row is accounted for, and OSError.
    """
    paths = expand_lists(lists)
    _check_out(out)
    _raise_file_limit(settings.connections)
    busy = f"another fetch is at work in {out}; wait for it, or choose another --out"
    refuse_overlap([NamedPath(f"--out {out}", out)], [NamedPath(path, Path(path)) for path in paths])
    with hold_lock_file(out / STATE_FOLDER / "lock", busy), _rare_garbage_collection():
        claim_folder(out, "pipeline.fetch")
        remove_temporaries(out)
        run = FetchRun(paths, out, settings, Terminal(stderr=True))
        with run.progress:
            asyncio.run(run.fetch_all())
        summary = run.summarise()
    _print_summary(console, summary, lists, out)
    return summary


def _check_out(out: Path) -> None:
    if is_url(str(out).replace(":/", "://")):  # a Path has lost one of the slashes
        raise UsageError(f"--out {out}: output goes to a folder, not to a URL")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    adopt_earlier_state(out)
    if out.is_dir() and any(out.iterdir()) and not (out / STATE_FOLDER).is_dir():
        raise UsageError(f"--out {out} is not empty and {explain_foreign(out)}; choose another folder or empty it yourself")
    check_owner(out, "pipeline.fetch")


def _raise_file_limit(connections: int) -> None:
    """Allow a file descriptor for each connection, and for as many idle ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * connections + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Collect garbage rarely: thousands of URLs wait, none of them garbage, and Python's usual rate costs a fifth of the time."""
    youngest, *older = gc.get_threshold()
    gc.set_threshold(50_000, *older)
    try:
        yield
    finally:
        gc.set_threshold(youngest, *older)


def _print_summary(console: Console, summary: FetchSummary, lists: Sequence[str], out: Path) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column(translate("outcome"))
    table.add_column(translate("URLs"), justify="right")
    table.add_row("success", f"{summary.statuses.get('success', 0):,}")
    reasons = list(summary.reasons.items())
    for reason, count in reasons[:_REASONS_SHOWN]:
        table.add_row(Text(reason), f"{count:,}")  # a reason may quote a server: no markup
    if others := reasons[_REASONS_SHOWN:]:
        table.add_row(translate("other reasons"), f"{sum(count for _, count in others):,}")
    console.print()
    console.print(table)
    seconds = max(summary.seconds, 1e-6)
    console.print(
        f"\n{summary.rows:,} URLs in {summary.shards:,} shards, all accounted for   asked for {summary.requested:,} in "
        f"{seconds:.1f} s ({summary.requested / seconds:,.0f}/s, {format_size(summary.bytes / seconds)}/s)\n",
        highlight=False,
        soft_wrap=True,
    )
    console.print(str(out), style="bold", highlight=False, markup=False)
    for line in _suggest_commands(summary, lists, out):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _suggest_commands(summary: FetchSummary, lists: Sequence[str], out: Path) -> list[str]:
    """Return two commands to paste: one that builds, and one that fetches again or, if all is well, looks at the sidecars."""
    folder = shlex.quote(str(out))
    inputs = " ".join(f"--input {shlex.quote(name)}" for name in lists)
    build = f"python -m pipeline.build cc12m-ja {inputs} --images {folder}"
    again = f"python -m pipeline.fetch {shlex.join(lists)} --out {folder}"
    if PRIVATE_ADDRESS in summary.reasons:
        return [build, f"{again} --allow-private --retry-failed"]
    if any(map(is_temporary, summary.reasons)):
        return [build, f"{again} --retry-failed"]
    return [build, suggest_look(out)]
