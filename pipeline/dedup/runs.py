"""Runs: consecutive partitions that one task reads, so that the number of tasks and files grows with records, not with partitions."""

from __future__ import annotations

import numpy as np

from pipeline.workspace import Layout

RECORDS = 150_000  # of a run; a partition that has more is a run of its own
PARTITIONS = 128  # of a run at most


def divide_into_runs(layout: Layout) -> np.ndarray:
    """Return int64[runs + 1]: the first partition of every run, and the number of partitions. Depends on the layout alone."""
    bases = np.asarray(layout.bases, np.int64)
    firsts = [0]
    while firsts[-1] < layout.partitions:
        first = firsts[-1]
        stop = int(np.searchsorted(bases, bases[first] + RECORDS, side="right")) - 1
        firsts.append(min(max(stop, first + 1), first + PARTITIONS, layout.partitions))
    return np.array(firsts, np.int64)


def run_of_records(layout: Layout, records: np.ndarray) -> np.ndarray:
    """Return the number of the run that every record lies in."""
    starts = np.asarray(layout.bases, np.int64)[divide_into_runs(layout)]
    return np.searchsorted(starts, records, side="right") - 1
