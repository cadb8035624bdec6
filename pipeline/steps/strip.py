"""Step 4, strip: lines of menus, headers and footers that recur over the records that are left. Never reads content.

Where such lines stand is written down; the step write leaves them out. A record that is nearly nothing else, or of which too little is
left, is dropped after all: a late verdict, by the manifest's rule on `recurring_line_share` or on `chars`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from filters import MEASURES
from pipeline.core.engine import Engine, Task
from pipeline.core.storage import write_atomically
from pipeline.core.tables import read_parquet
from pipeline.core.tasks import Counts, discard_damaged, resumable
from pipeline.dedup import recurring
from pipeline.dedup.recurring import Search
from pipeline.manifest.model import Bound
from pipeline.modalities import modality_of
from pipeline.plan import Plan
from pipeline.steps.decide import decide_frame
from pipeline.workspace import REASON, Layout

JUDGED = ("recurring_line_share", "chars")  # measures that are known of a record without its furniture

# -- on a worker


def read_furniture(folder: Path, index: int) -> pl.DataFrame:
    """Return what `judge` says of the records of a partition that have furniture."""
    return read_parquet(furniture_file(folder, index))


def furniture_file(folder: Path, index: int) -> Path:
    """Return the Parquet file, in the folder of the step, of the records of a partition that have furniture."""
    return folder / f"furniture-{index:05d}.parquet"


@resumable(lambda search, rules, index: furniture_file(search.folder, index).with_suffix(".json"))
def strip(search: Search, rules: dict[str, Bound], index: int) -> Counts:
    """Write which lines of a partition's records recur, and a verdict where too little is left; return counts."""
    found = search.find_furniture(index)
    frame = judge(found, rules)
    with write_atomically(furniture_file(search.folder, index)) as temporary:
        frame.write_parquet(temporary)
    amounts = read_parquet(search.layout.part(index).table, columns=["amount"])["amount"].gather(frame["row"])
    dropped = frame.with_columns(amounts).filter(pl.col("rule").is_not_null())
    by_rule = dropped.group_by("rule").agg(pl.len(), pl.sum("amount")).sort("rule")
    is_kept = frame["rule"].is_null()
    stripped = frame.filter(is_kept)
    return {
        "records": len(stripped),
        "amount": int((amounts - found["chars_left"]).filter(is_kept).sum()),
        "lines": int(stripped["recurring_lines"].sum()),
        "chars": int(stripped["recurring_chars"].sum()),
        "rules": {rule: [records, int(amount)] for rule, records, amount in by_rule.iter_rows()},
    }


def judge(found: pl.DataFrame, rules: dict[str, Bound]) -> pl.DataFrame:
    """Return what the ledger says of records with furniture, with the columns of `REASON` where `rules` drop what is left of them.

    `found` as `Search.find_furniture` returns it.
    """
    counters = found.with_columns(
        pl.lit(None, pl.String).alias("unreadable"),
        pl.col("chars").alias("n_recurring_chars"),
        pl.col("line_chars").alias("n_line_chars"),
        pl.col("chars_left").alias("m:chars"),
    )
    share = MEASURES["recurring_line_share"].expression
    counters = counters.with_columns(share.cast(pl.Float32).alias("m:recurring_line_share"))
    verdicts = decide_frame(counters, {name: rules[name] for name in JUDGED if name in rules})
    return counters.select(
        "row",
        *verdicts.select(*REASON),
        pl.lit("strip").alias("step"),
        pl.col("lines").alias("recurring_lines"),
        pl.col("chars").alias("recurring_chars"),
        pl.col("m:recurring_line_share").alias("recurring_line_share"),
        pl.col("spans").alias("recurring_spans"),
    )


# -- on the driver

_COUNTS = ("records", "amount", "lines", "chars")


class Stripped(NamedTuple):
    """What the step did: counts over the corpus, seconds.

    `records` have furniture, `lines` and `chars` are removed from them, which makes them `amount` smaller; `rules` dropped others.
    """

    counts: dict[str, Any]
    seconds: float | None


def search_of(plan: Plan, layout: Layout) -> Search | None:
    """Return the search for lines that recur in the records of a build, None where none are removed."""
    return modality_of(plan.manifest).line_search(plan.manifest, layout, plan.workspace.folder("strip"))


def run(plan: Plan, engine: Engine, layout: Layout) -> Stripped:
    """Find lines that recur, unless an earlier run did."""
    search = search_of(plan, layout)
    if search is None:
        return Stripped(dict.fromkeys(_COUNTS, 0) | {"rules": {}}, None)
    discard_damaged(engine, search.folder)
    search.folder.mkdir(parents=True, exist_ok=True)
    progress = engine.step("strip", total=1)
    for tasks in recurring.rounds(search):
        for _ in engine.run("counting lines", tasks):
            pass
    strips: list[Task] = [(strip, (search, plan.manifest.rules, index)) for index in range(layout.partitions)]
    totals: dict[str, Any] = dict.fromkeys(_COUNTS, 0) | {"rules": {}}
    for _, counts in engine.run("finding furniture", strips):
        for name in _COUNTS:
            totals[name] += counts[name]
        for rule, values in counts["rules"].items():
            totals["rules"][rule] = [a + b for a, b in zip(totals["rules"].get(rule, [0, 0]), values, strict=True)]
    progress.records = layout.kept
    return Stripped(totals, progress.finish())
