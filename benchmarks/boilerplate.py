"""Which lines fall as boilerplate, on pages whose lines are labelled and on clean documents.

    python -m benchmarks.boilerplate [--documents 5000] [--show]

Pages: 60 crawled ones of `ja.txt.xz`, each line labelled (`benchmarks/labels/boilerplate.tsv`), half of them held out while the lists
were made. *Furniture* names itself wherever it stands (buttons, notices, dates, counts); *menu* lines are items of a site's own menus,
which only the site's other pages tell. Clean documents: prose, encyclopedia, statutes, manuals, minutes, notes and books; with --show
every line that falls is printed, between its neighbours, for reading.
"""

from __future__ import annotations

import csv
import lzma
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.corpus import read_jsonl, read_truth, text_file
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from filters.kernels import buffers
from filters.text.boilerplate import boilerplate_lines
from filters.text.normalisation import normalise_spans

LABELS = Path(__file__).parent / "labels" / "boilerplate.tsv"
CLEAN = (
    "aozora",
    "wikipedia",
    "statutes",
    "php-manual",
    "dotnet-docs",
    "ruby-manual",
    "ruby-lang",
    "react",
    "vue",
    "gnome-help",
    "chat",
)
WEB_CLEAN = ("diet-sentence", "diet-minutes", "tech-notes", "markdown-book")


@dataclass(frozen=True)
class Labels:
    """The labelled lines of one page, by number."""

    offset: int
    half: str
    furniture: set[int]
    menu: set[int]


def parse_ranges(text: str) -> set[int]:
    """Return the numbers in ranges such as 3,5-7."""
    parts = [part.partition("-") for part in text.split(",") if part]
    return {line for first, _, last in parts for line in range(int(first), int(last or first) + 1)}


def read_labels(path: Path = LABELS) -> list[Labels]:
    with path.open(encoding="utf-8") as file:
        rows = csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t")
        return [Labels(int(r["offset"]), r["half"], parse_ranges(r["furniture"]), parse_ranges(r["menu"])) for r in rows]


def mark_lines(texts: list[str]) -> list[list[tuple[str, bool]]]:
    """Return the lines of each text as they are cleaned, empty ones left out, and whether each falls."""
    data, offsets = buffers(pl.Series(texts, dtype=pl.String))
    cleaned = normalise_spans(data, offsets[:-1], offsets[1:])
    falls = boilerplate_lines(cleaned)
    lines = [
        cleaned.data[a:b].tobytes().decode().strip()
        for a, b in zip(cleaned.line_offsets, cleaned.line_offsets[1:], strict=False)
    ]
    first = cleaned.first_line
    return [[(lines[i], bool(falls[i])) for i in range(first[d], first[d + 1]) if lines[i]] for d in range(len(first) - 1)]


def score_pages(labels: list[Labels], texts: list[str]) -> Counter[tuple[str, str, bool]]:
    """Count the lines of labelled pages by half, label and whether they fall."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    for page, text, marked in zip(labels, texts, mark_lines(texts), strict=True):
        numbers = [i for i, line in enumerate(text.split("\n")) if line.strip()]
        if len(numbers) != len(marked):
            raise SystemExit(f"the page at {page.offset} has other lines cleaned than raw: its labels do not fit")
        for number, (_, fell) in zip(numbers, marked, strict=True):
            label = "furniture" if number in page.furniture else "menu" if number in page.menu else "content"
            counts[page.half, label, fell] += 1
    return counts


def print_pages(counts: Counter[tuple[str, str, bool]]) -> list[Bar]:
    """Print recall and precision of each half; return the bars."""
    rows, bars = [], []
    for half in ("tuning", "held-out"):
        found = {label: counts[half, label, True] for label in ("furniture", "menu", "content")}
        total = {label: found[label] + counts[half, label, False] for label in found}
        both = found["furniture"] + found["menu"]
        precision = both / max(both + found["content"], 1)
        recall = found["furniture"] / max(total["furniture"], 1)
        every = both / max(total["furniture"] + total["menu"], 1)
        rows.append(
            [half, f"{found['furniture']} of {total['furniture']}", f"{recall:.3f}", f"{found['menu']} of {total['menu']}"]
            + [f"{every:.3f}", f"{found['content']} of {total['content']}", f"{precision:.3f}"]
        )
        bars.append(Bar(recall >= 0.5, f"{half} pages: recall of furniture {recall:.3f}, bar 0.5"))
        bars.append(Bar(every >= 0.5, f"{half} pages: recall of furniture and menus {every:.3f}, bar 0.5"))
        bars.append(Bar(precision >= 0.95, f"{half} pages: precision {precision:.3f}, bar 0.95"))
    header = ["pages", "furniture found", "recall", "menu lines found", "recall of both", "content lost", "precision"]
    print(format_table(header, rows))
    return bars


def draw_clean(data: Path, documents: int) -> list[tuple[str, str]]:
    """Draw clean documents, as many of each kind as there are of the rarest as far as that goes: (kind, text)."""
    raw = lzma.open(text_file(data)).read()
    pools: dict[str, list[str]] = {}
    for row in read_truth(data):
        if row["kind"] in CLEAN and row["lang"] == "ja":
            pools.setdefault(row["kind"], []).append(raw[row["offset"] : row["offset"] + row["bytes"]].decode())
    web = data / "text" / "web.jsonl.gz"
    for row in read_jsonl(web) if web.is_file() else []:
        if row["genre"] in WEB_CLEAN:
            pools.setdefault(row["genre"], []).append(row["text"])
    rng = random.Random(7)
    drawn: list[tuple[str, str]] = []
    for left, (kind, texts) in zip(range(len(pools), 0, -1), sorted(pools.items(), key=lambda p: len(p[1])), strict=True):
        share = min(len(texts), (documents - len(drawn)) // left)
        drawn += [(kind, text) for text in rng.sample(texts, share)]
    return drawn


def print_clean(documents: list[tuple[str, str]], show: bool) -> None:
    """Print how many lines fall in clean documents of each kind."""
    fallen: Counter[str] = Counter()
    for (kind, _), lines in zip(documents, mark_lines([text for _, text in documents]), strict=True):
        for i, (line, fell) in enumerate(lines):
            fallen[kind] += fell
            if fell and show:
                around = [lines[j][0][:30] if 0 <= j < len(lines) else "" for j in (i - 1, i + 1)]
                print(f"{kind} | {around[0]} | >> {line} << | {around[1]}")
    kinds = Counter(kind for kind, _ in documents)
    print(f"\n{len(documents):,} clean documents, {sum(fallen.values())} lines fall\n")
    print(
        format_table(["kind", "documents", "lines that fall"], [[k, f"{n:,}", str(fallen[k])] for k, n in kinds.most_common()])
    )


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--documents", type=int, default=5000, help="clean documents to draw")
    parser.add_argument("--show", action="store_true", help="print every line that falls in clean documents")
    options = parse_options(parser, "boilerplate", {"documents": 50})
    raw = lzma.open(text_file(options.data)).read()
    sizes = {row["offset"]: row["bytes"] for row in read_truth(options.data)}
    labels = [page for page in read_labels() if page.offset in sizes] if not options.smoke else []
    texts = [raw[page.offset : page.offset + sizes[page.offset]].decode() for page in labels]
    bars = print_pages(score_pages(labels, texts)) if labels else []
    print_clean(draw_clean(options.data, options.documents), options.show)
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
