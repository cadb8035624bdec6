"""Columns that are made once and stand beside the shards: a folder with files of the same names, rows and row groups.

Beside them is `<what>.json`, which says how they were made. Under torchrun the ranks share the shards. What was stopped goes on with the
next shard.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import UsageError
from pipeline.core.locks import hold_lock
from pipeline.core.storage import read_json, remove_temporaries, write_atomically, write_json
from trainers.data import Shards, Skip
from trainers.ranks import own_rank, wait

Say = Callable[[str], None]


def all_splits(corpus: Path, columns: Sequence[str], hint: str) -> list[Shards]:
    """The shards of every split of a corpus; of one without shards, those of `train`, which says what is missing."""
    below = corpus / "data" if (corpus / "data").is_dir() else corpus
    splits = sorted({path.name.split("-")[0] for path in below.glob("*-*-of-*.parquet")}) or ["train"]
    return [Shards(corpus, split, columns, hint) for split in splits]


def made(
    what: str, place: Path, named: bool, told: dict[str, Any], splits: list[Shards],
    begin: Callable[[], dict[str, Any]], make: Callable[[Path, Shards], None], say: Say,
) -> dict[str, Any]:  # fmt: skip
    """Make what is missing of `what` in `place`; returns what is said of it: `told`, the shards, and what `begin` adds.

    `begin` is called once, by the first rank, before anything is made, and may put files of its own into `place`. `make` writes the file
    beside one shard. A place that the user named is refused, with UsageError, where it holds something else; another is emptied.
    """
    rank, ranks = own_rank()
    account, told = place / f"{what}.json", told | {"shards": {split.split: split.fingerprint for split in splits}}

    def fits() -> bool:
        found = read_json(account)
        return isinstance(found, dict) and {key: found.get(key) for key in told} == told

    if rank == 0 and named and place.exists() and not place.is_dir():
        raise UsageError(f"{place} is a file, not a folder of {what}")
    if rank == 0 and named and place.exists() and any(place.iterdir()) and not fits():
        raise UsageError(f"{place} holds no {what} of this corpus and configuration: name a new or empty folder, or none")
    files = sorted({paths[0].name: split for split in splits for paths, *_ in split.files}.items())

    def whole() -> bool:
        return fits() and all((place / name).exists() for name, _ in files)

    if whole():  # nothing is written: others may be reading, and the disk may not be ours
        return read_json(account)
    with hold_lock(place) if rank == 0 else nullcontext():
        if rank == 0 and not fits():
            if not named:
                shutil.rmtree(place, ignore_errors=True)  # of other shards
            place.mkdir(parents=True, exist_ok=True)
            write_json(account, told | begin())
        wait(fits)
        for number, (name, split) in enumerate(files):
            if number % ranks == rank and not (place / name).exists():
                make(place / name, split)
                say(f"{what} of shard {number + 1:,} of {len(files):,}")
        wait(whole)
        if rank == 0:
            remove_temporaries(place)  # of what was killed; now nobody writes
    return read_json(account)


def write(
    path: Path, shards: Shards, schema: pa.Schema, decode: Callable[[dict[str, Any]], Any], finish: Callable[[list[Any]], list[Any]],
    batch: int, threads: int,
) -> None:  # fmt: skip
    """Write what stands beside the shard of the same name: of `schema`, the last column is made, the others are those of the shard.

    `finish` makes values of what `decode`, in threads, made of `batch` records; where that raises Skip there is None, and none is asked
    for.
    """

    def decoded(record: dict[str, Any]) -> Any:
        try:
            return decode(record)
        except Skip:
            return None

    *copied, column = schema
    with write_atomically(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        with ThreadPoolExecutor(threads) as workers:
            for number, (paths, _, rows) in enumerate(shards.files):
                if paths[0].name != path.name:
                    continue
                columns, values = shards.read([number]).take(np.arange(rows)), list[Any]()
                records = [{name: of[i] for name, of in columns.items()} for i in range(rows)]
                for first in range(0, rows, batch):
                    found = list(workers.map(decoded, records[first : first + batch]))
                    there = iter(finish(some) if (some := [value for value in found if value is not None]) else [])
                    values += [None if value is None else next(there) for value in found]
                arrays = [pa.array(columns[field.name], field.type) for field in copied]
                writer.write_table(
                    pa.table([*arrays, pa.array(values, column.type)], schema=schema), row_group_size=max(1, rows)
                )
