"""From staging to the final place: shards, ledger, card, lock and sums become visible together, and what Seimai did not write stays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.checksums import (
    LOCK_FILE,
    PUBLISHED_FILE,
    PUBLISHED_FOLDERS,
    REPORT_FILES,
    SUMS_FILE,
    find_edited,
    find_sha256,
    keep_edited,
    write_sums,
)
from pipeline.core.errors import UsageError
from pipeline.core.ownership import free_path, remove_known
from pipeline.core.publication import Entry, corpus_publication, refuse_links
from pipeline.core.storage import read_json, sum_file_sizes, write_json
from pipeline.report.card import write_card
from pipeline.report.facts import BuildFacts
from pipeline.report.files import read_report, write_report
from pipeline.report.gather import GatheredReport
from pipeline.report.lock import write_lock
from pipeline.workspace import Workspace, is_step_file

PUBLISHED_FILES = ("README.md", *REPORT_FILES, LOCK_FILE, SUMS_FILE)


def publish(
    workspace: Workspace,
    summary: dict[str, Any],
    facts: BuildFacts,
    report: GatheredReport | None = None,
    more_steps: Iterable[str] = (),
) -> None:
    """Publish the staged shards and ledger with a card, a lock, sums and perhaps a report, and remove what earlier builds left here.

    `more_steps`: further folders in `work` that this build needs. Raises BuildError, and publishes nothing, where a file that Seimai did
    not write is in the way.
    """
    staging, published = workspace.staging, _read_published(workspace)
    keep_edited(workspace.out, PUBLISHED_FILES, published)
    written = [path.relative_to(staging).as_posix() for path in sorted(staging.rglob("*.json"))]
    markers = [path for path in written if is_step_file(path) and path not in ("state.json", PUBLISHED_FILE, *REPORT_FILES)]
    names = _stage_reports(staging, facts, report, staging)
    write_json(staging / "state.json", summary)
    folders = {"data": tuple(summary["shards"]), "ledger": tuple(summary["ledgers"])}
    for name in folders:  # of a build that kept nothing, too
        (staging / name).mkdir(parents=True, exist_ok=True)
    write_json(staging / PUBLISHED_FILE, folders | _hash_reports(staging, names))
    staged = staging.relative_to(workspace.out).as_posix()
    entries = [Entry(name, f"{staged}/{name}", files, tuple(published[name])) for name, files in folders.items()]
    files = [*names, *(path.relative_to(workspace.out).as_posix() for path in (workspace.published, workspace.state))]
    entries += [Entry(name, f"{staged}/{Path(name).name}") for name in files]
    corpus_publication(workspace.out).publish(entries, [f"{staged}/{marker}" for marker in markers])
    for folder in [staging, *workspace.list_old_stagings(), *workspace.release_old_steps(more_steps)]:
        remove_known(folder, is_step_file)


def publish_reports(workspace: Workspace, facts: BuildFacts) -> None:
    """Publish card, report, lock and sums anew, together, for a corpus that has a tokenizer since."""
    staging, published = workspace.staging, _read_published(workspace)
    keep_edited(workspace.out, PUBLISHED_FILES, published)
    staging.mkdir(exist_ok=True)
    names = _stage_reports(staging, facts, read_report(workspace.out, facts), workspace.out)
    write_json(staging / PUBLISHED_FILE, published | _hash_reports(staging, names))
    staged = staging.relative_to(workspace.out).as_posix()
    files = [*names, workspace.published.relative_to(workspace.out).as_posix()]
    corpus_publication(workspace.out).publish([Entry(name, f"{staged}/{Path(name).name}") for name in files])
    remove_known(staging, is_step_file)


def remove_intermediates(workspace: Workspace) -> int:
    """Remove what steps wrote to folders that no other output uses; return how many bytes that were. Hold the lock of `work`."""
    folders = workspace.list_own_steps()
    before = sum(map(sum_file_sizes, folders))
    for folder in folders:
        remove_known(folder, is_step_file)
    return before - sum(map(sum_file_sizes, folders))


def check_output_folder(workspace: Workspace) -> list[str]:
    """Return warnings of what publishing will move aside. Raises UsageError, before any work is done, where that is no way."""
    out, published = workspace.out, _read_published(workspace)
    refuse_links(out / name for name in (*PUBLISHED_FOLDERS, *PUBLISHED_FILES))
    if workspace.state_folder.exists() and workspace.state_folder.stat().st_dev != out.stat().st_dev:
        raise UsageError(
            f"{workspace.state_folder} is on another disk than {out}: name a folder for intermediates with --work instead"
        )
    for name in PUBLISHED_FOLDERS:
        folder = out / name
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file that Seimai did not write, where shards or ledger go: move it elsewhere")
        foreign = sorted(path.name for path in folder.glob("*.parquet") if path.name not in published[name])
        if foreign:
            raise UsageError(
                f"{folder / foreign[0]} was not written by the last build, and readers would take it for a part of the corpus: move it "
                "elsewhere, or choose another --out"
            )
    changed = find_edited(workspace.out, PUBLISHED_FILES, published)
    return [
        f"{path} was changed since Seimai wrote it: what is in it will be kept in {free_path(path, 'kept')}" for path in changed
    ]


def _read_published(workspace: Workspace) -> dict[str, Any]:
    """Return names of shards and ledger files that were published, and the SHA-256 of card, lock and sums: "" where it is not recorded."""
    state, published = read_json(workspace.state), read_json(workspace.published)
    found: dict[str, Any] = dict.fromkeys(PUBLISHED_FOLDERS, [])
    if isinstance(state, dict):
        # A report that no version recorded is somebody's own.
        unrecorded = dict.fromkeys([name for name in PUBLISHED_FILES if name not in REPORT_FILES], "")
        found |= {"data": state.get("shards", []), "ledger": state.get("ledgers", [])} | unrecorded
    return found | (published if isinstance(published, dict) else {})


def _stage_reports(staging: Path, facts: BuildFacts, report: GatheredReport | None, corpus: Path) -> list[str]:
    """Write card, lock, sums and report to staging; return their names. `corpus`: where shards and ledger lie meanwhile."""
    write_card(facts, staging)
    if report is not None:
        write_report(report, facts, staging, corpus)
    names = [name for name in PUBLISHED_FILES if report is not None or name not in REPORT_FILES]
    write_lock(facts, staging, [name for name in names if name not in (LOCK_FILE, SUMS_FILE)])
    write_sums(staging)
    return names


def _hash_reports(folder: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: find_sha256(folder / name) for name in names}
