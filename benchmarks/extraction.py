"""HTML to text: charset, main text and speed, beside trafilatura and resiliparse.

    python -m benchmarks.extraction

Needs trafilatura, lxml_html_clean and resiliparse (benchmarks/requirements.txt); a smoke run leaves out what is not installed.

1. **Charset**: the Shift_JIS pages of `statutes-sjis.warc.gz`, as they are and transcoded, with headers that are right, missing or lie.
   Right is a page whose decoded bytes are those of the text.
2. **Similarity** of the text of the same pages to `statutes.reference.jsonl.gz`, another tool's rendering of all of their text.
3. **Main text** of the 60 pages in `benchmarks/labels/extraction.jsonl`: of `debian-docs.warc.gz`, drawn by `random.Random(16)` from
   pages of at most 60,000 bytes, so many of each manual (51 of them in Japanese).
   A label has the WARC record's id and the spans of
   main text in the decoded page. Title, headings, paragraphs, lists, tables, code, captions and notes are main text. Navigation, headers,
   footers, copyright lines, and lists of nothing but links (contents, menus, see also) are not.
4. **Duplicated paragraphs**: lines of 20 characters or more that a text has more often than the page has them, over all pages of both
   files.
5. **Speed**: bytes to text on one core, in turns.

Texts are compared by F1 of their character 5-grams, counted as often as they occur, white space aside. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from warcio.archiveiterator import ArchiveIterator

from benchmarks.harness import (
    ROOT,
    Bar,
    finish,
    format_speed,
    format_table,
    make_parser,
    parse_options,
    print_progress,
    take_turns,
)
from filters.html import extract_documents
from filters.html.charset import decode

LABELS = ROOT / "benchmarks" / "labels" / "extraction.jsonl"
SIMILARITY, SPEED = 0.97, 10
PARAGRAPH = 20  # characters of a line that counts as a paragraph

Extractor = Callable[[bytes], str]


class Page(NamedTuple):
    """A page as the server sent it."""

    record: str
    url: str
    body: bytes


@dataclass(frozen=True)
class Similarity:
    """How alike two texts are: shares of their 5-grams."""

    f1: float
    precision: float
    recall: float


# -- pages


def read_pages(path: Path) -> list[Page]:
    with path.open("rb") as file:
        return [
            Page(
                r.rec_headers.get_header("WARC-Record-ID"),
                r.rec_headers.get_header("WARC-Target-URI"),
                r.content_stream().read(),
            )
            for r in ArchiveIterator(file)
            if r.rec_type == "response"
        ]


class _Text(HTMLParser):
    """All text of a piece of HTML, scripts and styles aside: what a label's spans say, without any of the extractors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.unread = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.unread += tag in ("script", "style")
        self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.unread -= tag in ("script", "style") and self.unread > 0

    def handle_data(self, data: str) -> None:
        if not self.unread:
            self.pieces.append(data)


def text_of(html: str) -> str:
    return "".join(_Text(html).pieces)


def read_labelled(pages: list[Page], labels_file: Path) -> list[tuple[Page, str]]:
    """Return the labelled pages with their main text."""
    by_record = {page.record: page for page in pages}
    labelled = []
    for line in labels_file.read_text("utf-8").splitlines():
        label = json.loads(line)
        page = by_record[label["id"]]
        html = page.body.decode()
        labelled.append((page, "\n".join(text_of(html[start:end]) for start, end in label["spans"])))
    return labelled


# -- comparison


def count_grams(text: str) -> Counter[str]:
    squeezed = re.sub(r"[\s¶]+", "", text)  # ¶ links to the heading that it stands behind
    return Counter(squeezed[i : i + 5] for i in range(max(1, len(squeezed) - 4)))


def compare(reference: str, text: str) -> Similarity:
    a, b = count_grams(reference), count_grams(text)
    common = (a & b).total()
    return Similarity(2 * common / (a.total() + b.total()), common / b.total(), common / a.total())


