"""What a build reads, and where it writes: chosen and checked before any work begins."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import as_file
from pathlib import Path

from rich.console import Console

from pipeline.build_request import BuildRequest
from pipeline.core.checksums import PUBLISHED_FOLDERS
from pipeline.core.errors import UsageError
from pipeline.core.names import strip_secrets
from pipeline.core.ownership import STATE_FOLDER, NamedPath, explain_foreign, refuse_overlap
from pipeline.core.paths import expand_home, follow_parents, refuse_unwritable
from pipeline.core.publication import adopt_earlier_state
from pipeline.core.storage import format_size, read_json
from pipeline.fetch.download import download as download_file
from pipeline.manifest.model import UNKNOWN_LICENSE, Described, Manifest
from pipeline.manifest.shipped import list_manifests, manifest_folder
from pipeline.plan import Plan
from pipeline.publish import check_output_folder
from pipeline.sources import SOURCES
from pipeline.sources.inputs import InputFile, describe_file, is_sample_identity, is_url, locate_input
from pipeline.workspace import Workspace


def choose_folders(manifest: Described, out: Path | None, work: Path | None) -> tuple[Path, Path]:
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


def check_outputs(out: Path, work: Path) -> None:
    """Refuse, before anything is downloaded, read or made, what could not be written in the end."""
    refuse_unwritable("--out", out)
    refuse_unwritable("--work", work)
    check_output_folder(Workspace(out.absolute(), work.absolute(), {}))


def refuse_input_in_output(plan: Plan, patterns: Iterable[str]) -> None:
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


def refuse_sample_over_corpus(plan: Plan) -> None:
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


def refuse_part_over_corpus(plan: Plan) -> None:
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


def download_input(manifest: Manifest, console: Console) -> None:
    """Fetch the raw corpus of a manifest to where later builds look for it."""
    target = _raw_path(manifest)
    if target is None or manifest.source.url is None:
        raise UsageError(f"manifest {manifest.name} has no source.url to download from")
    download_file(manifest.source.url, target, console)


def choose_inputs(manifest: Manifest, inputs: list[str], download: bool, plan_only: bool, console: Console) -> list[InputFile]:
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


def describe_own_input(manifest: Manifest, request: BuildRequest, files: Iterable[InputFile]) -> Manifest:
    """Return the manifest with what may be said of the input: a corpus's title and licence are not taken for those of other data.

    The embedded sample was written for Seimai, and is not under the terms of the corpus that it stands in for. What `--input` names may
    be anybody's: that it is the corpus of a shipped manifest shows in the file's name alone, that of `source.url`. Who states a licence
    says with it what the input is.
    """
    given = {one.partition("=")[0].strip() if isinstance(one, str) else one[0] for one in request.overrides}
    of_anybody = manifest.license.startswith(UNKNOWN_LICENSE)  # a manifest for anybody's documents
    is_shipped = request.manifest in list_manifests()
    own: dict[str, str | None] = {"license_name": None, "license_link": None}
    if any(file.is_sample for file in files):
        own |= {"title": f"{manifest.title} (embedded sample)", "license": "CC0-1.0"}
    elif "license" in given or not request.inputs or not is_shipped or of_anybody or _is_download(manifest, files):
        return manifest
    else:
        described = {"title": f"{manifest.title} (own input)", "description": "", "homepage": None, "license": UNKNOWN_LICENSE}
        own |= {key: value for key, value in described.items() if key not in given}
    return manifest.model_copy(update=own)


def _is_download(manifest: Manifest, files: Iterable[InputFile]) -> bool:
    """Return whether files are called what the corpus of a manifest is called where it can be downloaded."""
    raw = _raw_path(manifest)
    return raw is not None and all(file.shown_url.rsplit("/", 1)[-1] == raw.name for file in files)
