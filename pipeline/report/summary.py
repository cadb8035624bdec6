"""The summary of a build as `pipeline.build --json` prints it, in the words of `report.json`."""

from __future__ import annotations

from typing import Any

from pipeline.report.facts import BuildFacts


def summarise_facts(facts: BuildFacts) -> dict[str, Any]:
    """Return what the terminal shows at the end of a build, as JSON has it.

    Amounts are characters, bytes of images or seconds.
    """
    per = facts.terms.per_count

    def amount(value: int) -> float:
        return value if per == 1 else value / per

    first = facts.steps[0] if facts.steps else None
    states = [("raw", first.records_in, first.amount_in)] if first else []
    states += [(step.name, step.records_out, step.amount_out) for step in facts.steps]
    return {
        "folder": str(facts.out),
        "name": facts.manifest.name,
        "title": facts.manifest.title,
        "is_sample": facts.is_sample,
        "unit": facts.terms.counted,
        "polishing_ratio": facts.polishing_ratio,
        "funnel": [{"step": name, "records": records, "amount": amount(value)} for name, records, value in states],
        "splits": [{"name": one.name, "records": one.records, "amount": amount(one.amount)} for one in facts.splits],
        "rules": [
            {"rule": one.name, "records": one.records, "amount": amount(one.amount), "bound": one.bound} for one in facts.rules
        ],
        "duplicates": facts.duplicates,
        "unreadable": facts.unreadable,
        "removed": [{"kind": one.name.english, "lines": one.lines, "chars": one.chars} for one in facts.removed],
        "seconds": facts.seconds,
        "peak_memory": facts.peak_memory,
        "warnings": facts.warnings,
    }
