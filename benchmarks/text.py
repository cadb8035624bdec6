"""End to end: MB/s of raw text, against the floor and against other tools, with memory and scaling.

    python -m benchmarks.text [--copies 9] [--large 27] [--peers-python PY]

The input is the real file `ja.txt.xz`, `--copies` times over. Every copy but the first has its characters permuted within their
class (hiragana, katakana, Han, Latin letters, digits), another permutation for each, so that copies are no duplicates of one another
while lengths, scripts, line structure and repetition stay. The *floor* (benchmarks/workers/text.py) is the same bytes decompressed, split
and written as the same Parquet by as many workers, with no curation. Seconds are those of a whole command, start-up included. With
`--large` the build is measured at a second size too: memory, and whether time grows in proportion. With `--peers-python` the other
tools of `benchmarks/peers.py` run on a part of the same documents.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import zstandard

from benchmarks.corpus import text_file
from benchmarks.harness import (
    ROOT,
    build_command,
    clear,
    finish,
    format_table,
    make_parser,
    map_in_processes,
    parse_options,
    print_progress,
    watch,
)
from pipeline.core.ownership import STATE_FOLDER

WORKER = Path(__file__).parent / "workers" / "text.py"

# -- input


class Input(NamedTuple):
    path: Path
    size: int  # bytes, uncompressed

    @property
    def megabytes(self) -> float:
        return self.size / 1e6


def make_permutation(seed: int) -> dict[int, int]:
    """A permutation of characters within their class, for `str.translate`."""
    shuffle = random.Random(seed).shuffle
    table: dict[int, int] = {}
    for first, last in ((0x3042, 0x3093), (0x30A2, 0x30F3), (0x4E00, 0x9FA0), (0x41, 0x5A), (0x61, 0x7A), (0x30, 0x39)):
        characters = list(range(first, last + 1))
        shuffled = characters.copy()
        shuffle(shuffled)
        table.update(zip(characters, shuffled, strict=True))
    return table


def write_copy(source: Path, number: int, target: Path) -> int:
    """Write one copy, compressed by the target's suffix; returns its size uncompressed."""
    text = lzma.open(source).read().decode()
    if number:
        text = text.translate(make_permutation(number))
    data = text.encode() + b"\n"  # an empty line before the next copy
    with lzma.open(target, "wb", preset=4) if target.suffix == ".xz" else zstandard.open(target, "wb") as out:
        out.write(data)
    return len(data)


def multiply(source: Path, copies: int, folder: Path, suffix: str = "xz") -> Input:
    """The file of `copies` copies, compressed as xz or zst, which is made unless it is there."""
    target, note = folder / f"ja-x{copies}.txt.{suffix}", folder / f"ja-x{copies}.{suffix}.json"
    if not note.is_file():
        paths = [folder / f"copy-{number}.{suffix}" for number in range(copies)]
        missing = [number for number, path in enumerate(paths) if not Path(f"{path}.size").is_file()]
        processes = min(os.cpu_count() or 1, copies)
        sizes = map_in_processes(write_copy, processes, [source] * len(missing), missing, [paths[number] for number in missing])
        for number, size in zip(missing, sizes, strict=True):
            Path(f"{paths[number]}.size").write_text(str(size))
        with open(target, "wb") as out:
            for path in paths:
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, out, 1 << 20)
        note.write_text(json.dumps(sum(int(Path(f"{path}.size").read_text()) for path in paths)))
    return Input(target, json.loads(note.read_text()))


# -- runs


@dataclass(frozen=True)
class Run:
    """A build or the floor. `peak` is the largest sum of memory over all processes, in bytes."""

    seconds: float
    peak: int
    records: int
    steps: dict[str, float]

    def row(self, name: str, source: Input, share: str) -> list[str]:
        return [name, f"{self.seconds:.1f}", f"{source.megabytes / self.seconds:.1f}", share, f"{self.peak / 1e9:.2f} GB"]


def run_build(source: Input, out: Path, workers: int) -> Run:
    watched = watch(build_command("cc100-ja", source.path, clear(out), "--workers", str(workers)))
    summary = json.loads((out / STATE_FOLDER / "state.json").read_text())
    return Run(watched.seconds, watched.peak_sum, summary["total"]["records"], summary["steps_seconds"])


