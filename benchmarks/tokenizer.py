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
import json
import lzma
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from benchmarks.corpus import build_corpus, read_documents, read_labelled, read_truth, text_file
from benchmarks.harness import (
    Bar,
    build_command,
    finish,
    format_table,
    make_parser,
    median,
    parse_options,
    print_progress,
    run_command,
    watch,
)
from filters.kernels import buffers
from tokenizer.evaluate import evaluate, open_tokenizer
from tokenizer.export import export
from tokenizer.fitting import fit
from tokenizer.model import Tokenizer, finish_model
from tokenizer.sample import WeightedCorpus, draw_sample
from tokenizer.settings import Training
from tokenizer.texts import Texts
from tokenizer.words import DELIMITER

MEGABYTES = 60  # of text that models are trained on
PARTS = ("density", "exactness", "memory", "speed")
# By name, what is set otherwise than by default.
SETTINGS: dict[str, dict[str, Any]] = {
    "unigram 32k": {},
    "unigram 32k, MeCab": {"words": "mecab"},
    "unigram 32k, Sudachi": {"words": "sudachi"},
    "unigram 32k, scripts mixed": {"split_scripts": False},
    "BPE 32k": {"model": "bpe"},
    "BPE 32k, MeCab": {"model": "bpe", "words": "mecab"},
    "BPE 32k, Sudachi": {"model": "bpe", "words": "sudachi"},
    "unigram 100k": {"vocab_size": 100_000},
    "BPE 100k": {"model": "bpe", "vocab_size": 100_000},
}
COMPARED = ("unigram 32k", "BPE 32k")  # by exactness and speed
SMOKE_SETTINGS = {"unigram 32k": {"vocab_size": 2500}}
BARS = {"unigram 32k": 1.75, "unigram 100k": 2.0}  # characters per token of news


class Work(NamedTuple):
    """What all parts work on."""

    data: Path
    scratch: Path
    corpus: Path  # a build of the text without the pages of Common Crawl
    settings: dict[str, dict[str, Any]]


class TrainedModel(NamedTuple):
    path: Path
    seconds: float
    peak_memory: int  # bytes


def build_without_crawl(data: Path, out: Path) -> Path:
    if not (out / "ledger").is_dir():
        raw = lzma.decompress(text_file(data).read_bytes())
        rows = [row for row in read_truth(data) if row["kind"] != "oscar"]
        text = out.with_suffix(".txt")
        text.write_bytes(b"\n\n".join(raw[row["offset"] : row["offset"] + row["bytes"]] for row in rows) + b"\n")
        run_command(build_command("cc100-ja", text, out))
    return out


def read_held_out(data: Path) -> dict[str, list[str]]:
    """News sentences, and pages of Common Crawl as they were."""
    crawl = {row["offset"] for row in read_truth(data) if row["kind"] == "oscar" and row["lang"] == "ja"}
    return {
        "news": [row["text"] for row in read_labelled(data) if row["set"] == "ntrex" and row["lang"] == "ja"],
        "crawl": read_documents(data, offsets=crawl).texts(),
    }


def train(work: Work, name: str) -> TrainedModel:
    """Train a model, unless it is in the scratch folder."""
    models = work.scratch / "models"
    models.mkdir(parents=True, exist_ok=True)
    model, note = models / f"{name}.model", models / f"{name}.json"
    if not note.is_file():
        print_progress(f"training {name}")
        settings, text = Training(**work.settings[name]), models / f"{name}.text"
        draw_sample([WeightedCorpus("ja", Texts.find(work.corpus, "train"))], MEGABYTES * 1_000_000, settings.seed, text)
        began = time.perf_counter()
        fitted = fit(settings, text)
        seconds = time.perf_counter() - began
        model.write_bytes(finish_model(fitted.content, DELIMITER if settings.words != "none" else ""))
        text.unlink()
        note.write_text(json.dumps({"seconds": seconds, "peak": fitted.peak_memory}))
    known = json.loads(note.read_text())
    return TrainedModel(model, known["seconds"], known["peak"])


