"""Checkpoints of a run: written completely or not at all, and resumed only with the configuration that wrote them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.storage import sync_file, sync_folder
from pipeline.core.vouching import find_damage, write_marker
from trainers.training.settings import CHANGEABLE

_MARKER = "state.json"  # vouches for state.pt


class Checkpoints:
    """`<out>/checkpoints/step-*/state.pt`, of which the newest `keep` stay."""

    def __init__(self, out: Path, keep: int) -> None:
        self.out, self.folder, self.keep = out, out / "checkpoints", keep

    def folders(self) -> list[Path]:
        """Return their folders, from the oldest to the newest."""
        return sorted(path for path in self.folder.glob("step-*") if re.fullmatch(r"step-\d{9}", path.name))

    @property
    def newest_name(self) -> str:
        folders = self.folders()
        return folders[-1].name if folders else "none"

    def load_newest(self, config: dict[str, Any], resume: bool) -> dict[str, Any] | None:
        """Return the state of the newest checkpoint, or None for a new run. Raises UsageError if `resume` does not fit the folder."""
        for unfinished in self.folder.glob(".step-*"):  # of a run that was killed
            shutil.rmtree(unfinished, ignore_errors=True)
        folders = self.folders()
        if resume and not folders:
            raise UsageError(
                f"there is no checkpoint in {self.out} to resume: name the --out of the run, or begin anew in another, without --resume"
            )
        if not resume:
            self._refuse_used_folder()
            return None
        newest = folders[-1]
        if damage := find_damage(newest / _MARKER):
            raise BuildError(self.describe_damage(newest, damage[0]))
        try:
            # Mapped, so that no rank holds all of it: a page is read when its weights are copied to where they belong.
            state = torch.load(newest / "state.pt", map_location="cpu", weights_only=True, mmap=True)
            stored, current = _flatten(state["config"]), _flatten(config)
        except Exception as error:  # whatever unpickling a damaged file raises
            raise BuildError(self.describe_damage(newest, f"{type(error).__name__}: {str(error)[:200]}")) from None
        fixed = sorted((stored | current).keys() - {f"train.{name}" for name in CHANGEABLE})
        if changed := [key for key in fixed if stored.get(key) != current.get(key)]:
            changes = ", ".join(f"{key} was {stored.get(key)!r} and is {current.get(key)!r}" for key in changed[:5])
            raise UsageError(
                f"{newest} is a checkpoint of another configuration: {changes}. Resume with the same, or choose another --out."
            )
        return state

    def _refuse_used_folder(self) -> None:
        if self.folders():
            raise UsageError(
                f"{self.out} holds a run, up to {self.newest_name}: add --resume to go on, or choose another --out"
            )
        if any((self.out / name).exists() for name in ("model", "metrics.jsonl")):
            raise UsageError(f"{self.out} holds what a run left (model, metrics.jsonl): choose another --out, or remove it")

    def describe_damage(self, folder: Path, damage: str) -> str:
        others = [path.name for path in self.folders() if path != folder]
        advice = f"--resume goes on from {others[-1]}" if others else "begin anew: there is no other"
        return f"{folder} cannot be read ({damage}): remove it; {advice}"

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint, then remove those that are older than the newest `keep`."""

        def write(folder: Path) -> None:
            torch.save(state, folder / "state.pt")
            write_marker(folder / _MARKER, {"step": step}, [folder / "state.pt"])

        self.replace_folder(self.folder / f"step-{step:09d}", write)
        for old in self.folders()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)

    def replace_folder(self, final: Path, write: Callable[[Path], Any]) -> None:
        """Write a folder under a temporary name, then rename it. Raises BuildError if that fails."""
        temporary, old = final.with_name(f".{final.name}.tmp"), final.with_name(f".{final.name}.old")
        try:
            for unfinished in (temporary, old):
                shutil.rmtree(unfinished, ignore_errors=True)
            temporary.mkdir(parents=True)
            write(temporary)
            for path in temporary.rglob("*"):
                sync_file(path)
            sync_folder(temporary)
            if final.exists():
                final.rename(old)
            temporary.rename(final)
            sync_folder(final.parent)
            shutil.rmtree(old, ignore_errors=True)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError if the disk is full
            shutil.rmtree(temporary, ignore_errors=True)
            raise BuildError(
                f"{final} could not be written: {error}. The last complete checkpoint is {self.newest_name}; "
                "free some space, then --resume."
            ) from error


def _flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
