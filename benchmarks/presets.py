"""The presets of text: how each judges labelled paragraphs, and whether those of others decide as the originals do.

    python -m benchmarks.presets --peers-python ../peers/bin/python [--checkouts ../peers] [--documents 2000]

Documents are drawn by seed from `ja.txt.xz`, `web.jsonl.gz` and the labelled paragraphs, and cleaned as a build cleans them. The
originals judge the cleaned text, too (with `--raw` what stood there before), each filter every document. `--peers-python` is an
interpreter with HojiChar and datatrove (benchmarks/requirements.txt); `--checkouts` a folder with clones of llm-jp/llm-jp-corpus and
swallow-llm/swallow-corpus, whose filters no package has. Without either no originals are asked. `--differences` prints the beginning of
every document on which a filter and its rule differ. What the originals ask a model about, language, is not compared. Exits with 1
where a bar is missed: 99.5 % of HojiChar's decisions and 99 % of datatrove's.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import polars as pl

from benchmarks.corpus import read_documents, read_jsonl, read_paragraphs, read_truth, text_file
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options, print_progress, run_json
from filters import MEASURES, compute
from filters.kernels import buffers
from pipeline.manifest.loading import load
from pipeline.manifest.model import Bound as Rule
from pipeline.manifest.presets import list_presets, read_preset
from pipeline.modalities.text.manifest import TextManifest
from pipeline.modalities.text.measure import measure_documents
from pipeline.sources.rows import Rows, Spans
from pipeline.steps.decide import broken_bound

WORKER = Path(__file__).parent / "workers" / "preset_peers.py"
LANGUAGE_RULES = ("language", "language_score")


# -- presets, for any benchmark


class Bound(TypedDict, total=False):
    """What a rule allows; a preset says source and reason, too."""

    at_least: float
    at_most: float
    any_of: list[str]
    missing: str


def within(measure: str, bound: Bound) -> pl.Expr:
    """Whether a value is within the bound; null is where a missing value is kept."""
    value = pl.col(measure)
    if "any_of" in bound:
        inside = value.is_in(bound["any_of"])
    else:
        inside = value.is_between(bound.get("at_least", float("-inf")), bound.get("at_most", float("inf")))
    return inside.fill_null(True) if bound.get("missing") == "keep" else inside


def document_bounds(preset: str) -> dict[str, Bound]:
    """The bounds of a preset by measure, without those on what is known only in a corpus."""
    return {name: bound for name, bound in read_preset(preset).items() if MEASURES[name].kind != "corpus"}


def text_presets() -> list[str]:
    """The presets that judge any text: not those of pages of Wikipedia or of URLs."""
    return [
        name
        for name in list_presets(TextManifest)
        if all(MEASURES[rule].kind in ("text", "document") for rule in document_bounds(name))
    ]


def measure_for(presets: Sequence[str], texts: Sequence[str]) -> pl.DataFrame:
    """The cleaned texts and every measure of the presets, as a build of cc100-ja makes them: `text`, `unreadable`, `m:<measure>`."""
    manifest = load("cc100-ja", [f"measure.presets={json.dumps(list(presets))}", "deduplicate.enabled=false"])
    assert isinstance(manifest, TextManifest)
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(one) for one in encoded], dtype=np.int64)
    spans = Spans(np.frombuffer(b"".join(encoded), np.uint8), np.concatenate([[0], ends[:-1]]).astype(np.int64), ends)
    frame = pl.DataFrame(
        {"file": pl.Series([0] * len(texts), dtype=pl.Int32), "locator": range(len(texts))},
    ).with_columns(problem=pl.lit(None, pl.String))
    table = pl.DataFrame(pl.from_arrow(measure_documents(manifest, Rows(frame, spans)).table))
    return table.select("text", "unreadable", pl.col("^m:.*$"))


def broken_rules(measured: pl.DataFrame, preset: str) -> pl.DataFrame:
    """Which rules of a preset every document breaks: a column of bools for each rule."""
    rules = {name: Rule.model_validate(bound) for name, bound in document_bounds(preset).items()}
    return measured.select(broken_bound(name, rule)[0].fill_null(True).alias(name) for name, rule in rules.items())


# -- labelled paragraphs


def judge_labelled(data: Path, most: int) -> str:
    """A table: of the paragraphs that people call bad and good, how many each preset drops."""
    rows = read_paragraphs(data)[:most]
    is_bad = np.array([row["label"] == "bad" for row in rows])
    measured = measure_for(text_presets(), [row["text"] for row in rows])
    table = []
    for preset in text_presets():
        dropped = broken_rules(measured, preset).select(pl.any_horizontal(pl.all())).to_series().to_numpy()
        caught, lost = int((dropped & is_bad).sum()), int((dropped & ~is_bad).sum())
        precision, recall = caught / max(caught + lost, 1), caught / max(is_bad.sum(), 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        table.append([preset, f"{caught} ({recall:.1%})", f"{lost} ({lost / max((~is_bad).sum(), 1):.1%})", f"{f1:.2f}"])
    return format_table(
        [f"{len(rows)} labelled paragraphs", f"bad dropped of {is_bad.sum()}", f"good of {(~is_bad).sum()}", "F1"], table
    )


# -- what a preset costs


def time_presets(texts: Sequence[str]) -> str:
    """A table: nanoseconds of one core per byte of cleaned text that the measures of each preset alone take."""
    cleaned = measure_for([], texts)["text"]
    data, offsets = buffers(cleaned)
    table = []
    for preset in text_presets():
        names = [name for name in read_preset(preset) if MEASURES[name].on_request]
        if names:
            compute(*buffers(cleaned[:1]), names)  # compiles, and loads dictionaries
            began = time.process_time()
            compute(data, offsets, names)
            taken = time.process_time() - began
            table.append([preset, f"{len(names)}", f"{taken * 1e9 / max(offsets[-1], 1):,.0f}"])
    return format_table(["measures of others", "number", "ns/byte"], table)


# -- parity


# Filters of the originals by preset, with the rules that stand for them; the first (or several) of each make its decision.
PARITY: dict[str, dict[str, tuple[str, ...]]] = {
    "hojichar": {
        "AcceptJapanese": ("hojichar_leading_kana",),
        "DocumentLengthFilter": ("hojichar_chars",),
        "DiscardRareKuten": ("hojichar_full_stop_share",),
        "DiscardAds": ("hojichar_advertising_words",),
        "DiscardBBSComments": ("hojichar_forum_marks",),
        "DiscardAdultContentJa": ("hojichar_adult_words",),
        "DiscardAdultContentEn": ("hojichar_english_adult_words",),
        "DiscardDiscriminationContentJa": ("hojichar_discrimination_words",),
        "DiscardViolenceContentJa": ("hojichar_violence_words",),
        "CharRepetitionRatioFilter": ("hojichar_frequent_5gram_share",),
        "SingleCharacterRepetitionFilter": ("hojichar_longest_run",),
        "DiscardTooManyEndingEllipsis": ("hojichar_ellipsis_line_share",),
        "DiscardTooShortLines": ("hojichar_short_line_share",),
        "DiscardTooManySpecialToken": ("hojichar_special_share",),
        "DiscardTooManyNouns": ("hojichar_noun_share",),
        "WordRepetitionRatioFilter": ("hojichar_repeated_7gram_share",),
    },
    "fineweb2-ja": {
        "GopherRepetitionFilter": (
            "gopher_duplicate_line_share",
            *(f"gopher_top_{n}gram_share" for n in range(2, 5)),
            *(f"gopher_duplicate_{n}gram_share" for n in range(5, 11)),
        ),
        "dup_line_frac": ("gopher_duplicate_line_share",),
        **{f"top_{n}_gram": (f"gopher_top_{n}gram_share",) for n in range(2, 5)},
        **{f"dup_{n}_gram": (f"gopher_duplicate_{n}gram_share",) for n in range(5, 11)},
        "FineWebQualityFilter": ("fineweb_ended_line_share", "fineweb_duplicate_line_char_share", "fineweb_newlines_per_word"),
        "line_punct_thr": ("fineweb_ended_line_share",),
        "char_duplicates_ratio": ("fineweb_duplicate_line_char_share",),
        "new_line_ratio": ("fineweb_newlines_per_word",),
        "GopherQualityFilter": (
            *("gopher_words", "gopher_mean_word_length", "gopher_hashes_per_word", "gopher_ellipses_per_word"),
            *("gopher_bullet_line_share", "gopher_ellipsis_line_share", "gopher_letter_word_share", "gopher_stop_words"),
        ),
        "words": ("gopher_words",),
        "word length": ("gopher_mean_word_length",),
        "symbols": ("gopher_hashes_per_word", "gopher_ellipses_per_word"),
        "bullets": ("gopher_bullet_line_share",),
        "ellipsis lines": ("gopher_ellipsis_line_share",),
        "letters": ("gopher_letter_word_share",),
        "stop words": ("gopher_stop_words",),
    },
    "swallow-v1": {
        "num_letters": ("chars",),
        "duplicate_paragraph_fraction": ("swallow_repeated_line_share",),
        "duplicate_paragraph_fraction_in_character": ("swallow_repeated_line_char_share",),
        "duplicate_sentence_fraction": ("swallow_repeated_sentence_share",),
        "duplicate_sentence_fraction_in_character": ("swallow_repeated_sentence_char_share",),
        **{f"top_{n}gram_character_fraction": (f"swallow_top_{n}gram_share",) for n in range(2, 5)},
        **{f"duplicate_{n}gram_character_fraction": (f"swallow_repeated_{n}gram_share",) for n in range(5, 11)},
        "hiragana_fraction": ("swallow_hiragana_share",),
        "katakana_fraction": ("swallow_katakana_share",),
        "japanese_fraction": ("swallow_japanese_share",),
        "num_japanese_letters": ("swallow_japanese_letters",),
        "avg_sentence_length": ("swallow_mean_sentence_length",),
        "max_sentence_length": ("swallow_longest_sentence",),
        "ellipsis_fraction": ("swallow_ellipsis_sentence_share",),
    },
    "llmjp-v1": {
        "is_japanese": ("llmjp_leading_kana",),
        "is_not_ad_content": ("llmjp_advertising_words",),
        "is_not_adult_content": ("llmjp_adult_words",),
        "is_not_discrimination_content": ("llmjp_discrimination_words",),
        "is_not_violence_content": ("llmjp_violence_words",),
        "has_good_average_sentence_length": ("llmjp_full_stop_share",),
        "has_good_compression_ratio": ("llmjp_deflate_ratio",),
    },
}
BARS = {"hojichar": 0.995, "fineweb2-ja": 0.99}
PACKAGED = ("hojichar", "fineweb2-ja")


class Agreement(NamedTuple):
    """How often two decide alike: both keep, both drop, only ours drops, only theirs drops."""

    kept: int
    dropped: int
    ours: int
    theirs: int

    @property
    def share(self) -> float:
        return (self.kept + self.dropped) / max(sum(self), 1)

    def cells(self) -> list[str]:
        return [f"{self.kept:,}", f"{self.dropped:,}", f"{self.ours:,}", f"{self.theirs:,}", f"{self.share:.2%}"]


def agree(ours: np.ndarray, theirs: np.ndarray) -> Agreement:
    """Compare which documents two drop: bool[n] each."""
    return Agreement(
        int((~ours & ~theirs).sum()), int((ours & theirs).sum()), int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    )


def draw_documents(data: Path, number: int, seed: int) -> list[str]:
    """A seeded mix: half of the crawl-like text, a third of the pages by genre, the rest labelled paragraphs."""
    draw = random.Random(seed)
    labelled = [row["text"] for row in read_paragraphs(data)]
    web = data / "text" / "web.jsonl.gz"  # not in the miniature
    pages = [row["text"] for row in read_jsonl(web)] if web.is_file() else []
    offsets = [row["offset"] for row in read_truth(data)]
    chosen = draw.sample(labelled, min(number // 6, len(labelled))) + draw.sample(pages, min(number // 3, len(pages)))
    wanted = draw.sample(offsets, min(number - len(chosen), len(offsets)))
    chosen += read_documents(data, offsets=set(wanted)).texts()
    draw.shuffle(chosen)
    return chosen


def compare_with_originals(
    measured: pl.DataFrame, kept: Mapping[str, Mapping[str, Sequence[bool]]], differences: bool
) -> list[Bar]:
    """Print a table for every preset that has been compared, and return the bars."""
    bars = []
    for preset, filters in kept.items():
        broken = broken_rules(measured, preset)
        parity = PARITY[preset]
        table = []
        for name, rules in parity.items():
            ours = broken.select(pl.any_horizontal(rules)).to_series().to_numpy()
            theirs = ~np.array(filters[name])
            table.append(
                [name, ", ".join(f"`{rule}`" for rule in rules[:2]) + (" …" if rules[2:] else ""), *agree(ours, theirs).cells()]
            )
            if differences:
                for row in np.flatnonzero(ours != theirs):
                    values = measured.row(int(row), named=True)
                    shown = {rule: values[f"m:{rule}"] for rule in rules if rules[5:] == ()}
                    who = "ours drops" if ours[row] else "theirs drops"
                    print(f"  {preset} {name}: {who} {shown} {values['text'][:80]!r}")
        compared = sorted({rule for rules in parity.values() for rule in rules})
        ours = broken.select(pl.any_horizontal(compared)).to_series().to_numpy()
        theirs = ~np.all([filters[name] for name in parity], axis=0)
        whole = agree(ours, theirs)
        table.append(["**all**", "", *whole.cells()])
        print(f"\n### {preset}\n")
        print(
            format_table(["original", "ours", "both keep", "both drop", "only ours drops", "only theirs drops", "alike"], table)
        )
        if preset in BARS:
            bars.append(
                Bar(
                    whole.share >= BARS[preset],
                    f"{preset} decides like the original on {whole.share:.2%}, at least {BARS[preset]:.1%}",
                )
            )
    return bars


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--peers-python", help="interpreter that has HojiChar and datatrove")
    parser.add_argument("--checkouts", type=Path, help="folder with clones of llm-jp-corpus and swallow-corpus")
    parser.add_argument("--documents", type=int, default=2000, help="for parity (default: %(default)s)")
    parser.add_argument("--paragraphs", type=int, default=10_000, help="most labelled paragraphs (default: all)")
    parser.add_argument("--seed", type=int, default=18, help="of the documents that are drawn (default: %(default)s)")
    parser.add_argument("--raw", action="store_true", help="let the originals judge the texts before cleaning")
    parser.add_argument("--differences", action="store_true", help="print every document on which a filter and its rule differ")
    options = parse_options(parser, "presets", {"documents": 30, "paragraphs": 20})

    print(judge_labelled(options.data, options.paragraphs), end="\n\n")
    documents = draw_documents(options.data, options.documents, options.seed)
    print(time_presets(documents[:200]))
    names = [
        *(PACKAGED if options.peers_python else ()),
        *((name for name in PARITY if name not in PACKAGED) if options.checkouts else ()),
    ]
    bars: list[Bar] = []
    if names:
        measured = measure_for(names, documents).with_columns(raw=pl.Series(documents)).filter(pl.col("text") != "")
        source = options.scratch / "documents.jsonl"
        with open(source, "w", encoding="utf-8") as file:
            file.writelines(
                json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in measured["raw" if options.raw else "text"]
            )
        python, checkouts = options.peers_python or sys.executable, str((options.checkouts or Path()).absolute())
        kept = {}
        for name in names:
            kept[name] = run_json([python, str(WORKER), name, str(source), checkouts], name)
            print_progress(f"{name}: judged")
        print(
            f"\n{len(measured):,} documents of {text_file(options.data).name}, web.jsonl.gz and the labelled paragraphs; judged "
            "by the originals " + ("as they are" if options.raw else "cleaned")
        )
        bars = compare_with_originals(measured, kept, options.differences)
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
