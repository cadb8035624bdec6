"""Records whose content (an image, a recording) stays where it is: rows say where, and bytes are read when they are wanted.

A source gives frames of rows; `cut` makes partitions of them, which can be taken up again after any. Content travels with its row only
where it is not in a local file as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError
from pipeline.sources import CutState, Partition
from pipeline.sources.inputs import InputFile, is_url
from pipeline.sources.streams import CHUNK, Stream, compression
from pipeline.sources.values import decoded

MANY = 20_000  # rows in a partition at most
LONGEST = 10_000_000  # bytes of a text, or of metadata; a longer one is not read
BATCH_BYTES, _BATCH = 64 << 20, 256  # encoded content in memory at a time
_OPEN = 64  # files that are open at a time

_POINTERS = ("place", "at", "size", "text_at", "text_size", "meta_at", "meta_size")


def batches(rows: np.ndarray, content: Callable[[int], Any]) -> Iterator[tuple[np.ndarray, list[Any]]]:
    """Row numbers and what `content` gives for each, as many at a time as fit in memory: a path takes none."""
    numbers: list[int] = []
    found: list[Any] = []
    size = 0
    for row in rows.tolist():
        one = content(row)
        numbers.append(row)
        found.append(one)
        size += len(one) if isinstance(one, bytes) else 0
        if size >= BATCH_BYTES or len(numbers) == _BATCH:
            yield np.array(numbers), found
            numbers, found, size = [], [], 0
    if numbers:
        yield np.array(numbers), found


@dataclass(frozen=True)
class Kind:
    """What the rows of a source hold.

    `content` and `text` are what messages call them, `text` the column of texts, too. `shared`: rows one after the other with the same
    content are stretches of it, and are weighed once.
    """

    content: str
    text: str
    longest: int = LONGEST
    shared: bool = False


@dataclass
class Held:
    """The rows of a partition and access to the bytes they point to. Close after use.

    Every schema of rows has `locator`, `problem` (why there is no content), `place` `at` `size` (content is `size` bytes at `at` of that
    file), or else `blob`, and `text_at` `text_size` (a text may stand at the same place). One with `meta_at` `meta_size` has metadata
    there, too.
    """

    frame: pl.DataFrame
    _open: dict[str, IO[bytes]] = field(default_factory=dict)

    def _file(self, place: str) -> IO[bytes]:
        if place not in self._open:
            if len(self._open) == _OPEN:  # loose files are one for each row
                self._open.pop(next(iter(self._open))).close()
            try:
                self._open[place] = open(place, "rb", buffering=0)
            except OSError as error:
                raise InputError(
                    f"{place} cannot be read any more ({error.strerror}); it was there when the build began. "
                    "Put it back, or build from other input."
                ) from None
        return self._open[place]

    def at(self, place: str, at: int, size: int) -> bytes:
        """`size` bytes at `at` of a file. Raises InputError where they are not there (any more)."""
        file = self._file(place).fileno()
        found = os.pread(file, size, at)
        while 0 < len(found) < size:
            more = os.pread(file, size - len(found), at + len(found))
            if not more:
                break
            found += more
        if len(found) != size:
            raise InputError(f"{place} has changed since the build began: run the same command again")
        return found

    def content(self, row: int) -> bytes | None:
        """The content of a row as it is stored, None where there is none."""
        place, at, size = self._where[row]
        if place is not None and size is not None:
            return self.at(place, at, size)
        return self.frame["blob"][row] if self._inline else None

    def alone(self, row: int) -> Path | None:
        """The file of a row's content, where the content is all of it."""
        place, at, size = self._where[row]
        return Path(place) if place is not None and at == 0 and size == Path(place).stat().st_size else None

    def size(self, row: int) -> int:
        """Bytes of the content of a row, 0 where there is none."""
        place, _, size = self._where[row]
        if place is not None and size is not None:
            return size
        return len(self.frame["blob"][row] or b"") if self._inline else 0

    def contents(self, rows: list[int]) -> pa.Array:
        """The content of rows as one binary array: what stands in files is read to its place at once."""
        if self._inline or any(self._where[row][0] is None or self._where[row][2] is None for row in rows):
            return pa.array([self.content(row) for row in rows], pa.binary())
        offsets = np.concatenate([[0], np.cumsum([self._where[row][2] for row in rows])]).astype(np.int32)
        data = pa.allocate_buffer(int(offsets[-1]))  # from a pool: fresh memory costs as much as reading into it
        view = memoryview(data)
        for row, start, end in zip(rows, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            place, at, size = self._where[row]
            if os.preadv(self._file(place or "").fileno(), [view[start:end]], at) != size:
                view[start:end] = self.at(place or "", at, size or 0)
        return pa.Array.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(offsets), data])

    def texts(self, column: str) -> tuple[pl.DataFrame, int]:
        """The rows with what stands at `text_at` in `column`, and how many texts differ from what the column had."""
        frame = self.frame
        texts, problems = frame[column].to_list(), frame["problem"].to_list()
        differing = 0
        for i, (place, at, size) in enumerate(frame.select("place", "text_at", "text_size").iter_rows()):
            if at is None:
                continue
            text, problem = decoded(self.at(place, at, size), column)
            problems[i] = problem or problems[i]
            differing += texts[i] is not None and texts[i] != text
            texts[i] = text
        return frame.with_columns(pl.Series(column, texts, pl.String), pl.Series("problem", problems, pl.String)), differing

    @cached_property
    def _where(self) -> list[tuple[str | None, int, int | None]]:
        return self.frame.select("place", "at", "size").rows()

    @cached_property
    def _inline(self) -> bool:
        return self.frame["blob"].null_count() < len(self.frame)

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


