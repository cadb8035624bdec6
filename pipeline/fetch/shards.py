"""Fetched images on disk: a spool for a shard that is being fetched, and finished shards in img2dataset's layout."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tarfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl

from pipeline.core.errors import UsageError
from pipeline.core.storage import atomic, write_json
from pipeline.fetch.requests import Answer, Settings, may_pass

# What a sidecar says of every row, after the list's own columns. The names are img2dataset's.
OUTCOME: dict[str, Any] = {
    "key": pl.String,
    "status": pl.String,
    "error_message": pl.String,
    "width": pl.Int32,
    "height": pl.Int32,
    "original_width": pl.Int32,
    "original_height": pl.Int32,
    "sha256": pl.String,
}

_HEAD = struct.Struct("<4sIII")  # mark, length of the JSON, length of the body, CRC-32 of both
_MARK = b"SPL1"
_LONGEST_JSON = 1 << 24


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of a row, and where in `path` the bytes of its image are."""

    answer: Answer  # without body
    path: Path
    offset: int
    size: int


class Spool:
    """An append-only file of answers, read again after a kill; what a kill tore off at its end is cut away.

    A record is one answer and the rows that it is for. `about` says what the rows are; another's spool raises UsageError.
    """

    def __init__(self, path: Path, about: str) -> None:
        self.path, self.rows = path, dict[int, Kept]()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b", buffering=0)  # nothing is left in a buffer where the disk is full
        try:
            self._end = self._recover(about)
            self._file.truncate(self._end)
            if not self._end:
                self._write(json.dumps(about).encode(), b"")
        except BaseException:
            self._file.close()
            raise

    def append(self, rows: list[int], answer: Answer) -> None:
        fields = [rows, answer.status, answer.reason, answer.extension, answer.width, answer.height, answer.sha256]
        offset = self._write(json.dumps(fields).encode(), answer.body)
        self._keep(rows, fields, offset, len(answer.body))

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, text: bytes, body: bytes) -> int:
        """Append a record; returns where its body begins."""
        for part in (_HEAD.pack(_MARK, len(text), len(body), zlib.crc32(body, zlib.crc32(text))) + text, body):
            view = memoryview(part)
            while view:
                view = view[self._file.write(view) :]
        offset = self._end + _HEAD.size + len(text)
        self._end = offset + len(body)
        return offset

    def _keep(self, rows: list[int], fields: list[Any], offset: int, size: int) -> None:
        kept = Kept(Answer(*fields[1:]), self.path, offset, size)
        self.rows.update(dict.fromkeys(rows, kept))

    def _recover(self, about: str) -> int:
        """Read what is there; returns where the whole records end."""
        self._file.seek(0)
        end = 0
        while len(head := self._file.read(_HEAD.size)) == _HEAD.size:
            mark, length, size, checksum = _HEAD.unpack(head)
            if (
                mark != _MARK
                or length > _LONGEST_JSON
                or end + _HEAD.size + length + size > os.fstat(self._file.fileno()).st_size
            ):
                break
            text, body = self._file.read(length), self._file.read(size)
            if zlib.crc32(body, zlib.crc32(text)) != checksum:
                break
            fields = json.loads(text)
            if end:
                self._keep(fields[0], fields, end + _HEAD.size + length, size)
            elif fields != about:
                raise UsageError(f"{self.path} was begun from another list; choose another --out, or remove that file")
            end += _HEAD.size + length + size
        return end


