"""Step 3, deduplicate: exact, then near duplicates, over signature columns. Never reads content.

How pairs are found is the modality's: rounds of tasks that leave files of verified pairs. `pipeline.dedup.clusters` joins the
pairs and chooses survivors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.core.engine import Engine
from pipeline.core.tasks import discard_damaged
from pipeline.core.vouching import read_marker, write_marker
from pipeline.modalities import modality_of
from pipeline.plan import Plan
from pipeline.steps.measure import Measured
from pipeline.workspace import Layout, RecordIds, layout_file, remove_step_files, write_layout

# What only the search for pairs needs, and the step `write` does not.
_SCRATCH = ("facts-*.npy", "index-*.npy", "hamming-*.npy", "pairs-*.npy", "cluster-*.npy")


class Deduplicated(NamedTuple):
    """What the step did: counts over the corpus, seconds."""

    counts: dict[str, Any]
    seconds: float | None


def layout_of(plan: Plan, measured: Measured, kept: int) -> Layout:
    """Return how the records of a build are numbered; `kept` of them enter the step."""
    workspace, records = plan.workspace, [counts["records"] for counts in measured.counts]
    return Layout(
        table=write_layout(layout_file(workspace.folder("decide")), measured.parts, records),
        decided=workspace.folder("decide"),
        folder=workspace.folder("deduplicate"),
        kept=kept,
        settings=plan.manifest.deduplicate,
    )


def run(plan: Plan, engine: Engine, layout: Layout, ids: RecordIds) -> Deduplicated:
    """Find duplicates, unless an earlier run did."""
    if not layout.settings.enabled:
        return Deduplicated({"pairs": 0, "clusters": 0, "exact": 0, "near": 0}, None)
    marker = plan.workspace.duplicates
    discard_damaged(engine, layout.folder)
    if (counts := read_marker(marker)) is not None:
        return Deduplicated(counts, None)
    layout.folder.mkdir(parents=True, exist_ok=True)
    progress = engine.step("deduplicate", total=1)
    counts = {}
    for tasks in modality_of(plan.manifest).duplicate_rounds(layout, ids):
        results = [result for _, result in engine.run("deduplicating", tasks)]
        if len(results) == 1:  # rounds of many tasks return counts of no interest
            counts |= results[0]
    progress.records = layout.kept
    seconds = progress.finish()
    write_marker(marker, counts)
    remove_step_files(layout.folder, _SCRATCH)
    return Deduplicated(counts, seconds)