# -- cut


@contextmanager
def local(file: InputFile, state: CutState) -> Iterator[tuple[Path, bool]]:
    """The uncompressed bytes of an input as a file, and whether they stay there. Sets the checksum, or the damage, in `state`."""
    if not is_url(file.url):
        with open(file.url, "rb") as opened:
            plain = compression(opened.read(8)) is None
        if plain:
            with _hashed(Path(file.url), state):
                yield Path(file.url), True
            return
    stream = Stream(file)
    with tempfile.TemporaryDirectory(prefix="seimai-") as folder:
        path = Path(folder) / "input"
        try:
            with open(path, "wb") as out:
                while block := stream.read(CHUNK):
                    out.write(block)
            state.checksum = stream.checksum()
        except InputError as error:
            state.damage = str(error)
        finally:
            stream.close()
        yield path, False


@contextmanager
def _hashed(path: Path, state: CutState) -> Iterator[None]:
    """Sets the checksum of a file at the end, unless only some records were wanted. It is computed while the file is cut."""
    stop = threading.Event()

    def digest() -> str:
        sha256, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
        with open(path, "rb", buffering=0) as file:
            while (size := file.readinto(buffer)) and not stop.is_set():
                sha256.update(buffer[:size])
        return sha256.hexdigest()

    with ThreadPoolExecutor(1) as beside:
        found = beside.submit(digest)
        try:
            yield
            if state.limit is None:
                state.checksum = found.result()
        finally:
            stop.set()


@contextmanager
def _opened(file: InputFile, state: CutState) -> Iterator[tuple[Path, bool]]:
    if not is_url(file.url) and Path(file.url).is_dir():
        state.checksum = None
        yield Path(file.url), True
        return
    with local(file, state) as found:
        yield found


def warn(state: CutState, warnings: list[str]) -> None:
    """Add to what is said of the file."""
    state.warning = "; ".join([*([state.warning] if state.warning else []), *warnings]) or None


def _checked(frame: pl.DataFrame, state: CutState, kind: Kind) -> pl.DataFrame:
    """`frame` without what is too large to be read."""
    size = pl.coalesce(pl.col("size"), pl.col("blob").bin.size().cast(pl.Int64))
    large = size > state.max_document
    words = pl.format(f"{kind.content} of {{}} bytes, over source.max_document = {state.max_document}", size)
    length = pl.coalesce("text_size", pl.col(kind.text).str.len_bytes().cast(pl.Int64))
    long = (length > kind.longest).fill_null(False)
    text = pl.format(f"{kind.text} of {{}} bytes, over {kind.longest}", length)
    problem = pl.coalesce("problem", pl.when(large).then(words), pl.when(long).then(text))
    # Texts and metadata are read even where there is no content.
    meta = [pl.when(pl.col("meta_size") <= kind.longest).then("meta_at").alias("meta_at")] if "meta_at" in frame.columns else []
    return frame.with_columns(
        *(pl.when(problem.is_null()).then(name).alias(name) for name in ("at", "size", "blob")),
        *(pl.when(~long).then(name).alias(name) for name in ("text_at", kind.text)),
        *meta,
        problem=problem,
    )