def count_duplicated(html: str, text: str) -> int:
    """Return how many paragraphs of a text are there more often than in the page: letters and digits count, not what marks a list."""
    lines = Counter(line for raw in text.split("\n") if len(line := re.sub(r"[\W_]+", "", raw)) >= PARAGRAPH)
    repeated = {line: n for line, n in lines.items() if n > 1}
    page = re.sub(r"[\W_]+", "", text_of(html)) if repeated else ""
    return sum(max(0, n - page.count(line)) for line, n in repeated.items())


# -- extractors


def extract_ours(body: bytes) -> str:
    data = np.frombuffer(body, np.uint8)
    done = extract_documents(data, np.array([0]), np.array([len(body)]), [None], np.array([True]))
    return bytes(done.data).decode()


def load_peers(smoke: bool) -> dict[str, Extractor]:
    """Return the peers, each with the settings that are compared."""
    try:
        import trafilatura
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.encoding import bytes_to_str, detect_encoding
    except ImportError as error:
        if smoke:
            return {}
        raise SystemExit(f"{error}: pip install -r benchmarks/requirements.txt") from None

    def read(body: bytes) -> str:
        return bytes_to_str(body, detect_encoding(body, from_html_meta=True) or "utf-8")

    def resiliparse(**options: Any) -> Extractor:
        return lambda body: extract_plain_text(read(body), preserve_formatting=True, **options)

    def with_trafilatura(**options: Any) -> Extractor:
        return lambda body: trafilatura.extract(body, **options) or ""

    return {
        "trafilatura": with_trafilatura(),
        "trafilatura, fast": with_trafilatura(fast=True),
        "trafilatura, favor_recall": with_trafilatura(favor_recall=True),
        "trafilatura, favor_precision": with_trafilatura(favor_precision=True),
        "trafilatura, favor_recall, no comments": with_trafilatura(favor_recall=True, include_comments=False),
        "resiliparse, main_content": resiliparse(main_content=True),
        "resiliparse, main_content, no bullets, no alt texts": resiliparse(
            main_content=True, list_bullets=False, alt_texts=False
        ),
        "resiliparse, all text": resiliparse(list_bullets=False, alt_texts=False),
    }


# -- tables


def print_charsets(pages: list[Page]) -> tuple[int, int]:
    """Print the table of charsets; returns pages as they are that were read right, and lies that were found out."""
    texts = [page.body.decode("cp932") for page in pages]
    rows, lies, found = [], 0, 0
    as_they_are = sum(bytes(decode(page.body).data) == text.encode() for page, text in zip(pages, texts, strict=True))
    rows.append(["Shift_JIS, as they are (META)", "none", f"{as_they_are} of {len(pages)}"])
    for codec, written in (("cp932", "Shift_JIS"), ("euc_jp", "EUC-JP"), ("iso2022_jp", "ISO-2022-JP"), ("utf_8", "UTF-8")):
        encoded = []
        for text in texts:
            known = text.encode(codec, "ignore").decode(codec)
            encoded.append((known, known.encode(codec)))
        for header in ("iso-8859-1", "utf-8", "shift_jis", "euc-jp", "gb2312"):
            right = sum(bytes(decode(body, header).data) == known.encode() for known, body in encoded)
            rows.append([f"{written}, META says Shift_JIS", header, f"{right} of {len(pages)}"])
            lies, found = lies + len(pages), found + right
    print("Charset\n")
    print(format_table(["pages", "header", "right"], rows), end="\n\n")
    return as_they_are, lies - found


def print_main_text(
    labelled: list[tuple[Page, str]], statutes: list[tuple[Page, str]], everything: list[Page], extractors: dict[str, Extractor]
) -> dict[str, tuple[float, float, int]]:
    """Print the table of main text; returns F1 on labelled pages, similarity of statutes and duplicated paragraphs by extractor."""
    rows, results = [], {}
    for name, extract in extractors.items():
        print_progress(name)
        of_labelled = [compare(reference, extract(page.body)) for page, reference in labelled]
        of_statutes = [compare(reference, extract(page.body)).f1 for page, reference in statutes]
        # All pages for ours; the peers, which take minutes for that, are asked about the labelled ones.
        pages = everything if name == "ours" else [page for page, _ in labelled]
        duplicated = sum(count_duplicated(bytes(decode(page.body).data).decode(), extract(page.body)) for page in pages)
        means = [float(np.mean([getattr(one, key) for one in of_labelled])) for key in ("f1", "precision", "recall")]
        results[name] = means[0], float(np.mean(of_statutes)), duplicated
        numbers = [f"{value:.3f}" for value in (*means, results[name][1], min(of_statutes))]
        rows.append([f"**{name}**" if name == "ours" else name, *numbers, f"{duplicated} in {len(pages):,}"])
    print(f"Main text of {len(labelled)} labelled pages; similarity of {len(statutes)} statutes\n")
    header = ["", "F1", "precision", "recall", "statutes", "least of them", "duplicated paragraphs"]
    print(format_table(header, rows), end="\n\n")
    return results


