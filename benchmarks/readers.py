"""What readers of shards deliver on one core: tokens, images and hours of audio per second, shuffled, as tensors.

    python -m benchmarks.readers --tokens FOLDER --images CORPUS --audio CORPUS [--rounds 3]

| reader | |
|---|---|
| ours | `trainers.data`: row groups and a buffer of 256 MB shuffled; images and sound decoded as the trainers do, by one thread |
| datasets | `load_dataset("parquet", streaming=True).shuffle(buffer_size=1000)`, numpy format |
| pyarrow | a loop over `pyarrow.dataset`'s batches, in the order of the files: nothing is shuffled |

Of tokens: batches of 8 sequences, int64. Of images: batches of 32, decoded, the shorter side resized to 224 pixels, centre crop, uint8; the
peers decode with Pillow, as `datasets` does itself. Of audio: batches of 8 recordings, whole, float32 at 16 kHz; the peers decode with
soundfile, since `datasets` wants torchcodec for it. Every reader runs alone on one core in a process of its own, goes once through all
records, and is timed from its creation, imports not counted. All must deliver the same number of records, tokens and samples. Runs take
turns, figures are medians. Exits with 1 where ours delivers less than twice what `datasets` does.

    python -m benchmarks.readers --images CORPUS --busy 40

The same reader of ours on all cores, two threads, beside a loop that computes in Python for so many milliseconds a batch, as one does that
starts kernels on a GPU: in the loop's process, and in one of its own (`train.apart`). Printed is the share of time that it waited.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow.dataset
import soundfile
import torch
from PIL import Image, ImageOps

from benchmarks.corpus import build_corpus
from benchmarks.harness import Bar, finish, format_table, make_parser, median, parse_options, print_progress, run_json
from trainers.data.batches import stream
from trainers.data.images import decode_square
from trainers.data.reader import Reader
from trainers.data.recordings import decode_samples
from trainers.data.shards import Shards
from trainers.data.worker_process import read_in_worker_process

BAR = 2.0
SIDE = 224


class Kind(NamedTuple):
    """What is read, and in what its speed is told."""

    column: str
    batch: int
    scale: float  # of an amount per second
    unit: str


KINDS = {
    "tokens": Kind("input_ids", 8, 1e6, "million tokens/s"),
    "images": Kind("image", 32, 1.0, "images/s"),
    "audio": Kind("audio", 8, 3600.0, "hours/s"),
}
SHUFFLE_BUFFER = 1000  # records, of datasets
Batch = Any  # a tensor, or a list of arrays of different lengths


# -- what peers do with one record


def decode_image(blob: bytes) -> np.ndarray:
    """Decode, resize and crop to uint8[SIDE, SIDE, 3] with Pillow."""
    with Image.open(BytesIO(blob)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = SIDE / min(image.size)
    image = image.resize(
        (max(SIDE, round(image.width * scale)), max(SIDE, round(image.height * scale))), Image.Resampling.BILINEAR
    )
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def decode_audio(blob: bytes) -> np.ndarray:
    """Decode to float32[samples] with soundfile."""
    samples: np.ndarray = soundfile.read(BytesIO(blob), dtype="float32")[0]
    return samples


DECODE: dict[str, Callable[[Any], np.ndarray]] = {"tokens": np.asarray, "images": decode_image, "audio": decode_audio}


def list_shards(folder: Path) -> list[str]:
    data = folder / "data" if (folder / "data").is_dir() else folder
    return sorted(map(str, data.glob("train-*.parquet")))


def stack(records: list[np.ndarray], kind: str) -> Batch:
    """Records as a trainer's collate gets them: stacked where they have one shape."""
    return (
        records if kind == "audio" else torch.from_numpy(np.stack(records).astype(np.int64 if kind == "tokens" else np.uint8))
    )


def make_batches(records: Iterator[np.ndarray], size: int, kind: str) -> Iterator[Batch]:
    batch: list[np.ndarray] = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield stack(batch, kind)
            batch = []
    if batch:
        yield stack(batch, kind)


