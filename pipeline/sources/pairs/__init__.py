"""Image-text pairs in the forms that they come in, told by content.

- img2dataset's output: tars with a Parquet sidecar (plain WebDataset tars too), or its Parquet mode
- lists of URLs or file names with captions: LAION-5B, WAON and DataComp metadata, CC12M and CC3M TSV, CSV, JSON lines; their images
  are in a folder, `source.images`
- COCO JSON (STAIR Captions), its images in such a folder
- a folder of images with captions beside them
- what `datasets` saves: Parquet or Arrow with an Image feature

`cut` yields rows that say where an image is; images themselves travel only where they are not in a local file as they are.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.errors import InputError, UsageError
from pipeline.sources import CutState, Partition
from pipeline.sources.pairs import img2dataset, rows, tables
from pipeline.sources.pairs.pictures import Pictures, regular_files
from pipeline.sources.pairs.tar import is_tar
from pipeline.sources.stream import CHUNK, InputFile, Stream, compression, is_url, resolve

MANY = 20_000  # rows in a partition at most
_OPEN = 64  # files that are open at a time


@dataclass
class Pairs:
    """The rows of a partition (`pipeline.sources.pairs.rows.SCHEMA`) and access to the bytes they point to. Close after use."""

    frame: pl.DataFrame
    _open: dict[str, IO[bytes]] = field(default_factory=dict)

    def _file(self, place: str) -> IO[bytes]:
        if place not in self._open:
            if len(self._open) == _OPEN:  # loose images have a file each
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

    def image(self, row: int) -> bytes | None:
        """The encoded image of a row, None where there is none."""
        place, at, size = self._where[row]
        if place is not None and size is not None:
            return self.at(place, at, size)
        return self.frame["blob"][row] if self._inline else None

    def images(self, rows: list[int]) -> pa.Array:
        """The encoded images of rows as one binary array: what stands in files is read to its place at once."""
        if self._inline or any(self._where[row][0] is None or self._where[row][2] is None for row in rows):
            return pa.array([self.image(row) for row in rows], pa.binary())
        offsets = np.concatenate([[0], np.cumsum([self._where[row][2] for row in rows])]).astype(np.int32)
        data = pa.allocate_buffer(int(offsets[-1]))  # from a pool: fresh memory costs as much as reading into it
        view = memoryview(data)
        for row, start, end in zip(rows, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            place, at, size = self._where[row]
            if os.preadv(self._file(place or "").fileno(), [view[start:end]], at) != size:
                view[start:end] = self.at(place or "", at, size or 0)
        return pa.Array.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(offsets), data])

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


def inputs(patterns: list[str], images: str | None = None) -> list[InputFile]:
    """The input files of paths, globs, URLs and folders.

    Sidecars and statistics that a glob takes along with their tars are left out; a change of a sidecar, or of the folder of images,
    is a change of its tar.
    """
    if images and not Path(images).is_dir():
        raise UsageError(f"--images {images}: there is no such folder")
    found: list[InputFile] = []
    for pattern in patterns:
        path = Path(pattern)
        found += _folder(path) if not is_url(pattern) and path.is_dir() else resolve([pattern])
    if len({f.url for f in found}) < len(found):
        raise UsageError("an input is given twice")
    tars = {f.url for f in found if f.url.endswith(".tar")}
    many = len(found) > 1
    found = [
        f for f in found if not (many and f.url.endswith("_stats.json")) and f.url.removesuffix(".parquet") + ".tar" not in tars
    ]
    if len({f.name for f in found}) < len(found):
        found = [replace(f, name=_told_apart(f, found)) for f in found]
    identity = _identity(regular_files(Path(images)), Path(images)) if images else None
    return [_with_surroundings(f, identity) for f in found]


_IMAGES = "+images-"  # in an identity, before that of the folder of images


def _told_apart(file: InputFile, among: list[InputFile]) -> str:
    common = os.path.commonprefix([f.url.rsplit("/", 1)[0] + "/" for f in among])
    return file.url[common.rfind("/") + 1 :]


def _with_surroundings(file: InputFile, images: str | None) -> InputFile:
    identity = file.identity
    if not is_url(file.url) and (sidecar := img2dataset.sidecar_of(Path(file.url))) is not None and file.url.endswith(".tar"):
        status = sidecar.stat()
        identity += f"+sidecar-{status.st_size}-{status.st_mtime_ns}"
    if images:
        identity += f"{_IMAGES}{images}"
    return replace(file, identity=identity)


def _folder(folder: Path) -> list[InputFile]:
    """What a folder as an input stands for: its tars, its tables of images, or the images in it."""
    if (folder / "manifest.lock.toml").is_file() and (folder / "data").is_dir():
        folder /= "data"  # a corpus that Seimai built: its shards, not its ledger
    files = regular_files(folder)
    for suffix in (".tar", ".parquet", ".arrow"):
        there = [path for path in files if path.suffix == suffix]
        if there:
            return [replace(resolve([str(path)])[0], name=str(path.relative_to(folder))) for path in there]
    if not any(rows.is_image_name(path.name) for path in files):
        raise UsageError(
            f"{folder} holds neither tars, tables (Parquet, Arrow) nor images; symbolic links in it are not followed, "
            f"but a glob such as '{folder}/*.parquet' takes them"
        )
    if not str(folder.resolve()).isprintable():
        raise UsageError(
            f"--input {str(folder)!r}: ids and reports need a folder name of printable characters; rename the folder"
        )
    size = sum(path.stat().st_size for path in files)
    return [InputFile(folder.resolve().name or "images", str(folder.resolve()), size, _identity(files, folder))]


def _identity(files: list[Path], folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        status = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


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


@lru_cache(maxsize=1)
def _pictures(folder: str, _identity: str) -> Pictures:
    return Pictures(folder)


def _frames(file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    """The rows of an input file, in frames of `rows.SCHEMA`."""
    if path.is_dir():
        yield tables.captions_beside(path, [p for p in regular_files(path) if rows.is_image_name(p.name)])
        return
    with open(path, "rb") as opened:
        head = opened.read(512)
    if not head:
        raise InputError("is empty")
    if is_tar(head) or file.url.endswith(".tar"):
        sidecar = None if is_url(file.url) else img2dataset.sidecar_of(Path(file.url))
        frame, damage, warnings = img2dataset.read(path, sidecar)
        state.damage = state.damage or (f"{file.url} {damage}: {len(frame):,} rows were read" if damage else None)
        _warn(state, [f"{file.url} has {warning}" for warning in warnings])
        yield frame
        return
    claims: dict[str, str] = {}
    if tables.is_coco(path, file.url.split("?")[0].removesuffix(".gz").endswith(".json")):
        annotations = tables.coco(path)
        for at in range(0, len(annotations), tables.BATCH):
            yield _located(annotations[at : at + tables.BATCH], file, state, claims)
        return
    count, seen = 0, set[str]()
    for table in tables.frames(path, state.damage is None, state.columns):
        frame = tables.standard(table, count, seen)
        if not count and not {"blob", "url", "file"} & set(frame.columns):
            named = [name for name in table.columns if name != tables.PROBLEM]
            raise InputError(
                "has no column that Seimai knows: neither images nor url or file_name. "
                f"Its columns: {', '.join(map(repr, named[:20])) or 'none'}. Say which it is: --set source.columns.url=NAME "
                "(or .image, .file_name)"
            )
        if not count and "caption" not in frame.columns:
            columns = ", ".join(map(repr, [name for name in table.columns if name != tables.PROBLEM][:20]))
            _warn(
                state,
                [
                    f"{file.url} has no column of captions: none is named caption, text or alt, but {columns}. Say which it is: "
                    "--set source.columns.caption=NAME"
                ],
            )
        count += len(frame)
        yield _located(frame, file, state, claims)


def _warn(state: CutState, warnings: list[str]) -> None:
    state.warning = "; ".join([*([state.warning] if state.warning else []), *warnings]) or None


def _located(frame: pl.DataFrame, file: InputFile, state: CutState, claims: dict[str, str]) -> pl.DataFrame:
    """`frame` with what says where its images are: in it, or in the folder of images."""
    listed = bool({"url", "file"} & set(frame.columns))
    held = pl.col("blob").is_not_null() if "blob" in frame.columns else pl.lit(False)
    if "blob" in frame.columns and not (listed and state.images and frame["blob"].null_count()):
        name = pl.col("file") if "file" in frame.columns else pl.lit(None, pl.String)
        why = pl.lit("no image: the row has no bytes") + pl.when(name.is_null()).then(pl.lit("")).otherwise(
            pl.lit(", only a path: name the folder of the images with --images")
        )
        frame = frame.with_columns(problem=pl.coalesce("problem", pl.when(~held).then(why)), name=name)
    elif not listed:
        # Some lines of JSON name no image, or none of these lines can be read.
        frame = frame.with_columns(problem=pl.coalesce("problem", pl.lit("no image: the row has neither url nor file_name")))
    elif state.images is None:
        raise tables.needs_images(file.url)
    else:
        pictures = _pictures(state.images, file.identity.rpartition(_IMAGES)[2])
        if not claims:
            claims[""] = ""  # the name of no file: this list has had its warnings
            _warn(state, pictures.warnings if len(pictures) else [*pictures.warnings, f"there is no image in {state.images}"])
        found = pictures.locate(frame.drop("problem"), claims)
        frame = found.with_columns(
            *(pl.when(~held).then(name).alias(name) for name in ("place", "at", "size")),
            problem=pl.coalesce(frame["problem"], pl.when(~held).then("problem")),
        )
    frame = rows.completed(frame)
    return frame.with_columns(rows.all_printable(frame["name"]))


def _checked(frame: pl.DataFrame, state: CutState) -> pl.DataFrame:
    """`frame` without what is too large to be read."""
    size = pl.coalesce(pl.col("size"), pl.col("blob").bin.size().cast(pl.Int64))
    large = size > state.max_document
    words = pl.format("image of {} bytes, over source.max_document = " + str(state.max_document), size)
    length = pl.coalesce("text_size", pl.col("caption").str.len_bytes().cast(pl.Int64))
    long = (length > rows.LONGEST_CAPTION).fill_null(False)
    caption = pl.format("caption of {} bytes, over " + str(rows.LONGEST_CAPTION), length)
    problem = pl.coalesce("problem", pl.when(large).then(words), pl.when(long).then(caption))
    # Captions and metadata are read even where there is no image.
    return frame.with_columns(
        *(pl.when(problem.is_null()).then(name).alias(name) for name in ("at", "size", "blob")),
        *(pl.when(~long).then(name).alias(name) for name in ("text_at", "caption")),
        meta_at=pl.when(pl.col("meta_size") <= rows.LONGEST_CAPTION).then("meta_at"),
        problem=problem,
    )


def _inlined(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with its images, captions and metadata in it, for a place that will not stay."""
    pairs = Pairs(frame)
    try:
        blobs = [pairs.image(i) for i in range(len(frame))]
        texts, problems, metas = [], [], []
        names = ("place", "caption", "problem", "text_at", "text_size", "meta_at", "meta_size")
        for place, text, problem, text_at, text_size, meta_at, meta_size in frame.select(names).iter_rows():
            if text_at is not None:
                text, wrong = rows.decoded(pairs.at(place, text_at, text_size))
                problem = wrong or problem
            texts.append(text)
            problems.append(problem)
            metas.append(None if meta_at is None else pairs.at(place, meta_at, meta_size))
    finally:
        pairs.close()
    gone = [pl.lit(None, kind).alias(name) for name, kind in rows.SCHEMA.items() if name in _POINTERS]
    return frame.with_columns(
        pl.Series("blob", blobs, pl.Binary),
        pl.Series("caption", texts, pl.String),
        pl.Series("problem", problems, pl.String),
        *gone,
    ).with_columns(pl.Series("meta", metas, pl.Binary))


