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
starts kernels on a GPU: in the loop's process, and in one of its own (`train.apart`). What the loop waited is told, of its whole time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import ROOT, median, table

BAR = 2.0
SIDE = 224
KINDS = {
    "tokens": ("input_ids", 8, 1e6, "million tokens/s"),
    "images": ("image", 32, 1.0, "images/s"),
    "audio": ("audio", 8, 3600.0, "hours/s"),
}
READERS = ("ours", "datasets", "pyarrow")
_BUFFER = 1000  # records, of datasets


# -- what peers do with one record


def picture(blob: bytes) -> np.ndarray:
    """uint8[SIDE, SIDE, 3] by Pillow."""
    from PIL import Image, ImageOps

    with Image.open(BytesIO(blob)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = SIDE / min(image.size)
    image = image.resize(
        (max(SIDE, round(image.width * scale)), max(SIDE, round(image.height * scale))), Image.Resampling.BILINEAR
    )
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def sound(blob: bytes) -> np.ndarray:
    """float32[samples] by soundfile."""
    import soundfile

    return soundfile.read(BytesIO(blob), dtype="float32")[0]


DECODE: dict[str, Callable[[Any], np.ndarray]] = {"tokens": np.asarray, "images": picture, "audio": sound}


def blobs(kind: str, value: Any) -> Any:
    return value if kind == "tokens" else value["bytes"]


def files(folder: Path) -> list[str]:
    below = folder / "data" if (folder / "data").is_dir() else folder
    return sorted(map(str, below.glob("train-*.parquet")))


def batched(records: Iterator[np.ndarray], size: int, kind: str) -> Iterator[Any]:
    """Lists of arrays as a trainer's collate gets them: stacked where they have one shape."""
    import torch

    batch: list[np.ndarray] = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield (
                torch.from_numpy(np.stack(batch).astype(np.int64 if kind == "tokens" else np.uint8))
                if kind != "audio"
                else batch
            )
            batch = []
    if batch:
        yield torch.from_numpy(np.stack(batch).astype(np.int64 if kind == "tokens" else np.uint8)) if kind != "audio" else batch


# -- the readers


def ours(kind: str, folder: Path, threads: int = 1) -> Iterator[Any]:
    import torch

    from trainers.data.batches import stream
    from trainers.data.reader import Reader
    from trainers.data.shards import Shards

    column, size, *_ = KINDS[kind]
    decode: Any = None
    if kind == "images":
        from trainers.data.images import decode_square

        def decode(record: dict[str, Any]) -> np.ndarray:
            return decode_square(record[column], SIDE)

    elif kind == "audio":
        from trainers.data.recordings import decode_samples

        def decode(record: dict[str, Any]) -> np.ndarray:
            return decode_samples(record[column], False)

    def collate(found: Any) -> Any:
        if kind == "tokens":
            return {"x": torch.from_numpy(found[column].astype(np.int64))}, 0.0
        return {"x": found if kind == "audio" else torch.from_numpy(np.stack(found))}, 0.0

    reader = Reader(Shards(folder, "train", [column], ""), seed=1)
    for batch in stream(reader, reader.one_pass(0, 1, reader.shards.total), size, collate, decode, threads=threads):
        yield batch.inputs["x"]


def datasets_streaming(kind: str, folder: Path) -> Iterator[Any]:
    import datasets

    column, size, *_ = KINDS[kind]
    found = datasets.load_dataset("parquet", data_files=files(folder), split="train", streaming=True).select_columns([column])
    if kind == "audio":
        found = found.cast_column(column, datasets.Audio(decode=False))
    if kind == "images":
        found = found.cast_column(column, datasets.Image(decode=False))
    found = found.shuffle(seed=1, buffer_size=_BUFFER)
    if kind == "tokens":
        found = found.with_format("numpy")
    yield from batched((DECODE[kind](blobs(kind, record[column])) for record in found), size, kind)


def plain(kind: str, folder: Path) -> Iterator[Any]:
    import pyarrow.dataset as ds

    column, size, *_ = KINDS[kind]

    def records() -> Iterator[np.ndarray]:
        for batch in ds.dataset(files(folder)).to_batches(columns=[column], batch_size=1024, use_threads=False):
            array = batch.column(0)
            if kind == "tokens":
                yield from array.flatten().to_numpy().reshape(len(array), -1)
            else:
                for value in array.field("bytes"):
                    yield DECODE[kind](value.as_buffer())

    yield from batched(records(), size, kind)


def measured(reader: str, kind: str, folder: Path) -> dict[str, float]:
    """Seconds for one pass, with what it delivered."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    import datasets  # noqa: F401 - not to be counted
    import soundfile  # noqa: F401
    import torch
    from PIL import Image  # noqa: F401

    import trainers.data.images  # noqa: F401
    import trainers.data.reader  # noqa: F401
    import trainers.data.recordings  # noqa: F401

    torch.set_num_threads(1)
    made = {"ours": ours, "datasets": datasets_streaming, "pyarrow": plain}[reader]
    next(iter(made(kind, folder)))  # compiled kernels are loaded
    began = time.perf_counter()
    records = amount = 0
    for batch in made(kind, folder):
        records += len(batch)
        amount += sum(map(len, batch)) if kind == "audio" else batch.numel() if kind == "tokens" else len(batch)
    return {"seconds": time.perf_counter() - began, "records": records, "amount": amount / (16_000 if kind == "audio" else 1)}


def waited(where: str, kind: str, folder: Path, busy: float) -> dict[str, float]:
    """Of a loop that is busy for so many seconds of processor time a batch: all its seconds, those without a batch, and the records."""
    import torch

    from trainers.data.worker_process import read_in_worker_process

    torch.set_num_threads(1)
    batches = read_in_worker_process(lambda: ours(kind, folder, 2)) if where == "apart" else ours(kind, folder, 2)
    for _ in range(5):
        next(batches)
    began, idle, records = time.perf_counter(), 0.0, 0
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        idle += time.perf_counter() - asked
        if batch is None:
            return {"seconds": time.perf_counter() - began, "waited": idle, "records": records}
        records += len(batch)
        done = time.thread_time() + busy
        while time.thread_time() < done:
            sum(range(100))


def by_itself(*arguments: str) -> dict[str, float]:
    """Of one reader in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.readers", "--one", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"  {' '.join(arguments[:2])}: {found}", file=sys.stderr)
    return found


def beside_a_loop(folders: dict[str, Path], rounds: int, busy: float) -> int:
    rows = []
    for kind, folder in folders.items():
        runs: dict[str, list[dict[str, float]]] = {"in the loop's process": [], "apart": []}
        for _ in range(rounds):
            for where, found in runs.items():
                found.append(by_itself(where, kind, str(folder), str(busy / 1000)))
        if len({one["records"] for found in runs.values() for one in found}) != 1:
            raise SystemExit(f"they did not deliver the same: {runs}")
        for where, found in runs.items():
            seconds = median([one["seconds"] for one in found])
            share = median([one["waited"] / one["seconds"] for one in found])
            rows.append([kind, where, f"{found[0]['records'] / seconds:,.0f} records/s", f"{share:.0%}"])
    print(table(["", "reader", "beside the loop", "the loop waited"], rows))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, help="folder of shards")
    parser.add_argument("--rounds", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--busy", type=float, help="milliseconds a batch: compare reading in the loop's process and apart")
    options = parser.parse_args()
    folders = {kind: path.absolute() for kind in KINDS if (path := getattr(options, kind))}
    if options.busy is not None:
        return beside_a_loop(folders, options.rounds, options.busy)
    rows, missed = [], []
    for kind, folder in folders.items():
        runs: dict[str, list[dict[str, float]]] = {reader: [] for reader in READERS}
        for _ in range(options.rounds):
            for reader in READERS:
                runs[reader].append(by_itself(reader, kind, str(folder)))
        work = {(run["records"], run["amount"]) for of in runs.values() for run in of}
        if len(work) != 1:
            raise SystemExit(f"readers of {kind} did not deliver the same: {work}")
        ((records, amount),) = work
        speed = {reader: amount / median([run["seconds"] for run in of]) / KINDS[kind][2] for reader, of in runs.items()}
        for reader in READERS:
            rows.append([
                f"{kind} ({records:,} records)", reader, f"{speed[reader]:,.3g} {KINDS[kind][3]}", f"{speed['ours'] / speed[reader]:.2f}",
            ])  # fmt: skip
        if speed["ours"] < BAR * speed["datasets"]:
            missed.append(f"{kind}: {speed['ours'] / speed['datasets']:.2f} times datasets")
    print(table(["", "reader", "delivered", "ours is times it"], rows), end="\n\n")
    print(f"MISSED {'; '.join(missed)}, at least {BAR}" if missed else f"held   at least {BAR} times datasets")
    return int(bool(missed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one, kind, folder = sys.argv[2], sys.argv[3], Path(sys.argv[4])
        print(json.dumps(waited(one, kind, folder, float(sys.argv[5])) if sys.argv[5:] else measured(one, kind, folder)))
    else:
        sys.exit(main())
