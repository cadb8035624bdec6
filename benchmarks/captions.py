"""What the rules for captions cost in good Japanese captions, what they keep of others, and how fast their measures are.

    python -m benchmarks.captions [--data ../shared/data] [--captions 200000]

Good captions are those of the Tux Paint stamps, written by translators for a picture each. Every preset's rules on text are applied
to them, together and each alone. Then the language measure is asked about captions, headings and news clauses of known language, and
lid.176 about the same; last comes speed, over the captions of the img2dataset shards, on one core.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.corpus import ROOT, folder, seconds, table
from filters import MEASURES, compute, measure_frame, normalise
from filters.caption import language as caption_language
from filters.kernels import buffers
from filters.text import language

DATA = Path("../shared/data")
PRESETS = ("caption-ja", "waon", "cc12m", "datacomp-basic")
SETS = (("short", "ja"), ("ja_kanji_only_title", "ja"), ("ja_kanji_only_line", "ja"), ("ja_katakana_line", "ja"))
FOREIGN = (("short", "en"), ("short", "ko"), ("ntrex", "zh"), ("ntrex", "zh-Hant"), ("ntrex", "yue"))


def captions(texts: Sequence[str | None]) -> pl.Series:
    """Captions as a source hands them over: entities undone, white space collapsed, normalised."""
    return normalise(pl.Series([" ".join(html.unescape(html.unescape(text or "")).split()) for text in texts], dtype=pl.String))


def rules_on_text(preset: str) -> dict[str, dict[str, Any]]:
    rules = tomllib.loads((ROOT / "manifests" / "presets" / f"{preset}.toml").read_text("utf-8"))
    return {name: bound for name, bound in rules.items() if MEASURES[name].kind != "image"}


def passes(name: str, bound: dict[str, Any]) -> pl.Expr:
    value = pl.col(name)
    if "any_of" in bound:
        return value.is_in(bound["any_of"])
    return value.is_between(bound.get("at_least", float("-inf")), bound.get("at_most", float("inf")))


def costs(good: pl.Series) -> None:
    """Share of `good` that each preset keeps, and what each of its rules drops."""
    rows = []
    for preset in PRESETS:
        rules = rules_on_text(preset)
        found = measure_frame(pl.DataFrame({"text": good}), list(rules))
        kept = found.select(pl.all_horizontal(passes(*rule) for rule in rules.items())).to_series()
        alone = {name: 1 - found.select(passes(name, bound).mean()).item() for name, bound in rules.items()}
        worst = ", ".join(f"`{name}` {lost:.1%}" for name, lost in sorted(alone.items(), key=lambda x: -x[1]) if lost)
        rows.append((f"`{preset}`", f"{kept.mean():.1%}", worst or "none"))
    print(table(("preset", "kept", "dropped, by rule alone"), rows))


def runs_of_han(texts: Sequence[str], low: int, high: int) -> list[str]:
    """Stretches of `low` to `high` Han characters and nothing else."""
    return [run for text in texts for run in re.findall("[々〆〇㐀-鿿]+", text) if low <= len(run) <= high]


def languages(data: Path) -> None:
    with gzip.open(data / "language" / "labelled.jsonl.gz", "rt", encoding="utf-8") as file:
        labelled = [json.loads(line) for line in file]
    texts = {key: [row["text"] for row in labelled if (row["set"], row["lang"]) == key] for key in (*SETS, *FOREIGN)}
    groups = {f"{lang}, {name}": (lang, found) for (name, lang), found in texts.items()}
    for low, high in ((4, 6), (7, 10), (11, 300)):
        for lang in ("zh", "zh-Hant"):
            groups[f"{lang}, runs of {low} to {high} Han"] = (lang, runs_of_han(texts["ntrex", lang], low, high))
    rows = []
    for label, (lang, found) in groups.items():
        cut = captions([text[:300] for text in found])
        ours = Counter(caption_language.count(*buffers(cut))["caption_language"])
        theirs = Counter(language.identify(text)[0] for text in cut)
        wanted = "ja" if lang == "ja" else "not ja"
        right = [(n["ja"] if lang == "ja" else len(found) - n["ja"]) / len(found) for n in (ours, theirs)]
        rows.append((label, f"{len(found):,}", wanted, *(f"{share:.1%}" for share in right)))
    print(table(("texts", "number", "right answer", "caption_language", "lid.176"), rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="relative to the repository root (default: %(default)s)")
    parser.add_argument(
        "--captions", type=int, default=200_000, help="how many to measure for the speed (default: %(default)s)"
    )
    options = parser.parse_args()
    data = folder(options.data)
    shards = pl.read_parquet(data / "image-text" / "img2dataset" / "*.parquet", columns=["url", "caption"])
    stamps = shards.filter(pl.col("url").str.contains("stamps", literal=True))
    every = captions(shards["caption"].to_list())
    with gzip.open(data / "language" / "labelled.jsonl.gz", "rt", encoding="utf-8") as file:
        short = [row["text"] for row in map(json.loads, file) if (row["set"], row["lang"]) == SETS[0]]
    good = pl.concat([captions(short), captions(stamps["caption"].to_list())]).unique(maintain_order=True)
    # The stamps in the shards have captions in other languages, too. All Japanese ones of Tux Paint are written with kana.
    good = good.filter(good.str.contains("[ぁ-ヺ]"))
    print(f"Captions of the Tux Paint stamps in Japanese, each once: {len(good):,}\n")
    costs(good)

    rules = rules_on_text("caption-ja")
    found = measure_frame(pl.DataFrame({"text": every}), list(rules)).with_columns(
        kept=pl.all_horizontal(passes(*rule) for rule in rules.items())
    )
    first = pl.coalesce(pl.when(~passes(*rule)).then(pl.lit(rule[0])) for rule in rules.items())
    print(f"\nThe shards' captions under `caption-ja`: {len(found):,}, kept {found['kept'].sum():,}; dropped first by")
    dropped = found.filter(~pl.col("kept")).select(first.alias("rule")).group_by("rule").len().sort("len", descending=True)
    print(", ".join(f"`{rule}` {n:,}" for rule, n in dropped.iter_rows()))
    foreign = found.filter(pl.col("kept") & ~pl.col("text").str.contains(r"[ぁ-ヺ\p{Han}]"))
    print(f"kept without kana and Han: {len(foreign):,}\n")

    languages(data)

    print()
    rows = []
    japanese = every.filter(found["kept"])
    for label, texts in (("as in the shards", every), ("kept by `caption-ja`", japanese)):
        many = pl.concat([texts] * -(-options.captions // len(texts))).head(options.captions)
        column = buffers(many)
        compute(*column, list(rules))
        took = min(seconds(lambda column=column: compute(*column, list(rules))) for _ in range(5))  # type: ignore[misc]
        rows.append((label, f"{len(many):,}", f"{len(column[0]) / 1e6:.1f}", f"{took:.2f}", f"{len(many) / took:,.0f}"))
    print(table(("captions", "number", "MB", "seconds", "captions/s"), rows))


if __name__ == "__main__":
    main()
