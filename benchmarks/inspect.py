"""How long pages of `python -m pipeline.inspect` take on a large ledger, and how much memory.

    python -m benchmarks.inspect --rows 10M

The ledger is that of `benchmarks/whatif.py`: rows of the sample's with noise in their measures. Every page is asked for over HTTP, from a
server in this process, as a browser does it; what was computed for one page is forgotten before the next, but for what the first page
leaves. Bars: the first page under 1 s, any filter and any page under 2 s.
"""

from __future__ import annotations

import http.client
import re
import resource
import sys
import time
from pathlib import Path
from threading import Thread

from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options, use_all_cores
from benchmarks.whatif import prepare_corpus
from pipeline.core.settings import parse_count
from pipeline.inspect.command import bind_port
from pipeline.inspect.serving import make_server

FIRST, OTHER = 1.0, 2.0  # seconds
TOKEN = "token"
PAGES = {
    "overview, the first page": "/",
    "all records, first page": "/records",
    "all records, a page far in": "/records?page={middle}",
    "all records, last page": "/records?page={last}",
    "dropped by a rule": "/records?verdict=dropped&rule=language",
    "two measures within limits": "/records?min.chars=100&max.chars=2000&min.hiragana_share=0.4",
    "two measures, a page far in": "/records?min.chars=100&max.chars=2000&min.hiragana_share=0.4&page=10000",
    "few of all, from everywhere": "/records?min.quality_score=0.999&max.chars=300",
    "sorted by a measure": "/records?sort=-hiragana_share",
    "sorted, a page far in": "/records?verdict=kept&sort=hiragana_share&page=60000",
    "near a value": "/records?verdict=kept&sort=quality_score~0.5",
    "a rule: histogram, records near its bound": "/rule?name=chars",
    "part of an id": "/records?id=99999",
    "a text, in a part of the ledger": "/records?q=%E9%9B%A8",
    "a text that is nowhere": "/records?q=never%20there",
    "clusters": "/clusters",
    "sources": "/sources",
}


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=parse_count, default=10_000_000, help="rows of the ledger")
    options = parse_options(parser, "inspect", {"rows": 2_000})
    if not options.smoke:
        use_all_cores("benchmarks.inspect")
    table, bars = measure_pages(prepare_corpus(options.scratch, options.rows), options.rows)
    print(format_table([f"{options.rows:,} rows", "seconds", "CPU seconds"], table))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"memory at most: {memory / 1e9:.2f} GB")
    return finish(bars, options.smoke)


def measure_pages(folder: Path, rows: int) -> tuple[list[list[str]], list[Bar]]:
    """Return a line of the table for each page, and its bar."""
    pages = -(-rows // 50)
    table, bars = list[list[str]](), list[Bar]()
    with bind_port(None) as listener:
        began = time.perf_counter()
        server, watched = make_server(folder, listener, TOKEN)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        table.append(["opening the corpus", f"{time.perf_counter() - began:.2f}", ""])
        for name, path in PAGES.items():
            is_first = path == "/"
            seconds, cpu, found = time_page(listener.getsockname()[1], path.format(middle=pages // 2 + 1, last=pages))
            most = FIRST if is_first else OTHER
            table.append([f"{name} ({found})" if found else name, f"{seconds:.2f}", f"{cpu:.2f}"])
            bars.append(Bar(seconds < most, f"{name}: {seconds:.2f} s ({most:g})"))
            vars(watched.open()).pop("selector", None)  # and what it remembers
        server.should_exit = True
        thread.join()
    return table, bars


def time_page(port: int, path: str) -> tuple[float, float, str]:
    """Return how long a page took, the CPU seconds of this process meanwhile, and how many records its heading says there are."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began, cpu_before = time.perf_counter(), time.process_time()
    connection.request("GET", path, headers={"Cookie": f"seimai-inspect-{port}={TOKEN}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_before
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status}\n{body}")
    found = re.search(r"<h1>([\d,]+) records</h1>", body)
    return seconds, cpu, found[1] if found else ""


if __name__ == "__main__":
    sys.exit(main())
