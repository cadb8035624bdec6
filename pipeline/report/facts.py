"""What a build says of itself: everything that the terminal, the card and the lock file show, gathered in one place.

The other modules of this room format what is in here; none of them looks into the summary, the plan or the modality.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from filters import MEASURES
from pipeline.core.checksums import FileEntry
from pipeline.core.paths import shorten_path
from pipeline.core.storage import format_size, sum_file_sizes
from pipeline.dedup.bands import banding
from pipeline.manifest.model import Described, Manifest
from pipeline.manifest.steps import Step
from pipeline.modalities import modality_of
from pipeline.modalities.base import Bilingual, ReportTerms
from pipeline.modalities.text.manifest import TextManifest
from pipeline.plan import Plan
from pipeline.sources.inputs import is_url
from pipeline.steps.cut import group_files, load_partitions
from pipeline.steps.tokenise import Tokenising
from pipeline.workspace import Part, unit_record

_SPLITS = ("train", "validation")
REMOVED = {
    "boilerplate": Bilingual("boilerplate", "定型句"),
    "recurring": Bilingual("menus, headers and footers that recur", "多くの文書に共通するメニュー・ヘッダー・フッター"),
}
_SPLIT_BY_CLUSTER = (
    "Split by a hash of the duplicate cluster, so near duplicates never stand on both sides.",
    "重複クラスタのハッシュで分割しているため、類似した{records_ja}が両側に分かれることはありません。",
)
# Hugging Face's categories, by the first number of records that is too large for them.
_SIZE_CATEGORIES = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
    100_000_000: "10M<n<100M",
}
_TEXT_EXPANSION = 4.5  # measured on Japanese text: xz, gzip and zstd shrink it to a quarter or so


class StepFacts(NamedTuple):
    """Records and amounts that went into a step and came out of it."""

    name: str
    records_in: int
    records_out: int
    amount_in: str
    amount_out: str


class SplitFacts(NamedTuple):
    """What is in a split."""

    name: str
    records: int
    amount: str


class RuleFacts(NamedTuple):
    """What a rule dropped, by which bound in words, and what it measures."""

    name: str
    records: int
    amount: str
    bound: str
    description: str


class RemovedFacts(NamedTuple):
    """Lines that were removed from records, and why (`name`): the most frequent of them come from outside."""

    name: Bilingual
    lines: int
    chars: int
    samples: list[tuple[str, int]]  # each with how often it was removed


class InputFacts(NamedTuple):
    """A file that was read: its bytes as stored (`size`) and uncompressed (`bytes`), where they are known.

    `sha256` is None where the file was not read to its end.
    """

    name: str
    size: int | None
    sha256: str | None
    bytes: int | None


@dataclass(frozen=True)
class BuildFacts:
    """Everything that a finished build says."""

    template: ClassVar[str] = "card.md.j2"

    out: Path
    manifest: Described
    terms: ReportTerms
    is_sample: bool
    size_category: str
    split_rule: tuple[str, ...]  # how records are split, a sentence in each language
    polishing_ratio: float
    steps: list[StepFacts]
    splits: list[SplitFacts]
    split_names: list[str]  # of the splits that have shards
    rules: list[RuleFacts]
    duplicates: dict[str, int]  # exact, near, clusters
    near_duplicate: str  # how alike near duplicates are, in words
    unreadable: int
    inputs: list[InputFacts]
    warnings: list[str]
    training: dict[str, Any] | None  # what training.json says of the tokenizer
    tokens: dict[str, Any] | None  # what tokens.json says of the token shards
    bytes: int  # of content
    seconds: float
    peak_memory: int  # bytes
    training_command: str
    resolved_manifest: dict[str, Any]  # every default and preset bound written out
    fingerprints: dict[str, str]  # by step
    bands_and_rows: tuple[int, int] | None
    limit: int | None
    removed: list[RemovedFacts]
    files: list[FileEntry]  # shards and ledger
    places: tuple[str, ...] = ()  # paths of this machine that warnings may name, and the card does not

    @property
    def drawn(self) -> str:
        """Of what the tokenizer's text was drawn, where of several corpora: each with its share."""
        corpora = self.training["sample"].get("corpora", []) if self.training else []
        total = max(sum(corpus["drawn"] for corpus in corpora), 1)
        return ", ".join(f"{corpus['name']} {corpus['drawn'] / total:.1%}" for corpus in corpora) if len(corpora) > 1 else ""

    @property
    def learned_from(self) -> Bilingual:
        """What the tokenizer was trained on, after "N MB"."""
        return Bilingual("of what was kept", "残したテキスト")

    @property
    def measured_on(self) -> Bilingual:
        """What the tokenizer's figures are of."""
        return Bilingual("held-out text", "検証用テキスト")

    def further_lock(self) -> dict[str, Any]:
        """Return what the lock file records beside what it records of every build."""
        return {}


