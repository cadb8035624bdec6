"""Makes the two models of text that ship with Seimai anew, byte for byte: `filters/models/` (docs/quality-model.md).

    python -m benchmarks.train_models [--write]

Of the labelled paragraphs, and of the documents of each kind, only the half for tuning is used (`benchmarks.corpus.is_for_tuning`).
`quality-ja` learns from the paragraphs; passages of clean documents and pages of `benchmarks/junk.py` stand beside them, with a tenth
of their weight. `fluency-ja` learns passages from junk. Says whether the files are those in `filters/models/`; with `--write` they are
replaced.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import junk
from benchmarks.corpus import is_for_tuning, read_documents, read_paragraphs, read_truth
from benchmarks.harness import ROOT, Bar, finish, make_parser, parse_options
from filters import train_quality

MODELS = ROOT / "filters" / "models"
BESIDE = 0.1  # of the paragraphs' weight, for what stands beside them
SOLD = ("doorway", "affiliate", "adult", "menu")  # what people call bad
UNREADABLE = tuple(kind for kind in junk.KINDS if kind not in ("doorway", "affiliate", "adult"))
_BREAK = re.compile("[。\n]")


def read_clean(data: Path, for_tuning: bool) -> dict[str, list[str]]:
    """Return the Japanese documents of a half by kind, crawled pages and edited copies left out."""
    rows = read_truth(data)
    documents: dict[str, list[str]] = {}
    for row, text in zip(rows, read_documents(data).texts(), strict=True):
        if row["lang"] == "ja" and row["kind"] != "oscar" and "+" not in row["kind"] and is_for_tuning(text) == for_tuning:
            documents.setdefault(row["kind"], []).append(text)
    return documents


def cut_passage(text: str, draw: random.Random) -> str:
    """Return a passage of 60 to 1,000 characters, from the beginning of a sentence or a line where there is one."""
    size = int(60 * 16 ** draw.random())
    start = draw.randrange(max(1, len(text) - size + 1))
    found = _BREAK.search(text, start)
    if found and found.end() + size // 2 < len(text):
        start = found.end()
    return text[start : start + size]


def draw_passages(documents: dict[str, list[str]], number: int, draw: random.Random) -> list[str]:
    """Return `number` passages of every kind of document; a third of them are beginnings."""
    passages = []
    for kind in sorted(documents):
        for _ in range(number):
            text = draw.choice(documents[kind])
            passages.append(cut_passage(text, draw) if draw.random() < 2 / 3 else text[:1500])
    return passages


def make_junk(documents: dict[str, list[str]], kinds: Iterable[str], number: int, draw: random.Random) -> dict[str, list[str]]:
    """Return `number` pages of every kind of junk, from documents drawn over all kinds of documents alike."""
    sources = sorted(documents)
    return {
        kind: [junk.KINDS[kind](draw.choice(documents[draw.choice(sources)]), draw) for _ in range(number)] for kind in kinds
    }


def write_rows(path: Path, good: Sequence[tuple[str, float]], bad: Sequence[tuple[str, float]]) -> None:
    """Write labelled texts, each with its weight. What stands on both sides is left out of the bad."""
    both = {text for text, _ in good}
    rows: list[dict[str, Any]] = [{"text": text, "label": "good", "weight": weight} for text, weight in good]
    rows += [{"text": text, "label": "bad", "weight": weight} for text, weight in bad if text not in both]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def weigh(texts: Sequence[str], total: float) -> list[tuple[str, float]]:
    """Return texts that weigh `total` together."""
    return [(text, round(total / len(texts), 9)) for text in texts]


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--passages", type=int, default=500, help="of every kind of document (default: %(default)s)")
    parser.add_argument("--pages", type=int, default=700, help="of every kind of junk (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="replace the files in filters/models")
    options = parse_options(parser, "models", {"passages": 5, "pages": 4})
    draw = random.Random(18)
    documents = read_clean(options.data, True)
    passages = draw_passages(documents, options.passages, draw)
    pages = make_junk(documents, junk.KINDS, options.pages, draw)
    paragraphs = [row for row in read_paragraphs(options.data) if is_for_tuning(row["text"])]
    good = [(row["text"], 1.0) for row in paragraphs if row["label"] == "good"]
    bad = [(row["text"], 1.0) for row in paragraphs if row["label"] == "bad"]
    share = BESIDE * len(paragraphs) / 2
    sold = [page for kind in SOLD for page in pages[kind]]
    write_rows(options.scratch / "quality-ja.jsonl", good + weigh(passages, share), bad + weigh(sold, share))
    unreadable = [page for kind in UNREADABLE for page in pages[kind]]
    write_rows(options.scratch / "fluency-ja.jsonl", weigh(passages, len(passages)), weigh(unreadable, len(unreadable)))
    bars = []
    for name, kinds in (("quality-ja", ("characters", "pairs")), ("fluency-ja", ("pairs", "shapes"))):
        out = MODELS / f"{name}.npz" if options.write and not options.smoke else options.scratch / f"{name}.npz"
        print(f"\n## {name}\n")
        command = [str(options.scratch / f"{name}.jsonl"), "--out", str(out), "--overwrite", "--kinds", *kinds]
        if train_quality.main(command):
            return 1
        shipped = MODELS / f"{name}.npz"
        is_same = shipped.is_file() and shipped.read_bytes() == out.read_bytes()
        bars.append(Bar(is_same, f"{name}: the bytes are those of filters/models/{name}.npz"))
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
