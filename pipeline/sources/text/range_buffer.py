"""Where a stream of text is cut: the bytes of one range after the other, whole documents each."""

from __future__ import annotations

import numpy as np

from pipeline.core.errors import InputError
from pipeline.sources.base import CutState
from pipeline.sources.streams import CHUNK, Stream
from pipeline.sources.text.dividers import Divider

MOST_DOCUMENTS = 100_000  # in a range: memory per document bounds it, too
EXCERPT_BYTES = 4096  # kept of a document that is not read, for the ledger's excerpt


class RangeBuffer:
    """The bytes of a stream between what has been cut into ranges and what has been read.

    `skip_to` where cutting goes on; then, again and again, `skip_dividers` and `take_range`. `offset` counts the bytes that are cut, and
    `line` the line, from 1, that the next of them is in; `error` is the damage at which the stream ended.
    """

    def __init__(self, divider: Divider, stream: Stream, state: CutState) -> None:
        self.divider, self.stream, self.state = divider, stream, state
        self.buffer, self.offset, self.line, self.ended = bytearray(), 0, 1, False
        self.error: InputError | None = None

    def fill(self, size: int) -> None:
        """Read on until the buffer holds `size` bytes, or the stream ends."""
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
        self.drop(size)
        return taken

    def give_back(self, data: bytes) -> None:
        self.buffer[:0] = data
        self.offset -= len(data)
        self.line -= data.count(b"\n")

    def array(self) -> np.ndarray:
        return np.frombuffer(self.buffer, np.uint8)

    def skip_to(self, offset: int) -> None:
        while self.offset < offset and (self.buffer or not self.ended):
            self.fill(min(CHUNK, offset - self.offset))
            self.drop(min(len(self.buffer), offset - self.offset))

    def drop(self, size: int) -> None:
        self.line += self.buffer.count(b"\n", 0, size)
        del self.buffer[:size]
        self.offset += size

    def skip_dividers(self) -> int | None:
        """Return the offset of the next document, None at the end. The buffer then holds a range's bytes and one more."""
        while True:
            self.fill(self.state.partition + 1)  # one more, to know whether the range is the last
            leading = int(self.divider.leading(self.array(), len(self.buffer)))
            if not leading:
                return self.offset if self.buffer else None
            self.drop(leading)

    def take_range(self) -> tuple[bytes, str | None]:
        """Return the bytes of the next range or, with the reason, the beginning of a document that cannot be read."""
        if self.ended and len(self.buffer) <= self.state.partition and self.error is None:
            body = self.take(len(self.buffer))
        else:
            end = self._find_end()
            if end is None:
                return self._skip_document()
            body = self.take(end)
        return self._limit_documents(body, MOST_DOCUMENTS), None

    def _find_end(self) -> int | None:
        """Return where the range ends in the buffer, or None where its only document is too large or cut off.

        The answer must depend on the bytes alone, never on how many of them happen to be in the buffer.
        """
        end = int(self.divider.last_boundary(self.array(), min(len(self.buffer), self.state.partition)))
        reach = max(self.state.partition, self.state.max_document)
        overlap = self.divider.width - 1
        scanned = max(0, self.state.partition - overlap)
        while end < 0:
            size = min(len(self.buffer), reach)
            end = int(self.divider.first_boundary(self.array(), scanned, size))
            if end >= 0 or self.ended or len(self.buffer) > reach:
                break
            scanned = max(0, size - overlap)
            self.fill(min(2 * len(self.buffer), reach + 1))
        if end >= 0:
            return end
        complete = self.ended and self.error is None and len(self.buffer) <= reach
        return len(self.buffer) if complete else None

    def _limit_documents(self, body: bytes, most: int) -> bytes:
        """Return the first `most` documents of `body`; what follows goes back to the buffer."""
        if len(body) <= most or self.divider.count_at_most(body) <= most:
            return body
        starts, ends = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
        count = self.divider.documents(np.frombuffer(body, np.uint8), starts, ends, most + 1)
        if count <= most:
            return body
        self.give_back(body[int(starts[most]) :])
        return body[: int(starts[most])]

    def _skip_document(self) -> tuple[bytes, str]:
        """Skip a document that is too large, or that the end of a damaged file cuts off."""
        start = self.offset
        self.fill(EXCERPT_BYTES)
        head = bytes(self.buffer[:EXCERPT_BYTES])
        while True:
            end = int(self.divider.first_boundary(self.array(), 0, len(self.buffer)))
            if end >= 0:
                self.drop(end)
                break
            if self.ended:
                self.drop(len(self.buffer))
                break
            self.drop(max(0, len(self.buffer) - self.divider.width + 1))
            self.fill(CHUNK)
        size = self.offset - start
        if self.ended and self.error is not None and not self.buffer:
            return head[:size], f"input ends inside this document, {size:,} bytes after its start"
        return head[:size], f"document of {size:,} bytes, over source.max_document = {self.state.max_document:,}"
