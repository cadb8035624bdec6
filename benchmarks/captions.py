"""What the rules for captions cost in good Japanese captions, what they keep of others, and how fast their measures are.

    python -m benchmarks.captions [--captions 200000]

Good captions are those of the Tux Paint stamps, written by translators for a picture each. Every preset's rules on text are applied
to them, together and each alone. Then the language measure is asked about captions, headings and news clauses of known language, and
lid.176 about the same; last comes speed, over the captions of the img2dataset shards, on one core.
"""

from __future__ import annotations

import html
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.corpus import read_labelled
from benchmarks.harness import finish, format_table, make_parser, parse_options, seconds
from benchmarks.presets import Bound, read_preset, within
from filters import MEASURES, compute, measure_frame, normalise
from filters.kernels import buffers
from filters.text import language
from filters.text.language_model import identify

PRESETS = ("caption-ja", "waon", "cc12m", "datacomp-basic")
SETS = (("short", "ja"), ("ja_kanji_only_title", "ja"), ("ja_kanji_only_line", "ja"), ("ja_katakana_line", "ja"))
FOREIGN = (("short", "en"), ("short", "ko"), ("ntrex", "zh"), ("ntrex", "zh-Hant"), ("ntrex", "yue"))


class Stretch(NamedTuple):
    """A kind of text and whether it is Japanese."""

    language: str
    texts: list[str]


def normalise_captions(texts: Sequence[str | None]) -> pl.Series:
    """Undo entities, collapse white space and normalise, as a source does."""
    unescaped = [" ".join(html.unescape(html.unescape(text or "")).split()) for text in texts]
    return normalise(pl.Series(unescaped, dtype=pl.String), width="fold")


def read_text_rules(preset: str) -> dict[str, Bound]:
    return {name: bound for name, bound in read_preset(preset).items() if MEASURES[name].kind != "image"}


def print_costs(good: pl.Series) -> None:
    """Print the share of `good` that each preset keeps, and what each of its rules drops."""
    rows = []
    for preset in PRESETS:
        rules = read_text_rules(preset)
        measured = measure_frame(pl.DataFrame({"text": good}), list(rules))
        kept = measured.select(pl.all_horizontal(within(*rule) for rule in rules.items()).mean()).item()
        lost = {name: 1 - measured.select(within(name, bound).mean()).item() for name, bound in rules.items()}
        worst = ", ".join(f"`{name}` {share:.1%}" for name, share in sorted(lost.items(), key=lambda x: -x[1]) if share)
        rows.append((f"`{preset}`", f"{kept:.1%}", worst or "none"))
    print(format_table(("preset", "kept", "dropped, by rule alone"), rows))


def find_han_runs(texts: Sequence[str], low: int, high: int) -> list[str]:
    """Stretches of `low` to `high` Han characters and nothing else."""
    return [run for text in texts for run in re.findall("[々〆〇㐀-鿿]+", text) if low <= len(run) <= high]


def print_languages(data: Path) -> None:
    """Print how often the language measure, and lid.176, are right about texts of known language."""
    labelled = list(read_labelled(data))
    texts = {key: [row["text"] for row in labelled if (row["set"], row["lang"]) == key] for key in (*SETS, *FOREIGN)}
    groups = {f"{lang}, {name}": Stretch(lang, group) for (name, lang), group in texts.items()}
    for low, high in ((4, 6), (7, 10), (11, 300)):
        for lang in ("zh", "zh-Hant"):
            groups[f"{lang}, runs of {low} to {high} Han"] = Stretch(lang, find_han_runs(texts["ntrex", lang], low, high))
    rows = []
    for label, (lang, group) in groups.items():
        captions = normalise_captions([text[:300] for text in group])
        ours = Counter(language.identify_languages(*buffers(captions)).codes)
        theirs = Counter(identify(text)[0] for text in captions)
        is_japanese = lang == "ja"
        right = [(n["ja"] if is_japanese else len(group) - n["ja"]) / max(len(group), 1) for n in (ours, theirs)]
        answer = "ja" if is_japanese else "not ja"
        rows.append((label, f"{len(group):,}", answer, *(f"{share:.1%}" for share in right)))
    print(format_table(("texts", "number", "right answer", "caption_language", "lid.176"), rows))


def print_speeds(groups: dict[str, pl.Series], measures: list[str], count: int) -> None:
    """Print how fast the measures of `count` captions are, the best of five."""
    rows = []
    for label, captions in groups.items():
        many = pl.concat([captions] * -(-count // max(len(captions), 1))).head(count)
        data, offsets = buffers(many)

        def measure(data: np.ndarray, offsets: np.ndarray) -> float:
            return seconds(lambda: compute(data, offsets, measures))

        measure(data, offsets)  # compiles
        taken = min(measure(data, offsets) for _ in range(5))
        rows.append((label, f"{len(many):,}", f"{len(data) / 1e6:.1f}", f"{taken:.2f}", f"{len(many) / taken:,.0f}"))
    print(format_table(("captions", "number", "MB", "seconds", "captions/s"), rows))


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--captions", type=int, default=200_000, help="how many to measure for the speed (default: %(default)s)"
    )
    options = parse_options(parser, "captions", {"captions": 100})
    shards = pl.read_parquet(options.data / "image-text" / "img2dataset" / "*.parquet", columns=["url", "caption"])
    stamps = shards.filter(pl.col("url").str.contains("stamps", literal=True))
    captions = normalise_captions(shards["caption"].to_list())
    short = [row["text"] for row in read_labelled(options.data) if (row["set"], row["lang"]) == SETS[0]]
    good = pl.concat([normalise_captions(short), normalise_captions(stamps["caption"].to_list())]).unique(maintain_order=True)
    # The stamps in the shards have captions in other languages, too. All Japanese ones of Tux Paint are written with kana.
    good = good.filter(good.str.contains("[ぁ-ヺ]"))
    print(f"Captions of the Tux Paint stamps in Japanese, each once: {len(good):,}\n")
    print_costs(good)

    rules = read_text_rules("caption-ja")
    measured = measure_frame(pl.DataFrame({"text": captions}), list(rules)).with_columns(
        kept=pl.all_horizontal(within(*rule) for rule in rules.items())
    )
    first = pl.coalesce(pl.when(~within(*rule)).then(pl.lit(rule[0])) for rule in rules.items())
    print(f"\nThe shards' captions under `caption-ja`: {len(measured):,}, kept {measured['kept'].sum():,}; dropped first by")
    dropped = measured.filter(~pl.col("kept")).select(first.alias("rule")).group_by("rule").len().sort("len", descending=True)
    print(", ".join(f"`{rule}` {n:,}" for rule, n in dropped.iter_rows()))
    foreign = measured.filter(pl.col("kept") & ~pl.col("text").str.contains(r"[ぁ-ヺ\p{Han}]"))
    print(f"kept without kana and Han: {len(foreign):,}\n")

    print_languages(options.data)
    print()
    kept = captions.filter(measured["kept"])
    print_speeds({"as in the shards": captions, "kept by `caption-ja`": kept}, list(rules), options.captions)
    return finish([], options.smoke)


if __name__ == "__main__":
    sys.exit(main())
