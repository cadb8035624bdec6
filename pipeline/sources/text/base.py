"""Streams of text: the one place that cuts them into partitions, whatever the format.

A format says how documents are divided (`LINES`, `BLANK_LINES` or a `Divider` of its own) and, where their bytes need parsing, what they
say (`parse`). Resuming, `--limit`, damage and documents that are too large to read are handled here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from filters.kernels import buffers
from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import CutState, Partition, Source
from pipeline.sources.inputs import InputFile, is_url, resolve
from pipeline.sources.rows import Rows, Spans
from pipeline.sources.streams import CHUNK, Stream
from pipeline.sources.text import blank_lines, lines

MOST_DOCUMENTS = 100_000  # in a partition: memory per document bounds it, too
EXCERPT_BYTES = 4096  # kept of a document that is not read, for the ledger's excerpt
_SUSPICIOUS = 1_000_000  # bytes; one document of that size and nothing else is worth a warning
_NO_SPANS = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Divider:
    """How documents stand in a stream of bytes. The functions are compiled, and take `data` as uint8.

    `first_boundary(data, start, end)`: index after the first divider that lies wholly in `data[start:end]`, or -1. Leading dividers have
    been removed from `data`.
    `last_boundary(data, end)`: index after the last divider that lies wholly in `data[:end]`, or -1.
    `leading(data, end)`: how many bytes of dividers `data[:end]` begins with.
    `documents(data, starts, ends, limit)`: fill the int64 arrays, where they have room, with the documents of `data`; return how many
    there are, at most `limit`.
    `count_at_most(body)`: a quick upper bound on that count, for bytes.
    `width`: bytes of the longest divider, with the line end before it; a divider at the end of the input may lack its last one. `name`: what
    a warning calls it.
    """

    first_boundary: Callable[..., int]
    last_boundary: Callable[..., int]
    leading: Callable[..., int]
    documents: Callable[..., int]
    count_at_most: Callable[[bytes], int]
    width: int
    name: str


BLANK_LINES = Divider(
    blank_lines.first_boundary,
    blank_lines.last_boundary,
    blank_lines.leading,
    blank_lines.documents,
    blank_lines.count_at_most,
    width=3,
    name="empty line",
)
LINES = Divider(
    lines.first_boundary,
    lines.last_boundary,
    blank_lines.leading,
    lines.documents,
    lines.count_at_most,
    width=2,
    name="line end",
)


class TextSource(Source):
    """A source of documents in a stream of bytes, compressed or not.

    A subclass names its `divider`. Where its raw bytes need parsing it overrides `parse`, or `parse_all` for speed, and
    lists the columns of `metadata` that these return.
    """

    modality: ClassVar[str] = "text"
    divider: ClassVar[Divider] = LINES

    def parse(self, document: bytes) -> dict[str, Any]:
        """Return `text` and metadata of a raw document. A ValueError, KeyError or TypeError makes the record unreadable."""
        raise NotImplementedError

    def parse_all(self, raw: Spans) -> pl.DataFrame | None:
        """Return `text`, `problem` and metadata of raw documents, or None where a document is its raw bytes.

        Where there is a problem, `text` is what the ledger shows of the record.
        """
        if type(self).parse is TextSource.parse:
            return None
        parsed = [self._parse_one(raw, start, end) for start, end in zip(raw.starts, raw.ends, strict=True)]
        return pl.DataFrame(parsed, schema={"text": pl.String, "problem": pl.String, **self.metadata})

    def _parse_one(self, raw: Spans, start: int, end: int) -> dict[str, Any]:
        document = raw.data[start:end].tobytes()
        try:
            return self.parse(document)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"not a document of the format {self.name}: {type(error).__name__}: {error}"
            # What could not be parsed stands as it came, for the ledger's excerpt.
            return {"text": document.decode("utf-8", "replace"), "problem": problem}

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        files = resolve(patterns)
        for file in files:
            if not is_url(file.url) and (kind := _binary_kind(Path(file.url))):
                raise UsageError(
                    f"{file.url} is {kind}, not text: source.format = {self.name!r} reads documents as lines of text. "
                    "A manifest whose source.format is image-text (such as laion-ja) reads tars and tables of images"
                )
        return files

    def cut(self, file: InputFile, number: int, first_index: int, state: CutState) -> Iterator[tuple[Partition, bytes]]:
        """Cut one input file into partitions of whole documents, beginning at `state.start`.

        Where a partition ends depends on the bytes alone: at the last divider within `state.partition` bytes or, where there is none,
        at the first one within `state.max_document`; failing that, the document is passed over.
        """
        stream = Stream(file)
        cutter = _Cutter(self.divider, stream, state)
        index = first_index
        try:
            cutter.skip_to(state.start)
            while state.limit is None or state.limit > 0:
                start = cutter.skip_dividers()
                if start is None:
                    break
                body, problem = cutter.take_partition()
                limit = state.limit
                if limit is not None:
                    state.limit = limit - (1 if problem else self._count(body, limit))
                state.consumed, state.reached = stream.raw.position, cutter.offset
                yield Partition(index, number, start, cutter.offset, problem, limit), body
                index += 1
            if cutter.error is not None:
                state.damage = str(cutter.error)
            elif state.limit is None:
                state.checksum = stream.checksum()
            state.size = cutter.offset
            if index == first_index + 1 and state.start == 0 and state.limit is None and state.size > _SUSPICIOUS:
                if problem is not None or self._count(body, 2) == 1:
                    state.warning = self.warn_of_one_document(file, state.size)
        finally:
            stream.close()

    def warn_of_one_document(self, file: InputFile, size: int) -> str:
        """Return what to say of a large file that is a single document."""
        return f"{file.url} has no {self.divider.name} in {size:,} bytes and so is one document"

    def _count(self, body: bytes, most: int) -> int:
        return int(self.divider.documents(np.frombuffer(body, np.uint8), _NO_SPANS, _NO_SPANS, most))

    def read(self, partition: Partition, path: Path) -> Rows:
        data = np.fromfile(path, np.uint8)
        limit = 2**62 if partition.limit is None else partition.limit
        if partition.problem is not None:
            raw = Spans(data, np.array([0], np.int64), np.array([len(data)], np.int64))
        else:
            raw = find_documents(self.divider, data, limit)
        frame = pl.DataFrame({"locator": partition.start + raw.starts}).with_columns(
            problem=pl.lit(partition.problem, pl.String), **{name: pl.lit(None, kind) for name, kind in self.metadata.items()}
        )
        parsed = self.parse_all(raw) if partition.problem is None else None
        if parsed is None:
            return Rows(frame, raw)
        text, offsets = buffers(parsed["text"].fill_null(""))
        return Rows(frame.with_columns(parsed.drop("text").get_columns()), Spans(text, offsets[:-1], offsets[1:]))

    def warm(self) -> None:
        find_documents(self.divider, np.frombuffer(b"a\r\n\r\nb", np.uint8), 2)


def find_documents(divider: Divider, data: np.ndarray, limit: int) -> Spans:
    """Return the first `limit` documents of `data`."""
    count = divider.documents(data, _NO_SPANS, _NO_SPANS, limit)
    spans = Spans(data, np.empty(count, np.int64), np.empty(count, np.int64))
    divider.documents(*spans, limit)
    return spans


class _Cutter:
    """The bytes between what has been cut and what has been read."""

    def __init__(self, divider: Divider, stream: Stream, state: CutState) -> None:
        self.divider, self.stream, self.state = divider, stream, state
        self.buffer, self.offset, self.ended = bytearray(), 0, False
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
            self.drop(min(len(self.buffer), offset - self.offset))

    def drop(self, size: int) -> None:
        del self.buffer[:size]
        self.offset += size

    def skip_dividers(self) -> int | None:
        """Return the offset of the next document, None at the end. The buffer then holds a partition's bytes and one more."""
        while True:
            self.fill(self.state.partition + 1)  # one more, to know whether the partition is the last
            leading = int(self.divider.leading(self.array(), len(self.buffer)))
            if not leading:
                return self.offset if self.buffer else None
            self.drop(leading)

    def take_partition(self) -> tuple[bytes, str | None]:
        """Return the bytes of the next partition or, with the reason, the beginning of a document that cannot be read."""
        if self.ended and len(self.buffer) <= self.state.partition and self.error is None:
            body = self.take(len(self.buffer))
        else:
            end = self._find_end()
            if end is None:
                return self._pass_over()
            body = self.take(end)
        return self._at_most(body, MOST_DOCUMENTS), None

    def _find_end(self) -> int | None:
        """Return where the partition ends in the buffer, or None where its only document is too large or cut off.

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

    def _at_most(self, body: bytes, most: int) -> bytes:
        """Return the first `most` documents of `body`; what follows goes back to the buffer."""
        if len(body) <= most or self.divider.count_at_most(body) <= most:
            return body
        starts, ends = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
        count = self.divider.documents(np.frombuffer(body, np.uint8), starts, ends, most + 1)
        if count <= most:
            return body
        self.give_back(body[int(starts[most]) :])
        return body[: int(starts[most])]

    def _pass_over(self) -> tuple[bytes, str]:
        """Pass over a document that is too large, or that the end of a damaged file cuts off."""
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


def _binary_kind(path: Path) -> str | None:
    """Return what a file is that holds no text as it stands."""
    with open(path, "rb") as file:
        head = file.read(512)
    for magic, kind in ((b"PAR1", "Parquet"), (b"ARROW1", "Arrow"), (b"PK\x03\x04", "a ZIP archive")):
        if head.startswith(magic):
            return kind
    return "a tar" if head[257:262] == b"ustar" else None
