"""Reading WARC files on one core: records, HTTP heads, bodies decoded; beside fastwarc and warcio.

    python -m benchmarks.warc [--megabytes 200] [--rounds 3]

| reader | |
|---|---|
| ours | `cut` and `read` of the source `warc`: members unpacked and checked, wrong lengths found, an index, the checksum of the file |
| fastwarc | `ArchiveIterator` with `parse_http` and `auto_decode="all"`, every body read |
| warcio | `ArchiveIterator`, every body read |
| extraction | what ours yields, to text: `filters.html`, the step that follows |

The file is the pages of `text/warc/debian-docs.warc.gz` as often as it takes, a gzip member for every record. All must find the same number
of pages and bytes. Runs take turns, figures are medians. Exits with 1 where reading is more than a third of reading and extraction.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.corpus import write_warc
from benchmarks.harness import Bar, finish, format_speed, format_table, make_parser, median, parse_options, seconds, take_turns
from filters.html import extract_documents
from pipeline.sources.base import CutState, Fields
from pipeline.sources.inputs import describe_file
from pipeline.sources.rows import Rows
from pipeline.sources.text.warc import WARCSource

BAR = 1 / 3


class Found(NamedTuple):
    pages: int
    bytes: int


def read_rows(path: Path) -> list[Rows]:
    source, file = WARCSource(), describe_file(str(path))
    state = CutState(partition=32_000_000, max_document=64_000_000)
    return [source.read(piece, file, np.frombuffer(body, np.uint8), Fields()) for piece, body in source.cut(file, 0, state)]


def read_with_ours(path: Path) -> Found:
    """Read ranges one after the other, as a worker does, which holds one at a time."""
    source, file = WARCSource(), describe_file(str(path))
    pages = size = 0
    for piece, body in source.cut(file, 0, CutState(partition=32_000_000, max_document=64_000_000)):
        rows = source.read(piece, file, np.frombuffer(body, np.uint8), Fields())
        assert rows.text is not None
        pages += len(rows.frame)
        size += int((rows.text.ends - rows.text.starts).sum())
    return Found(pages, size)


def read_with_fastwarc(path: Path) -> Found:
    from fastwarc import ArchiveIterator, WarcRecordType  # of the development environment

    pages = size = 0
    for record in ArchiveIterator(str(path), record_types=WarcRecordType.response, parse_http=True, auto_decode="all"):
        pages += 1
        size += len(record.reader.read())
    return Found(pages, size)


def read_with_warcio(path: Path) -> Found:
    from warcio.archiveiterator import ArchiveIterator  # of the development environment

    pages = size = 0
    with open(path, "rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                pages += 1
                size += len(record.content_stream().read())
    return Found(pages, size)


def extract(rows: list[Rows]) -> None:
    for one in rows:
        assert one.text is not None
        is_html = one.frame["media_type"].eq_missing("text/html").to_numpy()
        extract_documents(*one.text, one.frame["charset"].to_list(), is_html)


PEERS: dict[str, Callable[[Path], Found]] = {"fastwarc": read_with_fastwarc, "warcio": read_with_warcio}


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--megabytes", type=float, default=200, help="size of the file, uncompressed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: %(default)s)")
    options = parse_options(parser, "warc", {"megabytes": 0.1, "rounds": 1})
    path = write_warc(options.data, options.scratch / "pages.warc.gz", options.megabytes)
    expected = read_with_ours(path)
    for name, peer in PEERS.items():
        if peer(path) != expected:
            raise SystemExit(f"{name} reads {peer(path)}, ours {expected}")
    turns = take_turns(
        lambda: seconds(lambda: read_with_ours(path)),
        {name: partial(seconds, partial(peer, path)) for name, peer in PEERS.items()},
        options.rounds,
    )
    ours = turns.median_of_ours()
    rows = read_rows(path)
    extracting = median([seconds(lambda: extract(rows)) for _ in range(options.rounds)])
    size = expected.bytes / 1e6
    table = [["ours", format_speed(size / ours), format_speed(expected.pages / ours), "1.00"]]
    for name, times in turns.peers.items():
        time = median(times)
        table.append([name, format_speed(size / time), format_speed(expected.pages / time), f"{time / ours:.2f}"])
    table.append(
        ["extraction", format_speed(size / extracting), format_speed(expected.pages / extracting), f"{extracting / ours:.2f}"]
    )
    print(f"{expected.pages:,} pages, {size:,.0f} MB of HTML, {path.stat().st_size / 1e6:,.0f} MB as stored\n")
    print(format_table(["reader", "MB/s", "pages/s", "time of ours"], table))
    share = ours / (ours + extracting)
    return finish(
        [Bar(share <= BAR, f"reading takes {share:.0%} of reading and extraction (at most {BAR:.0%})")], options.smoke
    )


if __name__ == "__main__":
    sys.exit(main())
