"""Files that a list names. A crawled list is not trusted: no path leads out of the folders that its recordings are in."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipeline.sources.folders import is_utf8
from pipeline.sources.names import normalise_name
from pipeline.sources.rows import CONTENT_POINTERS
from pipeline.sources.speech.columns import is_audio_name
from pipeline.sources.speech.file_index import FileIndex

_OUTSIDE = "no audio: the path leads out of the folder of the list; name the folder of the recordings with --audio"
_NO_FILE = "no audio: there is no such file in the folder of the list"
_NOWHERE = "no audio: neither the path nor an end of it leads to a file in the folder of --audio"


class _Location(NamedTuple):
    """Where a recording is, the whole of a file, or why there is none."""

    path: str | None = None
    offset: int | None = None
    size: int | None = None
    no_audio: str | None = None


_SCHEMA = pl.Schema(CONTENT_POINTERS | {"no_audio": pl.String})


class RecordingLookup:
    """The folders that a list's recordings are in. A path is looked up in one after the other, and never leads out of them.

    `audio` is one that the user named: an absolute path that leads to nothing, as on another machine, is looked up there by its end,
    the longest first. A path that leads to no file is looked up by name among all recordings below these folders, and in the tars
    there. `label` names the list among several in a folder: train of train.tsv; `shard` is its number where it is a shard.
    """

    def __init__(self, folders: list[Path], audio: Path | None = None, label: str = "", shard: int | None = None) -> None:
        self._roots = [*([] if audio is None else [audio]), *folders]
        self._label, self._shard = label, shard
        self.used: set[tuple[str, int]] = set()  # files and offsets
        self._audio = None if audio is None else str(audio)
        self._folders = [*([] if audio is None else [str(audio)]), *map(str, folders)]
        self._resolved: dict[str, str] = {}  # folders without links and ..

    def _resolve(self, folder: str) -> str:
        if folder not in self._resolved:
            self._resolved[folder] = os.path.realpath(folder)
        return self._resolved[folder]

    def _is_inside(self, path: str) -> bool:
        return any(path.startswith(f"{self._resolve(folder).rstrip('/')}/") for folder in self._folders)

    def _candidates(self, path: str) -> Iterator[str]:
        for folder in self._folders:
            yield os.path.join(folder, path)  # an absolute path stays what it is
        if self._audio is not None and os.path.isabs(path):
            parts = [part for part in path.split("/") if part]
            for first in range(len(parts)):
                yield os.path.join(self._audio, *parts[first:])

    def _find(self, path: str) -> _Location:
        if "\0" in path or not is_utf8(path):
            return _Location(no_audio="no audio: the path is none")
        no_audio = _NO_FILE
        for candidate in self._candidates(path):
            parent, base = os.path.split(candidate)
            if base in ("", ".", ".."):
                continue
            resolved = os.path.join(self._resolve(parent), base)
            try:
                status = os.lstat(resolved) if self._is_inside(resolved) else None
                if status and stat.S_ISLNK(status.st_mode):
                    resolved = os.path.realpath(resolved)
                    status = os.stat(resolved) if self._is_inside(resolved) else None
            except OSError:  # it is not there, or not allowed, or too long
                continue
            if status is None:
                no_audio = _OUTSIDE
            elif not stat.S_ISREG(status.st_mode):
                no_audio = "no audio: what the path leads to is no file"
            elif not is_utf8(resolved):
                no_audio = "no audio: the name of a folder is not UTF-8: rename it"
            else:
                return _Location(resolved, 0, status.st_size)
        return _Location(no_audio=_NOWHERE if self._audio is not None and os.path.isabs(path) else no_audio)

    def locate(self, paths: pl.Series, shards: pl.Series | None = None) -> pl.DataFrame:
        """Return the pointers to the content of paths, and `no_audio`: why there is none. Old lists leave out .mp3.

        `shards` are the numbers of the tars that they are in.
        """
        locations = []
        for path, shard in zip(paths, shards if shards is not None else [None] * len(paths), strict=True):
            location = self._find(path) if path else _Location(no_audio="no audio: the row names no file")
            if path and location.path is None and not is_audio_name(path):
                with_suffix = self._find(f"{path}.mp3")
                location = location if with_suffix.path is None else with_suffix
            if path and location.no_audio in (_NO_FILE, _NOWHERE):
                location = self._find_by_name(path, shard, location)
            if location.path is not None and location.offset is not None:
                self.used.add((location.path, location.offset))
            locations.append(location)
        return pl.DataFrame(locations, schema=_SCHEMA, orient="row")

    @cached_property
    def index(self) -> FileIndex:
        """All recordings below the folders."""
        return FileIndex([folder for folder in self._roots if folder.is_dir()])

    @cached_property
    def _index_of_shard(self) -> FileIndex | None:
        """The recordings in the tars that have the list's number."""
        if self._shard is None:
            return None
        return FileIndex([folder for folder in self._roots if folder.is_dir()], self._shard)

    def _find_by_name(self, path: str, shard: int | None, location: _Location) -> _Location:
        if os.path.isabs(path):
            return location
        found = self._index_of_shard.find(path) if self._index_of_shard is not None else []
        found = found or self.index.find(path, shard)
        if len(found) > 1:
            found = [entry for entry in found if Path(entry.name).parent.name == self._label] or found
        if len(found) > 1:
            return _Location(
                no_audio=f"no audio: {len(found)} files could be meant, such as {found[0].name} and {found[1].name}"
            )
        if found:
            return _Location(os.path.realpath(found[0].file), found[0].offset, found[0].size)
        if normalise_name(Path(path).name) in self.index.undecoded:
            return _Location(
                no_audio="no audio: the name of the file is not UTF-8: rename it (convmv -f cp932 -t utf8 --notest)"
            )
        if self.index.packed:
            names = ", ".join(Path(tar).name for tar in self.index.packed[:3])
            return _Location(
                no_audio=f"no audio: there is no such file, and {names} is compressed: unpack it beside the list (tar -xf)"
            )
        return location
