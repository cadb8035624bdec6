"""From staging to the final place: shards and ledger are moved by renames, and a move that was cut short is undone."""

from __future__ import annotations

import shutil
from typing import Any

from pipeline.core.checksums import write_sums
from pipeline.core.storage import write_json
from pipeline.report.card import write_card
from pipeline.report.facts import BuildFacts
from pipeline.report.lock import write_lock
from pipeline.workspace import Workspace

PUBLISHED_FOLDERS = ("data", "ledger")


def publish(workspace: Workspace, summary: dict[str, Any], facts: BuildFacts) -> None:
    """Move shards and ledger to their final place, write the card and the lock, and remove what other builds left."""
    workspace.state.unlink(missing_ok=True)
    for name in PUBLISHED_FOLDERS:
        final, old = workspace.out / name, workspace.state_folder / f"old-{name}"
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        (workspace.staging / name).rename(final)
        shutil.rmtree(old, ignore_errors=True)
    write_card(facts)
    write_lock(facts)
    write_sums(facts.out)
    write_json(workspace.state, summary)
    for step in workspace.fingerprints:
        for folder in workspace.work.glob(f"{step}-*"):
            if folder != workspace.folder(step):
                shutil.rmtree(folder, ignore_errors=True)
    for folder in workspace.state_folder.glob("write-*"):
        shutil.rmtree(folder, ignore_errors=True)


def undo_publication(workspace: Workspace) -> None:
    """Undo a publication that was cut short between its folders."""
    for name in PUBLISHED_FOLDERS:
        old = workspace.state_folder / f"old-{name}"
        if old.is_dir() and not (workspace.out / name).exists():
            old.rename(workspace.out / name)
        shutil.rmtree(old, ignore_errors=True)
    staging = workspace.staging
    if staging.is_dir() and not all((staging / name).is_dir() for name in PUBLISHED_FOLDERS):
        # One of the two was published already: the markers in here no longer tell the truth.
        shutil.rmtree(staging, ignore_errors=True)
