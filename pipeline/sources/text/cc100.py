"""CC-100's wire format: plain text, an empty line between documents, no index.

Lines end with b"\\n" alone (a "\\r" before it belongs to the line end); U+2028, U+0085 and the like end nothing. A line is empty when
there is no byte in it: one that holds only U+3000 is part of its document. Several empty lines separate as one does. The last
document needs no empty line after it. A document's offset is that of its first byte in the uncompressed stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from filters.kernels import jit
from pipeline.core.errors import InputError
from pipeline.sources import CutState, Partition, Records
from pipeline.sources.inputs import InputFile
from pipeline.sources.streams import CHUNK, Stream

MANY = 100_000  # documents in a partition at most
_LONG = 1_000_000  # bytes; one document of that size and nothing else is worth a warning
HEAD = 4096  # bytes kept of a document that is not read, for the ledger's excerpt


@jit
def _first_boundary(data, start, end):
    """Index after the first empty line that begins in `data[start:end]` and is not at the very beginning, or -1."""
    i = start
    while i < end:
        if data[i] == 10:
            if i + 1 < end and data[i + 1] == 10:
                return i + 2
            if i + 2 < end and data[i + 1] == 13 and data[i + 2] == 10:
                return i + 3
        i += 1
    return np.int64(-1)


@jit
def _last_boundary(data, end):
    """Index after the last empty line that ends in `data[:end]`, or -1."""
    i = end - 1
    while i > 0:
        if data[i] == 10 and (data[i - 1] == 10 or data[i - 1] == 13 and i > 1 and data[i - 2] == 10):
            return i + 1
        i -= 1
    return np.int64(-1)


@jit
def _leading_empty(data, end):
    """How many bytes of empty lines `data[:end]` begins with."""
    i = 0
    while i < end:
        if data[i] == 10:
            i += 1
        elif data[i] == 13 and i + 1 < end and data[i + 1] == 10:
            i += 2
        else:
            break
    return i


@jit
def _documents(data, starts, ends, limit):
    """Fill `starts` and `ends` (where they have room) with the documents of `data`; returns how many there are, at most `limit`."""
    n = len(data)
    count = 0
    i = 0
    start = -1  # first byte of the current document
    last = 0  # end of its last line, without line end
    while i < n and count < limit:
        j = i
        while j < n and data[j] != 10:
            j += 1
        end = j
        if end > i and data[end - 1] == 13:
            end -= 1
        if end == i:
            if start >= 0:
                if count < len(starts):
                    starts[count], ends[count] = start, last
                count += 1
                start = -1
        else:
            if start < 0:
                start = i
            last = end
        i = j + 1
    if start >= 0 and count < limit:
        if count < len(starts):
            starts[count], ends[count] = start, last
        count += 1
    return count


_NONE = np.zeros(0, np.int64)


class _Window:
    """The bytes between what has been cut and what has been read."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.buffer, self.offset, self.ended = stream, bytearray(), 0, False
        self.error: InputError | None = None

    def fill(self, size: int) -> None:
        while len(self.buffer) < size and not self.ended:
            try:
                block = self.stream.read(min(CHUNK, size - len(self.buffer)))
            except InputError as error:
                self.error, block = error, b""
            if block:
                self.buffer += block
            else:
                self.ended = True

    def take(self, size: int) -> bytes:
        taken = bytes(memoryview(self.buffer)[:size])
        del self.buffer[:size]
        self.offset += size
        return taken

    def give_back(self, data: bytes) -> None:
        self.buffer[:0] = data
        self.offset -= len(data)

    def array(self) -> np.ndarray:
        return np.frombuffer(self.buffer, np.uint8)

    def skip_to(self, offset: int) -> None:
        while self.offset < offset and not self.ended:
            self.fill(min(CHUNK, offset - self.offset))
            size = min(len(self.buffer), offset - self.offset)
            del self.buffer[:size]
            self.offset += size


