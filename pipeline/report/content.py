"""What examples need beyond the ledger, while a build has it: the texts that were compared, and pictures of images and recordings."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

import numpy as np

from pipeline.manifest.model import Manifest
from pipeline.modalities import modality_of
from pipeline.report.difference import COMPARED
from pipeline.report.ledger import Ledger
from pipeline.workspace import Layout

MOST_BYTES = 2_500_000  # of pictures in a report


def _group(layout: Layout, numbers: Iterable[int]) -> Iterable[tuple[int, list[int]]]:
    """Yield partitions that have some of the records, with the records' rows there."""
    ordered = np.array(sorted(set(numbers)), np.int64)
    for index, span in layout.spans(ordered):
        if rows := (ordered[span] - layout.bases[index]).tolist():
            yield index, rows


def read_texts(layout: Layout, numbers: Iterable[int]) -> dict[int, str]:
    """Return the beginnings of texts (captions, transcripts) as they were measured, by number of the record."""
    texts: dict[int, str] = {}
    for index, rows in _group(layout, numbers):
        found = Ledger((layout.part(index).table,)).rows_at(rows, ["text"])
        texts |= {layout.bases[index] + row: (found[row]["text"] or "")[:COMPARED] for row in rows}
    return texts


def draw_pictures(manifest: Manifest, layout: Layout, numbers: Iterable[int], ids: dict[int, str]) -> dict[str, str]:
    """Return small pictures of records, as `data:` URLs by id: of images, and of recordings their spectrogram; none of documents.

    What comes first in `numbers` goes first, until all have MOST_BYTES.
    """
    modality = modality_of(manifest)
    order = {number: place for place, number in enumerate(dict.fromkeys(numbers))}
    drawn: dict[int, bytes] = {}
    for index, rows in _group(layout, order):
        pictures = modality.draw_pictures(manifest, layout.part(index), rows)
        drawn |= {
            layout.bases[index] + row: picture for row, picture in zip(rows, pictures, strict=True) if picture is not None
        }
    urls: dict[str, str] = {}
    size = 0
    for number in sorted(drawn, key=order.__getitem__):
        url = "data:image/webp;base64," + b64encode(drawn[number]).decode()
        size += len(url)
        if size > MOST_BYTES:
            break
        urls[ids[number]] = url
    return urls
