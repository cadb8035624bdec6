"""Peers of benchmarks/peers.py: `python -P text_peers.py NAME SOURCE WARM SCRATCH MODEL` prints JSON.

Each peer reads the JSON lines in a folder, SOURCE, and returns its seconds, how many documents it keeps, and seconds by step.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LANGUAGE = "jpn"
STOP_WORDS = list("のにをはたてがとで年し・月れさ")
DUPLICATE_GRAMS = ((5, 0.243), (6, 0.225), (7, 0.207), (8, 0.190), (9, 0.175), (10, 0.159))
TOP_GRAMS = ((2, 0.239), (3, 0.196), (4, 0.172))
BUCKETS, HASHES_PER_BUCKET = 14, 8


def run_executor(steps: list[Any], logs: Path, tasks: int = 1) -> tuple[float, Any]:
    from datatrove.executor import LocalPipelineExecutor

    executor = LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=1, logging_dir=str(logs), skip_completed=False)
    began = time.perf_counter()
    stats = executor.run()
    return time.perf_counter() - began, stats


def filter_with_datatrove(source: Path, scratch: Path, model: str) -> dict[str, Any]:
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
    seconds, stats = run_executor(steps, scratch / "logs")
    by_step = {
        step.name.encode("ascii", "ignore").decode().split("  ")[-1].strip(): round(step.time_stats.total, 2)
        for step in stats.stats
        if step.time_stats.total
    }
    return {"seconds": seconds, "kept": kept, "by_step": by_step}


def deduplicate_with_datatrove(source: Path, scratch: Path, model: str) -> dict[str, Any]:
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
    taken = [run_executor(steps, scratch / f"logs{i}", tasks)[0] for i, (steps, tasks) in enumerate(stages, 1)]
    removed = sum(file.stat().st_size // 4 for file in Path(clusters).glob("*.remove"))
    record = 8 * HASHES_PER_BUCKET + 4
    signed = [sum(f.stat().st_size for f in Path(signatures).glob(f"bucket_{b:03d}/*")) // record for b in range(BUCKETS)]
    if len(set(signed)) != 1:
        raise SystemExit(f"datatrove signed different numbers of documents per bucket: {signed}")
    by_step = {f"stage {i}": round(seconds, 2) for i, seconds in enumerate(taken, 1)}
    return {"seconds": sum(taken), "kept": signed[0] - removed, "signed": signed[0], "by_step": by_step}


def filter_with_hojichar(source: Path, model: str, everything: bool = False, skipping: bool = True) -> dict[str, Any]:
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
    "datatrove: filters": filter_with_datatrove,
    "datatrove: MinHash": deduplicate_with_datatrove,
    "hojichar: filters": lambda source, scratch, model: filter_with_hojichar(source, model),
    "hojichar: filters, no skipping": lambda source, scratch, model: filter_with_hojichar(source, model, skipping=False),
    "hojichar: all filters": lambda source, scratch, model: filter_with_hojichar(source, model, everything=True),
}


def main(name: str, source: str, warm: str, scratch: str, model: str) -> None:
    """Run a peer twice, over one document and over all; print the second result as the last line."""
    PEERS[name](Path(warm), Path(scratch) / "warm", model)
    print("\n" + json.dumps(PEERS[name](Path(source), Path(scratch) / "all", model), ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
