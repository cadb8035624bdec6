"""Rows: what every source yields, whatever its format. A row says where its content is; nothing here cleans or drops."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.errors import ChangedInputError
from pipeline.sources.values import decode_text

# Columns that say where content, its text and its metadata are; see `Rows`.
CONTENT_POINTERS: dict[str, type[pl.DataType]] = {
    "content_path": pl.String, "content_offset": pl.Int64, "content_size": pl.Int64,
}  # fmt: skip
TEXT_POINTERS: dict[str, type[pl.DataType]] = {"text_offset": pl.Int64, "text_size": pl.Int64}
METADATA_POINTERS: dict[str, type[pl.DataType]] = {"metadata_offset": pl.Int64, "metadata_size": pl.Int64}

BATCH_BYTES, _BATCH = 64 << 20, 256  # encoded content in memory at a time
_OPEN_FILES = 64


class Spans(NamedTuple):
    """Texts as ranges of one buffer: text i is `data[starts[i]:ends[i]]` (uint8, int64, int64)."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


@dataclass
class Rows:
    """The records of a partition, a row each. Close after use.

    `frame` has `locator` (what the record's id ends in: a string, or the number of a byte), `problem` (why the record cannot be read, or
    null) and the metadata columns of its source. Content is one of two things:

    - text: `text[i]`, the bytes of row i, parsed where the format parses
    - an image or a recording, which the frame points to: `content_size` bytes at `content_offset` of the file `content_path`, or else the
      bytes in `content_bytes`. A caption or transcript may stand at `text_offset` `text_size` of the same file, a JSON object of metadata
      at `metadata_offset` `metadata_size`.

    Of text, a kept column whose values do not all fit its type has those, as messages show them, beside it: `MISFIT` and its name.
    `passed_over` counts, by their kind, what else is in the input and is no record, such as the requests in a WARC.
    """

    frame: pl.DataFrame
    text: Spans | None = None
    passed_over: Mapping[str, int] = field(default_factory=dict)
    _open: dict[str, IO[bytes]] = field(default_factory=dict)

    def _file(self, path: str) -> IO[bytes]:
        if path not in self._open:
            if len(self._open) == _OPEN_FILES:  # loose files are one for each row
                self._open.pop(next(iter(self._open))).close()
            try:
                self._open[path] = open(path, "rb", buffering=0)
            except OSError as error:
                raise ChangedInputError(
                    f"{path} cannot be read any more ({error.strerror}); it was there when the build began. "
                    "Put it back, or build from other input."
                ) from None
        return self._open[path]

    def read_at(self, path: str, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset` of a file. Raises ChangedInputError where they are not there (any more)."""
        file = self._file(path).fileno()
        data = os.pread(file, size, offset)
        while 0 < len(data) < size:
            more = os.pread(file, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        if len(data) != size:
            raise ChangedInputError(f"{path} has changed since the build began: run the same command again")
        return data

    def content(self, row: int) -> bytes | None:
        """Return the content of a row as it is stored, None where there is none."""
        path, offset, size = self._pointers[row]
        if path is not None and size is not None:
            return self.read_at(path, offset, size)
        return self.frame["content_bytes"][row] if self._has_bytes else None

    def path(self, row: int) -> Path | None:
        """Return the file of a row's content, where the content is all of it."""
        path, offset, size = self._pointers[row]
        return Path(path) if path is not None and offset == 0 and size == Path(path).stat().st_size else None

    def size(self, row: int) -> int:
        """Return the bytes of the content of a row, 0 where there is none."""
        path, _, size = self._pointers[row]
        if path is not None and size is not None:
            return size
        return len(self.frame["content_bytes"][row] or b"") if self._has_bytes else 0

    def contents(self, rows: list[int]) -> pa.Array:
        """Return the content of rows as one binary array; what stands in files is read into its place at once."""
        pointers = [self._pointers[row] for row in rows]
        if self._has_bytes or any(path is None or size is None for path, _, size in pointers):
            return pa.array([self.content(row) for row in rows], pa.binary())
        offsets = np.concatenate([[0], np.cumsum([size for _, _, size in pointers])]).astype(np.int32)
        data = pa.allocate_buffer(int(offsets[-1]))  # from a pool: fresh memory costs as much as reading into it
        view = memoryview(data)
        for (path, at, size), start, end in zip(pointers, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            if os.preadv(self._file(path or "").fileno(), [view[start:end]], at) != size:
                view[start:end] = self.read_at(path or "", at, size or 0)
        return pa.Array.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(offsets), data])

    def texts(self, column: str) -> tuple[pl.DataFrame, int]:
        """Return the frame with what stands at `text_offset` in `column`, and how many of these differ from what the column had."""
        frame = self.frame
        texts, problems = frame[column].to_list(), frame["problem"].to_list()
        differing = 0
        for i, (path, offset, size) in enumerate(frame.select("content_path", "text_offset", "text_size").iter_rows()):
            if offset is None:
                continue
            text, problem = decode_text(self.read_at(path, offset, size), column)
            problems[i] = problem or problems[i]
            differing += texts[i] is not None and texts[i] != text
            texts[i] = text
        return frame.with_columns(pl.Series(column, texts, pl.String), pl.Series("problem", problems, pl.String)), differing

    @cached_property
    def _pointers(self) -> list[tuple[str | None, int, int | None]]:
        return self.frame.select("content_path", "content_offset", "content_size").rows()

    @cached_property
    def _has_bytes(self) -> bool:
        return self.frame["content_bytes"].null_count() < len(self.frame)

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


def concatenate(rows: list[Rows]) -> Rows:
    """Return the rows of several ranges of text as one."""
    if len(rows) == 1:
        return rows[0]
    frame = pl.concat([one.frame for one in rows], how="diagonal_relaxed")
    texts = [one.text for one in rows if one.text is not None]
    bases = np.cumsum([0, *(len(text.data) for text in texts)])
    return Rows(
        frame,
        Spans(
            np.concatenate([text.data for text in texts]),
            np.concatenate([text.starts + base for text, base in zip(texts, bases, strict=False)]),
            np.concatenate([text.ends + base for text, base in zip(texts, bases, strict=False)]),
        ),
        sum((Counter(one.passed_over) for one in rows), Counter()),
    )


def batches(rows: np.ndarray, content: Callable[[int], Any]) -> Iterator[tuple[np.ndarray, list[Any]]]:
    """Yield row numbers and what `content` gives for each, as many at a time as fit in memory: a path takes none."""
    numbers: list[int] = []
    contents: list[Any] = []
    size = 0
    for row in rows.tolist():
        one = content(row)
        numbers.append(row)
        contents.append(one)
        size += len(one) if isinstance(one, bytes) else 0
        if size >= BATCH_BYTES or len(numbers) == _BATCH:
            yield np.array(numbers), contents
            numbers, contents, size = [], [], 0
    if numbers:
        yield np.array(numbers), contents
