"""The same documents in every format of text, as files in a folder."""

from __future__ import annotations

import bz2
import gzip
import html
import io
import json
import lzma
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import zstandard

from tests.support import warcs, wikipedia


def make_jsonl(documents: Sequence[str]) -> bytes:
    """Return JSON lines in C4's layout."""
    rows = (
        {"text": text, "timestamp": "2019-04-01T00:00:00Z", "url": f"https://example.jp/{i}"}
        for i, text in enumerate(documents)
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def make_parquet(documents: Sequence[str], row_group: int = 10) -> bytes:
    """Return Parquet with the columns of Hugging Face's Wikipedia."""
    out = io.BytesIO()
    numbers = range(len(documents))
    frame = pl.DataFrame(
        {
            "id": [str(i) for i in numbers],
            "url": [f"https://example.jp/{i}" for i in numbers],
            "title": [f"題{i}" for i in numbers],
            "text": documents,
        }
    )
    frame.write_parquet(out, row_group_size=row_group)
    return out.getvalue()


def make_arrow(documents: Sequence[str]) -> bytes:
    """Return an Arrow stream, as `datasets` saves it."""
    out = io.BytesIO()
    table = pa.table({"text": list(documents)})
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=10)
    return out.getvalue()


def make_warc(documents: Sequence[str]) -> bytes:
    """Return a WARC of pages, a gzip member each."""
    records = [warcs.info()]
    for number, text in enumerate(documents):
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in text.split("\n"))
        body = f"<html><head><title>題{number}</title></head><body><main>{paragraphs}</main></body></html>".encode()
        records.append(warcs.record(warcs.http(body), record_id=number, url=f"https://example.jp/{number}"))
    return warcs.pack(records)


def make_wikipedia_xml(documents: Sequence[str]) -> bytes:
    pages = "\n".join(wikipedia.page(f"題{i}", text, page_id=i) for i, text in enumerate(documents))
    return bz2.compress((wikipedia.HEAD + pages + wikipedia.END).encode())


def make_cirrussearch(documents: Sequence[str]) -> bytes:
    return gzip.compress(
        "".join(wikipedia.cirrus_lines(f"題{i}", text, i) for i, text in enumerate(documents)).encode(), mtime=0
    )


FORMATS = {
    "documents.txt.xz": lambda documents: lzma.compress("\n\n".join(documents).encode()),
    "plain.txt": lambda documents: "\n\n".join(documents).encode(),
    "lines.jsonl": make_jsonl,
    "c4.json.gz": lambda documents: gzip.compress(make_jsonl(documents), mtime=0),
    "lines.jsonl.zst": lambda documents: zstandard.compress(make_jsonl(documents)),
    "wikipedia.parquet": make_parquet,
    "data-00000-of-00001.arrow": make_arrow,
    "pages.warc.gz": make_warc,
    "pages-articles.xml.bz2": make_wikipedia_xml,
    "cirrussearch-content.json.gz": make_cirrussearch,
}


def write_formats(folder: Path, documents: Sequence[Sequence[str]]) -> list[Path]:
    """Write a file of each format, of `documents[i]` each."""
    paths = [folder / name for name in FORMATS]
    for path, make, texts in zip(paths, FORMATS.values(), documents, strict=True):
        path.write_bytes(make(texts))
    return paths
