"""The ledger: one row per input record, in input order, with its verdict, the reasons and every measure."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

EXCERPT = 200  # characters
HEAD = (
    pa.field("id", pa.string()),
    pa.field("verdict", pa.string()),
    pa.field("step", pa.string()),
    pa.field("rule", pa.string()),
    pa.field("value", pa.string()),
    pa.field("bound", pa.string()),
    pa.field("duplicate_of", pa.string()),
    pa.field("similarity", pa.float32()),
    pa.field("cluster_id", pa.string()),
    pa.field("cluster_size", pa.uint32()),
    pa.field("excerpt", pa.string()),
)


def ledger_frame(
    measured: pl.DataFrame, verdicts: pl.DataFrame, clusters: pl.DataFrame, ids: pl.Series, accept: float
) -> pl.DataFrame:
    """Ledger rows of consecutive records.

    `measured` and `verdicts` hold the same records row for row; `clusters` has a column `row` that counts from the first of them.
    `bound` is always what a record would have had to keep to: a duplicate has a similarity that is not below `accept`.
    """
    frame = pl.concat([measured, verdicts], how="horizontal").with_columns(id=ids).with_row_index("row")
    frame = frame.join(clusters, on="row", how="left", maintain_order="left")
    duplicate = pl.col("duplicate_of").is_not_null()
    unreadable = pl.col("verdict") == "unreadable"
    dropped = pl.col("verdict") == "dropped"
    frame = frame.with_columns(
        verdict=pl.when(duplicate).then(pl.lit("duplicate")).otherwise("verdict"),
        step=pl.when(duplicate)
        .then(pl.lit("deduplicate"))
        .when(dropped)
        .then(pl.lit("decide"))
        .when(unreadable)
        .then(pl.lit("read")),
        rule=pl.when(duplicate)
        .then(pl.when("exact").then(pl.lit("exact")).otherwise(pl.lit("minhash")))
        .when(unreadable)
        .then(pl.lit("unreadable"))
        .otherwise("rule"),
        value=pl.when(duplicate)
        .then(pl.col("similarity").round(4).cast(pl.String))
        .when(unreadable)
        .then("unreadable")
        .otherwise("value"),
        bound=pl.when(duplicate).then(pl.lit(f"< {accept:g}")).otherwise("bound"),
        excerpt=pl.when(unreadable).then("head").otherwise(pl.col("text").str.head(EXCERPT)),
        # A record without duplicates is a cluster of its own, so that splits and weights need no special case.
        cluster_id=pl.when(pl.col("verdict") == "kept").then(pl.coalesce("cluster_id", "id")),
        cluster_size=pl.when(pl.col("verdict") == "kept").then(pl.coalesce("cluster_size", pl.lit(1, pl.UInt32))),
    )
    measures = [name for name in measured.columns if name.startswith("m:")]
    return frame.select(
        *(field.name for field in HEAD),
        *(pl.when(pl.col("verdict") != "unreadable").then(name).alias(name[2:]) for name in measures),
    )


def schema(measures: pl.Schema) -> pa.Schema:
    """Arrow schema of ledger files, given the schema of the measure columns (`m:<name>`)."""
    kinds = {
        pl.String: pa.string(),
        pl.Float32: pa.float32(),
        pl.Int32: pa.int32(),
        pl.Float64: pa.float64(),
        pl.Int64: pa.int64(),
    }
    fields = [pa.field(name[2:], kinds[kind.base_type()]) for name, kind in measures.items() if name.startswith("m:")]
    return pa.schema([*HEAD, *fields])