# -- the readers


def read_ours(kind: str, folder: Path, threads: int = 1) -> Iterator[Batch]:
    column, size, *_ = KINDS[kind]

    def decode_our_image(record: dict[str, Any]) -> np.ndarray:
        return decode_square(record[column], SIDE)

    def decode_our_audio(record: dict[str, Any]) -> np.ndarray:
        return decode_samples(record[column], False)

    def collate(records: Any) -> Any:
        return {"x": stack(records[column] if kind == "tokens" else records, kind)}, 0.0

    decode = {"tokens": None, "images": decode_our_image, "audio": decode_our_audio}[kind]
    reader = Reader(Shards(folder, "train", [column], ""), seed=1)
    for batch in stream(reader, reader.one_pass(0, 1, reader.shards.total), size, collate, decode, threads=threads):
        yield batch.inputs["x"]


def read_with_datasets(kind: str, folder: Path) -> Iterator[Batch]:
    column, size, *_ = KINDS[kind]
    rows = datasets.load_dataset("parquet", data_files=list_shards(folder), split="train", streaming=True)
    rows = rows.select_columns([column])
    if kind == "audio":
        rows = rows.cast_column(column, datasets.Audio(decode=False))
    if kind == "images":
        rows = rows.cast_column(column, datasets.Image(decode=False))
    rows = rows.shuffle(seed=1, buffer_size=SHUFFLE_BUFFER)
    if kind == "tokens":
        rows = rows.with_format("numpy")
    values = (row[column] for row in rows)
    yield from make_batches((DECODE[kind](v if kind == "tokens" else v["bytes"]) for v in values), size, kind)


def read_with_pyarrow(kind: str, folder: Path) -> Iterator[Batch]:
    column, size, *_ = KINDS[kind]

    def records() -> Iterator[np.ndarray]:
        shards = pyarrow.dataset.dataset(list_shards(folder))
        for batch in shards.to_batches(columns=[column], batch_size=1024, use_threads=False):
            array = batch.column(0)
            if kind == "tokens":
                yield from array.flatten().to_numpy().reshape(len(array), -1)
            else:
                for value in array.field("bytes"):
                    yield DECODE[kind](value.as_buffer())

    yield from make_batches(records(), size, kind)


READERS: dict[str, Callable[[str, Path], Iterator[Batch]]] = {
    "ours": read_ours,
    "datasets": read_with_datasets,
    "pyarrow": read_with_pyarrow,
}
LOOPS = ("in the loop's process", "apart")


# -- one run, in a process of its own


class Pass(NamedTuple):
    """One pass over all records: tokens, images or seconds of audio make the amount."""

    seconds: float
    records: int
    amount: float


class BusyPass(NamedTuple):
    seconds: float
    waited: float
    records: int


def time_reader(reader: str, kind: str, folder: Path) -> Pass:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[0]})
    torch.set_num_threads(1)
    read = READERS[reader]
    next(iter(read(kind, folder)))  # compiled kernels are loaded
    began = time.perf_counter()
    records, amount = 0, 0.0
    for batch in read(kind, folder):
        records += len(batch)
        amount += sum(map(len, batch)) / 16_000 if kind == "audio" else batch.numel() if kind == "tokens" else len(batch)
    os.sched_setaffinity(0, cores)
    return Pass(time.perf_counter() - began, records, amount)


def time_busy_loop(loop: str, kind: str, folder: Path, busy: float) -> BusyPass:
    """Read beside a loop that is busy for so many seconds of processor time a batch."""
    torch.set_num_threads(1)
    batches = read_in_worker_process(lambda: read_ours(kind, folder, 2)) if loop == "apart" else read_ours(kind, folder, 2)
    for _ in range(5):
        next(batches, None)
    began, waited, records = time.perf_counter(), 0.0, 0
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return BusyPass(time.perf_counter() - began, waited, records)
        records += len(batch)
        until = time.thread_time() + busy
        while time.thread_time() < until:
            sum(range(100))


