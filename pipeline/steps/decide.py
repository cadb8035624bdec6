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
from pipeline.core.numbers import show_number
from pipeline.core.storage import write_atomically
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.manifest.model import LARGEST_EXACT, Bound, Manifest
from pipeline.plan import Plan
from pipeline.steps.fit import LEAST, bands_file, fit, fitted_rules, with_bands
from pipeline.steps.measure import Measured
from pipeline.workspace import REASON, Part, verdicts_file

MOST_IN_TASK = 64  # partitions
_MISSING = "missing"  # what the ledger says of a value that is none

# -- on a worker


def measured_column(rule: str) -> str:
    """Return the column of the measured table that a rule judges: a measure's, or one of `source.keep`."""
    return f"m:{rule}" if rule in MEASURES else f"keep:{rule}"


class BrokenBound(NamedTuple):
    """Expressions over measured records: whether each breaks a rule, and the limit that it breaks, as a number (or null) and in words."""

    is_broken: pl.Expr
    limit: pl.Expr
    text: pl.Expr


def broken_bound(name: str, bound: Bound) -> BrokenBound:
    """Return how one rule judges records.

    A missing value (NaN, null) breaks a rule, unless `bound.missing` is "keep".
    """
    value = pl.col(measured_column(name))
    # NaN is above every bound to polars. Of words it is one, as "nan" is.
    is_of_words = bound.any_of is not None or bound.none_of is not None
    missing = pl.lit(False) if is_of_words else value.cast(pl.Float64, strict=False).is_nan()
    checks: list[BrokenBound] = []
    for sign, limit in ((">=", bound.at_least), ("<=", bound.at_most)):
        if limit is not None:
            # Whole numbers are compared as such: as floats, those of more than 53 bits would be rounded.
            exact = int(limit) if abs(limit) <= LARGEST_EXACT and limit.is_integer() else limit
            fits = value >= exact if sign == ">=" else value <= exact
            checks.append(BrokenBound(~fits | missing, pl.lit(limit, pl.Float64), pl.lit(f"{sign} {show_number(limit)}")))
    if bound.iqr is not None:
        low, high = pl.col(f"low:{name}"), pl.col(f"high:{name}")
        # Without a single value to fit to there is no band.
        for sign, side, is_beyond in ((">=", low, value < low), ("<=", high, value > high)):
            # What is zero or less has no logarithm, and had no part in the band.
            check = (is_beyond & (value > 0)).fill_null(value.is_null() & low.is_not_null()) | missing
            checks.append(BrokenBound(check, side.cast(pl.Float64), _describe_fitted(sign, side)))
    no_number = pl.lit(None, pl.Float64)
    if bound.any_of is not None:
        checks.append(BrokenBound(~value.is_in(bound.any_of), no_number, pl.lit(f"one of {', '.join(bound.any_of)}")))
    if bound.none_of is not None:
        checks.append(BrokenBound(value.is_in(bound.none_of), no_number, pl.lit(f"none of {', '.join(bound.none_of)}")))
    is_kept = missing.fill_null(False) | value.is_null() if bound.missing == "keep" else pl.lit(False)
    checks = [check._replace(is_broken=check.is_broken.fill_null(True) & ~is_kept) for check in checks]
    return BrokenBound(
        pl.any_horizontal(check.is_broken for check in checks),
        pl.coalesce(pl.when(check.is_broken).then(check.limit) for check in checks),
        pl.coalesce(pl.when(check.is_broken).then(check.text) for check in checks),
    )


def _describe_fitted(sign: str, limit: pl.Expr) -> pl.Expr:
    """Return fitted bounds in words, in digits as `show_fitted` has them: four, or one behind the point from 1,000 on."""
    return pl.format(f"{sign} {{}}", pl.when(limit.abs() >= 1000).then(limit.round(1)).otherwise(limit.round_sig_figs(4)))


