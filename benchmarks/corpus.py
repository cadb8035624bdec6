"""The documents that benchmarks of text run over, and the build of them."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from benchmarks.harness import build_command, run_command

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


def build_corpus(data: Path, out: Path, smoke: bool) -> Path:
    """Build the text with the manifest cc100-ja, unless a build stands at `out`; returns `out`.

    In smoke runs it also gets a tokenizer and token shards, so that one build serves all benchmarks that share a `--scratch`.
    """
    options = [word for setting in TOKENIZER for word in ("--set", setting)] + ["--workers", "1"] if smoke else []
    with FileLock(out.with_suffix(".lock")):
        if not (out / ("tokens" if smoke else "ledger")).is_dir():
            run_command(build_command("cc100-ja", text_file(data), out, *options))
    return out
