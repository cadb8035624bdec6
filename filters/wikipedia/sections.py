"""Sections of an article, and which of them are no text of it: references, links, further reading."""

from __future__ import annotations

import re

# Headings of sections that end an article: those of the Japanese Wikipedia's style guide, and what else they are called.
APPENDICES = frozenset(
    """
    脚注 脚註 注釈 註釈 注 註 注記 出典 出典・脚注 脚注・出典 注釈・出典 注釈と出典 出典・注釈 脚注・参考文献
    出典・参考文献 脚注および参考文献 引用元 典拠 参考文献 参考資料 参考書籍 参考図書 参考サイト 参考リンク
    参考文献・資料 参考文献・出典 主要参考文献 主な参考文献 参照文献 引用文献 文献 文献情報 一次文献 二次文献 関連項目
    関連記事 関連事項 関連リンク 関連サイト 関連書籍 関連書 関連図書 関連文献 関連資料 関連項目・人物 関連カテゴリ
    外部リンク 外部サイト 外部情報源 外部資料
    """.split()
)
_HEADING = re.compile(r"(?m)^[ \t]*(=[^\n]*=)[ \t]*$")
_BLANK = re.compile(r"\n{3,}")
_NO_APPENDIX = 7  # a level below all headings


def is_appendix(heading: str) -> bool:
    """Whether a heading names a section that is no text of the article.

    >>> is_appendix("脚注"), is_appendix("参考 文献"), is_appendix("歴史")
    (True, True, False)
    """
    return "".join(heading.split()) in APPENDICES


def join_sections(rendered: str) -> str:
    """Return the text of rendered wikitext whose headings and list items still have their signs.

    A section of `APPENDICES` is left out to its end, with all sections in it. So is a heading that has no text below it.
    """
    pieces = _HEADING.split(rendered)  # text, then heading and text again and again
    sections = [(0, "", _clean_lines(pieces[0]))]
    appendix = _NO_APPENDIX  # level of the appendix that goes on
    for signed, body in zip(pieces[1::2], pieces[2::2], strict=True):
        level = min(6, (len(signed) - 1) // 2, len(signed) - len(signed.lstrip("=")), len(signed) - len(signed.rstrip("=")))
        heading = signed[level:-level].strip() if level else ""
        if level <= appendix:
            appendix = level if is_appendix(heading) else _NO_APPENDIX
            if appendix == _NO_APPENDIX:
                sections.append((level, heading, _clean_lines(body)))
    blocks: list[str] = []
    following = 0  # level of the section after this one
    for level, heading, body in reversed(sections):
        if body or level < following:
            blocks.append("\n".join(part for part in (heading, body) if part))
            following = level
    return "\n\n".join(block for block in reversed(blocks) if block)


def _clean_lines(body: str) -> str:
    """Return lines without the signs of lists; rows of tables that are never closed go."""
    lines = []
    for line in body.split("\n"):
        line = line.strip(" \t\u3000").lstrip("*#:;").lstrip(" \t\u3000")
        is_row = line.startswith(("|", "{|")) or (line.startswith("!") and ("!!" in line or "|" in line))
        if not is_row and not (line.startswith("----") and not line.strip("-")):
            lines.append(line)
    return _BLANK.sub("\n\n", "\n".join(lines)).strip("\n")
