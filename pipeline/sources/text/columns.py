"""Columns of documents: the names that corpora in the wild have for text, URL, title, date, license and source."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Set
from typing import NamedTuple

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import Fields
from pipeline.sources.formats.columns import match_columns
from pipeline.sources.text.base import METADATA

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


class MissingColumnError(UsageError):
    """No file that was looked at has a column that `source.keep` names."""


def explain_missing_column(url: str, column: str, columns: Collection[str], listed: str) -> MissingColumnError:
    """Return the error of a column that `source.keep` names and a table with these columns lacks; `listed` shows them."""
    if close := difflib.get_close_matches(column, list(columns), 1):
        return MissingColumnError(
            f"{url} has no column {column!r}, which source.keep names; did you mean {close[0]!r}? {listed}"
        )
    return MissingColumnError(f"{url} has no column {column!r}, which source.keep names. {listed}")


class Column(NamedTuple):
    """A column that is read: its name in the data, and its type in the shards."""

    name: str
    kind: pl.DataType


class Choice(NamedTuple):
    """Which columns of a table are read: the name of that of the text, and the others by their standard or kept names."""

    text: str
    others: dict[str, Column]

    @property
    def names(self) -> list[str]:
        """Return the names of all these columns in the data."""
        return [*dict.fromkeys([self.text, *(column.name for column in self.others.values())])]


class Table(NamedTuple):
    """What `choose_columns` asks of a table: its columns, what they hold (for messages), and which can be text or metadata.

    `fits`: whether a column can be kept as a type. `twice`: names that more than one column has, none of which is read.
    """

    names: Collection[str]  # with a quick `in`
    describe: Callable[[str], str]
    holds_text: Callable[[str], bool]
    holds_scalars: Callable[[str], bool]
    fits: Callable[[str, pl.DataType], bool]
    twice: Set[str] = frozenset()


Frozen = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, pl.DataType], ...]]


def freeze(fields: Fields) -> Frozen:
    """Return what `Fields` say of columns as a key of a cache; `thaw` undoes it."""
    return (*fields.columns.items(),), (*fields.keep.items(),)


def thaw(frozen: Frozen) -> Fields:
    return Fields(dict(frozen[0]), dict(frozen[1]))


def choose_columns(table: Table, fields: Fields) -> Choice:
    """Return which columns of a table are read: those that `source.columns` names, else those that are known by their names.

    Raises ColumnError where none is the text, or one that `source.columns` names is missing, or one that `source.keep` names is of a type
    that cannot be kept as that.
    """
    for standard, name in fields.columns.items():
        if name in table.twice:
            raise ColumnError(f"has {name!r}, which source.columns.{standard} names, twice: rename one of these columns")
        if name not in table.names:
            if close := difflib.get_close_matches(name, [*table.names], 1):
                raise ColumnError(
                    f"has no column {name!r}, which source.columns.{standard} names; did you mean {close[0]!r}? {list_columns(table)}"
                )
            raise ColumnError(f"has no column {name!r}, which source.columns.{standard} names. {list_columns(table)}")
        if standard in SYNONYMS and not (table.holds_text if standard == "text" else table.holds_scalars)(name):
            raise ColumnError(
                f"has {table.describe(name)} in {name!r}, which source.columns.{standard} names: it cannot be read as that. "
                f"{list_columns(table)}"
            )
    if "text" not in fields.columns and (both := [name for name in table.twice if name.strip().lower() in SYNONYMS["text"]]):
        raise ColumnError(
            f"has two columns {both[0]!r}: rename one of them, or name another column of text. {list_columns(table)}. "
            "Say which one it is: --set source.columns.text=NAME"
        )
    usual = match_columns(
        table.names, SYNONYMS, lambda standard, name: (table.holds_text if standard == "text" else table.holds_scalars)(name)
    )
    chosen = usual | {standard: name for standard, name in fields.columns.items() if standard in SYNONYMS}
    if "text" not in chosen:
        raise ColumnError(
            f"has no column of text that is known by its name. {list_columns(table)}. "
            "Say which one it is: --set source.columns.text=NAME"
        )
    others = {standard: Column(chosen[standard], kind) for standard, kind in METADATA.items() if standard in chosen}
    for name, kind in fields.keep.items():
        column = chosen.get(name) if name in METADATA else fields.columns.get(name, name)
        if column in table.twice and name not in METADATA:
            raise ColumnError(f"has {column!r}, which source.keep names, twice: rename one of these columns")
        if column is None or column not in table.names:
            continue
        if not table.fits(column, kind):
            raise ColumnError(
                f"has {table.describe(column)} in {column!r}, which source.keep names: it cannot be kept as {kind}. "
                "Take it out of source.keep, or convert it first"
            )
        others[name] = Column(column, kind)
    return Choice(chosen["text"], others)


def list_columns(table: Table) -> str:
    """Return the names of columns and what they hold, as a message says them."""
    listed = ", ".join(
        [
            *(f"{name!r} ({table.describe(name)})" for name in [*table.names][:20]),
            *(f"{name!r} (twice)" for name in sorted(table.twice)),
        ]
    )
    more = f" and {len(table.names) - 20:,} more" if len(table.names) > 20 else ""
    return f"Its columns: {listed or 'none'}{more}"
