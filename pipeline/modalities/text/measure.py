"""Documents: from raw bytes to cleaned text, measures and signatures."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from filters import MEASURES, compute
from filters.html import extract_documents
from filters.kernels import jit, to_arrow
from filters.text import mojibake
from filters.text.boilerplate import boilerplate_lines
from filters.text.lines import line_keys, remove_spans
from filters.text.minhash import SKETCH_BINS, signatures
from filters.text.normalisation import drop_lines, normalise_spans
from filters.text.text_model import load_model
from pipeline.manifest.model import is_of_corpus
from pipeline.modalities.base import EXCERPT, SAMPLES, MeasuredRecords, count_lines, most_frequent, own_terms
from pipeline.modalities.text.extract import extract_text
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.urls import hash_domains
from pipeline.modalities.text.wikipedia import clean_wikipedia, no_pages
from pipeline.sources.rows import Rows, Spans

PASSED_OVER = "passed_over:"  # begins the names of counts of what is no record


@jit
def _count_characters(data, starts, ends):
    out = np.zeros(len(starts), np.int64)
    for d in range(len(starts)):
        for start in range(starts[d], ends[d], 4096):
            count = np.int32(0)  # as wide as will do: more of them in a vector
            for byte in data[start : min(start + 4096, ends[d])]:
                count += np.int32((byte & 0xC0) != 0x80)
            out[d] += count
    return out


def measure_documents(manifest: TextManifest, rows: Rows) -> MeasuredRecords:
    """Clean documents and compute every measure and the signature."""
    assert rows.text is not None, "sources of text yield spans of text"
    sizes = rows.text.ends - rows.text.starts
    passed_over = {f"{PASSED_OVER}{kind}": count for kind, count in rows.passed_over.items()}
    rows = extract_text(rows, manifest.clean)
    rows, page_counters = clean_wikipedia(rows, manifest.clean.wikipedia)
    raw = rows.text
    assert raw is not None
    readable = rows.frame["problem"].is_null().to_numpy()
    # An empty span stands for a document that cannot be read.
    cleaned = normalise_spans(
        raw.data,
        np.where(readable, raw.starts, 0),
        np.where(readable, raw.ends, 0),
        manifest.clean.compatibility,
        manifest.clean.width,
    )
    if manifest.clean.boilerplate:
        dropped = boilerplate_lines(cleaned, manifest.clean.boilerplate_line_chars)
    else:
        dropped = np.zeros(len(cleaned.line_offsets) - 1, bool)
    data, offsets, dropped_lines, dropped_chars = drop_lines(cleaned, dropped)
    problems = _problems(rows.frame["problem"], raw, cleaned.invalid)
    given = {
        "n_boilerplate_lines": dropped_lines,
        "n_boilerplate_chars": dropped_chars,
        "n_joined_spaces": cleaned.joined,
        **page_counters,
    }
    if "mojibake_share" in manifest.measures:
        is_utf8 = readable & (cleaned.invalid < 0)
        given |= mojibake.count_spans(raw.data, np.where(is_utf8, raw.starts, 0), np.where(is_utf8, raw.ends, 0))
    if "url_list" in manifest.measures:
        given["url_list"] = manifest.urls.find(_column(rows.frame, "url")).to_numpy().astype(object)
    if manifest.quality.model is not None:
        given["quality_score"] = load_model(manifest.quality.model).score(data, offsets)
    measures = compute(data, offsets, manifest.measures, given)
    settings = manifest.deduplicate
    keys = signatures(data, offsets, settings.permutations, settings.seed, settings.shingle, SKETCH_BINS)
    lines = line_keys(data, offsets) if manifest.recurring_lines.enabled else None
    table = pa.table(
        {
            "file": rows.frame["file"].to_arrow(),
            "locator": rows.frame["locator"].to_arrow(),
            "bytes": sizes,
            "amount_in": _count_characters(*raw),
            "amount": measures["chars"].cast(pl.Int64).to_arrow(),
            "payload": np.diff(offsets).astype(np.int64),
            "unreadable": pa.array(problems, pa.string()),
            "head": _excerpts(raw, problems),
            "exact": keys.exact,
            "key_hash": keys.keys,
            "key_length": keys.lengths,
            **{f"m:{name}": measures[name].to_arrow() for name in measures.columns},
            **_kept_columns(manifest, rows.frame),
            **own_terms(rows.frame),
            **({"domain": hash_domains(_column(rows.frame, "url")).to_arrow()} if manifest.hashes_domains else {}),
            **({"lines": lines[1]} if lines else {}),
            "boilerplate_lines": dropped_lines,
            "boilerplate_chars": dropped_chars,
            "text": to_arrow(data, offsets),
        }
    )
    arrays = {"signatures": keys.minima.astype(np.uint16), "sketches": keys.sketches}
    if lines:
        arrays["lines"] = lines[0]
    samples = pl.Series("line", to_arrow(cleaned.data, cleaned.line_offsets)).filter(dropped).str.strip_chars()
    counts = {
        "boilerplate_lines": int(dropped_lines.sum()),
        "boilerplate_chars": int(dropped_chars.sum()),
        "boilerplate_samples": most_frequent(count_lines(samples), SAMPLES),
        **passed_over,
    }
    return MeasuredRecords(table, arrays, counts)


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of strings, nulls where there is none."""
    return frame[name] if name in frame.columns else pl.Series(name, [None], pl.String).new_from_index(0, len(frame))


