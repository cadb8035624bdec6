"""What a record of a WARC says: its page, as far as that is text, and where it is from."""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.sources.formats.http_messages import CodingError, decode_body, parse_head
from pipeline.sources.text.sniffing_binary import find_kind

RECORDS = ("response", "resource", "conversion")  # types of records that are pages
TEXTS = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown", "text/x-markdown")

_UNKNOWN = ("", "application/octet-stream", "binary/octet-stream", "content/unknown", "unknown/unknown", "application/unknown")
_SYNONYMS = {"application/vnd.wap.xhtml+xml": "application/xhtml+xml", "application/x-html": "text/html"}
_SNIFFED = 1024  # bytes
_BOMS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16, whose ASCII has zeros in it
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>\s+|<!--.*?-->|<\?.*?\?>)*+"  # atomic: nothing to try again in what was passed over
    rb"<(?:!doctype\s+html|html|head|body|title|meta|link|script|style|h[1-6]|p|div|table|frameset|center|font)\b",
    re.I | re.S,
)
_MARKUP = re.compile(rb"\s*<")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # without ESC, which ISO-2022-JP has
_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?\s*([^\s"';]+)""", re.I)


class Page(NamedTuple):
    """The content of a record, and what is said of it: the type of its content and the charset, None where nothing is said."""

    content: memoryview | bytes
    problem: str | None = None
    media_type: str | None = None
    charset: str | None = None


def read_page(kind: str, fields: dict[str, str], block: memoryview, most: int) -> Page:
    """Return the page in a record of type `kind`, which has these fields and this block; `most` bounds its bytes.

    `response`: the body of the HTTP response, decoded. `resource`, `conversion`: the block. A page that the crawler cut off
    (WARC-Truncated) is one; what is missing of its codings is no problem.
    """
    if "warc-segment-number" in fields:
        return Page(block, "the page goes on in records of the type continuation, which are not joined")
    said = fields.get("content-type", "")
    body: memoryview | bytes = block
    if kind == "response" and not said or said.lower().startswith("application/http"):
        head = parse_head(block)
        if head is None:
            return Page(block, "HTTP status line is missing")
        said, body = head.fields.get("content-type", ""), block[head.size :]
        if head.status != 200:
            return Page(body, f"HTTP status {head.status}")
        try:
            body = decode_body(head.fields, block[head.size :], most, "warc-truncated" in fields)
        except CodingError as error:
            return Page(body, str(error))
    elif kind == "response":
        return Page(block, f"{_media_type(said)} is no HTTP response")
    charset = _CHARSET.search(said)
    given = fields.get("warc-identified-payload-type") or said
    media_type = _SYNONYMS.get(_media_type(given), _media_type(given))
    fallback = None
    if kind == "conversion":
        fallback = "utf-8"  # as WET is defined
    elif media_type in (*_UNKNOWN, "text/plain"):
        media_type = sniff_media_type(body) or media_type
    problem = None
    if media_type not in TEXTS:
        problem = f"{'content of an unknown type' if media_type in _UNKNOWN else media_type} is no text"
    elif kind != "conversion" and not _MARKUP.match(body) and (found := find_kind(bytes(body[:_SNIFFED]))):
        problem = f"said to be {media_type}, but is {found[0]}"
    return Page(body, problem, media_type or None, charset[1] if charset else fallback)


def sniff_media_type(body: memoryview | bytes) -> str:
    """Return what content of an unknown type, or of text/plain, looks like: text/html, text/plain, or "" for neither."""
    head = bytes(body[:_SNIFFED])
    if head.startswith(_BOMS):
        head = head[2:].replace(b"\0", b"")
    if _HTML.match(head):
        return "text/html"
    return "" if _BINARY.search(head) else "text/plain"


def _media_type(field: str) -> str:
    return field.partition(";")[0].strip().lower()[:100]