def print_speed(pages: list[Page], extractors: dict[str, Extractor], rounds: int) -> float | None:
    """Print pages a second of one core; returns how many times trafilatura's (default settings) ours is."""

    def clock(extract: Extractor) -> Callable[[], float]:
        def run() -> float:
            began = time.process_time()
            for page in pages:
                extract(page.body)
            return time.process_time() - began

        return run

    ours = extractors["ours"]
    clock(ours)()
    turns = take_turns(clock(ours), {name: clock(extract) for name, extract in extractors.items() if name != "ours"}, rounds)
    size = sum(len(page.body) for page in pages)
    if not turns.peers:
        print(f"{len(pages)} pages: {format_speed(len(pages) / clock(ours)())} a second\n")
        return None
    seconds = {"**ours**": turns.median_of_ours(), **{name: float(np.median(turns.peers[name])) for name in turns.peers}}
    rows = [
        [
            name,
            format_speed(len(pages) / taken),
            format_speed(size / taken / 1e6),
            "" if "ours" in name else f"{turns.ratio(name):.1f}",
        ]
        for name, taken in seconds.items()
    ]
    print(f"Speed on {len(pages)} pages of {size / len(pages):,.0f} bytes, processor time of one core\n")
    print(format_table(["", "pages/s", "MB/s", "ours over this"], rows), end="\n\n")
    return turns.ratio("trafilatura")


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--pages", type=int, default=150, help="pages that are timed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of timing (default: %(default)s)")
    options = parse_options(parser, "extraction", {"pages": 4, "rounds": 1})
    folder = options.data / "text" / "warc"
    docs, statute_pages = read_pages(folder / "debian-docs.warc.gz"), read_pages(folder / "statutes-sjis.warc.gz")
    labelled = read_labelled(docs, folder / "extraction.jsonl" if options.smoke else LABELS)
    with gzip.open(folder / "statutes.reference.jsonl.gz", "rt", encoding="utf-8") as file:
        references = {row["url"]: row["text"] for row in map(json.loads, file)}
    statutes = [(page, references[page.url]) for page in statute_pages]
    extractors = {"ours": extract_ours, **load_peers(options.smoke)}

    right, missed_lies = print_charsets(statute_pages)
    results = print_main_text(labelled, statutes, [*docs, *statute_pages], extractors)
    timed = random.Random(1).sample(docs, min(options.pages, len(docs)))
    ratio = print_speed(timed, extractors, options.rounds)

    f1, similarity, duplicated = results["ours"]
    best = {
        peer: max([v[0] for name, v in results.items() if name.startswith(peer)], default=0.0)
        for peer in ("trafilatura", "resiliparse")
    }
    bars = [
        Bar(right == len(statute_pages), f"charset right on {right} of {len(statute_pages)} Shift_JIS pages, all of them"),
        Bar(not missed_lies, f"{missed_lies} charsets that lie believed, none"),
        Bar(similarity >= SIMILARITY, f"similarity of {similarity:.4f} to the reference, at least {SIMILARITY}"),
        *[
            Bar(f1 >= value, f"F1 of {f1:.3f} on labelled pages, not below {peer}'s best of {value:.3f}")
            for peer, value in best.items()
        ],
        Bar(not duplicated, f"{duplicated} duplicated paragraphs in {len(docs) + len(statute_pages):,} pages, none"),
        Bar(
            ratio is not None and ratio >= SPEED,
            f"{ratio or 0:.1f} times trafilatura's pages per second and core, at least {SPEED}",
        ),
    ]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
