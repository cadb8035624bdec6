"""Does curation pay? The same tiny GPT on raw, on kept and on dropped text, judged on clean text that none of them has.

    python -m benchmarks.curation [--steps 400] [--seeds 1 2 3]

Raw is every other document of `ja.txt.xz`, and after each as many characters of junk, since most of what is on the web is missing in
it: of 793 paragraphs of mC4, Common Crawl's Japanese by language alone, people call 379 bad (48 %). Junk is of these kinds in equal
number, made from words of the documents themselves, and of the kinds of `benchmarks/fresh_junk.py`. None of its makers had a part in the
models that judge it:

| kind | |
|---|---|
| navigation | lines of one or two words with separators: menus, categories, calendars, counters |
| keywords | the same few search words over and over, in changing order |
| template | one of forty sales pages with another name and price in it |
| copy | a document of the corpus with another header and footer and every twentieth line missing: a mirror |
| mojibake | a document's UTF-8 read as Windows-1252 |

`pipeline.build cc100-ja` decides what is kept. Held out is one document in twenty-five (by a hash) of prose, statutes and encyclopedia by
the list that comes with the data, whatever Seimai thinks of it, and so is every other document of its duplicate cluster. One tokenizer
for all, trained on kept text. Every run has the same model, steps, tokens per step and seeds; bits per character do not depend on the
tokenizer. Kept text is as the build wrote it; raw, dropped and held-out text are normalised as the build does, and otherwise as they came:
else U+3000 and wide brackets, which kept text has none of, would decide.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from benchmarks import fresh_junk
from benchmarks.corpus import read_documents, read_truth
from benchmarks.harness import build_command, finish, format_table, make_parser, parse_options, run_command
from filters.text.normalisation import normalise

CLEAN = ("aozora", "statutes", "wikipedia")  # prose, statutes, encyclopedia
SETS = ("raw", "kept", "dropped")
LENGTH = 256  # tokens of a sequence
HELD_OUT = 256 / 25  # of a byte: one document in twenty-five


# -- junk


def find_words(text: str) -> list[str]:
    return [w for w in text.replace("。", " ").replace("、", " ").replace("\n", " ").split() if 2 <= len(w) <= 12] or ["一覧"]


def make_navigation(text: str, draw: random.Random) -> str:
    words, marks = find_words(text), ["｜", " > ", " / ", "・", "（12）", "［詳細］", "▲", "»"]
    fixed = ["ホーム", "カテゴリー", "最近の記事", "ログイン", "サイトマップ", "前の月", "次へ", "コメント（0）", "RSS"]
    return "\n".join(
        draw.choice(marks).join(draw.choices([*words, *fixed], k=draw.randint(1, 4))) for _ in range(draw.randint(20, 80))
    )


def make_keywords(text: str, draw: random.Random) -> str:
    few = draw.sample(find_words(text) * 6, 6)
    return "\n".join(
        " ".join(draw.sample(few, 6)) + draw.choice(["", " 激安", " 送料無料", " 口コミ"]) for _ in range(draw.randint(10, 60))
    )


def make_template(text: str, draw: random.Random) -> str:
    page = random.Random(draw.randrange(40))
    lines = [
        "".join(page.choices("格安人気商品限定販売通販公式最新情報比較おすすめランキング特価", k=page.randint(8, 40)))
        for _ in range(30)
    ]
    lines[::5] = [f"{draw.choice(find_words(text))} {draw.randrange(100, 99999):,}円（税込）"] * len(lines[::5])
    return "\n".join(lines)


def make_copy(text: str, draw: random.Random) -> str:
    lines = [line for i, line in enumerate(text.split("\n")) if i % 20 != 19]
    return "\n".join(
        [f"転載 {draw.randrange(10**6)}", *lines, "この記事へのトラックバック", f"閲覧数：{draw.randrange(10**5)}"]
    )


def make_mojibake(text: str, draw: random.Random) -> str:
    return text[:3000].encode().decode("cp1252", "replace").replace("\n\n", "\n")


JUNK = (make_navigation, make_keywords, make_template, make_copy, make_mojibake, *fresh_junk.KINDS.values())
PART = 2000  # characters of a document that a piece of junk is made from


def make_junk(text: str, number: int, draw: random.Random) -> str:
    """Return about as many characters of junk as a document has, of the kind whose turn it is."""
    maker = JUNK[number % len(JUNK)]
    if maker in (make_copy, make_mojibake):
        return maker(text, draw)
    junk, at = "", 0
    while len(junk) < 0.8 * len(text):
        junk += maker(text[at : at + PART], draw) + "\n"
        at = (at + PART) % max(1, len(text) - PART)
    return junk[: len(text)]


class RawDocument(NamedTuple):
    """A document with its kind by the list, or junk."""

    text: str
    kind: str


def mix_in_junk(data: Path) -> Iterator[RawDocument]:
    kinds = [row["kind"] if row["lang"] == "ja" else "other" for row in read_truth(data)]
    draw = random.Random(1)
    for number, (text, kind) in enumerate(zip(read_documents(data).texts(), kinds, strict=True)):
        text = text.replace("\r", "")
        if number % 2:
            yield RawDocument(text, kind)
            junk = make_junk(text, number // 2, draw)
            yield RawDocument("\n".join(line for line in junk.split("\n") if line.strip()) or "一覧", "junk")


# -- the three sets


def build_raw(data: Path, scratch: Path, options: Sequence[str]) -> pl.DataFrame:
    """Build the raw text into `<scratch>/corpus`; returns its ledger with the kind and the raw and written text of each record."""
    offsets, documents, at = [], [], 0
    with open(scratch / "raw.txt", "wb") as file:
        for document in mix_in_junk(data):
            offsets.append(at)
            documents.append(document)
            at += file.write(document.text.strip("\n").encode() + b"\n\n")
    out = scratch / "corpus"
    run_command(build_command("cc100-ja", scratch / "raw.txt", out, *options))
    ledger = pl.read_parquet(out / "ledger" / "*.parquet", columns=["id", "verdict", "cluster_id"])
    written = pl.read_parquet(out / "data" / "*.parquet", columns=["id", "text"])
    raw = pl.DataFrame(
        {"offset": offsets, "kind": [d.kind for d in documents], "raw": [d.text for d in documents]},
        schema_overrides={"offset": pl.Int64},
    )
    ledger = ledger.with_columns(offset=pl.col("id").str.split("/").list.last().cast(pl.Int64))
    frame = ledger.join(raw, on="offset", how="left").join(written, on="id", how="left")
    assert frame["raw"].null_count() == 0 and len(frame) == len(raw), "a record is missing"
    return frame.with_columns(raw=normalise(frame["raw"]))


def write_set(scratch: Path, name: str, train: pl.Series, held_out: pl.Series, length: int) -> None:
    """Write `<scratch>/<name>` as a corpus with token shards."""
    (scratch / name / "data").mkdir(parents=True, exist_ok=True)
    for split, texts in (("train", train), ("validation", held_out)):
        path = scratch / name / "data" / f"{split}-00000-of-00001.parquet"
        pl.DataFrame({"text": texts}).write_parquet(path, row_group_size=1024)
    tokenizer = str(scratch / "corpus" / "tokenizer")
    command = [sys.executable, "-m", "tokenizer.encode", str(scratch / name), "--tokenizer", tokenizer]
    run_command([*command, "--sequence-length", str(length), "--overwrite"])


def count_texts(texts: pl.Series) -> dict[str, int]:
    return {"documents": len(texts), "characters": int(texts.str.len_chars().sum())}


def prepare_sets(data: Path, scratch: Path, names: Sequence[str], vocabulary: int, length: int) -> dict[str, dict[str, int]]:
    """Build, and write the sets, unless they are there; returns counts."""
    note = scratch / "counts.json"
    if note.is_file():
        known: dict[str, dict[str, int]] = json.loads(note.read_text())
        return known
    settings = [f"tokenizer.vocab_size={vocabulary}", "tokenizer.model=bpe", f"tokenizer.sequence_length={length}"]
    frame = build_raw(data, scratch, [*(word for setting in settings for word in ("--set", setting))])
    chosen = pl.Series([hashlib.sha256(record.encode()).digest()[0] < HELD_OUT for record in frame["id"]])
    held_out = frame.filter(chosen & pl.col("kind").is_in(CLEAN))
    cluster = pl.coalesce("cluster_id", "id")
    rest = frame.filter(~cluster.is_in(held_out.select(cluster).to_series().implode()))
    sets = {
        "raw": rest["raw"],
        "kept": rest.filter(pl.col("verdict") == "kept")["text"],
        "dropped": rest.filter(pl.col("verdict") != "kept")["raw"],
    }
    for name in names:
        write_set(scratch, name, sets[name], held_out["raw"], length)
    counts = {name: count_texts(texts) for name, texts in sets.items()} | {"held out": count_texts(held_out["raw"])}
    by_kind = frame.group_by(pl.col("kind") == "junk", pl.col("verdict") == "kept").agg(pl.len()).rows()
    counts["junk"] = {("kept" if kept else "not kept"): n for junk, kept, n in by_kind if junk}
    note.write_text(json.dumps(counts))
    return counts


def train(scratch: Path, name: str, seed: int, steps: int, changes: Sequence[str]) -> list[float]:
    """Train unless it is done; returns bits per character on held-out text at each evaluation."""
    out = scratch / "runs" / f"{name}-{seed}-{steps}"
    if not (out / "model").is_dir():
        settings = [
            f"train.steps={steps}", f"train.seed={seed}", f"train.evaluate_every={steps // 4}", "train.evaluate_records=1500",
            f"train.save_every={steps}", "train.log_every=50", f"train.warmup={steps // 10}",
            *(f"model.{kind}_pdrop=0.1" for kind in ("attn", "embd", "resid")), *changes,
        ]  # fmt: skip
        tokenizer = str(scratch / "corpus" / "tokenizer")
        command = [sys.executable, "-m", "trainers.gpt", str(scratch / name), "--tokenizer", tokenizer, "--config", "tiny"]
        command += ["--out", str(out), *(word for setting in settings for word in ("--set", setting))]
        resume = ["--resume"] if (out / "checkpoints").is_dir() else []
        run_command([*command, *resume], {"TOKENIZERS_PARALLELISM": "false"})
    lines = map(json.loads, (out / "metrics.jsonl").read_text("utf-8").splitlines())
    return [line["bits_per_character"] for line in lines if line["split"] == "validation"]


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--steps", type=int, default=400, help="of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--sets", choices=SETS, nargs="+", default=SETS, help="what is trained on (default: all)")
    options = parse_options(parser, "curation", {"steps": 4, "seeds": [1], "sets": ["kept"]})
    vocabulary, length = (2500, 64) if options.smoke else (8000, LENGTH)
    changes = ["model.n_layer=1", "model.n_embd=32", "model.n_head=2", "train.batch=2"] if options.smoke else []
    scratch = options.scratch
    counts = prepare_sets(options.data, scratch, options.sets, vocabulary, length)
    rows = []
    for name in options.sets:
        runs = [train(scratch, name, seed, options.steps, changes) for seed in options.seeds]
        ends = [run[-1] for run in runs]
        halfway = sum(run[len(run) // 2 - 1] for run in runs) / len(runs)
        rows.append([
            name, f"{counts[name]['documents']:,}", f"{counts[name]['characters'] / 1e6:.1f} M", f"{halfway:.3f}",
            *(f"{end:.3f}" for end in ends), f"{sum(ends) / len(ends):.3f}",
        ])  # fmt: skip
    header = ["trained on", "documents", "characters", "halfway, mean", *(f"seed {seed}" for seed in options.seeds), "mean"]
    print(f"junk: {counts['junk']}; held out: {counts['held out']}; {options.steps} steps of 8 × {length} tokens\n")
    print("Bits per character on held-out clean text:\n")
    print(format_table(header, rows))
    return finish([], options.smoke)


if __name__ == "__main__":
    sys.exit(main())
