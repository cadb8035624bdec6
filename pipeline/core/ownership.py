"""Whose a folder is, and which files in it may be removed: those that Seimai wrote, and no others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.core.errors import UsageError
from pipeline.core.storage import find_leftovers, is_temporary, read_json, write_json

STATE_FOLDER = ".seimai"  # in an output folder: its owner, what a command remembers, its lock, and intermediates by default
CORPUS_FOLDERS = ("data", "ledger", "tokenizer", "tokens", STATE_FOLDER)  # of a built corpus: nothing else is written into them
_OWNER = "owner.json"
_SCRATCH_MARK = ".seimai-scratch"  # in hidden folders beside an output: Seimai made them


def check_owner(out: Path, command: str) -> bool:
    """Return whether `out` has an owner. Raises UsageError where that is another command of Seimai than `command`."""
    owner = read_json(out / STATE_FOLDER / _OWNER)
    made_by = owner.get("command") if isinstance(owner, dict) else None
    if made_by not in (None, command):
        raise UsageError(f"{out} was made by python -m {made_by}: choose another --out for python -m {command}")
    return made_by is not None


def explain_foreign(folder: Path) -> str:
    """Return what a folder without STATE_FOLDER is: the end of a sentence that begins with the folder."""
    if (folder / "manifest.lock.toml").is_file():
        return (
            f"was made by Seimai, but its {STATE_FOLDER}, which says what Seimai wrote and measured, is not there (put it back)"
        )
    return "was not made by Seimai"


def claim_folder(out: Path, command: str) -> None:
    """Record that `command` writes to `out`. Raises UsageError as `check_owner` does."""
    if not check_owner(out, command):
        write_json(out / STATE_FOLDER / _OWNER, {"command": command})


def remove_known(folder: Path, is_known: Callable[[str], bool]) -> bool:
    """Remove the files below `folder` that are known, and the folders that this empties; return whether nothing is left.

    `is_known` gets paths relative to `folder`, those of empty folders with a slash at their end. Temporary files of killed writers are
    known. Links to folders are not followed.
    """
    if folder.is_symlink() or not folder.is_dir():
        return not os.path.lexists(folder)
    emptied = {folder}
    for path, _, names in os.walk(folder, topdown=False):
        parent = Path(path)
        for name in names:
            if is_temporary(name) or is_known((parent / name).relative_to(folder).as_posix()):
                (parent / name).unlink(missing_ok=True)
                emptied.add(parent)
        if parent in emptied or is_known(f"{parent.relative_to(folder).as_posix()}/"):
            with suppress(OSError):  # something unknown is left in it
                parent.rmdir()
                emptied.add(parent.parent)
    return not folder.exists()


def free_path(path: Path, word: str) -> Path:
    """Return `path` where nothing is there, else one beside it that is free, such as README.kept.md."""
    names = (f"{path.stem}.{word}{number or ''}{path.suffix}" for number in itertools.count())
    return next(one for one in itertools.chain([path], map(path.with_name, names)) if not os.path.lexists(one))


# -- hidden folders beside an output, for what is not finished


def mark_scratch(folder: Path) -> None:
    """Make a folder for unfinished work, and mark it as Seimai's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SCRATCH_MARK).touch()


def remove_scratch(folder: Path, is_known: Callable[[str], bool]) -> None:
    """Remove what is known in a folder that `mark_scratch` marked; the mark goes last. Other folders stay as they are."""
    if (folder / _SCRATCH_MARK).is_file() and not folder.is_symlink():
        remove_known(folder, is_known)
        if folder.is_dir() and [path.name for path in folder.iterdir()] == [_SCRATCH_MARK]:
            (folder / _SCRATCH_MARK).unlink()
            folder.rmdir()


def remove_scratch_leftovers(out: Path, suffix: str, is_known: Callable[[str], bool]) -> None:
    """Remove the marked folders named `.<out>-<suffix>` that killed commands left beside `out`."""
    for folder in find_leftovers(out, suffix):
        remove_scratch(folder, is_known)


@contextmanager
def hold_scratch(folder: Path, is_known: Callable[[str], bool]) -> Iterator[Path]:
    """Make a folder for unfinished work, and remove what is known in it afterwards."""
    mark_scratch(folder)
    try:
        yield folder
    finally:
        remove_scratch(folder, is_known)


# -- input and output that must not overlap


class NamedPath(NamedTuple):
    """A path, and what it is called in a message: `--input corpora/a`."""

    label: str
    path: Path


def refuse_overlap(outputs: Iterable[NamedPath], inputs: Iterable[NamedPath], within: bool = True) -> None:
    """Raise UsageError where an input lies in an output, or is one; with `within`, also where an output lies in a folder of input.

    Links are followed, so that a folder is recognised under each of its names.
    """
    resolved = [(output, _resolve(output.path)) for output in outputs]
    for given in inputs:
        path = _resolve(given.path)
        for output, folder in resolved:
            if path == folder or folder in path.parents:
                raise UsageError(
                    f"{given.label} lies in {output.label}, which this command replaces: it would write over its own input. "
                    "Choose another folder for the output"
                )
            if within and path in folder.parents and path.is_dir():
                raise UsageError(
                    f"{output.label} lies in {given.label}, so that the output would be part of its own input. "
                    "Choose another folder for the output"
                )


def _resolve(path: Path) -> Path:
    return Path(os.path.realpath(path))
