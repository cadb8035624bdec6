"""From documents as they come to text: HTML, and charsets other than UTF-8."""

from __future__ import annotations

import numpy as np
import polars as pl

from filters.html import extract_documents
from pipeline.modalities.text.manifest import CleanText
from pipeline.sources.rows import Rows, Spans

_HTML = ("text/html", "application/xhtml+xml")


def extract_text(rows: Rows, clean: CleanText) -> Rows:
    """Return rows whose text is UTF-8, and taken out of HTML where `clean.html` says so. Titles of pages become those of the rows.

    A row needs this where its source says what it is (`media_type`), or always with `clean.html = "always"`: as in strings of JSON
    lines, which are UTF-8 by then, whatever the HTML says.
    """
    frame, text = rows.frame, rows.text
    assert text is not None, "sources of text yield spans of text"
    columns = {name: pl.String() for name in ("media_type", "charset", "title")}
    frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in frame.columns)
    is_typed = frame["media_type"].is_not_null()
    is_html = frame["media_type"].is_in(_HTML) if clean.html != "never" else pl.repeat(False, len(frame), eager=True)
    is_html = (is_html | ~is_typed) if clean.html == "always" else is_html.fill_null(False)
    chosen = ((is_typed | is_html) & frame["problem"].is_null()).to_numpy()
    if not chosen.any():
        return rows
    charsets = frame.select(pl.when(pl.col("media_type").is_null()).then(pl.lit("utf-8")).otherwise("charset")).to_series()
    found = extract_documents(
        text.data, text.starts[chosen], text.ends[chosen], charsets.filter(chosen).to_list(), is_html.to_numpy()[chosen]
    )
    starts, ends = text.starts.copy(), text.ends.copy()
    starts[chosen], ends[chosen] = found.starts + len(text.data), found.ends + len(text.data)
    numbers = np.flatnonzero(chosen)
    frame = frame.with_columns(
        pl.coalesce("title", frame["title"].scatter(numbers, pl.Series(found.titles, dtype=pl.String))).alias("title"),
        problem=frame["problem"].scatter(numbers, pl.Series(found.problems, dtype=pl.String)),
    )
    # What cannot be read stands as it came, for the ledger's excerpt.
    is_unread = frame["problem"].is_not_null().to_numpy() & chosen
    starts[is_unread], ends[is_unread] = text.starts[is_unread], text.ends[is_unread]
    return Rows(frame, Spans(np.concatenate([text.data, found.data]), starts, ends))
