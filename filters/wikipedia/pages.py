"""Pages of Wikipedia: what kind they are, and their text without what is not text."""

from __future__ import annotations

import polars as pl

from filters.wikipedia.appendices import cut_appendices
from filters.wikipedia.marks import strip_marks, strip_markup
from filters.wikipedia.wikitext import wikitext_to_text

# MediaWiki's namespaces, those of the Japanese Wikipedia among them; odd numbers are the talk pages of the one before.
NAMESPACES = {
    2: "user", 4: "project", 6: "file", 8: "interface", 10: "template", 12: "help", 14: "category", 100: "portal", 102: "project",
    118: "draft", 710: "subtitle", 828: "module", 2600: "talk",
}  # fmt: skip
_DISAMBIGUATION_TEMPLATE = (
    r"(?i)\{\{\s*(?:aimai|disambig(?:uation)?|disamb|dab|hndis|geodis|mathdab|[^{}|\n要]{0,12}曖昧さ回避)\s*(?:\||\}\})"
)
_DISAMBIGUATION_TEXT = (
    r"曖昧さ回避のためのページ|この(?:項目|ページ)は[、，]?[^。\n]{0,20}曖昧さ回避|(?m:^[^。\n]{1,40}の曖昧さ回避[ \t]*$)"
)
_DISAMBIGUATION_TITLE = r"[_ ]?[(（]曖昧さ回避[)）]\s*$"
# "Xは、以下のものを指す。" and then a list.
_OPENING = (
    r"\A\s*[^\n]{0,80}(?:以下|次)の[^。\n]{0,30}(?:指す|意味する|表す|示す|ある|持つ|通り|とおり|こと|もの|人物|項目)"
    r"[^。\n]{0,10}[。:：]?[ \t]*\n"
)


def clean_pages(pages: pl.DataFrame) -> pl.DataFrame:
    """Return `text`, `page_kind` and `removed_chars` of pages.

    `pages` has `text` and, where the source knows them, `title`, `namespace` (MediaWiki's number), `redirect` (the page that it leads
    on to) and `wikitext` (whether `text` is that instead of plain text). `page_kind` is "article", "disambiguation", "redirect", or the
    namespace in words: "template", "category". A page in wikitext that is no article has no text.

    >>> clean_pages(pl.DataFrame({"text": ["東京（、）は首都である[1]。\\n\\n脚注"]})).row(0)
    ('東京は首都である。', 'article', 10)
    """
    columns = {"title": pl.String(), "namespace": pl.Int64(), "redirect": pl.String(), "wikitext": pl.Boolean()}
    pages = pages.with_columns(pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in pages.columns)
    kinds = _kinds(pages)
    is_wikitext = pages["wikitext"].fill_null(False)
    texts = _render(pages, kinds, is_wikitext) if is_wikitext.any() else pages["text"]
    plain = (~is_wikitext).arg_true()
    stripped = strip_markup(cut_appendices(texts.gather(plain)))  # what rendered text has of it was meant to be read
    texts = texts.scatter(plain, stripped) if len(plain) < len(texts) else stripped
    texts = _tidy(strip_marks(texts, pages["title"]))
    removed = (pages["text"].str.len_chars().cast(pl.Int32) - texts.str.len_chars().cast(pl.Int32)).clip(0)
    return pl.DataFrame({"text": texts, "page_kind": kinds, "removed_chars": removed})


def _kinds(pages: pl.DataFrame) -> pl.Series:
    namespace, text = pl.col("namespace"), pl.col("text")
    talk = (namespace % 2 == 1) & (namespace > 0)
    known = namespace.replace_strict(NAMESPACES, default=None, return_dtype=pl.String)
    lines = text.str.count_matches("\n", literal=True) + 1
    is_list = (
        text.str.contains(_OPENING)
        & (text.str.len_bytes() < 9000)
        & (5 * text.str.count_matches("。", literal=True) <= lines + 5)
    )
    disambiguation = (
        pl.when(pl.col("wikitext").fill_null(False))
        .then(text.str.contains(_DISAMBIGUATION_TEMPLATE))
        .otherwise(_say_disambiguation(pages["text"]) | is_list)
    ) | pl.col("title").str.contains(_DISAMBIGUATION_TITLE).fill_null(False)
    kind = (
        pl.when(namespace.fill_null(0) != 0)
        .then(pl.when(talk).then(pl.lit("talk")).otherwise(pl.coalesce(known, pl.format("namespace {}", namespace))))
        .when(pl.col("redirect").is_not_null())
        .then(pl.lit("redirect"))
        .when(disambiguation)
        .then(pl.lit("disambiguation"))
        .otherwise(pl.lit("article"))
    )
    return pages.select(kind.alias("page_kind")).to_series()


def _say_disambiguation(texts: pl.Series) -> pl.Series:
    rows = texts.str.contains("曖昧さ回避", literal=True).arg_true()
    said = pl.repeat(False, len(texts), eager=True)
    return said.scatter(rows, texts.gather(rows).str.contains(_DISAMBIGUATION_TEXT)) if len(rows) else said


def _render(pages: pl.DataFrame, kinds: pl.Series, is_wikitext: pl.Series) -> pl.Series:
    """Return the text of pages in wikitext, page by page, and that of the others as it is."""
    rows = is_wikitext.arg_true()
    is_article = kinds.is_in(["article", "disambiguation"])
    rendered = [
        wikitext_to_text(text, title) if readable and text else ""
        for text, title, readable in zip(
            pages["text"].gather(rows), pages["title"].gather(rows), is_article.gather(rows), strict=True
        )
    ]
    return pages["text"].scatter(rows, pl.Series(rendered, dtype=pl.String))


def _tidy(texts: pl.Series) -> pl.Series:
    """Return texts without empty lines and spaces that removed marks have left behind."""
    return texts.str.replace_all(r"(?m)[ \t]+$|^[ \t]+", "").str.replace_all(r"\n{3,}", "\n\n").str.strip_chars("\n \t")
