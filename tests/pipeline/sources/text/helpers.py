"""What tests of sources of documents share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.sources.base import CutState, Fields, Range, Source
from pipeline.sources.inputs import InputFile, resolve
from pipeline.sources.rows import Rows
from pipeline.sources.text import range_buffer


@dataclass
class Read:
    """What a source made of an input file: its ranges, the rows of each as dictionaries with `text`, and the state of cutting."""

    ranges: list[Range]
    rows_by_range: list[list[dict[str, Any]]]
    state: CutState

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for rows in self.rows_by_range for row in rows]

    def texts(self) -> list[str]:
        return [row["text"] for row in self.rows]

    def problems(self) -> dict[Any, str]:
        return {row["locator"]: row["problem"] for row in self.rows if row["problem"]}


def cut_in_chunks(
    source: Source, path: Path, raw: bytes, partition: int = 32_000_000, chunk: int = range_buffer.CHUNK, **options: Any
) -> tuple[list[Range], list[Rows], CutState]:
    """Write bytes to a file, cut it as input 3, reading `chunk` bytes at a time, and read all ranges."""
    path.write_bytes(raw)
    file = resolve([str(path)])[0]
    state = CutState(partition, options.pop("max_document", 64_000_000), **options)
    ranges, rows = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_buffer, "CHUNK", chunk)
        for piece, body in source.cut(file, 3, state):
            # The bytes of a file that is not compressed stay in it.
            array = None if body is None else np.frombuffer(body, np.uint8)
            ranges.append(piece)
            rows.append(source.read(piece, file, array, Fields()))
    return ranges, rows, state


def read_all(source: Source, file: InputFile, fields: Fields | None = None, partition: int = 32_000_000, **state: Any) -> Read:
    """Cut an input file and read all its ranges."""
    fields = fields or Fields()
    cut = CutState(partition, **{"max_document": 64_000_000, "columns": fields.columns, **state})
    ranges, rows_by_range = [], []
    for piece, body in source.cut(file, 0, cut):
        ranges.append(piece)
        array = None if body is None else np.frombuffer(body, np.uint8)
        rows_by_range.append(read_range(source, piece, file, fields, array))
    return Read(ranges, rows_by_range, cut)


def read_range(
    source: Source, piece: Range, file: InputFile, fields: Fields, body: np.ndarray | None = None
) -> list[dict[str, Any]]:
    rows = source.read(piece, file, body, fields)
    assert rows.text is not None
    texts = [
        rows.text.data[a:b].tobytes().decode("utf-8", "replace") for a, b in zip(rows.text.starts, rows.text.ends, strict=True)
    ]
    return [row | {"text": text} for row, text in zip(rows.frame.to_dicts(), texts, strict=True)]


def check_resuming(source: Source, file: InputFile, read: Read, fields: Fields | None = None, **options: Any) -> None:
    """Assert that cutting goes on after the first, the middle and the last range as if it had not stopped."""
    for done in {min(1, len(read.ranges)), len(read.ranges) // 2, len(read.ranges)} - {0}:
        rest = read_all(source, file, fields, start=read.ranges[done - 1].end, **options)
        assert rest.ranges == read.ranges[done:]
        assert rest.rows_by_range == read.rows_by_range[done:]
