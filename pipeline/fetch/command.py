"""`python -m pipeline.fetch LIST --out DIR`: the images that a list of URLs names, into shards as img2dataset writes them."""

from __future__ import annotations

import asyncio
import gc
import glob
import os
import re
import resource
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import click
import polars as pl
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.core.command import reported
from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.core.storage import human, remove_temporaries
from pipeline.fetch.requests import DISALLOWED, Answer, Settings, may_pass
from pipeline.fetch.scheduler import Fetcher, Job
from pipeline.fetch.shards import OUTCOME, Shard
from pipeline.sources.base import CutState
from pipeline.sources.image_text import tables
from pipeline.sources.image_text.rows import matched, renamed
from pipeline.sources.inputs import is_url, resolve
from pipeline.sources.pointers import open_local

_WINDOW = 20_000  # URLs that are unfinished before more of the list is read
_OPEN_SHARDS = 64
_TOP = 12
_DEFAULT = Settings()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("lists", metavar="LIST...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the shards.")
@click.option(
    "--connections", type=click.IntRange(1, 10_000), default=_DEFAULT.connections, show_default=True, help="Requests at once."
)
@click.option(
    "--per-host", type=click.IntRange(1), default=_DEFAULT.per_host, show_default=True, help="Requests at once to one host."
)
@click.option(
    "--per-host-rate",
    type=click.FloatRange(0, min_open=True),
    metavar="R",
    help="Requests per second to one host.  [default: no bound]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=_DEFAULT.timeout,
    show_default=True,
    metavar="S",
    help="Seconds for one try, redirects and body included.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=_DEFAULT.max_bytes,
    show_default=True,
    metavar="N",
    help="Size of the largest image.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 100),
    default=_DEFAULT.retries,
    show_default=True,
    help="Further tries after timeouts, broken connections, 429 and 5xx.",
)
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Ask again, in finished shards, for what failed so, or with --allow-private for its address. A 404 stays.",
)
@click.option(
    "--shard-size", type=click.IntRange(1), default=_DEFAULT.shard_size, show_default=True, metavar="N", help="URLs per shard."
)
@click.option("--user-agent", default=_DEFAULT.user_agent, show_default=True, help="Name yourself, and how to reach you.")
@click.option(
    "--disallowed",
    multiple=True,
    default=DISALLOWED,
    show_default=True,
    metavar="DIRECTIVE",
    help="What in X-Robots-Tag forbids the use, beside noai and noimageai; repeatable.",
)
@click.option("--allow-private", is_flag=True, help="Also fetch from loopback and private networks.")  # fmt: skip
def main(lists: tuple[str, ...], out: Path, **options: Any) -> None:
    """Fetch the images of LIST: Parquet (URL, TEXT …), TSV, CSV, JSON lines, or a URL a line; paths and globs.

    Killed or interrupted, the same command fetches what is missing. Exit code 0: every URL has its row in a sidecar, fetched or
    failed with a reason; 1: the fetch broke off; 2: wrong usage.
    """
    with reported("fetching", "--out"):
        if not options["user_agent"].isprintable() or not options["user_agent"].isascii() or not options["user_agent"].strip():
            raise UsageError("--user-agent: a line of printable ASCII")
        settings = Settings(**{f.name: options[f.name] for f in fields(Settings)})
        fetch(lists, out.expanduser(), settings, Console())


def fetch(lists: Sequence[str], out: Path, settings: Settings, console: Console) -> dict[str, Any]:
    """Fetch what `lists` (paths and globs) name into `out`, and print a summary, which is returned.

    Its keys: rows, shards, asked (URLs asked for in this run), statuses and reasons (counts over all rows), bytes and seconds
    (of this run). Raises UsageError, BuildError where not every row is accounted for, and OSError.
    """
    paths = _expand(lists)
    state = out / ".seimai"
    if is_url(str(out).replace(":/", "://")):
        raise UsageError(f"--out {out}: output goes to a folder, not to a URL")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    if out.is_dir() and any(out.iterdir()) and not state.is_dir():
        raise UsageError(f"--out {out} is not empty and was not made by Seimai; choose another folder or empty it yourself")
    state.mkdir(parents=True, exist_ok=True)
    _raise_file_limit(settings.connections)
    # Thousands of waiting jobs, none of them garbage: looked through as often as Python does they cost a fifth of the time.
    often = gc.get_threshold()
    gc.set_threshold(50_000, *often[1:])
    try:
        with FileLock(state / "lock", timeout=0):
            remove_temporaries(out)
            run = _Run(paths, out, settings, console)
            with run.progress:
                asyncio.run(run.all())
            summary = run.summary()
    except Timeout:
        raise BuildError(f"another fetch is at work in {out}; wait for it, or choose another --out") from None
    finally:
        gc.set_threshold(*often)
    _print_summary(console, summary, lists, out)
    return summary


