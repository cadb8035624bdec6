"""What the rules of `ja-web` do to text whose kind and language are known.

    python -m benchmarks.quality [--out DIR]

Builds `ja.txt.xz` with the manifest cc100-ja (or takes the build that stands in --out), joins its ledger with the truth, and prints:
that no record is lost, how many Japanese documents are dropped for language and how many others are not, how many encyclopedia,
statute and prose documents quality rules drop and why, and how often the script's answer for the language is lid.176's.
"""

from __future__ import annotations

import lzma
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.corpus import build_corpus, read_truth, text_file
from benchmarks.harness import finish, make_parser, parse_options
from filters import normalise
from filters.kernels import buffers
from filters.text import characters, language
from filters.text.language_model import identify

LANGUAGE_RULES = ("language_lines_share", "language", "language_score")
GOOD = ("wikipedia", "statutes", "aozora")


def format_share(part: int, total: int) -> str:
    return f"{part:,} ({part / max(total, 1):.2%})"


def print_languages(rows: pl.DataFrame) -> None:
    """Print how many documents are dropped for their language, of Japanese and of others."""
    japanese = rows.filter((pl.col("lang") == "ja") & (pl.col("raw_chars") >= 100))
    others = rows.filter(pl.col("lang") != "ja")
    for name, group in (("Japanese of 100 characters or more", japanese), ("other languages", others)):
        dropped = group.filter(pl.col("rule").is_in(LANGUAGE_RULES))
        print(f"{name}: {len(group):,}; dropped for language {format_share(len(dropped), len(group))}")


def print_good_text(rows: pl.DataFrame) -> None:
    """Print which quality rules drop encyclopedia, statutes and prose."""
    kind = pl.col("kind").str.replace(r"\+edited$", "")
    good = rows.filter((pl.col("lang") == "ja") & kind.is_in(GOOD))
    dropped = good.filter((pl.col("verdict") == "dropped") & ~pl.col("rule").is_in(LANGUAGE_RULES))
    print(f"\nencyclopedia, statutes, prose: {len(good):,}; dropped by quality rules {format_share(len(dropped), len(good))}")
    reasons = dropped.group_by("rule").agg(pl.len().alias("n"), kind.value_counts().alias("kinds"))
    for rule, count, kinds in reasons.sort("n", descending=True).iter_rows():
        by_kind = sorted(kinds, key=lambda k: -k["count"])
        print(f"  {rule:<28}{count:>5}  " + ", ".join(f"{k['kind']} {k['count']}" for k in by_kind))


def print_script(texts: pl.Series, truth: pl.DataFrame) -> None:
    """Print how often the language that the script settles is that of lid.176."""
    data, offsets = buffers(texts)
    is_settled = language.is_clearly_japanese(characters.count(data, offsets))
    is_settled |= language.is_japanese_by_script(language.judge_by_script(data, offsets).counts)
    settled = np.flatnonzero(is_settled)
    answers = Counter(identify(texts[int(i)])[0] for i in settled)
    japanese = (truth["lang"].gather(settled) == "ja").sum()
    agree = answers.pop("ja", 0)
    print(f"\nsettled by script: {len(settled):,} of {len(truth):,}; truly Japanese {japanese:,}; lid.176 agrees on {agree:,}")
    others = ", ".join(f"{answer} {n}" for answer, n in answers.most_common(4))
    print(f"({agree / max(len(settled), 1):.2%}; where it does not, it says {others})")


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, help="a build of the text (default: one is made)")
    options = parse_options(parser, "quality", {})
    out = build_corpus(options.data, options.out or options.scratch / "cc100-ja", options.smoke)
    truth = pl.DataFrame(read_truth(options.data))
    raw = lzma.open(text_file(options.data)).read()
    texts = pl.Series([raw[offset : offset + size].decode() for offset, size in truth.select("offset", "bytes").iter_rows()])
    ledger = pl.read_parquet(out / "ledger")
    ledger = ledger.with_columns(offset=pl.col("id").str.split("/").list.last().cast(pl.Int64))
    complete = ledger["offset"].to_list() == truth["offset"].to_list()
    print(f"records: {len(ledger):,} of {len(truth):,}, each once and in order: {complete}\n")
    rows = ledger.join(truth.with_columns(raw_chars=texts.str.len_chars()), on="offset")
    print_languages(rows)
    print_good_text(rows)
    print_script(normalise(texts), truth)
    return finish([], options.smoke)


if __name__ == "__main__":
    sys.exit(main())
