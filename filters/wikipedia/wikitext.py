"""Wikitext to text, in one pass over its markup.

Own code, for a reason: `mwparserfromhell` and its like try again for every markup that is never closed. They take 0.8 MB/s on prose, and
minutes on 80 KB of "{{a|" (docs/benchmarks/wikipedia.md). Here every piece of markup is seen once, and what is never closed is text.
Tests hold the two to the same result on markup that is closed.

What is kept is what a reader takes for text: prose, headings, list items, the labels of links, and the few templates that stand for words
(`templates.py`). Tables, references, files with their captions, formulas and all other templates go.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left

from filters.wikipedia.formulas import formula_text
from filters.wikipedia.sections import join_sections
from filters.wikipedia.templates import stands_for_text, template_text

MOST_FRAMES = 40  # depth of nesting that is read, as MediaWiki's own limit; what is nested deeper is left out

# Content that is no wikitext, by what becomes of it.
_DROPPED = frozenset(
    "categorytree del gallery graph hiero imagemap includeonly indicator inputbox mapframe maplink ref references rp s score section "
    "strike style templatedata templatestyles timeline".split()
)
_LITERAL = frozenset("nowiki pre source syntaxhighlight".split())
_FORMULAS = frozenset("ce chem math".split())
_OPAQUE = _DROPPED | _LITERAL | _FORMULAS
_LINES = frozenset("blockquote br center dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p poem table td th tr ul".split())

_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<closes>/?)(?P<tag>[A-Za-z][A-Za-z0-9]*)(?:[\s/][^<>]*)?>"
    r"|(?P<newline>\n)(?:[ \t:*#;]*(?P<table>\{\|)|[ \t]*(?P<end>\|\})(?!\})|(?P<blank>[ \t]*(?=\n)))?"
    r"|\{\{(?P<template>[^{}\[\]<]++)\}\}|\[\[(?P<link>[^{}\[\]<\n'&]++)\]\]"  # with nothing in it: most of them
    r"|(?P<open>\{{2,}|\[\[)|(?P<shut>\}{2,}|\]+)|(?P<url>\[(?=(?:https?:|ftp:|mailto:)?//|mailto:))"
    r"|(?P<pipe>\|)|(?P<quotes>'{2,})|(?P<entity>&\#?\w{1,31};)|__(?:[A-Z]{3,20}|[ぁ-んァ-ヶー一-龠]{2,12})__",
    re.DOTALL,
)
_FILES = frozenset("file image media ファイル 画像 メディア".split())
_CATEGORIES = frozenset("category カテゴリ".split())
_QUOTES = re.compile(r"'{2,}")
_LANGUAGE = re.compile(r"(?:[a-z]{2,3}(?:-[a-z-]+)?|simple)\Z")
_REDIRECT = re.compile(r"\s*[#＃](?:REDIRECT|転送|リダイレクト)\s*[:：]?\s*\[\[([^\]|#\n]+)", re.IGNORECASE)


class _Frame:
    """Markup that is open: "template", "argument", "link", "url" or "table". `args`: what is complete; `parts`: of what is not yet."""

    __slots__ = ("args", "dropped", "kind", "parts")

    def __init__(self, kind: str, dropped: bool = False) -> None:
        self.kind, self.dropped = kind, dropped
        self.args: list[str] = []
        self.parts: list[str] = []

    def is_file(self) -> bool:
        name = self.args[0] if self.args else ""
        return name.partition(":")[0].strip().lower() in _FILES

    def unclosed(self) -> list[str]:
        """Return what stands there where the markup is never closed: its content without the opening."""
        parts = [piece for arg in self.args for piece in (arg, "|")]
        return [*parts, *self.parts]


def redirect_target(wikitext: str) -> str | None:
    """Return the page to which a page leads on, or None.

    >>> redirect_target("#転送 [[東京都]]")
    '東京都'
    """
    found = _REDIRECT.match(wikitext)
    return found[1].strip() if found else None


def wikitext_to_text(wikitext: str, title: str | None = None) -> str:
    """Return the text of a page's wikitext: headings, paragraphs and list items as lines, an empty line between paragraphs.

    `title` is the page's own name, for templates that repeat it. No markup raises an error.

    >>> wikitext_to_text("'''東京'''（{{lang|en|Tokyo}}）は[[日本]]の[[首都 (行政)|首都]]である<ref>本</ref>。")
    '東京（Tokyo）は日本の首都である。'
    """
    return join_sections(_Renderer(wikitext, title).render())


class _Renderer:
    """One pass over the wikitext of a page. `stack` has the markup that is open, the page itself first."""

    def __init__(self, wikitext: str, title: str | None) -> None:
        self.source = "\n" + wikitext.replace("\r\n", "\n").replace("\0", "")
        self.title = title
        self.stack = [_Frame("page")]
        self.opened = {"template": 0, "argument": 0, "link": 0, "url": 0, "table": 0}
        self.tags: dict[str, tuple[list[int], list[tuple[int, int]]]] = {}

    def render(self) -> str:
        source, position = self.source, 0
        while found := _TOKEN.search(source, position):
            before = position
            start, position = found.span()
            if start > before:
                self.stack[-1].parts.append(source[before:start])
            group = found.lastgroup
            if group == "newline" or group == "blank":
                if len(self.stack) > 1:
                    self._newline(found)
                else:
                    self.stack[-1].parts.append("\n")
            elif group == "link":
                self.stack[-1].parts.append(_link_text(found["link"].split("|")))
            elif group == "template":
                self.stack[-1].parts.append(self._simple_template(found["template"]))
            elif group == "tag":
                position = self._tag(found["tag"].lower(), bool(found["closes"]), found[0], position)
            elif group == "table" or group == "end":
                self._newline(found)
            elif group == "open":
                self._open(found[0])
            elif group == "shut":
                self._shut(found[0])
            elif group == "url":
                self._push("url")
            elif group == "pipe":
                self._pipe()
            elif group == "entity":
                self.stack[-1].parts.append(html.unescape(found[0]))
            elif group == "quotes" and len(found[0]) == 4:
                self.stack[-1].parts.append("'")  # bold, with an apostrophe of the text before it
        self.stack[-1].parts.append(source[position:])
        self._unwind(1)
        return "".join(self.stack[0].parts)

    def _simple_template(self, content: str) -> str:
        """Return the text of a template without templates, links and tags in it."""
        if not stands_for_text(content.partition("|")[0]):
            return ""
        if "'" in content or "&" in content:
            content = html.unescape(_QUOTES.sub("", content))
        return template_text(content.split("|"), self.title)

    # -- opening and closing

    def _push(self, kind: str) -> None:
        self.opened[kind] += 1
        self.stack.append(_Frame(kind, self.stack[-1].dropped or len(self.stack) > MOST_FRAMES))

    def _pop(self) -> _Frame:
        frame = self.stack.pop()
        self.opened[frame.kind] -= 1
        return frame

    def _unwind(self, depth: int) -> None:
        """Take the markup above `depth` for text, which was never closed."""
        parts: list[str] = []
        for frame in self.stack[depth:]:
            self.opened[frame.kind] -= 1
            parts += frame.unclosed()
        del self.stack[depth:]
        self.stack[-1].parts += parts

    def _open(self, token: str) -> None:
        if token == "[[":
            self._push("link")
            return
        braces = len(token)
        while braces >= 2:
            size = 3 if braces == 3 else 2
            self._push("argument" if size == 3 else "template")
            braces -= size

    def _shut(self, token: str) -> None:
        left = len(token)
        while left:
            size = self._close_braces(left) if token[0] == "}" else self._close_brackets(left)
            left -= size

    def _close_braces(self, left: int) -> int:
        if left == 1 or not self.opened["template"] + self.opened["argument"]:
            if left == 1:
                self.stack[-1].parts.append("}")
            return left
        depth = len(self.stack) - 1
        while self.stack[depth].kind not in ("template", "argument"):
            depth -= 1
        self._unwind(depth + 1)
        frame = self._pop()
        if not frame.dropped:
            self._finish_arg(frame)
            if frame.kind == "template" or left == 2:
                self.stack[-1].parts.append(template_text(frame.args, self.title))
            elif len(frame.args) > 1:
                self.stack[-1].parts.append(frame.args[1])  # the default of a parameter
        return 3 if frame.kind == "argument" and left > 2 else 2

    def _close_brackets(self, left: int) -> int:
        top = self.stack[-1]
        if top.kind == "url":
            self._pop()
            self.stack[-1].parts.append("".join(top.parts).partition(" ")[2].strip())
            return 1
        if top.kind == "link" and left >= 2:
            self._pop()
            if not top.dropped:
                self._finish_arg(top)
                self.stack[-1].parts.append(_link_text(top.args))
            return 2
        self.stack[-1].parts.append("]")
        return 1

    @staticmethod
    def _finish_arg(frame: _Frame) -> None:
        frame.args.append("".join(frame.parts))
        frame.parts = []

    def _pipe(self) -> None:
        top = self.stack[-1]
        if top.kind in ("template", "argument", "link"):
            self._finish_arg(top)
        else:
            top.parts.append("|")

    def _newline(self, found: re.Match[str]) -> None:
        # A link has its page's name on one line and ends with the paragraph; an external link ends with the line.
        depth = len(self.stack)
        while (top := self.stack[depth - 1]).kind == "url" or (
            top.kind == "link" and (not top.args or found["blank"] is not None and not top.is_file())
        ):
            depth -= 1
        self._unwind(depth)
        self.stack[-1].parts.append("\n")
        if found["table"]:
            self._push("table")
        elif found["end"]:
            if self.opened["table"]:
                self._close_table()
            else:
                self.stack[-1].parts.append("|}")

    def _close_table(self) -> None:
        while self._pop().kind != "table":
            pass

    # -- tags

    def _tag(self, name: str, closes: bool, token: str, position: int) -> int:
        """Return where to go on after a tag."""
        parts = self.stack[-1].parts
        if name in _OPAQUE and not closes:
            if token.endswith("/>"):
                return position
            end = self._find_end(name, position)
            if end is None:
                return position  # it is never closed
            content = self.source[position : end[0]]
            if name in _LITERAL:
                parts.append(html.unescape(content))
            elif name in _FORMULAS:
                parts.append(formula_text(content))
            return end[1]
        if name == "table":
            if not closes:
                self._push("table")
            elif self.opened["table"]:
                self._close_table()
            return position
        if name in ("rt", "ruby"):
            parts.append("" if name == "ruby" else "）" if closes else "（")
        elif name in _LINES:
            parts.append("\n")
        return position

    def _find_end(self, name: str, position: int) -> tuple[int, int] | None:
        """Return where the content of an opaque tag ends and where its end tag does; None where the same tag comes again before."""
        if name not in self.tags:
            opening = re.compile(rf"<{name}(?:\s[^<>]*)?(?<!/)>", re.IGNORECASE)
            ending = re.compile(rf"</{name}\s*>", re.IGNORECASE)
            self.tags[name] = (
                [found.start() for found in opening.finditer(self.source)],
                [found.span() for found in ending.finditer(self.source)],
            )
        starts, ends = self.tags[name]
        place = bisect_left(ends, (position, 0))
        if place == len(ends):
            return None
        following = bisect_left(starts, position)
        if name == "ref" and following < len(starts) and starts[following] < ends[place][0]:
            return None
        return ends[place]


def _link_text(args: list[str]) -> str:
    """Return what a reader sees of a link: its label, the name of its page, or nothing."""
    target = args[0].strip()
    prefix, colon, _ = target.partition(":")
    prefix = prefix.strip().lower()
    label = args[-1].strip() if len(args) > 1 else ""
    if colon and (prefix in _FILES or prefix in _CATEGORIES):
        return ""
    if label:
        return label
    if colon and prefix and _LANGUAGE.match(prefix):
        return ""  # the same page in another language
    return target.lstrip(":#")
