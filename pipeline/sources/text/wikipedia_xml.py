"""Wikipedia's XML dumps (`pages-articles.xml.bz2`, in one file or parts, multistream or not): wikitext. A locator is a byte offset.

Every page of a dump is a record: articles, redirects, templates and all. Which of them make a corpus is a rule's matter (`page_kind`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import polars as pl

from filters.wikipedia import redirect_target
from pipeline.sources.base import CutState, Fields, Range
from pipeline.sources.inputs import InputFile, is_url
from pipeline.sources.rows import Rows, Spans
from pipeline.sources.streams import CHUNK, Stream
from pipeline.sources.text import xml_pages
from pipeline.sources.text.base import METADATA, TextSource
from pipeline.sources.text.dividers import Divider
from pipeline.sources.text.range_buffer import EXCERPT_BYTES
from pipeline.sources.text.sniffing import Sniffed

PAGES = Divider(
    xml_pages.first_boundary,
    xml_pages.last_boundary,
    xml_pages.leading,
    xml_pages.documents,
    xml_pages.count_at_most,
    width=xml_pages.WIDTH,
    name="<page>",
)
_HEAD_BYTES, _END = 1 << 16, b"</mediawiki>"
_PAGE_COLUMNS: dict[str, pl.DataType] = {"page_id": pl.Int64(), "namespace": pl.Int64(), "redirect": pl.String()}
_SCHEMA = {
    "text": pl.String(), "problem": pl.String(), "title": pl.String(), "date": pl.String(), "wikitext": pl.Boolean(), **_PAGE_COLUMNS,
}  # fmt: skip


class WikipediaXmlSource(TextSource):
    """Pages of MediaWiki's XML export, in wikitext."""

    name: ClassVar[str] = "wikipedia-xml"
    label: ClassVar[str] = "Wikipedia's XML dump"
    divider: ClassVar[Divider] = PAGES
    metadata: ClassVar = {**METADATA, **_PAGE_COLUMNS}
    keep: ClassVar[tuple[str, ...]] = ("url", "title", "date")

    def accepts(self, sniffed: Sniffed, head: bytes) -> bool:
        return super().accepts(sniffed, head) or head.lstrip().startswith(b"<page>")  # a piece of a dump, without its header

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, bytes | None]]:
        """Cut as other streams of text are. A dump that ends between two pages is damaged, although every page in it is complete."""
        is_limited = state.limit is not None
        tail: bytes | None = None
        for piece, body in super().cut(file, number, state):
            tail = body[-CHUNK:] if body is not None and piece.problem is None else None
            yield piece, body
        if is_limited or state.damage is not None or not state.size:
            return
        tail = _last_bytes(file, state.size) if tail is None else tail
        if not tail.rstrip().endswith(_END):
            state.damage = (
                f"{file.url} ends too early: Wikipedia's dumps end with {_END.decode()}, and this one does not. "
                "Get it again; it was cut off, perhaps between two pages"
            )

    def parse_all(self, raw: Spans, piece: Range, fields: Fields) -> pl.DataFrame:
        pages = []
        for start, end in zip(raw.starts.tolist(), raw.ends.tolist(), strict=True):
            page = raw.data[start:end].tobytes()
            try:
                pages.append(parse_page(page))
            except ValueError as error:
                line = (piece.line or 1) + int(np.count_nonzero(raw.data[:start] == 10))
                problem = f"no page that can be read, in line {line:,}: {error}"
                pages.append({"text": page[:EXCERPT_BYTES].decode("utf-8", "replace"), "problem": problem})
        return pl.DataFrame(pages, schema=_SCHEMA)

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        rows = super().read(piece, file, body, fields)
        if "title" not in rows.frame.columns:
            return rows
        site = _site_url(file)
        urls = [page_url(site, title) if site and title is not None else None for title in rows.frame["title"]]
        return Rows(rows.frame.with_columns(pl.Series("url", urls, pl.String)), rows.text)

    def warm(self) -> None:
        data = np.frombuffer(b"<mediawiki>\n<siteinfo>\n</siteinfo>\n<page>\n</page>\n<page></page></mediawiki>", np.uint8)
        xml_pages.first_boundary(data, 0, len(data))
        xml_pages.last_boundary(data, len(data))
        xml_pages.leading(data, len(data))
        super().warm()


def parse_page(page: bytes) -> dict[str, object]:
    """Return the columns of a page, from `<page>` to `</page>`. Raises ValueError with what is wrong with it.

    Without the document around it there is no DTD, so that no entity but XML's own five and characters by number is ever expanded.
    """
    if not page.startswith(b"<page>"):
        raise ValueError("there is something between pages that belongs to none")
    if not page.endswith(b"</page>"):
        raise ValueError("the page has no end: </page> is missing")
    try:
        root = ElementTree.fromstring(page)
    except ElementTree.ParseError as error:
        raise ValueError(f"no well-formed XML ({error})") from None
    title, revision = root.findtext("title"), root.find("revision[last()]")
    if not title:
        raise ValueError("the page has no title")
    if revision is None:
        raise ValueError("the page has no revision")
    namespace, page_id = (_number(root.findtext(name), name) for name in ("ns", "id"))
    text = revision.findtext("text") or ""
    redirect = root.find("redirect")
    return {
        "text": text,
        "title": title,
        "date": revision.findtext("timestamp"),
        "wikitext": True,
        "page_id": page_id,
        "namespace": namespace,
        "redirect": redirect_target(text) if redirect is None else redirect.get("title") or "",
    }


def _number(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError(f"<{name}> is no number but {text[:40]!r}")
    return int(text)


def page_url(site: str, title: str) -> str:
    """Return the URL of a page as Wikipedia writes it.

    >>> page_url("https://ja.wikipedia.org/wiki/", "C言語 (本)")
    'https://ja.wikipedia.org/wiki/C%E8%A8%80%E8%AA%9E_(%E6%9C%AC)'
    """
    return site + quote(title.replace(" ", "_"), safe=";@$!*(),/~:")


@lru_cache(maxsize=64)
def _site_url(file: InputFile) -> str | None:
    """Return what the URLs of a dump's pages begin with: its header names the main page. None without a header."""
    stream = Stream(file)
    try:
        head = stream.read(_HEAD_BYTES)
    finally:
        stream.close()
    found = re.search(rb"<base>(https?://[^/<\s]+/(?:[^/<\s]+/)*)[^/<\s]*</base>", head)
    return found[1].decode("ascii", "replace") if found else None


def _last_bytes(file: InputFile, size: int) -> bytes:
    """Return the end of a file, uncompressed. Of a compressed one that is read once more, where a build goes on after its last page."""
    stream = Stream(file)
    try:
        if stream.compression is None and not is_url(file.url):
            with open(file.url, "rb") as plain:
                plain.seek(max(0, size - _HEAD_BYTES))
                return plain.read()
        tail = b""
        while block := stream.read(CHUNK):
            tail = (tail + block)[-_HEAD_BYTES:]
        return tail
    finally:
        stream.close()