def count_bytes(shards: list[Path]) -> int:
    """Bytes of text in shards."""
    return sum(int(pl.read_parquet(path, columns=["text"])["text"].str.len_bytes().sum()) for path in shards)


def measure_density(work: Work) -> list[Bar]:
    texts, rows, bars = read_held_out(work.data), [], []
    trained = {name: train(work, name) for name in work.settings}
    paths = {name: model.path for name, model in trained.items()}
    paths |= {path.stem: path for path in sorted((work.data / "tokenizers").glob("*.model"))}
    for name, path in paths.items():
        model = open_tokenizer(path)
        news, crawl = (evaluate(model, texts[kind]) for kind in ("news", "crawl"))
        cost = [f"{trained[name].seconds:.0f} s", f"{trained[name].peak_memory / 1e9:.1f} GB"] if name in trained else ["", ""]
        rows.append([
            name, f"{news['vocab_size']:,}", *(f"{r['characters_per_token']:.3f}" for r in (news, crawl)),
            f"{news['renyi_efficiency']:.3f}", f"{crawl['fallback_share']:.3%}", f"{crawl['round_trip']:.1%}",
            f"{news['joyo_share']:.1%}", *cost,
        ])  # fmt: skip
        if name in BARS:
            density = news["characters_per_token"]
            bars.append(
                Bar(density >= BARS[name], f"{name}: {density:.3f} characters per token of news, at least {BARS[name]}")
            )
    header = ["tokenizer", "pieces", "news", "crawl", "Rényi", "by bytes", "round trip", "常用漢字", "training", "memory"]
    print(format_table(header, rows))
    return bars


class Differences(NamedTuple):
    """Of how many documents ids or text differ from SentencePiece's."""

    huggingface: int
    ours: int
    decoded: int  # by Hugging Face, from the document


def compare_ids(tokenizer: Tokenizer, texts: list[str]) -> Differences:
    from transformers import AutoTokenizer  # late, as it is slow to import

    with tempfile.TemporaryDirectory() as exported:
        export(tokenizer, Path(exported))
        huggingface = AutoTokenizer.from_pretrained(exported, trust_remote_code=False)
    ids, ends = tokenizer.encode(*buffers(pl.Series(texts)))
    differences = Differences(0, 0, 0)
    for at in range(0, len(texts), 500):
        batch = texts[at : at + 500]
        reference = tokenizer.processor.encode(batch, return_type="numpy")
        for i, theirs in enumerate(huggingface(batch, add_special_tokens=False)["input_ids"]):
            ours = ids[ends[at + i] : ends[at + i + 1]]
            differences = Differences(
                differences.huggingface + (not np.array_equal(theirs, reference[i])),
                differences.ours + (not np.array_equal(ours, reference[i])),
                differences.decoded + (huggingface.decode(theirs) != batch[i]),
            )
    return differences


def count_lost(tokenizer: Tokenizer, texts: list[str]) -> int:
    """How many texts do not come back as they were."""
    lost = 0
    for at in range(0, len(texts), 1000):
        batch = texts[at : at + 1000]
        ids, ends = tokenizer.encode(*buffers(pl.Series(batch)))
        lost += sum(tokenizer.decode(ids[a:b]) != text for a, b, text in zip(ends, ends[1:], batch, strict=False))
    return lost