def run_floor(source: Input, out: Path, workers: int) -> Run:
    watched = watch([sys.executable, "-P", str(WORKER), str(source.path), str(clear(out)), str(workers)])
    return Run(watched.seconds, watched.peak_sum, int(watched.output), {})


def check_same_work(floor: Run, build: Run, scratch: Path) -> None:
    """End the benchmark unless both wrote the same columns and read the same number of records."""
    if build.records != floor.records:
        raise SystemExit(f"not the same work: {build.records:,} records built, {floor.records:,} in the floor")
    ours, theirs = (pq.read_schema(next((scratch / name).glob("*.parquet"))).names for name in ("build/data", "floor"))
    if ours != theirs:
        raise SystemExit(f"the floor writes other columns than the shards have: {ours}")


def compare_sizes(small: Input, large: Input, out: Path, workers: int) -> None:
    """Print what a build of a larger input takes in proportion."""
    runs = [run_build(source, out, workers) for source in (small, large)]
    for source, run in zip((small, large), runs, strict=True):
        speed = source.megabytes / run.seconds
        print(f"{source.size / 1e9:.1f} GB (zstd): {run.seconds:.1f} s, {speed:.1f} MB/s, {run.peak / 1e9:.2f} GB")
    per_byte = (runs[1].seconds / large.size) / (runs[0].seconds / small.size)
    print(f"time per byte {per_byte:.2f}, memory {runs[1].peak / runs[0].peak:.2f} of the smaller input's")


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--copies", type=int, default=9, help="9 copies are 2.2 GB")
    parser.add_argument("--large", type=int, default=0, help="a second size, 27 copies are 6.6 GB")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=2, help="of floor and build in turn")
    parser.add_argument("--peers-python", help="Python in which benchmarks/requirements.txt is installed")
    parser.add_argument("--peers-mb", type=float, default=8)
    options = parse_options(parser, "text", {"copies": 2, "workers": 1, "runs": 1})
    original, scratch, workers = text_file(options.data), options.scratch, options.workers
    if not options.smoke:
        # Compiled kernels from the cache, as on any run but the first on a machine.
        watch(build_command("cc100-ja", original, clear(scratch / "build"), "--limit", "1000", "--workers", "1"))

    source = multiply(original, options.copies, scratch)
    floors, builds = [], []
    for _ in range(options.runs):
        floors.append(run_floor(source, scratch / "floor", workers))
        builds.append(run_build(source, scratch / "build", workers))
        check_same_work(floors[-1], builds[-1], scratch)
        print_progress(f"floor {floors[-1].seconds:.1f} s, ours {builds[-1].seconds:.1f} s")
    floor = min(floors, key=lambda run: run.seconds)
    build = min(builds, key=lambda run: run.seconds)
    print(f"{source.megabytes:,.0f} MB, {build.records:,} documents, {workers} workers, best of {options.runs}\n")
    rows = [
        floor.row("floor: decompress, split, write", source, "1"),
        build.row("seimai, end to end", source, f"{floor.seconds / build.seconds:.2f}"),
    ]
    for name, seconds in build.steps.items():
        rows.append([f"… {name}", f"{seconds:.1f}", f"{source.megabytes / max(seconds, 1e-9):.1f}", "", ""])
    print(format_table(["", "seconds", "MB/s", "of the floor", "peak memory (sum)"], rows))
    print(f"\nCC-100 Japanese (75 GB) at this speed: {75_000 * build.seconds / source.megabytes / 60:.0f} minutes\n")
    if options.large:
        # Both sizes as zstd, since making 6 GB of xz takes longer than everything else here.
        small, large = (multiply(original, copies, scratch, "zst") for copies in (options.copies, options.large))
        compare_sizes(small, large, scratch / "build", workers)
    if options.peers_python:
        # Its exit code says whether its own bars are held; the table is what is wanted here.
        command = [sys.executable, "-m", "benchmarks.peers", "--peers-python", options.peers_python]
        subprocess.run([*command, "--megabytes", str(options.peers_mb)], check=False, cwd=ROOT)
    return finish([], options.smoke)


if __name__ == "__main__":
    sys.exit(main())
