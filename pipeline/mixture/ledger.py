"""The ledger of a mixture: one row for every record that a part kept, with what became of it here."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.numbers import show_number

# What is taken over from the ledgers of the parts, where they have it. Everything else that they know is there, by id.
FROM_PARTS = {
    "source": pa.string(),
    "excerpt": pa.string(),
    "chars": pa.int32(),
    "language": pa.string(),
    "language_score": pa.float32(),
}


def ledger_schema(counts_tokens: bool) -> pa.Schema:
    fields = [
        pa.field("id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("part", pa.string()),
        pa.field("verdict", pa.string()),
        pa.field("step", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("value_text", pa.string()),
        pa.field("bound", pa.float64()),
        pa.field("bound_text", pa.string()),
        pa.field("duplicate_of", pa.string()),
        pa.field("similarity", pa.float32()),
        pa.field("cluster_id", pa.string()),
        pa.field("cluster_size", pa.uint32()),
        pa.field("sources_seen", pa.list_(pa.string())),
        pa.field("epochs", pa.int32()),  # how many times the shards have it
        *([pa.field("tokens", pa.int32())] if counts_tokens else []),
        *(pa.field(name, kind) for name, kind in FROM_PARTS.items() if name != "source"),
    ]
    return pa.schema(fields)


def mixture_ledger(mixed: pl.DataFrame, of_part: pl.DataFrame, part: str, boundary: int, accept: float) -> pl.DataFrame:
    """Return ledger rows of the records of the part of that name, without the column `tokens`.

    `mixed` as `read_mixed` returns it, with `sources_seen`, `copies` (how many times each is taken, 0 for duplicates) and `key`, null for
    duplicates; `of_part`, row for row, is the part's own ledger. `boundary`: below which key documents were taken in part.
    """
    is_duplicate = pl.col("duplicate_of").is_not_null()
    is_dropped = ~is_duplicate & (pl.col("copies") == 0)
    is_kept = ~is_duplicate & ~is_dropped
    unknown = [pl.lit(None, pl.String).alias(name) for name in FROM_PARTS if name not in of_part.columns]
    known = of_part.select(name for name in FROM_PARTS if name in of_part.columns)
    position = pl.col("key").cast(pl.Float64) / 2.0**64
    limit = float(np.floor(boundary / 2**64 * 1e6) / 1e6)
    return pl.concat([mixed, known.with_columns(unknown)], how="horizontal").select(
        "id",
        pl.lit(part).alias("part"),
        pl.when(is_duplicate)
        .then(pl.lit("duplicate"))
        .when(is_dropped)
        .then(pl.lit("dropped"))
        .otherwise(pl.lit("kept"))
        .alias("verdict"),
        pl.when(is_duplicate).then(pl.lit("deduplicate")).when(is_dropped).then(pl.lit("select")).alias("step"),
        pl.when(is_duplicate)
        .then(pl.when("exact").then(pl.lit("exact")).otherwise(pl.lit("minhash")))
        .when(is_dropped)
        .then(pl.lit("budget"))
        .alias("rule"),
        pl.when(is_duplicate)
        .then(pl.col("similarity").cast(pl.Float64))
        .when(is_dropped)
        .then(position.round(6))
        .alias("value"),
        pl.lit(None, pl.String).alias("value_text"),
        pl.when(is_duplicate).then(pl.lit(accept, pl.Float64)).when(is_dropped).then(pl.lit(limit)).alias("bound"),
        pl.when(is_duplicate)
        .then(pl.lit(f"< {show_number(accept)}"))
        .when(is_dropped)
        .then(pl.lit(f"< {show_number(limit)}"))
        .alias("bound_text"),
        "duplicate_of",
        "similarity",
        pl.when(is_kept).then("cluster_id").alias("cluster_id"),
        pl.when(is_kept).then("cluster_size").alias("cluster_size"),
        "sources_seen",
        pl.col("copies").cast(pl.Int32).alias("epochs"),
        *FROM_PARTS,
    )
