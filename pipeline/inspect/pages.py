"""What each page shows, gathered from the corpus; templates of the same names lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from filters import MEASURES
from pipeline.core.bounds import translate_bound
from pipeline.core.errors import UsageError
from pipeline.core.language import translate_text
from pipeline.corpus.evidence import has_evidence
from pipeline.inspect.commands import is_judged, suggest_whatif
from pipeline.inspect.opened import OpenedCorpus
from pipeline.inspect.view import PAGE, VERDICTS, Parameters, View, parse_view
from pipeline.manifest.model import Bound
from pipeline.modalities import modality_of
from pipeline.report.facts import REMOVED, describe_rule

Context = dict[str, Any]

# Columns of the ledger that say what became of a record; the others are measures and what its source says of it.
REASONS = (
    "id", "source", "verdict", "step", "rule", "value", "value_text", "bound", "bound_text", "duplicate_of", "similarity", "cluster_id",
    "cluster_size", "excerpt",
)  # fmt: skip
_NEAR = 8  # records on each side of a bound
_SOURCES = 15  # on the first page
_CLUSTERS = 20  # on a page
_MEMBERS = 8  # of a cluster, where several are on a page
_VALUES = 50  # of a rule about words


def describe_overview(opened: OpenedCorpus) -> Context:
    """Return records by verdict, by rule and by source."""
    totals, sources = opened.totals, opened.totals.sources
    return {
        "verdicts": [(name, *totals.verdicts[name]) for name in VERDICTS if name in totals.verdicts],
        "losses": totals.losses,
        "sources": sources.head(_SOURCES).to_dicts(),
        "further_sources": max(0, len(sources) - _SOURCES),
        "columns": list_columns(opened),
    }


def list_sources(opened: OpenedCorpus, page: int) -> Context:
    """Return what every source lost, a page of sources at a time."""
    sources = opened.totals.sources
    return {
        "sources": sources.slice((page - 1) * PAGE, PAGE).to_dicts(),
        "number": page,
        "pages": max(1, -(-len(sources) // PAGE)),
    }


def describe_source(opened: OpenedCorpus, name: str) -> Context:
    """Return what a source lost, and by what. Raises UsageError where no record has it."""
    losses = opened.totals.list_losses(name)
    if not losses:
        raise UsageError(f"no record has the source {name!r}")
    return {"name": name, "losses": losses, "records": sum(loss.records for loss in losses)}


def list_records(opened: OpenedCorpus, parameters: Parameters) -> Context:
    """Return a page of a view, its conditions, and what the form offers."""
    view = parse_view(parameters, opened.schema)
    selection = opened.selector.select(view)
    ranges = list(dict.fromkeys([*view.get_all("with"), *_list_ranges(view)]))
    numeric = [name for name in ranges if opened.schema[name].is_numeric()]
    shown = list(dict.fromkeys([*ranges, *(_list_words(view)), *([view.order.column] if view.order else [])]))
    return {
        "view": view,
        "selection": selection,
        "records": read_rows(opened, selection.page(view.page), shown),
        "shown": [name for name in shown if name not in REASONS or name in ("cluster_size", "similarity")],
        "sliders": [describe_slider(opened, view, name) for name in numeric],
        "code": opened.selector.write_code(view, selection),
        "command": suggest_whatif(opened.built, view),
        "columns": list_columns(opened),
        "words": [name for name, kind in opened.schema.items() if kind == pl.String and name not in REASONS],
        "rules": sorted({loss.rule for loss in opened.totals.losses if loss.rule}),
        "first": (view.page - 1) * PAGE,
    }


def describe_slider(opened: OpenedCorpus, view: View, column: str) -> Context:
    """Return what a slider over a measure needs: its quantiles, the limits that are set, and the bound of its rule."""
    limits = [view.get(f"{side}.{column}") for side in ("min", "max")]
    return {
        "column": column,
        "limits": limits,
        "quantiles": opened.totals.find_quantiles(column),
        "bound": find_bounds(opened, column),
    }


def describe_rule_page(opened: OpenedCorpus, name: str, parameters: Parameters = ()) -> Context:
    """Return a rule: its bound with source and reason, what it took, the distribution of its measure, and records near the bound.

    `parameters` may have other limits of the measure, `min.` and `max.`: what they would keep is a command.
    """
    taken = [loss for loss in opened.totals.losses if loss.rule == name]
    bound = find_rule(opened, name)
    if bound is None and not taken and name not in opened.schema:
        raise UsageError(f"no rule and no measure is called {name!r}")
    words, description = _describe(opened, name)
    limits = find_bounds(opened, name)
    is_number = name in opened.schema and opened.schema[name].is_numeric()
    sides = [_find_near(opened, name, limit) for limit in limits] if is_number else []
    if bound is None and not is_number:  # a rule of deduplication, whose value is a similarity or a count
        sides = [_find_near_taken(opened, name)]
    return {
        "name": name,
        "bound": bound,
        "bound_words": translate_bound(words),
        "description": translate_text(description),
        "taken": taken,
        "histogram": opened.totals.count_values(name, limits) if is_number else None,
        "limits": limits,
        "sides": sides,
        "values": _count_words(opened, name),
        "column": name if is_number else None,
        "mark": name if has_evidence(name) else None,
        **(_describe_limits(opened, name, parameters) if is_number else {"slider": None}),
        "relatives": [] if bound is not None else _list_relatives(opened, name),
    }


def _describe_limits(opened: OpenedCorpus, name: str, parameters: Parameters) -> Context:
    """Return the slider over a measure, the records that its limits let through, and the command that says what a build would keep."""
    chosen = [(key, value) for key, value in parameters if key in (f"min.{name}", f"max.{name}")]
    within = parse_view(chosen, opened.schema)
    command = suggest_whatif(opened.built, within)
    return {
        "slider": describe_slider(opened, within, name) if is_judged(opened.built, name) else None,
        "command": command,
        "within": within,
        "within_records": opened.selector.select(within).records if command else 0,
    }


def list_clusters(opened: OpenedCorpus, page: int) -> Context:
    """Return records that others are duplicates of, those with most duplicates first, each with some of them."""
    view = parse_view([("min.cluster_size", "2"), ("verdict", "kept"), ("sort", "-cluster_size")], opened.schema)
    selection = opened.selector.select(view, page * _CLUSTERS)
    numbers = selection.numbers if selection.numbers is not None else np.arange(selection.records)
    survivors = read_rows(opened, numbers[(page - 1) * _CLUSTERS : page * _CLUSTERS])
    members = find_duplicates(opened, [row["id"] for row in survivors], _MEMBERS)
    return {
        "clusters": [(row, members.get(row["id"], [])) for row in survivors],
        "records": selection.records,
        "number": page,
        "pages": max(1, -(-selection.records // _CLUSTERS)),
        "view": view,
    }


def describe_cleaning(opened: OpenedCorpus) -> Context:
    """Return what cleaning took out of records: how many lines of which kind, and the most frequent of them."""
    removed = opened.built.state.get("removed") or {}
    kinds = [(REMOVED[kind].local, counts) for kind, counts in removed.items() if kind in REMOVED]
    most = [
        (column, parse_view([("sort", f"-{column}"), (f"min.{column}", "1")], opened.schema))
        for column in ("boilerplate_chars", "recurring_chars")
        if column in opened.schema
    ]
    changed = [(column, read_rows(opened, opened.selector.find_first(view, _NEAR), [column]), view) for column, view in most]
    return {"kinds": kinds, "changed": changed}


# -- records


def read_rows(opened: OpenedCorpus, numbers: np.ndarray, more: Sequence[str] = ()) -> list[Context]:
    """Return rows of the ledger by their numbers: why a record is where it is, and further columns."""
    columns = [name for name in dict.fromkeys([*REASONS, *more]) if name in opened.schema]
    return opened.ledger.read(numbers, columns).to_dicts()


def find_duplicates(opened: OpenedCorpus, survivors: Sequence[str], most: int) -> dict[str, list[Context]]:
    """Return the duplicates of records by the survivor's id, at most so many of each: those most alike first."""
    if not survivors or "duplicate_of" not in opened.schema:
        return {}
    frame = (
        opened.ledger.scan("row").filter(pl.col("duplicate_of").is_in([*survivors])).select("row", "duplicate_of", "similarity")
    )
    chosen = (
        frame.collect().sort("similarity", descending=True, maintain_order=True).group_by("duplicate_of", maintain_order=True)
    )
    rows = read_rows(opened, chosen.head(most)["row"].to_numpy())
    found: dict[str, list[Context]] = {}
    for row in rows:
        found.setdefault(row["duplicate_of"], []).append(row)
    return found


