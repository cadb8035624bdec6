"""Step 2, decide: the manifest's bounds over the stored measures. Never reads content."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs

from filters import MEASURES
from pipeline.core.engine import Engine, Task
from pipeline.core.storage import write_atomically
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.manifest.model import Bound, Manifest
from pipeline.plan import Plan
from pipeline.steps.fit import LEAST, bands_file, fit, fitted_rules, with_bands
from pipeline.steps.measure import Measured
from pipeline.workspace import Part, verdicts_file

MOST_IN_TASK = 64  # partitions

# -- on a worker


def measured_column(rule: str) -> str:
    """Return the column of the measured table that a rule judges: a measure's, or one of `source.keep`."""
    return f"m:{rule}" if rule in MEASURES else f"keep:{rule}"


def broken_bound(name: str, bound: Bound) -> tuple[pl.Expr, pl.Expr]:
    """Return, for one rule, whether a record breaks it, and as text the bound that it breaks.

    A missing value (NaN, null) breaks a rule, unless `bound.missing` is "keep".
    """
    value = pl.col(measured_column(name))
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
        for check, text in zip((value < low, value > high), shown, strict=True):
            # What is zero or less has no logarithm, and had no part in the band.
            checks.append(((check & (value > 0)).fill_null(value.is_null() & low.is_not_null()) | missing, text))
    if bound.any_of is not None:
        checks.append((~value.is_in(bound.any_of), f"one of {', '.join(bound.any_of)}"))
    if bound.none_of is not None:
        checks.append((value.is_in(bound.none_of), f"none of {', '.join(bound.none_of)}"))
    if bound.missing == "keep":
        checks = [(check & ~missing.fill_null(False) & value.is_not_null(), text) for check, text in checks]
    broken = pl.any_horizontal(check.fill_null(True) for check, _ in checks)
    first_broken = pl.coalesce(
        pl.when(check.fill_null(True)).then(text if isinstance(text, pl.Expr) else pl.lit(text)) for check, text in checks
    )
    return broken, first_broken


def decide_frame(frame: pl.DataFrame, rules: dict[str, Bound]) -> pl.DataFrame:
    """Return `verdict` `rule` `value` `bound` of measured records (columns `m:<measure>` and `unreadable`).

    Rules are tried in the manifest's order and the first that is broken is named. An unreadable record breaks none.

    >>> frame = pl.DataFrame({"m:chars": [12, 120], "m:url_share": [0.9, 0.1], "unreadable": [None, None]})
    >>> decide_frame(frame, {"chars": Bound(at_least=50), "url_share": Bound(at_most=0.4)}).rows()
    [('dropped', 'chars', '12', '>= 50'), ('kept', None, None, None)]
    """
    rule, value, bound = (pl.lit(None, pl.String) for _ in range(3))
    for name, bounds in reversed(rules.items()):
        broken, broken_text = broken_bound(name, bounds)
        column = measured_column(name)
        shown = pl.col(column)
        shown = shown.round_sig_figs(6) if frame.schema[column].is_float() else shown
        rule = pl.when(broken).then(pl.lit(name)).otherwise(rule)
        value = pl.when(broken).then(shown.cast(pl.String)).otherwise(value)
        bound = pl.when(broken).then(broken_text).otherwise(bound)
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


def decide_records(frame: pl.DataFrame, rules: dict[str, Bound]) -> pl.DataFrame:
    """Return what `decide_frame` does, where a record of which nothing is left (`payload` 0) is dropped for what emptied it.

    That is what cleaning found out, as `boilerplate_share`, else `chars`. Nothing is of no language.
    """
    verdicts = decide_frame(frame, rules)
    is_empty = frame["payload"] == 0
    if not is_empty.any():
        return verdicts
    of_cleaning = [name for name in rules if name not in MEASURES or MEASURES[name].kind != "text"]
    order = dict.fromkeys([*of_cleaning, *(["chars"] if "chars" in rules else []), *rules])
    of_empty = decide_frame(frame, {name: rules[name] for name in order})
    return pl.select(pl.when(is_empty).then(of_empty[name]).otherwise(verdicts[name]).alias(name) for name in verdicts.columns)


@resumable(lambda manifest, part, index, folder: verdicts_file(folder, index).with_suffix(".json"))
def decide(manifest: Manifest, part: Part, index: int, folder: Path) -> Counts:
    """Decide about one measured partition; return counts by rule."""
    out = verdicts_file(folder, index)
    began = time.perf_counter()
    rules = manifest.document_rules
    bands = fitted_rules(rules)
    groups = {bound.by for bound in bands.values()} - {"corpus"}
    columns = ["unreadable", "amount", "payload", *sorted(groups), *map(measured_column, rules)]
    frame = read_parquet(part.table, columns=columns).with_columns(cs.boolean().cast(pl.Int8))  # false 0, true 1
    if bands:
        frame = with_bands(frame, bands, read_parquet(bands_file(folder)))
    verdicts = decide_records(frame, rules)
    with write_atomically(out) as temporary:
        verdicts.write_parquet(temporary, compression="zstd", compression_level=1)
    sized = verdicts.with_columns(frame["amount"], frame["payload"])
    by_rule = sized.filter(verdict="dropped").group_by("rule").agg(pl.len(), pl.sum("amount")).sort("rule")
    kept = sized.filter(verdict="kept")
    return {
        "kept": kept.height,
        "amount": int(kept["amount"].sum()),
        "payload": int(kept["payload"].sum()),
        "rules": {rule: [records, int(amount)] for rule, records, amount in by_rule.iter_rows()},
        "seconds": round(time.perf_counter() - began, 3),
    }


def decide_several(manifest: Manifest, parts: Sequence[Part], first: int, folder: Path) -> list[Counts]:
    """Decide about consecutive partitions, `first` being the index of the first."""
    return [decide(manifest, part, index, folder) for index, part in enumerate(parts, first)]


# -- on the driver


class Decided(NamedTuple):
    """What the step did: counts by partition, what the build has to say, seconds."""

    parts: list[dict[str, Any]]
    warnings: list[str]
    seconds: float

    @property
    def kept(self) -> int:
        return sum(part["kept"] for part in self.parts)


def run(plan: Plan, engine: Engine, measured: Measured) -> Decided:
    """Fit what has to be fitted, and decide about every part."""
    parts, folder = measured.parts, plan.workspace.folder("decide")
    progress = engine.step("decide", total=max(len(parts), 1))
    warnings: list[str] = []
    if fitted_rules(plan.manifest.rules):
        folder.mkdir(parents=True, exist_ok=True)
        for _, counts in engine.run("fitting", [(fit, (plan.manifest, parts, folder))]):
            warnings += [
                f"rules.{name}: no band was fitted, since fewer than {LEAST} records have a value above zero; it judges nothing"
                for name in counts["without"]
            ]
    # A decision takes milliseconds, as does a task: several to a task, and several tasks to a worker.
    size = max(1, min(MOST_IN_TASK, len(parts) // (4 * engine.worker_count)))
    firsts = range(0, len(parts), size)
    tasks: list[Task] = [(decide_several, (plan.manifest, parts[at : at + size], at, folder)) for at in firsts]
    decisions: list[Any] = [None] * len(parts)
    for number, counts in engine.run("deciding", tasks):
        decisions[firsts[number] : firsts[number] + size] = counts
    progress.records = sum(counts["records"] for counts in measured.counts)
    return Decided(decisions, warnings, progress.finish())
