"""`python -m pipeline.verify CORPUS`: compare every file of what was published with its checksum."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from pipeline.core.checksums import (
    ADDED,
    LOCK_FILE,
    PUBLISHED_FOLDERS,
    SUMS_FILE,
    FileEntry,
    is_sound_entry,
    read_lock_entries,
    read_sums,
)
from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.language import translate
from pipeline.core.paths import expand_home
from pipeline.core.publication import settle_publication
from pipeline.core.storage import format_size, read_json
from pipeline.core.tables import open_parquet
from pipeline.core.terminal import Terminal, tell_json
from pipeline.core.vouching import read_checked

_CHUNK = 1 << 20
_THREADS = 8
_LISTED_FOLDERS = (*PUBLISHED_FOLDERS, *ADDED)  # in which every file is listed


@dataclass(frozen=True)
class Difference:
    """What is not as it was published. `kind`: missing, size, content, rows, unlisted or list."""

    path: str
    kind: str
    what: str


def verify(folder: Path, advance: Callable[[int], Any] = lambda size: None) -> tuple[list[FileEntry], list[Difference]]:
    """Return the files that a folder lists, and every difference; `advance` hears of the bytes that were read.

    `folder` is a corpus or a mixture, a folder of token shards or a tokenizer, or one of fetched images. Raises UsageError for others.
    """
    entries, differences = list_entries(folder)
    differences += _compare_all(folder, entries, advance)
    differences += _find_unlisted(folder, {entry["path"] for entry in entries})
    return entries, sorted(differences, key=lambda one: one.path)


def find_damaged_shards(folder: Path) -> list[Difference]:
    """Return what has become of the shards and ledger files of a corpus, or mixture, that are not as they were published."""
    entries, _ = _list_corpus(folder)
    own = [entry for entry in entries if entry["path"].split("/")[0] in PUBLISHED_FOLDERS]
    return _compare_all(folder, own, lambda size: None)


def list_entries(folder: Path) -> tuple[list[FileEntry], list[Difference]]:
    """Return the entries of all files that a folder should have, and what is wrong with the lists themselves."""
    if (folder / LOCK_FILE).exists() or (folder / SUMS_FILE).exists():
        return _list_corpus(folder)
    differences: list[Difference] = []
    entries: list[FileEntry] = []
    descriptions = [folder / name for name in ADDED.values()] + sorted(folder.glob("*_stats.json"))
    found = [path for path in descriptions if path.exists()]
    for path in found:
        content = read_json(path) if path.name.endswith("_stats.json") else read_checked(path)
        listed = content.get("files") if isinstance(content, dict) else None
        if listed is None or not _is_sound(listed):
            differences.append(Difference(path.name, "list", "is damaged, or was written before Seimai took checksums"))
        else:
            entries += listed
    if not found:
        raise UsageError(
            f"{folder} has neither {SUMS_FILE} nor {LOCK_FILE}: name the folder of a corpus that Seimai built, of token shards, or of "
            "images that it fetched"
        )
    return entries, differences


def _list_corpus(folder: Path) -> tuple[list[FileEntry], list[Difference]]:
    differences: list[Difference] = []
    listed, sums = read_lock_entries(folder), read_sums(folder)
    if not _is_sound(listed):
        listed = None
        differences.append(Difference(LOCK_FILE, "list", "is missing, damaged, or was written before Seimai took checksums"))
    if sums is None:
        differences.append(Difference(SUMS_FILE, "list", "is missing or damaged"))
    entries = {entry["path"]: entry for entry in listed or []}
    for path, digest in (sums or {}).items():
        if listed is not None and path in entries and entries[path]["sha256"] != digest:
            differences.append(Difference(path, "list", f"{SUMS_FILE} and {LOCK_FILE} say different things of it"))
        elif listed is not None and path not in entries and path != LOCK_FILE:
            differences.append(Difference(path, "list", f"{SUMS_FILE} has it, {LOCK_FILE} does not"))
        entries.setdefault(path, {"path": path, "sha256": digest})
    if sums is not None:
        for path in sorted({*entries, LOCK_FILE} - set(sums)):
            differences.append(Difference(path, "list", f"{SUMS_FILE} does not have it"))
    return [*entries.values()], differences


def _is_sound(listed: Any) -> bool:
    return isinstance(listed, list) and bool(listed) and all(map(is_sound_entry, listed))


def _compare_all(folder: Path, entries: Iterable[FileEntry], advance: Callable[[int], Any]) -> list[Difference]:
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        compared = threads.map(lambda entry: _compare(folder, entry, advance), entries)
        return [difference for differences in compared for difference in differences]


def _compare(folder: Path, entry: FileEntry, advance: Callable[[int], Any]) -> list[Difference]:
    """Compare one file with its entry, which may lack `bytes` and `rows`."""
    name, path = entry["path"], folder / entry["path"]
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return [Difference(name, "list", "leads out of the folder: it is not read")]
    digest, size, buffer = sha256(), 0, memoryview(bytearray(_CHUNK))
    try:
        with open(path, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
                size += count
                advance(count)
    except OSError as error:
        return [Difference(name, "missing", f"cannot be read: {error.strerror}")]
    except ValueError:  # a null byte
        return [Difference(name, "list", "is no name that a file can have: the list is damaged")]
    if size != entry.get("bytes", size):
        return [Difference(name, "size", f"has {size:,} bytes instead of {entry['bytes']:,}")]
    if digest.hexdigest() != entry["sha256"]:
        where = _locate_damage(path) if path.suffix == ".parquet" else ""
        return [
            Difference(name, "content", f"its bytes have changed{where}: SHA-256 {digest.hexdigest()}, not {entry['sha256']}")
        ]
    if "rows" in entry and (rows := pq.read_metadata(path).num_rows) != entry["rows"]:
        return [Difference(name, "rows", f"has {rows:,} rows instead of {entry['rows']:,}")]
    return []


def _locate_damage(path: Path) -> str:
    """Return in which row groups of a Parquet file pages are not as their checksums say."""
    try:
        with open_parquet(path) as file:
            damaged = [number for number in range(file.num_row_groups) if not _can_read(file, number)]
            total = file.num_row_groups
    except (pa.ArrowException, OSError):
        return " in its footer"
    return f" in row group {', '.join(map(str, damaged))} of {total}" if damaged else ""


def _can_read(file: pq.ParquetFile, number: int) -> bool:
    try:
        file.read_row_group(number, use_threads=False)
    except (pa.ArrowException, OSError):
        return False
    return True


def _find_unlisted(folder: Path, listed: set[str]) -> Iterator[Difference]:
    for name in _LISTED_FOLDERS:
        for path in _walk(folder / name):
            relative = path.relative_to(folder).as_posix()
            if relative not in listed:
                again = f"; python -m tokenizer.encode {folder} lists it" if name == "tokens" else ""
                yield Difference(relative, "unlisted", f"no list has it: Seimai did not publish it, or not to the end{again}")


def _walk(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


@command()
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print JSON, for scripts.")
def main(corpus: Path, is_json: bool) -> None:
    """Compare every file of CORPUS with the size, rows and SHA-256 that were written down when it was published.

    CORPUS is a folder that Seimai built (with its token shards and tokenizer), a folder of token shards, or one of fetched images. Exit
    code 0: all is as published; 1: something differs; 2: wrong usage. `sha256sum -c SHA256SUMS` compares content, too.
    """
    console = Terminal()
    with report_errors("verifying", "the folder", "run the same command again"):
        folder = expand_home(corpus)
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}")
        settle_publication(folder)
        known, _ = list_entries(folder)
        quiet = Terminal(stderr=True)
        columns = TextColumn("verify"), BarColumn(24), DownloadColumn()
        with Progress(*columns, console=quiet, transient=True, disable=not quiet.is_terminal) as progress:
            task = progress.add_task("verify", total=sum(entry.get("bytes", 0) for entry in known) or None)
            entries, differences = verify(folder, lambda size: progress.advance(task, size))
        size = sum(entry.get("bytes", 0) for entry in entries)
        if is_json:
            report = {
                "folder": str(folder),
                "files": len(entries),
                "bytes": size,
                "differences": [asdict(one) for one in differences],
            }
            tell_json(report)
        else:
            _print_report(console, folder, entries, size, differences)
    if differences:
        raise SystemExit(1)


def _print_report(console: Console, folder: Path, entries: list[FileEntry], size: int, differences: list[Difference]) -> None:
    for one in differences:
        console.print(f"{one.path}  {one.what}", style="red", soft_wrap=True)
    total = f"{len(entries):,} files, {format_size(size)}"
    line = translate("{0}: all as published").format(total)
    if differences:
        words = translate("{0}: {1} differ; remove these files and build, encode or fetch again, which makes them anew")
        line = words.format(total, f"{len(differences):,}")
    console.print(f"{folder}  {line}", style="bold", soft_wrap=True)


if __name__ == "__main__":
    main()
