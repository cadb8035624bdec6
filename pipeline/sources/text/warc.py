"""WARC, as web crawls are published, and WET, the same with pages as text.

A locator is the UUID of the record's WARC-Record-ID or, where it has none, the offset of its gzip member in the file as stored.
"""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import polars as pl

from pipeline.sources.base import CutState, Fields, Range, Source
from pipeline.sources.formats.warc import MAGIC, Record, parse_fields
from pipeline.sources.inputs import InputFile
from pipeline.sources.rows import Rows, Spans
from pipeline.sources.text.warc_pages import RECORDS, Page, read_page
from pipeline.sources.text.warc_walk import MOST_RECORDS, Unit, Walk
from pipeline.sources.values import make_printable

_LONGEST_ID = 200  # characters of a WARC-Record-ID that is taken for a locator
_INDEX = {"locator": pl.String, "type": pl.String, "start": pl.Int64, "block": pl.Int64, "end": pl.Int64, "problem": pl.String}
_FOOTER = struct.Struct("<qq")  # size of the index, bytes of the largest page

# Standard columns, and the fields of a record that they are.
_METADATA = {"url": "warc-target-uri", "date": "warc-date"}


class WARCSource(Source):
    """Pages of WARC files: the bodies of HTTP responses, resources, and conversions (WET)."""

    name: ClassVar[str] = "warc"
    modality: ClassVar[str] = "text"
    label: ClassVar[str] = "WARC"

    @classmethod
    def sniff(cls, head: bytes) -> bool:
        return head.lstrip(b"\r\n").startswith(MAGIC)

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, bytes]]:
        """Cut one input file into ranges of whole gzip members, or of whole records where these are not compressed each alone.

        `start` and `end` of a range are as `Walk` counts them; its body is what `_pack` makes. Records that are no pages are counted, not
        kept.
        """
        walk = Walk(file, state.start, state.max_document)
        pending, passed_over = _Pending(), Counter[str]()
        start = state.start
        try:
            for unit in walk.units() if state.limit is None or state.limit > 0 else ():
                if len(pending.index) + len(unit.records) > MOST_RECORDS and pending.index:
                    yield self._range(pending, number, start, last, state, walk)
                    pending, start = _Pending(), last
                passed_over.update(pending.add(unit, state.limit))
                last = unit.end
                is_enough = state.limit is not None and len(pending.index) >= state.limit
                if pending.size >= state.partition or is_enough:
                    yield self._range(pending, number, start, last, state, walk)
                    pending, start = _Pending(), last
                if is_enough:
                    break
            if pending.index:
                yield self._range(pending, number, start, last, state, walk)
            state.damage, state.size = walk.damage, walk.size
            if walk.stream is not None and walk.damage is None and state.limit is None:
                state.checksum = walk.stream.checksum()
            if passed_over:
                counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(passed_over.items()))
                state.warning = f"{file.url}: records that are no pages were passed over: {counts}"
        finally:
            if walk.stream is not None:
                walk.stream.close()

    def _range(self, pending: _Pending, number: int, start: int, end: int, state: CutState, walk: Walk) -> tuple[Range, bytes]:
        count = len(pending.index)
        if state.limit is not None:
            state.limit -= count
        if walk.stream is not None:
            state.consumed = walk.stream.raw.position
        state.reached += pending.size
        made = Range(number, start, end, pending.size, records=count, format=self.name)
        return made, pending.pack(state.max_document)

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        assert body is not None, "cut gives the bytes"
        data = memoryview(np.ascontiguousarray(body))
        index_size, most = _FOOTER.unpack(data[-_FOOTER.size :])
        index = pl.read_ipc(io.BytesIO(data[-_FOOTER.size - index_size : -_FOOTER.size]))
        kept = {name: _find_field(name) for name in fields.keep}
        columns: dict[str, list[Any]] = {name: [] for name in ("locator", "problem", *_METADATA, "media_type", "charset", *kept)}
        spans = np.empty((len(index), 2), np.int64)
        decoded: list[bytes] = []
        reached = len(data)  # decoded pages go behind the body
        for row, (locator, kind, start, block, end, problem) in enumerate(index.iter_rows()):
            said = parse_fields(bytes(data[start:block]))
            page = Page(data[block:end], problem) if problem else read_page(kind, said, data[block:end], most)
            if isinstance(page.content, bytes):
                decoded.append(page.content)
                spans[row] = reached, reached + len(page.content)
                reached += len(page.content)
            else:
                spans[row] = end - len(page.content), end
            columns["locator"].append(_locator(said) or locator)
            columns["problem"].append(page.problem)
            for name, field in _METADATA.items():
                columns[name].append(said.get(field, "").strip("<>") or None)
            columns["media_type"].append(page.media_type)
            columns["charset"].append(page.charset)
            for name, names in kept.items():
                columns[name].append(next((said[n] for n in names if n in said), None))
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String), strict=False)
        frame = frame.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in fields.keep.items() if name in kept)
        text = np.frombuffer(b"".join([data, *decoded]), np.uint8) if decoded else np.frombuffer(data, np.uint8)
        return Rows(frame, Spans(text, spans[:, 0].copy(), spans[:, 1].copy()))


class _Pending:
    """Pages on their way into a range, as they stand in the WARC, and their index."""

    def __init__(self) -> None:
        self.index: list[tuple[Any, ...]] = []
        self.size = 0
        self._data: list[memoryview] = []

    def add(self, unit: Unit, limit: int | None) -> Iterator[str]:
        """Take the pages of a unit, and records with a problem, up to `limit` in all; yield the types of the other records."""
        for record, locator in zip(unit.records, unit.locators, strict=True):
            if record.problem is None and record.type not in RECORDS:
                yield record.type if record.type in _OTHER_TYPES else "unknown"
            elif limit is None or len(self.index) < limit:
                self._add(record, locator)

    def _add(self, record: Record, locator: str) -> None:
        end = self.size + len(record.data)
        self.index.append((locator, record.type, self.size, self.size + record.head_size, end, record.problem))
        self._data.append(record.data)
        self.size = end

    def pack(self, most: int) -> bytes:
        """Return the pages one after the other, the index of them as Arrow IPC, and where that begins."""
        index = io.BytesIO()
        pl.DataFrame(self.index, schema=_INDEX, orient="row").write_ipc(index, compression="uncompressed")
        return b"".join([*self._data, index.getbuffer(), _FOOTER.pack(index.tell(), most)])


_OTHER_TYPES = ("warcinfo", "request", "metadata", "revisit", "continuation")


def _locator(fields: dict[str, str]) -> str | None:
    """Return the UUID in WARC-Record-ID, or all of it where that is none."""
    name = fields.get("warc-record-id", "").strip("<> ").removeprefix("urn:uuid:")
    return make_printable(name) if 0 < len(name) <= _LONGEST_ID else None


def _find_field(name: str) -> tuple[str, str]:
    """Return the names that the field of a kept column may have: `truncated` is WARC-Truncated."""
    field = name.lower().replace("_", "-")
    return f"warc-{field}", field
