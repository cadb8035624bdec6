"""Pairs of one frame with other facts, and pairs that are duplicates: how many the step deduplicate would drop.

    python -m benchmarks.frames

`labels/frames.json` has texts with gaps (statutes, product pages, weather, minutes, exercises, notices …) and rows of facts for the gaps,
written by hand; `frames_fresh.json` and `frames_mended.json` those that were written after the rules were tuned, and tuned on later;
`frames_last.json` those that were run once. A pair is two rows of a frame, or one row and the same with one, two or three neighbouring
facts of another. Duplicates are the same texts with the edits of `EDITS`. A pair is dropped where its estimated similarity is that of
the manifest's default or more and it does not tell other facts. Beside it: what similarity alone drops, and the pairs of
`ja.pairs.jsonl.gz` that would be kept.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.corpus import read_documents, read_pairs
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from filters import normalise
from filters.kernels import buffers
from filters.text.minhash import SKETCH_BINS, signatures, sketch_similarity
from filters.text.replacements import are_other_facts
from pipeline.dedup.settings import MinHashTable

LABELS = Path(__file__).parent / "labels"
FILES = {
    "tuned on": "frames.json",
    "tuned on, fresh once": "frames_fresh.json",
    "tuned on, fresh twice": "frames_mended.json",
    "at first sight": "frames_last.json",
}
Pair = tuple[str, str]

EDITS: dict[str, Callable[[str], str]] = {
    "header and footer": lambda t: f"みんなの文書館 > 一覧 > 詳細\n{t}\n前のページへ\nお問い合わせ",
    "another header": lambda t: f"資料の部屋\n{t}",
    "counter": lambda t: f"閲覧数：1234\n{t}\n最終更新 2020年4月1日",
    "quoted": lambda t: "\n".join("> " + line for line in t.split("\n")),
    "wrapped": lambda t: "\n".join(t[i : i + 40] for i in range(0, len(t), 40)),
    "punctuation": lambda t: t.replace("、", "，").replace("。", "．"),
    "a kana missing": lambda t: t[: t.rfind("の")] + t[t.rfind("の") + 1 :],
    "spelling": lambda t: t.replace("ください", "下さい").replace("こと", "事").replace("とき", "時"),
    "typing error": lambda t: t.replace("必要", "心要", 1).replace("場合", "場台", 1),
    "sentence added": lambda t: t + "\n詳しくは担当までお問い合わせください。",
}
COUNTED = "閲覧数：98\n{0}\n最終更新 2023年11月30日"  # what "counter" is compared with


def frame_pairs(frames: list[dict[str, Any]], facts: int | None) -> Iterator[Pair]:
    """Yield pairs in which all facts differ, or `facts` neighbouring ones."""
    for frame in frames:
        text, rows = frame["frame"], frame["rows"]
        if facts is None:
            yield from itertools.combinations([text.format(*row) for row in rows], 2)
            continue
        for first in range(len(rows[0]) - facts + 1):
            for other in rows[1:]:
                row = [*rows[0][:first], *other[first : first + facts], *rows[0][first + facts :]]
                if row != rows[0]:
                    yield text.format(*rows[0]), text.format(*row)


def edited_pairs(frames: list[dict[str, Any]]) -> Iterator[tuple[str, Pair]]:
    """Yield the name of an edit, and a text without and with it."""
    for frame in frames:
        text = frame["frame"].format(*frame["rows"][0])
        for name, edit in EDITS.items():
            original = COUNTED.format(text) if name == "counter" else text
            if edit(text) != original:
                yield name, (original, edit(text))


def judge(pairs: list[Pair]) -> tuple[list[bool], list[bool]]:
    """Return which pairs are similar enough, and which of these are duplicates by what they say, too."""
    texts = normalise(pl.Series([text for pair in pairs for text in pair]))
    sketches = signatures(*buffers(texts), bins=SKETCH_BINS).sketches
    accept = MinHashTable().accept
    similar = [sketch_similarity(sketches, 2 * k, 2 * k + 1) >= accept for k in range(len(pairs))]
    return similar, [is_similar and not are_other_facts(texts[2 * k], texts[2 * k + 1]) for k, is_similar in enumerate(similar)]


def main() -> int:
    options = parse_options(make_parser(__doc__), "frames", {})
    rows, dropped_of_all, bars = [], [0, 0], []
    for name, file in FILES.items():
        frames = json.loads((LABELS / file).read_text("utf-8"))[: 2 if options.smoke else None]
        for facts in (None, 3, 2, 1):
            pairs = list(frame_pairs(frames, facts))
            similar, dropped = judge(pairs)
            if facts is None:
                dropped_of_all = [dropped_of_all[0] + sum(dropped), dropped_of_all[1] + len(pairs)]
            counts = [f"{len(pairs)}", f"{sum(similar)}", f"{sum(dropped)}", f"{sum(dropped) / len(pairs):.1%}"]
            rows.append([f"{name}: {facts or 'all'} facts differ", *counts])
    print("One frame, other facts\n")
    print(format_table(["", "pairs", "dropped by similarity alone", "dropped", "share"], rows), end="\n\n")

    edited: dict[str, list[Pair]] = {}
    for file in FILES.values():
        for name, pair in edited_pairs(json.loads((LABELS / file).read_text("utf-8"))[: 2 if options.smoke else None]):
            edited.setdefault(name, []).append(pair)
    rows, kept, total = [], 0, 0
    for name, pairs in edited.items():
        similar, dropped = judge(pairs)
        kept, total = kept + sum(similar) - sum(dropped), total + sum(similar)
        rows.append([name, f"{len(pairs)}", f"{sum(similar)}", f"{sum(dropped)}"])
    print("Duplicates with edits\n")
    print(format_table(["", "pairs", "similar", "dropped"], rows), end="\n\n")

    known = [pair for pair in read_pairs(options.data) if pair.jaccard >= 0.85]
    documents = read_documents(options.data, offsets={offset for pair in known for offset in (pair.a, pair.b)})
    texts = dict(zip(documents.starts.tolist(), documents.texts(), strict=True))
    similar, dropped = judge([(texts[pair.a], texts[pair.b]) for pair in known])
    lost = sum(similar) - sum(dropped)
    print(f"known pairs of 0.85 and more: {len(known):,}; similar {sum(similar):,}; kept for their facts {lost}")
    bars.append(
        Bar(dropped_of_all[0] <= 0.01 * dropped_of_all[1], f"false drops {dropped_of_all[0]} of {dropped_of_all[1]} (bar 1 %)")
    )
    bars.append(Bar(kept <= 0.02 * total, f"edited duplicates kept {kept} of {total} (bar 2 %)"))
    bars.append(Bar(lost <= 0.005 * max(len(known), 1), f"known pairs lost {lost} of {len(known)} (bar 0.5 %)"))
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
