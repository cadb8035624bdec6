"""Records whose content (an image, a recording) stays where it is: rows point to it, and workers read the bytes.

A source yields frames of rows, and `PointerSource` cuts them into ranges; cutting can be resumed after any of them. Bytes are copied
into a row only where the input is remote or compressed.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.base import CutState, Fields, Range, Source
from pipeline.sources.inputs import InputFile, is_url, make_change_error
from pipeline.sources.rows import CONTENT_POINTERS, METADATA_POINTERS, TEXT_POINTERS, Rows
from pipeline.sources.streams import CHUNK, Stream, compression

MOST_ROWS = 20_000  # in a range
LONGEST_TEXT = 10_000_000  # bytes of a caption, a transcript or metadata; a longer one is not read

_POINTERS = CONTENT_POINTERS | TEXT_POINTERS | METADATA_POINTERS


@dataclass(frozen=True)
class RowKind:
    """What the rows of a source hold.

    `content` and `text` are what messages call them; `text` is the name of the column of texts, too. `shared`: consecutive rows with the
    same content are stretches of it, and its bytes count once.
    """

    content: str
    text: str
    longest_text: int = LONGEST_TEXT
    shared: bool = False


class PointerSource(Source):
    """A source whose rows point to their content. A subclass yields frames of rows."""

    row_kind: ClassVar[RowKind]

    @abstractmethod
    def frames(self, file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
        """Yield the rows of an input file, whose uncompressed bytes (or whose folder) are at `path`, in its order.

        The columns are `locator`, `problem`, the pointers that `Rows` lists, and those of the source. Raises InputError at damage.
        """

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        assert body is not None, "rows travel"
        return Rows(pl.read_ipc(io.BytesIO(body.data)))

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, memoryview]]:
        """Cut the rows of an input file into ranges of about `state.partition` bytes of content, beginning at `state.start`.

        `start` and `end` of a range count the bytes of all content before, plus one for every row. Rows travel as Arrow IPC.
        """
        reached = 0
        pending: list[pl.DataFrame] = []
        weights = np.zeros(0, np.int64)
        previous: tuple[str, int] | None = None
        with _open_input(file, state) as (path, is_permanent):
            frames = self.frames(file, path, state)
            ended = False
            while not ended:
                try:
                    frame = next(frames, None)
                except InputError as error:
                    frame, state.damage = None, state.damage or f"{file.url} {error}"
                ended = frame is None
                if frame is not None and len(frame):
                    frame = _refuse_oversized(frame, state, self.row_kind)
                    weight = _weights(frame, previous, self.row_kind)
                    previous = frame.select("content_path", "content_offset").row(-1)
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
                    count = min(int(np.searchsorted(totals, state.partition)) + 1, MOST_ROWS)
                    if count > len(weights) and not ended:
                        break
                    count = min(count, len(weights))
                    table, size = pl.concat(pending), int(totals[count - 1])
                    part = table[:count]
                    if not is_permanent and (part["content_path"] == str(path)).any():
                        part = _inline_content(part, self.row_kind)
                    out = io.BytesIO()
                    part.write_ipc(out, compression="uncompressed")
                    yield (
                        Range(number, state.start, state.start + size, size, records=len(part), format=self.name),
                        out.getbuffer(),
                    )
                    state.start += size
                    pending, weights = [table[count:]], weights[count:]
                    if state.limit is not None:
                        state.limit -= count
            state.size = reached


@contextmanager
def open_local(file: InputFile, state: CutState) -> Iterator[tuple[Path, bool]]:
    """Yield a file with the uncompressed bytes of an input, and whether it is permanent. Set `state.checksum`, or `state.damage`."""
    if not is_url(file.url):
        with open(file.url, "rb") as opened:
            plain = compression(opened.read(8)) is None
        if plain:
            with hash_in_background(file, state):
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
def hash_in_background(file: InputFile, state: CutState) -> Iterator[None]:
    """Set the checksum of a local file when the block ends, unless only some records are wanted. It is computed meanwhile.

    Raises ChangedInputError where the file had another size than the build began with.
    """
    stop = threading.Event()

    def digest() -> str:
        sha256, buffer, total = hashlib.sha256(), memoryview(bytearray(1 << 20)), 0
        with open(file.url, "rb", buffering=0) as opened:
            while (size := opened.readinto(buffer)) and not stop.is_set():
                sha256.update(buffer[:size])
                total += size
        if file.size not in (None, total) and not stop.is_set():
            raise make_change_error(file, f"from {file.size:,} to {total:,} bytes")
        return sha256.hexdigest()

    with ThreadPoolExecutor(1) as executor:
        checksum = executor.submit(digest)
        try:
            yield
            if state.limit is None:
                state.checksum = checksum.result()
        finally:
            stop.set()


@contextmanager
def _open_input(file: InputFile, state: CutState) -> Iterator[tuple[Path, bool]]:
    if not is_url(file.url) and Path(file.url).is_dir():
        state.checksum = None
        yield Path(file.url), True
        return
    with open_local(file, state) as opened:
        yield opened


def add_warnings(state: CutState, warnings: list[str]) -> None:
    """Add to the warning about an input file."""
    state.warning = "; ".join([*([state.warning] if state.warning else []), *warnings]) or None


def _refuse_oversized(frame: pl.DataFrame, state: CutState, kind: RowKind) -> pl.DataFrame:
    """Replace pointers to what is too large to be read by a problem."""
    size = pl.coalesce(pl.col("content_size"), pl.col("content_bytes").bin.size().cast(pl.Int64))
    large = size > state.max_document
    content_problem = pl.format(f"{kind.content} of {{}} bytes, over source.max_document = {state.max_document}", size)
    length = pl.coalesce("text_size", pl.col(kind.text).str.len_bytes().cast(pl.Int64))
    long = (length > kind.longest_text).fill_null(False)
    text_problem = pl.format(f"{kind.text} of {{}} bytes, over {kind.longest_text}", length)
    problem = pl.coalesce("problem", pl.when(large).then(content_problem), pl.when(long).then(text_problem))
    # Texts and metadata are read even where there is no content.
    meta = (
        [pl.when(pl.col("metadata_size") <= kind.longest_text).then("metadata_offset").alias("metadata_offset")]
        if "metadata_offset" in frame.columns
        else []
    )
    return frame.with_columns(
        *(pl.when(problem.is_null()).then(name).alias(name) for name in ("content_offset", "content_size", "content_bytes")),
        *(pl.when(~long).then(name).alias(name) for name in ("text_offset", kind.text)),
        *meta,
        problem=problem,
    )


def _inline_content(frame: pl.DataFrame, kind: RowKind) -> pl.DataFrame:
    """Return the rows with their content, texts and metadata (in a column `metadata_bytes`) in them, for a file that does not stay."""
    rows = Rows(frame)
    try:
        with_texts, _ = rows.texts(kind.text)
        columns = [pl.Series("content_bytes", [rows.content(i) for i in range(len(frame))], pl.Binary)]
        if "metadata_offset" in frame.columns:
            places = frame.select("content_path", "metadata_offset", "metadata_size").iter_rows()
            metas = [None if at is None else rows.read_at(place, at, size) for place, at, size in places]
            columns.append(pl.Series("metadata_bytes", metas, pl.Binary))
    finally:
        rows.close()
    no_pointers = [pl.lit(None, dtype).alias(name) for name, dtype in frame.schema.items() if name in _POINTERS]
    return with_texts.with_columns(*no_pointers, *columns)


def _weights(frame: pl.DataFrame, previous: tuple[str, int] | None, kind: RowKind) -> np.ndarray:
    """Return the bytes of content of every row, and one for the row itself. `previous` points to the content of the row before."""
    size = pl.coalesce("content_size", pl.col("content_bytes").bin.size().cast(pl.Int64)).fill_null(0)
    if kind.shared:
        place, at = previous or (None, None)
        same = (pl.col("content_path") == pl.col("content_path").shift(1, fill_value=pl.lit(place, pl.String))) & (
            pl.col("content_offset") == pl.col("content_offset").shift(1, fill_value=pl.lit(at, pl.Int64))
        )
        size = pl.when(same.fill_null(False)).then(0).otherwise(size)
    return frame.select(size + 1).to_series().to_numpy()
