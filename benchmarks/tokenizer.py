"""Tokenizers: how densely they encode, whether everything agrees, what training takes, and how fast text becomes token shards.

    python -m benchmarks.tokenizer density     # our settings beside each other and beside published models
    python -m benchmarks.tokenizer exactness   # Hugging Face's ids, and what comes back, on real documents
    python -m benchmarks.tokenizer memory      # training with --memory 4GB, on 0.25 and on 2 GB of text
    python -m benchmarks.tokenizer speed       # encode and pack, beside SentencePiece and Hugging Face

Everything is trained on `ja.txt.xz` as the manifest cc100-ja builds it, without its pages of Common Crawl: these, and the Japanese NTREX
sentences, are what density is measured on. What takes long (corpora, models) is kept in `--scratch`. Each part prints its table and
exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.corpus import ROOT, add_data_option, build_command, documents, folder, median, table, truth
from benchmarks.pairs import watched

MEGABYTES = 60  # of text that models are trained on
# Name, bytes of text in MB, and what is set otherwise than by default.
SETTINGS: list[tuple[str, int, dict[str, Any]]] = [
    ("unigram 32k", 60, {}),
    ("unigram 32k, MeCab", 60, {"words": "mecab"}),
    ("unigram 32k, Sudachi", 60, {"words": "sudachi"}),
    ("unigram 32k, scripts mixed", 60, {"split_scripts": False}),
    ("BPE 32k", 60, {"model": "bpe"}),
    ("BPE 32k, MeCab", 60, {"model": "bpe", "words": "mecab"}),
    ("BPE 32k, Sudachi", 60, {"model": "bpe", "words": "sudachi"}),
    ("unigram 100k", 60, {"vocab_size": 100_000}),
    ("BPE 100k", 60, {"model": "bpe", "vocab_size": 100_000}),
]
BARS = {"unigram 32k": 1.75, "unigram 100k": 2.0}  # characters per token of news
PUBLISHED = Path("../shared/data/tokenizers")


def corpus_of(data: Path, scratch: Path) -> Path:
    """A build of `ja.txt.xz` without the pages of Common Crawl."""
    out = scratch / "cc100-ja"
    if not (out / "ledger").is_dir():
        raw = lzma.decompress((folder(data) / "ja.txt.xz").read_bytes())
        rows = [row for row in truth(data) if row["kind"] != "oscar"]
        text = scratch / "ja.txt"
        text.write_bytes(b"\n\n".join(raw[r["offset"] : r["offset"] + r["bytes"]] for r in rows) + b"\n")
        subprocess.run(build_command(text, out), check=True, cwd=ROOT)
    return out


def held_out(data: Path) -> dict[str, list[str]]:
    """News sentences, and pages of Common Crawl as they were."""
    with gzip.open(folder(data).parent / "language" / "labelled.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    crawl = {row["offset"] for row in truth(data) if row["kind"] == "oscar" and row["lang"] == "ja"}
    return {
        "news": [row["text"] for row in rows if row["set"] == "ntrex" and row["lang"] == "ja"],
        "crawl": documents(data, wanted=crawl).texts(),
    }


def trained(name: str, megabytes: int, changed: dict[str, Any], corpus: Path, scratch: Path) -> tuple[Path, dict[str, Any]]:
    """A model and what its training took; from `scratch` where it is there."""
    from tokenizer.fitting import fit
    from tokenizer.model import finished
    from tokenizer.sample import Source, draw
    from tokenizer.settings import Training
    from tokenizer.texts import Texts
    from tokenizer.words import DELIMITER

    models = scratch / "models"
    models.mkdir(parents=True, exist_ok=True)
    model, told = models / f"{name}.model", models / f"{name}.json"
    if not told.is_file():
        print(f"  training {name}", file=sys.stderr)
        settings, text = Training(**changed), models / f"{name}.text"
        sample = draw([Source("ja", Texts.find(corpus, "train"))], megabytes * 1_000_000, settings.seed, text)
        began = time.perf_counter()
        fitted = fit(settings, text)
        seconds = time.perf_counter() - began
        model.write_bytes(finished(fitted.content, DELIMITER if settings.words != "none" else ""))
        text.unlink()
        told.write_text(json.dumps({"bytes": sample.bytes, "seconds": seconds, "peak": fitted.peak_memory}))
    return model, json.loads(told.read_text())


def density(data: Path, scratch: Path) -> int:
    from tokenizer.evaluate import evaluated, opened

    corpus, texts = corpus_of(data, scratch), held_out(data)
    rows, missed = [], 0
    found: list[tuple[str, Path, dict[str, Any]]] = [
        (name, *trained(name, megabytes, changed, corpus, scratch)) for name, megabytes, changed in SETTINGS
    ]
    found += [(path.stem, path, {}) for path in sorted((ROOT / PUBLISHED).glob("*.model"))]
    for name, path, told in found:
        model = opened(path)
        news, crawl = (evaluated(model, texts[kind]) for kind in ("news", "crawl"))
        rows.append([
            name, f"{news['vocab_size']:,}", *(f"{r['characters_per_token']:.3f}" for r in (news, crawl)),
            f"{news['renyi_efficiency']:.3f}", f"{crawl['fallback_share']:.3%}", f"{crawl['round_trip']:.1%}",
            f"{news['joyo_share']:.1%}", *([f"{told['seconds']:.0f} s", f"{told['peak'] / 1e9:.1f} GB"] if told else ["", ""]),
        ])  # fmt: skip
        if name in BARS and news["characters_per_token"] < BARS[name]:
            missed += 1
            print(f"MISSED {name}: {news['characters_per_token']:.3f} characters per token of news, at least {BARS[name]}")
    header = ["tokenizer", "pieces", "news", "crawl", "Rényi", "by bytes", "round trip", "常用漢字", "training", "memory"]
    print(table(header, rows))
    return missed


def exactness(data: Path, scratch: Path, count: int) -> int:
    """On `count` documents Hugging Face's ids are SentencePiece's; every raw document comes back as it was."""
    from transformers import AutoTokenizer

    from filters.kernels import buffers
    from tokenizer.export import export
    from tokenizer.model import Tokenizer

    corpus, rows, failures = corpus_of(data, scratch), [], 0
    raw = documents(data).texts()
    kept = pl.read_parquet(str(corpus / "data" / "*.parquet"), columns=["text"])["text"].gather_every(2).head(count)
    for name, megabytes, changed in SETTINGS:
        if name not in ("unigram 32k", "BPE 32k"):
            continue
        tokenizer = Tokenizer.load(trained(name, megabytes, changed, corpus, scratch)[0])
        with tempfile.TemporaryDirectory() as place:
            export(tokenizer, Path(place))
            other = AutoTokenizer.from_pretrained(place)
            ours, ends = tokenizer.encode(*buffers(kept))
            texts, differ, theirs, back = kept.to_list(), 0, 0, 0
            for at in range(0, len(texts), 500):
                batch = texts[at : at + 500]
                reference = tokenizer.processor.encode(batch, return_type="numpy")
                for i, (ids, sp) in enumerate(zip(other(batch, add_special_tokens=False)["input_ids"], reference, strict=True)):
                    differ += not np.array_equal(ids, sp)
                    theirs += not np.array_equal(ours[ends[at + i] : ends[at + i + 1]], sp)
                    back += other.decode(ids) != batch[i]
        lost = 0
        for at in range(0, len(raw), 1000):
            batch = raw[at : at + 1000]
            ids, ends = tokenizer.encode(*buffers(pl.Series(batch)))
            lost += sum(tokenizer.decode(ids[a:b]) != text for a, b, text in zip(ends, ends[1:], batch, strict=False))
        rows.append([name, f"{len(texts):,}", f"{differ:,}", f"{theirs:,}", f"{back:,}", f"{len(raw):,}", f"{lost:,}"])
        failures += differ + theirs + back + lost
    header = ["model", "documents", "Hugging Face differs", "ours differs", "not back (HF)", "raw documents", "not back"]
    print(table(header, rows))
    return failures


def _copies(corpus: Path, out: Path, gigabytes: float) -> Path:
    """A corpus of so much text: the shards of another, over and over. Training draws by line number, so copies are no bother."""
    size = sum(pl.read_parquet(p, columns=["text"])["text"].str.len_bytes().sum() for p in (corpus / "data").glob("train-*"))
    count = max(1, round(gigabytes * 1e9 / size))
    if not (out / "data").is_dir():
        (out / "data").mkdir(parents=True)
        shards = sorted((corpus / "data").glob("train-*.parquet"))
        for copy in range(count):
            for number, shard in enumerate(shards):
                shutil.copy(
                    shard, out / "data" / f"train-{copy * len(shards) + number:05d}-of-{count * len(shards):05d}.parquet"
                )
    return out


def memory(data: Path, scratch: Path, models: list[str]) -> int:
    corpus, rows, missed = corpus_of(data, scratch), [], 0
    for model in models:
        for size in (0.25, 2.0):
            source = _copies(corpus, scratch / f"copies-{size:g}", size)
            out = scratch / "trained"
            shutil.rmtree(out, ignore_errors=True)
            command = [
                sys.executable,
                "-m",
                "tokenizer.train",
                str(source),
                "--memory",
                "4GB",
                "--model",
                model,
                "--out",
                str(out),
            ]
            seconds, together, largest, _ = watched(command)
            told = json.loads((out / "training.json").read_text())
            rows.append([
                model, f"{told['sample']['corpora'][0]['bytes'] / 1e9:.2f} GB", f"{told['sample']['bytes'] / 1e6:.0f} MB",
                f"{seconds:.0f} s", f"{largest / 1e9:.2f} GB", f"{together / 1e9:.2f} GB",
            ])  # fmt: skip
            missed += together >= 4e9
            print("  " + " | ".join(rows[-1]), file=sys.stderr)
    print(table(["model", "corpus", "drawn", "time", "largest process", "together"], rows))
    return missed


# -- speed


def _sentencepiece(model: Path, shards: list[Path]) -> tuple[float, int]:
    """Seconds in SentencePiece alone, with two threads, and tokens: texts are in memory as it wants them before the clock starts."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    seconds, tokens = 0.0, 0
    for shard in shards:
        texts = pl.read_parquet(shard, columns=["text"])["text"].to_list()
        for at in range(0, len(texts), 2048):
            batch = texts[at : at + 2048]
            began = time.perf_counter()
            ids = processor.encode(batch, num_threads=2)
            seconds += time.perf_counter() - began
            tokens += sum(map(len, ids))
    return seconds, tokens


