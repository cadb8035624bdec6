"""How much of each part: targets from weights or budgets, and the documents that meet them.

Every surviving document has a key, drawn from its id and the mixture's seed. Documents are taken in the order of their keys until the
target is met, so a smaller target takes a subset of what a larger one takes. Only where whole documents are too coarse for a target, the
last few are chosen for their size. A part that may be repeated is taken completely, so many times, before it is taken in part; held-out
documents are taken once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from filters.kernels import buffers, jit, mix64
from pipeline.core.engine import Engine, Task
from pipeline.core.shards import choose_held_out, hash_strings
from pipeline.core.storage import write_array
from pipeline.core.tasks import Counts, resumable
from pipeline.mixture.duplicates import read_survivors
from pipeline.mixture.filling import fill
from pipeline.mixture.manifest import MixtureManifest
from pipeline.mixture.plan import MixturePlan
from pipeline.mixture.records import Partition
from pipeline.mixture.tokens import tokens_file

TOLERANCE = 0.001  # of a target: what misses it by more is told
_CLOSE = 0.0005  # of a target: what misses it by less is not improved on
_BINS_BITS = 12  # keys are counted by their highest bits, so that only those of a few bins are in memory at once
_SPARE, _GIVEN_BACK = 20_000, 8  # documents behind and before the last, among which the last few are chosen
_CHOICE, _ORDER = 0x5EED, 0x0DDE  # set the two keys of a document apart
CANDIDATES = np.dtype(
    [
        ("row", np.uint32),  # in its partition
        ("key", np.uint64),  # in which order documents are taken
        ("place", np.uint64),  # where in the mixture it stands
        ("held_out", np.bool_),
        ("amount", np.int64),  # of the unit in which targets are
        ("chars", np.int64),
        ("tokens", np.int64),
        ("bytes", np.int64),
    ]
)
_SUMS = ("amount", "chars", "tokens", "bytes")


@dataclass(frozen=True)
class Selection:
    """Which documents of a part are taken: all `passes` times, and once more those with a key below `boundary` or in `extra`."""

    passes: int
    boundary: int
    extra: tuple[int, ...] = ()

    def copies(self, candidates: np.ndarray) -> np.ndarray:
        """Return int64[n]: how many times each candidate is taken. One that is held out is taken once at most."""
        keys = candidates["key"]
        more = keys < np.uint64(self.boundary) if self.boundary < 1 << 64 else np.ones(len(keys), bool)
        more |= np.isin(keys, np.array(self.extra, np.uint64))
        return np.where(candidates["held_out"], np.minimum(self.passes + more, 1), self.passes + more)


class Target(NamedTuple):
    """What a part is to contribute: `wanted`, None for all of it, and `reachable`, with its epochs, in the mixture's unit."""

    wanted: int | None
    reachable: int


# -- on a worker


@jit
def _mix_keys(hashes, seed, salt):
    """Return uint64[n]: keys that differ for every seed and salt."""
    out = np.empty(len(hashes), np.uint64)
    mixed = mix64(mix64(np.uint64(seed)) ^ np.uint64(salt))
    for i in range(len(hashes)):
        out[i] = mix64(hashes[i] ^ mixed)
    return out


def candidates_file(folder: Path, index: int) -> Path:
    """Return the array of `CANDIDATES` of a partition: its surviving documents."""
    return folder / f"candidates-{index:05d}.npy"


