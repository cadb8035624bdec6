"""The ledger: one row per input record, in input order, with its verdict, the reasons and every measure."""

from __future__ import annotations

from collections.abc import Container, Sequence

import polars as pl
import pyarrow as pa

from pipeline.core.numbers import show_number
from pipeline.modalities.base import EXCERPT
from pipeline.workspace import REASON

HEAD = (
    pa.field("id", pa.string()),
    pa.field("source", pa.string()),
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
    pa.field("excerpt", pa.string()),
)


def ledger_frame(
    measured: pl.DataFrame,
    verdicts: pl.DataFrame,
    clusters: pl.DataFrame,
    late: pl.DataFrame | None,
    ids: pl.Series,
    sources: pl.Series,
    near_rule: str,
    accept: float,
    further: Sequence[str] = (),
) -> pl.DataFrame:
    """Return ledger rows of consecutive records.

    `measured` and `verdicts` hold the same records row for row, `ids` and `sources` what they are called and come from; `clusters` and
    `late` (records that the step deduplicate dropped, with the columns of `REASON`) have a column `row` that counts from the first of
    them; `step` in `late` names another step than deduplicate. `near_rule` names the rule of a near duplicate. `bound` is the limit
    that a record broke: `accept` for duplicates, since a similarity of `accept` or more makes a duplicate. `further` names columns of
    `measured` or `late` to be shown beside the measures.
    """
    frame = pl.concat([measured, verdicts], how="horizontal").with_columns(id=ids, source=sources).with_row_index("row")
    if "own:source" in measured.columns:
        frame = frame.with_columns(source=pl.coalesce("own:source", "source"))
    frame = frame.join(clusters, on="row", how="left", maintain_order="left")
    if late is not None:
        frame = frame.join(late, on="row", how="left", maintain_order="left", suffix="_late")
    else:
        frame = frame.with_columns(pl.lit(None, kind).alias(f"{name}_late") for name, kind in REASON.items())
    if "step" not in frame.columns:
        frame = frame.with_columns(step=pl.lit(None, pl.String))
    duplicate = pl.col("duplicate_of").is_not_null()
    unreadable = pl.col("verdict") == "unreadable"
    dropped_late = pl.col("rule_late").is_not_null()
    dropped = pl.col("verdict") == "dropped"

    def late_or_own(name: str) -> pl.Expr:
        return pl.when(dropped_late).then(f"{name}_late").otherwise(name)

    frame = frame.with_columns(
        verdict=pl.when(duplicate).then(pl.lit("duplicate")).when(dropped_late).then(pl.lit("dropped")).otherwise("verdict"),
        step=pl.when(duplicate | dropped_late)
        .then(pl.coalesce("step", pl.lit("deduplicate")))
        .when(dropped)
        .then(pl.lit("decide"))
        .when(unreadable)
        .then(pl.lit("read")),
        rule=pl.when(duplicate)
        .then(pl.when("exact").then(pl.lit("exact")).otherwise(pl.lit(near_rule)))
        .when(unreadable)
        .then(pl.lit("unreadable"))
        .otherwise(late_or_own("rule")),
        value=pl.when(duplicate).then(pl.col("similarity").cast(pl.Float64)).otherwise(late_or_own("value")),
        value_text=pl.when(unreadable).then("unreadable").when(~duplicate).then(late_or_own("value_text")),
        bound=pl.when(duplicate).then(pl.lit(accept, pl.Float64)).otherwise(late_or_own("bound")),
        bound_text=pl.when(duplicate).then(pl.lit(f"< {show_number(accept)}")).otherwise(late_or_own("bound_text")),
        excerpt=pl.when(unreadable).then("head").otherwise(pl.col("text").str.head(EXCERPT)),
        # A record without duplicates is a cluster of its own, so that splits and weights need no special case.
        cluster_id=pl.when(pl.col("verdict") == "kept").then(pl.coalesce("cluster_id", "id")),
        cluster_size=pl.when(pl.col("verdict") == "kept").then(pl.coalesce("cluster_size", pl.lit(1, pl.UInt32))),
    )
    measures = [name for name in measured.columns if name.startswith("m:")]
    kept = [name for name in measured.columns if name.startswith("keep:")]
    return frame.select(
        *(field.name for field in HEAD),
        *(pl.col(name).alias(name[5:]) for name in kept),
        *(pl.when(pl.col("verdict") != "unreadable").then(name).alias(name[2:]) for name in measures),
        *further,
    )


def name_judged_column(measure: str, columns: Container[str]) -> str:
    """Return the column of a ledger with the value by which the step decide judged.

    `chars` is of what is left, once lines that recur are removed; a ledger with `measured_chars` has there what was judged.
    """
    return "measured_chars" if measure == "chars" and "measured_chars" in columns else measure


def ledger_schema(measured: pl.Schema, further: Sequence[pa.Field] = ()) -> pa.Schema:
    """Return the Arrow schema of ledger files, given that of a measured table and further fields."""
    kinds = {
        pl.String: pa.string(),
        pl.Float32: pa.float32(),
        pl.Int32: pa.int32(),
        pl.Float64: pa.float64(),
        pl.Int64: pa.int64(),
        pl.Int8: pa.int8(),
        pl.Boolean: pa.bool_(),
    }
    kept, measures = (
        [
            pa.field(name.partition(":")[2], kinds[kind.base_type()])
            for name, kind in measured.items()
            if name.startswith(prefix)
        ]
        for prefix in ("keep:", "m:")
    )
    return pa.schema([*HEAD, *kept, *measures, *further])