def gather_facts(plan: Plan, summary: dict[str, Any], tokenised: dict[str, Any] | None = None) -> BuildFacts:
    """Gather what the build of `plan` says, from the summary of its run and of its step tokenise."""
    manifest, modality = plan.manifest, modality_of(plan.manifest)
    terms, duplicates = modality.terms, summary["duplicates"]
    is_sample = any(file.is_sample for file in plan.inputs)
    is_banded = isinstance(manifest, TextManifest) and manifest.deduplicate.enabled
    return BuildFacts(
        out=plan.out,
        manifest=manifest,
        terms=terms,
        is_sample=is_sample,
        size_category=find_size_category(summary["verdicts"].get("kept", [0])[0]),
        split_rule=explain_split(terms),
        polishing_ratio=summary["polishing_ratio"],
        steps=_gather_steps(terms, summary),
        splits=[
            SplitFacts(name, records, terms.format_amount(amount)) for name, (records, amount) in summary["splits"].items()
        ],
        split_names=[split for split in _SPLITS if any(name.startswith(split) for name in summary["shards"])],
        rules=[
            RuleFacts(rule, records, terms.format_amount(amount), *_describe_rule(manifest, rule))
            for rule, (records, amount) in summary["rules"].items()
        ],
        duplicates={name: duplicates.get(name, 0) for name in ("exact", "near", "clusters")},
        near_duplicate=modality.near_duplicate_rule(manifest).explanation,
        unreadable=summary["total"]["unreadable"],
        inputs=[InputFacts(*map(file.get, InputFacts._fields)) for file in summary["inputs"]],
        warnings=[*summary["warnings"], *find_token_warnings(tokenised)],
        training=tokenised["tokenizer"] if tokenised else None,
        tokens=tokenised["tokens"] if tokenised else None,
        bytes=summary["total"]["bytes"],
        seconds=summary["seconds"],
        peak_memory=summary["peak_memory"],
        training_command=_suggest_training(plan, terms, is_sample),
        resolved_manifest=plan.resolved(),
        fingerprints=dict(plan.fingerprints.items()),
        bands_and_rows=banding(manifest.deduplicate) if is_banded else None,
        limit=plan.limit,
        removed=_gather_removed(summary),
        files=summary["files"],
        places=_find_places(plan),
    )


def _find_places(plan: Plan) -> tuple[str, ...]:
    urls = {url for file in plan.inputs for url in (file.url, *file.companions) if not is_url(url)}
    folders = {str(parent) for url in urls for parent in Path(url).parents}
    options = {value for value in plan.manifest.source.options.values() if value.startswith("/")}
    return tuple(sorted({*urls, *folders, *options, str(plan.out), str(plan.work)} - {"/"}))


def _gather_removed(summary: dict[str, Any]) -> list[RemovedFacts]:
    return [
        RemovedFacts(name, counts["lines"], counts["chars"], [(line, count) for line, count in counts["samples"]])
        for name, counts in ((REMOVED[kind], counts) for kind, counts in summary["removed"].items())
        if counts["lines"]
    ]


