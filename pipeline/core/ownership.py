"""Whose a folder is, and which files in it may be removed: those that Seimai wrote, and no others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.core.command_names import WORDS
from pipeline.core.errors import UsageError
from pipeline.core.storage import find_leftovers, is_temporary, read_json, write_atomically, write_json

# In an output folder: its owner, what a command remembers, its lock, and intermediates by default. Here since `huggingface_hub` uploads
# nothing below `.cache/huggingface`, and in the folder itself since a publication is a rename.
STATE_FOLDER = ".cache/huggingface/seimai"
DERIVED_FOLDER = ".cache/huggingface/seimai-derived"  # in a corpus: what trainers compute of its shards, such as latents
SCRATCH_FOLDER = ".cache/huggingface/seimai-scratch"  # in a corpus: what commands that add to it have not finished
EARLIER_STATE_FOLDER = ".seimai"  # where earlier versions had theirs
CORPUS_FOLDERS = ("data", "ledger", "tokenizer", "tokens", ".cache")  # of a built corpus: nothing else is written into them
OWNER_FILE, _IGNORE = "owner.json", ".gitignore"
_SCRATCH_MARK = ".seimai-scratch"  # in hidden folders beside an output: Seimai made them


def check_owner(out: Path, command: str) -> bool:
    """Return whether `out` has an owner. Raises UsageError where that is another command than `command`."""
    owner = read_json(out / STATE_FOLDER / OWNER_FILE)
    made_by = owner.get("command") if isinstance(owner, dict) else None
    if made_by not in (None, command) and made_by not in WORDS:
        raise UsageError(
            f"{out / STATE_FOLDER / OWNER_FILE} says that {made_by!r} made the folder, which is no command of this Seimai: the file is "
            f"damaged, or a later version wrote it. Choose another --out; or, where python -m {command} made the folder, remove that file"
        )
    if made_by not in (None, command):
        raise UsageError(f"{out} was made by python -m {made_by}: choose another --out for python -m {command}")
    return made_by is not None


def explain_foreign(folder: Path) -> str:
    """Return what a folder without STATE_FOLDER is: the end of a sentence that begins with the folder."""
    if (folder / EARLIER_STATE_FOLDER / OWNER_FILE).is_file():
        return (
            f"was made by an earlier version of Seimai, and its {EARLIER_STATE_FOLDER} cannot be renamed to {STATE_FOLDER}: another "
            "process is at work in it, or you may not write there"
        )
    if (folder / "manifest.lock.toml").is_file():
        return (
            f"was made by Seimai, but its {STATE_FOLDER}, which says what Seimai wrote and measured, is not there (put it back)"
        )
    return "was not made by Seimai"


def claim_folder(out: Path, command: str) -> None:
    """Record that `command` writes to `out`. Raises UsageError as `check_owner` does."""
    if not check_owner(out, command):
        write_json(out / STATE_FOLDER / OWNER_FILE, {"command": command})
    ignore = (out / STATE_FOLDER).parent / _IGNORE  # which huggingface_hub writes, too
    if not ignore.exists():
        with write_atomically(ignore) as temporary:
            temporary.write_text("*\n", "utf-8")  # whoever keeps a corpus in git keeps no intermediates


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


def place_scratch(out: Path, suffix: str) -> Path:
    """Return the hidden folder for the unfinished work of `out`: where no upload takes it along, if `out` lies in a corpus, else beside it.

    Not in STATE_FOLDER: whoever holds the lock of a corpus removes temporary files there, and `out` has a lock of its own.
    """
    state = out.parent / STATE_FOLDER
    is_near = state.is_dir() and state.parent.stat().st_dev == out.parent.stat().st_dev  # so that it can be renamed to `out`
    return (out.parent / SCRATCH_FOLDER if is_near else out.parent) / f".{out.name}-{suffix}"


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
    """Remove the marked folders that killed commands left where `place_scratch` has them, or beside `out`."""
    for parent in (out.parent, out.parent / SCRATCH_FOLDER):
        for folder in find_leftovers(parent / out.name, suffix):
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