@resumable(lambda partition, records, tokens, manifest, folder: candidates_file(folder, partition.index).with_suffix(".json"))
def list_candidates(
    partition: Partition, records: Path, tokens: Path | None, manifest: MixtureManifest, folder: Path
) -> Counts:
    """Write the candidates of a partition; return their sums: of all, and of those that may be repeated.

    `records`, `tokens`: folders of the steps deduplicate and count.
    """
    survivors = read_survivors(records, partition.index)
    out = np.zeros(len(survivors), CANDIDATES)
    hashes = hash_strings(*buffers(survivors["id"]))
    out["row"] = survivors["row"].to_numpy()
    out["key"] = _mix_keys(hashes, manifest.seed, _CHOICE)
    out["place"] = _mix_keys(hashes, manifest.seed, _ORDER)
    out["held_out"] = choose_held_out(survivors["cluster_id"], manifest.shards.validation)
    out["chars"], out["bytes"] = survivors["amount"].to_numpy(), survivors["payload"].to_numpy()
    if tokens is not None:
        out["tokens"] = np.load(tokens_file(tokens, partition.index))[out["row"]]
    out["amount"] = out[manifest.unit]
    write_array(candidates_file(folder, partition.index), out)
    repeatable = out[~out["held_out"]]
    return {
        "documents": len(out),
        **{name: int(out[name].sum()) for name in _SUMS},
        "repeatable": int(repeatable["amount"].sum()),
    }


def selection_file(folder: Path, corpus: int) -> Path:
    return folder / f"selection-{corpus:03d}.json"


@resumable(lambda folder, corpus, indices, target: selection_file(folder, corpus))
def select(folder: Path, corpus: int, indices: range, target: Target) -> Counts:
    """Choose the documents of one part, whose partitions are `indices`; return the selection, and sums of what it takes."""
    selection = _choose(folder, indices, target)
    sums = dict.fromkeys(("documents", "copies", *_SUMS, "train_bytes", "validation_bytes", "validation_documents"), 0)
    for candidates in _load(folder, indices):
        copies = selection.copies(candidates)
        held_out = candidates["held_out"]
        sums["documents"] += int((copies > 0).sum())
        sums["copies"] += int(copies.sum())
        for name in _SUMS:
            sums[name] += int((copies * candidates[name]).sum())
        sums["train_bytes"] += int((copies * candidates["bytes"])[~held_out].sum())
        sums["validation_bytes"] += int((copies * candidates["bytes"])[held_out].sum())
        sums["validation_documents"] += int(copies[held_out].sum())
    return {"passes": selection.passes, "boundary": selection.boundary, "extra": list(selection.extra), **sums}


def _load(folder: Path, indices: range) -> Iterator[np.ndarray]:
    for index in indices:
        yield np.load(candidates_file(folder, index), mmap_mode="r")


