"""Appendices of plain text, where headings are lines like any other: 脚注, 参考文献, 関連項目, 外部リンク."""

from __future__ import annotations

import polars as pl

from filters.wikipedia.sections import APPENDICES

# Sections of notes may stand below a table in mid-article; the others end an article.
_NOTES = frozenset(
    "脚注 脚註 注釈 註釈 注 註 注記 出典 出典・脚注 脚注・出典 注釈・出典 注釈と出典 出典・注釈 引用元 典拠".split()
)
# Words that may as well be an item of a list: headings only after an empty line.
_AMBIGUOUS = frozenset("注 註 注記 引用元 典拠 文献 参考リンク 一次文献 二次文献".split())
_NAMES = "|".join(sorted(APPENDICES - _AMBIGUOUS, key=len, reverse=True))
_HEADING = rf"(?m)^[ \t\u3000=]*(?:{_NAMES})[ \t\u3000=]*$"
_CITED = r"ISBN|閲覧|頁|ページ|pp?\.\s?\d|https?://|出版|書店|新聞|『|^[\^↑]"


def cut_appendices(texts: pl.Series) -> pl.Series:
    """Return texts without the sections that `APPENDICES` name.

    A heading is a line that is one of these names. Its section goes on over empty lines, since those are in it, too, until prose
    follows: a block with a sentence in hiragana. Sections of notes end with the first block that cites nothing.

    >>> cut_appendices(pl.Series(["本文である。\\n\\n歴史\\n古い。\\n\\n参考文献\\n『本』\\n\\n外部リンク\\n公式"])).item()
    '本文である。\\n\\n歴史\\n古い。'
    """
    rows = texts.str.contains(_HEADING).fill_null(False).arg_true()
    if not len(rows):
        return texts
    blocks = (
        pl.DataFrame({"row": rows, "text": texts.gather(rows).str.replace_all(_HEADING, "\n\n${0}")})
        .with_columns(pl.col("text").str.replace_all(r"\n[ \t\u3000]*\n\s*", "\n\n").str.split("\n\n"))
        .explode("text")
    )
    heading = pl.col("text").str.extract(r"\A([^\n]*)").str.strip_chars(" \t\u3000=")
    hiragana = pl.col("text").str.count_matches(r"[ぁ-ん]")
    kept = (
        blocks.lazy()
        .with_columns(
            appendix=heading.is_in(list(APPENDICES)),
            notes=heading.is_in(list(_NOTES)),
            prose=pl.col("text").str.contains(r"(?m)。[ \t」）)]*$") & (4 * hiragana >= pl.col("text").str.len_chars()),
            cites=pl.col("text").str.contains(_CITED),
            first=pl.col("row") != pl.col("row").shift(),
        )
        .with_columns(
            state=pl.when("appendix")
            .then(pl.when("notes").then(1).otherwise(2))
            .when(pl.col("prose") | pl.col("first").fill_null(True))
            .then(0)
            .forward_fill()
        )
        .filter((pl.col("state") == 0) | (pl.col("state") == 1) & ~pl.col("appendix") & ~pl.col("cites"))
        .group_by("row", maintain_order=True)
        .agg(pl.col("text").str.join("\n\n"))
        .collect()
    )
    empty = texts.scatter(rows, pl.Series([""], dtype=pl.String).new_from_index(0, len(rows)))  # what has no block left
    return empty.scatter(kept["row"], kept["text"])
