"""Step 1, measure: read a partition, clean its documents, compute every measure and the signature. The one heavy pass."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from filters import compute
from filters.boilerplate import boilerplate_lines
from filters.kernels import jit, to_arrow
from filters.minhash import SKETCH_BINS, signatures
from filters.text import normalise_spans, without_lines
from pipeline.files import atomic, read_json, write_json
from pipeline.ledger import EXCERPT
from pipeline.manifest import Manifest
from pipeline.sources import SOURCES, Partition, Records, source

VERSION = 1  # to be raised when the output of this step changes for the same input
ROW_GROUP = 4096


@dataclass(frozen=True)
class Part:
    """The files of one measured partition."""

    folder: Path
    index: int

    @property
    def table(self) -> Path:
        """Parquet: `offset` `bytes` `text` `unreadable` `exact` `key_length` and a column per measure."""
        return self.folder / f"part-{self.index:05d}.parquet"

    @property
    def signatures(self) -> Path:
        """uint16[n, permutations]: the low halves of the signature's minima."""
        return self.folder / f"part-{self.index:05d}.signatures.npy"

    @property
    def sketches(self) -> Path:
        """uint8[n, SKETCH_BINS], as `filters.minhash.Signatures` says."""
        return self.folder / f"part-{self.index:05d}.sketches.npy"

    @property
    def raw(self) -> Path:
        return self.folder / "raw" / f"{self.index:05d}.bin"

    @property
    def done(self) -> Path:
        """Counts of the part, written last: where it is there, the part is whole."""
        return self.folder / f"part-{self.index:05d}.json"


@jit
def _characters(data, starts, ends):
    out = np.zeros(len(starts), np.int64)
    for d in range(len(starts)):
        count = 0
        for i in range(starts[d], ends[d]):
            count += (data[i] & 0xC0) != 0x80
        out[d] = count
    return out


def _reasons(records: Records, invalid: np.ndarray) -> list[str | None]:
    reasons: list[str | None] = [None] * len(records.starts)
    for d in np.flatnonzero(invalid >= 0):
        byte = records.data[records.starts[d] + invalid[d]]
        reasons[d] = f"invalid UTF-8: byte 0x{byte:02X} at {invalid[d]} of {records.ends[d] - records.starts[d]}"
    if records.flaw is not None:
        reasons = [records.flaw] * len(reasons)
    return reasons


def _heads(records: Records, unreadable: np.ndarray) -> pa.Array:
    """Beginnings of the documents that could not be read, for the ledger; null for the others."""
    heads: list[str | None] = [None] * len(records.starts)
    for d in np.flatnonzero(unreadable):
        start = records.starts[d]
        heads[d] = (
            records.data[start : min(records.ends[d], start + 4 * EXCERPT)].tobytes().decode("utf-8", "replace")[:EXCERPT]
        )
    return pa.array(heads, pa.string())


def measure(manifest: Manifest, partition: Partition, folder: Path) -> dict[str, Any]:
    """Measure one partition; returns the counts that are also written to `Part.done`."""
    part = Part(folder, partition.index)
    if (known := read_json(part.done)) is not None:
        return known
    began = time.perf_counter()
    records = source(manifest.source.format).read(partition, part.raw)
    if records.flaw is None:
        cleaned = normalise_spans(records.data, records.starts, records.ends, manifest.clean.compatibility)
    else:
        nothing = np.zeros(1, np.int64)
        cleaned = normalise_spans(records.data, nothing, nothing)
    n = len(records.starts)
    if manifest.clean.boilerplate:
        dropped = boilerplate_lines(cleaned, manifest.clean.boilerplate_line_chars)
    else:
        dropped = np.zeros(len(cleaned.line_offsets) - 1, bool)
    data, offsets, line_count, char_count = without_lines(cleaned, dropped)
    reasons = _reasons(records, cleaned.invalid)
    unreadable = np.array([r is not None for r in reasons], bool)
    given = {"n_boilerplate_lines": line_count, "n_boilerplate_chars": char_count}
    measures = compute(data, offsets, manifest.measures, given)
    settings = manifest.deduplicate
    found = signatures(data, offsets, settings.permutations, settings.seed, settings.shingle, SKETCH_BINS)
    chars_in = _characters(records.data, records.starts, records.ends)
    table = pa.table(
        {
            "offset": records.offsets,
            "bytes": records.ends - records.starts,
            "chars_in": chars_in,
            "unreadable": pa.array(reasons, pa.string()),
            "head": _heads(records, unreadable),
            "exact": found.exact,
            "key_length": found.lengths,
            **{f"m:{name}": measures[name].to_arrow() for name in measures.columns},
            "text": to_arrow(data, offsets),
        }
    )
    with atomic(part.signatures) as temporary, open(temporary, "wb") as file:
        np.save(file, found.minima.astype(np.uint16))
    with atomic(part.sketches) as temporary, open(temporary, "wb") as file:
        np.save(file, found.sketches)
    with atomic(part.table) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=1,
            use_dictionary=["m:language", "unreadable"] if "language" in manifest.measures else ["unreadable"],
            write_statistics=False,
        )
    counts = {
        "records": n,
        "bytes": partition.end - partition.start,
        "chars_in": int(chars_in.sum()),
        "chars": int(pl.Series(measures["chars"]).sum()),
        "text_bytes": int(offsets[-1]),
        "unreadable": int(unreadable.sum()),
        "boilerplate_lines": int(line_count.sum()),
        "seconds": round(time.perf_counter() - began, 3),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    write_json(part.done, counts)
    part.raw.unlink(missing_ok=True)
    return counts


def warm() -> None:
    """Compile (or load from numba's cache) every kernel, so that no partition waits for it."""
    text = np.frombuffer(
        "ﾊﾞナナは①e\u0301黄色い。\n\nJavaScriptを有効にしてください\nabc\u00e9 http://a.b/ 12。".encode(), np.uint8
    )
    ends = np.array([len(text)], np.int64)
    cleaned = normalise_spans(text, np.zeros(1, np.int64), ends)
    data, offsets, _, dropped = without_lines(cleaned, boilerplate_lines(cleaned))
    given = {"n_boilerplate_lines": dropped, "n_boilerplate_chars": dropped}
    from filters import MEASURES

    compute(data, offsets, [name for name in MEASURES if not name.startswith("language")], given)
    signatures(data, offsets, bins=SKETCH_BINS)
    for name in SOURCES:
        source(name).warm()
    _characters(text, np.zeros(1, np.int64), ends)
