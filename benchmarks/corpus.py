"""The documents that benchmarks of text run over, and the build of them."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from benchmarks.harness import build_command, run_command
from pipeline.sources.formats.warc import RecordReader

TOKENIZER = ("tokenizer.vocab_size=2500", "tokenizer.sequence_length=64")  # of smoke runs


@dataclass(frozen=True)
class Documents:
    """n documents as they stand in the file: document i is `data[starts[i]:ends[i]]`, and `starts` are offsets in the file."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def megabytes(self) -> float:
        """Megabytes (10^6) of text."""
        return float((self.ends - self.starts).sum()) / 1e6

    def texts(self) -> list[str]:
        raw = self.data.tobytes()
        return [raw[a:b].decode() for a, b in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]


class DocumentPair(NamedTuple):
    """Offsets of two documents, and the Jaccard similarity of their character 5-grams."""

    a: int
    b: int
    jaccard: float


def text_file(data: Path) -> Path:
    """The text itself, in CC-100's format."""
    return data / "text" / "ja.txt.xz"


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a .jsonl.gz."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_truth(data: Path) -> list[dict[str, Any]]:
    """Offset, bytes, kind and language of every document."""
    return read_jsonl(data / "text" / "ja.truth.jsonl.gz")


def read_pairs(data: Path) -> list[DocumentPair]:
    """Pairs of documents with a known similarity."""
    return [DocumentPair(row["a"], row["b"], row["jaccard_char5"]) for row in read_jsonl(data / "text" / "ja.pairs.jsonl.gz")]


def read_labelled(data: Path) -> Iterator[dict[str, Any]]:
    """Short texts of known language: text, language and the set that they are of."""
    yield from read_jsonl(data / "language" / "labelled.jsonl.gz")


def read_documents(data: Path, megabytes: float | None = None, offsets: set[int] | None = None) -> Documents:
    """The first documents, `megabytes` of them (default: all), or those at `offsets`."""
    chosen, total = [], 0
    for row in read_truth(data):
        if offsets is not None and row["offset"] not in offsets:
            continue
        if megabytes is not None and total >= megabytes * 1e6:
            break
        chosen.append((row["offset"], row["bytes"]))
        total += row["bytes"]
    spans = np.array(chosen, np.int64).reshape(-1, 2)
    with lzma.open(text_file(data)) as file:
        raw = file.read(int(spans[-1].sum()) if len(spans) else 0)
    starts = spans[:, 0]
    return Documents(np.frombuffer(raw, np.uint8), starts, starts + spans[:, 1])


def warc_file(data: Path) -> Path:
    """Pages of HTML, with navigation and footers, a gzip member for every record."""
    return data / "text" / "warc" / "debian-docs.warc.gz"


def write_warc(data: Path, path: Path, megabytes: float) -> Path:
    """Write a WARC of `megabytes` (10^6, uncompressed) to `path`, unless one of that size is there.

    Its pages are those of `warc_file` again and again, each time with other characters for its kanji, so that they are no duplicates of
    one another; pages without kanji are left out after the first time. Each has a request and metadata beside it, as in Common Crawl.
    """
    marker = path.with_suffix(".size")
    if path.is_file() and marker.is_file() and marker.read_text() == str(megabytes):
        return path
    with gzip.open(warc_file(data)) as file:
        reader = RecordReader(lambda: file.read(1 << 20), 1 << 30, is_joined=True)
        pages = []
        while (record := reader.next()) is not None:
            block = bytes(record.data[record.head_size :])
            if record.type == "response" and b"-Encoding:" not in block[:1000]:  # a coded body cannot be changed
                pages.append(block)
    written, copy = 0.0, 0
    with open(path, "wb") as out:
        while written < megabytes * 1e6:
            table = _shift_kanji(copy)
            for number, block in enumerate(pages):
                text = block.decode("utf-8", "surrogateescape")
                changed = text.translate(table)
                if copy and changed == text:
                    continue
                url = f"https://docs.example/{copy}/{number}.html"
                for kind, body in (
                    ("request", b"GET / HTTP/1.1\r\n\r\n"),
                    ("response", changed.encode("utf-8", "surrogateescape")),
                ):
                    raw = _format_record(kind, url, body)
                    written += len(raw)
                    out.write(gzip.compress(raw, 6, mtime=0))
                out.write(gzip.compress(_format_record("metadata", url, b"fetchTimeMs: 100\r\n"), 6, mtime=0))
                if written >= megabytes * 1e6:
                    break
            copy += 1
    marker.write_text(str(megabytes))
    return path


def _format_record(kind: str, url: str, block: bytes) -> bytes:
    content_type = "application/warc-fields" if kind == "metadata" else f"application/http; msgtype={kind}"
    fields = {
        "WARC-Type": kind, "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, kind + url)}>",
        "WARC-Date": "2026-11-28T00:00:00Z", "WARC-Target-URI": url, "Content-Type": content_type, "Content-Length": str(len(block)),
    }  # fmt: skip
    head = "\r\n".join(["WARC/1.0", *(f"{name}: {value}" for name, value in fields.items()), "", ""])
    return head.encode() + block + b"\r\n\r\n"


def _shift_kanji(step: int) -> dict[int, int]:
    """Return a table for `str.translate` that turns each kanji into another, 37 further on for every step."""
    first, last = 0x4E00, 0x9FA0
    return {code: first + (code - first + 37 * step) % (last - first) for code in range(first, last)} if step else {}


def build_corpus(data: Path, out: Path, smoke: bool) -> Path:
    """Build the text with the manifest cc100-ja, unless a build stands at `out`; returns its folder.

    In smoke runs that is a folder beside the tiny data, and the build gets a tokenizer and token shards: so one build serves all
    benchmarks that have one `--scratch`.
    """
    if smoke:
        out = data.parent / "cc100-ja"
        options = [word for setting in TOKENIZER for word in ("--set", setting)]
        with FileLock(data.parent / "cc100-ja.lock"):
            if not (out / "tokens").is_dir():
                run_command(build_command("cc100-ja", text_file(data), out, *options))
    elif not (out / "ledger").is_dir():
        run_command(build_command("cc100-ja", text_file(data), out))
    return out


def read_paragraphs(data: Path) -> list[dict[str, Any]]:
    """Paragraphs of mC4 that people labelled: text and label, good or bad."""
    return read_jsonl(data / "quality" / "mc4_ja_labelled.jsonl.gz")


def is_for_tuning(text: str) -> bool:
    """Return whether a text is of the half that models are trained and bounds are tuned on: by the last bit of a hash's first byte."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0
