"""Wikipedia: how fast its pages become text, beside mwparserfromhell, and what pages cost that are made to cost much.

    python -m benchmarks.wikipedia [--rounds 3]

Articles of the development data are cleaned as plain text, in the form in which Hugging Face has them. For wikitext, markup is put into
them again as it stands in an encyclopedia (about half of the bytes: links, references, an infobox, tables, lists of links), and both
sides render the same pages: ours with templates, sections and lists, mwparserfromhell by `parse` and `strip_code`. Hostile pages are one
piece of markup that is never closed, again and again. Times are of the processor.

Bars: 50 MB/s of plain text on one core, three times mwparserfromhell on wikitext, and no hostile page of ten times the size that takes
more than forty times as long.
"""

from __future__ import annotations

import bz2
import gzip
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import mwparserfromhell
import numpy as np
import polars as pl

from benchmarks.harness import Bar, finish, format_speed, format_table, make_parser, parse_options, take_turns
from filters.wikipedia import clean_pages, wikitext_to_text
from pipeline.sources import SOURCES
from pipeline.sources.base import CutState, Fields
from pipeline.sources.inputs import resolve
from tests.support.wikipedia import END, HEAD, cirrus_lines, page

HOSTILE = ("{{a|", "[[a|", "{{a|[[b|", "<div ", "<ref>", "\n{|\n", "[http://a ", "{{small|", "''", "<!--")
_WORD = re.compile(r"[一-龠]{2,4}")
_CITE = '<ref name="{0}">{{{{Cite book|和書|title=資料集 第{0}巻|author=編集部|year=1990|publisher=出版社|page={0}}}}}</ref>'


def cpu_seconds(function: Callable[[], object]) -> float:
    """Seconds of the processor, of which others on the machine take none."""
    began = time.process_time()
    function()
    return time.process_time() - began


def add_markup(title: str, text: str) -> str:
    """Return an article as its editors might have written it."""
    lines = [
        f"{{{{Infobox 一般\n|名称 = {title}\n|画像 = [[ファイル:a.jpg|250px]]\n|人口 = {{{{formatnum:1234}}}}\n}}}}",
        f"'''{title}'''",
    ]
    for number, line in enumerate(text.split("\n")):
        line = _WORD.sub(
            lambda found: f"[[{found[0]} (語)|{found[0]}]]" if found.start() % 2 else f"[[{found[0]}]]", line, count=6
        )
        lines.append(line.replace("。", f"。{_CITE.format(number)}", 1) if number % 2 else line)
        if number % 10 == 9:
            rows = "".join(f"|-\n| {i} || [[項目]] || {{{{JPN}}}}\n" for i in range(5))
            lines.append(
                f'\n== 節{number} ==\n[[ファイル:b.jpg|thumb|図の説明]]\n{{| class="wikitable"\n! 甲 !! 乙 !! 丙\n{rows}|}}\n'
            )
    return "\n".join([*lines, "== 脚注 ==\n{{Reflist}}\n== 関連項目 ==\n* [[項目]]\n[[Category:項目]]"])


def print_pages(articles: pl.DataFrame, rounds: int) -> list[Bar]:
    """Print MB/s of cleaning and rendering; returns the bars on them."""
    plain_size = int(articles["text"].str.len_bytes().sum()) / 1e6
    plain = plain_size / min(cpu_seconds(lambda: clean_pages(articles)) for _ in range(rounds + 1))
    pages = [add_markup(title, text) for title, text in articles.select("title", "text").iter_rows()]
    size = sum(len(text.encode()) for text in pages) / 1e6
    turns = take_turns(
        lambda: cpu_seconds(lambda: [wikitext_to_text(text) for text in pages]),
        {"mwparserfromhell": lambda: cpu_seconds(lambda: [_render_by_peer(text) for text in pages])},
        rounds,
    )
    ratio = turns.ratio("mwparserfromhell")
    ours = size / turns.median_of_ours()
    rows = [
        ["plain text, cleaned", format_speed(plain_size), format_speed(plain), ""],
        ["wikitext, rendered", format_speed(size), format_speed(ours), ""],
        ["the same by mwparserfromhell", format_speed(size), format_speed(ours / ratio), f"{ratio:.1f} times as long"],
    ]
    print(format_table(["pages", "MB", "MB/s", ""], rows))
    return [
        Bar(plain >= 50, f"plain text: {plain:.0f} MB/s on one core (at least 50)"),
        Bar(ratio >= 3, f"wikitext: {ratio:.1f} times mwparserfromhell (at least 3)"),
    ]