class Shard:
    """One shard of a list: `frame` has its rows. `missing` are those to be fetched, by URL; `finish` writes what was."""

    def __init__(self, number: int, frame: pl.DataFrame, out: Path, shard_size: int) -> None:
        self.number, self.frame = number, frame
        name = f"{number:05d}"
        self.tar, self.sidecar, self.stats = (out / f"{name}{end}" for end in (".tar", ".parquet", "_stats.json"))
        self._spool_path = out / ".seimai" / "spool" / f"{name}.spool"
        self._digits = max(1, len(str(shard_size - 1)))
        self._spool: Spool | None = None
        self._earlier: dict[int, Kept] = {}
        self._began = time.time()

    def is_done(self, settings: Settings) -> bool:
        """Whether nothing is left to do. Raises UsageError where the shard on disk is one of other rows."""
        if self._spool_path.is_file() or not (self.tar.is_file() and self.sidecar.is_file()):
            return False
        there = pl.read_parquet(self.sidecar, columns=["url", "error_message"])
        if not there["url"].equals(self.frame["url"]):
            raise UsageError(
                f"{self.sidecar} is a shard of another list, or of other sizes; choose another --out for this one, "
                "or fetch with the LIST and --shard-size that it was made with"
            )
        return not (
            settings.retry_failed and any(may_pass(reason, settings.allow_private) for reason in there["error_message"])
        )

    def open(self, settings: Settings) -> dict[str, list[int]]:
        """Take up what was fetched before; returns the URLs that are missing, with the rows that they are for."""
        digest = hashlib.sha256("\n".join(url or "" for url in self.frame["url"]).encode()).hexdigest()
        if self.tar.is_file() and self.sidecar.is_file():
            self._earlier = dict(self._finished(settings.allow_private))
        self._spool = Spool(self._spool_path, f"{self.frame.height} {digest}")
        missing: dict[str, list[int]] = {}
        for row, url in enumerate(self.frame["url"]):
            if row not in self._spool.rows and row not in self._earlier:
                missing.setdefault(url or "", []).append(row)
        return missing

    def take(self, rows: list[int], answer: Answer) -> None:
        assert self._spool is not None
        self._spool.append(rows, answer)

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def finish(self) -> None:
        """Write tar, sidecar and stats, all rows accounted for, then remove the spool."""
        assert self._spool is not None
        kept = self._earlier | self._spool.rows
        outcome = [self._outcome(row, kept[row].answer) for row in range(self.frame.height)]
        listed = self.frame.to_dicts()
        files: dict[Path, IO[bytes]] = {}
        try:
            with atomic(self.tar) as temporary, open(temporary, "wb") as tar:
                for row, said in enumerate(outcome):
                    if said["status"] != "success":
                        continue
                    where = kept[row]
                    if where.path not in files:
                        files[where.path] = open(where.path, "rb")
                    files[where.path].seek(where.offset)
                    described = json.dumps(_plain(listed[row] | said), ensure_ascii=False, default=str)
                    _add(tar, f"{said['key']}.{where.answer.extension}", files[where.path].read(where.size))
                    if listed[row]["caption"] is not None:
                        _add(tar, f"{said['key']}.txt", listed[row]["caption"].encode())
                    _add(tar, f"{said['key']}.json", described.encode())
                tar.write(bytes(2 * tarfile.BLOCKSIZE))
                tar.write(bytes(-tar.tell() % tarfile.RECORDSIZE))
        finally:
            for file in files.values():
                file.close()
        sidecar = self.frame.hstack(pl.DataFrame(outcome, OUTCOME, orient="row"))
        with atomic(self.sidecar) as temporary:
            sidecar.write_parquet(temporary)
        write_json(self.stats, self._stats(outcome))
        self._spool.remove()

    def _outcome(self, row: int, answer: Answer) -> dict[str, Any]:
        key = f"{self.number:05d}{row:0{self._digits}d}"
        size = (answer.width, answer.height)
        return dict(zip(OUTCOME, (key, answer.status, answer.reason, *size, *size, answer.sha256), strict=True))

    def _stats(self, outcome: list[dict[str, Any]]) -> dict[str, Any]:
        statuses = Counter(said["status"] for said in outcome)
        now = time.time()
        return {
            "count": len(outcome),
            "successes": statuses["success"],
            "failed_to_download": statuses["failed_to_download"],
            "failed_to_resize": statuses["failed_to_resize"],
            "duration": now - self._began,
            "start_time": self._began,
            "end_time": now,
            "status_dict": dict(Counter(said["error_message"] or said["status"] for said in outcome).most_common()),
        }

    def _finished(self, allow_private: bool) -> Iterator[tuple[int, Kept]]:
        """What the finished shard has of rows that would not be asked for again."""
        with tarfile.open(self.tar) as tar:
            images = {
                member.name.partition(".")[0]: (member.name.partition(".")[2], member.offset_data, member.size)
                for member in tar
                if not member.name.endswith((".txt", ".json"))
            }
        for row, said in enumerate(pl.read_parquet(self.sidecar, columns=list(OUTCOME)).iter_rows(named=True)):
            extension, offset, size = images.get(said["key"], ("", 0, 0))
            if (extension or said["status"] != "success") and not may_pass(said["error_message"], allow_private):
                answer = Answer(said["status"], said["error_message"], extension, said["width"], said["height"], said["sha256"])
                yield row, Kept(answer, self.tar, offset, size)


def _blank() -> bytes:
    member = tarfile.TarInfo()
    member.mode = 0o644
    return member.tobuf(tarfile.USTAR_FORMAT)


_BLANK = _blank()


def _add(tar: IO[bytes], name: str, content: bytes) -> None:
    """Append a member. tarfile would take five times as long for its header, of which only name, size and checksum change."""
    header = bytearray(_BLANK)
    header[: len(name)] = name.encode()
    header[124:135] = b"%011o" % len(content)
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    tar.write(header)
    tar.write(content)
    tar.write(bytes(-len(content) % tarfile.BLOCKSIZE))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """`row` with None for the floats that JSON does not have."""
    return {k: None if isinstance(v, float) and v - v != 0 else v for k, v in row.items()}
