"""The answer of what-if: what the rules let pass and what the corpus keeps, as it was built and under other rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from pipeline.core.errors import UsageError
from pipeline.corpus.built import BuiltCorpus
from pipeline.manifest.model import Manifest, is_of_corpus
from pipeline.whatif.changes import Changes, count, find_changes
from pipeline.whatif.replay import NotReplayedError, find_stored
from pipeline.whatif.replay import replay as replay_steps

_WAS_KEPT, _NOW_KEPT = pl.col("verdict") == "kept", pl.col("now_verdict") == "kept"


class Total(NamedTuple):
    """Records and their amount, in characters or milliseconds."""

    records: int
    amount: int


class Movement(NamedTuple):
    """How many records there were and would be, and how many of them come and go."""

    before: Total
    after: Total
    gained: Total
    lost: Total


@dataclass(frozen=True)
class Answer:
    """What other rules would do to a corpus.

    `passing`: records that the rules let pass, before deduplication; `kept`: those in the shards. `is_exact`: whether `kept` is what a
    build would keep; `reason`: else why not. `is_replayed`: whether duplicates were found anew. `rules`: by rule of the step decide,
    the records that it drops as built and now. `lost`, `gained`: what the corpus loses by the rule that drops it now, and gains by the
    rule that dropped it, the most first; `sources` both by source.
    """

    changes: Changes
    passing: Movement
    kept: Movement
    is_exact: bool
    is_replayed: bool
    reason: str | None
    rules: dict[str, tuple[int, int]]
    lost: dict[str, Total]
    gained: dict[str, Total]
    sources: dict[str, tuple[Total, Total]]


def answer(corpus: BuiltCorpus, manifest: Manifest, examples: int, wants_replay: bool | None) -> Answer:
    """Judge a corpus by the rules of a manifest. `wants_replay`: whether duplicates are to be found anew, None: where that is quick.

    Raises UsageError where it is asked for and the build has not left what it takes.
    """
    changes = find_changes(corpus, manifest, examples)
    is_same_input = not len(changes.cells.filter(pl.col("passes") != pl.col("now_passes")))
    is_settled = is_same_input and _late_rules(manifest) == _late_rules(corpus.manifest)
    reason, removed = None, None
    if not is_settled and manifest.deduplicate.enabled:  # else what later steps do depends on nothing that has changed
        try:
            replayed = replay_steps(manifest, find_stored(corpus, wants_replay))
            changes, removed = find_changes(corpus, manifest, examples, replayed.outcomes), replayed.removed
        except NotReplayedError as error:
            if wants_replay:
                raise UsageError(
                    f"--replay: {error}. Build the corpus again in a fresh folder, or leave --replay out"
                ) from None
            reason = str(error)
    cells = changes.cells
    return Answer(
        changes,
        _move(cells, pl.col("passes"), pl.col("now_passes")),
        _move_kept(corpus, cells, removed),
        reason is None,
        removed is not None,
        reason,
        _count_rules(cells),
        _by(cells.filter(_WAS_KEPT & ~_NOW_KEPT), "now_rule"),
        _by(cells.filter(~_WAS_KEPT & _NOW_KEPT), "rule"),
        _by_source(cells),
    )


def _late_rules(manifest: Manifest) -> list[object]:
    """Return the rules on what is left of a document, which the step strip applies."""
    return [(name, bound) for name, bound in manifest.rules.items() if is_of_corpus(name) or name == "chars"]


def _total(cells: pl.DataFrame, where: pl.Expr) -> Total:
    return Total(*count(cells, where))


def _move(cells: pl.DataFrame, was: pl.Expr, now: pl.Expr) -> Movement:
    return Movement(*(_total(cells, where) for where in (was, now, ~was & now, was & ~now)))


def _move_kept(corpus: BuiltCorpus, cells: pl.DataFrame, removed: int | None) -> Movement:
    """Return how what is kept moves: amounts are of what is left when lines that recur are removed, as far as that is known."""
    moved = _move(cells, _WAS_KEPT, _NOW_KEPT)
    records, _, amount = corpus.state["verdicts"].get("kept", [0, 0, 0])
    if corpus.amount is None:
        amount = 0
    stripped = moved.before.amount - amount if removed is None else removed
    return moved._replace(before=Total(records, amount), after=Total(moved.after.records, moved.after.amount - stripped))


def _count_rules(cells: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Return how many records each rule of the step decide drops, as built and now."""
    before = _by(cells.filter(pl.col("step") == "decide"), "rule")
    after = _by(cells.filter(pl.col("now_rule_broken").is_not_null()), "now_rule_broken")
    nothing = Total(0, 0)
    rules = sorted({*before, *after}, key=lambda rule: (-after.get(rule, nothing).records, rule))
    return {rule: (before.get(rule, nothing).records, after.get(rule, nothing).records) for rule in rules}


def _by(cells: pl.DataFrame, column: str) -> dict[str, Total]:
    sums = cells.group_by(column).agg(pl.sum("records", "amount")).sort("records", column, descending=[True, False])
    return {name: Total(records, amount) for name, records, amount in sums.iter_rows()}


def _by_source(cells: pl.DataFrame) -> dict[str, tuple[Total, Total]]:
    """Return what each source loses and gains, those that change most first."""
    lost, gained = _by(cells.filter(_WAS_KEPT & ~_NOW_KEPT), "source"), _by(cells.filter(~_WAS_KEPT & _NOW_KEPT), "source")
    nothing = Total(0, 0)
    both = {name: (lost.get(name, nothing), gained.get(name, nothing)) for name in {**lost, **gained}}
    return dict(sorted(both.items(), key=lambda item: (-item[1][0].records - item[1][1].records, item[0])))
