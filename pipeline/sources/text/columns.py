"""Columns of documents: the names that corpora in the wild have for text, URL, title, date, license and source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import polars as pl

from pipeline.core.errors import InputError
from pipeline.sources.formats.columns import match_columns

# Columns of metadata that every table of documents may have, by their type in the shards.
METADATA: Mapping[str, pl.DataType] = dict.fromkeys(("url", "title", "date", "license", "source"), pl.String())
STANDARD = ("text", *METADATA)

# Names in the wild, best first, case aside: C4, OSCAR, RedPajama, FineWeb, CulturaX, Wikipedia, LangChain, WordPress exports.
SYNONYMS = {
    "text": (
        "text", "content", "contents", "body", "document", "raw_content", "page_content", "article", "article_text", "plain_text",
        "main_text", "extracted_text", "full_text", "passage", "本文", "テキスト", "文章", "内容",
    ),
    "url": ("url", "uri", "source_url", "page_url", "link", "target_uri", "warc-target-uri"),
    "title": ("title", "page_title", "headline", "タイトル", "題名", "見出し"),
    "date": (
        "date", "timestamp", "created", "published", "created_at", "published_at", "publish_date", "crawl_date", "date_download",
        "datetime", "日付",
    ),
    "license": ("license", "licence", "ライセンス"),
    "source": ("source", "source_name", "出典"),
}  # fmt: skip


class ColumnError(InputError):
    """A table has no column of text, or lacks one that the manifest names."""


class Column(NamedTuple):
    """A column that is read: its name in the data, and its type in the shards."""

    name: str
    kind: pl.DataType


class Choice(NamedTuple):
    """Which columns of a table are read: the name of that of the text, and the others by their standard or kept names."""

    text: str
    others: dict[str, Column]


def choose_columns(
    names: Iterable[str],
    mapped: Mapping[str, str],
    keep: Mapping[str, pl.DataType],
    describe: Callable[[str], str],
    holds_text: Callable[[str], bool],
    holds_scalars: Callable[[str], bool],
) -> Choice:
    """Return which columns of a table are read.

    `mapped` is the manifest's `source.columns`, which goes before the usual names. `describe` says what a column holds, for messages;
    `holds_text` and `holds_scalars` whether it can be the text, or metadata. A kept column that a table lacks is null.
    Raises ColumnError where there is no text, or a column that `mapped` names is missing.
    """
    there = [*names]
    for standard, name in mapped.items():
        if name not in there:
            raise ColumnError(f"has no column {name!r}, which source.columns.{standard} names. {list_columns(there, describe)}")
    usual = match_columns(
        there, SYNONYMS, lambda standard, name: holds_text(name) if standard == "text" else holds_scalars(name)
    )
    chosen = usual | {standard: name for standard, name in mapped.items() if standard in STANDARD}
    if "text" in mapped and not holds_text(mapped["text"]):
        raise ColumnError(
            f"has no text in {mapped['text']!r}, which holds {describe(mapped['text'])}. {list_columns(there, describe)}"
        )
    if "text" not in chosen:
        raise ColumnError(
            f"has no column of text that is known by its name. {list_columns(there, describe)}. "
            "Say which one it is: --set source.columns.text=NAME"
        )
    others = {standard: Column(chosen[standard], kind) for standard, kind in METADATA.items() if standard in chosen}
    for name, kind in keep.items():
        if (column := mapped.get(name, name)) in there:
            others[name] = Column(column, kind)
    return Choice(chosen["text"], others)


def list_columns(names: list[str], describe: Callable[[str], str]) -> str:
    """Return the names of columns and what they hold, as a message says them."""
    listed = ", ".join(f"{name!r} ({describe(name)})" for name in names[:20])
    more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
    return f"Its columns: {listed or 'none'}{more}"
