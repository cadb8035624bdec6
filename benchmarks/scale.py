"""Deduplication at growing sizes: CPU seconds per million documents, files opened, memory of a task, disk.

    python -m benchmarks.scale [--millions 1 8 30] [--partition 9000]

All rounds of the step deduplicate run over synthetic measured parts, as many processes at a time as there are `--workers`. Of the
documents 10 % are exact copies of another, 5 % near copies (similarity 0.9), 5 % relatives (0.7: often candidates, never duplicates),
and 1 % belong to clusters of 10,000; the widths are those of a build, 112 signature values of 2 bytes and sketches of 512 bytes. Signatures
and sketches of a partition are made when a task needs them and removed afterwards (benchmarks/workers/scale.py), so that disk holds only
what the step itself writes; making them is not in any number. Time is CPU time, user and system, of the tasks alone: other work on the
machine changes it little. Opened files are those that Python opens; polars opens one table and one file of verdicts per partition beside.

The last table goes on to 10^9 documents on paper: tasks and opened files follow from the plan of the exchanges, bytes and CPU seconds
from those measured per document at the largest size. `join_pairs`, the one task that sees all pairs, holds a record's number twice for
every record in a cluster, and for a moment a second copy of these.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options, print_progress
from benchmarks.workers.scale import TaskCost, make_partition, prepare_worker, run_task, warm_worker
from pipeline.core.storage import sum_file_sizes
from pipeline.dedup import clusters, minhash
from pipeline.dedup import runs as runs_module
from pipeline.dedup.bands import ROWS_PER_RANGE, banding
from pipeline.dedup.exchange import FAN_IN, SMALL
from pipeline.dedup.settings import MinHashTable
from pipeline.workspace import Layout, Part, RecordIds, write_layout

STAGES = {  # what the columns of the table call the tasks
    "write_bands": "bands", "find_groups": "groups", "answer": "sketches", "find_pairs": "pairs", "merge": "passes",
    "join_pairs": "join", "route_pairs": "clusters", "choose": "clusters", "write_clusters": "clusters",
    "count_clusters": "clusters",
}  # fmt: skip


def make_layout(folder: Path, documents: int, partition: int) -> tuple[Layout, RecordIds]:
    """Return the layout of so many documents in partitions of one size, in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    sizes = [partition] * (documents // partition) + [documents % partition] * bool(documents % partition)
    parts = [Part(folder / "measured", f"{index:05d}") for index in range(len(sizes))]
    for name in ("measured", "decided", "deduplicated"):
        (folder / name).mkdir(parents=True)
    table = write_layout(folder / "layout.parquet", parts, sizes)
    layout = Layout(table, folder / "decided", folder / "deduplicated", documents, MinHashTable())
    make_partition(layout, 0, with_signatures=False)  # whose width the tasks look up
    return layout, RecordIds("scale")


@dataclass(frozen=True)
class Measured:
    """One size, measured."""

    documents: int
    costs: list[TaskCost]
    seconds: float  # wall
    disk: int  # bytes, the most after any round
    counts: dict[str, int]

    @property
    def millions(self) -> float:
        return self.documents / 1e6

    @property
    def cpu(self) -> float:
        """CPU seconds per million documents."""
        return sum(cost.cpu for cost in self.costs) / self.millions

    def by_stage(self) -> dict[str, float]:
        """CPU seconds per million documents, by stage."""
        sums: dict[str, float] = defaultdict(float)
        for cost in self.costs:
            sums[STAGES[cost.task]] += cost.cpu / self.millions
        return sums

    def peak(self, but: str = "") -> int:
        return max(cost.peak for cost in self.costs if cost.task != but)


def measure(folder: Path, documents: int, partition: int, workers: int) -> Measured:
    """Run all rounds over so many documents."""
    layout, ids = make_layout(folder / f"{documents}", documents, partition)
    costs: list[TaskCost] = []
    disk, counts, began = 0, {}, time.perf_counter()
    with ProcessPoolExecutor(workers, get_context("spawn"), prepare_worker) as pool:
        list(pool.map(warm_worker, [folder] * workers))
        for tasks in minhash.rounds(layout, ids):
            results = list(pool.map(run_task, *zip(*tasks, strict=True)))
            costs += [cost for _, cost in results]
            counts = results[-1][0]
            disk = max(disk, sum_file_sizes(layout.folder))
            print_progress(f"{documents:,}: {len(tasks):,} x {tasks[0][0].__name__}, {time.perf_counter() - began:.0f} s")
    shutil.rmtree(folder / f"{documents}")
    return Measured(documents, costs, time.perf_counter() - began, disk, counts)


def print_tables(sizes: list[Measured]) -> None:
    stages = list(dict.fromkeys(STAGES.values()))
    rows = []
    for size in sizes:
        by_stage = size.by_stage()
        rows.append([f"{size.millions:g}", f"{size.cpu:.2f}", *(f"{by_stage.get(stage, 0):.2f}" for stage in stages)])
    print("CPU seconds per million documents\n")
    print(format_table(["millions", "all", *stages], rows), end="\n\n")
    rows = []
    for size in sizes:
        opened, written = sum(cost.opened for cost in size.costs), sum(cost.written for cost in size.costs)
        join = max(cost.peak for cost in size.costs if cost.task == "join_pairs")
        rows.append(
            [
                f"{size.millions:g}", f"{len(size.costs):,}", f"{opened:,}", f"{opened / size.millions:,.0f}",
                f"{written / size.documents:,.0f}", f"{size.disk / 1e9:.2f} GB", f"{size.peak('join_pairs') / 1e6:,.0f} MB",
                f"{join / 1e6:,.0f} MB", f"{size.seconds:,.0f}", f"{size.counts['exact']:,}", f"{size.counts['near']:,}",
            ]
        )  # fmt: skip
    header = ["millions", "tasks", "files opened", "per million", "bytes written per document", "disk at most"]
    header += ["memory of a task", "of join_pairs", "wall seconds", "exact", "near"]
    print(format_table(header, rows), end="\n\n")


class Work(NamedTuple):
    """Tasks, and files that they open."""

    tasks: int
    opened: int


def count_exchange(senders: int, receivers: int, into: int = FAN_IN, looks: int = 1) -> Work:
    """Return the passes of an exchange, and the files that these and the receivers open, the receivers `looks` times each."""
    tasks = opened = 0
    files, blocks = senders, 1
    while files > FAN_IN:
        blocks = min(receivers, blocks * into)
        opened += blocks * files
        files = -(-files // FAN_IN)
        tasks += blocks * files
    return Work(tasks, opened + looks * receivers * files)


def plan_on_paper(documents: int, partition: int, in_clusters: float) -> Work:
    """Return the work for so many documents, of which the share `in_clusters` has duplicates."""
    partitions = -(-documents // partition)
    runs = -(-documents // (runs_module.RECORDS // partition * partition))
    ranges = -(-documents * (banding(MinHashTable())[0] + 1) // ROWS_PER_RANGE)
    buckets = -(-round(documents * in_clusters) // clusters.RECORDS_PER_BUCKET)
    exchanges = [
        count_exchange(runs, ranges),  # bands
        count_exchange(ranges, ranges, SMALL),  # groups
        count_exchange(ranges, runs, SMALL),  # requests, and answers, which are opened for their size, too
        count_exchange(runs, ranges, looks=2),
        count_exchange(ranges, buckets, SMALL),  # pairs of clusters, requests, answers, ids
        count_exchange(ranges, runs, SMALL),
        count_exchange(runs, buckets, looks=2),
        count_exchange(runs, buckets, SMALL),
        count_exchange(buckets, runs, SMALL),  # what was chosen
    ]
    tasks = 4 * runs + 3 * ranges + buckets + 2 + sum(work.tasks for work in exchanges)
    # A partition's own files, and markers, as they were counted at the measured sizes.
    return Work(tasks, sum(work.opened for work in exchanges) + 18 * partitions + 3 * tasks)


def print_projection(largest: Measured, partition: int) -> None:
    """Print the table that goes on to 10^9 documents."""
    written = sum(cost.written for cost in largest.costs) / largest.documents
    join = largest.by_stage()["join"]
    in_clusters = largest.counts["in_clusters"] / largest.documents
    rows = []
    for documents in (10**7, 10**8, 10**9):
        work, millions = plan_on_paper(documents, partition, in_clusters), documents / 1e6
        rows.append(
            [
                f"{millions:,.0f}", f"{-(-documents // partition):,}", f"{work.tasks:,}", f"{work.opened:,}",
                f"{work.opened / millions:,.0f}", f"{written * documents / 1e9:,.0f} GB",
                f"{largest.disk / largest.documents * documents / 1e9:,.0f} GB", f"{largest.cpu * millions / 3600:,.2f}",
                f"{join * millions / 60:,.1f}", f"{32 * in_clusters * documents / 1e9:,.1f} GB",
            ]
        )  # fmt: skip
    header = ["millions", "partitions", "tasks", "files opened", "per million", "written", "disk at most", "CPU hours"]
    print("On paper\n")
    print(format_table([*header, "minutes of join_pairs", "its memory"], rows), end="\n\n")


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 8, 30], help="sizes (default: %(default)s)")
    parser.add_argument("--partition", type=int, default=9000, help="documents per partition (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    options = parse_options(parser, "scale", {"millions": [0.002, 0.004], "partition": 500, "workers": 1})
    sizes = []
    for millions in sorted(options.millions):
        sizes.append(measure(options.scratch, round(millions * 1e6), options.partition, options.workers))
        print_tables(sizes[-1:])
    print_tables(sizes)
    print_projection(sizes[-1], options.partition)
    bars = []
    for size, most in zip(sizes[1:], (1.3, 1.5), strict=False):
        ratio = size.cpu / sizes[0].cpu
        text = (
            f"CPU per million at {size.millions:g} million <= {most} times that at {sizes[0].millions:g} million: {ratio:.2f}"
        )
        bars.append(Bar(ratio <= most, text))
    growth = max(size.peak("join_pairs") for size in sizes) / sizes[0].peak("join_pairs")
    bars.append(Bar(growth <= 1.3, f"memory of one task flat: at most {growth:.2f} times that at the smallest size"))
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