def cut(file: InputFile, number: int, first_index: int, state: CutState) -> Iterator[tuple[Partition, bytes]]:
    """Cut one input file into partitions of whole documents, beginning at `state.start`.

    Where a partition ends depends on the bytes alone: at the last empty line within `state.partition` bytes or, where there is
    none, at the first one within `state.max_document`; failing that, the document is passed over. At the end `state` holds size
    and checksum of the file, or the damage that ended it early.
    """
    stream = Stream(file)
    window = _Window(stream)
    try:
        window.skip_to(state.start)
        index = first_index
        while state.limit is None or state.limit > 0:
            window.fill(state.partition + 1)  # one more, to know whether the partition is the last
            empty = int(_leading_empty(window.array(), len(window.buffer)))
            if empty:
                window.take(empty)
                continue
            if not window.buffer:
                break
            start = window.offset
            flaw = None
            if window.ended and len(window.buffer) <= state.partition and window.error is None:
                body = window.take(len(window.buffer))
            else:
                # Found or not must depend on the bytes alone, never on how many of them happen to be in the window.
                end = int(_last_boundary(window.array(), min(len(window.buffer), state.partition)))
                reach = max(state.partition, state.max_document)
                scanned = max(0, state.partition - 2)
                while end < 0:
                    size = min(len(window.buffer), reach)
                    end = int(_first_boundary(window.array(), scanned, size))
                    if end >= 0 or window.ended or len(window.buffer) > reach:
                        break
                    scanned = max(0, size - 2)
                    window.fill(min(2 * len(window.buffer), reach + 1))
                if end >= 0:
                    body = window.take(end)
                elif window.ended and window.error is None and len(window.buffer) <= reach:
                    body = window.take(len(window.buffer))
                else:
                    body, flaw = _beyond(window, state)
            if flaw is None and len(body) > MANY and (spill := _spill(body)):
                window.give_back(body[spill:])
                body = body[:spill]
            limit = None
            if state.limit is not None:
                limit = state.limit
                state.limit -= int(_documents(np.frombuffer(body, np.uint8), _NONE, _NONE, limit)) if flaw is None else 1
            state.consumed, state.reached = stream.raw.position, window.offset
            yield Partition(index, number, start, window.offset, flaw, limit), body
            index += 1
        if window.error is not None:
            state.damage = str(window.error)
        elif state.limit is None:
            state.checksum = stream.checksum()
        state.size = window.offset
        if index == first_index + 1 and state.start == 0 and state.limit is None and state.size > _LONG:
            only = np.frombuffer(body, np.uint8)
            if flaw is not None or _documents(only, _NONE, _NONE, np.int64(2)) == 1:
                state.warning = (
                    f"{file.url} has no empty line in {state.size:,} bytes and so is one document; "
                    "in CC-100's format an empty line separates documents"
                )
    finally:
        stream.close()


def _spill(body: bytes) -> int:
    """Where the document after the first `MANY` begins, or 0: memory per document bounds a partition, too."""
    if body.count(b"\n\n") + body.count(b"\n\r\n") < MANY:
        return 0
    starts, ends = np.empty(MANY + 1, np.int64), np.empty(MANY + 1, np.int64)
    count = _documents(np.frombuffer(body, np.uint8), starts, ends, np.int64(MANY + 1))
    return int(starts[MANY]) if count > MANY else 0


def _beyond(window: _Window, state: CutState) -> tuple[bytes, str]:
    """Pass over a document that is too large, or that the end of a damaged file cuts off; returns its head and the reason."""
    start = window.offset
    window.fill(HEAD)
    head = bytes(window.buffer[:HEAD])
    while True:
        end = int(_first_boundary(window.array(), 0, len(window.buffer)))
        if end >= 0:
            window.take(end)
            break
        if window.ended:
            window.take(len(window.buffer))
            break
        window.take(max(0, len(window.buffer) - 2))
        window.fill(CHUNK)
    size = window.offset - start
    head = head[:size]
    if window.ended and window.error is not None and not window.buffer:
        return head, f"input ends inside this document, {size:,} bytes after its start"
    return head, f"document of {size:,} bytes, over source.max_document = {state.max_document:,}"


def read(partition: Partition, path: Path) -> Records:
    """The documents of a partition's file."""
    data = np.fromfile(path, np.uint8)
    limit = np.int64(2**62 if partition.limit is None else partition.limit)
    if partition.flaw is not None:
        spans = np.array([0], np.int64), np.array([len(data)], np.int64)
    else:
        count = _documents(data, _NONE, _NONE, limit)
        spans = np.empty(count, np.int64), np.empty(count, np.int64)
        _documents(data, *spans, limit)
    return Records(data, *spans, partition.start + spans[0], partition.flaw)


def warm() -> None:
    """Compile the kernels of this source."""
    data = np.frombuffer(b"a\r\n\r\nb", np.uint8)
    _documents(data, _NONE, _NONE, np.int64(2))
