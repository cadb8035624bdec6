"""What a build says of itself: everything that the terminal, the card and the lock file show, gathered in one place.

The other modules of this room format what is in here; none of them looks into the summary, the plan or the modality.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from filters import MEASURES
from pipeline.core.added import read_added
from pipeline.core.card import describe_drawn
from pipeline.core.checksums import FileEntry
from pipeline.core.identity import identify_entries
from pipeline.core.numbers import show_number
from pipeline.core.paths import shorten_path
from pipeline.core.storage import format_size, sum_file_sizes
from pipeline.core.timings import Timing, describe_seconds, find_timing
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
from tokenizer.token_shards import suggest_encoding

_SPLITS = ("train", "validation")
REMOVED = {
    "boilerplate": Bilingual("boilerplate", "定型句"),
    "recurring": Bilingual("menus, headers and footers that recur", "多くの文書に共通するメニュー・ヘッダー・フッター"),
}
_SPLIT_BY_CLUSTER = (
    "Split by a hash of the duplicate cluster, so near duplicates never stand on both sides.",
    "重複クラスタのハッシュで分割しているため、準重複の{records_ja}が両側に分かれることはありません。",
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
_FEW_CHARACTERS = 5_000_000  # of text: fewer do not surely support the 32,000 pieces of a tokenizer
_TEXT_EXPANSION = 4.5  # measured on Japanese text: xz, gzip and zstd shrink it to a quarter or so


class StepFacts(NamedTuple):
    """Records and amounts that went into a step and came out of it. Amounts are those of `ReportTerms`."""

    name: str
    records_in: int
    records_out: int
    amount_in: int
    amount_out: int


class SplitFacts(NamedTuple):
    """What is in a split."""

    name: str
    records: int
    amount: int


class RuleFacts(NamedTuple):
    """What a rule dropped, by which bound in words, and what it measures."""

    name: str
    records: int
    amount: int
    bound: str
    description: str


class RemovedFacts(NamedTuple):
    """Lines that were removed from records, and why (`name`): the most frequent of them come from outside."""

    name: Bilingual
    lines: int
    chars: int
    samples: list[tuple[str, int]]  # each with how often it was removed


class LicenseFacts(NamedTuple):
    """Records and amount in the shards under one license, which comes from outside; None sums up those that are not named."""

    name: str | None
    records: int
    amount: int


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
    has_report: ClassVar[bool] = True

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
    licenses: list[LicenseFacts]  # of what is in the shards, that of most records first
    files: list[FileEntry]  # shards and ledger
    places: tuple[str, ...] = ()  # paths of this machine that warnings may name, and the card does not

    @property
    def drawn(self) -> str:
        """Of what the tokenizer's text was drawn, where of several corpora: each with its share."""
        return describe_drawn(self.training) if self.training else ""

    @property
    def declared_licenses(self) -> tuple[str, ...]:
        """The licences of what is in the corpus, as their manifests have them."""
        return (self.manifest.license,)

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
        steps=_gather_steps(summary),
        splits=[SplitFacts(name, records, amount) for name, (records, amount) in summary["splits"].items()],
        split_names=[split for split in _SPLITS if any(name.startswith(split) for name in summary["shards"])],
        rules=[
            RuleFacts(rule, records, amount, *describe_rule(manifest, rule))
            for rule, (records, amount) in summary["rules"].items()
        ],
        duplicates={name: duplicates.get(name, 0) for name in ("exact", "near", "clusters")},
        near_duplicate=modality.near_duplicate_rule(manifest).explanation,
        unreadable=summary["total"]["unreadable"],
        inputs=[InputFacts(*map(file.get, InputFacts._fields)) for file in summary["inputs"]],
        warnings=[*summary["warnings"], *find_token_warnings(tokenised)],
        **gather_added(plan.out, summary, tokenised),
        bytes=summary["total"]["bytes"],
        seconds=summary["seconds"],
        peak_memory=summary["peak_memory"],
        training_command=_suggest_training(plan, terms, is_sample, summary["verdicts"].get("kept", [0, 0, 0])[2]),
        resolved_manifest=plan.resolved(),
        fingerprints=dict(plan.fingerprints.items()),
        bands_and_rows=banding(manifest.deduplicate) if is_banded else None,
        limit=plan.limit,
        removed=_gather_removed(summary),
        licenses=gather_licenses(summary),
        files=summary["files"],
        places=_find_places(plan),
    )