def check_exactness(work: Work, count: int) -> list[Bar]:
    """On `count` documents Hugging Face's ids are SentencePiece's; every raw document comes back as it was."""
    rows, bars = [], []
    raw = read_documents(work.data).texts()
    kept = pl.read_parquet(str(work.corpus / "data" / "*.parquet"), columns=["text"])["text"].gather_every(2).head(count)
    for name in (name for name in COMPARED if name in work.settings):
        tokenizer = Tokenizer.load(train(work, name).path)
        differences, lost = compare_ids(tokenizer, kept.to_list()), count_lost(tokenizer, raw)
        rows.append([name, f"{len(kept):,}", *(f"{n:,}" for n in differences), f"{len(raw):,}", f"{lost:,}"])
        bars.append(Bar(sum(differences) + lost == 0, f"{name}: {sum(differences) + lost:,} differences"))
    header = ["model", "documents", "Hugging Face differs", "ours differs", "not back (HF)", "raw documents", "not back"]
    print(format_table(header, rows))
    return bars


def multiply(corpus: Path, out: Path, gigabytes: float) -> Path:
    """A corpus of so much text: the shards of another, over and over. Training draws by line number, so copies are no bother."""
    shards = sorted((corpus / "data").glob("train-*.parquet"))
    count = max(1, round(gigabytes * 1e9 / count_bytes(shards)))
    if not (out / "data").is_dir():
        (out / "data").mkdir(parents=True)
        for number, shard in enumerate(shards * count):
            shutil.copy(shard, out / "data" / f"train-{number:05d}-of-{count * len(shards):05d}.parquet")
    return out


def measure_memory(work: Work, models: list[str], sizes: list[float]) -> list[Bar]:
    rows, bars = [], []
    for model in models:
        for size in sizes:
            source = multiply(work.corpus, work.scratch / f"copies-{size:g}", size)
            out = work.scratch / "trained"
            shutil.rmtree(out, ignore_errors=True)
            vocabulary = str(next(iter(work.settings.values())).get("vocab_size", 32_000))
            command = [sys.executable, "-m", "tokenizer.train", str(source), "--vocab-size", vocabulary]
            run = watch([*command, "--memory", "4GB", "--model", model, "--out", str(out)])
            sample = json.loads((out / "training.json").read_text())["sample"]
            rows.append([
                model, f"{sample['corpora'][0]['bytes'] / 1e9:.2f} GB", f"{sample['bytes'] / 1e6:.0f} MB",
                f"{run.seconds:.0f} s", f"{run.peak_process / 1e9:.2f} GB", f"{run.peak_sum / 1e9:.2f} GB",
            ])  # fmt: skip
            bars.append(Bar(run.peak_sum < 4e9, f"{model} on {rows[-1][1]}: {rows[-1][-1]} of memory, less than 4 GB"))
            print_progress(" | ".join(rows[-1]))
    print(format_table(["model", "corpus", "drawn", "time", "largest process", "together"], rows))
    return bars


# -- speed


class Encoded(NamedTuple):
    seconds: float
    tokens: int


def encode_with_ours(source: Path, tokenizer: Path, out: Path) -> Encoded:
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "tokenizer.encode", str(source), "--tokenizer", str(tokenizer), "--out", str(out)]
    run = watch([*command, "--workers", "2"])
    return Encoded(run.seconds, json.loads((out / "tokens.json").read_text())["splits"]["train"]["tokens"])


def encode_with_sentencepiece(model: Path, shards: list[Path]) -> Encoded:
    """Time SentencePiece alone, with two threads: texts are in memory as it wants them before the clock starts."""
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
    return Encoded(seconds, tokens)


LOADED: dict[str, Any] = {}  # tokenizers of a process of datasets.map, by path


def tokenise_batch(batch: dict[str, list[str]], path: str) -> dict[str, list[list[int]]]:
    from transformers import AutoTokenizer  # late, as it is slow to import

    tokenizer = LOADED.setdefault(path, None) or AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    LOADED[path] = tokenizer
    return {"input_ids": tokenizer(batch["text"], add_special_tokens=False)["input_ids"]}


