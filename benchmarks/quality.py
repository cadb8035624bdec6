"""What the rules of `ja-web` do to text whose kind and language are known.

    python -m benchmarks.quality [--data ../shared/data/text] [--out DIR]

Builds `ja.txt.xz` with the manifest cc100-ja (or takes the build that stands in --out), joins its ledger with the truth, and prints:
that no record is lost, how many Japanese documents are dropped for language and how many others are not, how many encyclopedia,
statute and prose documents quality rules drop and why, and how often the script's answer for the language is lid.176's.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.corpus import add_data_option, built, folder
from filters import normalise
from filters.kernels import buffers
from filters.text import characters, language

LANGUAGE_RULES = ("language", "language_score")
GOOD = ("wikipedia", "statutes", "aozora")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.data = folder(options.data)
    out = built(options.data, options.out)
    with gzip.open(options.data / "ja.truth.jsonl.gz") as file:
        truth = pl.DataFrame([json.loads(line) for line in file])
    raw = lzma.open(options.data / "ja.txt.xz").read()
    truth = truth.with_columns(
        raw_chars=pl.Series([len(raw[o : o + b].decode()) for o, b in truth.select("offset", "bytes").iter_rows()])
    )
    ledger = pl.read_parquet(out / "ledger")
    offsets = ledger["id"].str.split("/").list.last().cast(pl.Int64)
    print(
        f"records: {len(ledger):,} of {len(truth):,}, each once and in order: {offsets.to_list() == truth['offset'].to_list()}"
    )
    rows = ledger.with_columns(offset=offsets).join(truth, on="offset")

    japanese = rows.filter((pl.col("lang") == "ja") & (pl.col("raw_chars") >= 100))
    others = rows.filter(pl.col("lang") != "ja")
    wrong = japanese.filter(pl.col("rule").is_in(LANGUAGE_RULES))
    print(
        f"\nJapanese of 100 characters or more: {len(japanese):,}; dropped for language {len(wrong):,} ({len(wrong) / len(japanese):.2%})"
    )
    right = others.filter(pl.col("rule").is_in(LANGUAGE_RULES))
    print(f"other languages: {len(others):,}; dropped for language {len(right):,} ({len(right) / len(others):.2%})")

    good = rows.filter((pl.col("lang") == "ja") & pl.col("kind").str.replace(r"\+edited$", "").is_in(GOOD))
    dropped = good.filter((pl.col("verdict") == "dropped") & ~pl.col("rule").is_in(LANGUAGE_RULES))
    print(
        f"\nencyclopedia, statutes, prose: {len(good):,}; dropped by quality rules {len(dropped):,} ({len(dropped) / len(good):.2%})"
    )
    reasons = dropped.group_by("rule").agg(
        pl.len().alias("n"), pl.col("kind").str.replace(r"\+edited$", "").value_counts().alias("kinds")
    )
    for rule, count, kinds in reasons.sort("n", descending=True).iter_rows():
        print(
            f"  {rule:<28}{count:>5}  "
            + ", ".join(f"{k['kind']} {k['count']}" for k in sorted(kinds, key=lambda k: -k["count"]))
        )

    texts = normalise(pl.Series([raw[o : o + b].decode() for o, b in truth.select("offset", "bytes").iter_rows()]))
    settled = np.flatnonzero(language.is_japanese_by_script(characters.count(*buffers(texts))))
    answers = [language.identify(texts[int(i)])[0] for i in settled]
    agree = sum(a == "ja" for a in answers)
    truly = (truth["lang"].gather(settled) == "ja").sum()
    print(f"\nsettled by script: {len(settled):,} of {len(truth):,}; truly Japanese {truly:,}; lid.176 agrees on {agree:,}")
    print(f"({agree / len(settled):.2%}; where it does not, it says " + _most([a for a in answers if a != "ja"]) + ")")


def _most(answers: list[str]) -> str:
    counts = sorted(((answers.count(a), a) for a in set(answers)), reverse=True)[:4]
    return ", ".join(f"{a} {n}" for n, a in counts)


if __name__ == "__main__":
    main()