def _kept_columns(manifest: TextManifest, frame: pl.DataFrame) -> dict[str, pa.Array]:
    """Return the columns of `source.keep`, null where there is none."""
    wanted = {f"keep:{name}": (name, kind) for name, kind in manifest.source.kept.items()}
    return {
        column: (frame[name] if name in frame.columns else pl.Series(name, [None]).new_from_index(0, len(frame)))
        .cast(kind)
        .to_arrow()
        for column, (name, kind) in wanted.items()
    }


def _problems(problems: pl.Series, raw: Spans, invalid: np.ndarray) -> list[str | None]:
    """Return why each document cannot be read, or None; `invalid` is the place of its first byte that is not UTF-8, or -1."""
    reasons: list[str | None] = problems.to_list()
    for d in np.flatnonzero(invalid >= 0):
        byte = raw.data[raw.starts[d] + invalid[d]]
        reasons[d] = reasons[d] or f"invalid UTF-8: byte 0x{byte:02X} at {invalid[d]} of {raw.ends[d] - raw.starts[d]}"
    return reasons


def _excerpts(raw: Spans, problems: list[str | None]) -> pa.Array:
    """Return the beginnings of the documents that could not be read, for the ledger; null for the others."""
    excerpts: list[str | None] = [None] * len(problems)
    for d, problem in enumerate(problems):
        if problem is not None:
            start = raw.starts[d]
            head = raw.data[start : min(raw.ends[d], start + 4 * EXCERPT)].tobytes()
            excerpts[d] = head.decode("utf-8", "replace")[:EXCERPT]
    return pa.array(excerpts, pa.string())


def warm_kernels(manifest: TextManifest) -> None:
    """Compile (or load from numba's cache) every kernel."""
    text = np.frombuffer(
        "ﾊﾞナナは①e\u0301黄色い。\n\nJavaScriptを有効にしてください\nabc\u00e9 http://a.b/ 12。".encode(), np.uint8
    )
    starts, ends = np.zeros(1, np.int64), np.array([len(text)], np.int64)
    cleaned = normalise_spans(text, starts, ends)
    data, offsets, _, dropped = drop_lines(cleaned, boilerplate_lines(cleaned))
    page = np.frombuffer("<p>吾輩は猫である。</p>".encode("cp932"), np.uint8)
    extract_documents(page, np.zeros(1, np.int64), np.array([len(page)]), [None], np.array([True]))
    given = {
        "n_boilerplate_lines": dropped,
        "n_boilerplate_chars": dropped,
        "n_joined_spaces": dropped,
        **no_pages(1),
        "url_list": np.array([None], object),
    }
    names = [
        name
        for name, m in MEASURES.items()
        if m.kind in manifest.kinds
        and not is_of_corpus(name)
        and not name.startswith("language")
        and (not m.on_request or name in manifest.measures)
    ]
    compute(data, offsets, names, given)
    signatures(data, offsets, bins=SKETCH_BINS)
    _count_characters(text, starts, ends)
    line_keys(data, offsets)
    remove_spans(pl.Series(["a"]), pl.Series([[0, 0]], dtype=pl.List(pl.Int32)))
