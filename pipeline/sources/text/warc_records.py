"""The records of a range on their way from `cut` to `read`: as they stand in the WARC, one after the other, then an index of them."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.sources.formats.warc import Record
from pipeline.sources.text.warc_pages import RECORDS
from pipeline.sources.text.warc_walk import Unit

# A record begins at `start`; its block lies from `block` to `end`.
_INDEX = {"locator": pl.String, "type": pl.String, "start": pl.Int64, "block": pl.Int64, "end": pl.Int64, "problem": pl.String}
_OTHER_TYPES = ("warcinfo", "request", "metadata", "revisit", "continuation")
_LENGTH_BYTES = 8


class Pages:
    """The records of a range that are pages or cannot be read. `passed_over` counts the others by their type."""

    def __init__(self) -> None:
        self.size = 0  # bytes
        self.passed_over: Counter[str] = Counter()
        self._index: list[tuple[Any, ...]] = []
        self._data: list[memoryview] = []

    @property
    def count(self) -> int:
        return len(self._index)

    def select(self, unit: Unit) -> list[tuple[Record, str]]:
        """Return the records of a unit that belong in a range, each with its locator."""
        records = zip(unit.records, unit.locators, strict=True)
        return [(record, locator) for record, locator in records if record.problem or record.type in RECORDS]

    def add(self, unit: Unit, selected: Sequence[tuple[Record, str]]) -> None:
        """Add what was selected of a unit, and count its other records."""
        for record, locator in selected:
            end = self.size + len(record.data)
            self._index.append((locator, record.type, self.size, self.size + record.head_size, end, record.problem))
            self._data.append(record.data)
            self.size = end
        for record in unit.records:
            if not (record.problem or record.type in RECORDS):
                self.passed_over[record.type if record.type in _OTHER_TYPES else "unknown"] += 1

    def describe_passed_over(self) -> str:
        return ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.passed_over.items()))

    def pack(self, most: int) -> bytes:
        """Return the records and their index. `most`: bytes of the largest page that is read."""
        index = io.BytesIO()
        pl.DataFrame(self._index, schema=_INDEX, orient="row").write_ipc(index, compression="uncompressed")
        about = json.dumps(
            {"index": index.tell(), "most": most, "passed_over": dict(sorted(self.passed_over.items()))}
        ).encode()
        return b"".join([*self._data, index.getbuffer(), about, len(about).to_bytes(_LENGTH_BYTES, "little")])


class PackedRecords:
    """What `Pages` packed: `data` with the records, and the `index` of them."""

    def __init__(self, body: np.ndarray) -> None:
        view = np.ascontiguousarray(body).data
        end = len(view) - _LENGTH_BYTES
        size = int.from_bytes(view[end:], "little")
        about = json.loads(bytes(view[end - size : end]))
        end -= size
        self.most: int = about["most"]
        self.passed_over: dict[str, int] = about["passed_over"]
        self.data = view[: end - about["index"]]
        self.index = pl.read_ipc(io.BytesIO(view[end - about["index"] : end]))
