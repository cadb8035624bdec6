"""Outcomes of a shard that is being fetched, on disk, so that a killed run loses nothing that it fetched."""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.fetch.outcomes import Outcome

_HEADER = struct.Struct("<4sIII")  # mark, length of the JSON, length of the body, CRC-32 of both
_MARK = b"SPL1"
_MAX_JSON_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """An outcome whose body, the image, is `size` bytes at `offset` of the file `path`."""

    outcome: Outcome  # without body
    path: Path
    offset: int
    size: int


class Spool:
    """An append-only file of outcomes. After a kill it is read again, and a torn record at its end is cut off.

    A record is one outcome and the rows that it is for. `rows_id` says which rows these are; a spool of other rows raises UsageError.
    """

    def __init__(self, path: Path, rows_id: str) -> None:
        self.path, self.rows = path, dict[int, StoredOutcome]()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b", buffering=0)  # unbuffered, so that a full disk is noticed at once
        try:
            self._end = self._recover(rows_id)
            self._file.truncate(self._end)
            if not self._end:
                self._write(json.dumps(rows_id).encode(), b"")
        except BaseException:
            self._file.close()
            raise

    def append(self, rows: list[int], outcome: Outcome) -> None:
        fields = [rows, outcome.status, outcome.reason, outcome.extension, outcome.width, outcome.height, outcome.sha256]
        offset = self._write(json.dumps(fields).encode(), outcome.body)
        self._remember(fields, offset, len(outcome.body))

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, text: bytes, body: bytes) -> int:
        """Append a record; return where its body begins."""
        header = _HEADER.pack(_MARK, len(text), len(body), zlib.crc32(body, zlib.crc32(text)))
        for part in (header + text, body):
            view = memoryview(part)
            while view:  # an unbuffered write may take only some of it
                view = view[self._file.write(view) :]
        offset = self._end + _HEADER.size + len(text)
        self._end = offset + len(body)
        return offset

    def _remember(self, fields: list[Any], offset: int, size: int) -> None:
        rows, *outcome = fields
        self.rows.update(dict.fromkeys(rows, StoredOutcome(Outcome(*outcome), self.path, offset, size)))

    def _recover(self, rows_id: str) -> int:
        """Read the records that are in the file; return where the last complete one ends."""
        self._file.seek(0)
        file_size = os.fstat(self._file.fileno()).st_size
        end = 0
        while len(header := self._file.read(_HEADER.size)) == _HEADER.size:
            mark, length, size, checksum = _HEADER.unpack(header)
            next_end = end + _HEADER.size + length + size
            if mark != _MARK or length > _MAX_JSON_BYTES or next_end > file_size:
                break
            text, body = self._file.read(length), self._file.read(size)
            if zlib.crc32(body, zlib.crc32(text)) != checksum:
                break
            fields = json.loads(text)
            if end:
                self._remember(fields, end + _HEADER.size + length, size)
            elif fields != rows_id:
                raise UsageError(f"{self.path} was begun from another list; choose another --out, or remove that file")
            end = next_end
        return end
