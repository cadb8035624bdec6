"""CirrusSearch's dumps of Wikipedia (`jawiki-20240101-cirrussearch-content.json.gz`): plain text in JSON. A locator is a byte offset."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np
import polars as pl

from pipeline.sources.base import Fields, Range
from pipeline.sources.formats.columns import MISFIT, PROBLEM
from pipeline.sources.formats.json_columns import parse_lines
from pipeline.sources.rows import Spans
from pipeline.sources.text import action_lines, lines
from pipeline.sources.text.base import METADATA, TextSource
from pipeline.sources.text.dividers import Divider
from pipeline.sources.text.wikipedia_xml import page_url

DOCUMENTS = Divider(
    lines.first_boundary,
    lines.last_boundary,
    action_lines.leading,
    action_lines.documents,
    lines.count_at_most,
    width=2,
    name="line end",
)
_PAGE_COLUMNS: dict[str, pl.DataType] = {"page_id": pl.Int64(), "namespace": pl.Int64()}
_WIKI = re.compile(r"([a-z_]+?)(wiki|wikibooks|wikinews|wikiquote|wikisource|wikiversity|wikivoyage|wiktionary)")
_NO_LANGUAGES = frozenset("commons foundation incubator mediawiki meta outreach species test wikidata wikimania".split())


class CirrusSearchSource(TextSource):
    """Pages of a CirrusSearch dump."""

    name: ClassVar[str] = "cirrussearch"
    label: ClassVar[str] = "a CirrusSearch dump of Wikipedia"
    divider: ClassVar[Divider] = DOCUMENTS
    metadata: ClassVar = {**METADATA, **_PAGE_COLUMNS}
    keep: ClassVar[tuple[str, ...]] = ("url", "title", "date")

    def parse_all(self, raw: Spans, piece: Range, fields: Fields) -> pl.DataFrame:
        wanted = {"title": pl.String(), "timestamp": pl.String(), "wiki": pl.String(), **_PAGE_COLUMNS}
        frame = parse_lines(raw, "text", wanted)
        sites = {wiki: site_url(wiki) for wiki in frame["wiki"].drop_nulls().unique()}
        urls = [
            page_url(site, title) if title is not None and (site := sites.get(wiki)) else None
            for title, wiki in frame.select("title", "wiki").iter_rows()
        ]
        misfits = (pl.format(f"{name!r} is {{}}", f"{MISFIT}{name}") for name in wanted if f"{MISFIT}{name}" in frame.columns)
        problems = frame.select(pl.coalesce(PROBLEM, *misfits)).to_series()  # of what decides whether a page is an article
        return frame.select(
            "text",
            _with_line_numbers(problems, raw, piece.line or 1).alias("problem"),
            pl.Series("url", urls, pl.String),
            "title",
            pl.col("timestamp").alias("date"),
            *_PAGE_COLUMNS,
        )


def _with_line_numbers(problems: pl.Series, raw: Spans, first: int) -> pl.Series:
    if problems.null_count() == len(problems):
        return problems
    numbers = pl.Series(np.searchsorted(np.flatnonzero(raw.data == 10), raw.starts) + first)
    return pl.select(pl.format("line {}: {}", numbers, problems)).to_series()  # null where there is none


def site_url(wiki: str) -> str | None:
    """Return what the URLs of a wiki's pages begin with, by its name in dumps; None for a wiki without a language.

    >>> site_url("jawiki"), site_url("zh_yuewiktionary"), site_url("commonswiki")
    ('https://ja.wikipedia.org/wiki/', 'https://zh-yue.wiktionary.org/wiki/', None)
    """
    found = _WIKI.fullmatch(wiki)
    if not found or found[1] in _NO_LANGUAGES:
        return None
    project = "wikipedia" if found[2] == "wiki" else found[2]
    return f"https://{found[1].replace('_', '-')}.{project}.org/wiki/"
