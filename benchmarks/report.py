"""What the report adds to a build.

    python -m benchmarks.report [--records 20000] [--gigabytes 2]

The development text is built, and the seconds of its report are told beside those of all steps. Then its ledger is repeated, with ids of
its own for every copy, until it is that of so many gigabytes of content, in files and row groups as a build writes them. That ledger is
counted as a build does it, and CPU seconds are compared with those of the build and its workers, taken in proportion to the content. What
does not grow with the content, such as pictures and the page itself, is in the first row alone.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import polars as pl
import psutil
import pyarrow.parquet as pq

from benchmarks.corpus import text_file
from benchmarks.harness import Bar, build_command, clear, finish, format_table, make_parser, parse_options, run_command
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.shards import writer_options
from pipeline.core.storage import read_json
from pipeline.manifest.loading import load
from pipeline.report.gather import count_ledger
from pipeline.report.ledger import Ledger

MOST = 0.03  # of the time of a build
_ROWS = 80_000  # in a ledger file
_GROUP = 16_384  # in a row group


def repeat_ledger(corpus: Path, folder: Path, copies: int) -> tuple[Path, ...]:
    """Write the rows of a ledger so many times, and return the files."""
    table = pl.read_parquet(corpus / "ledger" / "*.parquet")
    per_file = max(1, _ROWS // len(table))
    files = []
    for number, first in enumerate(range(0, copies, per_file)):
        several = pl.concat(
            table.with_columns(pl.col("id", "duplicate_of", "cluster_id") + f"-{copy}")
            for copy in range(first, min(first + per_file, copies))
        )
        arrow = several.to_arrow()
        schema = pq.read_schema(next((corpus / "ledger").glob("*.parquet")))
        files.append(folder / f"ledger-{number:05d}.parquet")
        settings = writer_options(schema, None, 3, ["source", "verdict", "step", "rule", "value_text", "bound_text"])
        with pq.ParquetWriter(files[-1], schema, **settings) as writer:
            writer.write_table(arrow.cast(schema), row_group_size=_GROUP)
    return tuple(files)


def sum_cpu_of_commands() -> float:
    """Return the CPU seconds of all commands that have ended, and of their workers."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--records", type=int, default=20_000, help="that are built (default: %(default)s)")
    parser.add_argument(
        "--gigabytes", type=float, default=2.0, help="of content, of the repeated ledger (default: %(default)s)"
    )
    options = parse_options(parser, "report", {"records": 200, "gigabytes": 0.002})
    out = clear(options.scratch / "out")
    before = sum_cpu_of_commands()
    run_command(build_command("cc100-ja", text_file(options.data), out / "corpus", "--limit", str(options.records)))
    corpus = out / "corpus"
    state = read_json(corpus / STATE_FOLDER / "state.json")
    content, records = state["total"]["bytes"], state["total"]["records"]
    build, report = (sum_cpu_of_commands() - before) or state["seconds"], state["report_seconds"]
    copies = max(1, round(options.gigabytes * 1e9 / content))
    ledger = Ledger(repeat_ledger(corpus, clear(options.scratch / "ledger"), copies))
    manifest = load(str(corpus / "manifest.lock.toml"))
    memory, began = psutil.Process().memory_info().rss, time.process_time()
    count_ledger(ledger, manifest)
    counted = time.process_time() - began
    grown = psutil.Process().memory_info().rss - memory
    expected = build * copies
    rows = [
        [f"{size / 1e6:,.0f} MB, {how}", f"{number:,}", f"{whole:,.1f}", f"{part:.2f}", f"{part / whole:.1%}"]
        for size, how, number, whole, part in (
            (content, "built", records, build, report),
            (content * copies, "ledger repeated", ledger.rows, expected, counted),
        )
    ]
    print(format_table(["content", "records", "CPU s of the build", "CPU s of the report", "share"], rows))
    size = (corpus / "report.html").stat().st_size
    print(f"\nreport.html {size / 1e6:.2f} MB; memory grew by {grown / 1e6:,.0f} MB while the repeated ledger was counted")
    share = f"the report of {options.gigabytes:g} GB takes {counted / expected:.1%} of its build, at most {MOST:.0%}"
    bars = [Bar(counted <= MOST * expected, share), Bar(size < 5_000_000, f"report.html has {size / 1e6:.2f} MB, less than 5")]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
