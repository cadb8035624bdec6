"""Does curation pay? The same tiny GPT on raw, on kept and on dropped text, judged on clean text that none of them has.

    python -m benchmarks.curation [--scratch DIR] [--steps 400] [--seeds 1 2 3]

Raw is `ja.txt.xz` with junk between its documents, since most of what is on the web is missing in it: for every two documents one of
junk, of these kinds in equal number, made from words of the documents themselves:

| kind | |
|---|---|
| navigation | lines of one or two words with separators: menus, categories, calendars, counters |
| keywords | the same few search words over and over, in changing order |
| template | one of forty sales pages with another name and price in it |
| copy | a document of the corpus with another header and footer and every twentieth line missing: a mirror |
| mojibake | a document's UTF-8 read as Windows-1252 |

`pipeline.build cc100-ja` decides what is kept. Held out is every fiftieth document (by a hash) that is prose, statute or encyclopedia by
the list that comes with the data, whatever Seimai thinks of it, and so is every other document of its duplicate cluster. One tokenizer
for all, trained on kept text. Every run has the same model, steps, tokens per step and seeds; bits per character do not depend on the
tokenizer. Kept text is as the build wrote it; raw, dropped and held-out text are normalised as the build does, and otherwise as they came:
else U+3000 and wide brackets, which kept text has none of, would decide.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from benchmarks.corpus import ROOT, add_data_option, build_command, documents, table, truth
from filters.text.normalisation import normalise

CLEAN = ("aozora", "statutes", "wikipedia")  # prose, statutes, encyclopedia
SETS = ("raw", "kept", "dropped")
LENGTH = 256


# -- junk


def _words(text: str) -> list[str]:
    return [w for w in text.replace("。", " ").replace("、", " ").replace("\n", " ").split() if 2 <= len(w) <= 12] or ["一覧"]


def navigation(text: str, draw: random.Random) -> str:
    words, marks = _words(text), ["｜", " > ", " / ", "・", "（12）", "［詳細］", "▲", "»"]
    fixed = ["ホーム", "カテゴリー", "最近の記事", "ログイン", "サイトマップ", "前の月", "次へ", "コメント（0）", "RSS"]
    return "\n".join(
        draw.choice(marks).join(draw.choices([*words, *fixed], k=draw.randint(1, 4))) for _ in range(draw.randint(20, 80))
    )


def keywords(text: str, draw: random.Random) -> str:
    few = draw.sample(_words(text) * 6, 6)
    return "\n".join(
        " ".join(draw.sample(few, 6)) + draw.choice(["", " 激安", " 送料無料", " 口コミ"]) for _ in range(draw.randint(10, 60))
    )


def template(text: str, draw: random.Random) -> str:
    page = random.Random(draw.randrange(40))
    lines = [
        "".join(page.choices("格安人気商品限定販売通販公式最新情報比較おすすめランキング特価", k=page.randint(8, 40)))
        for _ in range(30)
    ]
    lines[::5] = [f"{draw.choice(_words(text))} {draw.randrange(100, 99999):,}円（税込）"] * len(lines[::5])
    return "\n".join(lines)


def copy(text: str, draw: random.Random) -> str:
    lines = [line for i, line in enumerate(text.split("\n")) if i % 20 != 19]
    return "\n".join(
        [f"転載 {draw.randrange(10**6)}", *lines, "この記事へのトラックバック", f"閲覧数：{draw.randrange(10**5)}"]
    )


def mojibake(text: str, draw: random.Random) -> str:
    return text[:3000].encode().decode("cp1252", "replace").replace("\n\n", "\n")


JUNK = (navigation, keywords, template, copy, mojibake)


def raw_texts(data: Path) -> Iterator[tuple[str, str | None]]:
    """Documents, with what kind they are by the list, and junk, whose kind is None."""
    kinds = [row["kind"] if row["lang"] == "ja" else "other" for row in truth(data)]
    draw = random.Random(1)
    for number, (text, kind) in enumerate(zip(documents(data).texts(), kinds, strict=True)):
        text = text.replace("\r", "")
        yield text, kind
        if number % 2:
            made = JUNK[number // 2 % len(JUNK)](text, draw)
            yield "\n".join(line for line in made.split("\n") if line.strip()) or "一覧", None


# -- the three sets


def prepared(data: Path, scratch: Path) -> dict[str, dict[str, int]]:
    """Build, and write `<scratch>/{raw,kept,dropped}` as corpora with token shards; returns counts."""
    told = scratch / "counts.json"
    if told.is_file():
        return json.loads(told.read_text())
    scratch.mkdir(parents=True, exist_ok=True)
    offsets, kinds, texts, at = [], [], [], 0
    with open(scratch / "raw.txt", "wb") as file:
        for text, kind in raw_texts(data):
            encoded = text.strip("\n").encode()
            offsets.append(at)
            kinds.append(kind or "junk")
            texts.append(text)
            at += file.write(encoded + b"\n\n")
    out = scratch / "corpus"
    options = ["tokenizer.vocab_size=8000", "tokenizer.model=bpe", f"tokenizer.sequence_length={LENGTH}"]
    subprocess.run(
        build_command(scratch / "raw.txt", out, *(x for option in options for x in ("--set", option))), check=True, cwd=ROOT
    )
    ledger = pl.read_parquet(out / "ledger" / "*.parquet", columns=["id", "verdict", "cluster_id"])
    written = pl.read_parquet(out / "data" / "*.parquet", columns=["id", "text"])
    raw = pl.DataFrame({"offset": offsets, "kind": kinds, "raw": texts}, schema_overrides={"offset": pl.Int64})
    ledger = ledger.with_columns(offset=pl.col("id").str.split("/").list.last().cast(pl.Int64))
    frame = ledger.join(raw, on="offset", how="left").join(written, on="id", how="left")
    assert frame["raw"].null_count() == 0 and len(frame) == len(raw), "a record is missing"
    chosen = pl.Series([hashlib.sha256(i.encode()).digest()[0] * 50 < 256 for i in frame["id"]])
    held = frame.filter(chosen & pl.col("kind").is_in(CLEAN))
    cluster = pl.coalesce("cluster_id", "id")
    rest = frame.filter(~cluster.is_in(held.select(cluster).to_series().implode()))
    held, rest = (f.with_columns(raw=normalise(f["raw"])) for f in (held, rest))
    sets = {
        "raw": rest["raw"],
        "kept": rest.filter(pl.col("verdict") == "kept")["text"],
        "dropped": rest.filter(pl.col("verdict") != "kept")["raw"],
    }
    counts = {}
    for name, column in sets.items():
        (scratch / name / "data").mkdir(parents=True, exist_ok=True)
        for split, rows in (("train", column), ("validation", held["raw"])):
            pl.DataFrame({"text": rows}).write_parquet(
                scratch / name / "data" / f"{split}-00000-of-00001.parquet", row_group_size=1024
            )
        command = [sys.executable, "-m", "tokenizer.encode", str(scratch / name), "--tokenizer", str(out / "tokenizer")]
        subprocess.run([*command, "--sequence-length", str(LENGTH), "--overwrite"], check=True, cwd=ROOT)
        counts[name] = {"documents": len(column), "characters": int(column.str.len_chars().sum())}
    counts["held out"] = {"documents": len(held), "characters": int(held["raw"].str.len_chars().sum())}
    by_kind = frame.group_by(pl.col("kind") == "junk", pl.col("verdict") == "kept").agg(pl.len()).rows()
    counts["junk"] = {("kept" if kept else "not kept"): n for junk, kept, n in by_kind if junk}
    told.write_text(json.dumps(counts))
    return counts


def trained(scratch: Path, name: str, seed: int, steps: int) -> list[float]:
    """Bits per character on held-out text, at each evaluation."""
    out = scratch / "runs" / f"{name}-{seed}-{steps}"
    if not (out / "model").is_dir():
        settings = [f"train.steps={steps}", f"train.seed={seed}", f"train.evaluate_every={steps // 4}", "train.evaluate_records=1500",
                    f"train.save_every={steps}", "train.log_every=50", f"train.warmup={steps // 10}",
                    *(f"model.{kind}_pdrop=0.1" for kind in ("attn", "embd", "resid"))]  # fmt: skip
        command = [
            sys.executable,
            "-m",
            "trainers.gpt",
            str(scratch / name),
            "--tokenizer",
            str(scratch / "corpus" / "tokenizer"),
        ]
        command += ["--config", "tiny", "--out", str(out), *(x for setting in settings for x in ("--set", setting))]
        resume = ["--resume"] if (out / "checkpoints").is_dir() else []
        subprocess.run([*command, *resume], check=True, cwd=ROOT, env=os.environ | {"TOKENIZERS_PARALLELISM": "false"})
    lines = map(json.loads, (out / "metrics.jsonl").read_text("utf-8").splitlines())
    return [line["bits_per_character"] for line in lines if line["split"] == "validation"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "seimai-curation")
    parser.add_argument("--steps", type=int, default=400, help="of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    scratch = options.scratch.absolute()
    counts = prepared(options.data, scratch)
    rows = []
    for name in SETS:
        runs = [trained(scratch, name, seed, options.steps) for seed in options.seeds]
        ends = [run[-1] for run in runs]
        halfway = sum(run[len(run) // 2 - 1] for run in runs) / len(runs)
        rows.append([
            name, f"{counts[name]['documents']:,}", f"{counts[name]['characters'] / 1e6:.1f} M", f"{halfway:.3f}",
            *(f"{end:.3f}" for end in ends), f"{sum(ends) / len(ends):.3f}",
        ])  # fmt: skip
    header = ["trained on", "documents", "characters", "halfway, mean", *(f"seed {seed}" for seed in options.seeds), "mean"]
    print(f"junk: {counts['junk']}; held out: {counts['held out']}; {options.steps} steps of 8 × {LENGTH} tokens\n")
    print("Bits per character on held-out clean text:\n")
    print(table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
