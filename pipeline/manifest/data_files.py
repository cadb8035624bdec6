"""What to say where data stands in the place of a manifest: that it is data, and the command that builds a corpus of it."""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from pathlib import Path

from pipeline.core.errors import SeimaiError, UsageError
from pipeline.manifest.presets import parse_toml
from pipeline.manifest.shipped import list_manifests, manifest_folder
from pipeline.sources import SOURCES
from pipeline.sources.base import Fields
from pipeline.sources.image_text.columns import SYNONYMS as OF_IMAGES
from pipeline.sources.inputs import InputFile, describe_file, is_url
from pipeline.sources.speech.columns import SYNONYMS as OF_RECORDINGS
from pipeline.sources.text.arrow import ArrowSource
from pipeline.sources.text.base import read_head
from pipeline.sources.text.columns import SYNONYMS as OF_DOCUMENTS
from pipeline.sources.text.jsonl import peek_keys
from pipeline.sources.text.parquet import ParquetSource
from pipeline.sources.text.sniffing import sniff_format
from pipeline.sources.text.tables import open_table

_LARGEST_MANIFEST = 1 << 20  # bytes
# Formats that hold documents and nothing else, and any that hold them where their columns say so.
_MANIFESTS = {"warc": "common-crawl-ja", "wikipedia-xml": "wikipedia-ja", "cirrussearch": "wikipedia-ja", "files": "ja-web"}
_TABLES = {"jsonl": "ja-web", "parquet": "ja-web", "arrow": "ja-web"}
# Names of columns that tables of images or recordings have, and those of documents do not.
_OF_MEDIA = {
    name
    for words in (OF_IMAGES["url"], OF_IMAGES["caption"], OF_RECORDINGS["path"], OF_RECORDINGS["transcript"], ("image", "jpg"))
    for name in words
} - {name for words in OF_DOCUMENTS.values() for name in words}


def is_data(reference: str) -> bool:
    """Return whether something that stands in the place of a manifest is a URL, a folder, or a file of no TOML."""
    path = Path(reference)
    if is_url(reference) or path.is_dir():
        return True
    if path.suffix == ".toml" or not path.is_file():
        return False
    if path.stat().st_size > _LARGEST_MANIFEST:
        return True
    try:
        parse_toml(path.read_text("utf-8"), reference)
    except (UsageError, UnicodeDecodeError):
        return True
    return False


def explain_data(reference: str) -> UsageError:
    """Return the error for data in the place of a manifest, with the command that builds a corpus of it where that is certain."""
    quoted = shlex.quote(reference)
    manifest = None if is_url(reference) or os.path.isdir(reference) else _find_manifest(reference)
    if manifest is not None:
        return UsageError(
            f"{reference} is data, not a manifest. To build a corpus of it: python -m pipeline.build {manifest} --input {quoted}"
        )
    named = _list_by_modality()
    return UsageError(
        f"{reference} is data, not a manifest. To build a corpus of it, name a manifest for what it holds: "
        f"python -m pipeline.build MANIFEST --input {quoted}\n"
        f"of documents: {named['text']}\n"
        f"of images with captions: {named['image_text']}\n"
        f"of recordings: {named['speech']}"
    )


def _find_manifest(path: str) -> str | None:
    """Return the shipped manifest for a file of documents, None where it may hold something else."""
    try:
        file = describe_file(path)
        name = sniff_format(read_head(file)).name or ""
        if name in _MANIFESTS:
            return _MANIFESTS[name]
        if name not in _TABLES or not {column.strip().lower() for column in _list_columns(file, name)}.isdisjoint(_OF_MEDIA):
            return None
        SOURCES["text"].check_fields([file], Fields())
        return _TABLES[name]
    except (SeimaiError, OSError):
        return None


def _list_columns(file: InputFile, name: str) -> list[str]:
    if name == "jsonl":
        return [*(peek_keys(file) or {})]
    return open_table((ParquetSource if name == "parquet" else ArrowSource).table, file).schema.names


def _list_by_modality() -> dict[str, str]:
    """Return the names of the shipped manifests by the modality of what they read."""
    names = defaultdict(list)
    for name in list_manifests():
        source = parse_toml((manifest_folder() / f"{name}.toml").read_text("utf-8"), name).get("source")
        if source is not None:  # a mixture has none
            names[SOURCES[source["format"]].modality].append(name)
    return {modality: ", ".join(some) for modality, some in names.items()}
