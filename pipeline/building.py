"""Build a corpus or a mixture: what the command and `seimai.build` do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rich.console import Console

from pipeline.build_inputs import (
    check_outputs,
    choose_folders,
    choose_inputs,
    describe_own_input,
    download_input,
    refuse_input_in_output,
    refuse_part_over_corpus,
    refuse_sample_over_corpus,
)
from pipeline.build_request import BuildRequest
from pipeline.compiling import compile_loops
from pipeline.core.added import list_added
from pipeline.core.checksums import ADDED
from pipeline.core.engine import Engine, count_workers
from pipeline.core.errors import BuildError, SeimaiError, UsageError
from pipeline.core.inline import make_engine
from pipeline.core.locks import hold_lock_file
from pipeline.core.ownership import claim_folder, hold_scratch
from pipeline.core.publication import corpus_publication, folder_publication, settle_publication
from pipeline.core.storage import remove_temporaries, sum_file_sizes, write_json
from pipeline.core.tables import suggest_look
from pipeline.core.terminal import Terminal
from pipeline.manifest.loading import load_any
from pipeline.manifest.model import source_options
from pipeline.mixture.corpora import open_corpora
from pipeline.mixture.facts import MixtureFacts, gather_mixture_facts, gather_mixture_plan
from pipeline.mixture.manifest import MixtureManifest
from pipeline.mixture.plan import MixturePlan
from pipeline.mixture.run import run as mix
from pipeline.mixture.terminal import print_mixture
from pipeline.mixture.tokens import MixtureTokens
from pipeline.modalities import MODALITIES
from pipeline.plan import Plan
from pipeline.publish import check_output_folder, publish_reports, remove_intermediates
from pipeline.report.facts import BuildFacts, gather_facts, gather_plan_facts
from pipeline.report.terminal import (
    print_intermediates,
    print_next_commands,
    print_plan,
    print_summary,
    print_tokenizer,
    print_unknown_license,
    print_up_to_date,
)
from pipeline.run import run
from pipeline.steps.tokenise import Tokenising, check_tokenising
from pipeline.verify import find_damaged_shards


class Built(NamedTuple):
    """A corpus: where it is and what its build says, None where that was only planned."""

    out: Path
    facts: BuildFacts | None = None


def build(request: BuildRequest, console: Console, plan_only: bool = False, began: float | None = None) -> Built:
    """Build a corpus, or show what is to be done, and tell `console` of it.

    `began`: when the command did, by `time.perf_counter`. Raises UsageError before any work begins, BuildError, and OSError.
    """
    began = time.perf_counter() if began is None else began
    request.check()
    inputs, folders = request.inputs, request.folders
    settings = [(f"source.{name}", str(Path(folder).absolute())) for name, folder in folders.items()]
    loaded = load_any(request.manifest, [*request.overrides, *settings])
    if isinstance(loaded, MixtureManifest):
        return _build_mixture(loaded, request, console, plan_only, began)
    for name in folders:
        if not inputs:
            raise UsageError(f"--{name} is for an input that lists {source_options()[name].content}: name it with --input")
    out, work = choose_folders(loaded, request.out, request.work)
    if not plan_only:
        settle_publication(out)
        check_outputs(out, work)
        if loaded.tokenizer is not None:
            check_tokenising(out, loaded.tokenizer, loaded.modality)
    if request.download and not plan_only:
        download_input(loaded, _progress_console(console))
    files = tuple(choose_inputs(loaded, list(inputs), request.download, plan_only, console))
    loaded = describe_own_input(loaded, request, files)
    plan = Plan(loaded, files, out.absolute(), work.absolute(), request.limit, inputs)
    refuse_input_in_output(plan, inputs)
    refuse_sample_over_corpus(plan)
    refuse_part_over_corpus(plan)
    if plan_only:
        print_plan(console, gather_plan_facts(plan, count_workers(request.workers)))
        return Built(out)
    return Built(out, _carry_out(_CorpusWork(plan, request.keep_going), request, console, began))


def _build_mixture(manifest: MixtureManifest, request: BuildRequest, console: Console, plan_only: bool, began: float) -> Built:
    """Build a mixture, or show what is to be done."""
    given = {
        "--input": request.inputs,
        "--download": request.download,
        "--limit": request.limit,
        "--keep-going": request.keep_going,
    }
    if options := [option for option, value in given.items() if value]:
        raise UsageError(f"{manifest.name} is a mixture of built corpora: {', '.join(options)} is for the builds of its parts")
    out, work = choose_folders(manifest, request.out, request.work)
    plan = MixturePlan(manifest, open_corpora(manifest, out), out.absolute(), work.absolute())
    if plan.workspace.inputs.is_file():
        raise UsageError(
            f"{out} holds a corpus that is no mixture, which this build would replace: name another folder with --out"
        )
    mixing = _MixtureWork(plan)
    if plan_only:
        print_plan(console, gather_mixture_plan(plan))
        return Built(out)
    settle_publication(out)
    check_outputs(out, work)
    return Built(out, _carry_out(mixing, request, console, began))


# -- what builds of corpora and of mixtures do differently


class _Work(Protocol):
    """A plan, and what is done of it. Summaries are those of its run; `tokenised` is what the step tokenise returns."""

    @property
    def plan(self) -> Plan | MixturePlan: ...
    @property
    def has_tokenizer(self) -> bool: ...
    @property
    def more_steps(self) -> Iterable[str]:
        """Further folders of intermediates that this build needs."""

    def find_summary(self) -> dict[str, Any] | None:
        """Return the summary of an earlier run that this one would repeat."""

    def find_tokenised(self) -> dict[str, Any] | None:
        """Return what the step tokenise left, where it is done."""

    def gather(self, summary: dict[str, Any], tokenised: dict[str, Any] | None) -> Any:
        """Return the facts of the build."""

    def begin(self) -> None:
        """Write down what is to be done, once the folder is this build's alone."""

    def run(self, engine: Engine) -> dict[str, Any]: ...
    def tokenise(self, engine: Engine) -> dict[str, Any]: ...
    def print_summary(self, console: Console, facts: Any, startup: float) -> None: ...


