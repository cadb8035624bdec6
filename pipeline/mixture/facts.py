"""What the build of a mixture says of itself, gathered from its summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from pipeline.core.storage import format_size, sum_file_sizes
from pipeline.dedup.bands import banding
from pipeline.mixture.plan import MixturePlan
from pipeline.mixture.selection import TOLERANCE, Selected, Target
from pipeline.mixture.tokens import MixtureTokens
from pipeline.modalities.base import Bilingual
from pipeline.modalities.text.modality import TextModality
from pipeline.report.facts import (
    BuildFacts,
    PlanFacts,
    RuleFacts,
    SplitFacts,
    StepFacts,
    StepState,
    explain_split,
    find_size_category,
    find_token_warnings,
    gather_added,
    gather_licenses,
    suggest_training,
)

SPLITS = ("train", "validation")
_HALF = 0.5  # of its records that a part loses to another: more is told


class SourceFacts(NamedTuple):
    """What a part had and what is in the mixture. Amounts count every copy; `tokens` is None where no tokenizer counted them."""

    name: str
    license: str
    records: int  # that the part kept
    duplicates: int  # of them, that other parts (or it itself) keep
    documents: int  # of them, that are in the mixture
    copies: int
    chars: int
    tokens: int | None
    share: float  # of the mixture, in its unit
    wanted: int | None
    reached: int
    reachable: int  # with all of its epochs


@dataclass(frozen=True)
class MixtureFacts(BuildFacts):
    """Everything that the finished build of a mixture says."""

    template: ClassVar[str] = "mixture.md.j2"
    has_report: ClassVar[bool] = False

    sources: tuple[SourceFacts, ...] = ()
    unit: str = "characters"
    unit_ja: str = "文字数"
    seed: int = 1
    size_note: Bilingual | None = None  # what decided the size of the whole, where the manifest does not
    part_fingerprints: tuple[str, ...] = ()

    @property
    def declared_licenses(self) -> tuple[str, ...]:
        return (self.manifest.license, *(source.license for source in self.sources))

    def further_lock(self) -> dict[str, Any]:
        parts = zip(self.sources, self.part_fingerprints, strict=True)
        return {"parts": [{"name": source.name, "fingerprint": fingerprint} for source, fingerprint in parts]}


def summarise_sources(plan: MixturePlan, selected: Selected, duplicates: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what `SourceFacts` of every part are made of."""
    total = sum(one["amount"] for one in selected.chosen)
    sources = []
    for number, corpus in enumerate(plan.corpora):
        chosen, target = selected.chosen[number], selected.targets[number]
        values = SourceFacts(
            name=corpus.name,
            license=corpus.manifest.license,
            records=corpus.kept[0],
            duplicates=sum(count for loser, _, count in duplicates["lost"] if loser == number),
            documents=chosen["documents"],
            copies=chosen["copies"],
            chars=chosen["chars"],
            tokens=chosen["tokens"] if plan.manifest.tokenizer else None,
            share=chosen["amount"] / max(total, 1),
            wanted=target.wanted,
            reached=chosen["amount"],
            reachable=target.reachable,
        )
        sources.append(values._asdict())
    return sources


def find_warnings(plan: MixturePlan, selected: Selected, duplicates: dict[str, Any]) -> list[str]:
    """Return what the build has to say beyond its numbers."""
    unit = unit_of(plan)[0]
    warnings = []
    for number, (corpus, part) in enumerate(zip(plan.corpora, plan.manifest.mixture, strict=True)):
        if corpus.is_sample:
            warnings.append(f"{corpus.name} is built from its embedded sample, not from the corpus itself")
        if corpus.state.get("damaged"):
            warnings.append(f"{corpus.name} was built from damaged input, with --keep-going")
        if not selected.available[number]["documents"]:
            warnings.append(f"{corpus.name} contributes nothing: other parts have all of its documents, and keep them")
        for loser, winner, count in duplicates["lost"]:
            if loser == number != winner and count > _HALF * corpus.kept[0]:
                warnings.append(
                    f"{corpus.name} loses {count:,} of its {corpus.kept[0]:,} documents ({count / corpus.kept[0]:.0%}) to "
                    f"{plan.corpora[winner].name}, which has them, too, and keeps them"
                )
        miss = _describe_miss(selected.targets[number], selected.chosen[number]["amount"], part.epochs, unit)
        if miss:
            warnings.append(f"{corpus.name} {miss}")
    return warnings


def _describe_miss(target: Target, reached: int, epochs: int, unit: str) -> str | None:
    """Return in words how a target was missed, or None where it was met."""
    if target.wanted is None or abs(reached - target.wanted) <= TOLERANCE * target.wanted:
        return None
    share = f"{reached:,} of {target.wanted:,} {unit} ({reached / target.wanted:.1%})"
    if target.reachable < target.wanted:
        times = "once" if epochs == 1 else f"{epochs} times"
        return f"has too little: {share}, with every document {times}. More epochs, a smaller budget or more text would meet it"
    return f"meets its budget by {share} only: its documents are large beside it"