def run_alone(*arguments: str) -> list[float]:
    """Run one reader in a process of its own."""
    found: list[float] = run_json([sys.executable, "-m", "benchmarks.readers", "--one", *arguments], " ".join(arguments))
    print_progress(f"{' '.join(arguments[:2])}: {found}")
    return found


# -- tables


def compare_loops(folders: dict[str, Path], rounds: int, busy: float) -> None:
    rows = []
    for kind, folder in folders.items():
        runs: dict[str, list[BusyPass]] = {loop: [] for loop in LOOPS}
        for _ in range(rounds):
            for loop in LOOPS:
                seconds, waited, records = run_alone(loop, kind, str(folder), str(busy / 1000))
                runs[loop].append(BusyPass(seconds, waited, int(records)))
        if len({run.records for repeats in runs.values() for run in repeats}) != 1:
            raise SystemExit(f"they did not deliver the same: {runs}")
        for loop, repeats in runs.items():
            speed = repeats[0].records / median([run.seconds for run in repeats])
            share = median([run.waited / run.seconds for run in repeats])
            rows.append([kind, loop, f"{speed:,.0f} records/s", f"{share:.0%}"])
    print(format_table(["", "reader", "beside the loop", "the loop waited"], rows))


def compare_readers(folders: dict[str, Path], rounds: int, smoke: bool) -> list[Bar]:
    rows, bars = [], []
    for kind, folder in folders.items():
        runs: dict[str, list[Pass]] = {reader: [] for reader in READERS}
        for _ in range(rounds):
            for reader in READERS:
                # In a smoke run all in this process: imports take longer than all else.
                seconds, records, amount = time_reader(reader, kind, folder) if smoke else run_alone(reader, kind, str(folder))
                runs[reader].append(Pass(seconds, int(records), amount))
        work = {(run.records, run.amount) for repeats in runs.values() for run in repeats}
        if len(work) != 1:
            raise SystemExit(f"readers of {kind} did not deliver the same: {work}")
        ((records, amount),) = work
        scale, unit = KINDS[kind].scale, KINDS[kind].unit
        speed = {reader: amount / median([run.seconds for run in repeats]) / scale for reader, repeats in runs.items()}
        for reader in READERS:
            rows.append([
                f"{kind} ({records:,} records)", reader, f"{speed[reader]:,.3g} {unit}", f"{speed['ours'] / speed[reader]:.2f}",
            ])  # fmt: skip
        ratio = speed["ours"] / speed["datasets"]
        bars.append(Bar(ratio >= BAR, f"{kind}: {ratio:.2f} times datasets, at least {BAR}"))
    print(format_table(["", "reader", "delivered", "ours is times it"], rows))
    return bars


def main() -> int:
    parser = make_parser(__doc__)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, help="folder of shards")
    parser.add_argument("--rounds", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--busy", type=float, help="milliseconds a batch: compare reading in the loop's process and apart")
    options = parse_options(parser, "readers", {"rounds": 1})
    folders = {kind: path.absolute() for kind in KINDS if (path := getattr(options, kind))}
    if options.smoke:
        corpus = build_corpus(options.data, options.scratch / "cc100-ja", True)
        folders = {"tokens": corpus / "tokens"} | {kind: options.data / "shards" / kind for kind in ("images", "audio")}
        time_busy_loop(LOOPS[0], "tokens", folders["tokens"], 0.0)
    if options.busy is not None:
        compare_loops(folders, options.rounds, options.busy)
        return finish([], options.smoke)
    return finish(compare_readers(folders, options.rounds, options.smoke), options.smoke)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        name, kind, folder = sys.argv[2], sys.argv[3], Path(sys.argv[4])
        print(
            json.dumps(
                time_reader(name, kind, folder) if name in READERS else time_busy_loop(name, kind, folder, float(sys.argv[5]))
            )
        )
    else:
        sys.exit(main())
