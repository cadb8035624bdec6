"""Step 2, decide: the manifest's bounds over the stored measures. Never reads text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.manifest.loading import Bound, Manifest
from pipeline.steps.fit import bands_file, fitted, with_bands
from pipeline.steps.measure import Part

VERSION = 2


def broken(name: str, bound: Bound) -> tuple[pl.Expr, pl.Expr]:
    """For one rule: whether a record breaks it, and the bound it breaks as text. A missing value (NaN, null) breaks it, unless
    `bound.missing` is "keep".
    """
    value = pl.col(f"m:{name}")
    missing = value.cast(pl.Float64, strict=False).is_nan()  # NaN is above every bound to polars
    checks: list[tuple[pl.Expr, str | pl.Expr]] = []
    if bound.at_least is not None:
        checks.append((~(value >= bound.at_least) | missing, f">= {bound.at_least:g}"))
    if bound.at_most is not None:
        checks.append((~(value <= bound.at_most) | missing, f"<= {bound.at_most:g}"))
    if bound.iqr is not None:
        low, high = pl.col(f"low:{name}"), pl.col(f"high:{name}")
        shown = (pl.format(f"{sign} {{}}", side.round_sig_figs(4)) for sign, side in ((">=", low), ("<=", high)))
        # Without a single value to fit to there is no band.
        for check, words in zip((value < low, value > high), shown, strict=True):
            # What is zero or less has no logarithm, and had no part in the band.
            checks.append(((check & (value > 0)).fill_null(value.is_null() & low.is_not_null()) | missing, words))
    if bound.any_of is not None:
        checks.append((~value.is_in(bound.any_of), f"one of {', '.join(bound.any_of)}"))
    if bound.none_of is not None:
        checks.append((value.is_in(bound.none_of), f"none of {', '.join(bound.none_of)}"))
    if bound.missing == "keep":
        checks = [(check & ~missing.fill_null(False) & value.is_not_null(), text) for check, text in checks]
    wrong = pl.any_horizontal(check.fill_null(True) for check, _ in checks)
    words = pl.coalesce(
        pl.when(check.fill_null(True)).then(text if isinstance(text, pl.Expr) else pl.lit(text)) for check, text in checks
    )
    return wrong, words


def decide_frame(frame: pl.DataFrame, rules: dict[str, Bound]) -> pl.DataFrame:
    """`verdict` `rule` `value` `bound` for measured records (columns `m:<measure>` and `unreadable`).

    Rules are tried in the manifest's order and the first that is broken is named. An unreadable record breaks none.
    """
    rule, value, bound = (pl.lit(None, pl.String) for _ in range(3))
    for name, bounds in reversed(rules.items()):
        wrong, words = broken(name, bounds)
        shown = pl.col(f"m:{name}")
        shown = shown.round_sig_figs(6) if frame.schema[f"m:{name}"].is_float() else shown
        rule = pl.when(wrong).then(pl.lit(name)).otherwise(rule)
        value = pl.when(wrong).then(shown.cast(pl.String)).otherwise(value)
        bound = pl.when(wrong).then(words).otherwise(bound)
    unreadable = pl.col("unreadable").is_not_null()
    frame = frame.select(
        pl.when(unreadable).then(pl.lit(None, pl.String)).otherwise(expression).alias(name)
        for name, expression in (("rule", rule), ("value", value), ("bound", bound))
    ).with_columns(frame["unreadable"])
    verdict = (
        pl.when(unreadable)
        .then(pl.lit("unreadable"))
        .when(pl.col("rule").is_null())
        .then(pl.lit("kept"))
        .otherwise(pl.lit("dropped"))
    )
    return frame.select(verdict.alias("verdict"), "rule", "value", "bound")


def decided(folder: Path, index: int) -> Path:
    """Parquet of the verdicts on one measured partition, row for row."""
    return folder / f"part-{index:05d}.parquet"


def decide(manifest: Manifest, measured: Path, index: int, folder: Path) -> dict[str, Any]:
    """Decide about one measured partition; returns counts by rule."""
    out = decided(folder, index)
    done = out.with_suffix(".json")
    if (known := read_json(done)) is not None:
        return known
    began = time.perf_counter()
    bands = fitted(manifest.rules)
    groups = {bound.by for bound in bands.values()} - {"corpus"}
    columns = ["unreadable", "amount", "payload", *sorted(groups), *(f"m:{name}" for name in manifest.rules)]
    frame = pl.read_parquet(Part(measured, index).table, columns=columns)
    if bands:
        frame = with_bands(frame, bands, pl.read_parquet(bands_file(folder)))
    verdicts = decide_frame(frame, manifest.rules)
    with write_atomically(out) as temporary:
        verdicts.write_parquet(temporary, compression="zstd", compression_level=1)
    sized = verdicts.with_columns(frame["amount"], frame["payload"])
    by_rule = sized.filter(verdict="dropped").group_by("rule").agg(pl.len(), pl.sum("amount")).sort("rule")
    kept = sized.filter(verdict="kept")
    counts = {
        "kept": kept.height,
        "amount": int(kept["amount"].sum()),
        "payload": int(kept["payload"].sum()),
        "rules": {rule: [records, int(amount)] for rule, records, amount in by_rule.iter_rows()},
        "seconds": round(time.perf_counter() - began, 3),
    }
    write_json(done, counts)
    return counts
