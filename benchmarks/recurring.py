"""Lines that recur over documents: how much of the furniture of sites is found, what else goes with it, and what it costs.

Made sites (`tests/support/sites.py`): pages of drawn prose with header, sidebar and footer, counts and the page's own item varying, with
and without URLs, among documents of prose. Real pages: `web.jsonl.gz`, where one site's sidebar stands in many pages. Clean text:
`ja.txt.xz` by kind, in which what is removed is to be read (`--show`). Time: keys of lines in one thread, and memory of what recurs.

    python -m benchmarks.recurring
"""

from __future__ import annotations

import gzip
import json
import lzma
import time
from collections import Counter
from pathlib import Path

import polars as pl

from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from filters.kernels import buffers
from filters.text.lines import line_keys, remove_spans
from filters.text.normalisation import normalise
from pipeline.dedup.furniture import RecurringLines, Survivors, leave_recurring
from tests.support.sites import Page, count_found, make_site
from tests.support.texts import make_sentences

SETTINGS = RecurringLines()
# Kinds of documents that have no furniture: what goes there is wrong. Prose of Aozora Bunko ends with a colophon that recurs.
CLEAN = ("wikipedia", "statutes", "chat", "php-manual", "ruby-manual", "gnome-help", "ruby-lang", "dotnet-docs")
SIDEBAR = "(?m)^令和3年小平市議会まとめTOP$"  # a line of the sidebar that stands in many pages of one site


def strip(texts: pl.Series, sites: pl.Series | None = None) -> tuple[pl.Series, pl.DataFrame]:
    """Return cleaned texts without furniture, and what was removed by row."""
    survivors = Survivors.of_texts(texts, sites)
    found = survivors.describe(survivors.mark(SETTINGS, leave_recurring(SETTINGS, survivors.count(SETTINGS))))
    rows = pl.DataFrame({"row": pl.Series(range(len(texts)), dtype=pl.UInt32)})
    spans = rows.join(found, on="row", how="left", maintain_order="left")["spans"].fill_null([])
    return remove_spans(texts, spans)[0], found


def made_sites(count: int, pages: int, with_urls: bool) -> list[str]:
    """Return a row of the table: found share of lines, and of pages in which 95 % of the furniture is gone."""
    sites = [make_site(number, pages) for number in range(count)]
    flat: list[Page] = [page for site in sites for page in site]
    prose = [make_sentences(("prose", number), 8) for number in range(5 * count)]
    texts = normalise(pl.Series([*(page.text for page in flat), *prose]))
    names = [*(f"site {number}" for number, site in enumerate(sites) for _ in site), *[None] * len(prose)]
    left = strip(texts, pl.Series(names, dtype=pl.String) if with_urls else None)[0].to_list()
    total, gone, lost = count_found(flat, left[: len(flat)])
    whole = sum(found >= 0.95 * lines for lines, found, _ in (count_found([p], [t]) for p, t in zip(flat, left, strict=False)))
    untouched = left[len(flat) :] == texts[len(flat) :].to_list()
    return [
        "yes" if with_urls else "no", str(pages), f"{gone / total:.1%}", f"{whole / len(flat):.1%}", str(lost + (not untouched)),
    ]  # fmt: skip


def read_documents(data: Path) -> pl.DataFrame:
    """Return `kind` and `text` of the development corpus and the web pages, exact duplicates apart."""
    rows: list[tuple[str, str]] = []
    web = data / "text" / "web.jsonl.gz"
    if web.is_file():
        rows += [(f"web: {row['genre']}", row["text"]) for row in map(json.loads, gzip.open(web))]
    raw = lzma.open(data / "text" / "ja.txt.xz").read()
    for row in map(json.loads, gzip.open(data / "text" / "ja.truth.jsonl.gz")):
        rows.append((row["kind"], raw[row["offset"] : row["offset"] + row["bytes"]].decode("utf-8", "replace")))
    frame = pl.DataFrame(rows, schema=["kind", "text"], orient="row").with_columns(pl.col("kind").str.strip_suffix("+edited"))
    return frame.with_columns(normalise(frame["text"])).unique("text", maintain_order=True).filter(pl.col("text") != "")


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--sites", type=int, default=20, help="made sites of each size")
    parser.add_argument("--show", type=int, default=0, help="print so many removed lines of each kind")
    options = parse_options(parser, "recurring", {"sites": 2})
    rows = [made_sites(options.sites, pages, urls) for urls in (True, False) for pages in (6, 12, 25, 77)]
    print(format_table(["URLs", "pages of a site", "lines found", "pages with 95 % of it found", "lines of prose lost"], rows))
    documents = read_documents(options.data)
    left, found = strip(documents["text"])
    by_kind, lines = documents.with_row_index("row").join(found, on="row", how="left"), Counter[str]()
    table = by_kind.group_by("kind").agg(
        pl.len().alias("documents"), pl.col("lines").count().alias("with furniture"), pl.sum("lines"), pl.sum("chars"),
        pl.col("text").str.len_chars().sum().alias("of"),
    ).sort("kind")  # fmt: skip
    print(format_table(table.columns, [[str(value) for value in row] for row in table.iter_rows()]))
    for kind in documents["kind"].unique().sort() if options.show else []:
        some = by_kind.filter((pl.col("kind") == kind) & pl.col("lines").is_not_null())
        lines = Counter(remove_spans(some["text"], some["spans"])[1].to_list())
        print(kind, *(f"  {count} {line}" for line, count in lines.most_common(options.show)), sep="\n")
    data, offsets = buffers(documents["text"])
    line_keys(data, offsets)
    began = time.process_time()
    keys = line_keys(data, offsets)[0]
    nanoseconds = (time.process_time() - began) * 1e9 / max(len(data), 1)
    print(
        f"\nkeys of lines: {nanoseconds:.2f} ns of one thread a byte; {8 * len(keys) / max(len(data), 1):.3f} bytes stored a byte"
    )
    removed = int(table.filter(~pl.col("kind").str.starts_with("web: "))["lines"].sum())
    wrong = int(table.filter(pl.col("kind").is_in(CLEAN))["lines"].sum())
    stays = left.filter(documents["text"].str.contains(SIDEBAR)).str.contains(SIDEBAR)
    gone = 1 - int(stays.sum()) / len(stays) if len(stays) else 1.0
    print(f"sidebar of one site: gone in {gone:.1%} of {len(stays)} pages")
    shares = [(row[0], int(row[1]), float(row[2][:-1]) / 100) for row in rows]
    with_urls = min(share for urls, _, share in shares if urls == "yes")
    without = min(share for urls, pages, share in shares if urls == "no" and pages >= 25)
    precision = 1 - wrong / max(removed, 1)
    bars = [
        Bar(with_urls >= 0.95, f"furniture of made sites with URLs: {with_urls:.1%} found (95 %)"),
        Bar(without >= 0.95, f"… without URLs, 25 pages and more: {without:.1%} found (95 %)"),
        Bar(gone >= 0.95, f"the sidebar of a real site is gone in {gone:.1%} of its pages (95 %)"),
        Bar(precision >= 0.95, f"of lines removed from prose {precision:.1%} are furniture (95 %)"),
    ]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    raise SystemExit(main())
