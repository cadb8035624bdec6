"""Checkpoints of a run: written whole or not at all, the newest one found again, never one of another configuration."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import BuildError, UsageError
from trainers.training.settings import FREE


class Checkpoints:
    """`<out>/checkpoints/step-*/state.pt`, of which the newest `keep` stay."""

    def __init__(self, out: Path, keep: int) -> None:
        self.out, self.keep = out, keep

    def all(self) -> list[Path]:
        """From the oldest to the newest."""
        return sorted(p for p in (self.out / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d{9}", p.name))

    @property
    def last(self) -> str:
        found = self.all()
        return found[-1].name if found else "none"

    def begin(self, config: dict[str, Any], resume: bool) -> dict[str, Any] | None:
        """The newest checkpoint's state, or None for a run that begins. Raises UsageError where that is not what was asked for."""
        for left in (self.out / "checkpoints").glob(".step-*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        known = self.all()
        if known and not resume:
            raise UsageError(f"{self.out} holds a run, up to {self.last}: add --resume to go on, or choose another --out")
        if not known and not resume and any((self.out / name).exists() for name in ("model", "metrics.jsonl")):
            raise UsageError(f"{self.out} holds what a run left (model, metrics.jsonl): choose another --out, or remove it")
        if resume and not known:
            raise UsageError(
                f"there is no checkpoint in {self.out} to resume: name the --out of the run, or begin anew in another, without --resume"
            )
        if not known:
            return None
        try:
            state = torch.load(known[-1] / "state.pt", map_location="cpu", weights_only=True)
            old, new = _flat(state["config"]), _flat(config)
        except Exception as error:  # whatever unpickling a damaged file raises
            raise BuildError(self.damaged(known[-1], error)) from None
        free = {f"train.{name}" for name in FREE}
        changed = [key for key in sorted(old | new) if old.get(key) != new.get(key) and key not in free]
        if changed:
            was = ", ".join(f"{key} was {old.get(key)!r} and is {new.get(key)!r}" for key in changed[:5])
            raise UsageError(
                f"{known[-1]} is a checkpoint of another configuration: {was}. Resume with the same, or choose another --out."
            )
        return state

    def damaged(self, path: Path, error: Exception) -> str:
        others = [p.name for p in self.all() if p != path]
        then = f"--resume goes on from {others[-1]}" if others else "begin anew: there is no other"
        return f"{path} cannot be read ({type(error).__name__}: {str(error)[:200]}): remove it; {then}"

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint, then remove what is older than the newest ones."""
        self.whole(self.out / "checkpoints" / f"step-{step:09d}", lambda folder: torch.save(state, folder / "state.pt"))
        for old in self.all()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)

    def whole(self, final: Path, write: Callable[[Path], Any]) -> None:
        """Write a folder under a temporary name, then let it take the place of what was there. Raises BuildError where that fails."""
        temporary, old = final.with_name(f".{final.name}.tmp"), final.with_name(f".{final.name}.old")
        try:
            for left in (temporary, old):
                shutil.rmtree(left, ignore_errors=True)
            temporary.mkdir(parents=True)
            write(temporary)
            for path in temporary.rglob("*"):
                if path.is_file():
                    with open(path, "rb") as file:
                        os.fsync(file.fileno())
            if final.exists():
                final.rename(old)
            temporary.rename(final)
            shutil.rmtree(old, ignore_errors=True)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError where the disk is full
            shutil.rmtree(temporary, ignore_errors=True)
            raise BuildError(
                f"{final} could not be written: {error}. The last whole checkpoint is {self.last}; free some space, then --resume."
            ) from error


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found
