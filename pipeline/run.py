"""The steps of a build in order, on an engine. Every step skips what an earlier run finished."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.checksums import check_rows
from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError
from pipeline.core.names import hide_folders
from pipeline.core.timings import keep_timing, time_build
from pipeline.modalities import modality_of
from pipeline.modalities.base import most_frequent
from pipeline.modalities.licenses import sum_licenses
from pipeline.plan import VERSIONS, Plan
from pipeline.publish import publish
from pipeline.report.facts import gather_facts
from pipeline.report.gather import gather_report
from pipeline.sources.inputs import describe_file, is_url
from pipeline.sources.streams import checksum
from pipeline.steps import decide, deduplicate, measure, strip, write
from pipeline.steps.decide import Decided
from pipeline.steps.deduplicate import Deduplicated
from pipeline.steps.losses import describe_losses
from pipeline.steps.measure import Measured
from pipeline.steps.strip import Stripped
from pipeline.steps.write import Written
from pipeline.workspace import RecordIds, write_names

SAMPLES_SHOWN = 20  # most frequent removed lines in summary and card


def run(plan: Plan, engine: Engine, keep_going: bool) -> dict[str, Any]:
    """Do what is not done yet and publish it; return the summary, which is also kept in the output folder."""
    began = time.perf_counter()
    is_fresh = not plan.workspace.folder("measure").exists()
    measured = measure.run(plan, engine, keep_going)
    decided = decide.run(plan, engine, measured)
    layout = deduplicate.layout_of(plan, measured, decided.kept)
    names = write_names(plan.workspace.folder("decide") / "inputs.parquet", [file.name for file in plan.inputs])
    ids = RecordIds(plan.manifest.name, names)
    deduplicated = deduplicate.run(plan, engine, layout, ids)
    stripped = strip.run(plan, engine, layout)
    written = write.run(plan, engine, layout, ids, measured, decided)
    if is_fresh and engine.scheduler is None:
        further = sum(step.seconds or 0.0 for step in (decided, deduplicated, stripped, written))
        keep_timing(plan.manifest.modality, time_build(plan.manifest.name, measured.counts, further, engine.worker_count))
    seconds = {
        "measure": measured.seconds,
        "decide": decided.seconds,
        "deduplicate": deduplicated.seconds,
        "strip": stripped.seconds,
        "write": written.seconds,
    }
    summary = summarise(plan, measured, decided, deduplicated, stripped, written) | {
        "fingerprint": plan.output_fingerprint,
        "written": plan.fingerprints["write"],
        "limit": plan.limit,
        "versions": VERSIONS,
        "work": os.path.relpath(plan.work.resolve(), plan.out.resolve()),
        "shards": written.shards,
        "ledgers": written.ledgers,
        "files": written.files,
        "seconds": round(time.perf_counter() - began, 1),
        "steps_seconds": {name: round(value, 2) for name, value in seconds.items() if value is not None},
        "warnings": [*measured.warnings, *decided.warnings, *describe_losses(written.losses)],
        "damaged": measured.damage,
    }
    check_conservation(plan, summary, sum(group["rows"] for group in written.groups))
    summary["peak_memory"] = engine.peak_memory
    facts = gather_facts(plan, summary)
    kept = {name: [hide_folders(text, facts.places) for text in summary[name]] for name in ("warnings", "damaged")}
    began = time.process_time()
    report = gather_report(plan, facts, summary, layout)
    summary["report_seconds"] = round(time.process_time() - began, 2)  # of this process, of whatever else the machine does
    publish(plan.workspace, summary | kept, facts, report)
    return summary


def check_conservation(plan: Plan, summary: dict[str, Any], shard_rows: int) -> None:
    """Raise BuildError unless records in = kept + dropped + duplicates + unreadable, by the ledger's own count.

    `shard_rows`: how many rows were written to shards; a recording that was cut has several.
    """
    in_ledger = sum(records for records, *_ in summary["verdicts"].values())
    if in_ledger != summary["total"]["records"]:
        raise BuildError(
            f"records were lost: {summary['total']['records']:,} came in, the ledger has {in_ledger:,}. This is a fault of Seimai; "
            f"please report it with {plan.workspace.state_folder}"
        )
    check_rows(summary["files"], shard_rows, in_ledger)


def summarise(
    plan: Plan, measured: Measured, decided: Decided, deduplicated: Deduplicated, stripped: Stripped, written: Written
) -> dict[str, Any]:
    """Return the numbers of a build: lists of counts by step, rule, verdict and split."""
    total = measured.total()
    rules: dict[str, list[int]] = {}
    for part in [*decided.parts, {"rules": deduplicated.counts.get("rules", {})}, stripped.counts]:
        _add_counts(rules, part["rules"])
    verdicts: dict[str, list[int]] = {}
    splits: dict[str, list[int]] = {}
    for group in written.groups:
        _add_counts(verdicts, group["verdicts"])
        _add_counts(splits, group["splits"])
    return {
        "total": total,
        "rules": dict(sorted(rules.items(), key=lambda item: (-item[1][0], item[0]))),
        "after_decide": [decided.kept, sum(part["amount"] for part in decided.parts)],
        "duplicates": deduplicated.counts,
        "removed": _describe_removed(measured, stripped, written),
        "losses": written.losses,
        "verdicts": verdicts,
        "splits": splits,
        "licenses": sum_licenses(group["licenses"] for group in written.groups),
        "polishing_ratio": _polishing_ratio(plan, total, verdicts.get("kept", [0, 0, 0])),
        "inputs": _describe_inputs(plan, measured),
    }


def _add_counts(totals: dict[str, list[int]], counts: dict[str, list[int]]) -> None:
    for key, values in counts.items():
        totals[key] = [a + b for a, b in zip(totals.get(key, [0] * len(values)), values, strict=True)]


def _describe_removed(measured: Measured, stripped: Stripped, written: Written) -> dict[str, dict[str, Any]]:
    """Return lines and characters that were removed, by why, with the most frequent lines and how often each was, as far as tasks knew."""
    total = measured.total()
    boilerplate = {"lines": total.get("boilerplate_lines", 0), "chars": total.get("boilerplate_chars", 0)}
    recurring = dict(stripped.counts.items())
    samples = (counts.get("boilerplate_samples", []) for counts in measured.counts), (g["samples"] for g in written.groups)
    return {
        name: counts | {"samples": _merge_samples(lists)}
        for name, counts, lists in zip(("boilerplate", "recurring"), (boilerplate, recurring), samples, strict=True)
    }


def _merge_samples(lists: Iterable[list[list[Any]]]) -> list[list[Any]]:
    rows = [row for one in lists for row in one]
    counted = pl.DataFrame(rows, schema={"line": pl.String, "count": pl.Int64}, orient="row")
    return most_frequent(counted.group_by("line").agg(pl.sum("count")), SAMPLES_SHOWN)


def _polishing_ratio(plan: Plan, total: dict[str, int], kept: list[int]) -> float:
    """Return the share that is left: of records where that is what the modality counts, of amounts elsewhere."""
    terms = modality_of(plan.manifest).terms
    records, _, amount = kept
    if terms.ratio.english == terms.records.english:
        return records / max(total["records"], 1)
    return amount / max(total["amount_in"], 1)


def _describe_inputs(plan: Plan, measured: Measured) -> list[dict[str, Any]]:
    """Return the inputs with checksums, and with them what was read along and is no input itself, such as lists of transcripts."""
    described = [
        file.describe() | {"sha256": record["checksum"], "bytes": record["size"]}
        for file, record in zip(plan.inputs, measured.inputs, strict=True)
    ]
    inputs = {file.url for file in plan.inputs}
    companions = dict.fromkeys(url for file in plan.inputs for url in file.companions if url not in inputs)
    # The folder that a list is about holds the recordings; they are in the identity of the list.
    files = [describe_file(url) for url in companions if is_url(url) or not Path(url).is_dir()]
    return described + [file.describe() | {"sha256": checksum(file)} for file in files]
