"""The corpus that is looked at: opened once, and again when a build has replaced it meanwhile."""

from __future__ import annotations

import os
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Lock

import polars as pl

from pipeline.core.errors import UsageError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.corpus.built import BuiltCorpus, open_corpus
from pipeline.corpus.commands import build_command
from pipeline.corpus.content import SHARD_TEXTS
from pipeline.corpus.media import SHARD_MEDIA
from pipeline.corpus.records import list_own_ids
from pipeline.inspect.selection import Selector
from pipeline.inspect.tables import NumberedTable
from pipeline.inspect.totals import Totals

Stamp = tuple[tuple[int, int, int], ...]


def stamp_corpus(folder: Path) -> Stamp:
    """Return what changes when a build publishes: identity, size and time of the folders and the file that change places then."""
    names = ("ledger", "data", f"{STATE_FOLDER}/state.json")
    return tuple(_stamp(folder / name) for name in names)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        one = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (one.st_ino, one.st_size, one.st_mtime_ns)


class OpenedCorpus:
    """A built corpus, what its ledger adds up to, and selections of its records. Raises UsageError where it cannot be opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = stamp_corpus(folder)
        self.built: BuiltCorpus = open_corpus(folder, allow_mixture=True)
        if missing := [file for file in self.built.shard_files if not file.is_file()]:
            name, more = f"data/{missing[0].name}", f" and {len(missing) - 1:,} more shards" if len(missing) > 1 else ""
            raise UsageError(
                f"{self.built.shown}: {name}{more} cannot be found. Put back what was moved or removed, or build it again: "
                f"{build_command(folder)}"
            )
        self.modality = "text" if self.built.is_mixture else self.built.manifest.modality
        self.text_column = SHARD_TEXTS[self.modality]
        self.media_column = SHARD_MEDIA.get(self.modality)

    def is_current(self) -> bool:
        """Return whether the files are still those that were opened."""
        return stamp_corpus(self._folder) == self._stamp

    @property
    def schema(self) -> pl.Schema:
        """Names and types of the ledger's columns."""
        return self.built.ledger_schema

    @cached_property
    def ledger(self) -> NumberedTable:
        return NumberedTable(self.built.ledger_files)

    @cached_property
    def shards(self) -> NumberedTable:
        return NumberedTable(self.built.shard_files)

    @cached_property
    def selector(self) -> Selector:
        return Selector(self.ledger, self.shards, self.text_column, list_own_ids(self.built))

    @cached_property
    def totals(self) -> Totals:
        amount = self.built.amount
        return Totals(self.ledger, amount[0] if amount else None)


class Watched:
    """A corpus that may be rebuilt while it is open. `name`: of its folder. `reopened`: when a rebuild was last noticed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self.name = folder.absolute().name
        self._opened: OpenedCorpus | None = OpenedCorpus(folder)
        self.reopened: datetime | None = None

    def open(self) -> OpenedCorpus:
        """Return the corpus as it is now. Raises UsageError where it cannot be opened any more."""
        with self._lock:
            if self._opened is None or not self._opened.is_current():
                self._opened = None
                self._opened = OpenedCorpus(self._folder)
                self.reopened = datetime.now()
            return self._opened
