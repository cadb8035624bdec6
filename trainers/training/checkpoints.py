"""Checkpoints of a run: written completely or not at all, and resumed only with the configuration that wrote them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.ownership import STATE_FOLDER, hold_scratch, remove_known, remove_scratch, remove_scratch_leftovers
from pipeline.core.publication import folder_publication, replace_folder
from pipeline.core.storage import read_json, write_json
from pipeline.core.vouching import find_damage, write_marker
from trainers.training.portability import make_tokenizers_portable
from trainers.training.settings import CHANGEABLE

WRITTEN = ("model", "metrics.jsonl", "config.json", "tensorboard", "samples")  # what a run writes, beside checkpoints
_WRITTEN_SINCE = {"vocabulary"}  # what checkpoints of earlier versions may lack
_STATE, _MARKER = "state.pt", "state.json"  # the second vouches for the first


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
            remove_scratch(unfinished, _is_new)
        self.check_folder(resume)
        if not resume:
            return None
        newest = self.folders()[-1]
        if damage := find_damage(newest / _MARKER):
            raise BuildError(self.describe_damage(newest, damage[0]))
        try:
            # Mapped, so that no rank holds all of it: a page is read when its weights are copied to where they belong.
            state = torch.load(newest / _STATE, map_location="cpu", weights_only=True, mmap=True)
            stored, current = _flatten(state["config"]), _flatten(config)
        except Exception as error:  # whatever unpickling a damaged file raises
            raise BuildError(self.describe_damage(newest, f"{type(error).__name__}: {str(error)[:200]}")) from None
        fixed = sorted((stored | current).keys() - {f"train.{name}" for name in CHANGEABLE} - (_WRITTEN_SINCE - stored.keys()))
        if changed := [key for key in fixed if stored.get(key) != current.get(key)]:
            changes = ", ".join(f"{key} was {stored.get(key)!r} and is {current.get(key)!r}" for key in changed[:5])
            raise UsageError(
                f"{newest} is a checkpoint of another configuration: {changes}. Resume with the same, or choose another --out."
            )
        return state

    def check_folder(self, resume: bool) -> None:
        """Raise UsageError where the folder has no run to resume, or holds one that is not to be resumed."""
        if resume:
            if not self.folders():
                raise UsageError(
                    f"there is no checkpoint in {self.out} to resume: name the --out of the run, or begin anew in another, "
                    "without --resume"
                )
            return
        if self.folders():
            raise UsageError(
                f"{self.out} holds a run, up to {self.newest_name}: add --resume to go on, or choose another --out"
            )
        if taken := [name for name in WRITTEN if (self.out / name).exists()]:
            raise UsageError(f"{self.out} holds what a run left ({', '.join(taken)}): choose another --out, or remove it")

    def describe_damage(self, folder: Path, damage: str) -> str:
        others = [path.name for path in self.folders() if path != folder]
        advice = f"--resume goes on from {others[-1]}" if others else "begin anew: there is no other"
        return f"{folder} cannot be read ({damage}): remove it; {advice}"

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint, then remove those that are older than the newest `keep`, but for files that no run wrote."""

        def write(folder: Path) -> list[str]:
            torch.save(state, folder / _STATE)
            write_marker(folder / _MARKER, {"step": step}, [folder / _STATE])
            return [_STATE, _MARKER]

        self._replace_folder(self.folder / f"step-{step:09d}", write)
        for old in self.folders()[: -self.keep]:
            remove_known(old, _is_state)

    def save_model(self, export: Callable[[Path], Any]) -> None:
        """Write the run's model. What else lies in its folder stays there."""
        record = self.out / STATE_FOLDER / "model.json"  # the files of the model, by their paths
        folder = (self.out / "model").resolve()
        folder_publication(folder).complete()

        def write(model: Path) -> list[str]:
            export(model)
            make_tokenizers_portable(model)
            names = [path.relative_to(model).as_posix() for path in sorted(model.rglob("*")) if path.is_file()]
            written = read_json(record)
            known = names if written is None else written  # a run of an earlier version has no record
            write_json(record, sorted({*known, *names}))
            return known

        self._replace_folder(folder, write)

    def _replace_folder(self, final: Path, write: Callable[[Path], list[str]]) -> None:
        """Write a folder under a temporary name, then publish it. Raises BuildError if that fails.

        `write` returns the files that may be removed from the old folder.
        """
        try:
            folder_publication(final).complete()
            remove_scratch_leftovers(final, "[0-9a-f]{8}", _is_new)
            with hold_scratch(final.with_name(f".{final.name}-{uuid.uuid4().hex[:8]}"), _is_new) as scratch:
                new = scratch / "new"
                new.mkdir()
                known = write(new)
                replace_folder(final, new, known)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError if the disk is full
            raise BuildError(
                f"{final} could not be written: {error}. The last complete checkpoint is {self.newest_name}; "
                "free some space, then --resume."
            ) from error


def _is_state(path: str) -> bool:
    return path in (_STATE, _MARKER)


def _is_new(path: str) -> bool:
    return path.startswith("new/")


def _flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