def _explain_size(plan: MixturePlan, sources: Sequence[SourceFacts]) -> Bilingual | None:
    """Return which part decided the size of the whole, where it is as large as the weights allow."""
    if plan.manifest.total is not None or plan.manifest.mixture[0].weight is None:
        return None
    reaches = [source.reachable / (part.weight or 1) for source, part in zip(sources, plan.manifest.mixture, strict=True)]
    number = reaches.index(min(reaches))
    name, epochs = sources[number].name, plan.manifest.mixture[number].epochs
    times = "once" if epochs == 1 else f"{epochs} times"
    return Bilingual(
        f"as large as the weights allow: {name} is used completely, {times}",
        f"割合の許す最大: {name} のすべてを{epochs}回使用",
    )


def unit_of(plan: MixturePlan) -> tuple[str, str]:
    """Return what amounts are counted in, in English and Japanese."""
    return ("tokens", "トークン数") if plan.manifest.unit == "tokens" else ("characters", "文字数")


def gather_mixture_facts(plan: MixturePlan, summary: dict[str, Any], tokenised: dict[str, Any] | None = None) -> MixtureFacts:
    """Gather what the build of `plan` says, from the summary of its run and of what was made of its tokenizer."""
    manifest, terms, settings = plan.manifest, TextModality.terms, plan.manifest.deduplicate
    sources = tuple(SourceFacts(**source) for source in summary["sources"])
    verdicts = {name: summary["verdicts"].get(name, [0, 0]) for name in ("kept", "duplicate", "dropped")}
    kept, duplicates, dropped = verdicts.values()
    states = [[sum(pair) for pair in zip(*verdicts.values(), strict=True)], [kept[0] + dropped[0], kept[1] + dropped[1]], kept]
    states.append([sum(source.copies for source in sources), sum(source.chars for source in sources)])
    steps = [
        StepFacts(name, before[0], after[0], before[1], after[1])
        for name, before, after in zip(("deduplicate", "select", "repeat"), states[:-1], states[1:], strict=True)
    ]
    near = f"character {settings.shingle}-grams, Jaccard similarity {settings.threshold:g}, verified"
    is_sample = any(corpus.is_sample for corpus in plan.corpora)
    return MixtureFacts(
        out=plan.out,
        manifest=manifest,
        terms=terms,
        is_sample=is_sample,
        size_category=find_size_category(states[-1][0]),
        split_rule=explain_split(terms),
        polishing_ratio=kept[1] / max(states[0][1], 1),
        steps=steps,
        splits=[SplitFacts(name, documents, chars) for name, (documents, chars) in summary["splits"].items()],
        split_names=[split for split in SPLITS if any(name.startswith(split) for name in summary["shards"])],
        rules=[RuleFacts("budget", dropped[0], dropped[1], "", "beyond the weight or the budget of its part")]
        if dropped[0]
        else [],
        duplicates={name: summary["duplicates"][name] for name in ("exact", "near", "shared")},
        near_duplicate=near,
        unreadable=0,
        inputs=[],
        warnings=[*summary["warnings"], *find_token_warnings(tokenised)],
        **gather_added(plan.out, summary, tokenised),
        bytes=summary["bytes"],
        seconds=summary["seconds"],
        peak_memory=summary["peak_memory"],
        training_command=suggest_training(plan.out, terms, manifest.tokenizer is not None, 900 if is_sample else None),
        resolved_manifest=plan.resolved(),
        fingerprints=dict(plan.fingerprints.items()),
        bands_and_rows=banding(settings) if settings.enabled else None,
        limit=None,
        removed=[],
        licenses=gather_licenses(summary),
        files=summary["files"],
        sources=sources,
        unit=unit_of(plan)[0],
        unit_ja=unit_of(plan)[1],
        seed=manifest.seed,
        size_note=_explain_size(plan, sources),
        part_fingerprints=tuple(corpus.state["fingerprint"] for corpus in plan.corpora),
    )


def gather_mixture_plan(plan: MixturePlan) -> PlanFacts:
    """Gather what is done of `plan`, and what would be done."""
    is_up_to_date = plan.up_to_date() is not None
    steps = []
    for step in plan.fingerprints:
        folder = plan.workspace.staging if step == "write" else plan.workspace.folder(step)
        if step == "count" and plan.manifest.tokenizer is None:
            continue
        state = "done" if is_up_to_date else "begun" if folder.is_dir() and any(folder.iterdir()) else "to do"
        steps.append(
            StepState(
                step, state, format_size(sum_file_sizes(plan.out / "data" if is_up_to_date and step == "write" else folder))
            )
        )
    is_tokenised = plan.manifest.tokenizer is None or MixtureTokens(plan).find_complete() is not None
    if plan.manifest.tokenizer is not None:
        size = sum_file_sizes(plan.out / "tokenizer") + sum_file_sizes(plan.out / "tokens")
        steps.append(StepState("tokenise", "done" if is_up_to_date and is_tokenised else "to do", format_size(size)))
    inputs = [(str(corpus.out), f"{corpus.kept[0]:,} documents, {corpus.kept[1]:,} characters") for corpus in plan.corpora]
    conclusion = "up to date: a build would do nothing" if is_up_to_date and is_tokenised else "Nothing was done."
    return PlanFacts(inputs, plan.out, plan.work, steps, conclusion)
