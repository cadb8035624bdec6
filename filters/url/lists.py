"""Lists of domains and URLs: parsing, and which of several lists a URL is on.

A file has one entry a line: a domain (which stands for all hosts below it), the beginning of a URL (up to a / ? # or &), or `*word*` for
all hosts with that word in them. `#` begins a comment. The lists of UT1 (`domains`, `urls`) and hosts files (`0.0.0.0 example.com`) are
such files, too, and files may be compressed with gzip. `adult` and `spam` come with Seimai, in `filters/lists`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from filters.url.hosts import hosts, is_address, to_ascii

SHIPPED = ("adult", "spam")
NO_LIST = "none"  # what the measure `url_list` says of a URL on no list: no list may be called so
SHOWN = 3  # bad lines that a message shows
SHORTEST_WORD = 4  # letters of a word in hosts: a shorter one stands in half of all names

_HOSTS_LINE = r"^(?:0\.0\.0\.0|127\.0\.0\.1|255\.255\.255\.255|::1?|f[ef][0-9a-f]{2}::\S*)\s+(\S+)$"
_DOMAIN = r"^(?:[a-z0-9_](?:[a-z0-9_\-]*[a-z0-9_])?\.)+[a-z0-9][a-z0-9\-]*$"
_SUFFIX = r"^\*\.[a-z0-9][a-z0-9\-]*$"
_WORD = rf"^\*[a-z0-9\-]{{{SHORTEST_WORD},}}\*$"


class UrlListError(ValueError):
    """A list that cannot be used: its message says which, where and what to do."""


@dataclass(frozen=True)
class UrlList:
    """One list. Entries are held as sorted hashes, so that UT1's five million domains take 40 MB."""

    name: str
    domains: np.ndarray
    prefixes: np.ndarray
    prefix_hosts: np.ndarray
    words: tuple[str, ...]


class Entries(NamedTuple):
    """The entries of a list, by kind."""

    domains: pl.Series
    prefixes: pl.Series  # host and path, without scheme
    words: pl.Series


def _hash(column: pl.Series) -> np.ndarray:
    return column.hash(seed=16).to_numpy()


def parse_entries(text: str, name: str) -> Entries:
    """Return the entries of a list. Raises UrlListError naming the lines that are none."""
    lines = pl.DataFrame({"line": text.splitlines()}, schema={"line": pl.String}).with_row_index("number", 1)
    lines = lines.with_columns(
        entry=pl.col("line").str.replace(r"(^|\s)#.*$", "").str.strip_chars(" \t\r\ufeff").str.to_lowercase()
    ).filter(pl.col("entry") != "")
    # In hosts files, names of one label (localhost, broadcasthost) are the machine's own.
    named = pl.col("entry").str.extract(_HOSTS_LINE)
    lines = lines.filter(named.is_null() | named.str.contains(".", literal=True)).with_columns(
        entry=pl.coalesce(named, "entry")
    )
    entry = pl.col("entry").str.replace(r"^(?:[a-z][a-z0-9+.\-]*:)?//", "")
    lines = lines.with_columns(
        entry=pl.when(pl.col("entry").str.contains(_SUFFIX)).then("entry").otherwise(entry.str.replace(r"^\*?\.", ""))
    )
    host = pl.col("entry").str.extract(r"^([^/?#]*)").str.replace(r":\d*$", "").str.strip_chars_end(".")
    path = pl.col("entry").str.replace(r"^[^/?#]*", "")
    lines = lines.with_columns(host=host, path=pl.when(path != "/").then(path).otherwise(pl.lit("")))
    foreign = lines["host"].filter(lines["host"].str.contains(r"[^\x00-\x7f]")).unique()
    lines = lines.with_columns(pl.col("host").replace(foreign, pl.Series([to_ascii(one) for one in foreign], dtype=pl.String)))
    kind = (
        pl.when(pl.col("entry").str.contains(_WORD)).then(pl.lit("word"))
        .when(pl.col("host").str.contains(_DOMAIN) | is_address(pl.col("host")) | pl.col("host").str.contains(_SUFFIX))
        .then(pl.when(pl.col("path") == "").then(pl.lit("domain")).otherwise(pl.lit("prefix")))
    )  # fmt: skip
    lines = lines.with_columns(kind=kind)
    bad = lines.filter(pl.col("kind").is_null())
    if len(bad):
        shown = ", ".join(
            f"line {number:,} ({line.strip()[:60]!r})" for number, line in bad.select("number", "line").head(SHOWN).rows()
        )
        more = f" and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
        raise UrlListError(
            f"{name}: {shown}{more}: neither a domain (example.com), the beginning of a URL (example.com/path) nor a word in hosts "
            f"(*word*, of {SHORTEST_WORD} letters or more)"
        )
    if not len(lines):
        raise UrlListError(
            f"{name} has no entries: a list without any does nothing. Leave it out, or put a domain on each line"
        )
    by_kind = {kind: lines.filter(pl.col("kind") == kind) for kind in ("domain", "prefix", "word")}
    return Entries(
        by_kind["domain"]["host"].str.replace(r"^\*\.", "").unique(),
        (by_kind["prefix"]["host"] + by_kind["prefix"]["path"].str.strip_chars_end("/")).unique(),
        by_kind["word"]["entry"].str.strip_chars("*").unique(),
    )


