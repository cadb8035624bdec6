"""`python -m pipeline.build MANIFEST`: from raw material to sharded Parquet."""

from __future__ import annotations

import shutil
from importlib.resources import as_file
from pathlib import Path
from typing import Any

import click
from filelock import FileLock, Timeout
from rich.console import Console

from pipeline.core.command import report_errors
from pipeline.core.errors import BuildError, SeimaiError, UsageError
from pipeline.core.storage import format_size, read_json, remove_temporaries, write_json
from pipeline.manifest.loading import Manifest, folder, load
from pipeline.plan import Plan
from pipeline.report.card import write_card
from pipeline.report.facts import gather_facts, gather_plan_facts
from pipeline.report.lock import write_lock
from pipeline.report.terminal import print_next_commands, print_plan, print_summary, print_tokenizer, print_up_to_date
from pipeline.sources import inputs as find_inputs
from pipeline.sources.inputs import InputFile, is_url, resolve
from pipeline.steps.tokenise import Tokenising

_MARK = ".seimai"
_LISTED = {"images": "images", "audio": "recordings"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("manifest", metavar="MANIFEST")
@click.option("--input", "inputs", multiple=True, metavar="PATH|URL", help="Raw input: a path, glob or URL; may be repeated.")
@click.option("--images", metavar="DIR", help="Folder of the images that the input, a list, names by URL or file name.")
@click.option("--audio", metavar="DIR", help="Folder of the recordings that the input, a list, names by path.")
@click.option("--download", is_flag=True, help="Fetch the manifest's raw corpus first (resumable) and build from it.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder.  [default: corpora/<name>]")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for intermediates.  [default: <out>/.seimai/work]")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.  [default: one per core]")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Address of a running Dask scheduler, over shared storage.")
@click.option("--limit", type=click.IntRange(1, 2**62), metavar="N", help="Read only the first N records.")
@click.option("--plan", "plan_only", is_flag=True, help="Show what is done, what would be done and how large, then stop.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override any manifest key, e.g. rules.chars.at_least=100."
)
@click.option("--keep-going", is_flag=True, help="Build from what could be read of a damaged input.")
def main(
    manifest: str,
    inputs: tuple[str, ...],
    images: str | None,
    audio: str | None,
    download: bool,
    out: Path | None,
    work: Path | None,
    workers: int | None,
    scheduler: str | None,
    limit: int | None,
    plan_only: bool,
    overrides: tuple[str, ...],
    keep_going: bool,
) -> None:
    """Build the corpus of MANIFEST, the name of one under manifests/ or a path to a TOML file.

    With no raw corpus at hand it builds the embedded sample. Exit code 0: done; 1: the build failed (run the same command
    again to go on); 2: wrong usage or manifest.
    """
    console = Console()
    with report_errors("building"):
        if download and inputs:
            raise UsageError("--download and --input exclude one another")
        if scheduler and workers:
            raise UsageError("--workers is for the local cluster; a scheduler has the workers that were started for it")
        folders = {"images": images, "audio": audio}
        named = [f"source.{key}={Path(value).absolute()}" for key, value in folders.items() if value]
        resolved = load(manifest, [*overrides, *named])
        for key, value in folders.items():
            if value and not inputs:
                raise UsageError(f"--{key} is for an input that lists {_LISTED[key]}: name it with --input")
        out = (out or Path("corpora") / resolved.name).expanduser()
        for option, path in (("--out", out), ("--work", work)):
            if path is not None and is_url(str(path).replace(":/", "://")):
                raise UsageError(f"{option} {path}: output goes to a folder (shared by all workers of a cluster), not to a URL")
        work = work.expanduser() / resolved.name if work else out / _MARK / "work"
        _check_out(out, work)
        if download and not plan_only:
            _download(resolved, console)
        files = tuple(_inputs(resolved, list(inputs), download, plan_only, console))
        if any(f.is_sample for f in files):
            # Written for Seimai, so not under the terms of the corpus that it stands in for.
            resolved = resolved.model_copy(update={"title": f"{resolved.title} (embedded sample)", "license": "CC0-1.0"})
            _spare_the_real_thing(out)
        plan = Plan(resolved, files, out.absolute(), work.absolute(), limit)
        _spare_the_whole(plan)
        if plan_only:
            print_plan(console, gather_plan_facts(plan))
            return
        _build(plan, workers, scheduler, keep_going, console)


def _check_out(out: Path, work: Path) -> None:
    for name in ("data", "ledger"):
        if (out / name).absolute() in (work.absolute(), *work.absolute().parents):
            raise UsageError(f"--work {work.parent} lies in the output's {name} folder, which a build replaces")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).is_dir():
        raise UsageError(f"--out {out} is not empty and was not made by Seimai; choose another folder or empty it yourself")