def gather_added(out: Path, summary: dict[str, Any], tokenised: dict[str, Any] | None) -> dict[str, Any]:
    """Return `training` and `tokens` of a build: of its step tokenise, else what commands have added to these shards before."""
    if tokenised:
        return {"training": tokenised["tokenizer"], "tokens": tokenised["tokens"]}
    shards = (entry for entry in summary["files"] if entry["path"].startswith("data/"))
    return dict(zip(("training", "tokens"), read_added(out, identify_entries(shards)), strict=True))


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


def gather_licenses(summary: dict[str, Any]) -> list[LicenseFacts]:
    """Return what is in the shards by license."""
    return [LicenseFacts(*counts) for counts in summary["licenses"]]


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


def _gather_steps(summary: dict[str, Any]) -> list[StepFacts]:
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
        StepFacts(name, records_in, records_out, amount_in, amount_out)
        for name, (records_in, amount_in), (records_out, amount_out) in steps
        if name != "strip" or recurring["lines"] or late[0]
    ]


def describe_rule(manifest: Manifest, rule: str) -> tuple[str, str]:
    """Return the bound of a rule in words, and what it measures."""
    if rule not in manifest.rules:  # a rule of the step deduplicate
        return f"at_most {getattr(manifest.deduplicate, rule)}", f"`deduplicate.{rule}` of the manifest."
    bound = manifest.rules[rule].model_dump(exclude_none=True, exclude={"source", "reason", "missing", "by"})
    if (iqr := bound.pop("iqr", None)) is not None:
        bound[f"fitted per {manifest.rules[rule].by}, interquartile ranges"] = iqr
    words = [
        f"{key} {show_number(value)}" if isinstance(value, float) else f"{key} {', '.join(value)}"
        for key, value in bound.items()
    ]
    return ", ".join(words), MEASURES[rule].description if rule in MEASURES else "A column of the input (`source.keep`)."


# Pieces of a tokenizer that the few captions of a sample support: SentencePiece refuses more than 389 of drawings-ja, and 1,065 of
# image-text-ja.
_SAMPLE_PIECES = {"drawings-ja": 380}
_FEWEST_PIECES = 900  # of others, and of little text


def _suggest_training(plan: Plan, terms: ReportTerms, is_sample: bool, kept: int) -> str:
    """Return the command that trains the bundled model, after those for what it reads and is missing. `kept`: what is in the shards."""
    pieces = _SAMPLE_PIECES.get(plan.manifest.name, _FEWEST_PIECES) if is_sample else None
    if not is_sample and plan.manifest.modality == "text" and kept < _FEW_CHARACTERS:
        pieces = choose_vocab_size(kept)
    return suggest_training(plan.out, terms, plan.manifest.tokenizer is not None, pieces)


def choose_vocab_size(characters: int) -> int:
    """Return the pieces of a tokenizer that so little text surely supports: a hundred characters for each, or more.

    >>> [choose_vocab_size(characters) for characters in (10_000, 829_475, 4_000_000)]
    [900, 8000, 16000]
    """
    return max([_FEWEST_PIECES, *(size for size in (2_000, 4_000, 8_000, 16_000) if 100 * size <= characters)])


