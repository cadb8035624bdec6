"""The blocks of a page: runs of text between the borders of block elements, and the containers that they lie in.

The tree comes from selectolax (lexbor, which parses as browsers do). One walk over it gives every text once, so no paragraph can come
twice. Elements whose text nobody reads (scripts, buttons, what is hidden) are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from selectolax.lexbor import LexborHTMLParser

# What is between two blocks on one line: the border of a table cell. All other borders begin a new line.
TAB, NEWLINE = "\t", "\n"

# Elements without readable text. `rt` and `rp` are readings: 漢字 keeps its text, and the reading is left out, since a reading in
# the middle of a word (漢字かんじ) makes a word that nobody wrote.
UNREAD = frozenset(
    "applet audio button canvas datalist dialog embed frame frameset head iframe input map math noembed noframes noscript object "
    "optgroup option picture progress meter rp rt rtc script select style svg template textarea title video".split()
)
# Containers: elements whose share of links and whose names tell what they hold.
CONTAINERS = frozenset(
    "address article aside blockquote body center details dd div dl fieldset figure footer form header hgroup li main menu nav ol "
    "section summary table td th ul".split()
)
# Further elements that begin and end a line.
BLOCKS = frozenset(
    "caption col colgroup dir dt figcaption h1 h2 h3 h4 h5 h6 hr html legend listing marquee multicol optgroup p plaintext pre search "
    "tbody tfoot thead tr xmp".split()
)
CELLS = frozenset(("td", "th"))
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
VERBATIM = frozenset(("pre", "listing", "plaintext", "xmp"))
HIDING_ROLES = frozenset(("alertdialog", "dialog", "menu", "menubar", "navigation", "search", "tablist", "toolbar"))

# East Asian wide characters, Hangul aside: a line break in the source between two of these is no space (CSS Text Module Level 3,
# section 4.1.3, segment break transformation rules).
_WIDE = re.compile(
    "[\u2e80-\u303f\u3041-\u312f\u3190-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff9f\uffe0-\uffe6"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
_ASCII_SPACE = " \t\r\n\f"
_SPACES = re.compile(r"[ \t\r\n\f]{2,}|[\t\r\f]")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

# What the walk does at an element.
_INLINE, _UNREAD, _CONTAINER, _CELL, _BLOCK, _VERBATIM, _BREAK, _LINK, _TEXT = range(9)
_KINDS: dict[str | None, int] = {
    **dict.fromkeys((*UNREAD, None, "-comment", "-doctype", "-document", "!doctype"), _UNREAD),
    **dict.fromkeys(CONTAINERS, _CONTAINER),
    **dict.fromkeys(CELLS, _CELL),
    **dict.fromkeys(BLOCKS, _BLOCK),
    **dict.fromkeys(VERBATIM, _VERBATIM),
    "br": _BREAK,
    "a": _LINK,
    "-text": _TEXT,
}

TITLE_CHARS = 1000  # of a title: what is longer is none


@dataclass(slots=True)
class Block:
    """A run of text without a border in it."""

    text: str
    tag: str  # the innermost block element: p, h1, li, td, pre …
    container: int
    separator: str  # what stands before it
    links: int
    link_chars: int


@dataclass(slots=True)
class Container:
    """An element that holds blocks, with its names (`id` and `class`, in lower case) and its role.

    What is in it are the blocks from `first` to before `end`.
    """

    tag: str
    parent: int
    names: str
    role: str
    first: int
    end: int = 0


@dataclass(slots=True)
class Page:
    """Blocks in reading order, and containers, every one after its parent; container 0 is the body."""

    title: str | None
    blocks: list[Block] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)


@lru_cache(maxsize=1 << 16)
def _is_wide(character: str) -> bool:
    return _WIDE.match(character) is not None


def collapse(text: str) -> str:
    """Return text as a browser shows it: white space collapsed, and no space where a line of Japanese was broken."""
    text = text.strip()
    if "\n" in text:
        lines = [line for raw in text.split("\n") if (line := raw.strip(_ASCII_SPACE))]
        pieces = lines[:1]
        for before, line in pairwise(lines):
            if not (_is_wide(before[-1]) and _is_wide(line[0])):
                pieces.append(" ")
            pieces.append(line)
        text = "".join(pieces)
    return _SPACES.sub(" ", text) if "  " in text or "\t" in text or "\r" in text or "\f" in text else text


def parse_page(html: bytes) -> Page:
    """Parse a page in UTF-8 and return its blocks. The limits of `filters.html.limits` are the caller's to check."""
    parser = LexborHTMLParser(html)
    page = Page(_find_title(parser))
    if parser.body is not None:
        _Walk(page).walk(parser.body)
    return page


