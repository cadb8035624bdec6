"""From parts to shards: documents are scattered to ranges of their places, and every range is gathered and put in order.

A document's place is a seeded 64-bit number. Its copies, where it is repeated, stand as far from one another as they can: the n-th of E
copies is in the n-th of E equal shares of all places. So documents are shuffled over the whole mixture, yet every file is read from front
to back, and nothing larger than a range is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.shards import ShardWriter, name_shard
from pipeline.core.storage import write_array, write_atomically
from pipeline.core.tables import open_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup.bands import range_of
from pipeline.mixture.duplicates import read_mixed
from pipeline.mixture.ledger import FROM_PARTS, ledger_schema, mixture_ledger
from pipeline.mixture.manifest import MixtureManifest
from pipeline.mixture.records import Partition, read_furniture, read_ledger
from pipeline.mixture.selection import Selection, candidates_file
from pipeline.modalities.licenses import LicenseCounts
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.modality import TextModality

SPLITS = ("train", "validation")
RANGE_BYTES = 32_000_000  # of text in a range of places
GROUP_BYTES = 128_000_000  # of text that one task scatters
_BATCH = 4096
_LEDGER_ROW_GROUP = 16384
_DICTIONARY_COLUMNS = ["source", "part", "license", "language"]
_FIRST, _LAST = ("id", "text", "source"), ("license", "language", "language_score", "chars", "cluster_size")
_PLACE, _HELD_OUT = "_place", "_held_out"  # columns of scattered documents


class Ranges(NamedTuple):
    """How many ranges of places each split has, and how many of them make a shard."""

    train: int
    validation: int
    per_shard: int

    @property
    def total(self) -> int:
        return self.train + self.validation

    def count_shards(self, split: str) -> int:
        return -(-getattr(self, split) // self.per_shard)

    def of_shard(self, split: str, number: int) -> range:
        """Return the numbers, among all ranges, of those of a shard."""
        count, before = getattr(self, split), 0 if split == "train" else self.train
        first = number * self.per_shard
        return range(before + first, before + min(first + self.per_shard, count))


def plan_ranges(train_bytes: int, validation_bytes: int, shard_size: int) -> Ranges:
    """Return ranges of about `RANGE_BYTES` of text or less, so many to a shard that it has about `shard_size`.

    >>> plan_ranges(1_000_000_000, 1_000_000, 128_000_000)
    Ranges(train=32, validation=4, per_shard=4)
    """
    per_shard = max(1, -(-shard_size // RANGE_BYTES))
    train, validation = (-(-size // shard_size) * per_shard for size in (train_bytes, validation_bytes))
    return Ranges(train, validation, per_shard)


@dataclass(frozen=True)
class Group:
    """Consecutive partitions of one part that one task scatters."""

    number: int
    partitions: tuple[Partition, ...]


def group_partitions(partitions: Sequence[Partition], sizes: Sequence[int]) -> list[Group]:
    """Group the partitions of each part by about `GROUP_BYTES` of text, given the bytes of text in each."""
    groups, members, total = list[Group](), list[Partition](), 0
    for partition in partitions:
        if members and (members[0].corpus != partition.corpus or total + sizes[partition.index] > GROUP_BYTES):
            groups.append(Group(len(groups), tuple(members)))
            members, total = [], 0
        members.append(partition)
        total += sizes[partition.index]
    return [*groups, Group(len(groups), tuple(members))] if members else groups


@dataclass(frozen=True)
class Scattering:
    """What every task needs. `folder` is the staging folder; `records`, `selected` are those of the steps deduplicate and select."""

    manifest: MixtureManifest
    sources: tuple[str, ...]  # names of the parts
    schema: pa.Schema
    ranges: Ranges
    groups: int
    records: Path
    selected: Path
    folder: Path

    def scattered(self, group: int) -> Path:
        """A stream of Arrow for each range, one after another."""
        return self.folder / "scattered" / f"{group:05d}.arrows"

    def starts(self, group: int) -> Path:
        """int64[ranges + 1]: where in `scattered` each range begins."""
        return self.folder / "scattered" / f"{group:05d}.npy"

    def piece(self, split: str, shard: int) -> Path:
        """A shard, until it is known how many have any documents."""
        return self.folder / "pieces" / f"{split}-{shard:05d}.parquet"


def mixture_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return the schema of the shards: the columns of all parts, which others have or not, then `part`, `sources_seen`, `epoch`."""
    fields = {field.name: field for schema in schemas for field in schema}
    own = [name for name in fields if name not in (*_FIRST, *_LAST)]
    return pa.schema(
        [
            *(pa.field(name, fields[name].type, nullable=name not in ("id", "text")) for name in (*_FIRST, *own, *_LAST)),
            pa.field("part", pa.string()),
            pa.field("sources_seen", pa.list_(pa.string())),
            pa.field("epoch", pa.int32()),
        ]
    )


