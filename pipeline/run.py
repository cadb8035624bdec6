"""The steps of a build in order, on an engine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.engine import Engine, Task
from pipeline.core.errors import BuildError, InputError
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.modalities import modality
from pipeline.plan import DEDUPLICATED, Ids, Plan
from pipeline.report.card import write_card
from pipeline.report.facts import gather_facts
from pipeline.report.lock import write_lock
from pipeline.sources import CutState, Partition, source
from pipeline.sources.inputs import InputFile, resolve
from pipeline.sources.streams import checksum
from pipeline.steps.decide import decide
from pipeline.steps.deduplicate import Layout
from pipeline.steps.fit import LEAST, fit, fitted
from pipeline.steps.measure import Part, measure, warm
from pipeline.steps.write import finish, groups, write


class Build:
    """One run of a plan. Every step skips what an earlier run finished."""

    def __init__(self, plan: Plan, engine: Engine, keep_going: bool) -> None:
        self.plan, self.engine, self.keep_going = plan, engine, keep_going
        self.manifest = plan.manifest
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.partitions: list[Partition] = []
        self.damaged: list[str] = []

    def run(self) -> dict[str, Any]:
        """Do what is not done yet; returns the summary, which is also kept in the output folder."""
        began = time.perf_counter()
        parts, ends = self._measure()
        decisions = self._decide(len(parts), sum(p["records"] for p in parts))
        layout = self.plan.layout(parts, sum(d["kept"] for d in decisions))
        ids = Ids(self.manifest.name, tuple(f.name for f in self.plan.inputs), tuple(p.file for p in self.partitions))
        duplicates = self._deduplicate(layout, ids)
        written, shards, ledgers = self._write(layout, ids, parts, decisions)
        summary = self._summary(parts, decisions, duplicates, written, ends) | {
            "fingerprint": self.plan.whole,
            "written": self.plan.fingerprints["write"],
            "limit": self.plan.limit,
            "shards": shards,
            "ledgers": ledgers,
            "seconds": round(time.perf_counter() - began, 1),
            "steps_seconds": {name: round(value, 2) for name, value in self.seconds.items()},
            "warnings": self.warnings,
            "damaged": self.damaged,
        }
        self._check(summary)
        if not summary["verdicts"].get("kept", [0])[0]:
            words = modality(self.manifest).WORDS
            self.warnings.append(
                f"not one of the {words.records[0]} was kept: look at the rules in the ledger before training on this"
            )
        self._publish(summary)
        return summary

    # -- step 1

    def _measure(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        plan, folder = self.plan, self.plan.folder("measure")
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        step = self.engine.step("measure")
        self._estimate: float | None = None
        todo = self._cut(step)
        # One compiles what is not compiled yet, the others load what they need meanwhile.
        for _ in self.engine.run(
            "measuring", [(warm, (self.manifest, number == 0)) for number in range(self.engine.worker_count)]
        ):
            pass
        numbers: dict[int, Partition] = {}

        def tasks() -> Iterator[Task]:
            for number, partition in enumerate(todo):
                numbers[number] = partition
                yield measure, (self.manifest, partition, folder)

        for number, counts in self.engine.run("measuring", tasks(), in_flight=2 * self.engine.worker_count + 2):
            partition = numbers.pop(number)
            step.advance(partition.end - partition.start, counts["records"], self._estimate)
        self.seconds["measure"] = step.finish()
        ends = [read_json(plan.file_end(number)) for number in range(len(plan.inputs))]
        damaged = [end["damage"] for end in ends if end and end["damage"]]
        if damaged and not self.keep_going:
            raise InputError("\n".join(damaged) + "\nWhat could be read is kept; --keep-going builds the corpus from that.")
        self.warnings += damaged
        self.damaged = damaged
        parts = [plan.measured(p.index) for p in self.partitions]
        missing = [p.index for p, counts in zip(self.partitions, parts, strict=True) if counts is None]
        if missing:
            raise BuildError(f"measured parts {missing[:5]} are missing in {folder}; run the same command again")
        whole = [p for p in parts if p is not None]
        if not sum(p["records"] for p in whole):
            names = ", ".join(f.url for f in plan.inputs)
            raise BuildError("\n".join([*damaged, f"there is no record in {names}: the input is empty"]))
        self.warnings += [end["warning"] for end in ends if end and end.get("warning")]
        self.warnings += modality(self.manifest).warnings(_summed(whole))
        self._check_readable(folder, whole)
        return whole, [end for end in ends if end]

    def _check_readable(self, folder: Path, parts: list[dict[str, Any]]) -> None:
        """Say so where most records could not be read; raise InputError where none could."""
        total = _summed(parts)
        if 2 * total["unreadable"] <= total["records"]:
            return
        tables = [Part(folder, p.index).table for p in self.partitions]
        reasons = pl.scan_parquet(tables).select(pl.col("unreadable").drop_nulls()).collect()
        by_kind = reasons.group_by(pl.col("unreadable").str.replace_all(r"[0-9A-F]+", ""), maintain_order=True)
        reason, count = by_kind.agg(pl.first("unreadable").alias("first"), pl.len()).sort("len", descending=True).row(0)[1:]
        what = (
            f"{total['unreadable']:,} of {total['records']:,} records could not be read; {count:,} of them like this: {reason}"
        )
        if total["unreadable"] < total["records"]:
            self.warnings.append(what)
        elif self.keep_going:
            self.warnings.append(f"not one record could be read: {what}")
        else:
            raise InputError(f"{what}\nThere is nothing to build from. --keep-going writes the ledger nevertheless.")

    def _cut(self, step: Any) -> Iterator[Partition]:
        """Partitions that have to be measured: those cut before whose raw bytes are still there, then those cut now."""
        plan = self.plan
        known = plan.known_partitions()
        left = plan.limit
        for number, file in enumerate(plan.inputs):
            if left is not None and left <= 0:
                write_json(plan.file_end(number), {"checksum": None, "size": 0, "damage": None})
                continue
            lost = False
            for partition in (p for p in known if p.file == number):
                counts = plan.measured(partition.index)
                raw = Part(plan.folder("measure"), partition.index).raw
                if counts is None and not raw.is_file():
                    lost = True
                    break
                self.partitions.append(partition)
                if left is not None:
                    left -= self._records(partition, counts, raw)
                if counts is None:
                    yield partition
                else:
                    step.advance(partition.end - partition.start, counts["records"], self._estimate)
            end = read_json(plan.file_end(number))
            if lost or end is None or end["damage"]:
                left = yield from self._cut_file(file, number, left)

    def _records(self, partition: Partition, counts: dict[str, Any] | None, raw: Path) -> int:
        if counts is not None:
            return counts["records"]
        if partition.records is not None:
            return partition.records
        return len(source(self.manifest.source.format).read(partition, raw).starts)

    def _cut_file(self, file: InputFile, number: int, left: int | None) -> Generator[Partition, None, int | None]:
        """Cut what is not cut yet of one file; returns how many records are still wanted."""
        plan, settings = self.plan, self.manifest.source
        start = max((p.end for p in self.partitions if p.file == number), default=0)
        # A document over the limit has to stand in a partition of its own.
        state = CutState(
            min(settings.partition, settings.max_document),
            settings.max_document,
            start,
            left,
            content=settings.content,
            columns=settings.columns,
        )
        for partition, body in source(settings.format).cut(file, number, len(self.partitions), state):
            if plan.measured(partition.index) is None:
                with write_atomically(Part(plan.folder("measure"), partition.index).raw) as temporary:
                    temporary.write_bytes(body)
            write_json(plan.cut_file(partition.index), partition.as_dict())
            self.partitions.append(partition)
            self._estimate = self._total(number, state)
            yield partition
        write_json(
            plan.file_end(number),
            {"checksum": state.checksum, "size": state.size, "damage": state.damage, "warning": state.warning},
        )
        return state.limit

    def _total(self, number: int, state: CutState) -> float | None:
        """Bytes of text to expect in all, from how much the files as stored have given so far."""
        sizes = [f.size for f in self.plan.inputs]
        if None in sizes or not state.consumed or self.plan.limit is not None:
            return None
        before = sum(p.end - p.start for p in self.partitions if p.file < number)
        consumed = sum(s or 0 for s in sizes[:number]) + state.consumed
        return (before + state.reached) * sum(s or 0 for s in sizes) / consumed

    # -- steps 2 to 4

    def _decide(self, count: int, records: int) -> list[dict[str, Any]]:
        plan = self.plan
        tasks: list[Task] = [(decide, (self.manifest, plan.folder("measure"), i, plan.folder("decide"))) for i in range(count)]
        step = self.engine.step("decide", total=max(count, 1))
        if fitted(self.manifest.rules):
            (plan.folder("decide")).mkdir(parents=True, exist_ok=True)
            fitting: Task = (fit, (self.manifest, plan.folder("measure"), count, plan.folder("decide")))
            for _, counts in self.engine.run("fitting", [fitting]):
                self.warnings += [
                    f"rules.{name}: no band was fitted, since fewer than {LEAST} records have a value above zero; it judges nothing"
                    for name in counts["without"]
                ]
        results: list[Any] = [None] * count
        for number, result in self.engine.run("deciding", tasks):
            results[number] = result
        step.records = records
        self.seconds["decide"] = step.finish()
        return results

    def _deduplicate(self, layout: Layout, ids: Ids) -> dict[str, Any]:
        if not layout.settings.enabled:
            return {"pairs": 0, "clusters": 0, "exact": 0, "near": 0}
        done = layout.folder / DEDUPLICATED
        known = read_json(done)
        if known is not None:
            return known
        layout.folder.mkdir(parents=True, exist_ok=True)
        step = self.engine.step("deduplicate", total=1)
        result: dict[str, Any] = {}
        for tasks in modality(self.manifest).rounds(layout, ids):
            # Of each round only what its last task returns is kept: rounds of many tasks return counts of no interest.
            for _, counts in self.engine.run("deduplicating", tasks):
                last = counts
            result |= last if len(tasks) == 1 else {}
        step.records = layout.kept
        self.seconds["deduplicate"] = step.finish()
        write_json(done, result)
        for pattern in ("bands-*.bin", "facts-*.npy", "index-*.npy", "hamming-*.npy"):
            for path in layout.folder.glob(pattern):
                path.unlink()
        return result

    def _write(
        self, layout: Layout, ids: Ids, parts: list[dict[str, Any]], decisions: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[str], list[str]]:
        staging = self.plan.staging
        cuts = groups([d["payload"] for d in decisions], self.manifest.shards.size)
        step = self.engine.step("write", total=float(sum(p["bytes"] for p in parts)))
        tasks: list[Task] = [(write, (self.manifest, layout, group, len(cuts), ids, staging)) for group in cuts]
        written: list[Any] = [None] * len(cuts)
        for number, counts in self.engine.run("writing", tasks):
            written[number] = counts
            here = parts[cuts[number].first : cuts[number].last]
            step.advance(sum(p["bytes"] for p in here), sum(p["records"] for p in here))
        shards = [names for _, names in self.engine.run("writing", [(finish, (self.manifest, staging, len(cuts)))])][0]
        self.seconds["write"] = step.finish()
        return written, shards, sorted(path.name for path in (staging / "ledger").glob("*.parquet"))

    # -- the end

    def _summary(
        self, parts: list[dict[str, Any]], decisions: list[dict[str, Any]], duplicates: dict[str, Any], written: list[dict[str, Any]],
        ends: list[dict[str, Any]],
    ) -> dict[str, Any]:  # fmt: skip
        total = _summed(parts)
        rules: dict[str, list[int]] = {}
        for decision in [*decisions, {"rules": duplicates.get("rules", {})}]:
            for rule, (records, amount) in decision["rules"].items():
                known = rules.setdefault(rule, [0, 0])
                rules[rule] = [known[0] + records, known[1] + amount]
        verdicts: dict[str, list[int]] = {}
        splits: dict[str, list[int]] = {}
        for counts in written:
            for into, new in ((verdicts, counts["verdicts"]), (splits, counts["splits"])):
                for key, values in new.items():
                    into[key] = [a + b for a, b in zip(into.get(key, [0] * len(values)), values, strict=True)]
        kept_after_decide = sum(d["kept"] for d in decisions)
        return {
            "total": total,
            "rules": dict(sorted(rules.items(), key=lambda item: (-item[1][0], item[0]))),
            "after_decide": [kept_after_decide, sum(d["amount"] for d in decisions)],
            "duplicates": duplicates,
            "verdicts": verdicts,
            "splits": splits,
            "polishing_ratio": self._ratio(total, verdicts.get("kept", [0, 0, 0])),
            "inputs": [
                f.as_dict() | {"sha256": end["checksum"], "bytes": end["size"]}
                for f, end in zip(self.plan.inputs, ends, strict=True)
            ]
            + self._beside(),
        }

    def _beside(self) -> list[dict[str, Any]]:
        """What was read along with the input and is no input itself, such as lists of transcripts, with checksums."""
        given = {file.url for file in self.plan.inputs}
        places = dict.fromkeys(place for file in self.plan.inputs for place in file.beside if place not in given)
        files = [resolve([place])[0] for place in places]
        return [file.as_dict() | {"sha256": checksum(file)} for file in files]

    def _ratio(self, total: dict[str, int], kept: list[int]) -> float:
        """The share that is left: of records where that is what the modality counts, of amounts elsewhere."""
        words = modality(self.manifest).WORDS
        if words.ratio[0] == words.records[0]:
            return kept[0] / max(total["records"], 1)
        return kept[2] / max(total["amount_in"], 1)

    def _check(self, summary: dict[str, Any]) -> None:
        """Conservation: records in = kept + dropped + duplicates + unreadable, by the ledger's own count."""
        found = sum(values[0] for values in summary["verdicts"].values())
        if found != summary["total"]["records"]:
            raise BuildError(
                f"records were lost: {summary['total']['records']:,} came in, the ledger has {found:,}. This is a fault of Seimai; "
                f"please report it with {self.plan.out / '.seimai'}"
            )

    def _publish(self, summary: dict[str, Any]) -> None:
        plan = self.plan
        plan.state.unlink(missing_ok=True)
        for name in ("data", "ledger"):
            final, old = plan.out / name, plan.out / ".seimai" / f"old-{name}"
            shutil.rmtree(old, ignore_errors=True)
            if final.exists():
                final.rename(old)
            (plan.staging / name).rename(final)
            shutil.rmtree(old, ignore_errors=True)
        summary["peak_memory"] = self.engine.peak_memory
        facts = gather_facts(plan, summary)
        write_card(facts)
        write_lock(facts)
        write_json(plan.state, summary)
        for step in ("measure", "decide", "deduplicate"):
            for folder in plan.work.glob(f"{step}-*"):
                if folder != plan.folder(step):
                    shutil.rmtree(folder, ignore_errors=True)
        for folder in (plan.out / ".seimai").glob("write-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _summed(parts: list[dict[str, Any]]) -> dict[str, int]:
    """The counts of all parts."""
    names = [name for name, value in parts[0].items() if isinstance(value, int) and name != "peak"]
    return {name: sum(part[name] for part in parts) for name in names}


def forget_unpublished(plan: Plan) -> None:
    """Undo a publication that was cut short: the staged files are moved one folder at a time."""
    for name in ("data", "ledger"):
        old = plan.out / ".seimai" / f"old-{name}"
        if old.is_dir() and not (plan.out / name).exists():
            old.rename(plan.out / name)
        shutil.rmtree(old, ignore_errors=True)
    staged = Path(plan.staging)
    if staged.is_dir() and not ((staged / "data").is_dir() and (staged / "ledger").is_dir()):
        # One of the two was published already: the markers in here no longer tell the truth.
        shutil.rmtree(staged, ignore_errors=True)
