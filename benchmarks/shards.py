"""Options of the shards' Parquet: what content-defined chunking, page index and statistics cost, and how much an edit uploads again.

    python -m benchmarks.shards [--megabytes 64]

The same records are written as one shard with each set of options, in the row groups of a build: documents of the development text,
and images of the development pairs. Then records are changed, the shard is written again, and both files are cut as the Hub's storage
cuts them (Xet: at a rolling hash of the bytes, chunks of 8 to 128 KB, 64 KB on average). What counts as uploaded is the share of the new
file that lies in chunks which the old one has not. Seconds are CPU time, the least of five, the options in turns.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus import read_documents
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from filters.kernels import jit
from pipeline.core.shards import writer_options

SENTENCE = "これは後から加えられた文である。"
PLAIN = {"use_content_defined_chunking": False, "write_page_index": False, "write_statistics": False}
OPTIONS: dict[str, Mapping[str, Any]] = {
    "none": PLAIN,
    "statistics": {"use_content_defined_chunking": False, "write_page_index": False},
    "statistics, page index": {"use_content_defined_chunking": False, "write_page_index": True},
    "statistics, page index, chunking": {"use_content_defined_chunking": True, "write_page_index": True},
}


class Records(NamedTuple):
    """Records of one kind: a table, the column that is not compressed again, and how many make a row group."""

    table: pa.Table
    weight_column: str | None
    row_group: int


def read_texts(data: Path, size: int) -> Records:
    """Documents of about `size` bytes."""
    texts = read_documents(data, size / 1e6).texts()
    columns = {
        "id": [f"cc100-ja/{i * 3661:010d}" for i in range(len(texts))],
        "text": texts,
        "license": ["CC0"] * len(texts),
        "chars": pa.array(map(len, texts), pa.int32()),
    }
    return Records(pa.table(columns), None, 1024)


def read_images(data: Path, size: int) -> Records:
    """Images of the pairs: of about `size` bytes, or all of them where there are fewer."""
    images = []
    for path in sorted((data / "image-text" / "img2dataset").glob("*.tar")):
        with tarfile.open(path) as tar:
            files = [tar.extractfile(member) for member in tar if member.name.endswith((".jpg", ".png", ".webp"))]
            images += [file.read() for file in files if file is not None]
    ends = np.cumsum([len(image) for image in images])
    images = images[: int(np.searchsorted(ends, size)) + 1]
    average = ends[-1] / len(ends)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = pa.array([{"bytes": image, "path": f"{i}.jpg"} for i, image in enumerate(images)], kind)
    ids = [f"laion-ja/{i:09d}" for i in range(len(images))]
    return Records(pa.table({"id": ids, "image": pictures}), "image.bytes", max(1, int((16 << 20) / average)))


def write(records: Records, table: pa.Table, options: Mapping[str, Any], path: Path) -> float:
    """Write a shard; return CPU seconds."""
    began = time.process_time()
    settings = writer_options(table.schema, records.weight_column, 3, ["license"]) | dict(options)
    with pq.ParquetWriter(path, table.schema, **settings) as writer:
        for start in range(0, len(table), records.row_group):
            group = table.slice(start, records.row_group).combine_chunks()
            writer.write_table(group, row_group_size=len(group))
    return time.process_time() - began


def edit(records: Records) -> Iterator[tuple[str, pa.Table]]:
    """Yield edits and what the table is after them."""
    table, drawn, middle = records.table, random.Random(3), len(records.table) // 2
    if records.weight_column is None:
        longer = table.slice(middle, 1).set_column(1, "text", [[table["text"][middle].as_py() + SENTENCE]])
        yield "one longer", pa.concat_tables([table.slice(0, middle), longer, table.slice(middle + 1)])
    yield "one gone", pa.concat_tables([table.slice(0, middle), table.slice(middle + 1)])
    yield "1 % gone", table.take([i for i in range(len(table)) if drawn.random() >= 0.01])
    yield "20 in front", pa.concat_tables([table.slice(len(table) - 20), table.slice(0, len(table) - 20)])


@jit
def _cut_chunks(data, gear):
    """Return where chunks end: at a rolling hash with 16 bits of 0, after 8 to 128 KB."""
    ends = np.empty(len(data) // 8192 + 2, np.int64)
    count, start, h = 0, 0, np.uint64(0)
    for i in range(len(data)):
        h = (h << np.uint64(1)) + gear[data[i]]
        size = i + 1 - start
        if size >= 8192 and (h >> np.uint64(48) == 0 or size >= 131072):
            ends[count] = start = i + 1
            count += 1
            h = np.uint64(0)
    if start < len(data):
        ends[count] = len(data)
        count += 1
    return ends[:count]


def hash_chunks(path: Path) -> dict[bytes, int]:
    """Return the size of every distinct chunk of a file by its digest."""
    content = path.read_bytes()
    gear = np.random.default_rng(0).integers(0, 2**64, 256, np.uint64)
    ends = _cut_chunks(np.frombuffer(content, np.uint8), gear).tolist()
    chunks = [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return {hashlib.blake2b(chunk, digest_size=16).digest(): len(chunk) for chunk in chunks}


def share_uploaded(old: Path, new: Path) -> float:
    known, chunks = hash_chunks(old), hash_chunks(new)
    return sum(size for digest, size in chunks.items() if digest not in known) / sum(chunks.values())


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--megabytes", type=float, default=64, help="of content in a shard (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=5)
    options = parse_options(parser, "shards", {"megabytes": 0.5, "turns": 1})
    old, new = options.scratch / "old.parquet", options.scratch / "new.parquet"
    bars = []
    for name, read in (("documents", read_texts), ("images", read_images)):
        records = read(options.data, int(options.megabytes * 1e6))
        seconds: dict[str, list[float]] = {variant: [] for variant in OPTIONS}
        for _ in range(options.turns):
            for variant, settings in OPTIONS.items():
                seconds[variant].append(write(records, records.table, settings, old))
        edits = dict(edit(records))
        rows, uploads = [], {}
        for variant, settings in OPTIONS.items():
            write(records, records.table, settings, old)
            for change, table in edits.items():
                write(records, table, settings, new)
                uploads[variant, change] = share_uploaded(old, new)
            least = min(seconds[variant])
            cost = f"{least / min(seconds['none']) - 1:+.1%}"
            shares = [f"{uploads[variant, change]:.1%}" for change in edits]
            rows.append([variant, f"{least:.2f}", cost, f"{old.stat().st_size:,}", *shares])
        print(f"{len(records.table):,} {name}, {records.table.nbytes / 1e6:.0f} MB, row groups of {records.row_group:,}\n")
        print(
            format_table(["options", "CPU seconds", "", "bytes", *(f"uploaded: {change}" for change in edits)], rows),
            end="\n\n",
        )
        if name == "documents":
            without, chunked = (uploads[variant, "1 % gone"] for variant in list(OPTIONS)[-2:])
            text = f"of documents, chunking uploads less again where 1 % are gone: {chunked:.1%} instead of {without:.1%}"
            bars.append(Bar(chunked < without, text))
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
