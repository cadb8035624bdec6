"""Documents: from raw bytes to cleaned text, measures and signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from filters import MEASURES, compute
from filters.html import extract_documents
from filters.html.charset import LABELS
from filters.kernels import jit, read_only, to_arrow
from filters.text import mojibake
from filters.text.boilerplate import boilerplate_lines
from filters.text.lines import line_keys, remove_spans
from filters.text.minhash import SKETCH_BINS, signatures
from filters.text.normalisation import Cleaned, drop_lines, normalise_spans
from filters.text.text_model import load_model
from pipeline.manifest.model import is_of_corpus
from pipeline.modalities.base import EXCERPT, SAMPLES, CleanedText, MeasuredRecords, count_lines, most_frequent, own_terms
from pipeline.modalities.text.extract import extract_text
from pipeline.modalities.text.manifest import CleanText, TextManifest
from pipeline.modalities.text.urls import hash_domains
from pipeline.modalities.text.wikipedia import clean_wikipedia, no_pages
from pipeline.sources.formats.columns import MISFIT
from pipeline.sources.rows import Rows, Spans

PASSED_OVER = "passed_over:"  # begins the names of counts of what is no record
_MISFIT_SHOWN = 80  # characters of a value of a kept column


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


class CleanedDocuments(NamedTuple):
    """Documents and what is left of each once it is clean.

    `rows`: as they came, out of HTML and wikitext where they were that; `text`: their spans. `data`, `offsets`: what is left (uint8,
    int64[n + 1]). `normalised`: the same with the lines that were dropped (bool[lines]); `dropped_lines`, `dropped_chars`: how many of
    them each document had. `invalid`: int64[n], the first byte that is not UTF-8, or -1. `page_counters`: of pages of Wikipedia.
    """

    rows: Rows
    text: Spans
    data: np.ndarray
    offsets: np.ndarray
    normalised: Cleaned
    is_dropped: np.ndarray
    dropped_lines: np.ndarray
    dropped_chars: np.ndarray
    page_counters: dict[str, np.ndarray]

    @property
    def readable(self) -> np.ndarray:
        """Whether a source could read each document (bool[n])."""
        return self.rows.frame["problem"].is_null().to_numpy()

    @property
    def problems(self) -> list[str | None]:
        """Return why each document cannot be read, or None."""
        return _problems(self.rows.frame["problem"], self.text, self.normalised.invalid)

    def read_text(self, row: int) -> str:
        """Return a document before it was cleaned, out of HTML or wikitext."""
        return _decode(self.text, row)


def clean_documents(clean: CleanText, rows: Rows) -> CleanedDocuments:
    """Clean documents as the table `clean` of a manifest says."""
    rows = extract_text(rows, clean)
    rows, page_counters = clean_wikipedia(rows, clean.wikipedia)
    raw = rows.text
    assert raw is not None, "sources of text yield spans of text"
    readable = rows.frame["problem"].is_null().to_numpy()
    # An empty span stands for a document that cannot be read.
    cleaned = normalise_spans(
        raw.data, np.where(readable, raw.starts, 0), np.where(readable, raw.ends, 0), clean.compatibility, clean.width
    )
    if clean.boilerplate:
        dropped = boilerplate_lines(cleaned, clean.boilerplate_line_chars)
    else:
        dropped = np.zeros(len(cleaned.line_offsets) - 1, bool)
    data, offsets, dropped_lines, dropped_chars = drop_lines(cleaned, dropped)
    return CleanedDocuments(rows, raw, data, offsets, cleaned, dropped, dropped_lines, dropped_chars, page_counters)


def clean_texts(manifest: TextManifest, rows: Rows) -> list[CleanedText]:
    """Return documents as they came, out of HTML and wikitext, and cleaned."""
    assert rows.text is not None, "sources of text yield spans of text"
    charsets = rows.frame["charset"].to_list() if "charset" in rows.frame.columns else [None] * len(rows.frame)
    raw = [_decode(rows.text, row, charset) for row, charset in enumerate(charsets)]
    documents = clean_documents(manifest.clean, rows)
    cleaned = to_arrow(documents.data, documents.offsets)
    return [
        CleanedText(raw[row], documents.read_text(row), None if problem is not None else cleaned[row].as_py())
        for row, problem in enumerate(documents.problems)
    ]


def _decode(text: Spans, row: int, charset: str | None = None) -> str:
    document = text.data[text.starts[row] : text.ends[row]].tobytes()
    try:
        return document.decode(LABELS.get((charset or "utf-8").lower(), charset or "utf-8"), "replace")
    except LookupError:  # a charset that does not exist
        return document.decode("utf-8", "replace")


def compute_measures(manifest: TextManifest, documents: CleanedDocuments, names: Sequence[str]) -> pl.DataFrame:
    """Compute the measures `names` of cleaned documents, a column each."""
    raw = documents.text
    given = {
        "n_boilerplate_lines": documents.dropped_lines,
        "n_boilerplate_chars": documents.dropped_chars,
        "n_joined_spaces": documents.normalised.joined,
        **documents.page_counters,
    }
    if "mojibake_share" in names:
        is_utf8 = documents.readable & (documents.normalised.invalid < 0)
        given |= mojibake.count_spans(raw.data, np.where(is_utf8, raw.starts, 0), np.where(is_utf8, raw.ends, 0))
    if "url_list" in names:
        given["url_list"] = manifest.urls.find(_column(documents.rows.frame, "url")).to_numpy().astype(object)
    if manifest.quality.model is not None:
        given["quality_score"] = load_model(manifest.quality.model).score(documents.data, documents.offsets)
    return compute(documents.data, documents.offsets, names, given)


def measure_documents(manifest: TextManifest, rows: Rows) -> MeasuredRecords:
    """Clean documents and compute every measure and the signature."""
    assert rows.text is not None, "sources of text yield spans of text"
    sizes = rows.text.ends - rows.text.starts
    passed_over = {f"{PASSED_OVER}{kind}": count for kind, count in rows.passed_over.items()}
    documents = clean_documents(manifest.clean, rows)
    rows, raw, data, offsets = documents.rows, documents.text, documents.data, documents.offsets
    dropped_lines, dropped_chars = documents.dropped_lines, documents.dropped_chars
    problems = documents.problems
    measures = compute_measures(manifest, documents, manifest.measures)
    settings = manifest.deduplicate
    keys = signatures(data, offsets, settings.permutations, settings.seed, settings.shingle, SKETCH_BINS)
    lines = line_keys(data, offsets) if manifest.recurring_lines.enabled else None
    table = pa.table(
        {
            "file": rows.frame["file"].to_arrow(),
            "locator": rows.frame["locator"].to_arrow(),
            "bytes": sizes,
            "amount_in": _count_characters(*map(read_only, raw)),
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
    lines_with_dropped = to_arrow(documents.normalised.data, documents.normalised.line_offsets)
    samples = pl.Series("line", lines_with_dropped).filter(documents.is_dropped).str.strip_chars()
    counts = {
        "boilerplate_lines": int(dropped_lines.sum()),
        "boilerplate_chars": int(dropped_chars.sum()),
        "boilerplate_samples": most_frequent(count_lines(samples), SAMPLES),
        "misfits": _count_misfits(rows.frame, problems),
        **passed_over,
    }
    return MeasuredRecords(table, arrays, counts)


def _count_misfits(frame: pl.DataFrame, problems: list[str | None]) -> dict[str, tuple[int, str]]:
    """Return how many values of a kept column do not fit its type in records that can be read, and the first of them, by column."""
    readable = frame.filter(pl.Series(problems, dtype=pl.String).is_null())
    values = {name.removeprefix(MISFIT): readable[name].drop_nulls() for name in frame.columns if name.startswith(MISFIT)}
    return {name: (len(column), column[0][:_MISFIT_SHOWN]) for name, column in values.items() if len(column)}


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
    _count_characters(text, read_only(starts), read_only(ends))
    line_keys(data, offsets)
    remove_spans(pl.Series(["a"]), pl.Series([[0, 0]], dtype=pl.List(pl.Int32)))