def _inlined(frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """`frame` with its content, texts and metadata (in a column `meta`) in it, for a place that will not stay."""
    held = Held(frame)
    try:
        whole, _ = held.texts(kind.text)
        more = [pl.Series("blob", [held.content(i) for i in range(len(frame))], pl.Binary)]
        if "meta_at" in frame.columns:
            places = frame.select("place", "meta_at", "meta_size").iter_rows()
            metas = [None if at is None else held.at(place, at, size) for place, at, size in places]
            more.append(pl.Series("meta", metas, pl.Binary))
    finally:
        held.close()
    gone = [pl.lit(None, dtype).alias(name) for name, dtype in frame.schema.items() if name in _POINTERS]
    return whole.with_columns(*gone, *more)


def _weights(frame: pl.DataFrame, before: tuple[str, int] | None, kind: Kind) -> np.ndarray:
    """Bytes of content of every row, and one for the row itself. `before` is where the content of the row before is."""
    size = pl.coalesce("size", pl.col("blob").bin.size().cast(pl.Int64)).fill_null(0)
    if kind.shared:
        place, at = before or (None, None)
        same = (pl.col("place") == pl.col("place").shift(1, fill_value=pl.lit(place, pl.String))) & (
            pl.col("at") == pl.col("at").shift(1, fill_value=pl.lit(at, pl.Int64))
        )
        size = pl.when(same.fill_null(False)).then(0).otherwise(size)
    return frame.select(size + 1).to_series().to_numpy()


def cut(
    file: InputFile,
    number: int,
    first_index: int,
    state: CutState,
    frames: Callable[[InputFile, Path, CutState], Iterator[pl.DataFrame]],
    kind: Kind,
) -> Iterator[tuple[Partition, bytes | memoryview]]:
    """Cut the rows of an input file into partitions of about `state.partition` bytes of content, beginning at `state.start`.

    `start` and `end` of a partition count the bytes of all content before, plus one for every row. The rows travel as Arrow IPC.
    """
    reached, index = 0, first_index
    pending: list[pl.DataFrame] = []
    weights = np.zeros(0, np.int64)
    before: tuple[str, int] | None = None
    with _opened(file, state) as (path, stays):
        source = frames(file, path, state)
        ended = False
        while not ended:
            try:
                frame = next(source, None)
            except InputError as error:
                frame, state.damage = None, state.damage or f"{file.url} {error}"
            ended = frame is None
            if frame is not None and len(frame):
                frame = _checked(frame, state, kind)
                weight = _weights(frame, before, kind)
                before = frame.select("place", "at").row(-1)
                ends = reached + np.cumsum(weight)
                reached = int(ends[-1])
                last = len(ends)
                first = int(np.searchsorted(ends, state.start, side="right"))
                if state.limit is not None:
                    last = min(last, first + state.limit - len(weights))
                    ended = first + state.limit - len(weights) <= len(ends)
                if first < last:
                    pending.append(frame[first:last])
                    weights = np.concatenate([weights, weight[first:last]])
            while len(weights):
                totals = np.cumsum(weights)
                count = min(int(np.searchsorted(totals, state.partition)) + 1, MANY)
                if count > len(weights) and not ended:
                    break
                count = min(count, len(weights))
                table, size = pl.concat(pending), int(totals[count - 1])
                part = table[:count]
                if not stays and (part["place"] == str(path)).any():
                    part = _inlined(part, kind)
                yield _partition(part, index, number, state, size)
                state.start += size
                index += 1
                pending, weights = [table[count:]], weights[count:]
                if state.limit is not None:
                    state.limit -= count
        state.size = reached


def _partition(frame: pl.DataFrame, index: int, number: int, state: CutState, size: int) -> tuple[Partition, memoryview]:
    out = io.BytesIO()
    frame.write_ipc(out, compression="uncompressed")
    return Partition(index, number, state.start, state.start + size, None, None, len(frame)), out.getbuffer()