# -- rules


def find_rule(opened: OpenedCorpus, name: str) -> Bound | None:
    return None if opened.built.is_mixture else opened.built.manifest.rules.get(name)


def _list_relatives(opened: OpenedCorpus, name: str) -> list[str]:
    """Return the rules over measures whose names begin alike, as advertising_evidence and advertising_share do."""
    rules = {} if opened.built.is_mixture else opened.built.manifest.rules
    return [rule for rule in rules if rule != name and rule.partition("_")[0] == name.partition("_")[0]]


def find_bounds(opened: OpenedCorpus, name: str) -> list[float]:
    """Return the limits of the rule on a measure; none where there is no rule, or where it is fitted."""
    bound = find_rule(opened, name)
    return [] if bound is None else [limit for limit in (bound.at_least, bound.at_most) if limit is not None]


def _describe(opened: OpenedCorpus, name: str) -> tuple[str, str]:
    manifest = None if opened.built.is_mixture else opened.built.manifest
    if manifest is None:
        return "", ""
    if name in MEASURES and name not in manifest.rules:
        return "", MEASURES[name].description
    if name not in manifest.rules and not hasattr(manifest.deduplicate, name):
        near = modality_of(manifest).near_duplicate_rule(manifest)
        return "", near.explanation if name == near.name else ""
    return describe_rule(manifest, name)


