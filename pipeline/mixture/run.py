"""The steps of a mixture in order, on an engine. Every step skips what an earlier run finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.checksums import check_rows, describe_staged
from pipeline.core.engine import Engine, Task
from pipeline.core.errors import BuildError
from pipeline.core.shards import name_shard
from pipeline.core.storage import link_or_copy, sync_folder
from pipeline.core.tasks import Counts, discard_damaged
from pipeline.core.vouching import list_markers
from pipeline.mixture import duplicates, records, selection, shuffle
from pipeline.mixture.corpora import check_unchanged
from pipeline.mixture.facts import find_warnings, gather_mixture_facts, summarise_sources
from pipeline.mixture.plan import MixturePlan
from pipeline.mixture.records import Partition
from pipeline.mixture.selection import Selected
from pipeline.mixture.tokens import MixtureTokens
from pipeline.modalities.licenses import sum_licenses
from pipeline.publish import publish


def run(plan: MixturePlan, engine: Engine) -> dict[str, Any]:
    """Do what is not done yet and publish it; return the summary, which is also kept in the output folder."""
    began = time.perf_counter()
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[name] = round(time.perf_counter() - start, 2)
        return result

    partitions = records.list_partitions(plan.corpora)
    records.check_parts(plan, engine, partitions)
    discard_damaged(engine, plan.workspace.folder("deduplicate"))
    tokens = MixtureTokens(plan) if plan.manifest.tokenizer else None
    collected = timed("collect", lambda: records.run(plan, engine, partitions))
    layout = records.mixture_layout(plan, partitions, sum(counts["kept"] for counts in collected))
    found = timed("deduplicate", lambda: duplicates.run(plan, engine, layout, partitions))
    duplicates.check_weights(plan, found["lost"])
    if tokens is not None:
        tokenizer = timed("tokenizer", lambda: tokens.prepare(engine))
        timed("count", lambda: tokens.run(engine, partitions, tokenizer))
    selected, candidates = timed("select", lambda: selection.run(plan, engine, partitions))
    written = timed("write", lambda: write(plan, engine, partitions, selected, candidates))
    summary = written | {
        "mixture": [corpus.name for corpus in plan.corpora],
        "fingerprint": plan.output_fingerprint,
        "written": plan.fingerprints["write"],
        "limit": None,
        "duplicates": found,
        "sources": summarise_sources(plan, selected, found),
        "bytes": sum(counts["bytes"] for counts in collected),
        "warnings": find_warnings(plan, selected, found),
        "damaged": [],
        "seconds": round(time.perf_counter() - began, 1),
        "steps_seconds": seconds,
    }
    check_conservation(plan, summary, selected)
    check_rows(
        summary["files"], sum(count for count, _ in summary["splits"].values()), sum(n for n, _ in summary["verdicts"].values())
    )
    if changed := check_unchanged(plan.corpora):
        raise BuildError(f"{', '.join(changed)} was built anew while this mixture was made of it. Run the same command again.")
    summary["peak_memory"] = engine.peak_memory
    publish(plan.workspace, summary, gather_mixture_facts(plan, summary), more_steps=plan.more_steps)
    return summary


def check_conservation(plan: MixturePlan, summary: dict[str, Any], selected: Selected) -> None:
    """Raise BuildError unless every record that a part kept is in the ledger, and every document that was chosen in the shards."""
    kept = sum(corpus.kept[0] for corpus in plan.corpora)
    in_ledger = sum(count for count, _ in summary["verdicts"].values())
    chosen = sum(counts["copies"] for counts in selected.chosen)
    in_shards = sum(documents for documents, _ in summary["splits"].values())
    if (kept, chosen) != (in_ledger, in_shards):
        raise BuildError(
            f"documents were lost: the parts kept {kept:,}, the ledger has {in_ledger:,}; {chosen:,} were chosen, the shards have "
            f"{in_shards:,}. This is a fault of Seimai; please report it with {plan.workspace.state_folder}"
        )


def write(
    plan: MixturePlan, engine: Engine, partitions: Sequence[Partition], selected: Selected, candidates: Sequence[Counts]
) -> dict[str, Any]:
    """Write what is not written yet to the staging folder; return counts by verdict and split, names of shards and ledger files."""
    manifest, workspace = plan.manifest, plan.workspace
    for name in ("data", "ledger", "scattered", "pieces"):
        (workspace.staging / name).mkdir(parents=True, exist_ok=True)
    sizes = [sum(counts[name] for counts in selected.chosen) for name in ("train_bytes", "validation_bytes")]
    groups = shuffle.group_partitions(partitions, [counts["bytes"] for counts in candidates])
    scattering = shuffle.Scattering(
        manifest=manifest,
        sources=tuple(corpus.name for corpus in plan.corpora),
        schema=shuffle.mixture_schema([corpus.schema for corpus in plan.corpora]),
        ranges=shuffle.plan_ranges(sizes[0], sizes[1], manifest.shards.size),
        groups=len(groups),
        records=workspace.folder("deduplicate"),
        selected=workspace.folder("select"),
        folder=workspace.staging,
    )
    progress = engine.step("write", total=2.0 * sum(sizes) or 1.0)
    verdicts = _scatter(plan, engine, scattering, groups, selected, candidates, progress.advance)
    splits, licenses, pieces = _gather(engine, scattering, progress.advance)
    progress.finish()
    ledgers = [name_shard("ledger", group.number, len(groups)) for group in groups]
    staged = {scattering.folder / "ledger" / name: f"ledger/{name}" for name in ledgers}
    staged |= {piece: f"data/{name}" for name, piece in pieces.items()}
    markers = [path for folder in ("scattered", "pieces") for path in list_markers(scattering.folder / folder)]
    files = describe_staged(engine, staged, markers)
    for name, piece in pieces.items():
        link_or_copy(piece, scattering.folder / "data" / name)
    sync_folder(scattering.folder / "data")
    counts = {"verdicts": verdicts, "splits": splits, "licenses": licenses}
    return counts | {"shards": [*pieces], "ledgers": ledgers, "files": files}


def _scatter(
    plan: MixturePlan,
    engine: Engine,
    scattering: shuffle.Scattering,
    groups: Sequence[shuffle.Group],
    selected: Selected,
    candidates: Sequence[Counts],
    advance: Callable[[float, int], None],
) -> dict[str, list[int]]:
    """Scatter all groups; return records and characters by verdict."""
    tasks: list[Task] = []
    for group in groups:
        corpus = group.partitions[0].corpus
        tasks.append((shuffle.scatter, (scattering, group, plan.corpora[corpus].manifest, selected.selection(corpus))))
    verdicts: dict[str, list[int]] = {}
    for number, counts in engine.run("writing", tasks):
        for verdict, (records_, chars) in counts["verdicts"].items():
            before = verdicts.get(verdict, [0, 0])
            verdicts[verdict] = [before[0] + records_, before[1] + chars]
        done = [candidates[partition.index] for partition in groups[number].partitions]
        advance(float(sum(counts["bytes"] for counts in done)), sum(counts["documents"] for counts in done))
    return {verdict: verdicts[verdict] for verdict in ("kept", "duplicate", "dropped") if verdict in verdicts}


def _gather(
    engine: Engine, scattering: shuffle.Scattering, advance: Callable[[float, int], None]
) -> tuple[dict[str, list[int]], list[list[Any]], dict[str, Path]]:
    """Gather all shards; return documents and characters by split and license, and by its name the piece that is each shard with any."""
    numbers = [(split, shard) for split in shuffle.SPLITS for shard in range(scattering.ranges.count_shards(split))]
    tasks: list[Task] = [(shuffle.gather, (scattering, split, shard)) for split, shard in numbers]
    results: list[Any] = [None] * len(tasks)
    for number, counts in engine.run("writing", tasks):
        results[number] = counts
        advance(3.0 * counts["chars"], 0)
    splits: dict[str, list[int]] = {}
    pieces: dict[str, Path] = {}
    for split in shuffle.SPLITS:
        of_split = [(shard, counts) for (name, shard), counts in zip(numbers, results, strict=True) if name == split]
        splits[split] = [sum(counts[name] for _, counts in of_split) for name in ("documents", "chars")]
        filled = [shard for shard, counts in of_split if counts["documents"]]
        for position, shard in enumerate(filled):
            pieces[name_shard(split, position, len(filled))] = scattering.piece(split, shard)
    return splits, sum_licenses(counts["licenses"] for counts in results), pieces
