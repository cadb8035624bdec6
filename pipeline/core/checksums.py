"""Checksums of what is published: in `manifest.lock.toml` with sizes and rows, and in `SHA256SUMS`, which `sha256sum -c` reads.

What is staged is read once more before it is published: it must be what its markers vouch for, and its SHA-256 is taken on the way.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError
from pipeline.core.ownership import free_path
from pipeline.core.storage import write_atomically
from pipeline.core.vouching import read_vouched

SUMS_FILE, LOCK_FILE = "SHA256SUMS", "manifest.lock.toml"
REPORT_FILES = ("report.json", "report.html", "croissant.json")  # of a corpus; mixtures have none
PUBLISHED_FOLDERS = ("data", "ledger")  # of a corpus or mixture
# What commands add to a corpus later: folders, each with the JSON file, written last, that lists its files.
ADDED = {"tokens": "tokens.json", "tokenizer": "training.json"}
PUBLISHED_FILE = "published.json"  # in the state folder of a corpus: `pipeline.workspace.Workspace.published`
_CHUNK = 1 << 20
_BEGINNING = re.compile(r"^([0-9A-Fa-f]{64}) [ *]")  # of a line; * marks a file that was read as bytes

FileEntry = dict[str, Any]  # `path` from the folder of the corpus, `sha256`, `bytes` and, of Parquet, `rows`


def make_entry(path: Path, name: str, size: int | None = None, digest: str | None = None) -> FileEntry:
    """Return the entry of one file, read once. Raises BuildError unless it has `size` and the XXH3-128 `digest`, where these are given."""
    sha256, xxh3, count, buffer = hashlib.sha256(), xxhash.xxh3_128(), 0, memoryview(bytearray(_CHUNK))
    try:
        with open(path, "rb", buffering=0) as file:
            while length := file.readinto(buffer):
                sha256.update(buffer[:length])
                xxh3.update(buffer[:length])
                count += length
        rows = {"rows": pq.read_metadata(path).num_rows} if path.suffix == ".parquet" else {}
    except (FileNotFoundError, pa.ArrowException) as error:
        raise BuildError(f"{path} is damaged or was removed before it was published ({error})") from None
    if (size is not None and count != size) or (digest is not None and xxh3.hexdigest() != digest):
        raise BuildError(f"{path} is not what was written: it was damaged before it was published")
    return {"path": name, "sha256": sha256.hexdigest(), "bytes": count, **rows}


def find_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return str(make_entry(path, path.name)["sha256"])


def describe_staged(engine: Engine, files: Mapping[Path, str], markers: Iterable[Path]) -> list[FileEntry]:
    """Return the entries of staged files, which `files` maps to their names, in order of these. All workers read.

    Raises BuildError where no marker vouches for a file, or one is not as its marker says.
    """
    vouched: dict[Path, tuple[int, str]] = {}
    for marker in markers:
        vouched |= read_vouched(marker)
    if unknown := sorted(str(path) for path in files if path not in vouched):
        raise BuildError(f"{unknown[0]} is staged, and nothing says who wrote it: remove it and run the same command again")
    tasks = [(make_entry, (path, name, *vouched[path])) for path, name in files.items()]
    return sorted((entry for _, entry in engine.run("checking", tasks)), key=lambda entry: entry["path"])


def is_damaged(path: Path, entry: FileEntry | None) -> bool:
    """Return whether a file is not as its entry says, by its SHA-256; False where there is no entry."""
    if entry is None:
        return False
    try:
        return path.stat().st_size != entry["bytes"] or make_entry(path, entry["path"]) != entry
    except (OSError, BuildError, ValueError):  # ValueError: a name with a null byte
        return True


def check_rows(files: Iterable[FileEntry], records: int, in_ledger: int) -> None:
    """Raise BuildError unless shards and ledger have as many rows, by their own footers, as were counted when they were written."""
    for folder, expected in (("data", records), ("ledger", in_ledger)):
        rows = sum(entry["rows"] for entry in files if entry["path"].startswith(f"{folder}/"))
        if rows != expected:
            raise BuildError(
                f"{folder} has {rows:,} rows where {expected:,} were written: nothing is published. Run the same command again."
            )


def sizes_differ(folder: Path, entries: Iterable[FileEntry]) -> bool:
    """Return whether any file of a folder is missing or has another size than its entry says, or the entries are none."""
    try:
        return any((folder / entry["path"]).stat().st_size != entry["bytes"] for entry in entries)
    except (OSError, TypeError, KeyError, ValueError):  # a file of that name may be somebody else's
        return True


def is_sound_entry(entry: Any) -> bool:
    """Return whether a value that was read is an entry: somebody else's, or a damaged one, is not."""
    if not isinstance(entry, dict):
        return False
    types = {"path": str, "sha256": str, "bytes": int}
    return all(isinstance(entry.get(name), kind) for name, kind in types.items())


def read_lock_entries(corpus: Path) -> list[FileEntry] | None:
    """Return the entries in the lock file of a corpus; None where there is no sound lock file."""
    try:
        entries = tomllib.loads((corpus / LOCK_FILE).read_text("utf-8"))["lock"]["files"]
        return entries if all(map(is_sound_entry, entries)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_sums(corpus: Path, entries: Sequence[FileEntry] | None = None) -> None:
    """Write `SHA256SUMS`: a line for every file that the lock file lists, and one for the lock file itself."""
    if entries is None:
        listed = read_lock_entries(corpus) or []
        entries = [*listed, make_entry(corpus / LOCK_FILE, LOCK_FILE)]
    lines = [f"{entry['sha256']}  {entry['path']}\n" for entry in sorted(entries, key=lambda entry: entry["path"])]
    with write_atomically(corpus / SUMS_FILE) as temporary:
        temporary.write_text("".join(lines), "utf-8")


def read_sums(corpus: Path) -> dict[str, str] | None:
    """Return the SHA-256 of every file that `SHA256SUMS` lists, as `sha256sum` and its relatives write it; None where it is not sound."""
    try:
        # splitlines() would take more for the end of a line.
        *lines, rest = (corpus / SUMS_FILE).read_bytes().decode().split("\n")
    except (OSError, ValueError):
        return None
    parts = [_BEGINNING.sub(lambda match: f"{match[1].lower()}  ", line.removesuffix("\r")).split("  ", 1) for line in lines]
    if rest or any(len(part) != 2 or len(part[0]) != 64 for part in parts):
        return None
    sums = {name: digest for digest, name in parts}
    return sums if len(sums) == len(parts) else None  # of two sums for a name, one is wrong


def find_edited(corpus: Path, names: Iterable[str], published: Mapping[str, Any]) -> list[Path]:
    """Return card, lock or sums that are not what Seimai wrote: somebody's own words, or damaged.

    `published` has the SHA-256 of each as it was written, "" where that is not known.
    """
    paths = [corpus / name for name in names if (corpus / name).is_file()]
    return [path for path in paths if published.get(path.name) not in ("", find_sha256(path))]


def keep_edited(corpus: Path, names: Iterable[str], published: Mapping[str, Any]) -> None:
    """Copy what `find_edited` finds, since it is about to be replaced."""
    for path in find_edited(corpus, names, published):
        shutil.copy2(path, free_path(path, "kept"))