class _Run:
    """One run over the lists: shards are opened in order, fetched side by side, and finished as they become whole."""

    def __init__(self, paths: list[str], out: Path, settings: Settings, console: Console) -> None:
        self.paths, self.out, self.settings = paths, out, settings
        self.rows: list[int] = []  # by shard
        self.asked = self.bytes = self.images = self.done = 0
        self.began = self._shown = time.monotonic()
        self.progress = Progress(
            TextColumn("fetch"), BarColumn(24), TextColumn("{task.fields[state]}"), TimeElapsedColumn(), console=console
        )
        self._bar = self.progress.add_task("fetch", total=None, state="")
        self._open: set[Shard] = set()
        self._finishing: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Semaphore(1)

    async def all(self) -> None:
        try:
            async with Fetcher(self.settings) as fetcher:
                shards = _shards(self.paths, self.settings.shard_size)
                while (frame := await asyncio.to_thread(next, shards, None)) is not None:
                    await self._begin(Shard(len(self.rows), frame, self.out, self.settings.shard_size), fetcher)
                    self.rows.append(frame.height)
                    await fetcher.until(lambda: fetcher.unfinished < _WINDOW and len(self._open) < _OPEN_SHARDS)
                if not self.rows:
                    raise UsageError(f"{' '.join(self.paths)}: no URL in there")
                self.progress.update(self._bar, total=sum(self.rows))
                await fetcher.until(lambda: not self._open)
                self._show()
        finally:
            for shard in self._open:
                shard.close()

    async def _begin(self, shard: Shard, fetcher: Fetcher) -> None:
        if await asyncio.to_thread(shard.is_done, self.settings):
            self._count(shard.frame.height)
            return
        self._open.add(shard)
        missing = await asyncio.to_thread(shard.open, self.settings)
        self.asked += len(missing)
        self._count(shard.frame.height - sum(map(len, missing.values())))
        left = set(missing)

        def take(url: str, answer: Answer) -> None:
            shard.take(missing[url], answer)
            left.discard(url)
            self.bytes += len(answer.body)
            self.images += answer.status == "success"
            self._count(len(missing[url]))
            if not left:
                self._finish(shard, fetcher)

        for url in missing:
            fetcher.add(Job(url, partial(take, url)))
        if not missing:
            self._finish(shard, fetcher)

    def _finish(self, shard: Shard, fetcher: Fetcher) -> None:
        """Write the shard in a thread, while others are fetched."""

        async def finish() -> None:
            try:
                async with self._one_at_a_time:
                    await asyncio.to_thread(shard.finish)
                self._open.discard(shard)
                fetcher.wake()
            except Exception as error:
                fetcher.wake(error)

        task = asyncio.get_running_loop().create_task(finish())
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    def _count(self, rows: int) -> None:
        self.done += rows
        if time.monotonic() - self._shown > 0.1:
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        rate = 1 / max(self._shown - self.began, 1e-6)
        state = f"{self.done:,} URLs  {self.images:,} images  {self.images * rate:,.0f}/s  {human(self.bytes * rate)}/s"
        self.progress.update(self._bar, completed=self.done, state=state)

    def summary(self) -> dict[str, Any]:
        """What the sidecars say of all rows. Raises BuildError where one of the list's rows is not among them."""
        statuses: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for number, rows in enumerate(self.rows):
            sidecar = pl.read_parquet(self.out / f"{number:05d}.parquet", columns=["status", "error_message"])
            if sidecar.height != rows:
                raise BuildError(
                    f"shard {number:05d} has {sidecar.height:,} rows for {rows:,} of the list; remove it and fetch again"
                )
            statuses.update(sidecar["status"])
            reasons.update(sidecar["error_message"].drop_nulls())
        more = [p.name for p in self.out.glob("*.parquet") if re.fullmatch(r"\d{5,}", p.stem) and int(p.stem) >= len(self.rows)]
        if more:
            raise BuildError(f"{self.out} holds {min(more)}, which the list has no rows for: it was fetched from another list")
        seconds = time.monotonic() - self.began
        return {
            "rows": sum(self.rows), "shards": len(self.rows), "asked": self.asked, "statuses": dict(statuses.most_common()),
            "reasons": dict(reasons.most_common()), "bytes": self.bytes, "seconds": seconds,
        }  # fmt: skip