def _choose(folder: Path, indices: range, target: Target) -> Selection:
    if target.wanted is None:
        return Selection(1, 0)
    total, repeatable = 0, 0
    for candidates in _load(folder, indices):
        total += int(candidates["amount"].sum())
        repeatable += int(candidates["amount"][~candidates["held_out"]].sum())
    wanted = min(target.wanted, target.reachable)
    if wanted < total:
        return _choose_some(folder, indices, wanted, 0)
    passes = 1 + ((wanted - total) // repeatable if repeatable else 0)
    rest = wanted - total - (passes - 1) * repeatable
    return _choose_some(folder, indices, rest, passes) if rest else Selection(passes, 0)


def _choose_some(folder: Path, indices: range, wanted: int, passes: int) -> Selection:
    """Choose documents for an amount that is less than there is, after so many complete passes."""
    amounts = np.zeros(1 << _BINS_BITS)
    counts = np.zeros(1 << _BINS_BITS, np.int64)
    shift = np.uint64(64 - _BINS_BITS)
    for candidates in _eligible(folder, indices, passes):
        bins = (candidates["key"] >> shift).astype(np.int64)
        amounts += np.bincount(bins, weights=candidates["amount"], minlength=len(amounts))  # sums below 2**53 are exact
        counts += np.bincount(bins, minlength=len(counts))
    ends = np.cumsum(amounts.astype(np.int64))
    met = int(np.searchsorted(ends, wanted, side="right"))  # the bin in which the target is met
    before = np.concatenate([[0], np.cumsum(counts)])  # documents in the bins before each
    first = (
        int(np.searchsorted(before[: met + 1], before[met] - _GIVEN_BACK, side="right")) - 1 if before[met] > _GIVEN_BACK else 0
    )
    last = int(np.searchsorted(before[1:], before[met + 1] + _SPARE))
    near = []
    for candidates in _eligible(folder, indices, passes):
        bins = (candidates["key"] >> shift).astype(np.int64)
        near.append(np.array(candidates[(bins >= first) & (bins <= last)]))
    documents = np.concatenate([np.zeros(0, CANDIDATES), *near])
    documents = documents[np.argsort(documents["key"], kind="stable")]
    taken = int(ends[first - 1]) if first else 0
    count, extra = fill(documents["amount"], wanted - taken, wanted * _CLOSE)
    boundary = int(documents["key"][count]) if count < len(documents) else 1 << 64
    return Selection(passes, boundary, tuple(int(key) for key in documents["key"][extra]))


def _eligible(folder: Path, indices: range, passes: int) -> Iterator[np.ndarray]:
    """Yield the candidates that a further pass may take."""
    for candidates in _load(folder, indices):
        yield candidates[~candidates["held_out"]] if passes else candidates


# -- on the driver


def find_targets(manifest: MixtureManifest, available: Sequence[Counts]) -> list[Target]:
    """Return the target of every part, given the sums of its candidates.

    With weights and no size of the whole, the whole is as large as the weights allow: some part is used to the end of its epochs.
    """
    parts = manifest.mixture
    reachable = [
        counts["amount"] + (part.epochs - 1) * counts["repeatable"] for part, counts in zip(parts, available, strict=True)
    ]
    if parts[0].weight is None:
        return [Target(part.budget, most) for part, most in zip(parts, reachable, strict=True)]
    total: float = manifest.total or min(most / (part.weight or 1) for part, most in zip(parts, reachable, strict=True))
    return [Target(round(total * (part.weight or 0)), most) for part, most in zip(parts, reachable, strict=True)]


class Selected(NamedTuple):
    """What was chosen, part by part: sums of candidates, targets, selections with sums."""

    available: list[Counts]
    targets: list[Target]
    chosen: list[Counts]

    def selection(self, corpus: int) -> Selection:
        counts = self.chosen[corpus]
        return Selection(counts["passes"], counts["boundary"], tuple(counts["extra"]))


def run(plan: MixturePlan, engine: Engine, partitions: Sequence[Partition]) -> tuple[Selected, list[Counts]]:
    """Choose documents; return what was chosen, and the sums of every partition's candidates."""
    manifest, workspace = plan.manifest, plan.workspace
    folder = workspace.folder("select")
    folder.mkdir(parents=True, exist_ok=True)
    progress = engine.step("select", total=1)
    tokens = workspace.folder("count") if manifest.tokenizer else None
    tasks: list[Task] = [(list_candidates, (p, workspace.folder("deduplicate"), tokens, manifest, folder)) for p in partitions]
    counts: list[Any] = [None] * len(partitions)
    for number, result in engine.run("selecting", tasks):
        counts[number] = result
    available = [
        {
            name: sum(counts[p.index][name] for p in partitions if p.corpus == corpus)
            for name in ("documents", "repeatable", *_SUMS)
        }
        for corpus in range(len(plan.corpora))
    ]
    targets = find_targets(manifest, available)
    ranges = [_indices(partitions, corpus) for corpus in range(len(plan.corpora))]
    chosen: list[Any] = [None] * len(ranges)
    tasks = [(select, (folder, corpus, indices, targets[corpus])) for corpus, indices in enumerate(ranges)]
    for number, result in engine.run("selecting", tasks):
        chosen[number] = result
    progress.records = sum(one["copies"] for one in chosen)
    progress.finish()
    return Selected(available, targets, chosen), counts


def _indices(partitions: Sequence[Partition], corpus: int) -> range:
    """Return the numbers of the partitions of a part, which follow one another."""
    numbers = [partition.index for partition in partitions if partition.corpus == corpus]
    return range(numbers[0], numbers[-1] + 1) if numbers else range(0)
