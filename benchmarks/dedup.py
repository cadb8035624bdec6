"""Recall and precision of deduplication on pairs with a known similarity, beside datasketch's LSH on the same documents.

    python -m benchmarks.dedup [--out DIR] [--without-datasketch]

Builds `ja.txt.xz` with the manifest cc100-ja (or takes the build that stands in --out) and reads its ledger. Counted are the pairs of
`ja.pairs.jsonl.gz` of which both sides reach the step. A pair is found when both are in one cluster. For precision, 2,000 (dropped,
survivor) pairs are drawn and their exact Jaccard similarity over whitespace-free character 5-grams of the raw text is computed, and
over the key that the pipeline compares. datasketch gets the same keys, the same number of hashes and the same threshold, and its
pairs are verified with its own estimate.
"""

from __future__ import annotations

import lzma
import random
import re
import sys
from pathlib import Path
from typing import NamedTuple

import polars as pl
from datasketch import MinHash, MinHashLSH

from benchmarks.corpus import DocumentPair, build_corpus, read_pairs, read_truth, text_file
from benchmarks.harness import finish, format_table, make_parser, parse_options, seconds
from filters import normalise
from filters.text import minhash

SPACE = re.compile(r"\s+")
PERMUTATIONS, THRESHOLD = 112, 0.8  # as the manifest has them


def cut_grams(text: str, size: int = 5) -> set[str]:
    return {text[i : i + size] for i in range(len(text) - size + 1)} or {text}


def jaccard(a: str, b: str) -> float:
    x, y = cut_grams(a), cut_grams(b)
    return len(x & y) / len(x | y)


class RawText:
    """Documents of the file by their offset."""

    def __init__(self, data: Path) -> None:
        self.raw = lzma.open(text_file(data)).read()
        self.sizes = {row["offset"]: row["bytes"] for row in read_truth(data)}

    def __getitem__(self, offset: int) -> str:
        return self.raw[offset : offset + self.sizes[offset]].decode()


def count_found(pairs: list[DocumentPair], clusters: dict[int, str], name: str) -> list[list[str]]:
    """Rows of the table: by similarity, how many pairs of which both sides reach the step are in one cluster."""
    rows = []
    for low in (0.8, 0.85, 0.9):
        reaching = [pair for pair in pairs if pair.jaccard >= low and pair.a in clusters and pair.b in clusters]
        found = sum(clusters[pair.a] == clusters[pair.b] for pair in reaching)
        rows.append([name, f">= {low}", f"{len(reaching)}", f"{found}", f"{found / max(len(reaching), 1):.4f}"])
    return rows


def cluster_with_datasketch(keys: dict[int, str]) -> dict[int, str]:
    """Cluster names by document with MinHashLSH, its candidates verified by MinHash.jaccard, joined by union-find."""
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    parent = {d: d for d in keys}

    def find_root(d: int) -> int:
        while parent[d] != d:
            parent[d] = parent[parent[d]]
            d = parent[d]
        return d

    sketches: dict[int, MinHash] = {}
    for d, key in keys.items():
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([gram.encode() for gram in cut_grams(key)])
        for other in lsh.query(sketch):
            if sketches[other].jaccard(sketch) >= THRESHOLD:
                parent[find_root(d)] = find_root(other)
        lsh.insert(d, sketch)
        sketches[d] = sketch
    return {d: str(find_root(d)) for d in keys}


class Similarities(NamedTuple):
    """Of one dropped document and its survivor."""

    estimated: float
    raw: float
    key: float


def measure_dropped(dropped: pl.DataFrame, texts: RawText) -> list[Similarities]:
    """Exact similarities of up to 2,000 dropped documents to their survivors."""
    found = []
    rows = list(dropped.select("offset", "duplicate_of", "similarity").iter_rows())
    for offset, survivor, estimated in random.Random(0).sample(rows, min(2000, len(rows))):
        pair = [texts[offset], texts[int(survivor.rsplit("/", 1)[-1])]]
        raw = jaccard(*(SPACE.sub("", text) for text in pair))
        found.append(Similarities(estimated, raw, jaccard(*minhash.key(normalise(pl.Series(pair))).to_list())))
    return found


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, help="a build of the text (default: one is made)")
    parser.add_argument("--without-datasketch", action="store_true")
    options = parse_options(parser, "dedup", {})
    out = build_corpus(options.data, options.out or options.scratch / "cc100-ja", options.smoke)
    ledger = pl.read_parquet(out / "ledger", columns=["id", "verdict", "duplicate_of", "similarity", "cluster_id", "rule"])
    ledger = ledger.with_columns(offset=pl.col("id").str.split("/").list.last().cast(pl.Int64))
    reaching = ledger.filter(pl.col("verdict").is_in(["kept", "duplicate"]))
    clusters = dict(reaching.select("offset", "cluster_id").iter_rows())
    pairs, texts = read_pairs(options.data), RawText(options.data)

    recall = count_found(pairs, clusters, "seimai")
    if not options.without_datasketch:
        offsets = reaching["offset"].to_list()
        keys = minhash.key(normalise(pl.Series([texts[offset] for offset in offsets]))).to_list()
        theirs: dict[int, str] = {}
        taken = seconds(lambda: theirs.update(cluster_with_datasketch(dict(zip(offsets, keys, strict=True)))))
        recall += count_found(pairs, theirs, f"datasketch ({taken:.0f} s)")
    print("Recall on known pairs (both sides reach the step)\n")
    print(format_table(["", "Jaccard", "pairs", "found", "recall"], recall), end="\n\n")

    dropped = measure_dropped(reaching.filter(verdict="duplicate"), texts)
    precision = []
    for name, values in (("raw text", [d.raw for d in dropped]), ("key", [d.key for d in dropped])):
        shares = [f"{sum(value >= low for value in values) / len(values):.4f}" for low in (0.8, 0.75)]
        precision.append([name, *shares, f"{min(values):.3f}"])
    print(f"Exact Jaccard similarity of {len(dropped):,} sampled (dropped, survivor) pairs\n")
    print(format_table(["", "share >= 0.80", "share >= 0.75", "lowest"], precision), end="\n\n")
    error = sum(d.estimated - d.key for d in dropped) / len(dropped)
    print(f"estimated less exact similarity of those pairs: mean {error:+.4f}")
    print(reaching.group_by("verdict", "rule").len().sort("verdict", "rule"))
    return finish([], options.smoke)


if __name__ == "__main__":
    sys.exit(main())