def _raise_file_limit(connections: int) -> None:
    """Allow for a file descriptor per connection, and for as many that wait to be used again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * connections + 1024
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


# -- lists


def _expand(lists: Sequence[str]) -> list[str]:
    """The files that paths and globs stand for, in the order given (a glob's in order of name)."""
    found: list[str] = []
    for pattern in lists:
        matches = sorted(glob.glob(pattern, recursive=True)) if not Path(pattern).exists() else [pattern]
        if not matches:
            raise UsageError(f"LIST {pattern}: there is no such file")
        for path in matches:
            if Path(path).is_dir():
                raise UsageError(
                    f"LIST {path} is a directory; name the files in it, or a glob such as '{path.rstrip('/')}/*.parquet'"
                )
            if not os.access(path, os.R_OK):
                raise UsageError(f"LIST {path} cannot be read (permission denied)")
        found += matches
    return found


def _shards(paths: list[str], size: int) -> Iterator[pl.DataFrame]:
    """The lists one after the other, cut into frames of `size` rows."""
    waiting = pl.DataFrame()
    for path in paths:
        for frame in read_list(path):
            waiting = pl.concat([waiting, frame], how="diagonal_relaxed") if waiting.height else frame
            while waiting.height >= size:
                yield waiting[:size]
                waiting = waiting[size:]
    if waiting.height:
        yield waiting


def read_list(path: str) -> Iterator[pl.DataFrame]:
    """The rows of a list of images, in frames with `url` and `caption` (strings, null where there is none) and the list's other columns.

    Raises UsageError where no column holds URLs, InputError where the file is damaged.
    """
    state = CutState(0, 0)
    try:
        with open_local(resolve([path])[0], state) as (plain, _):
            if tables.is_coco(plain, path.removesuffix(".gz").endswith(".json")):
                yield _named(path, tables.coco(plain).drop("problem", "locator"))
                return
            for frame in tables.frames(plain, every=True):
                yield _named(path, frame.drop(tables.PROBLEM, strict=False))
    except InputError as error:
        raise UsageError(f"LIST {path} {error}") from None
    if state.damage:
        raise InputError(state.damage)


def _named(path: str, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with its URLs as `url`, its captions as `caption`, and other columns under names that the sidecar leaves free."""
    standard = matched(frame.columns, frame.schema)
    url, caption = standard.get("url"), standard.get("caption")
    if url is None:
        raise UsageError(f"LIST {path}: no column of URLs among {', '.join(frame.columns[:12])}; one of them must be named url")
    taken = {"url", "caption", *OUTCOME}
    others = [pl.col(c).alias(f"list_{c}" if c in taken else c) for c in frame.columns if c not in (url, caption)]
    named = renamed(frame.select(url, *([caption] if caption else [])))
    text = named["caption"] if caption else pl.lit(None, pl.String).alias("caption")
    return frame.select(named["url"], text, *others)


# -- what is said at the end


def _print_summary(console: Console, summary: dict[str, Any], lists: Sequence[str], out: Path) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("outcome")
    table.add_column("URLs", justify="right")
    table.add_row("success", f"{summary['statuses'].get('success', 0):,}")
    for reason, count in list(summary["reasons"].items())[:_TOP]:
        table.add_row(reason, f"{count:,}")
    if len(summary["reasons"]) > _TOP:
        table.add_row("other reasons", f"{sum(list(summary['reasons'].values())[_TOP:]):,}")
    console.print()
    console.print(table)
    seconds = max(summary["seconds"], 1e-6)
    console.print(
        f"\n{summary['rows']:,} URLs in {summary['shards']:,} shards, all accounted for   asked for {summary['asked']:,} in "
        f"{seconds:.1f} s ({summary['asked'] / seconds:,.0f}/s, {human(summary['bytes'] / seconds)}/s)\n",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(str(out), style="bold", highlight=False, markup=False)
    there = shlex.quote(str(out))
    inputs = " ".join(f"--input {shlex.quote(name)}" for name in lists)
    lines = [f"python -m pipeline.build cc12m-ja {inputs} --images {there}"]
    if "private address" in summary["reasons"]:
        lines.append(f"python -m pipeline.fetch {shlex.join(lists)} --out {there} --allow-private --retry-failed")
    elif any(map(may_pass, summary["reasons"])):
        lines.append(f"python -m pipeline.fetch {shlex.join(lists)} --out {there} --retry-failed")
    else:
        lines.append(f"python -c \"import polars as pl; print(pl.scan_parquet('{out}/*.parquet').head().collect())\"")
    for line in lines:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
