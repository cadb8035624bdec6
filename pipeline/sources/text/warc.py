"""WARC, as web crawls are published, and WET, the same with the text of pages.

A locator is the UUID of the record's WARC-Record-ID or, where it has none or one that was seen in its range already, the offset of its
gzip member in the file as stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import polars as pl

from pipeline.core.errors import UsageError
from pipeline.core.names import make_printable
from pipeline.sources.base import CutState, Fields, Range
from pipeline.sources.formats.columns import MISFIT
from pipeline.sources.formats.warc import parse_fields
from pipeline.sources.inputs import InputFile
from pipeline.sources.rows import Rows, Spans
from pipeline.sources.text.base import METADATA, DocumentSource, pick_local, read_head
from pipeline.sources.text.conversions import convert_column
from pipeline.sources.text.warc_pages import Page, read_page
from pipeline.sources.text.warc_records import PackedRecords, Pages
from pipeline.sources.text.warc_walk import MOST_RECORDS, Walk

_LONGEST_ID = 200  # characters of a WARC-Record-ID that is taken for a locator
# Fields of WARC 1.1 that can be kept, and those of Common Crawl.
_FIELDS = (
    "block-digest", "concurrent-to", "filename", "identified-content-language", "identified-payload-type", "ip-address",
    "payload-digest", "record-id", "refers-to", "segment-number", "target-uri", "truncated", "type", "warcinfo-id",
)  # fmt: skip
_COLUMNS = {"url": "warc-target-uri", "date": "warc-date"}  # fields of a record that are columns by another name


class WARCSource(DocumentSource):
    """Pages of WARC files: the bodies of HTTP responses, resources, and conversions (WET).

    `source.keep` may name any field of a record: `truncated` is WARC-Truncated, `identified_content_language` the languages that Common
    Crawl found.
    """

    name: ClassVar[str] = "warc"
    label: ClassVar[str] = "WARC"
    any_column: ClassVar[bool] = True
    keep: ClassVar[tuple[str, ...]] = ("url", "title", "date")

    def check_fields(self, files: list[InputFile], fields: Fields) -> None:
        unusual = [name for name in fields.keep if name not in METADATA and _field_names(name)[1] not in _FIELDS]
        heads = b"".join(read_head(file).lower() for file in pick_local(files)) if unusual else b""
        for name in unusual:
            if not any(f"\n{field}:".encode() in heads for field in _field_names(name)):
                known = ", ".join(field.replace("-", "_") for field in _FIELDS)
                raise UsageError(
                    f"source.keep = {name!r}: records have no field {_field_names(name)[0].upper()}. Known: {known}"
                )

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, bytes]]:
        """Cut one input file into ranges of whole gzip members, or of whole records where these are not compressed each alone.

        `start` and `end` of a range are as `Walk` counts them; its body is what `Pages` packs. Records after the last page of a range
        that are no pages belong to it, too, so that every one is counted.
        """
        walk = Walk(file, state.start, state.max_document)
        pages, start = Pages(), state.start
        end = start
        try:
            for unit in walk.units() if state.limit is None or state.limit > 0 else ():
                added = pages.select(unit)
                is_full = pages.size >= state.partition or pages.count + len(added) > MOST_RECORDS
                if added and pages.count and is_full:
                    yield self._range(pages, number, start, end, state, walk)
                    pages, start = Pages(), end
                pages.add(unit, added[: state.limit])
                end = unit.end
                if state.limit is not None and pages.count >= state.limit:
                    break
            if pages.count:
                yield self._range(pages, number, start, end, state, walk)
            elif walk.damage is None and state.start == 0 and pages.passed_over:
                state.warning = f"{file.url} has no pages: {pages.describe_passed_over()}"
            state.damage, state.size = walk.damage, walk.size
            if walk.damage is None and state.limit is None:
                state.checksum = walk.checksum()
        finally:
            walk.close()

    def _range(self, pages: Pages, number: int, start: int, end: int, state: CutState, walk: Walk) -> tuple[Range, bytes]:
        if state.limit is not None:
            state.limit -= pages.count
        state.consumed, state.reached = walk.consumed, state.reached + pages.size
        made = Range(number, start, end, pages.size, records=pages.count, format=self.name)
        return made, pages.pack(state.max_document)

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        assert body is not None, "cut gives the bytes"
        packed = PackedRecords(body)
        kept = {name: _field_names(name) for name in fields.keep if name not in METADATA}
        columns: dict[str, list[Any]] = {name: [] for name in ("locator", "problem", *_COLUMNS, "media_type", "charset", *kept)}
        spans = np.empty((len(packed.index), 2), np.int64)
        decoded: list[bytes] = []
        names: set[str] = set()
        reached = len(packed.data)  # what was decoded goes behind what was not
        for row, (locator, kind, start, block, end, problem) in enumerate(packed.index.iter_rows()):
            said = parse_fields(bytes(packed.data[start:block]))
            content = packed.data[block:end]
            page = Page(content, problem) if problem else read_page(kind, said, content, packed.most)
            if isinstance(page.content, bytes):
                decoded.append(page.content)
                spans[row] = reached, reached + len(page.content)
                reached += len(page.content)
            else:
                spans[row] = end - len(page.content), end
            name = _record_id(said) or locator
            values = (
                locator if name in names else name,  # ids of a crawl are not always unique
                page.problem,
                *(said.get(f, "").strip("<>") or None for f in _COLUMNS.values()),
            )
            more = (next((said[field] for field in fields_ if field in said), None) for fields_ in kept.values())
            names.add(name)
            for column, value in zip(columns.values(), (*values, page.media_type, page.charset, *more), strict=True):
                column.append(value)
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String), strict=False)
        for name in kept:
            converted, misfits = convert_column(frame[name], fields.keep[name])
            frame = frame.with_columns(converted, misfits.alias(f"{MISFIT}{name}"))
        text = np.frombuffer(b"".join([packed.data, *decoded]) if decoded else packed.data, np.uint8)
        return Rows(frame, Spans(text, spans[:, 0].copy(), spans[:, 1].copy()), packed.passed_over)


def _record_id(fields: dict[str, str]) -> str | None:
    """Return the UUID in WARC-Record-ID, or all of it where that is none."""
    name = fields.get("warc-record-id", "").strip("<> ").removeprefix("urn:uuid:")
    return make_printable(name) if 0 < len(name) <= _LONGEST_ID else None


def _field_names(column: str) -> tuple[str, str]:
    """Return the fields that a kept column may be."""
    field = column.lower().replace("_", "-")
    return f"warc-{field}", field
