"""Duplicates among recordings: the same samples, or acoustic hashes within a Hamming distance, verified by spectra.

After the rounds of `pipeline.dedup.perceptual`, `sentences` counts how often a speaker reads one and the same sentence and, where the
manifest bounds it, how many recordings have nearly the same transcript, which the rounds of text find (`pipeline.dedup.minhash`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pipeline.core.engine import Task
from pipeline.core.storage import read_json, write_json
from pipeline.dedup import minhash, perceptual
from pipeline.dedup.clusters import SPECTRA
from pipeline.dedup.perceptual import Cap, late
from pipeline.manifest.loading import SpeechManifest
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
    if layout.settings.similar_transcripts is not None:
        of_text = _of_text(layout)
        of_text.folder.mkdir(parents=True, exist_ok=True)
        yield from minhash.rounds(of_text, ids)
    yield from perceptual.rounds(layout, ids, SPECTRA)
    yield [(sentences, (layout,))]


def _of_text(layout: Layout) -> Layout:
    """The same records, their transcripts compared as documents are."""
    return replace(layout, folder=layout.folder / "transcripts", settings=layout.settings.transcripts, of="text_")


def sentences(layout: Layout) -> dict[str, Any]:
    """The recordings beyond the cap of one sentence by one speaker; a small Parquet file per partition."""
    done = layout.folder / "sentences.json"
    if (known := read_json(done)) is not None:
        return known
    frame, settings = perceptual.left(layout), layout.settings
    caps = [Cap("same_sentence", settings.same_sentence, "sentence_recordings")]
    if settings.similar_transcripts is not None:
        similar = perceptual.clusters(_of_text(layout), "cluster_id").rename({"cluster_id": "transcript"})
        frame = frame.join(similar, on="number", how="left", maintain_order="left")
        caps.append(Cap("similar_transcripts", settings.similar_transcripts, "similar_recordings", "transcript"))
    rules = perceptual.cap(layout, frame, *caps)
    counts = {"rules": rules}
    write_json(done, counts)
    return counts