class _CorpusWork:
    """A build of raw material."""

    more_steps = ()

    def __init__(self, plan: Plan, keep_going: bool) -> None:
        self.plan, self._keep_going = plan, keep_going
        self._tokenising = Tokenising(plan) if plan.manifest.tokenizer else None
        self.has_tokenizer = self._tokenising is not None

    def find_summary(self) -> dict[str, Any] | None:
        summary = self.plan.up_to_date()
        return None if summary is not None and summary["damaged"] and not self._keep_going else summary

    def find_tokenised(self) -> dict[str, Any] | None:
        return self._tokenising.up_to_date() if self._tokenising else None

    def gather(self, summary: dict[str, Any], tokenised: dict[str, Any] | None) -> BuildFacts:
        return gather_facts(self.plan, summary, tokenised)

    def begin(self) -> None:
        write_json(self.plan.workspace.inputs, [f.describe(self.plan.out) for f in self.plan.inputs])

    def run(self, engine: Engine) -> dict[str, Any]:
        return run(self.plan, engine, self._keep_going)

    def tokenise(self, engine: Engine) -> dict[str, Any]:
        assert self._tokenising is not None, "asked where there is a tokenizer alone"
        return self._tokenising.run(engine)

    def print_summary(self, console: Console, facts: BuildFacts, startup: float) -> None:
        print_summary(console, facts, startup)


class _MixtureWork:
    """A build of corpora that are built already. Raises UsageError where the tokenizer that counts cannot be used."""

    def __init__(self, plan: MixturePlan) -> None:
        self.plan = plan
        self._tokens = MixtureTokens(plan) if plan.manifest.tokenizer else None
        self.has_tokenizer = self._tokens is not None
        if self._tokens is not None:
            self._tokens.check()
        self.more_steps = plan.more_steps

    def find_summary(self) -> dict[str, Any] | None:
        return self.plan.up_to_date()

    def find_tokenised(self) -> dict[str, Any] | None:
        return self._tokens.find_complete() if self._tokens else None

    def gather(self, summary: dict[str, Any], tokenised: dict[str, Any] | None) -> MixtureFacts:
        return gather_mixture_facts(self.plan, summary, tokenised)

    def begin(self) -> None:
        pass

    def run(self, engine: Engine) -> dict[str, Any]:
        return mix(self.plan, engine)

    def tokenise(self, engine: Engine) -> dict[str, Any]:
        assert self._tokens is not None, "asked where there is a tokenizer alone"
        return self._tokens.finish(engine)

    def print_summary(self, console: Console, facts: MixtureFacts, startup: float) -> None:
        print_mixture(console, facts, startup)


# -- building


