"""Sources and sites that lose most of their records to deduplication: counted while the ledger is written, told by name.

Pages that are made from one template may be alike in all but what they are about. Whoever loses them so should hear of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from filters.url import domains
from pipeline.core.storage import write_atomically
from pipeline.core.tables import scan_parquet
from pipeline.core.tasks import Counts, resumable

LEAST = 20  # records that a source or site had before deduplication
SHARE = 0.5  # of them that may be duplicates
SHOWN = 20  # sources and sites that are told, those that lost most
_NAMED = 1000  # of which a group knows names
_KINDS = ("source", "site")
_SCHEMA = {"kind": pl.UInt8, "key": pl.UInt64, "entered": pl.Int64, "duplicates": pl.Int64, "name": pl.String}


def losses_file(folder: Path, group: int) -> Path:
    """Return the Parquet file of what the sources and sites of a group lost."""
    return folder / "losses" / f"{group:05d}.parquet"


class Losses:
    """Counts of a group, by source and by site where URLs are known.

    A source that loses most of its records loses most of those in one of the groups, so a group names those that do in its own records.
    """

    def __init__(self) -> None:
        self._counts = pl.DataFrame(schema=_SCHEMA)

    def add(self, batch: pl.DataFrame, rows: pl.DataFrame) -> None:
        """Count measured records and their ledger rows."""
        is_duplicate = rows["verdict"] == "duplicate"
        entered = (rows["verdict"] == "kept") | rows["step"].is_in(["deduplicate", "strip"])
        columns = [rows["source"].hash().alias("key"), rows["source"].alias("name")]
        frames = [_count(pl.DataFrame([*columns, is_duplicate.alias("duplicate")]).filter(entered), 0)]
        if "domain" in batch.columns and "keep:url" in batch.columns:
            columns = [batch["domain"].alias("key"), batch["keep:url"].alias("name")]
            of_sites = pl.DataFrame([*columns, is_duplicate.alias("duplicate")]).filter(entered & batch["domain"].is_not_null())
            frames.append(_count(of_sites, 1))
        self._counts = _sum(pl.concat([self._counts, *frames]))

    def write(self, path: Path) -> None:
        """Write the counts, with the names of those that lost most."""
        is_lost = pl.col("duplicates") > SHARE * pl.col("entered")
        rank = pl.when(is_lost).then("duplicates").rank("ordinal", descending=True)
        frame = self._counts.sort("kind", "key").with_columns(pl.when(is_lost & (rank <= _NAMED)).then("name").alias("name"))
        sites = frame.select(pl.when(kind=1).then("name")).to_series()
        frame = frame.with_columns(name=pl.when(kind=1).then(domains(sites)).otherwise("name"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as temporary:
            frame.write_parquet(temporary)


def _count(rows: pl.DataFrame, kind: int) -> pl.DataFrame:
    return rows.group_by("key").agg(
        pl.lit(kind, pl.UInt8).alias("kind"),
        pl.len().cast(pl.Int64).alias("entered"),
        pl.sum("duplicate").cast(pl.Int64).alias("duplicates"),
        pl.min("name"),
    ).select(*_SCHEMA)  # fmt: skip


def _sum(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.group_by("kind", "key").agg(pl.sum("entered"), pl.sum("duplicates"), pl.min("name")).select(*_SCHEMA)


@resumable(lambda folder, groups: folder / "losses" / "losses.json")
def find_losses(folder: Path, groups: int) -> Counts:
    """Return as `losses` the kind and name of sources and sites that lost most, with records before deduplication and duplicates."""
    if not groups:
        return {"losses": []}
    counts = scan_parquet(*(losses_file(folder, number) for number in range(groups)))
    found = (
        counts.group_by("kind", "key")
        .agg(pl.sum("entered"), pl.sum("duplicates"), pl.min("name"))
        .filter((pl.col("entered") >= LEAST) & (pl.col("duplicates") > SHARE * pl.col("entered")))
        .collect()
        .sort("duplicates", "kind", "name", descending=[True, False, False])
        .filter(pl.col("name").is_not_null())
        .head(SHOWN)
    )
    rows: list[list[Any]] = [
        [_KINDS[kind], name, entered, duplicates]
        for kind, name, entered, duplicates in found.select("kind", "name", "entered", "duplicates").iter_rows()
    ]
    return {"losses": rows}


def describe_losses(losses: list[list[Any]]) -> list[str]:
    """Return a warning for every source and site that lost most of its records to deduplication."""
    return [
        f"{kind} {name}: {duplicates:,} of {entered:,} records are duplicates ({duplicates / entered:.0%}); pages made from one template "
        "may be alike in all but what they are about: look at them in the ledger"
        for kind, name, entered, duplicates in losses
    ]