def _find_near(opened: OpenedCorpus, name: str, limit: float) -> Context:
    """Return records just beyond a limit, which the rule dropped, and just within, which were kept."""
    order = ("sort", f"{name}~{limit!r}")
    views = [parse_view([*conditions, order], opened.schema) for conditions in ([("rule", name)], [("verdict", "kept")])]
    dropped, kept = (read_rows(opened, opened.selector.find_first(view, _NEAR), [name]) for view in views)
    return {"limit": limit, "dropped": dropped, "kept": kept, "dropped_view": views[0], "kept_view": views[1]}


def _find_near_taken(opened: OpenedCorpus, name: str) -> Context:
    view = parse_view([("rule", name), ("sort", "value")], opened.schema)
    rows = read_rows(opened, opened.selector.find_first(view, 2 * _NEAR))
    return {"limit": None, "dropped": rows, "kept": [], "dropped_view": view, "kept_view": view}


def _count_words(opened: OpenedCorpus, name: str) -> list[tuple[str, int]]:
    """Return which words a rule dropped records for, as `zh`, and how many, the most first."""
    found = opened.ledger.scan().filter((pl.col("rule") == name) & pl.col("value_text").is_not_null())
    counted = (
        found.group_by("value_text").agg(records=pl.len()).collect().sort("records", "value_text", descending=[True, False])
    )
    return list(counted.head(_VALUES).iter_rows())


# -- what the forms offer


def list_columns(opened: OpenedCorpus) -> list[str]:
    """Return the columns of numbers that a slider may be over: those with a bound first."""
    names = [name for name, kind in opened.schema.items() if kind.is_numeric() and name not in ("value", "bound")]
    return sorted(names, key=lambda name: not find_bounds(opened, name))


def _list_ranges(view: View) -> list[str]:
    return [key[4:] for key, _ in view.parameters if key.startswith(("min.", "max."))]


def _list_words(view: View) -> list[str]:
    return [key[3:] for key, _ in view.parameters if key.startswith("is.")]
