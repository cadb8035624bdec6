"""End to end: MB/s of raw text, against the floor and against other tools, with memory and scaling.

    python -m benchmarks.text [--copies 9] [--large 27] [--peers-python PY] [--scratch DIR]

The input is the real file `ja.txt.xz`, `--copies` times over. Every copy but the first has its characters permuted within their
class (hiragana, katakana, Han, Latin letters, digits), another permutation for each, so that copies are no duplicates of one another
while lengths, scripts, line structure and repetition stay. The *floor* is the same bytes decompressed, split and written as the same
Parquet by as many workers, with no curation. With `--large` the build is measured at a second size too: memory, and whether time
grows in proportion. With `--peers-python` the other tools of `benchmarks/peers.py` run on a part of the same documents.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from benchmarks.corpus import ROOT, add_data_option, build_command, folder

# -- input


def _permutation(seed: int) -> dict[int, int]:
    shuffle = random.Random(seed).shuffle
    table: dict[int, int] = {}
    for first, last in ((0x3042, 0x3093), (0x30A2, 0x30F3), (0x4E00, 0x9FA0), (0x41, 0x5A), (0x61, 0x7A), (0x30, 0x39)):
        characters = list(range(first, last + 1))
        shuffled = characters.copy()
        shuffle(shuffled)
        table.update(zip(characters, shuffled, strict=True))
    return table


def _copy(arguments: tuple[Path, int, Path]) -> int:
    import zstandard

    source, number, target = arguments
    text = lzma.open(source).read().decode()
    if number:
        text = text.translate(_permutation(number))
    data = text.encode() + b"\n"  # an empty line before the next copy
    with lzma.open(target, "wb", preset=4) if target.suffix == ".xz" else zstandard.open(target, "wb") as out:
        out.write(data)
    return len(data)


def multiplied(source: Path, copies: int, folder: Path, kind: str = "xz") -> tuple[Path, int]:
    """The file of `copies` copies, compressed by `kind` (xz, zst), and its size uncompressed; made once."""
    target, note = folder / f"ja-x{copies}.txt.{kind}", folder / f"ja-x{copies}.{kind}.json"
    if not note.is_file():
        jobs = [
            (source, n, folder / f"copy-{n}.{kind}") for n in range(copies) if not (folder / f"copy-{n}.{kind}.size").is_file()
        ]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for (_, _, path), size in zip(jobs, pool.map(_copy, jobs), strict=True):
                Path(f"{path}.size").write_text(str(size))
        total = 0
        with open(target, "wb") as out:
            for n in range(copies):
                total += int((folder / f"copy-{n}.{kind}.size").read_text())
                with open(folder / f"copy-{n}.{kind}", "rb") as part:
                    shutil.copyfileobj(part, out, 1 << 20)
        note.write_text(json.dumps(total))
    return target, json.loads(note.read_text())


# -- runs


def measured_run(command: list[str], cwd: Path) -> tuple[float, int]:
    """Wall seconds of a command and the largest sum of resident memory over all its processes, in bytes."""
    peak = 0
    stop = threading.Event()
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    root = psutil.Process(process.pid)

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.1):
            total = 0
            try:
                for member in [root, *root.children(recursive=True)]:
                    try:
                        total += member.memory_info().rss
                    except psutil.NoSuchProcess:
                        continue
            except psutil.NoSuchProcess:
                break
            peak = max(peak, total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - began
    stop.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors.decode()}")
    return seconds, peak


def build(source: Path, out: Path, workers: int) -> dict:
    """A fresh build; seconds, peak memory, and the summary it left."""
    shutil.rmtree(out, ignore_errors=True)
    seconds, peak = measured_run(build_command(source, out, "--workers", str(workers)), ROOT)
    summary = json.loads((out / ".seimai" / "state.json").read_text())
    return {"seconds": seconds, "peak": peak, "summary": summary}


def floor_part(partition, raw: Path, folder: Path, name: str, license_: str) -> int:
    """One partition with no curation: split, and written as shards are."""
    import polars as pl

    from filters.kernels import to_arrow
    from pipeline.core.shards import ShardWriter
    from pipeline.core.storage import write_atomically
    from pipeline.manifest.loading import load
    from pipeline.modalities import text as documents
    from pipeline.sources.text import cc100

    records = cc100.read(partition, raw)
    offsets = np.concatenate([records.starts, [len(records.data)]]).astype(np.int64)
    text = pl.Series("text", to_arrow(records.data, offsets)).str.strip_chars_end("\n")
    ids = pl.Series("id", records.offsets).cast(pl.String).str.zfill(10)
    frame = pl.DataFrame({"id": name + "/" + ids, "text": text}).with_columns(
        source=pl.lit(name),
        license=pl.lit(license_),
        language=pl.lit("ja"),
        language_score=pl.lit(1.0, pl.Float32),
        chars=pl.col("text").str.len_chars().cast(pl.Int32),
        cluster_size=pl.lit(1, pl.UInt32),
    )
    with write_atomically(folder / f"floor-{partition.index:05d}.parquet") as temporary:
        writer = ShardWriter(temporary, documents.schema(load("cc100-ja")), 1024, None, 3, ["source", "license", "language"])
        writer.write(frame.to_arrow())
        writer.close()
    raw.unlink()
    return len(frame)


def floor(source: Path, folder: Path, workers: int) -> tuple[float, int]:
    """Seconds and records of the floor, with the engine, the cutter and the number of workers of a build."""
    from rich.console import Console

    from pipeline.core.engine import Engine
    from pipeline.manifest.loading import load
    from pipeline.sources import CutState, cc100
    from pipeline.sources.inputs import resolve

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    manifest = load("cc100-ja")
    began = time.perf_counter()
    records = 0
    with Engine(workers, None, folder, Console(quiet=True)) as engine:

        def tasks():
            state = CutState(manifest.source.partition, manifest.source.max_document)
            for partition, body in cc100.cut(resolve([str(source)])[0], 0, 0, state):
                raw = folder / f"{partition.index:05d}.bin"
                raw.write_bytes(body)
                yield floor_part, (partition, raw, folder, manifest.name, manifest.license)

        for _, count in engine.run("floor", tasks(), in_flight=2 * workers + 2):
            records += count
    return time.perf_counter() - began, records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--copies", type=int, default=9, help="9 copies are 2.2 GB")
    parser.add_argument("--large", type=int, default=0, help="a second size, 27 copies are 6.6 GB")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=2, help="of floor and build in turn")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "seimai-benchmark")
    parser.add_argument("--peers-python", help="Python in which benchmarks/requirements.txt is installed")
    parser.add_argument("--peers-mb", type=float, default=8)
    options = parser.parse_args()
    options.data = folder(options.data)
    options.scratch.mkdir(parents=True, exist_ok=True)
    # Compiled kernels from the cache, as on any run but the first on a machine.
    from pipeline.manifest.loading import load
    from pipeline.steps.measure import warm

    warm(load("cc100-ja"))

    source, size = multiplied(options.data / "ja.txt.xz", options.copies, options.scratch)
    megabytes = size / 1e6
    floors, builds = [], []
    for _ in range(options.runs):
        floors.append(floor(source, options.scratch / "floor", options.workers))
        builds.append(build(source, options.scratch / "build", options.workers))
    floor_seconds, floor_records = min(floors)
    best = min(builds, key=lambda b: b["seconds"])
    records = best["summary"]["total"]["records"]
    assert records == floor_records, f"not the same work: {records} records built, {floor_records} in the floor"
    print(f"{megabytes:,.0f} MB, {records:,} documents, {options.workers} workers, best of {options.runs}\n")
    print("| | seconds | MB/s | of the floor | peak memory (sum) |\n|---|---:|---:|---:|---:|")
    print(f"| floor: decompress, split, write | {floor_seconds:.1f} | {megabytes / floor_seconds:.1f} | 1 | |")
    speed = megabytes / best["seconds"]
    share = floor_seconds / best["seconds"]
    print(f"| seimai, end to end | {best['seconds']:.1f} | {speed:.1f} | {share:.2f} | {best['peak'] / 1e9:.2f} GB |")
    for name, seconds in best["summary"]["steps_seconds"].items():
        print(f"| … {name} | {seconds:.1f} | {megabytes / max(seconds, 1e-9):.1f} | | |")
    print(f"\nCC-100 Japanese (75 GB) at this speed: {75_000 / speed / 60:.0f} minutes")
    if options.large:
        # Both sizes as zstd, since making 6 GB of xz takes longer than everything else here.
        source, size = multiplied(options.data / "ja.txt.xz", options.copies, options.scratch, "zst")
        best = build(source, options.scratch / "build", options.workers)
        large_source, large_size = multiplied(options.data / "ja.txt.xz", options.large, options.scratch, "zst")
        large = build(large_source, options.scratch / "build", options.workers)
        per_byte = (large["seconds"] / large_size) / (best["seconds"] / size)
        large_speed = large_size / 1e6 / large["seconds"]
        print(
            f"\n{size / 1e9:.1f} GB: {best['seconds']:.1f} s, {size / 1e6 / best['seconds']:.1f} MB/s, {best['peak'] / 1e9:.2f} GB (zstd)"
        )
        print(f"{large_size / 1e9:.1f} GB: {large['seconds']:.1f} s, {large_speed:.1f} MB/s, {large['peak'] / 1e9:.2f} GB")
        print(f"time per byte {per_byte:.2f}, memory {large['peak'] / best['peak']:.2f} of the smaller input's")
    if options.peers_python:
        # Its exit code says whether its own bars are held; the table is what is wanted here.
        command = [
            sys.executable,
            "-m",
            "benchmarks.peers",
            "--peers-python",
            options.peers_python,
            "--mb",
            str(options.peers_mb),
        ]
        subprocess.run(command, check=False, cwd=ROOT)


if __name__ == "__main__":
    main()