def read_list(path: Path | str, name: str | None = None) -> UrlList:
    """Read a list from a file. Its name is that of the file, without extensions. Raises UrlListError."""
    path = Path(path)
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise UrlListError(
            f"{path} cannot be read: {error.strerror if isinstance(error, OSError) and error.strerror else error}"
        ) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UrlListError(f"{path}: line {line:,} is not UTF-8") from None
    return _build(name or path.name.partition(".")[0], parse_entries(text, str(path)))


def shipped_list(name: str) -> UrlList:
    """Return a list that comes with Seimai."""
    text = (files("filters") / "lists" / f"{name}-urls.txt").read_text("utf-8")
    return _build(name, parse_entries(text, name))


def _build(name: str, entries: Entries) -> UrlList:
    prefix_hosts = entries.prefixes.str.extract(r"^([^/?#]*)")
    domains, prefixes, hosts_of_prefixes = (
        np.unique(_hash(column)) for column in (entries.domains, entries.prefixes, prefix_hosts)
    )
    return UrlList(name, domains, prefixes, hosts_of_prefixes, tuple(entries.words.to_list()))


# The host above a host; an address has none.
_PARENT = pl.when(~is_address(pl.col("host"))).then(pl.col("host").str.extract(r"^[^.\[\]]*\.(.+)$"))


def _with_parents(found: pl.Series) -> list[pl.Series]:
    """Return hosts, then those above them, and so on until there are none; null where a host has no more."""
    levels = []
    level = found.rename("host")
    while level.null_count() < len(level):
        levels.append(level)
        level = level.to_frame().select(_PARENT.alias("host")).to_series()
    return levels


def _contains(hashes: np.ndarray, column: pl.Series) -> np.ndarray:
    """Return bool[n]: whether the hash of a value is among sorted hashes."""
    if len(hashes) == 0:
        return np.zeros(len(column), bool)
    wanted = _hash(column)
    places = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
    return (hashes[places] == wanted) & column.is_not_null().to_numpy()


def find_list(urls: pl.Series, block: Sequence[UrlList], allow: Sequence[UrlList] = ()) -> pl.Series:
    """Return the name of the first list of `block` that each URL is on, null for none. What a list of `allow` has is on none."""
    found = hosts(urls)
    distinct = found.drop_nulls().unique().sort()
    levels = _with_parents(distinct)
    frame = pl.DataFrame({"url": urls.cast(pl.String), "host": found})
    listed = pl.Series("url_list", [None], pl.String).new_from_index(0, len(frame))
    for one in reversed(block):
        listed = listed.set(_is_on(one, frame, distinct, levels), one.name)
    for one in allow:
        listed = listed.set(_is_on(one, frame, distinct, levels), None)
    return listed


def _is_on(one: UrlList, frame: pl.DataFrame, distinct: pl.Series, levels: list[pl.Series]) -> pl.Series:
    hit = np.zeros(len(distinct), bool)
    for level in levels:
        hit |= _contains(one.domains, level)
    if one.words:
        hit |= distinct.str.contains_any(list(one.words)).to_numpy()
    is_on = frame["host"].is_in(distinct.filter(pl.Series(hit)).implode()).fill_null(False)
    if len(one.prefixes):
        is_on |= _begins_with(one, frame)
    return is_on


def _begins_with(one: UrlList, frame: pl.DataFrame) -> pl.Series:
    """Whether a URL begins with a prefix: its host, or one above it, and its path up to a / ? # or & are those of the prefix."""
    rest = (
        pl.col("url")
        .str.extract(r"^\s*(?:(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//)?[^/?#]*(.*)$")
        .str.to_lowercase()
        .str.strip_chars_end(" ")
    )
    rows = frame.with_row_index("row").select("row", "host", rest=rest).filter(pl.col("host").is_not_null())
    hit = np.zeros(len(frame), bool)
    while len(rows):
        paths = rows.filter(pl.Series(_contains(one.prefix_hosts, rows["host"])))
        while len(paths):
            found = _contains(one.prefixes, paths.select(pl.col("host") + pl.col("rest").str.strip_chars_end("/")).to_series())
            hit[paths["row"].to_numpy()[found]] = True
            paths = paths.with_columns(pl.col("rest").str.extract(r"^(.*)[/?#&][^/?#&]*$")).filter(pl.col("rest").is_not_null())
        rows = rows.with_columns(_PARENT.alias("host")).filter(pl.col("host").is_not_null())
    return pl.Series(hit)