# -- on a worker


@resumable(lambda scattering, group, corpus, selection: scattering.scattered(group.number).with_suffix(".json"))
def scatter(scattering: Scattering, group: Group, corpus: TextManifest, selection: Selection) -> Counts:
    """Write the chosen documents of a group by range, and the ledger rows of all its records; return counts by verdict and split."""
    verdicts: dict[str, list[int]] = {}
    tables = [_with_place(scattering.schema).empty_table()]
    counts_tokens = scattering.manifest.tokenizer is not None
    ledger = scattering.folder / "ledger" / name_shard("ledger", group.number, scattering.groups)
    with ExitStack() as stack:
        writer = ShardWriter(
            stack.enter_context(write_atomically(ledger)), ledger_schema(counts_tokens), _LEDGER_ROW_GROUP, None,
            scattering.manifest.shards.compression_level, ["source", "part", "verdict", "step", "rule", "bound", "bound_text", "language"],
        )  # fmt: skip
        stack.callback(writer.close)
        for partition in group.partitions:
            rows, records = _judge(scattering, partition, selection)
            writer.write(rows.select(writer.schema.names).to_arrow().cast(writer.schema))
            for verdict, count, chars in rows.group_by("verdict").agg(pl.len(), pl.sum("chars")).iter_rows():
                before = verdicts.get(verdict, [0, 0])
                verdicts[verdict] = [before[0] + count, before[1] + int(chars)]
            tables += _read_documents(scattering, partition, corpus, records.filter(pl.col("copies") > 0))
    _write_ranges(scattering, group.number, pa.concat_tables(tables))
    return {"verdicts": verdicts}


def _judge(scattering: Scattering, partition: Partition, selection: Selection) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the ledger rows of a partition's records, and the records with what was decided about them."""
    candidates = np.load(candidates_file(scattering.selected, partition.index))
    chosen = pl.DataFrame({name: candidates[name] for name in ("row", "key", "place", "held_out", "tokens")}).with_columns(
        copies=pl.Series(selection.copies(candidates)).cast(pl.Int64)
    )
    records = read_mixed(scattering.records, partition.index).join(chosen, on="row", how="left", maintain_order="left")
    names = pl.Series(scattering.sources)
    own = pl.lit(pl.Series([[partition.corpus]], dtype=pl.List(pl.UInt16)))
    seen = pl.coalesce("seen", own).list.eval(pl.element().replace_strict(pl.Series(range(len(names)), dtype=pl.UInt16), names))
    records = records.with_columns(
        pl.col("copies").fill_null(0),
        pl.col("tokens").cast(pl.Int32),
        sources_seen=seen,
    )
    ledger = read_ledger(partition.ledger, ["verdict", *FROM_PARTS]).filter(verdict="kept")
    accept = scattering.manifest.deduplicate.accept
    rows = mixture_ledger(records, ledger, scattering.sources[partition.corpus], selection.boundary, accept)
    return rows.with_columns(records["tokens"]), records


def _read_documents(
    scattering: Scattering, partition: Partition, corpus: TextManifest, chosen: pl.DataFrame
) -> Iterator[pa.Table]:
    """Yield the shard rows of chosen records, one for each copy, with their places."""
    if not len(chosen):
        return
    modality, numbers = TextModality(), chosen["row"].to_numpy()
    ledger = read_ledger(partition.ledger, _ledger_columns(partition))
    furniture = read_furniture(ledger)
    with open_parquet(partition.measured.table) as file:
        at = 0
        for arrow in file.iter_batches(_BATCH):
            first, last = np.searchsorted(numbers, [at, at + len(arrow)]).tolist()
            if first < last:
                batch = pl.DataFrame(pl.from_arrow(arrow)).with_row_index("row", at)[(numbers[first:last] - at).tolist()]
                batch = modality.revise(batch, furniture)[0]
                rows = ledger[numbers[first:last].tolist()]
                for table, records in modality.shard_rows(corpus, partition.measured, batch, rows):
                    decided = chosen[first:last][records.tolist()]
                    yield _complete(scattering, partition, pl.DataFrame(pl.from_arrow(table)), decided)
            at += len(arrow)


