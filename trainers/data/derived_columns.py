"""Columns computed once from shards, in a folder whose files have the names, rows and row groups of the shards.

The folder has a `<name>.json`, which says how the columns were computed. Under torchrun the ranks share the shards. After an
interruption the next run goes on with the first missing file.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import UsageError
from pipeline.core.locks import hold_lock
from pipeline.core.ownership import DERIVED_FOLDER, remove_known
from pipeline.core.storage import read_json, remove_temporaries, write_atomically, write_json
from trainers.data.batches import Record, Skip
from trainers.data.shards import Shards

Say = Callable[[str], None]


def derived_folder(corpus: Path, name: str, settings: str) -> Path:
    """Return where derived columns of a corpus are: where no upload takes them along, or where earlier versions put them."""
    earlier = corpus / name / settings
    return earlier if earlier.is_dir() else corpus / DERIVED_FOLDER / name / settings


@dataclass(frozen=True)
class DerivedColumns:
    """A folder of derived columns, complete or not. `settings` are those of the computation; other settings are another folder."""

    name: str  # in messages, and of the JSON file
    folder: Path
    user_chose_folder: bool  # what else is in it is refused; in a folder of our own it is removed
    settings: dict[str, Any]
    splits: list[Shards]
    rank: int = 0
    ranks: int = 1

    def build(self, prepare: Callable[[], dict[str, Any]], write: Callable[[Path, Shards], None], say: Say) -> dict[str, Any]:
        """Compute what is missing, and return the content of the JSON file: the settings, the shards, and what `prepare` adds.

        The first rank calls `prepare` once, before anything is written; it may put files into the folder. `write(path, shards)`
        writes the file that belongs to one shard. Raises UsageError if a folder that the user chose holds something else.
        """
        if self.rank == 0 and self.user_chose_folder:
            self._check_users_folder()
        files = sorted({file.name: split for split in self.splits for file in split.files}.items())

        def is_complete() -> bool:
            return self._has_these_settings() and all((self.folder / name).exists() for name, _ in files)

        if is_complete():  # nothing is written: others may be reading, and the disk may be read-only
            return read_json(self._json)
        with hold_lock(self.folder) if self.rank == 0 else nullcontext():
            if self.rank == 0 and not self._has_these_settings():
                self._begin(prepare)
            _wait_until(self._has_these_settings)
            for number, (name, split) in enumerate(files):
                if number % self.ranks == self.rank and not (self.folder / name).exists():
                    write(self.folder / name, split)
                    say(f"{self.name} of shard {number + 1:,} of {len(files):,}")
            _wait_until(is_complete)
            if self.rank == 0:
                remove_temporaries(self.folder)  # of killed runs; every rank has finished writing
        return read_json(self._json)

    @property
    def _json(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def _identity(self) -> dict[str, Any]:
        shards = {split.split: split.fingerprint for split in self.splits}
        return self.settings | {"shards": shards, "content": {split.split: split.identity for split in self.splits}}

    def _has_these_settings(self) -> bool:
        stored, wanted = read_json(self._json), self._identity
        if not isinstance(stored, dict):
            return False
        stored = {"content": wanted["content"]} | stored  # which earlier versions did not write down
        return {key: stored.get(key) for key in wanted} == wanted

    def _check_users_folder(self) -> None:
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file, not a folder of {self.name}")
        if any(self.folder.iterdir()) and not self._has_these_settings():
            raise UsageError(
                f"{self.folder} holds no {self.name} of this corpus and configuration: name a new or empty folder, or none"
            )

    def _is_ours(self, path: str) -> bool:
        return path in (self._json.name, "centres.npy") or re.fullmatch(r"[a-z]+-\d{5}-of-\d{5}\.parquet", path) is not None

    def _begin(self, prepare: Callable[[], dict[str, Any]]) -> None:
        if not self.user_chose_folder:
            remove_known(self.folder, self._is_ours)  # columns of other shards
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self._json, self._identity | prepare())


def write_derived_column(
    path: Path, shards: Shards, schema: pa.Schema, decode: Callable[[Record], Any], compute: Callable[[list[Any]], list[Any]],
    batch: int, threads: int,
) -> None:  # fmt: skip
    """Write the file that belongs to the shard of the same name.

    The last column of `schema` is computed, the others are copied from the shard. `decode` runs in threads; `compute` turns
    `batch` decoded records into values. A record for which `decode` raises Skip gets null.
    """

    def decode_or_none(record: Record) -> Any:
        try:
            return decode(record)
        except Skip:
            return None

    *copied, derived = schema
    with (
        write_atomically(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        with ThreadPoolExecutor(threads) as workers:
            for number, group in enumerate(shards.row_groups):
                if group.paths[0].name != path.name:
                    continue
                columns, values = shards.read([number]).take(np.arange(group.rows)), list[Any]()
                records = [{name: column[i] for name, column in columns.items()} for i in range(group.rows)]
                for start in range(0, group.rows, batch):
                    decoded = list(workers.map(decode_or_none, records[start : start + batch]))
                    usable = [item for item in decoded if item is not None]
                    computed = iter(compute(usable) if usable else [])
                    values += [None if item is None else next(computed) for item in decoded]
                arrays = [pa.array(columns[field.name], field.type) for field in copied]
                table = pa.table([*arrays, pa.array(values, derived.type)], schema=schema)
                writer.write_table(table, row_group_size=max(1, group.rows))


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.2)
