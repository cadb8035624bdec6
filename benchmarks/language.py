"""What the language measures say of texts of known language, and of documents that mix lines of two languages.

    python -m benchmarks.language [--documents 500]

Texts are those of `language/labelled.jsonl.gz`: news, captions, pages, lines of kanji alone, romaji. Mixed documents are made of them by a
seeded generator: one line of Japanese news among lines in another language, its neighbours in a text, and the reverse. Clean documents
are those of `text/web.jsonl.gz` and `text/ja.txt.xz`, by genre: how many the bound on lines drops.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import polars as pl

from benchmarks.corpus import read_documents, read_jsonl, read_labelled, read_truth
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from benchmarks.presets import read_preset, within
from filters import measure_frame, normalise

SEED = 18
LINES = (4, 8, 12)  # lines in another language around one line in Japanese
AMONG = ("zh", "zh-Hant", "yue", "ko", "eng-US", "rus", "fra", "deu", "spa", "tha", "vie", "arb", "hin")
BAR = 0.05  # of mixed documents kept, one line among eight
RULES = ("language_lines_share", "language", "language_score")
MEASURES = ["language", "language_score", "language_lines_share", "language_kind"]
CLEAN = (
    "aozora",
    "wikipedia",
    "statutes",
    "chat",
    "diet-sentence",
    "diet-minutes",
    "tech-notes",
    "markdown-book",
    "affiliate",
    "web-page",
)


class Labelled(NamedTuple):
    """A text, its language, and the set that it is of."""

    text: str
    language: str
    set: str


def share_kept(texts: list[str]) -> float:
    """Return the share of documents that the rules of `ja-web` on language keep."""
    bounds = read_preset("ja-web")
    return float(measure(texts).select(pl.all_horizontal(within(rule, bounds[rule]) for rule in RULES).mean()).item())


def measure(texts: list[str]) -> pl.DataFrame:
    return measure_frame(pl.DataFrame({"text": normalise(pl.Series(texts, dtype=pl.String))}), MEASURES)


def print_texts(rows: list[Labelled]) -> list[Bar]:
    """Print what `language` says of single texts, by set and language; languages of the news beside the common ones are one row."""
    measured = measure([row.text for row in rows])
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        is_rare = row.set == "ntrex" and row.language not in ("ja", "ko", "zh", "zh-Hant", "yue", "eng-US")
        groups[row.set, "others" if is_rare else row.language].append(i)
    table, japanese = [], Counter[str]()
    for (name, language), chosen in groups.items():
        answers = measured[chosen]
        sure = answers.filter((pl.col("language") == "ja") & (pl.col("language_score") >= 0.5)).height
        codes = ", ".join(f"{code} {n}" for code, n in Counter(answers["language"]).most_common(3))
        table.append((f"{name}, {language}", f"{len(chosen):,}", f"{sure / len(chosen):.1%}", codes))
        if name == "ntrex" and language != "ja":
            japanese["news"] += sure
        if name.startswith("ja_kanji_only"):
            japanese["kanji"] += sure
            japanese["of kanji"] += len(chosen)
    print(format_table(("texts", "number", "ja, score 0.5 or more", "language"), table))
    found = japanese["kanji"] / max(japanese["of kanji"], 1)
    return [
        Bar(found >= 0.9, f"lines and titles of kanji alone found {found:.3f} (at least 0.90)"),
        Bar(japanese["news"] <= 18, f"news in other languages called Japanese: {japanese['news']} (at most 18)"),
    ]


def mix(rng: random.Random, ours: list[str], theirs: list[str], number: int) -> str:
    """Put one line of `ours` at a random place among `number` neighbouring lines of `theirs`."""
    start = rng.randrange(max(1, len(theirs) - number + 1))
    lines = theirs[start : start + number]
    lines.insert(rng.randint(0, len(lines)), rng.choice(ours))
    return "\n".join(lines)


def print_mixed(rows: list[Labelled], documents: int) -> list[Bar]:
    """Print how many documents of one Japanese line among others, of one other line among Japanese ones, and of both in turn are kept."""
    rng = random.Random(SEED)
    news: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.set == "ntrex" and "\n" not in row.text:
            news[row.language].append(row.text)
    table, worst = [], 0.0
    for language in AMONG:
        ours, theirs = news["ja"], news[language]
        if not theirs:
            continue
        shares = []
        for number in LINES:
            texts = [mix(rng, ours, theirs, number) for _ in range(documents)]
            shares.append(share_kept(texts))
        worst = max(worst, shares[LINES.index(8)])
        reverse = share_kept([mix(rng, theirs, ours, 8) for _ in range(documents)])
        pairs = list(zip(ours, theirs, strict=False))
        both = []
        for _ in range(documents):
            start = rng.randrange(max(1, len(pairs) - 5))
            both.append("\n".join(line for pair in pairs[start : start + 5] for line in pair))
        table.append((language, *(f"{share:.1%}" for share in shares), f"{reverse:.1%}", f"{share_kept(both):.1%}"))
    header = ("language", *(f"one among {n}" for n in LINES), "eight of nine Japanese", "text and translation")
    print(format_table(header, table))
    return [Bar(worst <= BAR, f"one Japanese line among eight others kept in {worst:.1%} at the most (at most {BAR:.0%})")]


def print_clean(data: Path, megabytes: float | None) -> list[Bar]:
    """Print how many Japanese documents the bound on lines drops, by genre."""
    truth = {row["offset"]: row for row in read_truth(data)}
    documents = read_documents(data, megabytes)
    texts, genres = [], []
    for start, text in zip(documents.starts.tolist(), documents.texts(), strict=True):
        if truth[start]["lang"] == "ja":
            texts.append(text)
            genres.append(truth[start]["kind"].removesuffix("+edited"))
    web = data / "text" / "web.jsonl.gz"
    for row in read_jsonl(web) if web.exists() else []:
        texts.append(row["text"])
        genres.append(row["genre"])
    measured = measure(texts).with_columns(genre=pl.Series(genres))
    bound = read_preset("ja-web")["language_lines_share"]
    measured = measured.with_columns(dropped=~within("language_lines_share", bound), mixed=pl.col("language_kind") == "mixed")
    table, clean = [], Counter[str]()
    for genre, group in ((str(key[0]), group) for key, group in measured.group_by("genre", maintain_order=True)):
        dropped = int(group["dropped"].sum())
        table.append((genre, f"{len(group):,}", f"{dropped}", f"{int(group['mixed'].sum())}"))
        if genre in CLEAN:
            clean["dropped"] += dropped
            clean["all"] += len(group)
    print(format_table(("genre", "documents", "dropped", "mixed"), table))
    share = clean["dropped"] / max(clean["all"], 1)
    return [
        Bar(share <= 0.001, f"clean genres: dropped by the bound on lines {clean['dropped']} of {clean['all']:,} ({share:.2%})")
    ]


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--documents", type=int, default=500, help="mixed documents of each kind (default: %(default)s)")
    parser.add_argument("--megabytes", type=float, help="how much of the text to read (default: all)")
    options = parse_options(parser, "language", {"documents": 5, "megabytes": 1})
    rows = [Labelled(row["text"], row["lang"], row["set"]) for row in read_labelled(options.data)]
    bars = print_texts(rows)
    print()
    bars += print_mixed(rows, options.documents)
    print()
    bars += print_clean(options.data, options.megabytes)
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
