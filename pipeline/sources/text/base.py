"""Streams of text: what all formats of documents have in common.

A format says how documents are divided (`LINES`, `BLANK_LINES` or a `Divider` of its own) and, where their bytes need parsing, what they
say (`parse`). Resuming, `--limit`, damage and documents that are too large to read are handled here and in `RangeBuffer`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import polars as pl

from filters.kernels import buffers
from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import CutState, Fields, Range, Source
from pipeline.sources.formats.columns import MISFIT
from pipeline.sources.formats.encodings import find_late_encoding
from pipeline.sources.formats.json_values import MisfitError, convert_value
from pipeline.sources.inputs import InputFile, is_url, make_change_error
from pipeline.sources.rows import Rows, Spans
from pipeline.sources.streams import Stream, compression
from pipeline.sources.text.dividers import BLANK_LINES, LINES, NO_SPANS, WHOLE_FILES, Divider, find_documents
from pipeline.sources.text.inputs import find_document_files
from pipeline.sources.text.range_buffer import RangeBuffer
from pipeline.sources.text.sniffing import (
    CARRIAGE_RETURNS,
    EMPTY,
    HEAD_BYTES,
    KNOWN_BY_CONTENT,
    Sniffed,
    has_lone_returns,
    sniff_format,
)

# What documents may come with, whatever their format: `license` and `source` override what the manifest and the input say.
METADATA: dict[str, pl.DataType] = {name: pl.String() for name in ("url", "title", "date", "license", "source")}
_SUSPICIOUS_BYTES = 1_000_000  # one line of that size and nothing else is worth a warning
_UNPACK = {"xz": "xz -dc", "gzip": "gzip -dc", "zstd": "zstd -dc", "bzip2": "bzip2 -dc"}
_MOST_PROBLEMS = 5  # files that are no input, told at once
_LOOK_AT = 100  # files, before work begins
_NEAR = 1 << 16  # bytes that are read at a time where one document is wanted


class DocumentSource(Source):
    """A source of documents, whatever their format. `label`: what messages call the format."""

    modality: ClassVar[str] = "text"
    metadata: ClassVar[Mapping[str, pl.DataType]] = METADATA
    groups_small_files: ClassVar[bool] = True
    label: ClassVar[str] = "text"

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        """Return the input files of paths, globs and URLs. Raises UsageError where their content is not of the format."""
        files = find_document_files(patterns)
        problems: list[str] = []
        for file in pick_local(files):
            try:
                self.check_head(file, read_head(file))
            except UsageError as error:
                problems.append(str(error))
        if problems:
            more = [f"… and {len(problems) - _MOST_PROBLEMS} more files"] if len(problems) > _MOST_PROBLEMS else []
            raise UsageError("\n".join([*problems[:_MOST_PROBLEMS], *more]))
        return files

    def check_head(self, file: InputFile, head: bytes) -> None:
        """Raise UsageError where a file that begins with `head`, uncompressed, is not of this format."""
        sniffed = sniff_format(head)
        if sniffed is not EMPTY and not self.accepts(sniffed, head):
            raise UsageError(explain_mismatch(file, sniffed, self))

    def accepts(self, sniffed: Sniffed, head: bytes) -> bool:
        """Return whether what a file looks like is this format. A format that is not known by content may look like any."""
        return sniffed.name == self.name or self.name not in KNOWN_BY_CONTENT


def pick_local(files: list[InputFile]) -> list[InputFile]:
    """Return some files, all over a list, that can be looked at before work begins; workers look at the others."""
    return [file for file in files[:: max(1, len(files) // _LOOK_AT)] if not is_url(file.url)]


def read_head(file: InputFile) -> bytes:
    """Return the first bytes of a file, uncompressed; fewer where it is damaged."""
    stream, head = Stream(file), b""
    try:
        while len(head) < HEAD_BYTES and (block := stream.read(HEAD_BYTES - len(head))):
            head += block
    except InputError:
        pass  # whoever reads the file says so
    finally:
        stream.close()
    return head


def detect_compression(file: InputFile) -> str | None:
    """Return how a local file is compressed; None where it is not, or is remote."""
    if is_url(file.url):
        return None
    with open(file.url, "rb") as stored:
        return compression(stored.read(8))


def explain_mismatch(file: InputFile, sniffed: Sniffed, source: DocumentSource) -> str:
    """Return a sentence on what a file is instead of what a source reads, and on the command that would be right."""
    name = shlex.quote(file.url)
    if sniffed.name is None:
        advice = sniffed.advice
        if unpack := _UNPACK.get(detect_compression(file) or ""):
            advice = advice.replace(" FILE > ", f" <({unpack} FILE) > ")  # tools for text do not unpack
        return f"{file.url} is {sniffed.label}: {advice.replace('FILE', name)}"
    return (
        f"{file.url} is {sniffed.label}; source.format = {source.name!r} reads {source.label}. Let the format be known by content: "
        f"python -m pipeline.build ja-web --input {name} (or keep this manifest and add --set source.format={sniffed.name})"
    )


class TextSource(DocumentSource):
    """A source of documents in a stream of bytes, compressed or not.

    A subclass names its `divider`. Where its raw bytes need parsing it overrides `parse`, or `parse_all` for speed, and
    lists the columns of `metadata` that these return.
    """

    divider: ClassVar[Divider] = LINES

    def parse(self, document: bytes) -> dict[str, Any]:
        """Return `text` and metadata of a raw document. A ValueError, KeyError or TypeError makes the record unreadable."""
        raise NotImplementedError

    def parse_all(self, raw: Spans, piece: Range, fields: Fields) -> pl.DataFrame | None:
        """Return `text`, `problem` and metadata of the raw documents of a range, or None where a document is its raw bytes.

        Where there is a problem, `text` is what the ledger shows of the record.
        """
        if type(self).parse is TextSource.parse:
            return None
        parsed = [self._parse_one(raw, start, end, fields.keep) for start, end in zip(raw.starts, raw.ends, strict=True)]
        misfits = dict.fromkeys(name for row in parsed for name in row if name.startswith(MISFIT))
        kinds = {**self.metadata, **fields.keep, **dict.fromkeys(misfits, pl.String())}
        schema: dict[str, pl.DataType] = {"text": pl.String(), "problem": pl.String(), **kinds}
        return pl.DataFrame(parsed, schema=schema, strict=False)

    def _parse_one(self, raw: Spans, start: int, end: int, keep: Mapping[str, pl.DataType]) -> dict[str, Any]:
        document = raw.data[start:end].tobytes()
        row: dict[str, Any] = {}  # what could be read, whatever is wrong with the rest
        try:
            parsed = self.parse(document)
            readable = {name: value for name, value in parsed.items() if _is_encodable(value)}
            row = {**readable, **_convert_kept(readable, keep)}
            if not isinstance(parsed["text"], str):
                raise TypeError(f"text is no string but {type(parsed['text']).__name__}")
            for name in parsed.keys() - readable.keys():
                raise ValueError(f"{name} has half a surrogate pair, which is no character")
            return row
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"not a document of the format {self.name}: {type(error).__name__}: {error}"
            # What could not be parsed stands as it came, for the ledger's excerpt.
            return {**row, "text": document.decode("utf-8", "replace"), "problem": problem}

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, bytes | None]]:
        """Cut one input file into ranges of whole documents, beginning at `state.start`.

        Where a range ends depends on the bytes alone: at the last divider within `state.partition` bytes or, where there is none,
        at the first one within `state.max_document`; failing that, the document is passed over.
        """
        stream = Stream(file)
        is_in_place = stream.compression is None and not is_url(file.url)
        buffer = RangeBuffer(self.divider, stream, state)
        ranges, late_returns, late_encoding = 0, False, None
        try:
            buffer.fill(HEAD_BYTES)
            self.check_head(file, bytes(buffer.buffer[:HEAD_BYTES]))
            buffer.skip_to(state.start)
            while state.limit is None or state.limit > 0:
                start, line = buffer.skip_dividers(), buffer.line
                if start is None:
                    break
                body, problem = buffer.take_range()
                records, limit = None, state.limit
                if limit is not None:
                    records = 1 if problem else self._count(body, limit)
                    state.limit = limit - records
                state.consumed, state.reached = stream.raw.position, buffer.offset
                piece = Range(number, start, buffer.offset, buffer.offset - start, line, problem, limit, records, self.name)
                yield piece, None if is_in_place and problem is None else body
                ranges += 1
                if late_encoding is None and self.divider in (LINES, BLANK_LINES) and (found := find_late_encoding(body)):
                    late_encoding = piece.start + found[0], found[1]
                late_returns = late_returns or self.divider is not WHOLE_FILES and has_lone_returns(body)
            if buffer.error is not None:
                state.damage = str(buffer.error)
            elif state.limit is None:
                state.checksum = stream.checksum()
            state.size = buffer.offset
            if ranges == 1 and state.start == 0 and state.limit is None:
                is_suspicious = state.size > _SUSPICIOUS_BYTES or b"\n" in body.strip(b"\r\n")
                if is_suspicious and (problem is not None or self._count(body, 2) == 1):
                    state.warning = self.warn_of_one_document(file, state.size)
            if late_returns:
                returns = (
                    f"{file.url} is in part {CARRIAGE_RETURNS.label}, which divide nothing here. {CARRIAGE_RETURNS.advice}"
                )
                state.warning = "; ".join(filter(None, [state.warning, returns.replace("FILE", shlex.quote(file.url))]))
            if late_encoding is not None:
                at, encoding = late_encoding
                text = f"{file.url} goes on as {encoding.label} from byte {at:,} on, which is not read. {encoding.advice}"
                state.warning = "; ".join(filter(None, [state.warning, text.replace("FILE", shlex.quote(file.url))]))
        finally:
            stream.close()

    def cut_record(self, file: InputFile, number: int, locator: str, state: CutState) -> Iterator[tuple[Range, bytes]]:
        """Cut the range that begins with the document at an offset: a few documents, or one that is too large."""
        start, stream = int(locator), Stream(file)
        state.partition = min(state.partition, _NEAR)
        buffer = RangeBuffer(self.divider, stream, state)
        try:
            if stream.compression is None and not is_url(file.url):
                stream.seek(start)
            else:
                stream.skip_to(start)
            buffer.offset = start
            if buffer.skip_dividers() == start:
                body, problem = buffer.take_range()
                yield Range(number, start, buffer.offset, buffer.offset - start, buffer.line, problem, 1, 1, self.name), body
        finally:
            stream.close()

    def count_bytes_before(self, file: InputFile, locator: str) -> int:
        return int(locator) if detect_compression(file) is not None else 0

    def warn_of_one_document(self, file: InputFile, size: int) -> str | None:
        """Return what to say of a large file that is a single document, if anything."""
        return f"{file.url} has no {self.divider.name} in {size:,} bytes and so is one document"

    def _count(self, body: bytes, most: int) -> int:
        return int(self.divider.documents(np.frombuffer(body, np.uint8), NO_SPANS, NO_SPANS, most))

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        data = np.fromfile(file.url, np.uint8, piece.end - piece.start, offset=piece.start) if body is None else body
        if body is None and len(data) != piece.end - piece.start:
            raise make_change_error(file)
        if piece.problem is not None:
            raw = Spans(data, np.array([0], np.int64), np.array([len(data)], np.int64))
        else:
            raw = find_documents(self.divider, data, 2**62 if piece.limit is None else piece.limit)
        problem = pl.Series("problem", [piece.problem], pl.String).new_from_index(0, len(raw.starts))
        frame = pl.DataFrame([pl.Series("locator", piece.start + raw.starts), problem])
        return Rows(frame, raw) if piece.problem is not None else self.parse_rows(frame, raw, piece, fields)

    def parse_rows(self, frame: pl.DataFrame, raw: Spans, piece: Range, fields: Fields) -> Rows:
        """Return the rows of raw documents; `frame` has their locators."""
        parsed = self.parse_all(raw, piece, fields)
        if parsed is None:
            return Rows(frame, raw)
        text, offsets = buffers(parsed["text"].fill_null(""))
        return Rows(frame.with_columns(parsed.drop("text").get_columns()), Spans(text, offsets[:-1], offsets[1:]))

    def warm(self) -> None:
        find_documents(self.divider, np.frombuffer(b"a\r\n\r\nb", np.uint8), 2)


def _is_encodable(value: Any) -> bool:
    """Return whether a value, where it is a string, is text: half a surrogate pair, which JSON can hold, is none."""
    try:
        return not isinstance(value, str) or value.encode() is not None
    except UnicodeEncodeError:
        return False


def _convert_kept(parsed: Mapping[str, Any], keep: Mapping[str, pl.DataType]) -> dict[str, Any]:
    """Return the values of kept columns in their types; one that does not fit is None, and shown under its name after `MISFIT`."""
    row: dict[str, Any] = {}
    for name in keep.keys() & parsed.keys():
        try:
            row[name] = convert_value(parsed[name], keep[name], name)
        except MisfitError as error:
            row |= {name: None, f"{MISFIT}{name}": error.shown}
    return row
