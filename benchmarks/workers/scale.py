"""Synthetic measured parts, and tasks of the step deduplicate measured one by one, for benchmarks/scale.py.

Content is a function of its number: a document's number decides whether it is an original, an exact or a near copy, or a relative of
another, so that the files of a partition can be made when a task needs them and removed afterwards. Making them is not measured.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from filters.kernels import jit, mix64
from pipeline.dedup.facts import answer
from pipeline.dedup.minhash import write_bands
from pipeline.dedup.runs import divide_into_runs
from pipeline.workspace import Layout, verdicts_file

# Shares of documents: copies, near copies (similarity 0.9), relatives (0.7, too little), members of clusters of 10,000 near copies.
EXACT, NEAR, RELATED, IN_LARGE = 0.10, 0.05, 0.05, 0.01
LARGE = 10_000
PERMUTATIONS, SKETCH_WIDTH = 112, 512


@jit
def _draw(numbers, salt):
    """Return float64[n], 0 to 1, by the documents' numbers."""
    out = np.empty(len(numbers))
    for i in range(len(numbers)):
        out[i] = (mix64(np.uint64(numbers[i]) * np.uint64(8) + np.uint64(salt)) >> np.uint64(11)) / 2.0**53
    return out


@jit
def _fill(out, numbers, contents, likeness, salt, least, span):
    """Fill a matrix: a value of the content with the probability `likeness`, one of the document itself otherwise."""
    for i in range(out.shape[0]):
        mine = mix64(np.uint64(numbers[i]) + np.uint64(salt)) ^ np.uint64(0x5851F42D4C957F2D)
        theirs = mix64(np.uint64(contents[i]) + np.uint64(salt))
        for k in range(out.shape[1]):
            own = mix64(mine + np.uint64(k))
            value = mix64(theirs + np.uint64(k)) if (own >> np.uint64(11)) / 2.0**53 < likeness[i] else own
            out[i, k] = least + value % np.uint64(span)


class Documents(NamedTuple):
    """Documents of one partition: their numbers, whose content each has, and how much of it."""

    numbers: np.ndarray
    contents: np.ndarray
    likeness: np.ndarray


def draw_documents(first: int, stop: int, total: int) -> Documents:
    """Return documents `first` to `stop` - 1 of `total`."""
    numbers = np.arange(first, stop)
    kind, other = _draw(numbers, 1), (_draw(numbers, 2) * total).astype(np.int64)
    is_exact, is_near = kind < EXACT, (kind >= EXACT) & (kind < EXACT + NEAR)
    is_related = (kind >= EXACT + NEAR) & (kind < EXACT + NEAR + RELATED)
    is_in_large = kind >= 1 - IN_LARGE
    clusters = max(1, int(total * IN_LARGE / LARGE))
    contents = np.where(is_exact | is_near | is_related, other, numbers)
    contents = np.where(is_in_large, total + other % clusters, contents)
    likeness = np.where(is_near | is_in_large, 0.9, np.where(is_related, 0.7, 1.0))
    return Documents(numbers, contents, likeness)


def make_partition(layout: Layout, index: int, with_signatures: bool) -> list[Path]:
    """Write what the tasks read of one measured and decided partition; return the files."""
    documents = draw_documents(layout.bases[index], layout.bases[index + 1], layout.bases[-1])
    count, part = len(documents.numbers), layout.part(index)
    keys = np.where(documents.likeness < 1, -1 - documents.numbers, documents.contents)
    pl.DataFrame(
        {
            "locator": documents.numbers,
            "file": np.zeros(count, np.uint32),
            "exact": keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
            "key_hash": keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
            "key_length": np.full(count, 1000, np.int32),
            "m:quality": _draw(documents.numbers, 3).astype(np.float32),
            "amount": (200 + 3000 * _draw(documents.numbers, 4)).astype(np.int64),
        }
    ).write_parquet(part.table)
    verdicts = verdicts_file(layout.decided, index)
    pl.DataFrame({"verdict": ["kept"]}).select(pl.col("verdict").repeat_by(count).explode()).write_parquet(verdicts)
    if with_signatures:
        matrix, name, least, span = np.empty((count, PERMUTATIONS), np.uint16), "signatures", 0, 1 << 16
    else:
        matrix, name, least, span = np.empty((count, SKETCH_WIDTH), np.uint8), "sketches", 1, 255
    _fill(matrix, *documents, len(name), least, span)
    np.save(layout.array(name, index), matrix)
    is_looked_up = index == 0 and not with_signatures  # the width of the first sketches stands for all
    return [part.table, verdicts, *([] if is_looked_up else [layout.array(name, index)])]


# -- measuring


@dataclass(frozen=True)
class TaskCost:
    """What one task took: CPU seconds, opened files, bytes written, and the most memory at a time."""

    task: str
    cpu: float
    opened: int
    written: int
    peak: int


_opened = 0
_is_counting = False


def _count_opened(event: str, arguments: tuple[Any, ...]) -> None:
    global _opened
    _opened += event == "open" and _is_counting


def prepare_worker() -> None:
    """Count files that Python opens from now on."""
    sys.addaudithook(_count_opened)


def _read_written_bytes() -> int:
    return int(re.findall(r"^wchar: (\d+)", Path("/proc/self/io").read_text(), re.MULTILINE)[0])


def run_task(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, TaskCost]:
    """Run one task and return its result with its cost. The measured files that it reads exist for as long as it runs."""
    global _opened, _is_counting
    files: list[Path] = []
    if function in (write_bands, answer):
        layout, run = arguments[0], arguments[1] if function is write_bands else arguments[2]
        for index in range(*divide_into_runs(layout)[run : run + 2].tolist()):
            files += make_partition(layout, index, function is write_bands)
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    written, began, _opened, _is_counting = _read_written_bytes(), time.process_time(), 0, True
    result = function(*arguments)
    _is_counting, cpu = False, time.process_time() - began
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024
    cost = TaskCost(function.__name__, cpu, _opened, _read_written_bytes() - written, peak)
    for path in files:
        path.unlink()
    return result, cost


def warm_worker(folder: Path) -> int:
    """Compile (or load) every kernel on a tiny corpus of this process's own; return the process id."""
    from benchmarks.scale import make_layout
    from pipeline.dedup import minhash

    layout, ids = make_layout(folder / f"warm-{os.getpid()}", 500, 250)
    for tasks in minhash.rounds(layout, ids):
        for function, arguments in tasks:
            run_task(function, arguments)
    return os.getpid()
