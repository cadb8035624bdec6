"""The recordings below some folders, by name: loose files, and those in tars. For lists whose paths do not lead to a file.

Lists are moved away from their recordings, name them without folder or suffix, or were written on another system (macOS writes ガ as two
characters). A name is only ever taken for a file where one file alone has it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pipeline.sources.folders import is_utf8, list_files
from pipeline.sources.formats.tar import list_members, map_tar
from pipeline.sources.names import normalise_name
from pipeline.sources.speech.columns import is_audio_name, strip_audio_suffix

_PLAIN_TAR, _PACKED_TAR = re.compile(r"(?i)\.tar$"), re.compile(r"(?i)\.(tar\.(gz|xz|zst|bz2)|tgz)$")
_SHARD_NUMBER = re.compile(r"(\d+)[^0-9]*$")
# NeMo names the stretches of a recording in a tar NAME-sub1.wav, NAME-sub2.wav …, and stores NAME.wav once.
_STRETCH = re.compile(r"-sub\d+(?=(\.\w+)?$)")


class Entry(NamedTuple):
    """A recording: a file, or a member of a tar."""

    file: str
    offset: int
    size: int
    name: str  # its path below the folder, or in the tar
    shard: int | None = None  # the number of its tar


def find_shard_number(path: str) -> int | None:
    """Return the number of a shard: 3 of audio_3.tar, 12 of cuts.000012.jsonl.gz."""
    found = _SHARD_NUMBER.search(Path(path).name.split(".jsonl")[0].split(".tar")[0].split(".json")[0])
    return int(found.group(1)) if found else None


def _is_other_field(path: Path) -> bool:
    """Return whether a tar of lhotse's Shar holds another field than the recordings: target_recording.000000.tar."""
    field, _, number = path.name.partition(".")
    is_shar = any(path.with_name(f"cuts.{number[: -len('tar')]}{suffix}").is_file() for suffix in ("jsonl.gz", "jsonl"))
    return field != "recording" and is_shar and path.with_name(f"recording.{number}").is_file()


class FileIndex:
    """Recordings by the ends of their paths, as NFC; with `shard`, only those in tars of this number. `packed`: compressed tars."""

    def __init__(self, folders: list[Path], shard: int | None = None) -> None:
        self.packed: list[str] = []
        self.undecoded: set[str] = set()  # names of files that are not UTF-8, as text: no row can point to these
        self.entries: list[Entry] = []
        seen: set[Path] = set()
        for folder in folders:
            for path in list_files(folder):
                if path in seen:
                    continue
                if not is_utf8(path):
                    self.undecoded.add(normalise_name(path.name))
                    continue
                seen.add(path)
                if shard is not None and (not _PLAIN_TAR.search(path.name) or find_shard_number(path.name) != shard):
                    continue
                if is_audio_name(path.name):
                    self.entries.append(Entry(str(path), 0, path.stat().st_size, str(path.relative_to(folder))))
                elif _PLAIN_TAR.search(path.name):
                    if not _is_other_field(path):
                        self._add_tar(path)
                elif _PACKED_TAR.search(path.name):
                    self.packed.append(str(path))
        self._by_base: dict[str, list[Entry]] = {}
        self._by_stem: dict[str, list[Entry]] = {}
        for entry in self.entries:
            name = normalise_name(entry.name)
            self._by_base.setdefault(name.rpartition("/")[2], []).append(entry)
            self._by_stem.setdefault(strip_audio_suffix(name).rpartition("/")[2], []).append(entry)

    def _add_tar(self, path: Path) -> None:
        data = map_tar(path)
        number = find_shard_number(path.name)
        members, _ = list_members(data)
        for member in members:
            name = member.name.removeprefix("./")
            if is_audio_name(name) and member.kind == "file" and member.offset + member.size <= len(data):
                self.entries.append(Entry(str(path), member.offset, member.size, name, number))

    def find(self, path: str, shard: int | None = None) -> list[Entry]:
        """Return the recordings that a path may mean: those whose path is it or ends in it, else those that are so called without suffix.

        `shard` is the number of the tar that it is in.
        """
        wanted = normalise_name(path).removeprefix("./")
        for name in dict.fromkeys((wanted, _STRETCH.sub("", wanted))):
            base = name.rpartition("/")[2]
            found = [entry for entry in self._by_base.get(base, []) if _ends_in(normalise_name(entry.name), name)]
            found = found or [
                entry for entry in self._by_stem.get(base, []) if _ends_in(strip_audio_suffix(normalise_name(entry.name)), name)
            ]
            exact = [entry for entry in found if normalise_name(entry.name) == name]
            found = exact or found
            of_shard = [entry for entry in found if entry.shard == shard] if shard is not None else []
            if found:
                return of_shard or found
        return []


def _ends_in(name: str, end: str) -> bool:
    return name == end or name.endswith(f"/{end}")