def _spare_the_real_thing(out: Path) -> None:
    """Refuse to build the sample over a corpus from real input, finished or not."""
    real = [f["url"] for f in read_json(out / _MARK / "inputs.json") or [] if not InputFile(**f).is_sample]
    if real:
        raise UsageError(
            f"{out} holds a build of {real[0]}; the embedded sample would replace it. "
            f"Name the input again with --input {real[0]}, or build the sample elsewhere with --out"
        )


def _spare_the_whole(plan: Plan) -> None:
    """Refuse to build a part of a corpus, by --limit, over the whole of it."""
    there = read_json(plan.state)
    if plan.limit is not None and isinstance(there, dict) and there.get("limit", 0) is None:
        raise UsageError(
            f"{plan.out} holds the corpus without --limit; this build would replace it and what it was built from. "
            "Name another folder with --out"
        )


def _raw_path(manifest: Manifest) -> Path | None:
    """Where --download puts the raw corpus, and where a later build looks for it."""
    if not manifest.source.url:
        return None
    name = manifest.source.url.rsplit("/", 1)[-1]
    if not name:
        raise UsageError(f"source.url = {manifest.source.url!r} names no file")
    return Path("raw") / manifest.name / name


def _download(manifest: Manifest, console: Console) -> None:
    from pipeline.fetch.download import download

    target = _raw_path(manifest)
    if target is None or manifest.source.url is None:
        raise UsageError(f"manifest {manifest.name} has no source.url to download from")
    download(manifest.source.url, target, console)


def _inputs(manifest: Manifest, inputs: list[str], download: bool, plan_only: bool, console: Console) -> list[InputFile]:
    if inputs:
        return find_inputs(manifest.source.format, inputs, manifest.source.options)
    raw = _raw_path(manifest)
    if raw is not None and (raw.is_file() or download):
        return resolve([str(raw)]) if raw.is_file() else resolve([manifest.source.url or ""])
    if manifest.source.sample is None:
        more = ", or fetch it with --download" if manifest.source.url else ""
        raise UsageError(f"manifest {manifest.name} has no embedded sample: name the raw corpus with --input{more}")
    with as_file(folder() / "samples" / manifest.source.sample) as path:
        if not path.is_file():
            raise UsageError(f"source.sample = {manifest.source.sample!r}: there is no such file under manifests/samples/")
        more = f", or --download to fetch {manifest.source.url}" if manifest.source.url else ""
        size = format_size(path.stat().st_size)
        console.print(
            f"no raw corpus at hand: {'this would build' if plan_only else 'building'} the embedded sample ({size}). "
            f"For the real thing: --input PATH|URL{more}",
            style="bold", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        # The sample's content is its version's; its time of installation says nothing.
        file = resolve([str(path)])[0]
        return [InputFile(file.name, file.url, file.size, f"sample-{_digest(path)}")]


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _build(plan: Plan, workers: int | None, scheduler: str | None, keep_going: bool, console: Console) -> None:
    state = plan.out / _MARK
    state.mkdir(parents=True, exist_ok=True)
    plan.work.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(plan.out / _MARK / "lock", timeout=0)]
    if plan.work.parent != state:
        locks.append(FileLock(plan.work / "lock", timeout=0))
    try:
        for lock in locks:
            lock.acquire()
    except Timeout as error:
        raise BuildError(
            f"another build is at work in {Path(error.lock_file).parent}; wait for it, or choose another --out"
        ) from None
    try:
        summary = plan.up_to_date()
        if summary is not None and summary["damaged"] and not keep_going:
            summary = None
        tokenising = Tokenising(plan) if plan.manifest.tokenizer else None
        tokenised = tokenising.up_to_date() if tokenising and summary else None
        if summary is not None and (tokenising is None or tokenised is not None):
            facts = gather_facts(plan, summary)
            print_up_to_date(console, facts)
            print_next_commands(console, facts)
            return
        from pipeline.core.engine import Engine
        from pipeline.run import Build, forget_unpublished

        write_json(state / "inputs.json", [f.as_dict() for f in plan.inputs])
        for place in (plan.work, state):
            remove_temporaries(place)
        scratch = plan.work / "dask"
        failure: SeimaiError | None = None
        with Engine(workers, scheduler, scratch, console) as engine:
            if summary is None:
                forget_unpublished(plan)
            result: dict[str, Any] = summary or Build(plan, engine, keep_going).run()
            if tokenising is not None:
                try:
                    tokenised = tokenising.run(engine)
                except SeimaiError as error:  # the corpus is whole nevertheless
                    failure = error
        shutil.rmtree(scratch, ignore_errors=True)
        facts = gather_facts(plan, result, tokenised)
        if summary is None:
            print_summary(console, facts)
        if failure is not None:
            raise failure
        if tokenised is not None:
            write_card(facts)
            write_lock(facts)
            print_tokenizer(console, facts)
        print_next_commands(console, facts)
    finally:
        for lock in locks:
            lock.release()


if __name__ == "__main__":
    main()
