"""Replace files and folders that others read by new ones: recorded first, so that whoever comes next completes it or undoes it.

A new version is staged beside the old one, to its last byte. A journal says what is replaced by what. Then each entry, a file or a
folder, changes places with its new version in one step (`renameat2` with RENAME_EXCHANGE; two renames where a filesystem cannot),
one directly after the other. So an entry is there at every moment, as the old version or the new, and several entries are of
different versions for some microseconds; while the journal exists, a reader cannot be sure that they belong together.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.core.errors import BuildError, UsageError
from pipeline.core.ownership import EARLIER_STATE_FOLDER, OWNER_FILE, STATE_FOLDER, free_path
from pipeline.core.renames import exchange, finish_exchange
from pipeline.core.storage import is_temporary, read_json, sync_file, sync_folder, write_json

_JOURNAL = "publication.json"
_WAIT_SECONDS = 20  # of a reader, for a publication that is under way: it takes milliseconds

Stamps = dict[str, list[int]]  # files by their path below an entry, "" for the entry itself: size and time of change


@dataclass(frozen=True)
class Entry:
    """A file or a folder to replace.

    `name`, `staged`: paths of what readers see and of its new version, below the root of the publication. `files`: those that the new
    folder is to have, by their paths in it; None for an entry that is a file. `known`: the files of the old folder that Seimai wrote; ("",)
    where the entry is a file that it wrote. Whatever else is in the old folder moves to the new one.
    """

    name: str
    staged: str
    files: tuple[str, ...] | None = None
    known: tuple[str, ...] = ("",)


class Publication:
    """What replaces entries below `root`, recorded in the file `journal` while it lasts. All on one filesystem, and under a lock."""

    def __init__(self, root: Path, journal: Path) -> None:
        self.root, self.journal = root, journal

    def publish(self, entries: Sequence[Entry], markers: Iterable[str] = ()) -> None:
        """Replace all entries. Raises BuildError, with everything as it was, where an entry is a link or a new file is not there.

        `markers`: files that vouch for what is staged. They go first, since it is staged no more.
        """
        described = [self._describe(entry) for entry in entries]
        self._write_journal({"entries": described, "markers": list(markers), "exchanged": False})
        self.complete()

    def complete(self) -> None:
        """Complete a publication that was cut short, or undo it where its new version is gone. Without a journal, do nothing."""
        if not self.journal.exists():
            return
        content = read_json(self.journal)
        if not self._is_sound(content):
            raise BuildError(f"{self.journal} is damaged, so that a publication cannot be completed: remove it and build again")
        for marker in content["markers"]:
            (self.root / marker).unlink(missing_ok=True)
        if not content["exchanged"]:
            if self._exchange_all(content["entries"]):
                self._write_journal(content | {"exchanged": True})
            else:
                content["entries"] = []  # the old version is back, and nothing of it is to be removed
        for entry in content["entries"]:
            self._remove_old(entry)
        self.journal.unlink()
        sync_folder(self.journal.parent)

    def _is_sound(self, content: Any) -> bool:
        """Return whether a journal has the form of one, and no path in it leads out of the publication: it may come from a stranger."""
        try:
            paths = [*content["markers"], *(entry[key] for entry in content["entries"] for key in ("name", "staged"))]
            paths += [
                f"{entry[key]}/{name}" if name else entry[key]
                for entry in content["entries"]
                for key in ("name", "staged")
                for name in (*entry["new"].keys(), *entry["known"])
            ]
            parents = {(self.root / path).parent for path in paths}
            is_bounded = not any(".." in Path(path).parts for path in paths)
        except (TypeError, KeyError, AttributeError):
            return False
        folders = [Path(os.path.realpath(folder)) for folder in (self.root, self.journal.parent)]
        resolved = [Path(os.path.realpath(parent)) for parent in parents]
        is_inside = all(any(folder in (path, *path.parents) for folder in folders) for path in resolved)
        return is_bounded and is_inside and isinstance(content.get("exchanged"), bool)

    def _describe(self, entry: Entry) -> dict[str, Any]:
        final, staged = self.root / entry.name, self.root / entry.staged
        refuse_links([final])
        if entry.files is not None:
            _set_foreign_aside(staged, set(entry.files))
            if taken := sorted((set(entry.files) & set(_list_files(final))) - set(entry.known)):
                raise BuildError(
                    f"{final / taken[0]} was not written by Seimai, and a file of that name is to be published: move it elsewhere and run "
                    "the same command again"
                )
        try:
            new = _stamp(staged, [""] if entry.files is None else entry.files)
        except OSError as error:
            raise BuildError(f"{error.filename} is gone, which was to be published: run the same command again") from None
        _sync(staged)
        return {"name": entry.name, "staged": entry.staged, "new": new, "known": list(entry.known)}

    def _write_journal(self, content: dict[str, Any]) -> None:
        write_json(self.journal, content)
        sync_file(self.journal)
        sync_folder(self.journal.parent)

    def _exchange_all(self, entries: Sequence[Mapping[str, Any]]) -> bool:
        """Exchange what is not exchanged yet. Return False, with all as it was, where a new version is gone."""
        paths = [(self.root / entry["staged"], self.root / entry["name"]) for entry in entries]
        for staged, final in paths:
            finish_exchange(staged, final)
        in_place = [_is_version(final, entry) for entry, (_, final) in zip(entries, paths, strict=True)]
        to_do = [pair for pair, is_done in zip(paths, in_place, strict=True) if not is_done]
        if all(
            _is_version(staged, entry)
            for entry, (staged, _), is_done in zip(entries, paths, in_place, strict=True)
            if not is_done
        ):
            done = []
            try:
                for pair in to_do:
                    exchange(*pair)
                    done.append(pair)
            except OSError as error:
                _undo(done)
                self.journal.unlink()
                if error.errno in (errno.EXDEV, errno.EBUSY):
                    raise BuildError(
                        f"{pair[1]} cannot be replaced by {pair[0]} ({error.strerror}): both must lie on one filesystem, and be no "
                        "mount point. Nothing was changed. What must lie elsewhere for its size are intermediates: --work says where"
                    ) from None
                raise
        else:
            _undo([pair for pair, is_done in zip(paths, in_place, strict=True) if is_done])
        for folder in dict.fromkeys(path.parent for pair in paths for path in pair):
            sync_folder(folder)
        return all(_is_version(final, entry) for entry, (_, final) in zip(entries, paths, strict=True))

    def _remove_old(self, entry: Mapping[str, Any]) -> None:
        """Remove the known files of an entry's old version, and move the others to the new one."""
        old, final, known = self.root / entry["staged"], self.root / entry["name"], set(entry["known"])
        if old.is_dir() and not old.is_symlink():
            _carry_over(old, final, known, "")
        elif os.path.lexists(old) and "" in known:
            old.unlink()


