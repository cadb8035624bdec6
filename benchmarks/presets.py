"""The rules of manifests/presets/ as polars expressions, for benchmarks that apply them without a build."""

from __future__ import annotations

import tomllib
from typing import TypedDict

import polars as pl

from benchmarks.harness import ROOT


class Bound(TypedDict, total=False):
    """What a rule allows; a preset says source and reason, too."""

    at_least: float
    at_most: float
    any_of: list[str]
    missing: str


def read_preset(name: str) -> dict[str, Bound]:
    """The bounds of a preset by measure."""
    rules: dict[str, Bound] = tomllib.loads((ROOT / "manifests" / "presets" / f"{name}.toml").read_text("utf-8"))
    return rules


def within(measure: str, bound: Bound) -> pl.Expr:
    """Whether a value is within the bound; null is where a missing value is kept."""
    value = pl.col(measure)
    if "any_of" in bound:
        inside = value.is_in(bound["any_of"])
    else:
        inside = value.is_between(bound.get("at_least", float("-inf")), bound.get("at_most", float("inf")))
    return inside.fill_null(True) if bound.get("missing") == "keep" else inside
