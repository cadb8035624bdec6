"""Mojibake: how much of every kind `ja-web` drops, by its measure and by all rules, and how many clean texts it calls mojibake.

    python -m benchmarks.mojibake [--texts N]

Japanese documents of the development data, those with odd numbers (the table was made from the others), are written in one charset and
read in another, with U+FFFD for what cannot be decoded and with that left out: pieces of 50 to 200 and of 800 to 1,500 characters, and
pieces of which the second half alone is broken. Clean are all texts with odd numbers, in all languages, and Japanese in half-width kana.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.corpus import read_documents, read_jsonl, read_labelled, read_truth
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from filters import compute, normalise
from filters.kernels import buffers
from filters.text import mojibake
from filters.text.train_mojibake import garble, kinds, narrow_katakana
from pipeline.manifest.loading import load
from pipeline.steps.decide import broken_bound, measured_column

LENGTHS = {"short": (50, 200), "long": (800, 1500)}


def read_texts(data: Path) -> pl.DataFrame:
    """Texts, their language and set, with odd numbers."""
    documents = read_documents(data)
    rows = list(zip(documents.texts(), [(row["lang"], row["kind"]) for row in read_truth(data)], strict=True))
    web = data / "text" / "web.jsonl.gz"  # not in the miniature
    rows += [(row["text"], ("ja", row["genre"])) for row in (read_jsonl(web) if web.is_file() else [])]
    rows += [(row["text"], (row["lang"], row["set"])) for row in read_labelled(data)]
    return pl.DataFrame([(text, *rest) for text, rest in rows[1::2]], schema=["text", "language", "set"], orient="row")


def mojibake_shares(texts: list[str]) -> np.ndarray:
    counts = mojibake.count(*buffers(pl.Series(texts, dtype=pl.String)))
    return np.asarray(counts["n_mojibake"] / np.maximum(counts["n_raw_visible"], 1))


def is_japanese(text: str) -> bool:
    """Whether half of the characters are Japanese, and a tenth kanji: of kana alone, EUC-JP read as GBK breaks nothing."""
    if sum("一" <= c <= "鿿" for c in text) < len(text) / 10:
        return False
    return sum("ぁ" <= c <= "ヿ" or "一" <= c <= "鿿" for c in text) >= len(text) / 2


def cut(text: str, shortest: int, longest: int, draw: random.Random) -> str:
    size = draw.randint(shortest, longest)
    first = draw.randint(0, max(0, len(text) - size))
    return text[first : first + size]


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--texts", type=int, default=300, help="Japanese texts that are broken (default: %(default)s)")
    options = parse_options(parser, "mojibake", {"texts": 20})
    rules = load("cc100-ja").document_rules
    bound = rules["mojibake_share"].at_most
    assert bound is not None, "the preset bounds it from above"
    draw = random.Random(1)
    frame = read_texts(options.data)
    japanese = [text for text in frame.filter(language="ja")["text"].to_list() if len(text) >= 60]
    chosen = draw.sample(japanese, min(options.texts, len(japanese)))

    def drop(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which texts the measure drops, and which any rule of the preset does."""
        share = mojibake_shares(texts)
        by_measure = share > bound
        names = [name for name in rules if name not in ("mojibake_share", "boilerplate_share")]
        measured = compute(*buffers(normalise(pl.Series(texts))), names)
        measured = measured.rename({name: measured_column(name) for name in names})
        broken = measured.select(pl.any_horizontal(broken_bound(name, rules[name])[0] for name in names)).to_series()
        return by_measure, by_measure | broken.to_numpy()

    rows, missed = [], []
    for kind in kinds():
        row = [f"{kind[0]} as {kind[1]}, {kind[2]}"]
        for name, (shortest, longest) in LENGTHS.items():
            pieces = [piece for text in chosen if is_japanese(piece := cut(text, shortest, longest, draw))]
            by_measure, by_any = drop([garble(piece, *kind) for piece in pieces])
            row += [f"{by_measure.mean():.3f}", f"{by_any.mean():.3f}"]
            if by_any.mean() < 0.99:
                missed.append(f"{row[0]} ({name})")
        pieces = [piece for text in chosen if is_japanese(piece := cut(text, 200, 400, draw)[-300:])]
        half = [piece[: len(piece) // 2] + garble(piece[len(piece) // 2 :], *kind) for piece in pieces]
        row.append(f"{drop(half)[1].mean():.3f}")
        rows.append(row)
    header = ["written in, read as", "short: measure", "any rule", "long: measure", "any rule", "half broken: any rule"]
    print(format_table(header, rows), end="\n\n")

    data, offsets = buffers(frame["text"])
    mojibake.count(data, offsets)
    began = time.process_time()
    counts = mojibake.count(data, offsets)
    taken = (time.process_time() - began) / max(int(offsets[-1]), 1) * 1e9
    share = counts["n_mojibake"] / np.maximum(counts["n_raw_visible"], 1)
    over = frame.filter(pl.Series(share > bound))
    narrow = mojibake_shares([narrow_katakana(text[:1000], hiragana=k % 2 == 0) for k, text in enumerate(chosen)])
    japanese_over = over.filter(language="ja").height
    print(
        f"clean texts: {len(frame):,} ({len(frame.filter(language='ja')):,} Japanese); above {bound:g}: {len(over)}, "
        f"Japanese {japanese_over}; highest of Japanese {share[(frame['language'] == 'ja').to_numpy()].max():.3f}; "
        f"in half-width kana {int((narrow > bound).sum())} of {len(narrow)}\n{taken:.2f} ns a byte, one thread"
    )
    for text in over["text"].head(5):
        print(f"  {text[:80]!r}")
    return finish(
        [
            Bar(not missed, f"99 % of every kind dropped; missed: {', '.join(missed) or 'none'}"),
            Bar(len(over) == 0 and not (narrow > bound).any(), f"{len(over)} clean texts called mojibake (bar 0)"),
        ],
        options.smoke,
    )


if __name__ == "__main__":
    sys.exit(main())
