"""Random changes of the rules that a corpus was built by."""

from __future__ import annotations

import json
import random
from typing import Any

import polars as pl

from filters import MEASURES
from pipeline.corpus.built import BuiltCorpus
from pipeline.manifest.model import is_of_corpus


def draw_changes(corpus: BuiltCorpus, seed: int) -> list[str]:
    """Draw one to three changes, as `--set` takes them: bounds on either side moved to a value that records have, rules left out, rules on
    measures that had none, and words.
    """
    draw = random.Random(seed)
    ledger = corpus.scan_ledger().collect()
    measured = [name for name in MEASURES if name in ledger.columns and ledger[name].drop_nulls().len()]
    kinds = [_move, _move, _leave_out, _add, _choose_words]
    changes: dict[str, Any] = {}
    for _ in range(draw.randint(1, 3)):
        changes |= draw.choice(kinds)(draw, corpus, ledger, measured)
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changes.items()]


def _value(draw: random.Random, ledger: pl.DataFrame, name: str) -> float:
    return round(float(draw.choice(ledger[name].drop_nulls().cast(pl.Float64).drop_nans().to_list())), 6)


def _move(draw: random.Random, corpus: BuiltCorpus, ledger: pl.DataFrame, measured: list[str]) -> dict[str, Any]:
    """Tighten or loosen one side of a bound; where it has two, the other goes out of the way."""
    sides = {"at_least", "at_most"}
    numeric = [
        (name, side)
        for name, bound in corpus.manifest.rules.items()
        for side in sorted(sides & {*bound.model_dump(exclude_none=True)})
        if name in ledger.columns and ledger[name].drop_nulls().len() and ledger[name].dtype.is_numeric()
    ]
    name, side = draw.choice(numeric)
    bound, value = corpus.manifest.rules[name], _value(draw, ledger, name)
    moved = {f"rules.{name}.{side}": value}
    if side == "at_least" and bound.at_most is not None:
        moved[f"rules.{name}.at_most"] = max(value, bound.at_most)
    if side == "at_most" and bound.at_least is not None:
        moved[f"rules.{name}.at_least"] = min(value, bound.at_least)
    return moved


def _leave_out(draw: random.Random, corpus: BuiltCorpus, ledger: pl.DataFrame, measured: list[str]) -> dict[str, Any]:
    rules = [*corpus.manifest.rules]
    return {"rules.skip": draw.sample(rules, min(len(rules), draw.randint(1, 4)))}


def _add(draw: random.Random, corpus: BuiltCorpus, ledger: pl.DataFrame, measured: list[str]) -> dict[str, Any]:
    free = [
        name
        for name in measured
        if name not in corpus.manifest.rules and ledger[name].dtype.is_numeric() and not is_of_corpus(name)
    ]
    name = draw.choice(free)
    return {
        f"rules.{name}.{draw.choice(['at_least', 'at_most'])}": _value(draw, ledger, name),
        f"rules.{name}.missing": draw.choice(["drop", "keep"]),
    }


def _choose_words(draw: random.Random, corpus: BuiltCorpus, ledger: pl.DataFrame, measured: list[str]) -> dict[str, Any]:
    worded = [name for name in measured if MEASURES[name].words and name not in ("phash",)]
    name = draw.choice(worded)
    words = sorted(ledger[name].drop_nulls().unique())
    bound = corpus.manifest.rules.get(name)
    side = "any_of" if bound is None or bound.any_of is not None else "none_of"
    return {f"rules.{name}.{side}": draw.sample(words, draw.randint(1, len(words)))}
