"""Duplicates among recordings: the same samples, or acoustic hashes within a Hamming distance, verified by spectra.

After the rounds of `pipeline.dedup.perceptual`, `sentences` counts how often a speaker reads one and the same sentence and, where the
manifest bounds it, how many recordings have nearly the same transcript, which the rounds of text find (`pipeline.dedup.minhash`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipeline.core.engine import Task
from pipeline.core.tasks import Counts, resumable
from pipeline.dedup import minhash, perceptual
from pipeline.dedup.perceptual import Cap
from pipeline.dedup.verification import SPECTRA
from pipeline.workspace import Layout, RecordIds


def rounds(layout: Layout, ids: RecordIds) -> Iterator[list[Task]]:
    """Yield the rounds of tasks."""
    if layout.settings.similar_transcripts is not None:
        transcripts = _transcript_layout(layout)
        transcripts.folder.mkdir(parents=True, exist_ok=True)
        yield from minhash.rounds(transcripts, ids)
    yield from perceptual.rounds(layout, ids, SPECTRA)
    yield [(count_sentences, (layout,))]


def _transcript_layout(layout: Layout) -> Layout:
    """The same records, their transcripts compared as documents are."""
    return replace(layout, folder=layout.folder / "transcripts", settings=layout.settings.transcripts, prefix="text_")


@resumable(lambda layout: layout.folder / "sentences.json")
def count_sentences(layout: Layout) -> Counts:
    """Find the recordings beyond the cap of one sentence by one speaker; a small Parquet file per partition."""
    frame, settings = perceptual.surviving_records(layout), layout.settings
    caps = [Cap("same_sentence", settings.same_sentence, "sentence_recordings")]
    if settings.similar_transcripts is not None:
        similar = perceptual.load_clusters(_transcript_layout(layout), "cluster_id").rename({"cluster_id": "transcript"})
        frame = frame.join(similar, on="number", how="left", maintain_order="left")
        caps.append(Cap("similar_transcripts", settings.similar_transcripts, "similar_recordings", "transcript"))
    rules = perceptual.cap_records(layout, frame, *caps)
    return {"rules": rules}