def folder_publication(final: Path) -> Publication:
    """Return the publication of a single folder, whose journal lies beside it."""
    return Publication(final.parent, final.parent / f".{final.name}.publication.json")


def replace_folder(final: Path, staged: Path, known: Iterable[str], markers: Iterable[Path] = ()) -> None:
    """Replace the folder `final` by `staged`, which lies below the same parent.

    `known`: files of the old folder that may go. `markers`: files that vouch for what is staged.
    """
    files = tuple(name for name in _list_files(staged) if not is_temporary(Path(name).name))
    folder_publication(final).publish(
        [
            Entry(
                final.name, staged.relative_to(final.parent).as_posix(), files, tuple(sorted({*known} & {*_list_files(final)}))
            )
        ],
        [marker.relative_to(final.parent).as_posix() for marker in markers],
    )


# -- a corpus, and who reads it


def corpus_publication(out: Path) -> Publication:
    """Return the publication of shards, ledger, card and lock of a corpus."""
    return Publication(out, out / STATE_FOLDER / _JOURNAL)


def settle_publication(corpus: Path) -> None:
    """Complete or undo a publication of `corpus` that was cut short. Call it before reading a corpus; mostly it costs one look.

    Raises BuildError where another process does not end publishing, or this one may not write.
    """
    adopt_earlier_state(corpus)
    _settle(corpus_publication(corpus))