def find_token_warnings(tokenised: dict[str, Any] | None) -> list[str]:
    """Return what is to be said of token shards: a validation split that has documents, but not one sequence."""
    tokens = (tokenised or {}).get("tokens") or {}
    counts = tokens.get("splits", {}).get("validation")
    if not counts or not counts["documents"] or counts["sequences"]:
        return []
    return [
        f"validation has {counts['tokens'] + counts['separators']:,} tokens, less than one sequence of {tokens['sequence_length']:,}: "
        "there is nothing to evaluate on; set shards.validation higher, or tokenizer.sequence_length lower"
    ]


def explain_split(terms: ReportTerms) -> tuple[str, ...]:
    """Return how records are split, a sentence in each language."""
    return terms.split or tuple(sentence.format(records_ja=terms.records.japanese) for sentence in _SPLIT_BY_CLUSTER)


def find_size_category(records: int) -> str:
    """Return Hugging Face's category for so many records."""
    return next((name for edge, name in _SIZE_CATEGORIES.items() if records < edge), "100M<n<1B")


def _gather_steps(terms: ReportTerms, summary: dict[str, Any]) -> list[StepFacts]:
    total = summary["total"]
    decided, decided_amount = summary["after_decide"]
    kept, _, kept_amount = summary["verdicts"].get("kept", [0, 0, 0])
    recurring = summary["removed"]["recurring"]
    late = [sum(counts) for counts in zip(*recurring["rules"].values(), strict=True)] or [0, 0]
    states = [  # between the steps: records, amount
        (total["records"], total["amount_in"]),
        (total["records"] - total["unreadable"], total["amount"]),
        (decided, decided_amount),
        (kept + late[0], kept_amount + recurring["amount"] + late[1]),
        (kept, kept_amount),
        (kept, kept_amount),
    ]
    steps = zip(("read, clean", "decide", "deduplicate", "strip", "write"), states[:-1], states[1:], strict=True)
    return [
        StepFacts(name, records_in, records_out, terms.format_amount(amount_in), terms.format_amount(amount_out))
        for name, (records_in, amount_in), (records_out, amount_out) in steps
        if name != "strip" or recurring["lines"] or late[0]
    ]


def _describe_rule(manifest: Manifest, rule: str) -> tuple[str, str]:
    """Return the bound of a rule in words, and what it measures."""
    if rule not in manifest.rules:  # a rule of the step deduplicate
        return f"at_most {getattr(manifest.deduplicate, rule)}", f"`deduplicate.{rule}` of the manifest."
    bound = manifest.rules[rule].model_dump(exclude_none=True, exclude={"source", "reason", "missing", "by"})
    if (iqr := bound.pop("iqr", None)) is not None:
        bound[f"fitted per {manifest.rules[rule].by}, interquartile ranges"] = iqr
    words = [f"{key} {value:g}" if isinstance(value, float) else f"{key} {', '.join(value)}" for key, value in bound.items()]
    return ", ".join(words), MEASURES[rule].description if rule in MEASURES else "A column of the input (`source.keep`)."


def _suggest_training(plan: Plan, terms: ReportTerms, is_sample: bool) -> str:
    """Return the command that trains the bundled model, after those for what it reads and is missing. A sample suits `tiny` models."""
    out = shlex.quote(shorten_path(plan.out))
    commands = {
        "tokenizer": f"python -m tokenizer.train {out}" + " --vocab-size 900" * is_sample,
        "tokens": f"python -m tokenizer.encode {out}" + " --sequence-length 256" * is_sample,
    }
    before = [commands[name] for name in terms.reads if not (plan.out / name).is_dir()]
    return " && ".join([*before, f"python -m {terms.trainer} {out}" + " --config tiny" * is_sample])


def format_file_size(size: int | None) -> str:
    """Return the size of an input as a person reads it."""
    return format_size(size) if size else "size unknown"


# -- a build that is yet to be done


class StepState(NamedTuple):
    """How far a step is, and the size of what it has written."""

    name: str
    state: str
    size: str


class PlanFacts(NamedTuple):
    """What `--plan` says."""

    inputs: list[tuple[str, str]]  # URL and size
    out: Path
    work: Path
    steps: list[StepState]
    conclusion: str