def encode_with_datasets(tokenizer: Path, shard: Path) -> Encoded:
    """Time `datasets.map` with the fast tokenizer and two processes, without packing."""
    import datasets  # late, as it is slow to import

    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset("parquet", data_files=str(shard), split="train", cache_dir=cache)
        began = time.perf_counter()
        mapped = rows.map(
            partial(tokenise_batch, path=str(tokenizer)), batched=True, num_proc=2, remove_columns=rows.column_names,
            load_from_cache_file=False,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return Encoded(seconds, sum(len(ids) for ids in mapped["input_ids"]))


def measure_speed(work: Work, gigabytes: float, rounds: int) -> list[Bar]:
    source = multiply(work.corpus, work.scratch / f"copies-{gigabytes:g}", gigabytes)
    shards = sorted((source / "data").glob("*.parquet"))
    megabytes, last_megabytes = count_bytes(shards) / 1e6, count_bytes(shards[-1:]) / 1e6
    rows, bars = [], []
    for name in (name for name in COMPARED if name in work.settings):
        model = train(work, name).path
        exported = work.scratch / "exported"
        export(Tokenizer.load(model), exported)
        times: dict[str, list[float]] = {"ours": [], "SentencePiece": []}
        for _ in range(rounds):
            ours = encode_with_ours(source, exported, work.scratch / "tokens")
            reference = encode_with_sentencepiece(model, shards)
            if reference.tokens != ours.tokens:
                raise SystemExit(f"not the same work: {reference.tokens:,} tokens of SentencePiece, {ours.tokens:,} of ours")
            times["ours"].append(ours.seconds)
            times["SentencePiece"].append(reference.seconds)
            print_progress(f"{name}: {times}")
        rates = {key: megabytes / median(values) for key, values in times.items()}
        rates["Hugging Face"] = last_megabytes / encode_with_datasets(exported, shards[-1]).seconds
        share, faster = rates["ours"] / rates["SentencePiece"], rates["ours"] / rates["Hugging Face"]
        rows.append([name, *(f"{rate:.1f}" for rate in rates.values()), f"{share:.2f}", f"{faster:.1f}"])
        if name == "unigram 32k":
            bars.append(Bar(share >= 0.8, f"{name}: {share:.2f} of SentencePiece's speed, at least 0.8"))
            bars.append(Bar(faster >= 3, f"{name}: {faster:.1f} times the speed of datasets, at least 3"))
    print(f"{megabytes / 1000:.2f} GB of text in {len(shards)} shards, {rounds} rounds, MB/s\n")
    header = ["encode and pack", "SentencePiece.encode", "datasets.map", "ours / SentencePiece", "ours / datasets"]
    print(format_table(["model", *header], rows))
    return bars


def run_part(part: str, work: Work, options: argparse.Namespace) -> list[Bar]:
    if part == "density":
        return measure_density(work)
    if part == "exactness":
        return check_exactness(work, options.documents)
    if part == "memory":
        return measure_memory(work, options.models, options.sizes)
    return measure_speed(work, options.gigabytes, options.rounds)


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (with --smoke: all by default)")
    parser.add_argument("--documents", type=int, default=20_000, help="of exactness (default: %(default)s)")
    parser.add_argument("--models", nargs="+", default=["unigram", "bpe"], help="of memory (default: both)")
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.25, 2.0], help="of memory, in GB (default: %(default)s)")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of speed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of speed (default: %(default)s)")
    smoke = {"documents": 50, "models": ["unigram"], "sizes": [1e-6], "gigabytes": 1e-6, "rounds": 1}
    options = parse_options(parser, "tokenizer", smoke)
    if not set(options.parts) <= set(PARTS) or not (options.parts or options.smoke):
        parser.error(f"name a part: {', '.join(PARTS)}")
    scratch = options.scratch
    if options.smoke:
        corpus = build_corpus(options.data, options.scratch / "cc100-ja", True)
    else:
        corpus = build_without_crawl(options.data, scratch / "cc100-ja")
    work = Work(options.data, scratch, corpus, SMOKE_SETTINGS if options.smoke else SETTINGS)
    bars = [bar for part in options.parts or PARTS for bar in run_part(part, work, options)]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
