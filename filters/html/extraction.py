"""Documents as they come from the web, to UTF-8 text: charset, main text and title.

    documents = extract_documents(data, starts, ends, ["shift_jis", None], np.array([True, False]))
    documents.data[documents.starts[0] : documents.ends[0]]

A paragraph, heading, list item or row of a table is one line; cells of a row are divided by a tab. Readings of ruby are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from selectolax.lexbor import SelectolaxError

from filters.html.blocks import HEADINGS, NEWLINE, TAB, Block, parse_page
from filters.html.charset import decode
from filters.html.limits import find_excess
from filters.html.main_text import choose_main_text

CELL_CHARS = 80  # a longer cell is a paragraph: it stands on a line of its own

# What wikis and manuals put after a heading: a link for editing, a link to the heading itself.
_HEADING_MARK = re.compile(r"\s*(?:[\[［]\s*(?:編集|edit|ソースを編集)(?:\s*\|\s*ソースを編集)?\s*[\]］]|[¶#§🔗])\s*$")


@dataclass(frozen=True, slots=True)
class ExtractedDocuments:
    """Text i is `data[starts[i]:ends[i]]`, valid UTF-8, and empty where there is a problem.

    `charsets` has the Python codec that a document was decoded by, `replaced` how many of its characters no charset could decode.
    """

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    titles: list[str | None]
    problems: list[str | None]
    charsets: list[str | None]
    replaced: np.ndarray


def extract_documents(
    data: np.ndarray, starts: np.ndarray, ends: np.ndarray, charsets: Sequence[str | None], is_html: np.ndarray
) -> ExtractedDocuments:
    """Decode documents, and of those that are HTML extract title and main text.

    Document i is `data[starts[i]:ends[i]]` (uint8, int64, int64), `charsets[i]` what the HTTP header says of it, or None. Never raises
    for what is in a document: what cannot be read has a problem.
    """
    texts: list[bytes | memoryview] = []
    titles: list[str | None] = []
    problems: list[str | None] = []
    codecs: list[str | None] = []
    replaced = np.zeros(len(starts), np.int32)
    view = np.ascontiguousarray(data, np.uint8).data
    rows = zip(starts.tolist(), ends.tolist(), charsets, is_html.tolist(), strict=True)
    for row, (start, end, charset, html) in enumerate(rows):
        title, problem = None, find_excess(view[start:end]) if html else None
        text: bytes | memoryview = b""
        codec = None
        if problem is None:
            decoded = decode(view[start:end], charset, html)
            text, problem, codec, replaced[row] = decoded.data, decoded.problem, decoded.codec or None, decoded.replaced
            if html and problem is None:
                title, text, problem = _extract(bytes(text))
        texts.append(text)
        titles.append(title)
        problems.append(problem)
        codecs.append(codec)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    new_ends = np.cumsum(sizes)
    joined = np.frombuffer(b"".join(texts), np.uint8)
    return ExtractedDocuments(joined, new_ends - sizes, new_ends, titles, problems, codecs, replaced)


def extract_text(html: str) -> str:
    """Return the main text of a page.

    >>> extract_text("<nav><a href='/'>ホーム</a></nav><h1>吾輩は猫である</h1><p>名前はまだ<br>無い。</p>")
    '吾輩は猫である\\n名前はまだ\\n無い。'
    """
    return join_blocks(choose_main_text(parse_page(html.encode("utf-8", "replace"))))


def _extract(html: bytes) -> tuple[str | None, bytes, str | None]:
    try:
        page = parse_page(html)
    except SelectolaxError as error:
        return None, b"", f"the HTML cannot be parsed: {error}"
    return page.title, join_blocks(choose_main_text(page)).encode("utf-8", "replace"), None


def join_blocks(blocks: list[Block]) -> str:
    """Return blocks as lines. Short cells of a table's row stand on one line, where each is the only block of its cell."""
    lines = [_HEADING_MARK.sub("", block.text) if block.tag in HEADINGS else block.text for block in blocks]
    if all(block.separator == NEWLINE for block in blocks[1:]):
        return "\n".join(lines)
    in_cell = Counter(block.container for block in blocks)
    pieces = lines[:1]
    for before, block, line in zip(blocks, blocks[1:], lines[1:], strict=False):
        is_row = block.separator == TAB and in_cell[before.container] == in_cell[block.container] == 1
        pieces += (TAB if is_row and max(len(before.text), len(line)) <= CELL_CHARS else NEWLINE, line)
    return "".join(pieces)
