"""Which shards something was made of: token shards, a tokenizer, units, latents, a run. Whoever reads those compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import xxhash

from pipeline.core.checksums import ADDED, FileEntry, is_sound_entry, read_lock_entries
from pipeline.core.storage import fingerprint
from pipeline.core.vouching import read_checked

_LONGEST_FOOTER = 1 << 26  # bytes that are read of what says that it is longer


def identify_shards(files: Sequence[Path]) -> str:
    """Return the fingerprint of what is in Parquet files of one folder: the same for a copy, another when their content changes.

    Taken from SHA-256 where the lock file of the corpus, or `tokens.json` in the folder, lists the files; else from their footers.
    """
    listed = _list_digests(files[0].parent) if files else {}
    entries = [listed.get(file.name) for file in files]
    if all(entry is not None and file.stat().st_size == entry["bytes"] for file, entry in zip(files, entries, strict=True)):
        return identify_entries(entry for entry in entries if entry is not None)
    return fingerprint([[file.name, file.stat().st_size, _hash_footer(file)] for file in files])


def identify_entries(entries: Iterable[FileEntry]) -> str:
    """Return the fingerprint that `identify_shards` finds for the files of these entries."""
    return fingerprint(sorted([entry["path"].rsplit("/", 1)[-1], entry["sha256"]] for entry in entries))


def identify_corpus(corpus: Path) -> str | None:
    """Return the fingerprint of the shards of a corpus, in all its splits; None where it has none."""
    files = sorted((corpus / "data").glob("*.parquet")) or sorted(corpus.glob("*.parquet"))
    return identify_shards(files) if files else None


def _list_digests(folder: Path) -> dict[str, FileEntry]:
    """Return the entries of the files of a folder by their names, as what was written with them lists them."""
    content = read_checked(folder / ADDED["tokens"])
    listed = content.get("files") if content is not None else None
    if not isinstance(listed, list):
        listed = [entry for entry in read_lock_entries(folder.parent) or [] if entry["path"].startswith(f"{folder.name}/")]
    sound = filter(is_sound_entry, listed)
    return {entry["path"].rsplit("/", 1)[-1]: entry for entry in sound}


def _hash_footer(file: Path) -> str:
    """Return a digest of the end of a Parquet file, where it says how many rows and bytes each column chunk has."""
    with open(file, "rb") as content:
        size = content.seek(0, 2)
        content.seek(max(size - 8, 0))
        footer = min(int.from_bytes(content.read(4), "little") + 8, size, _LONGEST_FOOTER)
        content.seek(size - footer)
        return xxhash.xxh3_128_hexdigest(content.read())
