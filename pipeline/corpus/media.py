"""The image or the recording of a record of a built corpus: from the shards, or read again from its input."""

from __future__ import annotations

from pipeline.corpus.built import BuiltCorpus
from pipeline.corpus.content import UnreadableContentError, check_input, find_source, read_row
from pipeline.corpus.records import LedgerRecord, read_shard_rows

SHARD_MEDIA = {"image_text": "image", "speech": "audio"}  # columns of shards, by modality


def read_media(corpus: BuiltCorpus, record: LedgerRecord) -> bytes:
    """Return the bytes of a record's image or recording: those of the shards where it was kept (of a recording that was cut, its first
    part), else those that came.

    Raises UnreadableContentError where there are none, or where they cannot be read again, and ChangedInputError.
    """
    column = None if corpus.is_mixture else SHARD_MEDIA.get(corpus.manifest.modality)
    if column is None:
        raise UnreadableContentError(f"{corpus.shown} has neither images nor recordings")
    if record.row["verdict"] == "kept":
        rows = read_shard_rows(corpus, [record.id], [column])
        if len(rows):
            return rows[column][0]["bytes"]
    source = find_source(corpus, record)
    check_input(source.file)
    row = read_row(corpus, source)
    try:
        content = row.content(0)
    finally:
        row.close()
    if content is None:
        raise UnreadableContentError(f"{record.id} came without one")
    return content
