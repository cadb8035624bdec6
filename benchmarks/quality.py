"""What the rules of `ja-web` do to text whose kind and language are known.

    python -m benchmarks.quality [--out DIR]

Builds `ja.txt.xz` with the manifest cc100-ja (or takes the build that stands in --out), joins its ledger with the truth, and prints:
that no record is lost, how many Japanese documents are dropped for language and how many others are not, how many encyclopedia,
statute and prose documents quality rules drop and why, and how often the script's answer for the language is lid.176's. Where
`web.jsonl.gz` is, its genres are judged, too. Rules of quality are those of `ja-web` but for the language and `chars`: how long a
document has to be is a matter of taste.
"""

from __future__ import annotations

import lzma
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.corpus import build_corpus, read_jsonl, read_truth, text_file
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from filters import compute, normalise
from filters.kernels import buffers
from filters.text import characters, language
from filters.text.boilerplate import boilerplate_lines
from filters.text.language_model import identify
from filters.text.normalisation import drop_lines, normalise_spans
from pipeline.manifest.loading import load
from pipeline.steps.decide import decide_frame

LANGUAGE_RULES = ("language_lines_share", "language", "language_score")
GOOD = ("wikipedia", "statutes", "aozora")
CLEAN_GENRES = ("diet-sentence", "diet-minutes", "tech-notes")  # of web.jsonl.gz: at most 1 % of each may be dropped


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


def print_genres(data: Path) -> list[Bar]:
    """Print which rules of `ja-web` drop documents of the genres of `web.jsonl.gz`; return the bars of the clean ones."""
    path = data / "text" / "web.jsonl.gz"
    if not path.is_file():
        return []
    documents = pl.DataFrame(read_jsonl(path))
    rules = {name: bound for name, bound in load("cc100-ja").rules.items() if name not in LANGUAGE_RULES}
    raw, offsets = buffers(documents["text"])
    cleaned = normalise_spans(raw, offsets[:-1], offsets[1:])
    content, offsets, lines, chars = drop_lines(cleaned, boilerplate_lines(cleaned))
    given = {"n_boilerplate_lines": lines, "n_boilerplate_chars": chars}
    measures = compute(content, offsets, list(rules), given)
    frame = measures.rename({name: f"m:{name}" for name in measures.columns}).with_columns(unreadable=pl.lit(None, pl.String))
    judged = documents.with_columns(rule=decide_frame(frame, rules)["rule"])
    rows, bars = [], []
    for genre in sorted(judged["genre"].unique()):
        group = judged.filter(genre=genre)
        short = len(group.filter(rule="chars"))
        reasons = Counter(rule for rule in group["rule"] if rule not in (None, "chars"))
        dropped = sum(reasons.values())
        why = ", ".join(f"{rule} {n}" for rule, n in reasons.most_common(4))
        rows.append([genre, f"{len(group):,}", format_share(dropped, len(group)), format_share(short, len(group)), why])
        if genre in CLEAN_GENRES:
            bars.append(
                Bar(dropped <= 0.01 * len(group), f"{genre}: {dropped / len(group):.2%} dropped by quality rules, bar 1 %")
            )
    print("\n" + format_table(["genre", "documents", "dropped by quality rules", "by chars", "which rules"], rows))
    return bars


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
    return finish(print_genres(options.data), options.smoke)


if __name__ == "__main__":
    sys.exit(main())
