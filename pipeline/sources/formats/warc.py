"""WARC: records one after the other, each a head of named fields, then as many bytes as its Content-Length says, then two line ends.

https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/. The libraries for it end without a word at an empty gzip
member or a lone line end (fastwarc 2.0), return a record that is cut off as if it were whole (fastwarc, warcio 1.8), or give up all that
follows a wrong Content-Length. Here a record that cannot be read is one, with its problem, and the next one is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

MAGIC = b"WARC/"
EXCERPT_BYTES = 4096  # kept of a record that is not read, for the ledger's excerpt
LONGEST_HEAD = 1 << 18  # bytes of the fields of a record

_LINE_ENDS = re.compile(rb"[\r\n]*")
_ZEROS = re.compile(rb"\0*")
_HEAD_END = re.compile(rb"\n\r?\n")
_TYPE_FIELD = re.compile(rb"(?i)\nwarc-type[ \t]*:([^\r\n]*)")
_LENGTH_FIELD = re.compile(rb"(?i)\ncontent-length[ \t]*:([^\r\n]*)")
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_VERSION = re.compile(rb"WARC/\d{1,2}\.\d{1,3}[ \t]*\r?\n")
_NEXT_RECORD = re.compile(rb"\nWARC/\d{1,2}\.\d{1,3}[ \t]*\r?\n[A-Za-z][A-Za-z0-9-]{0,60}:")
_OVERLAP = 100  # bytes: longer than what _NEXT_RECORD matches


class Record(NamedTuple):
    """A record as it stands: `data` is its head, `head_size` bytes, and its block; with a `problem`, only how it begins.

    `start`: its offset in the stream of bytes. `type`: what WARC-Type says, in lower case, "" where that cannot be read.
    """

    start: int
    type: str
    data: memoryview
    head_size: int
    problem: str | None = None


def parse_fields(head: bytes) -> dict[str, str]:
    """Return the fields of a head, after its first line, by their names in lower case. Of fields with one name the first counts."""
    fields: dict[str, str] = {}
    name, value = "", ""
    for line in head.decode("utf-8", "replace").split("\n")[1:]:
        if line[:1] in (" ", "\t"):  # the line goes on
            value = f"{value} {line.strip()}"
        else:
            if name:
                fields.setdefault(name, value)
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
    if name:
        fields.setdefault(name, value)
    return fields


class RecordReader:
    """The records of a stream of bytes, which `read` returns piece by piece and b"" at its end.

    `most`: bytes of the largest record that is read. `is_joined`: the stream holds many records, so that after a record with a wrong
    length the next is looked for in what follows; otherwise what follows is passed over. `trailing_zeros` counts those that the stream
    ends with. What `read` raises, `next` raises after the last record that is whole; a joined stream that ends inside a record is an
    EOFError.
    """

    def __init__(self, read: Callable[[], bytes], most: int, is_joined: bool) -> None:
        self._read, self._most, self._is_joined = read, most, is_joined
        self._buffer, self._at, self._base, self._ended = b"", 0, 0, False
        self._error: Exception | None = None
        self.trailing_zeros = 0

    @property
    def position(self) -> int:
        """Bytes of the stream that are done with."""
        return self._base + self._at

    def skip(self, size: int) -> None:
        """Pass over the first bytes of the stream."""
        self._skip_to(size, False)

    def next(self) -> Record | None:
        """Return the next record, None at the end of the stream."""
        while self._fill(1):
            self._at = _LINE_ENDS.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer):
                return self._skip_zeros() if self._buffer[self._at] == 0 else self._next()
        if self._error is not None:
            raise self._error
        return None

    def _skip_zeros(self) -> Record | None:
        """Pass over zeros; return a record with a problem unless they go on to the end of the stream."""
        start = self.position
        while self._fill(1):
            self._at = _ZEROS.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer):
                return Record(start, "", memoryview(b""), 0, f"{self.position - start:,} zeros are where a record should begin")
        if self._error is not None:
            raise self._error
        self.trailing_zeros = self.position - start
        return None

    def _next(self) -> Record:
        start = self.position
        if not self._fill(len(MAGIC) + 1) and MAGIC.startswith(self._buffer[self._at :]):
            self._raise_at_end()
        head_size = self._find_head() if self._buffer.startswith(MAGIC, self._at) else 0
        if not head_size:
            self._fill(16)
            return self._spoil("", 0, f"no WARC record begins here, but {self._buffer[self._at : self._at + 16]!r}")
        head_end = self._at + head_size
        type_field = _TYPE_FIELD.search(self._buffer, self._at, head_end)
        kind = type_field[1].decode("utf-8", "replace").strip().lower() if type_field else ""
        length_field = _LENGTH_FIELD.search(self._buffer, self._at, head_end)
        length = length_field[1].decode("utf-8", "replace").strip() if length_field else None
        if length is None or not _LENGTH.fullmatch(length):
            return self._spoil(kind, head_size, f"Content-Length is {'missing' if length is None else repr(length[:40])}")
        size = head_size + int(length)
        if size > self._most:
            return self._spoil(
                kind, head_size, f"record of {size:,} bytes, over source.max_document = {self._most:,}", start + size
            )
        if not self._fill(size):
            present = len(self._buffer) - self._at - head_size
            if not (self._is_joined and _NEXT_RECORD.search(self._buffer, self._at + 1)):
                self._raise_at_end()
            return self._spoil(kind, head_size, f"Content-Length is {length}, but only {present:,} bytes follow")
        self._fill(size + 16)
        follows = self._buffer[self._at + size : self._at + size + 16].lstrip(b"\r\n").rstrip(b"\0")
        if not (follows.startswith(MAGIC) or MAGIC.startswith(follows)):
            return self._spoil(kind, head_size, f"Content-Length is {length}, but the record does not end there")
        data = memoryview(self._buffer)[self._at : self._at + size]
        self._at += size
        return Record(start, kind, data, head_size)

    def _find_head(self) -> int:
        """Return the size of the head that begins here, 0 where it has no end. Raises EOFError where a joined stream ends in it."""
        size = 4096
        while True:
            self._fill(size)
            if found := _HEAD_END.search(self._buffer, self._at, self._at + size):
                return found.end() - self._at if _VERSION.match(self._buffer, self._at) else 0
            if self._ended and len(self._buffer) - self._at < LONGEST_HEAD:
                self._raise_at_end()
            if self._ended or size >= LONGEST_HEAD:
                return 0
            size *= 4

    def _raise_at_end(self) -> None:
        """Raise what ended the stream, where it ended inside a record."""
        if self._error is not None or self._is_joined:
            raise self._error or EOFError

    def _spoil(self, kind: str, head_size: int, problem: str, end: int | None = None) -> Record:
        """Pass over a record that cannot be read, up to `end` or to the next one; return it with its problem."""
        start = self.position
        self._fill(EXCERPT_BYTES)
        head_size = head_size if head_size < EXCERPT_BYTES else 0
        excerpt = memoryview(self._buffer[self._at : self._at + EXCERPT_BYTES])
        self._skip_to(end, self._is_joined)
        if end is not None and self.position < end:
            if self._ended and self._at == len(self._buffer):
                self._raise_at_end()
            problem += f"; only {self.position - start:,} are there"
        elif end is None:
            problem += f"; {self.position - start:,} bytes are not read"
        return Record(start, kind, excerpt, head_size, problem)

    def _skip_to(self, end: int | None, is_searching: bool) -> None:
        """Pass over bytes up to position `end`, to the end of the stream or, when searching, to what looks like a record."""
        overlap = _OVERLAP if is_searching else 1
        while self._fill(overlap) or self._fill(1):
            # What begins before `limit` lies in the buffer as a whole, so the answer does not depend on how much was read.
            limit = len(self._buffer) if self._ended else len(self._buffer) - overlap + 1
            limit = limit if end is None else min(limit, end - self._base)
            found = _NEXT_RECORD.search(self._buffer, self._at) if is_searching else None
            if found and found.start() < limit:
                self._at = found.start() + 1
                return
            self._at = limit
            if self.position == end:
                return

    def _fill(self, size: int) -> bool:
        """Read on until `size` bytes lie ready; return whether they do."""
        ready = len(self._buffer) - self._at
        if ready >= size or self._ended:
            return ready >= size
        blocks = [self._buffer[self._at :]] if ready else []
        while ready < size:
            try:
                block = self._read()
            except Exception as error:  # raised once what came before it is used
                self._error, block = error, b""
            if not block:
                self._ended = True
                break
            blocks.append(block)
            ready += len(block)
        self._base, self._at = self._base + self._at, 0
        self._buffer = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return ready >= size
