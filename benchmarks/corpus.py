"""The documents that the benchmarks run over, and small things they share: timing in turns and Markdown tables."""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("../shared/data/text")  # relative to the repository root


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


def build_command(source: Path, out: Path, *options: str) -> list[str]:
    """The command line of a build of `source` with the manifest cc100-ja into `out`."""
    return [sys.executable, "-m", "pipeline.build", "cc100-ja", "--input", str(source), "--out", str(out), *options]


def built(data: Path, out: Path | None) -> Path:
    """The folder of a build of `ja.txt.xz` with the manifest cc100-ja: the one at `out` where there is one, else a fresh one."""
    out = out or Path(tempfile.mkdtemp()) / "cc100-ja"
    if not (out / "ledger").is_dir():
        subprocess.run(build_command(folder(data) / "ja.txt.xz", out), check=True)
    return out


def add_data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder of ja.txt.xz; relative to the repository root (default: %(default)s)"
    )


def folder(data: Path) -> Path:
    return data if data.is_absolute() else ROOT / data


def truth(data: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(folder(data) / "ja.truth.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def documents(data: Path, megabytes: float | None = None, wanted: set[int] | None = None) -> Documents:
    """The first documents of `ja.txt.xz`, `megabytes` of them (default: all), or those whose offset is in `wanted`."""
    chosen, total = [], 0
    for row in truth(data):
        if wanted is not None and row["offset"] not in wanted:
            continue
        if megabytes is not None and total >= megabytes * 1e6:
            break
        chosen.append((row["offset"], row["bytes"]))
        total += row["bytes"]
    where = np.array(chosen, np.int64).reshape(-1, 2)
    with lzma.open(folder(data) / "ja.txt.xz") as file:
        raw = file.read(int(where[-1].sum()) if len(where) else 0)
    starts = where[:, 0]
    return Documents(np.frombuffer(raw, np.uint8), starts, starts + where[:, 1])


def pairs(data: Path) -> list[tuple[int, int]]:
    """Offsets of the documents in each pair of `ja.pairs.jsonl.gz`."""
    with gzip.open(folder(data) / "ja.pairs.jsonl.gz", "rt", encoding="utf-8") as file:
        return [(row["a"], row["b"]) for row in map(json.loads, file)]


def seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def in_turns(
    ours: Callable[[], float], peers: dict[str, Callable[[], float]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Times `(ours beside each peer, each peer)`: ours, peer, ours, and again, so that a busy machine is so for both."""
    beside: dict[str, list[float]] = {name: [] for name in peers}
    theirs: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, peer in peers.items():
            beside[name].append(ours())
            theirs[name].append(peer())
            beside[name].append(ours())
    return beside, theirs


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned right."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"