_POINTERS = ("place", "at", "size", "text_at", "text_size", "meta_at", "meta_size")


def cut(file: InputFile, number: int, first_index: int, state: CutState) -> Iterator[tuple[Partition, bytes | memoryview]]:
    """Cut the rows of an input file into partitions of about `state.partition` bytes of images, beginning at `state.start`.

    `start` and `end` of a partition count the bytes of all images before, plus one for every row. The rows travel as Arrow IPC.
    """
    reached, index = 0, first_index
    pending: list[pl.DataFrame] = []
    weights = np.zeros(0, np.int64)
    with _opened(file, state) as (path, stays):
        source = _frames(file, path, state)
        ended = False
        while not ended:
            try:
                frame = next(source, None)
            except InputError as error:
                frame, state.damage = None, state.damage or f"{file.url} {error}"
            ended = frame is None
            if frame is not None and len(frame):
                frame = _checked(frame, state)
                sizes = frame.select(pl.coalesce("size", pl.col("blob").bin.size().cast(pl.Int64)).fill_null(0) + 1)
                weight = sizes.to_series().to_numpy()
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
                yield _partition(table[:count], index, number, state, size, None if stays else path)
                state.start += size
                index += 1
                pending, weights = [table[count:]], weights[count:]
                if state.limit is not None:
                    state.limit -= count
        state.size = reached


@contextmanager
def _opened(file: InputFile, state: CutState) -> Iterator[tuple[Path, bool]]:
    if not is_url(file.url) and Path(file.url).is_dir():
        state.checksum = None
        yield Path(file.url), True
        return
    with local(file, state) as found:
        yield found


def _partition(
    frame: pl.DataFrame, index: int, number: int, state: CutState, size: int, passing: Path | None
) -> tuple[Partition, memoryview]:
    """A partition of rows; what stands in the file `passing` goes with them."""
    if passing is not None and (frame["place"] == str(passing)).any():
        frame = _inlined(frame)
    out = io.BytesIO()
    frame.write_ipc(out, compression="uncompressed")
    return Partition(index, number, state.start, state.start + size, None, None, len(frame)), out.getbuffer()


def read(partition: Partition, path: Path) -> Pairs:
    """The rows of a partition."""
    return Pairs(pl.read_ipc(path))


def warm() -> None:
    """Compile the kernels of this source: the driver uses them, workers do not."""
