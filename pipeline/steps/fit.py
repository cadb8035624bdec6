"""Between measuring and deciding: bounds that a rule has fitted to the corpus, per programme or speaker where it says so.

A band is Tukey's (Exploratory Data Analysis, 1977): the quartiles, and k interquartile ranges beyond them; of logarithms, since the
measures that it is for are ratios such as seconds per mora, too small as often as too large by the same factor. Emilia fits seconds
per character so, per recording and with k = 1.5, not in logarithms (arXiv:2407.05361).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.storage import write_atomically
from pipeline.core.tables import scan_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.manifest.model import Bound, Manifest
from pipeline.workspace import Part

NARROWEST = 1.25  # what is within this factor of the quartiles is never out of place: values may be nearly all the same
LEAST = 30  # records with a value that a band needs; a programme or speaker with fewer has the corpus's


def fitted_rules(rules: dict[str, Bound]) -> dict[str, Bound]:
    """Return the rules whose bounds are fitted."""
    return {name: bound for name, bound in rules.items() if bound.iqr is not None}


def bands_file(folder: Path) -> Path:
    """Return the Parquet file in the folder of the step decide: `rule`, `group` (null: the corpus), `low`, `high`, `records`."""
    return folder / "bands.parquet"


@resumable(lambda manifest, parts, folder: bands_file(folder).with_suffix(".json"))
def fit(manifest: Manifest, parts: Sequence[Part], folder: Path) -> Counts:
    """Write the bands of all fitted rules; what is unreadable, null, infinite or not above zero has no part in them."""
    table = band_frame(scan_parquet(*(part.table for part in parts)), manifest.rules)
    with write_atomically(bands_file(folder)) as temporary:
        table.write_parquet(temporary)
    with_band = set(table.filter(pl.col("group").is_null())["rule"])
    return {"bands": len(table), "without": [name for name in fitted_rules(manifest.rules) if name not in with_band]}


def band_frame(records: pl.LazyFrame, rules: dict[str, Bound]) -> pl.DataFrame:
    """Return the bands of measured records (columns `m:<measure>`, `unreadable`, and `programme` or `speaker` where a rule has them)."""
    bands = []
    for name, bound in fitted_rules(rules).items():
        value = pl.col(f"m:{name}")
        rows = records.filter(pl.col("unreadable").is_null() & (value > 0) & value.is_finite())
        for group in ("corpus",) if bound.by == "corpus" else ("corpus", bound.by):
            of = pl.lit(None, pl.String) if group == "corpus" else pl.col(group)
            bands.append(_bands(rows.select(group=of, value=value.cast(pl.Float64).log()), name, bound, group != "corpus"))
    return pl.concat(bands).sort("rule", "group", nulls_last=True)


def _bands(rows: pl.LazyFrame, name: str, bound: Bound, grouped: bool) -> pl.DataFrame:
    if grouped:
        rows = rows.filter(pl.col("group").is_not_null())
    first, third = (pl.col("value").quantile(q, "linear") for q in (0.25, 0.75))
    beyond = ((third - first) * (bound.iqr or 0)).clip(lower_bound=math.log(NARROWEST))
    return (
        rows.group_by("group")
        .agg(low=(first - beyond).exp(), high=(third + beyond).exp(), records=pl.len())
        .filter(pl.col("records") >= LEAST)
        .select(pl.lit(name).alias("rule"), "group", "low", "high", pl.col("records").cast(pl.Int64))
        .collect()
    )


def with_bands(frame: pl.DataFrame, rules: dict[str, Bound], bands: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with `low:<rule>` and `high:<rule>` for every fitted rule; its columns `programme` and `speaker` say which band."""
    for name, bound in fitted_rules(rules).items():
        of_rule = bands.filter(pl.col("rule") == name)
        of_corpus = of_rule.filter(pl.col("group").is_null())
        low, high = (of_corpus[side][0] if len(of_corpus) else None for side in ("low", "high"))
        columns: list[Any] = [pl.lit(low, pl.Float64).alias(f"low:{name}"), pl.lit(high, pl.Float64).alias(f"high:{name}")]
        if bound.by != "corpus":
            own = of_rule.filter(pl.col("group").is_not_null()).select("group", "low", "high")
            of_group = frame.select(group=bound.by).join(own, on="group", how="left", maintain_order="left")
            columns = [
                pl.Series(f"{side}:{name}", of_group[side].fill_null(value) if value is not None else of_group[side])
                for side, value in (("low", low), ("high", high))
            ]
        frame = frame.with_columns(columns)
    return frame