def print_hostile(units: int, peer_units: int) -> Bar:
    """Print seconds of hostile pages; returns the bar on how they grow."""
    rows, worst = [], 0.0
    for unit in HOSTILE:
        small, large = (_time_rendering(wikitext_to_text, unit * count) for count in (units, 10 * units))
        peer, twice = (_time_rendering(_render_by_peer, unit * count) for count in (peer_units, 2 * peer_units))
        worst = max(worst, large / max(small, 0.002))
        shown = unit.replace("\n", " ⏎ ").replace("|", "\\|").strip()
        rows.append([f"`{shown}`", f"{small:.3f}", f"{large:.3f}", f"{peer:.2f}", f"{twice:.2f}"])
    counts = (units, 10 * units, peer_units, 2 * peer_units)
    heads = [f"{'ours' if i < 2 else 'mwparserfromhell'}, {count:,} times" for i, count in enumerate(counts)]
    print("\n" + format_table(["CPU seconds", *heads], rows))
    return Bar(
        worst <= 40,
        f"hostile pages: ten times the size takes {worst:.0f} times as long at most (40; in the square of the size it would be 100)",
    )


def _render_by_peer(wikitext: str) -> str:
    return mwparserfromhell.parse(wikitext).strip_code()


def _time_rendering(render: Callable[[str], str], wikitext: str) -> float:
    return min(cpu_seconds(lambda: render(wikitext)) for _ in range(2))


def print_dumps(articles: pl.DataFrame, rounds: int) -> None:
    """Print MB/s, uncompressed, of cutting and reading dumps."""
    pages = [*articles.select("title", "text").iter_rows()]
    xml = HEAD + "\n".join(page(title, add_markup(title, text)) for title, text in pages) + END
    cirrus = "".join(cirrus_lines(title, text.replace("\n", " ")) for title, text in pages)
    dumps = {
        "wikipedia-xml": xml.encode(), "wikipedia-xml.bz2": bz2.compress(xml.encode()),
        "cirrussearch": cirrus.encode(), "cirrussearch.gz": gzip.compress(cirrus.encode()),
    }  # fmt: skip
    rows = []
    with TemporaryDirectory() as folder:
        for name, stored in dumps.items():
            path = Path(folder) / name
            path.write_bytes(stored)
            size = len((xml if name.startswith("wikipedia") else cirrus).encode()) / 1e6
            spent = min(_time_reading(path, path.name.partition(".")[0]) for _ in range(rounds + 1))
            rows.append([name, format_speed(size), format_speed(size / spent)])
    print("\n" + format_table(["dump", "MB", "cut and read, MB/s"], rows))


def _time_reading(path: Path, source: str) -> float:
    return cpu_seconds(lambda: read_dump(path, source))


def read_dump(path: Path, source: str) -> None:
    """Read a dump as a build does, on one core."""
    file = resolve([str(path)])[0]
    for piece, body in SOURCES[source].cut(file, 0, CutState(32_000_000, 64_000_000)):
        SOURCES[source].read(piece, file, None if body is None else np.frombuffer(body, np.uint8), Fields())


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of either side (default: %(default)s)")
    parser.add_argument("--units", type=int, default=5000, help="repetitions in a hostile page (default: %(default)s)")
    parser.add_argument("--peer-units", type=int, default=1000, help="the same for mwparserfromhell (default: %(default)s)")
    options = parse_options(parser, "wikipedia", {"rounds": 1, "units": 100, "peer_units": 50})
    articles = pl.read_parquet(options.data / "text" / "wikipedia" / "*.parquet").select("title", "text")
    for name in ("wikipedia-xml", "cirrussearch"):
        SOURCES[name].warm()  # compile kernels, so that no table has that time
    bars = print_pages(articles, options.rounds)
    bars.append(print_hostile(options.units, options.peer_units))
    print_dumps(articles, options.rounds)
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