def adopt_earlier_state(corpus: Path) -> None:
    """Rename the state folder of an earlier version to STATE_FOLDER, with all that is in it. Without one of Seimai's, do nothing.

    It stays where it is while a build of that version is at work, and where this process may not write.
    """
    earlier, state = corpus / EARLIER_STATE_FOLDER, corpus / STATE_FOLDER
    if not (earlier / OWNER_FILE).is_file() or os.path.lexists(state):
        return
    publication = Publication(corpus, earlier / _JOURNAL)  # with paths below the earlier folder
    _settle(publication)
    with suppress(OSError, Timeout), FileLock(earlier / "lock", timeout=0):
        if publication.journal.exists():
            return
        state.parent.mkdir(parents=True, exist_ok=True)
        if earlier.is_symlink():  # which may be relative
            state.symlink_to(earlier.resolve())
            earlier.unlink()
        else:
            earlier.rename(state)
        for folder in (corpus, state.parent):
            sync_folder(folder)


def _settle(publication: Publication) -> None:
    corpus, deadline = publication.root, time.monotonic() + _WAIT_SECONDS
    while publication.journal.exists():
        try:
            with FileLock(publication.journal.with_name("lock"), timeout=0):
                publication.complete()
        except Timeout:
            if time.monotonic() > deadline:
                raise BuildError(f"{corpus} is being published by another process: try again when that has ended") from None
            time.sleep(0.05)
        except OSError as error:
            raise BuildError(
                f"a build was cut short while it published {corpus}, so that its files may be of two versions, and this command cannot "
                f"complete that ({error.strerror}): run python -m pipeline.build for it again, as a user who may write there"
            ) from None


def refuse_links(paths: Iterable[Path]) -> None:
    """Raise UsageError where one of `paths`, which are to be replaced, is a link: that would replace the link, not what it leads to."""
    for path in paths:
        if path.is_symlink():
            raise UsageError(
                f"{path} is a link, and a publication would replace it: put what it leads to in its place, or link the whole of "
                f"{path.parent} instead"
            )


# -- files


def _list_files(folder: Path) -> Iterator[str]:
    """Yield the files below a folder, links among them, by their paths in it."""
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name).relative_to(folder).as_posix() for name in [*names, *links])


def _stamp(path: Path, files: Iterable[str]) -> Stamps:
    """Return size and time of change of files below `path`. Raises OSError where one is not there."""
    status = {name: os.lstat(path / name if name else path) for name in files}
    return {name: [one.st_size, one.st_mtime_ns] for name, one in status.items()}


def _is_version(path: Path, entry: Mapping[str, Any]) -> bool:
    """Return whether `path` is the new version of an entry: it has its files, and no file of the old version beside them."""
    try:
        has_new = _stamp(path, entry["new"]) == entry["new"]
    except OSError:
        return False
    old = [name for name in entry["known"] if name and name not in entry["new"]]
    return has_new and os.path.lexists(path) and not any(os.path.lexists(path / name) for name in old)


def _undo(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Put old versions back in their place."""
    for staged, final in pairs:
        if os.path.lexists(staged):
            exchange(staged, final)
        else:  # there was no old version
            final.rename(staged)


def _sync(path: Path) -> None:
    """Sync a file, or a folder and everything in it."""
    for parent, _, names in os.walk(path):
        for name in names:
            if not Path(parent, name).is_symlink():
                sync_file(Path(parent, name))
        sync_folder(Path(parent))
    if path.is_file():
        sync_file(path)
    sync_folder(path.parent)


def _set_foreign_aside(folder: Path, files: set[str]) -> None:
    """Leave in a staged folder what is to be published alone: temporary files of killed writers go, others move beside the folder."""
    for name in list(_list_files(folder)):
        if name not in files:
            if is_temporary(Path(name).name):
                (folder / name).unlink()
            else:
                aside = free_path(folder.with_name(f"{folder.name}.unpublished") / name, "unpublished")
                aside.parent.mkdir(parents=True, exist_ok=True)
                (folder / name).rename(aside)


def _carry_over(old: Path, final: Path, known: set[str], prefix: str) -> None:
    """Remove what is known below an old folder, and move the rest to the new one, where nothing else has its name."""
    for path in sorted(old.iterdir()):
        name, target = prefix + path.name, final / (prefix + path.name)
        if path.is_dir() and not path.is_symlink():
            if os.path.lexists(target) or any(one.startswith(f"{name}/") for one in known):
                _carry_over(path, final, known, f"{name}/")
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
        elif name in known or is_temporary(path.name):
            path.unlink()
        elif not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    with suppress(OSError):  # not empty: what has no place in the new folder stays
        old.rmdir()
