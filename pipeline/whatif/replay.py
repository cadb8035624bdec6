"""Deduplication and the removal of lines that recur, done again under other rules on what the build has stored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.errors import BuildError, SeimaiError
from pipeline.core.inline import InlineEngine
from pipeline.core.tables import read_parquet
from pipeline.core.terminal import Terminal
from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.content import find_step_folder
from pipeline.manifest.model import Manifest
from pipeline.modalities import modality_of
from pipeline.plan import Plan
from pipeline.steps import decide, deduplicate, strip
from pipeline.steps.ledger import ledger_frame
from pipeline.steps.measure import Measured
from pipeline.steps.write import read_findings
from pipeline.whatif.changes import OUTCOME
from pipeline.workspace import Layout, Part, RecordIds, layout_file, load_layout

MOST_RECORDS = 200_000  # that are deduplicated without being asked for: some 20 s


class Stored(NamedTuple):
    """What is left of a build: its measured partitions, how many records each has, and the names of its inputs."""

    parts: list[Part]
    records: list[int]
    names: Path


class Replayed(NamedTuple):
    """What the steps make of every record, in the ledger's order (columns of `OUTCOME`), and by how much lines that are removed make
    the kept records smaller, in the unit of `amount`.
    """

    outcomes: pl.DataFrame
    removed: int


class NotReplayedError(SeimaiError):
    """Duplicates cannot be found anew; the message says why."""


def find_stored(corpus: BuiltCorpus, wants_replay: bool | None) -> Stored:
    """Return what the build of a corpus has stored. Raises NotReplayedError where it is gone, or not wanted.

    `wants_replay`: None where that is not said, and a large corpus is let be.
    """
    if wants_replay is False:
        raise NotReplayedError("--no-replay was given")
    if wants_replay is None and corpus.ledger_rows[-1] > MOST_RECORDS:
        raise NotReplayedError(f"the corpus has more than {MOST_RECORDS:,} records; --replay does it")
    decided = find_step_folder(corpus, "decide")
    if decided is None or not layout_file(decided).is_file():
        raise NotReplayedError("the build's intermediates, with the signatures, are gone")
    with _refuse_damage():
        parts, bases = load_layout(layout_file(decided))
    if missing := [part for part in parts if not part.table.is_file() or not part.array("sketches").is_file()]:
        raise NotReplayedError(f"some of the build's intermediates are gone ({missing[0].table})")
    if bases[-1] != corpus.ledger_rows[-1]:
        raise NotReplayedError("the intermediates are those of another build")
    return Stored(parts, np.diff(bases).tolist(), decided / "inputs.parquet")


@contextmanager
def _refuse_damage() -> Iterator[None]:
    """Raise NotReplayedError where the block cannot read what the build has stored. The ledger is not read in it."""
    try:
        yield
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, BuildError) as error:
        reason = error.__cause__ if isinstance(error, BuildError) else error  # of a task that failed
        if not isinstance(reason, pl.exceptions.PolarsError | pa.ArrowException | OSError):
            raise
        words = "; ".join([str(reason).splitlines()[0], *getattr(reason, "__notes__", ())])  # the notes name the file
        raise NotReplayedError(f"some of the build's intermediates cannot be read ({words})") from None


def replay(manifest: Manifest, stored: Stored) -> Replayed:
    """Run the steps from decide to strip with the rules of a manifest, in a temporary folder; nothing of the corpus is written to."""
    with _refuse_damage(), tempfile.TemporaryDirectory(prefix="seimai-whatif-") as scratch:
        folder = Path(scratch)
        plan = Plan(manifest, (), folder / "out", folder / "work")
        counts: list[dict[str, Any]] = [{"records": count} for count in stored.records]
        measured = Measured(stored.parts, counts, [], [], [], 0.0)
        with InlineEngine(folder / "scratch", Terminal(quiet=True)) as engine:
            decided = decide.run(plan, engine, measured)
            layout = deduplicate.layout_of(plan, measured, decided.kept)
            deduplicate.run(plan, engine, layout, RecordIds(manifest.name, stored.names))
            strip.run(plan, engine, layout)
        search = strip.search_of(plan, layout)
        found = [_read_outcomes(manifest, layout, search.folder if search else None, i) for i in range(layout.partitions)]
    return Replayed(pl.concat(outcomes for outcomes, _ in found), sum(removed for _, removed in found))


def _read_outcomes(manifest: Manifest, layout: Layout, stripped: Path | None, index: int) -> tuple[pl.DataFrame, int]:
    """Return what the ledger would say of the records of a partition, and by how much the step write makes the kept ones smaller.

    Only what lines are removed from is read.
    """
    unreadable = read_parquet(layout.part(index).table, columns=["unreadable"])
    nothing = pl.lit(None, pl.String)
    measured = unreadable.with_columns(head=nothing, text=nothing)
    numbers = pl.int_range(0, len(measured), eager=True).cast(pl.String)
    verdicts, clusters, late, removed = read_findings(manifest, layout, stripped, index)
    rows = ledger_frame(
        measured, verdicts, clusters, late, numbers.alias("id"), numbers.alias("source"),
        modality_of(manifest).near_duplicate_rule(manifest).name, getattr(manifest.deduplicate, "accept", 1.0),
    )  # fmt: skip
    if not len(removed):
        return rows.select(OUTCOME), 0
    texts = read_parquet(layout.part(index).table, columns=["text", "amount"]).with_row_index("row")[removed["row"]]
    revised, _ = modality_of(manifest).revise(texts, removed)
    return rows.select(OUTCOME), int(texts["amount"].sum()) - int(revised["amount"].sum())
