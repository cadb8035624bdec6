"""Corpora: built, or opened where they were built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from pipeline.build_request import BuildRequest
from pipeline.building import build as build_corpus
from pipeline.core.checksums import LOCK_FILE
from pipeline.core.command import explain_errors
from pipeline.core.errors import UsageError
from pipeline.core.paths import expand_home
from pipeline.core.publication import settle_publication
from pipeline.core.python_names import call_from_python
from pipeline.core.tables import scan_parquet
from pipeline.core.terminal import Terminal
from pipeline.corpus.commands import build_command
from pipeline.manifest.loading import load_any
from pipeline.manifest.model import Manifest
from pipeline.mixture.manifest import MixtureManifest
from seimai.arguments import AnyPath, check_flag, read_path, read_paths, read_settings
from seimai.tokenizer import Tokenizer

_COLUMNS = 100  # of what a notebook shows: it has no terminal that could say


class Corpus:
    """A corpus that was built: its shards and its ledger as polars frames. Raises UsageError where there is none.

    `path` is its folder, which has the files that the frames read.
    """

    @call_from_python()
    def __init__(self, path: AnyPath) -> None:
        self.path = expand_home(read_path("path", path)).absolute()
        if self.path.is_dir():
            settle_publication(self.path)
        if not (self.path / LOCK_FILE).is_file() or not self._list("ledger"):
            expected, command = f"data, ledger and {LOCK_FILE}", build_command(self.path)
            if self.path.exists():
                raise UsageError(f"{self.path} is not a built corpus: expected a folder with {expected}. Build it: {command}")
            raise UsageError(f"{self.path} is not there: expected a folder with {expected}. Build it: {command}")

    def __repr__(self) -> str:
        return f"Corpus({str(self.path)!r})"

    def _list(self, folder: str) -> list[Path]:
        return sorted(path for path in (self.path / folder).glob("*.parquet") if not path.name.startswith("."))

    @property
    def shards(self) -> pl.LazyFrame:
        """What was kept, a row for each record: of documents `id`, `text`, `source`, `license` and more."""
        return self._scan("data")

    @property
    def ledger(self) -> pl.LazyFrame:
        """Every record that came in, with its verdict, the rule that dropped it, and a column for each measure."""
        return self._scan("ledger")

    @call_from_python()
    def _scan(self, folder: str) -> pl.LazyFrame:
        if files := self._list(folder):
            return scan_parquet(*files)
        raise UsageError(
            f"{self.path / folder} has no Parquet files: they are gone. Build it again: {build_command(self.path)}"
        )

    @property
    def summary(self) -> pl.DataFrame:
        """How many records have which verdict and why: `verdict` `step` `rule` `records` `share`, the most frequent first."""
        counted = self.ledger.group_by("verdict", "step", "rule").agg(records=pl.len()).collect()
        by_frequency = counted.sort("records", "verdict", "rule", descending=[True, False, False], nulls_last=True)
        return by_frequency.with_columns(share=pl.col("records") / pl.col("records").sum())

    @cached_property
    @call_from_python()
    def manifest(self) -> Manifest | MixtureManifest:
        """The manifest that it was built by, with every default and every bound of its preset written out."""
        return load_any(str(self.path / LOCK_FILE), reads_files=False)

    @property
    @call_from_python()
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that was trained on it. Raises UsageError where none was."""
        return Tokenizer(self.path)


@call_from_python()
def build(
    manifest: AnyPath,
    *,
    inputs: AnyPath | Iterable[AnyPath] | None = None,
    out: AnyPath | None = None,
    set: Mapping[str, Any] | None = None,
    workers: int | None = None,
    limit: int | None = None,
    download: bool = False,
    images: AnyPath | None = None,
    audio: AnyPath | None = None,
    work: AnyPath | None = None,
    scheduler: str | None = None,
    keep_going: bool = False,
    clean: bool = False,
    quiet: bool = False,
) -> Corpus:
    """Build a corpus, as `python -m pipeline.build` does, and return it. What is done already is not done again.

    `manifest`: the name of one that ships, or the path of a TOML file. `inputs`: paths, globs and URLs of raw material; without any, what
    was downloaded or the embedded sample. `set`: keys of the manifest and other values for them, as {"rules.chars.at_least": 100}.
    `workers`: processes, one per core by default; 0: all in this process. `quiet`: print nothing. The other arguments are the options of
    the command. Raises UsageError before any work begins, and BuildError; KeyboardInterrupt ends the build, and the same call goes on.
    """
    for name, value, least in (("workers", workers, 0), ("limit", limit, 1)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise UsageError(f"{name} = {value!r}: expected a number from {least} on")
    for name, value in (("download", download), ("keep_going", keep_going), ("clean", clean), ("quiet", quiet)):
        check_flag(name, value)
    request = BuildRequest(
        manifest=read_path("manifest", manifest),
        inputs=read_paths("inputs", inputs),
        download=download,
        out=Path(read_path("out", out)) if out is not None else None,
        work=Path(read_path("work", work)) if work is not None else None,
        workers=workers,
        scheduler=scheduler,
        limit=limit,
        overrides=tuple(read_settings(set)),
        keep_going=keep_going,
        clean=clean,
        folders={name: read_path(name, path) for name, path in (("images", images), ("audio", audio)) if path is not None},
    )
    with explain_errors("building"):
        return Corpus(build_corpus(request, _make_console(quiet)).out)


def _make_console(quiet: bool) -> Console:
    """Return a console for a program: in a notebook, of plain lines."""
    if quiet:
        return Terminal(quiet=True)
    console = Terminal()
    return Terminal(force_jupyter=False, force_terminal=False, width=_COLUMNS) if console.is_jupyter else console