def find_broken_rule(rules: dict[str, Bound]) -> pl.Expr:
    """Return an expression for which of the rules a record breaks first: its number in their order, null where it breaks none."""
    numbered = enumerate(rules.items())
    return pl.coalesce(
        pl.lit(None, pl.UInt16),
        *(pl.when(broken_bound(*rule).is_broken).then(pl.lit(number, pl.UInt16)) for number, rule in numbered),
    )


def order_for_empty(rules: dict[str, Bound]) -> dict[str, Bound]:
    """Return rules in the order in which they judge a record of which nothing is left: first what emptied it."""
    of_cleaning = [name for name in rules if name not in MEASURES or MEASURES[name].kind != "text"]
    order = dict.fromkeys([*of_cleaning, *(["chars"] if "chars" in rules else []), *rules])
    return {name: rules[name] for name in order}


def decide_frame(frame: pl.DataFrame, rules: dict[str, Bound]) -> pl.DataFrame:
    """Return `verdict` and the columns of `REASON` of measured records (columns `m:<measure>` and `unreadable`).

    Rules are tried in the manifest's order and the first that is broken is named. An unreadable record breaks none. `value` is the
    measure's, not rounded; where it has none, `value_text` is `missing`.

    >>> frame = pl.DataFrame({"m:chars": [12, 120], "m:url_share": [0.9, 0.1], "unreadable": [None, None]})
    >>> decide_frame(frame, {"chars": Bound(at_least=50), "url_share": Bound(at_most=0.4)}).rows()
    [('dropped', 'chars', 12.0, None, 50.0, '>= 50'), ('kept', None, None, None, None, None)]
    """
    return _name_reasons(frame, rules, _find_broken_rules(frame, rules))


def decide_records(frame: pl.DataFrame, rules: dict[str, Bound]) -> pl.DataFrame:
    """Return what `decide_frame` does, where a record of which nothing is left (`payload` 0) is dropped for what emptied it.

    That is what cleaning found out, as `boilerplate_share`, else `chars`. Nothing is of no language.
    """
    numbers = _find_broken_rules(frame, rules)
    empty = (frame["payload"] == 0).fill_null(False).arg_true()
    if len(empty):
        order, names = order_for_empty(rules), [*rules]
        renumbered = pl.Series([names.index(name) for name in order], dtype=numbers.dtype)
        numbers = numbers.scatter(empty, renumbered.gather(_find_broken_rules(frame[empty], order)))
    return _name_reasons(frame, rules, numbers)


def _find_broken_rules(frame: pl.DataFrame, rules: dict[str, Bound]) -> pl.Series:
    """Return the number of the rule that each record breaks first: null where it breaks none, or was unreadable."""
    return frame.select(pl.when(pl.col("unreadable").is_null()).then(find_broken_rule(rules))).to_series()


def _name_reasons(frame: pl.DataFrame, rules: dict[str, Bound], numbers: pl.Series) -> pl.DataFrame:
    """Return the verdicts on records and their reasons. `numbers`: which rule each is dropped for, null for none."""
    without = numbers.is_null().arg_true()
    verdict = pl.when(pl.col("unreadable").is_null()).then(pl.lit("kept")).otherwise(pl.lit("unreadable"))
    nothing = (pl.lit(None, kind).alias(name) for name, kind in REASON.items())
    groups = [frame[without].select(verdict.alias("verdict"), *nothing, row=without)]
    names = [*rules]
    for number in numbers.drop_nulls().unique():
        rows, name = (numbers == number).arg_true(), names[number]
        broken, column = broken_bound(name, rules[name]), measured_column(name)
        if frame.schema[column] == pl.String:
            value, word = pl.lit(None, pl.Float64), pl.col(column).fill_null(_MISSING)
        else:
            value = pl.col(column).cast(pl.Float64).fill_nan(None)
            word = pl.when(value.is_null()).then(pl.lit(_MISSING))
        expressions = zip(REASON.items(), (pl.lit(name), value, word, broken.limit, broken.text), strict=True)
        reason = (expression.cast(kind).alias(key) for (key, kind), expression in expressions)
        groups.append(frame[rows].select(pl.lit("dropped").alias("verdict"), *reason, row=rows))
    return pl.concat(groups).sort("row").drop("row")


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
