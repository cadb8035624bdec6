"""Formats of text, end to end: the same documents as CC-100 (zstd), JSON lines in C4's layout (gzip), Parquet and plain files.

    python -m benchmarks.formats [--copies 4] [--files 4] [--small-files 10000]

The documents are those of `ja.txt.xz`, `--copies` times over, each copy but the first with its characters permuted within their class (as
in benchmarks/text.py), in `--files` files of each format. Seconds are those of a whole build, start-up included, in turns; MB/s count the
bytes of text, whatever the format adds to them. The last rows are `--small-files` files of plain text with an empty line between documents,
and the same bytes in ten files. Files are made anew only where `--scratch` does not have them.
"""

from __future__ import annotations

import gzip
import json
import lzma
import resource
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl
import zstandard

from benchmarks.corpus import text_file
from benchmarks.harness import (
    Bar,
    build_command,
    clear,
    finish,
    format_table,
    make_parser,
    map_in_processes,
    median,
    parse_options,
    print_progress,
    watch,
)
from benchmarks.text import make_permutation
from pipeline.core.ownership import STATE_FOLDER

SMALL_FILE_BAR = 2.0  # times the seconds of the same bytes in ten files


def read_documents(source: Path, copy: int) -> list[str]:
    """Return the documents of one copy of the text."""
    text = lzma.open(source).read().decode()
    return (text.translate(make_permutation(copy)) if copy else text).strip("\n").split("\n\n")


# -- formats


def write_cc100(documents: Sequence[str], path: Path) -> None:
    path.write_bytes(zstandard.compress(("\n\n".join(documents) + "\n\n").encode(), 3))