def suggest_training(out: Path, terms: ReportTerms, is_tokenised: bool, pieces: int | None = None) -> str:
    """Return the command that trains on a corpus, after those for what it reads and is missing, or is of an earlier build.

    `is_tokenised`: the build itself makes a tokenizer, and token shards of documents. Little text, a sample, or a machine without a GPU
    suits `tiny` models, and little text a tokenizer of so many `pieces`.
    """
    quoted, commands, is_small = shlex.quote(shorten_path(out)), list[str](), pieces is not None
    if "tokenizer" in terms.reads and not is_tokenised and not (out / "tokenizer").is_dir():
        commands.append(f"python -m tokenizer.train {quoted}" + f" --vocab-size {pieces}" * is_small)
    if "tokens" in terms.reads and not is_tokenised and (encode := suggest_encoding(out, is_small)):
        commands.append(encode)
    return " && ".join([*commands, f"python -m {terms.trainer} {quoted}" + " --config tiny" * (is_small or not has_gpu())])


def has_gpu() -> bool:
    """Return whether the system shows a GPU, without loading what would use it."""
    return Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists() or sys.platform == "darwin"


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


def gather_plan_facts(plan: Plan, workers: int) -> PlanFacts:
    """Gather what is done of `plan`, what would be done, how large it would be and how long so many workers would take."""
    is_up_to_date = plan.up_to_date() is not None
    steps = _gather_finished_steps(plan) if is_up_to_date else _gather_step_states(plan)
    if plan.manifest.tokenizer is not None:
        is_tokenised = is_up_to_date and Tokenising(plan).up_to_date() is not None
        size = sum_file_sizes(plan.out / "tokenizer") + sum_file_sizes(plan.out / "tokens")
        steps.append(StepState("tokenise", "done" if is_tokenised else "to do", format_size(size)))
    if not is_up_to_date:
        conclusion = _estimate(plan, workers)
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


def _estimate(plan: Plan, workers: int) -> str:
    """Return sentences about the size of the input, of what a build would write, and how long it would take on this machine."""
    total, timing = sum(file.size or 0 for file in plan.inputs), find_timing(plan.manifest.modality)
    if not total:
        return "The size of the input is not known. Nothing was done."
    content = sum((file.size or 0) * _estimate_expansion(plan.manifest, file.shown_url) for file in plan.inputs)
    said = f"input of {format_size(total)} in all, about {format_size(content)} of content"
    if plan.limit is not None:
        wanted = timing.estimate_bytes(content, plan.limit) if timing else content
        records = modality_of(plan.manifest).terms.records.english
        share = f"about {format_size(wanted)}" if timing else "how much is not known before"
        said += f", of which the first {plan.limit:,} {records} are read ({share})"
        content = wanted
    intermediates, output = (format_size(share * content) for share in modality_of(plan.manifest).terms.space_per_byte)
    disk = next(path for path in (plan.work, *plan.work.parents) if path.exists())
    at_most = "at most" if plan.limit is not None and timing is None else "about"
    said += f"; a build takes {at_most} {intermediates} for intermediates and {output} for output"
    return f"{said} ({format_size(shutil.disk_usage(disk).free)} free). {_estimate_time(timing, content, workers)} Nothing was done."


def _estimate_time(timing: Timing | None, content: float, workers: int) -> str:
    if timing is None:
        return (
            "How long it takes here is not known: no build of some size was timed on this machine yet. One of a few hundred megabytes "
            "of content (--limit, and an --out of its own) tells the next --plan."
        )
    return (
        f"From its beginning it takes about {describe_seconds(timing.estimate_seconds(content, workers))} on {workers} "
        f"worker{'s' * (workers != 1)} of this machine, as fast as {timing.name} was built here on {timing.day} "
        f"({timing.bytes_per_second / timing.workers / 1e6:.1f} MB/s each)."
    )


def _estimate_expansion(manifest: Manifest, url: str) -> float:
    """Return how many bytes of content a byte of input has. Images and recordings are as large as their archives."""
    is_compressed = url.endswith((".xz", ".gz", ".zst", ".bz2"))
    return _TEXT_EXPANSION if manifest.modality == "text" and is_compressed else 1.0