def _mapped(batch: dict[str, list[str]], path: str) -> dict[str, list[list[int]]]:
    from transformers import AutoTokenizer

    tokenizer = _mapped.__dict__.setdefault(path, None) or AutoTokenizer.from_pretrained(path)
    _mapped.__dict__[path] = tokenizer
    return {"input_ids": tokenizer(batch["text"], add_special_tokens=False)["input_ids"]}


def _hugging_face(path: Path, shard: Path, place: Path) -> tuple[float, int]:
    """Seconds of `datasets.map` with the fast tokenizer, two processes, and tokens; without packing."""
    import datasets

    loaded = datasets.load_dataset("parquet", data_files=str(shard), split="train", cache_dir=str(place))
    began = time.perf_counter()
    mapped = loaded.map(
        partial(_mapped, path=str(path)),
        batched=True,
        num_proc=2,
        remove_columns=loaded.column_names,
        load_from_cache_file=False,
    )
    seconds = time.perf_counter() - began
    return seconds, sum(len(ids) for ids in mapped["input_ids"])


def speed(data: Path, scratch: Path, gigabytes: float, rounds: int) -> int:
    from tokenizer.export import export
    from tokenizer.model import Tokenizer

    corpus = corpus_of(data, scratch)
    source = _copies(corpus, scratch / f"copies-{gigabytes:g}", gigabytes)
    shards = sorted((source / "data").glob("*.parquet"))
    size = sum(pl.read_parquet(p, columns=["text"])["text"].str.len_bytes().sum() for p in shards) / 1e6
    small = shards[-1]
    small_size = pl.read_parquet(small, columns=["text"])["text"].str.len_bytes().sum() / 1e6
    rows, missed = [], 0
    for name, changed in (("unigram 32k", {}), ("BPE 32k", {"model": "bpe"})):
        model = trained(name, MEGABYTES, changed, corpus, scratch)[0]
        place = scratch / "exported"
        export(Tokenizer.load(model), place)
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            out = scratch / "tokens"
            shutil.rmtree(out, ignore_errors=True)
            command = [
                sys.executable,
                "-m",
                "tokenizer.encode",
                str(source),
                "--tokenizer",
                str(place),
                "--out",
                str(out),
                "--workers",
                "2",
            ]
            times.setdefault("ours", []).append(watched(command)[0])
            counts = json.loads((out / "tokens.json").read_text())["splits"]["train"]
            seconds, tokens = _sentencepiece(model, shards)
            times.setdefault("SentencePiece", []).append(seconds)
            if tokens != counts["tokens"]:
                raise SystemExit(f"not the same work: {tokens:,} tokens of SentencePiece, {counts['tokens']:,} of ours")
            print(f"  {name}: {times}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as cache:
            seconds, _ = _hugging_face(place, small, Path(cache))
        rates = {key: size / median(of) for key, of in times.items()} | {"Hugging Face": small_size / seconds}
        share, faster = rates["ours"] / rates["SentencePiece"], rates["ours"] / rates["Hugging Face"]
        rows.append(
            [name, *(f"{rates[key]:.1f}" for key in ("ours", "SentencePiece", "Hugging Face")), f"{share:.2f}", f"{faster:.1f}"]
        )
        if name == "unigram 32k":
            missed += (share < 0.8) + (faster < 3)
    print(f"{size / 1000:.2f} GB of text in {len(shards)} shards, {rounds} rounds, MB/s\n")
    print(
        table(
            ["model", "encode and pack", "SentencePiece.encode", "datasets.map", "ours / SentencePiece", "ours / datasets"],
            rows,
        )
    )
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["density", "exactness", "memory", "speed"])
    add_data_option(parser)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "seimai-tokenizer")
    parser.add_argument("--documents", type=int, default=20_000, help="of exactness (default: %(default)s)")
    parser.add_argument("--models", nargs="+", default=["unigram", "bpe"], help="of memory (default: both)")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of speed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of speed (default: %(default)s)")
    options = parser.parse_args()
    scratch = options.scratch.absolute()
    scratch.mkdir(parents=True, exist_ok=True)
    if options.part == "density":
        missed = density(options.data, scratch)
    elif options.part == "exactness":
        missed = exactness(options.data, scratch, options.documents)
    elif options.part == "memory":
        missed = memory(options.data, scratch, options.models)
    else:
        missed = speed(options.data, scratch, options.gigabytes, options.rounds)
    print(f"\n{'held' if not missed else 'MISSED'}: {options.part}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
