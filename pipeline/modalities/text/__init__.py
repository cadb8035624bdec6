"""Documents: cleaned, measured, deduplicated by MinHash."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from filters import MEASURES, compute
from filters.kernels import jit, to_arrow
from filters.text.boilerplate import boilerplate_lines
from filters.text.minhash import SKETCH_BINS, signatures
from filters.text.normalisation import normalise_spans, without_lines
from pipeline.dedup.minhash import near, rounds
from pipeline.ledger import EXCERPT
from pipeline.manifest.loading import TextManifest
from pipeline.modalities import Measured, Words
from pipeline.sources import Partition, Records, source
from pipeline.steps.deduplicate import Layout
from pipeline.steps.measure import Part

__all__ = [
    "WORDS",
    "kept_together",
    "late",
    "ledger_fields",
    "measured",
    "near",
    "rounds",
    "row_group",
    "schema",
    "shard_rows",
    "warm",
    "warnings",
]

WORDS = Words(
    ("documents", "文書"),
    ("characters", "文字数"),
    ("characters", "文字数"),
    "text-generation",
    "trainers.gpt",
    ("tokenizer", "tokens"),
    (0.7, 0.25),
)
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("license", pa.string()),
        pa.field("language", pa.string()),
        pa.field("language_score", pa.float32()),
        pa.field("chars", pa.int32()),
        pa.field("cluster_size", pa.uint32()),
    ]
)


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


def measured(manifest: TextManifest, partition: Partition, part: Part) -> Measured:
    """Clean the documents of a partition, compute every measure and the signature."""
    records: Records = source(manifest.source.format).read(partition, part.raw)
    if records.flaw is None:
        cleaned = normalise_spans(records.data, records.starts, records.ends, manifest.clean.compatibility)
    else:
        nothing = np.zeros(1, np.int64)
        cleaned = normalise_spans(records.data, nothing, nothing)
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
    table = pa.table(
        {
            "locator": records.offsets,
            "bytes": records.ends - records.starts,
            "amount_in": _characters(records.data, records.starts, records.ends),
            "amount": measures["chars"].cast(pl.Int64).to_arrow(),
            "payload": np.diff(offsets).astype(np.int64),
            "unreadable": pa.array(reasons, pa.string()),
            "head": _heads(records, unreadable),
            "exact": found.exact,
            "key_length": found.lengths,
            **{f"m:{name}": measures[name].to_arrow() for name in measures.columns},
            "text": to_arrow(data, offsets),
        }
    )
    arrays = {"signatures": found.minima.astype(np.uint16), "sketches": found.sketches}
    return Measured(table, arrays, {"boilerplate_lines": int(line_count.sum())})


def warm(manifest: TextManifest) -> None:
    """Compile (or load from numba's cache) every kernel, so that no partition waits for it."""
    text = np.frombuffer(
        "ﾊﾞナナは①e\u0301黄色い。\n\nJavaScriptを有効にしてください\nabc\u00e9 http://a.b/ 12。".encode(), np.uint8
    )
    ends = np.array([len(text)], np.int64)
    cleaned = normalise_spans(text, np.zeros(1, np.int64), ends)
    data, offsets, _, dropped = without_lines(cleaned, boilerplate_lines(cleaned))
    given = {"n_boilerplate_lines": dropped, "n_boilerplate_chars": dropped}
    named = [name for name, m in MEASURES.items() if m.kind in manifest.kinds and not name.startswith("language")]
    compute(data, offsets, named, given)
    signatures(data, offsets, bins=SKETCH_BINS)
    source(manifest.source.format).warm()
    _characters(text, np.zeros(1, np.int64), ends)


def warnings(total: dict[str, int]) -> list[str]:
    return []


def late(layout: Layout, index: int) -> pl.DataFrame | None:
    """Nothing beyond the clusters."""
    return None


def ledger_fields(manifest: TextManifest) -> list[pa.Field]:
    return []


def schema(manifest: TextManifest) -> pa.Schema:
    return _SCHEMA


def row_group(manifest: TextManifest) -> tuple[int, str | None]:
    return manifest.shards.row_group, None


def shard_rows(
    manifest: TextManifest, part: Part, batch: pl.DataFrame, rows: pl.DataFrame
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """One table for the whole batch."""

    def measure(name: str, kind: pl.DataType) -> pl.Series:
        return rows[name] if name in rows.columns else pl.Series(name, [None], kind).new_from_index(0, len(rows))

    table = pl.DataFrame(
        [
            rows["id"],
            batch["text"],
            pl.Series("source", [manifest.name]).new_from_index(0, len(rows)),
            pl.Series("license", [manifest.license]).new_from_index(0, len(rows)),
            measure("language", pl.String()),
            measure("language_score", pl.Float32()),
            rows["chars"],
            rows["cluster_size"],
        ]
    ).to_arrow()
    yield table, np.arange(len(table))


def kept_together(batch: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Near duplicates."""
    return rows["cluster_id"]