def _find_title(parser: LexborHTMLParser) -> str | None:
    for node in parser.head.iter() if parser.head is not None else ():
        if node.tag == "title":
            return collapse(node.text())[:TITLE_CHARS] or None
    return None


class _Walk:
    """The state of a walk over the tree: the text of the block that is being read, and where it is."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pieces: list[str] = []
        self.separator = NEWLINE
        self.tags = ["body"]
        self.container = 0
        self.link_depth = self.verbatim_depth = 0
        self.links = self.link_chars = 0

    def walk(self, body: Any) -> None:
        """Walk over all nodes without recursion: nesting costs no stack."""
        self.page.containers.append(Container("body", 0, "", "", 0))
        open_nodes: list[tuple[Any, int]] = []
        node = body.first_child
        while True:
            if node is None:
                if not open_nodes:
                    break
                node, kind = open_nodes.pop()
                if kind:
                    self.leave(kind)
                node = node.next
                continue
            tag = node.tag
            kind = _KINDS.get(tag, _INLINE)
            if kind == _TEXT:
                text = node.text_content or ""
                if self.pieces or not text.isspace():
                    self.add(text)
            elif kind != _UNREAD:
                if kind or "-" in tag:  # a custom element is as good as a div
                    kind = self.enter(node, tag, kind or _BLOCK)
                if kind != _UNREAD:
                    child = node.first_child
                    if child is not None:
                        open_nodes.append((node, kind))
                        node = child
                        continue
                    if kind:
                        self.leave(kind)
            node = node.next
        self.end_block()
        self.page.containers[0].end = len(self.page.blocks)

    def add(self, text: str) -> None:
        if self.link_depth:
            self.link_chars += len(text.strip())
        self.pieces.append(text)

    def enter(self, node: Any, tag: str, kind: int) -> int:
        """Take note of an element's beginning; returns its kind, `_UNREAD` where its content is to be passed over."""
        if kind == _LINK:
            if not node.attributes.get("href"):
                return _INLINE
            self.link_depth += 1
            self.links += 1
            return kind
        if kind == _BREAK:
            if self.verbatim_depth:
                self.pieces.append("\n")
                return _INLINE
            self.end_block()
            self.separator = NEWLINE
            return _INLINE
        names = role = ""
        if kind == _CONTAINER or kind == _CELL:
            attributes = node.attributes
            if attributes:
                if _is_hidden(attributes):
                    return _UNREAD
                names = f"{attributes.get('id') or ''} {attributes.get('class') or ''}".lower()[:200]
                role = (attributes.get("role") or "").lower()
        self.end_block()
        if kind == _CONTAINER or kind == _CELL:
            containers = self.page.containers
            containers.append(Container(tag, self.container, names, role, len(self.page.blocks)))
            self.container = len(containers) - 1
        elif kind == _VERBATIM:
            self.verbatim_depth += 1
        if kind != _CELL:
            self.separator = NEWLINE
        self.tags.append(tag)
        return kind

    def leave(self, kind: int) -> None:
        if kind == _LINK:
            self.link_depth -= 1
            return
        self.end_block()
        self.tags.pop()
        if kind == _CONTAINER or kind == _CELL:
            container = self.page.containers[self.container]
            container.end = len(self.page.blocks)
            self.container = container.parent
        elif kind == _VERBATIM:
            self.verbatim_depth -= 1
        if kind != _CELL:
            self.separator = NEWLINE

    def end_block(self) -> None:
        """Make a block of the text that was read, where there is any."""
        if not self.pieces:
            return
        text = "".join(self.pieces)
        text = text.strip("\n").rstrip() if self.verbatim_depth else collapse(text)
        if text and not text.isspace():
            self.page.blocks.append(Block(text, self.tags[-1], self.container, self.separator, self.links, self.link_chars))
            self.separator = TAB
        self.pieces, self.links, self.link_chars = [], 1 if self.link_depth else 0, 0


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = attributes.get("style")
    return bool(style and _HIDDEN_STYLE.search(style)) or attributes.get("role") in HIDING_ROLES