def write_c4(documents: Sequence[str], path: Path) -> None:
    rows = (
        {"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": f"https://example.com/{i}"}
        for i, text in enumerate(documents)
    )
    path.write_bytes(gzip.compress("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(), 6))


def write_parquet(documents: Sequence[str], path: Path) -> None:
    urls = [f"https://example.com/{i}" for i in range(len(documents))]
    pl.DataFrame({"id": range(len(documents)), "url": urls, "text": documents}).write_parquet(path, row_group_size=5000)


FORMATS: dict[str, tuple[str, Callable[[Sequence[str], Path], None]]] = {
    "CC-100, zstd": ("txt.zst", write_cc100),
    "C4's JSON lines, gzip": ("json.gz", write_c4),
    "Parquet": ("parquet", write_parquet),
}


class Input(NamedTuple):
    """Files of one format, named by a glob, and the bytes of text in them."""

    pattern: str
    size: int
    manifest: str = "ja-web"


def write_part(source: Path, copy: int, part: int, parts: int, folder: Path) -> int:
    """Write one part of one copy in every format; return the bytes of its text."""
    documents = read_documents(source, copy)[part::parts]
    for suffix, write in FORMATS.values():
        write(documents, folder / f"{copy:02d}-{part:02d}.{suffix}")
    return sum(len(text.encode()) for text in documents)


def make_formats(source: Path, copies: int, files: int, folder: Path) -> dict[str, Input]:
    """Write the documents in every format, unless they are there."""
    note = folder / "size.json"
    if not note.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        tasks = [(copy, part) for copy in range(copies) for part in range(max(1, files // copies))]
        write = partial(write_part, source, parts=max(1, files // copies), folder=folder)
        note.write_text(json.dumps(sum(map_in_processes(write, 2, *zip(*tasks, strict=True)))))
    size = json.loads(note.read_text())
    return {name: Input(str(folder / f"*.{suffix}"), size) for name, (suffix, _) in FORMATS.items()}


def make_small_files(source: Path, count: int, size: int, folder: Path) -> dict[str, Input]:
    """Write `count` files of about `size` bytes of documents, and the same in ten files."""
    note = folder / "size.json"
    if not note.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "small").mkdir(parents=True)
        (folder / "large").mkdir()
        written = total = copy = 0
        while written < count:
            pieces, pending = [], 0
            for document in read_documents(source, copy):
                pieces.append(document)
                pending += len(document.encode())
                if pending >= size:
                    body = ("\n\n".join(pieces) + "\n\n").encode()
                    (folder / "small" / f"{written:05d}.txt").write_bytes(body)
                    with open(folder / "large" / f"{written * 10 // count}.txt", "ab") as large:
                        large.write(body)
                    written, total, pieces, pending = written + 1, total + len(body), [], 0
                if written == count:
                    break
            copy += 1
        note.write_text(json.dumps(total))
    total = json.loads(note.read_text())
    names = {f"{count:,} plain files": "small", "the same in ten files": "large"}
    # A small file may be a single document, of which only a person knows that.
    return {name: Input(str(folder / kind / "*.txt"), total, "cc100-ja") for name, kind in names.items()}


# -- runs


class Run(NamedTuple):
    """A build: seconds in all, of processors and in measuring, memory of all processes in bytes, records."""

    seconds: float
    cpu: float
    measure: float
    peak: int
    records: int


def run_build(source: Input, out: Path, workers: int) -> Run:
    before = _cpu_of_children()
    watched = watch(build_command(source.manifest, source.pattern, clear(out), "--workers", str(workers)))
    state = json.loads((out / STATE_FOLDER / "state.json").read_text())
    return Run(
        watched.seconds,
        _cpu_of_children() - before,
        state["steps_seconds"]["measure"],
        watched.peak_sum,
        state["total"]["records"],
    )


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_all(inputs: dict[str, Input], out: Path, workers: int, rounds: int) -> dict[str, list[Run]]:
    """Build every input in turn, as often as there are rounds."""
    runs: dict[str, list[Run]] = {name: [] for name in inputs}
    for _ in range(rounds):
        for name, source in inputs.items():
            runs[name].append(run_build(source, out, workers))
            print_progress(f"{name}: {runs[name][-1].seconds:.1f} s")
    if len({run.records for one in runs.values() for run in one}) > 1:
        raise SystemExit(f"not the same work: { ({name: one[0].records for name, one in runs.items()}) }")
    return runs


def print_runs(runs: dict[str, list[Run]], inputs: dict[str, Input]) -> dict[str, float]:
    """Print a table of runs; return the median seconds by name."""
    seconds = {name: median([run.seconds for run in one]) for name, one in runs.items()}
    rows = []
    for name, one in runs.items():
        megabytes, measure = inputs[name].size / 1e6, median([run.measure for run in one])
        speeds = [f"{megabytes / seconds[name]:.1f}", f"{megabytes / max(measure, 1e-9):.1f}"]
        cpu = median([run.cpu for run in one])
        rows.append([name, f"{seconds[name]:.1f}", f"{cpu:.1f}", *speeds, f"{max(run.peak for run in one) / 1e9:.2f} GB"])
    print(format_table(["", "seconds", "CPU seconds", "MB/s", "MB/s of measuring", "peak memory (sum)"], rows), "\n")
    return seconds


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--copies", type=int, default=4, help="of the text, 244 MB each")
    parser.add_argument("--files", type=int, default=4, help="of each format")
    parser.add_argument("--small-files", type=int, default=10_000)
    parser.add_argument("--small-size", type=int, default=100_000, help="bytes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3, help="of every input, in turn")
    options = parse_options(
        parser, "formats", {"copies": 1, "files": 2, "small_files": 20, "small_size": 5000, "workers": 1, "runs": 1}
    )
    original, scratch, out = text_file(options.data), options.scratch, options.scratch / "build"
    if not options.smoke:
        # Compiled kernels from the cache, as on any run but the first on a machine.
        watch(build_command("ja-web", original, clear(out), "--limit", "1000", "--workers", "1"))

    inputs = make_formats(original, options.copies, options.files, scratch / f"formats-{options.copies}-{options.files}")
    if options.smoke:
        inputs = dict([*inputs.items()][:2])
    runs = run_all(inputs, out, options.workers, options.runs)
    size, files = next(iter(inputs.values())).size, max(1, options.files // options.copies) * options.copies
    print(f"{size / 1e6:,.0f} MB of text in {files} files, {options.workers} workers, median of {options.runs}\n")
    seconds = print_runs(runs, inputs)
    base, *others = seconds
    bars = [
        Bar(seconds[name] <= seconds[base], f"{name} at {seconds[base] / seconds[name]:.2f} of the speed of {base}, at least 1")
        for name in others
    ]
    small = make_small_files(
        original, options.small_files, options.small_size, scratch / f"small-{options.small_files}-{options.small_size}"
    )
    several, few = print_runs(run_all(small, out, options.workers, options.runs), small).values()
    bars.append(
        Bar(several < SMALL_FILE_BAR * few, f"many files take {several / few:.2f} times as long as ten, under {SMALL_FILE_BAR}")
    )
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