def gather_plan_facts(plan: Plan) -> PlanFacts:
    """Gather what is done of `plan`, what would be done, and how large it would be."""
    is_up_to_date = plan.up_to_date() is not None
    steps = _gather_finished_steps(plan) if is_up_to_date else _gather_step_states(plan)
    if plan.manifest.tokenizer is not None:
        is_tokenised = is_up_to_date and Tokenising(plan).up_to_date() is not None
        size = sum_file_sizes(plan.out / "tokenizer") + sum_file_sizes(plan.out / "tokens")
        steps.append(StepState("tokenise", "done" if is_tokenised else "to do", format_size(size)))
    if not is_up_to_date:
        conclusion = _estimate_sizes(plan)
    elif steps[-1].state == "done":
        conclusion = "up to date: a build would do nothing"
    else:
        conclusion = "a build would do step 5 alone"
    inputs = [(file.shown_url, format_file_size(file.size)) for file in plan.inputs]
    return PlanFacts(inputs, plan.out, plan.work, steps, conclusion)


def _list_steps(plan: Plan) -> list[Step]:
    """Return the steps that a build of `plan` takes."""
    strips = isinstance(plan.manifest, TextManifest) and plan.manifest.strips_lines
    return [step for step in plan.fingerprints if step != "strip" or strips]


def _gather_finished_steps(plan: Plan) -> list[StepState]:
    folders = {step: plan.workspace.folder(step) for step in _list_steps(plan)} | {"write": plan.out / "data"}
    return [StepState(step, "done", format_size(sum_file_sizes(folder))) for step, folder in folders.items()]


def _gather_step_states(plan: Plan) -> list[StepState]:
    workspace = plan.workspace
    units, measure_folder = group_files(plan.inputs, plan.manifest.source), workspace.folder("measure")
    partitions = [partition for unit in units for partition in load_partitions(measure_folder, unit.number)]
    measured = sum(Part(measure_folder, partition.name).counts.is_file() for partition in partitions)
    is_measured = (
        bool(plan.inputs)
        and all(unit_record(measure_folder, unit.number).is_file() for unit in units)
        and measured == len(partitions)
    )
    states = []
    for step in _list_steps(plan):
        folder = workspace.staging if step == "write" else workspace.folder(step)
        if step == "measure":
            state = "done" if is_measured else f"{measured} parts done, the rest to do" if measured else "to do"
        elif step == "decide" and is_measured and len(list(folder.glob("part-*.json"))) == len(partitions):
            state = "done"
        elif step == "strip" and is_measured and len(list(folder.glob("furniture-*.json"))) == len(partitions):
            state = "done"
        elif step == "deduplicate" and workspace.duplicates.is_file():
            state = "done"
        else:
            state = "begun" if folder.is_dir() and any(folder.iterdir()) else "to do"
        states.append(StepState(step, state, format_size(sum_file_sizes(folder))))
    return states


def _estimate_sizes(plan: Plan) -> str:
    """Return a sentence about the size of the input and of what a build would write."""
    content = sum((file.size or 0) * _estimate_expansion(plan.manifest, file.shown_url) for file in plan.inputs)
    intermediates, output = (format_size(share * content) for share in modality_of(plan.manifest).terms.space_per_byte)
    disk = next(path for path in (plan.work, *plan.work.parents) if path.exists())
    total, free = sum(file.size or 0 for file in plan.inputs), shutil.disk_usage(disk).free
    return (
        f"input of {format_size(total)} in all, about {format_size(content)} of content; a build takes about {intermediates} for "
        f"intermediates and {output} for output ({format_size(free)} free). Nothing was done."
    )


def _estimate_expansion(manifest: Manifest, url: str) -> float:
    """Return how many bytes of content a byte of input has. Images and recordings are as large as their archives."""
    is_compressed = url.endswith((".xz", ".gz", ".zst", ".bz2"))
    return _TEXT_EXPANSION if manifest.modality == "text" and is_compressed else 1.0
