"""Files that a list names: its paths are not trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.sources.speech.rows import is_audio_name
from pipeline.sources.values import printable

_OUTSIDE = "no audio: the path leads out of the folder of the list; name the folder of the recordings with --audio"
_NOWHERE = "no audio: neither the path nor an end of it leads to a file in the folder of --audio"
_FOUND = {"place": pl.String, "at": pl.Int64, "size": pl.Int64, "name": pl.String, "lacking": pl.String}


class Places:
    """The folders that a list's recordings are in. A path is looked up from one after the other, and never leads out of them.

    `audio` is one that the user named: an absolute path that leads to nothing, as on another machine, is looked up there by its end,
    the longest first.
    """

    def __init__(self, folders: list[Path], audio: Path | None = None) -> None:
        self._audio = None if audio is None else str(audio)
        self._folders = [*([] if audio is None else [str(audio)]), *map(str, folders)]
        self._real: dict[str, str] = {}  # folders, without links and ..

    def _resolved(self, folder: str) -> str:
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return self._real[folder]

    def _within(self, path: str) -> bool:
        return any(path.startswith(f"{self._resolved(folder).rstrip('/')}/") for folder in self._folders)

    def _tried(self, path: str) -> Iterator[str]:
        for folder in self._folders:
            yield os.path.join(folder, path)  # an absolute path stays what it is
        if self._audio is not None and os.path.isabs(path):
            parts = [part for part in path.split("/") if part]
            for first in range(len(parts)):
                yield os.path.join(self._audio, *parts[first:])

    def find(self, path: str) -> tuple[str | None, int | None, str | None]:
        """File and size of a recording, or why it is none."""
        if "\0" in path or any(0xD800 <= ord(c) <= 0xDFFF for c in path):
            return None, None, "no audio: the path is none"
        problem = "no audio: there is no such file in the folder of the list"
        for tried in self._tried(path):
            parent, base = os.path.split(tried)
            if base in ("", ".", ".."):
                continue
            real = os.path.join(self._resolved(parent), base)
            try:
                status = os.lstat(real) if self._within(real) else None
                if status and stat.S_ISLNK(status.st_mode):
                    real = os.path.realpath(real)
                    status = os.stat(real) if self._within(real) else None
            except OSError:  # it is not there, or not allowed, or too long
                continue
            if status is None:
                problem = _OUTSIDE
            elif not stat.S_ISREG(status.st_mode):
                problem = "no audio: what the path leads to is no file"
            elif any(0xD800 <= ord(c) <= 0xDFFF for c in real):
                problem = "no audio: the name of a folder is not UTF-8: rename it"
            else:
                return real, status.st_size, None
        return None, None, _NOWHERE if self._audio is not None and os.path.isabs(path) else problem

    def locate(self, paths: pl.Series) -> pl.DataFrame:
        """`place`, `at`, `size` and `name` of paths, and `lacking`: why there is none. Old lists leave out .mp3."""
        table: list[tuple[str | None, int | None, int | None, str | None, str | None]] = []
        for path in paths:
            if not path:
                table.append((None, None, None, None, "no audio: the row names no file"))
                continue
            place, size, problem = self.find(path)
            if place is None and not is_audio_name(path):
                place, size, _ = self.find(f"{path}.mp3")
            name = printable(path.rpartition("/")[2])
            table.append((place, None if place is None else 0, size, name, problem if place is None else None))
        return pl.DataFrame(table, schema=_FOUND, orient="row")
