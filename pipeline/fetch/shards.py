"""Shards in img2dataset's layout: a tar of images, captions and JSON, a Parquet sidecar with every row of the list, and statistics."""

from __future__ import annotations

import hashlib
import io
import json
import math
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

import polars as pl

from pipeline.core.checksums import is_damaged, make_entry
from pipeline.core.errors import UsageError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.core.tables import read_parquet
from pipeline.fetch.outcomes import Outcome, is_temporary
from pipeline.fetch.settings import FetchSettings
from pipeline.fetch.spool import Spool, StoredOutcome

# What a sidecar has of every row, after the list's own columns. The names are img2dataset's.
SIDECAR_COLUMNS: dict[str, Any] = {
    "key": pl.String,
    "status": pl.String,
    "error_message": pl.String,
    "width": pl.Int32,
    "height": pl.Int32,
    "original_width": pl.Int32,
    "original_height": pl.Int32,
    "sha256": pl.String,
}


def sidecar_path(out: Path, number: int) -> Path:
    """Return where the sidecar of shard `number` lies."""
    return out / f"{number:05d}.parquet"


class FetchedShard:
    """One shard of a list, whose rows are in `frame`.

    Call `open` for the URLs that are missing, `add` for each outcome, and `finish` when every row has one.
    """

    def __init__(self, number: int, frame: pl.DataFrame, out: Path, shard_size: int) -> None:
        self.number, self.frame = number, frame
        self.sidecar = sidecar_path(out, number)
        self.tar, self.stats = out / f"{number:05d}.tar", out / f"{number:05d}_stats.json"
        self._spool_path = out / STATE_FOLDER / "spool" / f"{number:05d}.spool"
        self._row_digits = max(1, len(str(shard_size - 1)))
        self._spool: Spool | None = None
        self._damaged: set[Path] | None = None
        self._finished_rows: dict[int, StoredOutcome] = {}  # of an earlier run, in the tar
        self._began = time.time()

    def is_done(self, settings: FetchSettings) -> bool:
        """Return whether nothing is left to fetch. Raises UsageError where the shard on disk has other rows."""
        if self._spool_path.is_file() or not self._is_on_disk() or self._find_damaged():
            return False
        sidecar = read_parquet(self.sidecar, columns=["url", "error_message"])
        if not sidecar["url"].equals(self.frame["url"]):
            raise UsageError(
                f"{self.sidecar} is a shard of another list, or of another size; choose another --out for this one, "
                "or fetch with the LIST and --shard-size that it was made with"
            )
        return not (
            settings.retry_failed and any(is_temporary(reason, settings.allow_private) for reason in sidecar["error_message"])
        )

    def open(self, settings: FetchSettings) -> dict[str, list[int]]:
        """Read what earlier runs fetched; return the URLs that are missing, each with its rows."""
        urls = [url or "" for url in self.frame["url"]]
        self._refuse_foreign()
        if self._is_on_disk() and self.sidecar not in self._find_damaged():
            self._finished_rows = dict(self._read_finished(settings.allow_private))
        digest = hashlib.sha256("\n".join(urls).encode()).hexdigest()
        self._spool = Spool(self._spool_path, f"{self.frame.height} {digest}")
        missing: dict[str, list[int]] = {}
        for row, url in enumerate(urls):
            if row not in self._spool.rows and row not in self._finished_rows:
                missing.setdefault(url, []).append(row)
        return missing

    def add(self, rows: list[int], outcome: Outcome) -> None:
        assert self._spool is not None
        self._spool.append(rows, outcome)

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def finish(self) -> None:
        """Write tar, sidecar and statistics, then remove the spool."""
        assert self._spool is not None
        stored = self._finished_rows | self._spool.rows
        results = [self._describe(row, stored[row].outcome) for row in range(self.frame.height)]
        self._write_tar(results, stored)
        sidecar = self.frame.hstack(pl.DataFrame(results, SIDECAR_COLUMNS, orient="row"))
        with write_atomically(self.sidecar) as temporary:
            sidecar.write_parquet(temporary)
        files = [make_entry(path, path.name) for path in (self.sidecar, self.tar)]
        write_json(self.stats, self._summarise(results) | {"files": files})
        self._spool.remove()

    def _refuse_foreign(self) -> None:
        """Raise UsageError where files would be replaced that no fetch wrote: tar and sidecar come together, or with a spool."""
        present = [path for path in (self.tar, self.sidecar, self.stats) if path.exists()]
        if present and not self._is_on_disk() and not self._spool_path.exists():
            raise UsageError(f"{present[0]} was not written by this fetch, which would replace it: move it elsewhere")

    def _is_on_disk(self) -> bool:
        return self.tar.is_file() and self.sidecar.is_file()

    def _find_damaged(self) -> set[Path]:
        """Return which of tar and sidecar are not as the statistics say. Reads both once; earlier versions wrote down no checksums."""
        if self._damaged is None:
            stats = read_json(self.stats)
            if isinstance(stats, dict):
                listed = {entry["path"]: entry for entry in stats.get("files", [])}
                self._damaged = {path for path in (self.tar, self.sidecar) if is_damaged(path, listed.get(path.name))}
            else:
                self._damaged = {self.tar, self.sidecar}
        return self._damaged

    def _describe(self, row: int, outcome: Outcome) -> dict[str, Any]:
        """Return the sidecar's columns of a row."""
        key = f"{self.number:05d}{row:0{self._row_digits}d}"
        size = (outcome.width, outcome.height)
        return dict(zip(SIDECAR_COLUMNS, (key, outcome.status, outcome.reason, *size, *size, outcome.sha256), strict=True))

    def _write_tar(self, results: list[dict[str, Any]], stored: dict[int, StoredOutcome]) -> None:
        files: dict[Path, IO[bytes]] = {}
        with (
            ExitStack() as stack,
            write_atomically(self.tar) as temporary,
            tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for row, (listed, result) in enumerate(zip(self.frame.iter_rows(named=True), results, strict=True)):
                if result["status"] != "success":
                    continue
                image = stored[row]
                if image.path not in files:
                    files[image.path] = stack.enter_context(open(image.path, "rb"))
                files[image.path].seek(image.offset)
                _add_member(tar, f"{result['key']}.{image.outcome.extension}", files[image.path].read(image.size))
                if listed["caption"] is not None:
                    _add_member(tar, f"{result['key']}.txt", listed["caption"].encode())
                described = json.dumps(_without_nan(listed | result), ensure_ascii=False, default=str)
                _add_member(tar, f"{result['key']}.json", described.encode())

    def _summarise(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        statuses = Counter(result["status"] for result in results)
        now = time.time()
        return {
            "count": len(results),
            "successes": statuses["success"],
            "failed_to_download": statuses["failed_to_download"],
            "failed_to_resize": statuses["failed_to_resize"],
            "duration": now - self._began,
            "start_time": self._began,
            "end_time": now,
            "status_dict": dict(Counter(result["error_message"] or result["status"] for result in results).most_common()),
        }

    def _read_finished(self, allow_private: bool) -> Iterator[tuple[int, StoredOutcome]]:
        """Yield the rows of the finished shard that are not to be fetched again. Of a damaged tar whole images are taken over."""
        is_damaged = self.tar in self._find_damaged()
        images = {}  # by key: extension, offset, size
        with suppress(tarfile.TarError) if is_damaged else nullcontext(), tarfile.open(self.tar) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                if extension not in ("txt", "json"):
                    images[key] = (extension, member.offset_data, member.size)
        for row, result in enumerate(read_parquet(self.sidecar, columns=list(SIDECAR_COLUMNS)).iter_rows(named=True)):
            extension, offset, size = images.get(result["key"], ("", 0, 0))
            is_lost = result["status"] == "success" and not extension
            if is_damaged and extension and _hash_bytes(self.tar, offset, size) != result["sha256"]:
                is_lost = True
            if is_lost or is_temporary(result["error_message"], allow_private):
                continue
            outcome = Outcome(
                result["status"], result["error_message"], extension, result["width"], result["height"], result["sha256"]
            )
            yield row, StoredOutcome(outcome, self.tar, offset, size)


def _hash_bytes(path: Path, offset: int, size: int) -> str:
    with open(path, "rb") as file:
        file.seek(offset)
        return hashlib.sha256(file.read(size)).hexdigest()


def _add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """Return `row` with None for the floats that JSON does not have."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