def _ledger_columns(partition: Partition) -> list[str]:
    return pq.read_schema(partition.ledger[0].file).names


def _complete(scattering: Scattering, partition: Partition, rows: pl.DataFrame, decided: pl.DataFrame) -> pa.Table:
    """Return the rows of the mixture's shards, one for each copy, with their places."""
    schema = _with_place(scattering.schema)
    part = pl.lit(scattering.sources[partition.corpus]).alias("part")
    rows = rows.with_columns(decided["cluster_size"], decided["sources_seen"], part)
    copies = decided["copies"].to_numpy()
    row = np.repeat(np.arange(len(rows)), copies)
    copy = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
    rows = rows[row.tolist()].with_columns(
        pl.Series("epoch", copy + 1, pl.Int32),
        pl.Series(_PLACE, place_copies(decided["place"].to_numpy()[row], copy, copies[row])),
        pl.Series(_HELD_OUT, decided["held_out"].to_numpy()[row]),
    )
    missing = [pl.lit(None, pl.Null).alias(name) for name in schema.names if name not in rows.columns]
    return rows.with_columns(missing).select(schema.names).to_arrow().cast(schema)


def place_copies(places: np.ndarray, copy: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Return uint64[n]: the place of the copy-th (from 0) of so many copies of each document, whose own place is given."""
    share = np.uint64(2**64 - 1) // copies.astype(np.uint64)
    return places // copies.astype(np.uint64) + copy.astype(np.uint64) * share


def _with_place(schema: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, pa.field(_HELD_OUT, pa.bool_()), pa.field(_PLACE, pa.uint64())])


def _write_ranges(scattering: Scattering, group: int, table: pa.Table) -> None:
    ranges = scattering.ranges
    places, held_out = table[_PLACE].to_numpy(), table[_HELD_OUT].to_numpy()
    numbers = np.where(
        held_out, ranges.train + range_of(places, max(ranges.validation, 1)), range_of(places, max(ranges.train, 1))
    )
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], np.arange(ranges.total + 1))
    starts = np.zeros(ranges.total + 1, np.int64)
    table = table.drop_columns([_HELD_OUT])
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with write_atomically(scattering.scattered(group)) as temporary, open(temporary, "wb") as file:
        for number in range(ranges.total):
            first, last = int(edges[number]), int(edges[number + 1])
            if first < last:
                with pa.ipc.new_stream(file, table.schema, options=options) as stream:
                    stream.write_table(table.take(pa.array(order[first:last])))
            starts[number + 1] = file.tell()
    write_array(scattering.starts(group), starts)


@resumable(lambda scattering, split, shard: scattering.piece(split, shard).with_suffix(".json"))
def gather(scattering: Scattering, split: str, shard: int) -> Counts:
    """Write one shard, in the order of places, where it has documents; return documents and characters, and both by license."""
    settings = scattering.manifest.shards
    sums: dict[str, Any] = {"documents": 0, "chars": 0}
    licenses = LicenseCounts()
    piece = scattering.piece(split, shard)
    with ExitStack() as stack:
        writer: ShardWriter | None = None
        for number in scattering.ranges.of_shard(split, shard):
            tables = [*_read_range(scattering, number)]
            if not tables:
                continue
            table = pa.concat_tables(tables)
            table = table.take(pa.array(np.argsort(table[_PLACE].to_numpy(), kind="stable"))).drop_columns([_PLACE])
            if writer is None:
                path = stack.enter_context(write_atomically(piece))
                writer = ShardWriter(
                    path, scattering.schema, settings.row_group, None, settings.compression_level, _DICTIONARY_COLUMNS
                )
                stack.callback(writer.close)
            writer.write(table)
            sums["documents"] += len(table)
            sums["chars"] += int(pc.sum(table["chars"]).as_py() or 0)
            licenses.add(pl.Series(table["license"]), pl.Series(table["chars"]))
    return sums | {"licenses": licenses.rows()}


def _read_range(scattering: Scattering, number: int) -> Iterator[pa.Table]:
    """Yield the documents of a range, from the files of all groups."""
    for group in range(scattering.groups):
        starts = np.load(scattering.starts(group), mmap_mode="r")
        first, last = int(starts[number]), int(starts[number + 1])
        if first < last:
            with open(scattering.scattered(group), "rb") as file:
                file.seek(first)
                yield pa.ipc.open_stream(file.read(last - first)).read_all()
