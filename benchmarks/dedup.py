"""Recall and precision of deduplication on pairs with a known similarity, beside datasketch's LSH on the same documents.

    python -m benchmarks.dedup [--data ../shared/data/text] [--out DIR] [--without-datasketch]

Builds `ja.txt.xz` with the manifest cc100-ja (or takes the build that stands in --out) and reads its ledger. Counted are the pairs of
`ja.pairs.jsonl.gz` of which both sides reach the step. A pair is found when both are in one cluster. For precision, 2,000 (dropped,
survivor) pairs are drawn and their exact Jaccard similarity over whitespace-free character 5-grams of the raw text is computed, and
over the key that the pipeline compares. datasketch gets the same keys, the same number of hashes and the same threshold, and its
pairs are verified with its own estimate.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import random
import re
import time
from pathlib import Path

import polars as pl

from benchmarks.corpus import add_data_option, built, folder
from filters import normalise
from filters.text import minhash

SPACE = re.compile(r"\s+")


def grams(text: str, size: int = 5) -> set[str]:
    return {text[i : i + size] for i in range(len(text) - size + 1)} or {text}


def jaccard(a: str, b: str) -> float:
    x, y = grams(a), grams(b)
    return len(x & y) / len(x | y)


def table(title: str, rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def recall_rows(pairs: list[dict], cluster_of: dict[int, str], name: str) -> list[tuple[str, ...]]:
    rows = []
    for low in (0.8, 0.85, 0.9):
        reaching = [p for p in pairs if p["jaccard_char5"] >= low and p["a"] in cluster_of and p["b"] in cluster_of]
        found = sum(cluster_of[p["a"]] == cluster_of[p["b"]] for p in reaching)
        rows.append((name, f">= {low}", f"{len(reaching)}", f"{found}", f"{found / max(len(reaching), 1):.4f}"))
    return rows


def datasketch_clusters(keys: dict[int, str], permutations: int, threshold: float) -> tuple[dict[int, str], float]:
    """Cluster names by document with MinHashLSH, its candidates verified by MinHash.jaccard, joined by union-find."""
    from datasketch import MinHash, MinHashLSH

    began = time.perf_counter()
    lsh = MinHashLSH(threshold=threshold, num_perm=permutations)
    parent = {d: d for d in keys}

    def root(d: int) -> int:
        while parent[d] != d:
            parent[d] = parent[parent[d]]
            d = parent[d]
        return d

    sketches = {}
    for d, key in keys.items():
        sketch = MinHash(num_perm=permutations, seed=1)
        sketch.update_batch([g.encode() for g in grams(key)])
        for other in lsh.query(sketch):
            if sketches[other].jaccard(sketch) >= threshold:
                parent[root(d)] = root(other)
        lsh.insert(d, sketch)
        sketches[d] = sketch
    return {d: str(root(d)) for d in keys}, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--without-datasketch", action="store_true")
    options = parser.parse_args()
    options.data = folder(options.data)
    out = built(options.data, options.out)
    ledger = pl.read_parquet(out / "ledger", columns=["id", "verdict", "duplicate_of", "similarity", "cluster_id", "rule"])
    ledger = ledger.with_columns(offset=pl.col("id").str.split("/").list.last().cast(pl.Int64))
    reached = ledger.filter(pl.col("verdict").is_in(["kept", "duplicate"]))
    cluster_of = dict(reached.select("offset", "cluster_id").iter_rows())
    with gzip.open(options.data / "ja.pairs.jsonl.gz") as file:
        pairs = [json.loads(line) for line in file]
    with gzip.open(options.data / "ja.truth.jsonl.gz") as file:
        size = {t["offset"]: t["bytes"] for t in map(json.loads, file)}
    raw = lzma.open(options.data / "ja.txt.xz").read()

    header = ("", "Jaccard", "pairs", "found", "recall")
    rows = [header, *recall_rows(pairs, cluster_of, "seimai")]

    dropped = reached.filter(verdict="duplicate").select("offset", "duplicate_of", "similarity", "rule")
    sample = random.Random(0).sample(list(dropped.iter_rows()), min(2000, len(dropped)))
    exact, by_key, errors = [], [], []
    for offset, survivor, similarity, _rule in sample:
        other = int(survivor.rsplit("/", 1)[-1])
        texts = [raw[o : o + size[o]].decode() for o in (offset, other)]
        exact.append(jaccard(*(SPACE.sub("", t) for t in texts)))
        keys = minhash.key(normalise(pl.Series(texts))).to_list()
        by_key.append(jaccard(*keys))
        errors.append(similarity - by_key[-1])
    precision = [("", "share >= 0.80", "share >= 0.75", "lowest")]
    for name, values in (("raw text", exact), ("key", by_key)):
        shares = [f"{sum(v >= low for v in values) / len(values):.4f}" for low in (0.8, 0.75)]
        precision.append((name, *shares, f"{min(values):.3f}"))

    if not options.without_datasketch:
        offsets = reached["offset"].to_list()
        texts = normalise(pl.Series([raw[o : o + size[o]].decode() for o in offsets]))
        keys = dict(zip(offsets, minhash.key(texts).to_list(), strict=True))
        clusters, seconds = datasketch_clusters(keys, 112, 0.8)
        rows += recall_rows(pairs, clusters, f"datasketch ({seconds:.0f} s)")
    table("Recall on known pairs (both sides reach the step)", rows)
    table(f"Exact Jaccard similarity of {len(sample):,} sampled (dropped, survivor) pairs", precision)
    print(f"\nestimated less exact similarity of those pairs: mean {sum(errors) / len(errors):+.4f}")
    print(reached.group_by("verdict", "rule").len().sort("verdict", "rule"))


if __name__ == "__main__":
    main()
