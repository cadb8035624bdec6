"""The blocks of a page: runs of text between the borders of block elements, and the containers that they lie in.

The tree comes from selectolax (lexbor, which parses as browsers do). One walk over it gives every text once, so no paragraph can come
twice. Elements whose text nobody reads (scripts, buttons, what is hidden) are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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
_WIDE = "\u2e80-\u303f\u3041-\u312f\u3190-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff9f\uffe0-\uffe6\U0001b000-\U0001b16f\U00020000-\U0003ffff"
_BREAK_BETWEEN_WIDE = re.compile(rf"(?<=[{_WIDE}])[ \t\r\f]*\n[ \t\r\n\f]*(?=[{_WIDE}])")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclass(slots=True)
class Block:
    """A run of text without a border in it."""

    text: str
    tag: str  # the innermost block element: p, h1, li, td, pre …
    container: int
    separator: str  # what stands before it
    links: int = 0
    link_chars: int = 0


@dataclass(slots=True)
class Container:
    """An element that holds blocks, with its names (`id` and `class`, in lower case) and what role it plays."""

    tag: str
    parent: int
    names: str = ""
    role: str = ""


@dataclass(slots=True)
class Page:
    """Blocks in reading order, and containers, every one after its parent; container 0 is the body."""

    title: str | None
    blocks: list[Block] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)


def collapse(text: str) -> str:
    """Return text as a browser shows it: white space collapsed, and no space where a line of Japanese was broken."""
    if "\n" in text:
        text = _BREAK_BETWEEN_WIDE.sub("", text)
    return _SPACES.sub(" ", text).strip()


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
            return collapse(node.text()) or None
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
        page.containers.append(Container("body", 0))

    def walk(self, body: Any) -> None:
        """Walk over all nodes without recursion: nesting costs no stack."""
        stack: list[tuple[Any, str]] = []
        node = body.first_child
        while True:
            if node is None:
                if not stack:
                    break
                node, tag = stack.pop()
                self.leave(node, tag)
                node = node.next
                continue
            tag = node.tag
            if tag == "-text":
                self.add(node.text_content or "")
            elif tag is not None and tag not in UNREAD and tag[0] != "-" and self.enter(node, tag):
                child = node.first_child
                if child is not None:
                    stack.append((node, tag))
                    node = child
                    continue
                self.leave(node, tag)
            node = node.next
        self.end_block(NEWLINE)

    def add(self, text: str) -> None:
        if self.link_depth:
            self.link_chars += len(text.strip())
        self.pieces.append(text)

    def enter(self, node: Any, tag: str) -> bool:
        """Take note of an element's beginning; False where its content is to be passed over."""
        if tag in CONTAINERS:
            attributes = node.attributes
            if attributes and _is_hidden(attributes):
                return False
            self.end_block(TAB if tag in CELLS else NEWLINE)
            names = f"{attributes.get('id') or ''} {attributes.get('class') or ''}".lower()[:200] if attributes else ""
            role = (attributes.get("role") or "").lower() if attributes else ""
            self.page.containers.append(Container(tag, self.container, names, role))
            self.container = len(self.page.containers) - 1
            self.tags.append(tag)
        elif tag in BLOCKS or "-" in tag:  # a custom element is as good as a div
            self.end_block(NEWLINE)
            self.tags.append(tag)
            self.verbatim_depth += tag in VERBATIM
        elif tag == "br":
            if self.verbatim_depth:
                self.pieces.append("\n")
            else:
                self.end_block(NEWLINE)
        elif tag == "a":
            if node.attributes.get("href"):
                self.link_depth += 1
                self.links += 1
        return True

    def leave(self, node: Any, tag: str) -> None:
        if tag in CONTAINERS:
            self.end_block(TAB if tag in CELLS else NEWLINE)
            self.container = self.page.containers[self.container].parent
            self.tags.pop()
        elif tag in BLOCKS or "-" in tag:
            self.end_block(NEWLINE)
            self.verbatim_depth -= tag in VERBATIM
            self.tags.pop()
        elif tag == "a" and self.link_depth and node.attributes.get("href"):
            self.link_depth -= 1

    def end_block(self, separator: str) -> None:
        """Make a block of the text that was read, where there is any; `separator` stands before the next one."""
        if self.pieces:
            text = "".join(self.pieces)
            text = text.strip("\n").rstrip() if self.verbatim_depth else collapse(text)
            if text.strip():
                block = Block(text, self.tags[-1], self.container, self.separator, self.links, self.link_chars)
                self.page.blocks.append(block)
                self.separator = TAB
            self.pieces, self.links, self.link_chars = [], 1 if self.link_depth else 0, 0
        if separator == NEWLINE:
            self.separator = NEWLINE


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = attributes.get("style")
    return bool(style and _HIDDEN_STYLE.search(style)) or attributes.get("role") in HIDING_ROLES
