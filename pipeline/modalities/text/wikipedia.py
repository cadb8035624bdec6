"""From pages of Wikipedia to their text, and what kind of pages they are."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa

from filters.kernels import buffers
from filters.wikipedia import clean_pages
from pipeline.sources.rows import Rows, Spans

_KNOWN = ("title", "namespace", "redirect", "wikitext")  # what a source may say of a page


def no_pages(count: int) -> dict[str, np.ndarray]:
    """Return the counters of pages for documents that are none."""
    return {"page_kind": np.full(count, None, object), "n_page_markup_chars": np.zeros(count, np.int32)}


def clean_wikipedia(rows: Rows, setting: Literal["auto", "always", "never"]) -> tuple[Rows, dict[str, np.ndarray]]:
    """Return rows with the text of pages instead of the pages, and counters: `page_kind` and `n_page_markup_chars`.

    Pages are the rows that say their `namespace`, as those of dumps do, or with "always" all rows. Bytes that are not UTF-8 stay.
    """
    frame, text = rows.frame, rows.text
    assert text is not None, "sources of text yield spans of text"
    counters = no_pages(len(frame))
    is_page = frame["problem"].is_null().to_numpy()
    if setting != "always":
        is_from_dump = "namespace" in frame.columns and setting == "auto"
        is_page = is_page & (frame["namespace"].is_not_null().to_numpy() if is_from_dump else False)
    if not is_page.any():
        return rows, counters
    texts = _gather(text, is_page)
    numbers = np.flatnonzero(is_page)[texts.is_not_null().to_numpy()]
    known = [name for name in _KNOWN if name in frame.columns]
    cleaned = clean_pages(pl.DataFrame([texts.drop_nulls().alias("text"), *(frame[name].gather(numbers) for name in known)]))
    data, offsets = buffers(cleaned["text"])
    starts, ends = text.starts.copy(), text.ends.copy()
    starts[numbers], ends[numbers] = offsets[:-1] + len(text.data), offsets[1:] + len(text.data)
    counters["page_kind"][numbers] = cleaned["page_kind"].to_list()
    counters["n_page_markup_chars"][numbers] = cleaned["removed_chars"].to_numpy()
    return Rows(frame, Spans(np.concatenate([text.data, data]), starts, ends)), counters


def _gather(text: Spans, chosen: np.ndarray) -> pl.Series:
    """Return the chosen texts as strings, null where they are not UTF-8."""
    starts, ends = text.starts[chosen], text.ends[chosen]
    if (starts[1:] == ends[:-1]).all():  # one after the other
        offsets = np.append(starts, ends[-1:]).astype(np.int64)
        stored = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(text.data)]
        )
        column = pl.Series(stored)
    else:
        column = pl.Series([text.data[start:end].tobytes() for start, end in zip(starts, ends, strict=True)], dtype=pl.Binary)
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decode(document) for document in column], dtype=pl.String)


def _decode(document: bytes) -> str | None:
    try:
        return document.decode()
    except UnicodeDecodeError:
        return None
