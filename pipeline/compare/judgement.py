"""What two sets of rules say of every record of a corpus, counted by what they agree on and by rule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import polars.selectors as cs

from pipeline.core.tables import read_checked_parquet
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.measured import spread
from pipeline.manifest.model import Bound, is_of_corpus
from pipeline.steps.decide import decide_frame, measured_column
from pipeline.workspace import REASON

SIDES = ("a", "b")


class Count(NamedTuple):
    """Records, and what they add up to in the amount of the corpus."""

    records: int = 0
    amount: float = 0

    def __add__(self, other: object) -> Count:
        assert isinstance(other, Count)
        return Count(self.records + other.records, self.amount + other.amount)


@dataclass(frozen=True)
class Example:
    """A record that one side drops and the other keeps."""

    id: str
    value: float | None
    value_text: str | None
    bound: float | None
    bound_text: str
    excerpt: str | None


@dataclass
class Difference:
    """What a rule of one side drops and the other side keeps."""

    rule: str
    count: Count
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """Counts of the records that could be read. `dropped_by_a`: by rule of A, what only B keeps, the most first; `dropped_by_b`
    likewise."""

    both: Count
    only_a: Count
    only_b: Count
    neither: Count
    unreadable: int
    dropped_by_a: list[Difference]
    dropped_by_b: list[Difference]

    @property
    def records(self) -> int:
        return sum(count.records for count in (self.both, self.only_a, self.only_b, self.neither))


def compare(corpus: BuiltCorpus, a: dict[str, Bound], b: dict[str, Bound], examples: int) -> Comparison:
    """Judge the ledger's records by two sets of rules, a file at a time. `examples`: how many of each rule are returned."""
    cells: dict[tuple[bool, bool], Count] = defaultdict(Count)
    by_rule: dict[str, dict[str, Count]] = {side: defaultdict(Count) for side in SIDES}
    chosen = pl.DataFrame(schema=_CHOSEN)
    unreadable = first = 0
    for number, file in enumerate(corpus.ledger_files):
        judged = _judge(corpus, file, a, b).with_row_index("row")
        unreadable += int(judged["unreadable"].sum())
        readable = judged.filter(~pl.col("unreadable"))
        sums = readable.group_by("rule_a", "rule_b").agg(pl.len(), pl.sum("amount"))
        for rule_a, rule_b, records, amount in sums.iter_rows():
            count = Count(records, amount)
            cells[rule_a is None, rule_b is None] += count
            if (rule_a is None) != (rule_b is None):
                side, rule = ("b", rule_b) if rule_a is None else ("a", rule_a)
                by_rule[side][rule] += count
        if examples:
            chosen = _choose_examples(chosen, readable, number, first, examples)
        first += len(judged)
    found = _read_examples(corpus, chosen)
    drops = {
        side: sorted(
            (Difference(rule, count, found.get((side, rule), [])) for rule, count in counts.items()),
            key=lambda difference: (-difference.count.records, difference.rule),
        )
        for side, counts in by_rule.items()
    }
    return Comparison(
        cells[True, True], cells[True, False], cells[False, True], cells[False, False], unreadable, drops["a"], drops["b"]
    )


_CHOSEN = pl.Schema(
    [("file", pl.Int64()), ("row", pl.UInt32()), ("side", pl.String()), *REASON.items(), ("order", pl.UInt64())]
)


def _judge(corpus: BuiltCorpus, file: Path, a: dict[str, Bound], b: dict[str, Bound]) -> pl.DataFrame:
    """Return, for the records of a ledger file, the rule of each side that drops it with value and bound, `amount` and `unreadable`."""
    judged = list(dict.fromkeys([*a, *b]))
    amount = corpus.amount[0] if corpus.amount else None
    columns = [name for name in judged if name in corpus.ledger_schema]
    frame = read_checked_parquet(file, columns=list(dict.fromkeys(["verdict", *columns, *([amount] if amount else [])])))
    # Of a record without furniture the ledger says nothing about it.
    of_corpus = filter(is_of_corpus, judged)
    frame = frame.with_columns(
        (pl.col(name) if name in columns else pl.lit(None)).fill_null(0.0).alias(name) for name in of_corpus
    )
    rules = frame.select(
        *(pl.col(name).alias(measured_column(name)) for name in judged),
        pl.when(pl.col("verdict") == "unreadable").then(pl.lit("unreadable")).alias("unreadable"),
    ).with_columns(cs.boolean().cast(pl.Int8))
    verdicts = [
        decide_frame(rules, side).drop("verdict").select(pl.all().name.suffix(f"_{name}"))
        for name, side in zip(SIDES, (a, b), strict=True)
    ]
    shown = frame.select(
        amount=pl.col(amount).cast(pl.Float64).fill_null(0) if amount else pl.lit(0.0),
        unreadable=pl.col("verdict") == "unreadable",
    )
    return pl.concat([shown, *verdicts], how="horizontal")


def _choose_examples(chosen: pl.DataFrame, readable: pl.DataFrame, file: int, first: int, most: int) -> pl.DataFrame:
    """Return the examples of files so far, at most `most` for each side and rule; `first` is the number of the file's first record."""
    order = spread(readable["row"].to_numpy().astype(np.uint64) + np.uint64(first))
    readable = readable.with_columns(order=order, file=pl.lit(file, pl.Int64))
    found = [
        readable.filter(pl.col(f"rule_{side}").is_not_null() & pl.col(f"rule_{other}").is_null()).select(
            "file",
            "row",
            pl.lit(side).alias("side"),
            *(pl.col(f"{name}_{side}").alias(name) for name in REASON),
            "order",
        )
        for side, other in (("a", "b"), ("b", "a"))
    ]
    every = pl.concat([chosen, *found]).sort("order")
    return every.group_by("side", "rule", maintain_order=True).head(most).select(_CHOSEN.names())


def _read_examples(corpus: BuiltCorpus, chosen: pl.DataFrame) -> dict[tuple[str, str], list[Example]]:
    """Return the examples by side and rule, in input order, with ids and beginnings from the ledger."""
    found: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for (number,), rows in chosen.sort("file", "row").group_by("file", maintain_order=True):
        assert isinstance(number, int)
        texts = read_checked_parquet(corpus.ledger_files[number], columns=["id", "excerpt"])[rows["row"].to_list()]
        for row, (record, excerpt) in zip(rows.iter_rows(named=True), texts.iter_rows(), strict=True):
            reason = {name: row[name] for name in REASON if name != "rule"}
            found[row["side"], row["rule"]].append(Example(id=record, excerpt=excerpt, **reason))
    return found