def _carry_out(work: _Work, request: BuildRequest, console: Console, began: float) -> BuildFacts:
    """Do what is not done yet, tell of it, and return what the build says. Raises BuildError where nothing was kept."""
    plan = work.plan
    with _exclusive(plan):
        summary = work.find_summary()
        tokenised = work.find_tokenised() if summary else None
        if summary is not None and (not work.has_tokenizer or tokenised is not None):
            facts: BuildFacts = work.gather(summary, tokenised)
            print_up_to_date(console, facts)
            _refuse_empty_corpus(plan, summary)
            _print_end(plan, facts, request.clean, console)
            return facts
        if summary is not None and _has_damage(plan.out, console):
            summary = None
        work.begin()
        failure: SeimaiError | None = None
        progress = _progress_console(console)
        with (
            _prepare(plan, console, work.more_steps),
            make_engine(request.workers, request.scheduler, plan.work / "dask", progress) as engine,
        ):
            if summary is None:
                compile_loops(engine, plan.manifest.modality)
            startup = time.perf_counter() - began
            result = summary or work.run(engine)
            if work.has_tokenizer and _count_kept(result):
                try:
                    tokenised = work.tokenise(engine)
                except SeimaiError as error:  # the corpus is complete nevertheless
                    failure = error
        facts = work.gather(result, tokenised)
        if summary is None:
            work.print_summary(console, facts, startup)
        _refuse_empty_corpus(plan, result)
        if failure is not None:
            raise failure
        if tokenised is not None:
            publish_reports(plan.workspace, facts)
            print_tokenizer(console, facts)
        _print_end(plan, facts, request.clean, console)
        return facts


@contextmanager
def _exclusive(plan: Plan | MixturePlan) -> Iterator[None]:
    """Hold the locks of the output folder and of the folder for intermediates."""
    with ExitStack() as stack:
        message = f"another command is at work in {plan.out}; wait for it, or choose another --out"
        stack.enter_context(hold_lock_file(plan.workspace.state_folder / "lock", message))
        if plan.work.parent != plan.workspace.state_folder:
            message = f"another command is at work in {plan.work}; wait for it, or choose another --work"
            stack.enter_context(hold_lock_file(plan.work / "lock", message))
        claim_folder(plan.out, "pipeline.build")
        corpus_publication(plan.out).complete()  # which a build that ended just now may have left
        for name in ADDED:
            folder_publication((plan.out / name).resolve()).complete()
            list_added(plan.out / name)  # where a training was killed before it did
        yield


@contextmanager
def _prepare(plan: Plan | MixturePlan, console: Console, more_steps: Iterable[str] = ()) -> Iterator[None]:
    """Say which steps are done again since libraries changed, check what is in the output folder and claim the folders of the steps.

    Afterwards remove what workers kept on the disk.
    """
    for sentence in plan.record_libraries():
        console.print(sentence, highlight=False, markup=False)
    for warning in check_output_folder(plan.workspace):
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    plan.work.mkdir(parents=True, exist_ok=True)
    plan.workspace.claim_steps(more_steps)
    for folder in (plan.work, plan.workspace.state_folder):
        remove_temporaries(folder)
    with hold_scratch(plan.work / "dask", lambda path: path.startswith("dask-scratch-space/")):
        yield


def _has_damage(out: Path, console: Console) -> bool:
    """Return whether shards or ledger that a build goes on from have changed since they were published, and say which."""
    damaged = find_damaged_shards(out)
    for difference in damaged:
        sentence = f"{difference.path} has changed since it was published: it is written again"
        console.print(sentence, style="yellow", highlight=False, markup=False, soft_wrap=True)
    return bool(damaged)


def _progress_console(console: Console) -> Console:
    """Return where progress is shown: standard error, so that standard output has the summary alone."""
    return Terminal(stderr=True, quiet=console.quiet)


def _print_end(plan: Plan | MixturePlan, facts: BuildFacts, clean: bool, console: Console) -> None:
    """Print what is on the disk and what comes next; with `clean`, remove the intermediates first."""
    folders = plan.workspace.list_own_steps()
    size = remove_intermediates(plan.workspace) if clean else sum(map(sum_file_sizes, folders))
    print_unknown_license(console, facts)
    print_intermediates(console, plan.work, size, are_removed=clean)
    print_next_commands(console, facts)


def _count_kept(summary: dict[str, Any]) -> int:
    """Return how many records were kept."""
    return int(summary["verdicts"].get("kept", [0])[0])


def _refuse_empty_corpus(plan: Plan | MixturePlan, summary: dict[str, Any]) -> None:
    """Raise BuildError where nothing was kept. The ledger, which says why, is published by then."""
    if not _count_kept(summary):
        records = MODALITIES[plan.manifest.modality].terms.records.local
        command = suggest_look(plan.out / "ledger", expression="group_by('step', 'rule').len()")
        raise BuildError(
            f"not one of the {records} was kept: there is nothing to train on. The ledger says why each was dropped: {command}"
        )
