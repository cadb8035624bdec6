"""`python -m pipeline.build MANIFEST`: from raw material to sharded Parquet."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import as_file
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console

from pipeline.compiling import compile_loops
from pipeline.core.added import list_added
from pipeline.core.checksums import ADDED, PUBLISHED_FOLDERS
from pipeline.core.command import report_errors
from pipeline.core.engine import count_workers
from pipeline.core.errors import BuildError, SeimaiError, UsageError
from pipeline.core.help import command
from pipeline.core.inline import check_options, make_engine, scheduler_option, workers_option
from pipeline.core.locks import hold_lock_file
from pipeline.core.names import strip_secrets
from pipeline.core.options import CountRange
from pipeline.core.ownership import STATE_FOLDER, NamedPath, claim_folder, explain_foreign, hold_scratch, refuse_overlap
from pipeline.core.paths import expand_home, follow_parents, refuse_unwritable
from pipeline.core.publication import adopt_earlier_state, corpus_publication, folder_publication, settle_publication
from pipeline.core.storage import format_size, read_json, remove_temporaries, sum_file_sizes, write_json
from pipeline.core.tables import suggest_look
from pipeline.core.terminal import Terminal, tell_json
from pipeline.fetch.download import download as download_file
from pipeline.manifest.loading import Override, load_any
from pipeline.manifest.model import Described, Manifest, source_options
from pipeline.manifest.overview import print_names
from pipeline.manifest.presets import manifest_folder
from pipeline.mixture.corpora import open_corpora
from pipeline.mixture.facts import gather_mixture_facts, gather_mixture_plan
from pipeline.mixture.manifest import MixtureManifest
from pipeline.mixture.plan import MixturePlan
from pipeline.mixture.run import run as mix
from pipeline.mixture.terminal import print_mixture
from pipeline.mixture.tokens import MixtureTokens
from pipeline.modalities import MODALITIES
from pipeline.plan import Plan
from pipeline.publish import check_output_folder, publish_reports, remove_intermediates
from pipeline.report.facts import BuildFacts, gather_facts, gather_plan_facts
from pipeline.report.summary import summarise_facts
from pipeline.report.terminal import (
    print_intermediates,
    print_next_commands,
    print_plan,
    print_summary,
    print_tokenizer,
    print_up_to_date,
)
from pipeline.run import run
from pipeline.sources import SOURCES
from pipeline.sources.inputs import InputFile, describe_file, is_sample_identity, is_url, locate_input
from pipeline.steps.tokenise import Tokenising, check_tokenising
from pipeline.verify import find_damaged_shards
from pipeline.workspace import Workspace

Command = Callable[..., None]


def _folder_options(command: Command) -> Command:
    """Add the options that name a folder of content, such as --images."""
    for name, option in reversed(source_options().items()):
        if option.flag is not None:
            command = click.option(option.flag, name, metavar="DIR", help=option.help)(command)
    return command


@command()
@click.argument("manifest", metavar="MANIFEST", required=False)
@click.option("--list", "lists", is_flag=True, help="List manifests, presets and measures by name, then stop.")
@click.option("--input", "inputs", multiple=True, metavar="PATH|URL", help="Raw input: a path, glob or URL; may be repeated.")
@_folder_options
@click.option("--download", is_flag=True, help="Fetch the manifest's raw corpus first (resumable) and build from it.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder.  [default: corpora/<name>]")
@click.option(
    "--work", type=click.Path(path_type=Path), help="Folder for intermediates.  [default: <out>/.cache/huggingface/seimai/work]"
)
@workers_option
@scheduler_option
@click.option("--limit", type=CountRange(1, 2**62), metavar="N", help="Read only the first N records.")
@click.option("--plan", "plan_only", is_flag=True, help="Show what is done, what would be done and how large, then stop.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override any manifest key, e.g. rules.chars.at_least=100."
)
@click.option(
    "--clean", is_flag=True, help="Remove intermediates after success. [default: keep them, for other rules and mixtures]"
)
@click.option("--keep-going", is_flag=True, help="Build from what could be read of a damaged input.")
@click.option(
    "--json", "is_json", is_flag=True, help="Print the summary as JSON, for scripts; all else goes to standard error."
)
def main(
    manifest: str | None,
    lists: bool,
    inputs: tuple[str, ...],
    download: bool,
    out: Path | None,
    work: Path | None,
    workers: int | None,
    scheduler: str | None,
    limit: int | None,
    plan_only: bool,
    overrides: tuple[str, ...],
    clean: bool,
    keep_going: bool,
    is_json: bool,
    **folders: str | None,
) -> None:
    """Build the corpus of MANIFEST, the name of one under manifests/ or a path to a TOML file.

    With no raw corpus at hand it builds the embedded sample. Exit code 0: done; 1: the build failed (run the same command
    again to go on); 2: wrong usage or manifest; 130: interrupted (the same command goes on).
    """
    with report_errors("building"):
        if lists:
            print_names(Terminal())
            return
        if manifest is None:
            raise UsageError(
                "name a manifest, such as cc100-ja, or the path to a TOML file; python -m pipeline.build --list has them"
            )
        request = BuildRequest(
            manifest, inputs, download, out, work, workers, scheduler, limit, overrides, keep_going, clean,
            {name: folder for name, folder in folders.items() if folder is not None},
        )  # fmt: skip
        if is_json and plan_only:
            raise UsageError("--json and --plan exclude one another")
        built = build(request, Terminal(stderr=is_json), plan_only)
        if is_json and built.facts is not None:
            tell_json(summarise_facts(built.facts))


@dataclass(frozen=True)
class BuildRequest:
    """What is to be built, from what and where: the options of the command, by the same names.

    `overrides`: assignments as `--set` has them, or keys and values. `folders`: of content that the input names, as `images`.
    """

    manifest: str
    inputs: tuple[str, ...] = ()
    download: bool = False
    out: Path | None = None
    work: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    limit: int | None = None
    overrides: tuple[Override, ...] = ()
    keep_going: bool = False
    clean: bool = False
    folders: Mapping[str, str] = field(default_factory=dict)


class Built(NamedTuple):
    """A corpus: where it is and what its build says, None where that was only planned."""

    out: Path
    facts: BuildFacts | None = None


def build(request: BuildRequest, console: Console, plan_only: bool = False) -> Built:
    """Build a corpus, or show what is to be done, and tell `console` of it.

    Raises UsageError before any work begins, BuildError, and OSError.
    """
    inputs, folders = request.inputs, request.folders
    if request.download and inputs:
        raise UsageError("--download and --input exclude one another")
    for option, paths in (("--input", inputs), *((f"--{name}", (folder,)) for name, folder in folders.items())):
        if "" in paths:
            raise UsageError(f"{option} is empty: expected a path. Leave {option} out to do without it")
    check_options(request.workers, request.scheduler)
    settings = [(f"source.{name}", str(Path(folder).absolute())) for name, folder in folders.items()]
    loaded = load_any(request.manifest, [*request.overrides, *settings])
    if isinstance(loaded, MixtureManifest):
        given = {
            "--input": inputs,
            "--download": request.download,
            "--limit": request.limit,
            "--keep-going": request.keep_going,
        }
        _refuse_options(loaded, [option for option, value in given.items() if value])
        out, work = _choose_folders(loaded, request.out, request.work)
        return Built(out, _mix(loaded, out, work, request.workers, request.scheduler, plan_only, request.clean, console))
    for name in folders:
        if not inputs:
            raise UsageError(f"--{name} is for an input that lists {source_options()[name].content}: name it with --input")
    out, work = _choose_folders(loaded, request.out, request.work)
    if not plan_only:
        settle_publication(out)
        _check_outputs(out, work)
        if loaded.tokenizer is not None:
            check_tokenising(out, loaded.tokenizer, loaded.modality)
    if request.download and not plan_only:
        _download(loaded, console)
    files = tuple(_choose_inputs(loaded, list(inputs), request.download, plan_only, console))
    if any(f.is_sample for f in files):
        # Written for Seimai, so not under the terms of the corpus that it stands in for.
        title = f"{loaded.title} (embedded sample)"
        loaded = loaded.model_copy(update={"title": title, "license": "CC0-1.0", "license_name": None, "license_link": None})
    plan = Plan(loaded, files, out.absolute(), work.absolute(), request.limit, inputs)
    _refuse_input_in_output(plan, inputs)
    _refuse_sample_over_corpus(plan)
    _refuse_part_over_corpus(plan)
    if plan_only:
        print_plan(console, gather_plan_facts(plan, count_workers(request.workers)))
        return Built(out)
    return Built(out, _build(plan, request.workers, request.scheduler, request.keep_going, request.clean, console))


# -- what is built, and where


def _refuse_options(manifest: MixtureManifest, options: list[str]) -> None:
    if options:
        raise UsageError(f"{manifest.name} is a mixture of built corpora: {', '.join(options)} is for the builds of its parts")


def _choose_folders(manifest: Described, out: Path | None, work: Path | None) -> tuple[Path, Path]:
    """Return output folder and folder for intermediates. Raises UsageError where a build must not write."""
    out = follow_parents(expand_home(out or Path("corpora") / manifest.name))
    for option, path in (("--out", out), ("--work", work)):
        if path is not None and is_url(str(path).replace(":/", "://")):
            raise UsageError(f"{option} {path}: output goes to a folder (shared by all workers of a cluster), not to a URL")
    work = follow_parents(expand_home(work)) / manifest.name if work else out / STATE_FOLDER / "work"
    for name in PUBLISHED_FOLDERS:
        if (out / name).absolute() in (work.absolute(), *work.absolute().parents):
            raise UsageError(f"--work {work.parent} lies in the output's {name} folder, which a build replaces")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    adopt_earlier_state(out)
    for link in (out, out / STATE_FOLDER, work):
        if link.is_symlink() and not link.exists():
            raise UsageError(f"{link} is a link to {link.readlink()}, which is not there: make that folder, or remove the link")
    if out.is_dir() and any(out.iterdir()) and not (out / STATE_FOLDER).is_dir():
        raise UsageError(f"--out {out} is not empty and {explain_foreign(out)}; choose another folder or empty it yourself")
    return out, work


def _check_outputs(out: Path, work: Path) -> None:
    """Refuse, before anything is downloaded, read or made, what could not be written in the end."""
    refuse_unwritable("--out", out)
    refuse_unwritable("--work", work)
    check_output_folder(Workspace(out.absolute(), work.absolute(), {}))


def _refuse_input_in_output(plan: Plan, patterns: Iterable[str]) -> None:
    """Refuse to build from what the build would write over, and to write into a folder that it reads.

    `patterns`: what `--input` names; a glob with ** is of the folder that it begins with.
    """
    paths = dict.fromkeys(
        url for file in plan.inputs for url in (file.url, *file.companions, *file.siblings) if not is_url(url)
    )
    inputs = [NamedPath(f"--input {path}", Path(path)) for path in paths]
    folders = [re.split(r"[^/]*[*?[]", pattern, maxsplit=1)[0] if "**" in pattern else pattern for pattern in patterns]
    inputs += [NamedPath(f"--input {folder or '.'}", Path(folder)) for folder in folders if not is_url(folder)]
    options = plan.manifest.source.options.items()
    inputs += [NamedPath(f"source.{key} = {value}", Path(value)) for key, value in options if isinstance(value, str)]
    refuse_overlap([NamedPath(f"--out {plan.out}", plan.out), NamedPath(f"--work {plan.work}", plan.work)], inputs)


def _refuse_sample_over_corpus(plan: Plan) -> None:
    """Refuse to build the sample over a corpus from real input, finished or not."""
    if not any(file.is_sample for file in plan.inputs):
        return
    inputs = read_json(plan.workspace.inputs)
    described = (
        [f for f in inputs if isinstance(f, dict) and {"identity", "url"} <= f.keys()] if isinstance(inputs, list) else []
    )
    known = [f for f in described if not is_sample_identity(f["identity"])]
    if known:
        real = locate_input(plan.out, known[0]["url"])
        raise UsageError(
            f"{plan.out} holds a build of {real}; the embedded sample would replace it. "
            f"Name the input again with --input {shlex.quote(real)}, or build the sample elsewhere with --out"
        )


def _refuse_part_over_corpus(plan: Plan) -> None:
    """Refuse to build a part of a corpus, by --limit, over the whole of it."""
    state = read_json(plan.workspace.state)
    if plan.limit is not None and isinstance(state, dict) and state.get("limit", 0) is None:
        raise UsageError(
            f"{plan.out} holds the corpus without --limit; this build would replace it and what it was built from. "
            "Name another folder with --out"
        )


def _raw_path(manifest: Manifest) -> Path | None:
    """Return where --download puts the raw corpus, and where a later build looks for it."""
    if not manifest.source.url:
        return None
    name = strip_secrets(manifest.source.url).rsplit("/", 1)[-1]
    if name in ("", ".", ".."):
        raise UsageError(f"source.url = {manifest.source.url!r} names no file")
    return Path("raw") / manifest.name / name


def _download(manifest: Manifest, console: Console) -> None:
    target = _raw_path(manifest)
    if target is None or manifest.source.url is None:
        raise UsageError(f"manifest {manifest.name} has no source.url to download from")
    download_file(manifest.source.url, target, _progress_console(console))


def _choose_inputs(manifest: Manifest, inputs: list[str], download: bool, plan_only: bool, console: Console) -> list[InputFile]:
    """Return the inputs of the command line, else the raw corpus where it was downloaded, else the embedded sample."""
    if inputs:
        source = SOURCES[manifest.source.format]
        files = source.find_inputs(inputs, **manifest.source.options)
        source.check_fields(files, manifest.source.fields)
        return files
    raw = _raw_path(manifest)
    if raw is not None and (raw.is_file() or download):
        return [describe_file(str(raw) if raw.is_file() else manifest.source.url or "")]
    more = f", or --download to fetch {manifest.source.url}" if manifest.source.url else ""
    if manifest.source.sample is None:
        more = ", or fetch it with --download" if manifest.source.url else ""
        raise UsageError(f"manifest {manifest.name} has no embedded sample: name the raw corpus with --input{more}")
    with as_file(manifest_folder() / "samples" / manifest.source.sample) as path:
        if not path.is_file():
            raise UsageError(f"source.sample = {manifest.source.sample!r}: there is no such file under manifests/samples/")
        size = format_size(path.stat().st_size)
        console.print(
            (
                f"no raw corpus at hand: this would build the embedded sample ({size}). For the real thing: --input PATH|URL{more}"
                if plan_only
                else f"no raw corpus at hand: building the embedded sample ({size}). For the real thing: --input PATH|URL{more}"
            ),
            style="bold", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        # The sample's content is its version's; its time of installation says nothing.
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return [replace(describe_file(str(path)), identity=f"sample-{digest}")]


# -- building


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


def _build(
    plan: Plan, workers: int | None, scheduler: str | None, keep_going: bool, clean: bool, console: Console
) -> BuildFacts:
    with _exclusive(plan):
        summary = plan.up_to_date()
        if summary is not None and summary["damaged"] and not keep_going:
            summary = None
        tokenising = Tokenising(plan) if plan.manifest.tokenizer else None
        tokenised = tokenising.up_to_date() if tokenising and summary else None
        if summary is not None and (tokenising is None or tokenised is not None):
            facts = gather_facts(plan, summary)
            print_up_to_date(console, facts)
            _refuse_empty_corpus(plan, summary)
            _print_end(plan, facts, clean, console)
            return facts
        if summary is not None and _has_damage(plan.out, console):
            summary = None
        write_json(plan.workspace.inputs, [f.describe(plan.out) for f in plan.inputs])
        failure: SeimaiError | None = None
        with _prepare(plan, console), make_engine(workers, scheduler, plan.work / "dask", _progress_console(console)) as engine:
            if summary is None:
                compile_loops(engine, plan.manifest.modality)
            result: dict[str, Any] = summary or run(plan, engine, keep_going)
            if tokenising is not None and _count_kept(result):
                try:
                    tokenised = tokenising.run(engine)
                except SeimaiError as error:  # the corpus is complete nevertheless
                    failure = error
        facts = gather_facts(plan, result, tokenised)
        if summary is None:
            print_summary(console, facts)
        _finish(plan, result, facts, tokenised is not None, failure, clean, console)
        return facts


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


def _mix(
    manifest: MixtureManifest,
    out: Path,
    work: Path,
    workers: int | None,
    scheduler: str | None,
    plan_only: bool,
    clean: bool,
    console: Console,
) -> BuildFacts | None:
    """Build a mixture, or show what is to be done; return what its build says."""
    plan = MixturePlan(manifest, open_corpora(manifest, out), out.absolute(), work.absolute())
    if plan.workspace.inputs.is_file():
        raise UsageError(
            f"{out} holds a corpus that is no mixture, which this build would replace: name another folder with --out"
        )
    tokens = MixtureTokens(plan) if manifest.tokenizer else None
    if tokens is not None:
        tokens.check()
    if plan_only:
        print_plan(console, gather_mixture_plan(plan))
        return None
    settle_publication(out)
    _check_outputs(out, work)
    with _exclusive(plan):
        summary = plan.up_to_date()
        tokenised = tokens.find_complete() if tokens and summary else None
        if summary is not None and (tokens is None or tokenised is not None):
            facts = gather_mixture_facts(plan, summary, tokenised)
            print_up_to_date(console, facts)
            _refuse_empty_corpus(plan, summary)
            _print_end(plan, facts, clean, console)
            return facts
        if summary is not None and _has_damage(plan.out, console):
            summary = None
        failure: SeimaiError | None = None
        with (
            _prepare(plan, console, plan.more_steps),
            make_engine(workers, scheduler, plan.work / "dask", _progress_console(console)) as engine,
        ):
            if summary is None:
                compile_loops(engine, manifest.modality)
            result = summary or mix(plan, engine)
            if tokens is not None and _count_kept(result):
                try:
                    tokenised = tokens.finish(engine)
                except SeimaiError as error:  # the corpus is complete nevertheless
                    failure = error
        facts = gather_mixture_facts(plan, result, tokenised)
        if summary is None:
            print_mixture(console, facts)
        _finish(plan, result, facts, tokenised is not None, failure, clean, console)
        return facts


def _finish(
    plan: Plan | MixturePlan,
    summary: dict[str, Any],
    facts: BuildFacts,
    is_tokenised: bool,
    failure: SeimaiError | None,
    clean: bool,
    console: Console,
) -> None:
    """Tell what is left to be told of a build that was published. Raises `failure`, and BuildError where nothing was kept."""
    _refuse_empty_corpus(plan, summary)
    if failure is not None:
        raise failure
    if is_tokenised:
        publish_reports(plan.workspace, facts)
        print_tokenizer(console, facts)
    _print_end(plan, facts, clean, console)


def _print_end(plan: Plan | MixturePlan, facts: BuildFacts, clean: bool, console: Console) -> None:
    """Print what is on the disk and what comes next; with `clean`, remove the intermediates first."""
    folders = plan.workspace.list_own_steps()
    size = remove_intermediates(plan.workspace) if clean else sum(map(sum_file_sizes, folders))
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


if __name__ == "__main__":
    main()
