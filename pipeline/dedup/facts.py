"""What every record contributes to finding duplicates: facts and sketches, by the record's number in the corpus."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from pipeline.workspace import Layout

_IN_MEMORY = 512 << 20  # bytes of sketches
# What a record contributes to the choice of survivors; one array of these per partition, memory-mapped.
FACTS = np.dtype([("priority", np.uint64), ("exact", np.uint64), ("key_length", np.int32)])


def allocate_sketches(folder: Path, rows: int, width: int) -> np.ndarray:
    """Return uint8[rows, width], on disk where it is large, so that memory stays bounded. The file goes with the array."""
    if rows * width < _IN_MEMORY:
        return np.empty((rows, width), np.uint8)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, np.uint8, "w+", shape=(rows, width))


def load_facts(layout: Layout, records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return facts and sketches of records given by ascending number; one partition's files are open at a time."""
    facts = np.empty(len(records), FACTS)
    width = np.load(layout.array("sketches", 0), mmap_mode="r").shape[1]
    sketches = allocate_sketches(layout.folder, len(records), width)
    for index, span in layout.spans(records):
        if span.stop > span.start:
            rows = records[span] - layout.bases[index]
            facts[span] = np.load(layout.facts(index), mmap_mode="r")[rows]
            sketches[span] = np.load(layout.array("sketches", index), mmap_mode="r")[rows]
    return facts, sketches
