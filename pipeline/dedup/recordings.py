"""Duplicates among recordings: the same samples, or acoustic hashes within a Hamming distance, verified by spectra.

After the rounds of `pipeline.dedup.perceptual`, `sentences` counts how often a speaker reads one and the same sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.dedup import perceptual
from pipeline.dedup.clusters import SPECTRA
from pipeline.dedup.perceptual import late
from pipeline.engine import Task
from pipeline.files import read_json, write_json
from pipeline.manifest import SpeechManifest
from pipeline.plan import Ids
from pipeline.steps.deduplicate import Layout

__all__ = ["late", "near", "rounds"]


def near(manifest: SpeechManifest) -> tuple[str, str]:
    """The rule that names a near duplicate in the ledger, and how near duplicates are told."""
    d = manifest.deduplicate
    return "acoustic", (
        f"acoustic hashes at most {d.distance} of 64 bits apart, verified by spectra at a similarity of {d.accept:g} or more"
    )


def rounds(layout: Layout, ids: Ids) -> Iterator[list[Task]]:
    """The tasks of the step."""
    yield from perceptual.rounds(layout, ids, SPECTRA)
    yield [(sentences, (layout,))]


def sentences(layout: Layout) -> dict[str, Any]:
    """The recordings beyond the cap of one sentence by one speaker; a small Parquet file per partition."""
    done = layout.folder / "sentences.json"
    if (known := read_json(done)) is not None:
        return known
    frame = perceptual.left(layout)
    rules = perceptual.cap(layout, frame, "same_sentence", layout.settings.same_sentence, "sentence_recordings")
    counts = {"rules": rules}
    write_json(done, counts)
    return counts
