"""What becomes of every record of a corpus under other rules: the step decide, on the measures in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.measured import cut_ledger, fit_bands, measured_amount, measured_columns, read_ledger_rows, spread
from pipeline.corpus.records import read_record
from pipeline.manifest.model import Bound, Manifest
from pipeline.steps.decide import decide_records, find_broken_rule, order_for_empty
from pipeline.steps.fit import with_bands
from pipeline.workspace import REASON

OUTCOME = ("verdict", "step", "rule")
LATER_STEPS = ("deduplicate", "strip")  # which a record only reaches if it passes the rules
Side = Literal["lost", "gained"]
_THREADS = 2  # each with a stretch of the ledger in memory
_NOW = {name: f"now_{name}" for name in OUTCOME}


@dataclass(frozen=True)
class Example:
    """A record that changes sides: `side`, and the reason for which it is dropped, now or as it was built."""

    side: Side
    id: str
    rule: str
    value: float | None
    value_text: str | None
    bound_text: str | None
    excerpt: str | None


@dataclass(frozen=True)
class Changes:
    """Records counted by what became of them, and what would become of them now.

    `cells`: `source`, `verdict` `step` `rule` as built, `passes` (whether the rules as they were built let them pass), `now_passes`,
    `now_rule_broken` (the rule that drops them now), `now_verdict` `now_step` `now_rule`, `records`, `amount` (before lines that recur
    are removed).
    """

    cells: pl.DataFrame
    examples: list[Example]


def find_changes(corpus: BuiltCorpus, manifest: Manifest, examples: int, replayed: pl.DataFrame | None = None) -> Changes:
    """Judge every record by the rules of a manifest.

    `replayed`: what later steps make of each record then, in the ledger's order, with the columns of `OUTCOME`. Without it a record that
    passed the rules before keeps its verdict, and one that did not is kept: whether it is a duplicate is not known. `examples`: how many
    of each side and rule are returned.
    """
    judge = _Judge.of(corpus, manifest)
    head = [*map(pl.col, ("source", *OUTCOME)), measured_amount(corpus).alias("amount")]

    def judge_stretch(stretch: tuple[int, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
        first, length = stretch
        frame = read_ledger_rows(corpus, first, length, [*head, *judge.columns(corpus)])
        rows = frame.select("source", *OUTCOME, "amount", judge.find_broken(corpus, first, frame))
        if replayed is not None:
            rows = rows.with_columns(replayed.slice(first, len(rows)).rename(_NOW))
        keys = [name for name in rows.columns if name != "amount"]
        counts = rows.group_by(keys).agg(pl.len().cast(pl.Int64).alias("records"), pl.sum("amount"))
        changed = _find_changed(rows.head(len(rows) if examples else 0), [*judge.rules], first)
        return _add_outcomes(counts, [*judge.rules]).drop("broken"), _choose_examples(changed, examples)

    # Most of what polars does here takes one core at a time.
    with ThreadPoolExecutor(_THREADS) as threads:
        counted, chosen = zip(*threads.map(judge_stretch, cut_ledger(corpus)), strict=True)
    cells = pl.concat(counted)
    keys = [name for name in cells.columns if name not in ("records", "amount")]
    cells = cells.group_by(keys).agg(pl.sum("records", "amount")).sort(keys)
    return Changes(cells, [*_read_examples(corpus, manifest, _choose_examples(pl.concat(chosen), examples), judge.bands)])


@dataclass(frozen=True)
class _Judge:
    """Finds the first of `rules` that a record breaks, by as few columns as that takes.

    A record that passed the rules as built can only break those of `tried`, which are new or have another bound. One that `settled` rules
    dropped, which are as they were, breaks the same still, or one of `tried` before. Others are judged by all.
    """

    rules: dict[str, Bound]
    tried: dict[str, Bound]
    settled: list[str]
    bands: pl.DataFrame | None

    @classmethod
    def of(cls, corpus: BuiltCorpus, manifest: Manifest) -> _Judge:
        before, rules = corpus.manifest.document_rules, manifest.document_rules
        settled = [name for name in before if before[name] == rules.get(name)]
        if settled != [name for name in rules if name in settled] or 2 * len(settled) < len(rules):
            settled = []
        tried = {name: bound for name, bound in rules.items() if name not in settled}
        return cls(rules, tried, settled, fit_bands(corpus, rules))

    def columns(self, corpus: BuiltCorpus) -> list[pl.Expr]:
        return measured_columns(corpus, self.tried)

    def find_broken(self, corpus: BuiltCorpus, first: int, frame: pl.DataFrame) -> pl.Series:
        """Return as `broken` the number of the rule that each record breaks first, null where it breaks none or is unreadable.

        `frame` has `step`, `rule` and the `columns` of records from number `first` on.
        """
        if self.bands is not None:
            frame = with_bands(frame, self.tried, self.bands)
        broken, is_open = self._settle(frame, self.rules)
        empty = (
            frame.select((pl.col("unreadable").is_null() & (pl.col("payload") == 0)).fill_null(False)).to_series().arg_true()
        )
        if len(empty):
            order = order_for_empty(self.rules)
            of_empty, is_open_empty = self._settle(frame[empty], order)
            broken = broken.scatter(empty, _renumber(of_empty, order, self.rules))
            is_open = is_open.scatter(empty, is_open_empty)
        rows = is_open.arg_true()
        if not len(rows):
            return broken.alias("broken")
        every = read_ledger_rows(corpus, first, len(frame), measured_columns(corpus, self.rules))[rows]
        if self.bands is not None:
            every = with_bands(every, self.rules, self.bands)
        names = decide_records(every, self.rules)["rule"]
        return broken.scatter(rows, names.replace_strict([*self.rules], [*range(len(self.rules))], default=None)).alias(
            "broken"
        )

    def _settle(self, frame: pl.DataFrame, order: dict[str, Bound]) -> tuple[pl.Series, pl.Series]:
        """Return the number in `order` of the rule that each record breaks first, and whether that is open: then all rules are asked."""
        tried = {name: bound for name, bound in order.items() if name in self.tried}
        found = frame.select(pl.when(pl.col("unreadable").is_null()).then(find_broken_rule(tried))).to_series()
        found = _renumber(found, tried, order)
        if not self.settled:
            return found, pl.repeat(False, len(found), eager=True)
        names = [*order]
        was_dropped = (frame["step"] == "decide").fill_null(False)
        before = frame["rule"].replace_strict(names, [*range(len(names))], default=None, return_dtype=pl.UInt16)
        is_settled = frame["rule"].is_in(self.settled)
        both = pl.select(pl.when(was_dropped & is_settled).then(pl.min_horizontal(found, before)).otherwise(found)).to_series()
        # What it broke before it breaks still, or one of `tried` that comes earlier: none of the others does.
        still = (found <= before).fill_null(False)
        return both, was_dropped & ~is_settled & ~still


def _renumber(numbers: pl.Series, order: dict[str, Bound], other: dict[str, Bound]) -> pl.Series:
    """Return numbers of rules in one order as those of the same rules in another."""
    places = [*other]
    table = pl.Series([places.index(name) for name in order], dtype=pl.UInt16)
    return table.gather(numbers.cast(pl.UInt32)) if order else pl.repeat(None, len(numbers), dtype=pl.UInt16, eager=True)


def _add_outcomes(frame: pl.DataFrame, rules: list[str]) -> pl.DataFrame:
    """Return the frame with whether records pass the rules, then and now, and what becomes of them now, unless it says so already."""
    names = pl.Series(rules, dtype=pl.String)
    broken = frame["broken"]
    frame = frame.with_columns(
        passes=pl.col("step").is_null() | pl.col("step").is_in(LATER_STEPS),
        now_passes=broken.is_null() & (frame["verdict"] != "unreadable"),
        now_rule_broken=names.gather(broken.cast(pl.UInt32)) if rules else pl.lit(None, pl.String),
    )
    if _NOW["verdict"] in frame.columns:
        return frame
    as_built = pl.col("passes") == pl.col("now_passes")
    dropped = ~pl.col("now_passes")
    unreadable = pl.col("verdict") == "unreadable"
    nothing = pl.lit(None, pl.String)
    now = {
        "verdict": (pl.lit("dropped"), pl.lit("kept")),
        "step": (pl.lit("decide"), nothing),
        "rule": (pl.col("now_rule_broken"), nothing),
    }
    return frame.with_columns(
        pl.when(unreadable | (as_built & ~dropped)).then(name).when(dropped).then(on_drop).otherwise(on_pass).alias(_NOW[name])
        for name, (on_drop, on_pass) in now.items()
    )


def _find_changed(rows: pl.DataFrame, rules: list[str], first: int) -> pl.DataFrame:
    """Return `side`, `rule` and `number` of the records that change sides, and the `order` in which they are examples.

    `first`: the number of the first of the rows.
    """
    was = pl.col("verdict") == "kept"
    if _NOW["verdict"] in rows.columns:
        now = pl.col(_NOW["verdict"]) == "kept"
    else:
        now = pl.col("broken").is_null() & (was | (pl.col("step") == "decide").fill_null(False))
    changed = _add_outcomes(rows.with_row_index("number").filter(was != now), rules)
    sides = changed.select(
        pl.when(was).then(pl.lit("lost")).otherwise(pl.lit("gained")).alias("side"),
        pl.when(was).then("now_rule").otherwise("rule").alias("rule"),
        pl.col("number").cast(pl.Int64) + first,
    )
    return sides.with_columns(order=spread(sides["number"].to_numpy()))


def _choose_examples(changed: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return at most `most` of the records that change sides for each side and rule, from all over the corpus."""
    return changed.sort("order").group_by("side", "rule", maintain_order=True).head(most).select(changed.columns)


def _read_examples(
    corpus: BuiltCorpus, manifest: Manifest, chosen: pl.DataFrame, bands: pl.DataFrame | None
) -> Iterator[Example]:
    """Yield the examples in input order, with ids, beginnings, and the value that decides."""
    rules = manifest.document_rules
    for side, rule, number in chosen.sort("side", "rule", "number").select("side", "rule", "number").iter_rows():
        record = read_record(corpus, number)
        reason: dict[str, Any] = {name: record.row[name] for name in REASON}
        if side == "lost":
            frame = corpus.scan_ledger().slice(number, 1).select(measured_columns(corpus, rules)).collect()
            frame = with_bands(frame, rules, bands) if bands is not None else frame
            judged = decide_records(frame, rules).row(0, named=True)
            reason = judged if judged["rule"] == rule else dict.fromkeys(REASON)
        yield Example(side, record.id, rule, reason["value"], reason["value_text"], reason["bound_text"], record.row["excerpt"])


def count(cells: pl.DataFrame, where: pl.Expr) -> list[int]:
    """Return how many records there are in some cells, and their amount."""
    records, amount = cells.filter(where).select(pl.sum("records"), pl.sum("amount")).row(0)
    return [int(records), int(amount)]
