"""What the models of quality and fluency, and the presets that use them, do to text that neither was made from.

    python -m benchmarks.quality_model [--presets ja-web ja-web-strict …]

1. Labelled paragraphs of the half not tuned on: the area under the curve of `quality_score`, and what each preset catches and loses.
2. Documents whose genre is known: how many the scores and all rules but those of language drop.
3. Junk made of documents of the half not tuned on, by templates that the models were trained with (`benchmarks/junk.py`) and by others
   (`benchmarks/fresh_junk.py`): how much the rules alone, and rules and scores together, drop. The last four are newer than all bounds.
4. The recipe of `quality-ja` trained on each half and asked about the other.

The presets are by default all that judge documents. Documents are cleaned and measured as a build does it.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import fresh_junk, junk
from benchmarks.corpus import is_for_tuning, read_jsonl, read_paragraphs
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from benchmarks.presets import measure_for, text_presets
from benchmarks.train_models import read_clean
from filters import normalise, train_quality
from filters.kernels import buffers
from filters.labelled_texts import read_labelled
from filters.model_training import HeldOut, train_model
from filters.text.text_model import score_texts, shipped_model
from pipeline.manifest.loading import load
from pipeline.modalities.text.manifest import TextManifest
from pipeline.steps.decide import decide_frame

SCORES = ("fluency_score", "quality_score", "advertising_quality")
LANGUAGE = ("language", "language_score")
# Genres of which at most 1 % may be dropped; the rest are crawled or sold.
CLEAN = (
    *("diet-sentence", "diet-minutes", "tech-notes", "markdown-book", "wikipedia", "aozora", "statutes"),
    *("php-manual", "ruby-manual", "dotnet-docs", "vue", "react", "gnome-help", "ruby-lang", "chat"),
)


def load_preset(name: str) -> TextManifest:
    manifest = load("cc100-ja", [f'rules.preset="{name}"'])
    assert isinstance(manifest, TextManifest)
    return manifest


def find_dropped(measured: pl.DataFrame, preset: str, without: Iterable[str] = ()) -> np.ndarray:
    """bool[n]: whether a preset, without some of its rules, drops each text."""
    rules = {name: bound for name, bound in load_preset(preset).document_rules.items() if name not in without}
    return (decide_frame(measured, rules)["verdict"] == "dropped").to_numpy()


def percent(values: np.ndarray) -> str:
    return f"{values.mean():.1%}" if len(values) else "–"


# -- 1 labelled paragraphs


def judge_paragraphs(data: Path, presets: Sequence[str]) -> list[Bar]:
    rows = [row for row in read_paragraphs(data) if not is_for_tuning(row["text"])]
    good = np.array([row["label"] == "good" for row in rows])
    measured = measure_for(presets, [row["text"] for row in rows])
    scores = measured["m:quality_score"].fill_null(0.5).to_numpy()
    area = train_quality.area_under_curve(HeldOut(scores, good, np.ones(len(good))))
    print(f"## Labelled paragraphs of the half not tuned on\n\n{good.sum()} good, {(~good).sum()} bad; "
          f"area under the curve of `quality_score` {area:.3f}\n")  # fmt: skip
    table, bars = [], [Bar(area >= 0.8, f"area under the curve {area:.3f}, at least 0.80")]
    ways: list[tuple[str, str, Sequence[str]]] = [(preset, preset, ()) for preset in presets]
    for label, preset, without in [*ways, ("ja-web without the scores", "ja-web", SCORES)]:
        dropped = find_dropped(measured, preset, without)
        caught, lost = int((dropped & ~good).sum()), int((dropped & good).sum())
        f1 = 2 * caught / max(1, caught + lost + int((~good).sum()))
        table.append([label, f"{caught / max(1, (~good).sum()):.3f}", f"{lost / max(1, good.sum()):.3f}", f"{f1:.2f}"])
        if label == "ja-web":
            reached = caught >= 0.4 * (~good).sum() and lost <= 0.05 * good.sum()
            bars.append(
                Bar(
                    reached, f"ja-web catches {table[-1][1]} of the bad (at least 0.40) and loses {table[-1][2]} (at most 0.05)"
                )
            )
        if label == "ja-web-strict":
            bars.append(Bar(f1 >= 0.7, f"F1 of ja-web-strict {f1:.2f}, at least 0.70"))
    print(format_table(["preset", "bad caught", "good lost", "F1"], table))
    bounds = [
        [f"{bound:g}", *(f"{(scores[kind] < bound).mean():.3f}" for kind in (~good, good))] for bound in train_quality.BOUNDS
    ]
    print("\n" + format_table(["quality_score alone, at least", "bad caught", "good lost"], bounds))
    return bars


# -- 2 genres


def read_genres(data: Path, most: int) -> dict[str, list[str]]:
    """Return texts by genre: those of web.jsonl.gz, none of which were tuned on, and the other half of the documents."""
    web = data / "text" / "web.jsonl.gz"  # not in the miniature
    genres: dict[str, list[str]] = {}
    for row in read_jsonl(web) if web.is_file() else []:
        genres.setdefault(row["genre"], []).append(row["text"])
    genres |= read_clean(data, False)
    draw = random.Random(2)
    return {genre: texts if len(texts) <= most else draw.sample(texts, most) for genre, texts in genres.items()}


def judge_genres(genres: dict[str, list[str]]) -> list[Bar]:
    print("\n## Text whose genre is known: dropped by ja-web\n")
    table, bars = [], []
    for genre, texts in genres.items():
        measured = measure_for(["ja-web"], texts)
        rules = load_preset("ja-web").rules
        below = [measured[f"m:{score}"].fill_null(1).to_numpy() < (rules[score].at_least or 0) for score in SCORES]
        every = find_dropped(measured, "ja-web", LANGUAGE)
        long = find_dropped(measured, "ja-web", (*LANGUAGE, "chars"))
        table.append(
            [
                genre,
                f"{len(texts):,}",
                *(f"{float(column.mean()):.2%}" for column in below),
                f"{long.mean():.2%}",
                f"{every.mean():.2%}",
            ]
        )
        if genre in CLEAN:
            ours = float(np.mean(np.any(below, axis=0)))
            bars.append(Bar(ours <= 0.01, f"{genre}: {ours:.2%} dropped by the scores, at most 1 %"))
    print(format_table(["genre", "documents", *SCORES, "all rules but language and length", "all but language"], table))
    return bars


# -- 3 junk


def judge_junk(data: Path, pages: int) -> list[Bar]:
    documents = read_clean(data, False)
    kinds = sorted(documents)
    bars = []
    for title, makers, seed in (
        ("templates that the models were trained with", junk.KINDS, 3),
        ("other templates", fresh_junk.KINDS, 4),
    ):
        draw = random.Random(seed)
        table = []
        for kind, maker in makers.items():
            texts = [maker(draw.choice(documents[draw.choice(kinds)]), draw) for _ in range(pages)]
            measured = measure_for(["ja-web", "ja-web-strict"], [text for text in texts if text.strip()])
            before, ours = find_dropped(measured, "ja-web", SCORES), find_dropped(measured, "ja-web")
            strict = find_dropped(measured, "ja-web-strict")
            table.append([kind, percent(before), percent(ours), percent(strict)])
            bars.append(Bar(ours.mean() > 0.5, f"{kind} ({title}): {percent(ours)} dropped by ja-web, most"))
        print(f"\n## Junk of documents not tuned on, {title}: dropped, {pages} pages of each kind\n")
        print(format_table(["kind", "ja-web without the scores", "ja-web", "ja-web-strict"], table))
    return bars


# -- 4 both halves


def cross_validate(data: Path, scratch: Path) -> None:
    """Train on the paragraphs of each half alone, and print what the model says of the other half."""
    rows = read_paragraphs(data)
    table = []
    for tuning in (True, False):
        path = scratch / f"half-{tuning}.jsonl"
        chosen = [row for row in rows if is_for_tuning(row["text"]) == tuning]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), "utf-8")
        texts = read_labelled(path)
        model, _ = train_model(texts, "half", ("characters", "pairs"))
        others = [row for row in rows if is_for_tuning(row["text"]) != tuning]
        good = np.array([row["label"] == "good" for row in others])
        scores = np.nan_to_num(model.score(*buffers(normalise(pl.Series([row["text"] for row in others])))), nan=0.5)
        area = train_quality.area_under_curve(HeldOut(scores, good, np.ones(len(good))))
        caught = [f"{(scores[~good] < np.quantile(scores[good], lost)).mean():.2f}" for lost in (0.03, 0.05, 0.1)]
        table.append([f"the half {'for tuning' if tuning else 'not tuned on'}", f"{area:.3f}", *caught])
    print("\n## The paragraphs of one half alone, asked about the other\n")
    print(format_table(["trained on", "area", "bad caught at 3 % good lost", "at 5 %", "at 10 %"], table))


def measure_speed(texts: Sequence[str]) -> str:
    data, offsets = buffers(pl.Series(list(texts)))
    models = [shipped_model("quality-ja"), shipped_model("fluency-ja")]
    score_texts(models, data, offsets)
    times = []
    for _ in range(5):
        began = time.process_time()
        score_texts(models, data, offsets)
        times.append(time.process_time() - began)
    return f"{min(times) * 1e9 / offsets[-1]:.2f} ns of one core per byte, both scores, {offsets[-1] / 1e6:.0f} MB of documents"


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--presets", nargs="+", help="compared on labelled paragraphs (default: all that judge documents)")
    parser.add_argument("--most", type=int, default=6000, help="documents of a genre (default: %(default)s)")
    parser.add_argument("--pages", type=int, default=150, help="of every kind of junk (default: %(default)s)")
    options = parse_options(parser, "quality_model", {"most": 4, "pages": 2, "presets": ["ja-web", "ja-web-strict"]})
    bars = judge_paragraphs(options.data, options.presets or text_presets())
    genres = read_genres(options.data, options.most)
    bars += judge_genres(genres)
    bars += judge_junk(options.data, options.pages)
    cross_validate(options.data, options.scratch)
    print(f"\n{measure_speed([text for texts in genres.values() for text in texts])}")
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
