"""Recordings with transcripts in the forms that they come in, told by content.

- ReazonSpeech: tars of FLAC with lists of transcripts (TSV without a header) in the folder v2-tsv beside v2, or beside the tars
- WebDataset tars of KEY.flac (mp3, wav, …) with KEY.txt or KEY.json, such as Emilia's
- Common Voice: TSV under a header, with the recordings in clips/, or all of it in the tar that it comes in
- CSV and TSV under a header that names a path and what is said
- JSON lines: NeMo's manifests, lhotse's cuts or supervisions with recordings; a path in them leads into their folder or `source.audio`
- a folder of recordings: JSUT, JVS, LibriSpeech, KEY.txt beside KEY.wav, or audio alone
- what `datasets` saves, Parquet or Arrow with an Audio feature, and corpora that Seimai built

`cut` yields rows that say where a recording is; recordings themselves travel only where they are not in a local file as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import ClassVar

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.sources.base import CutState
from pipeline.sources.folders import identity, regular_files, told_apart
from pipeline.sources.formats.columnar import PROBLEM, is_arrow, is_parquet
from pipeline.sources.formats.tar import is_tar
from pipeline.sources.inputs import InputFile, is_url, resolve
from pipeline.sources.pointers import PointerSource, RowKind
from pipeline.sources.speech import folder, manifests, rows, tables, tars
from pipeline.sources.speech.lines import beginning, is_list
from pipeline.sources.speech.recording_folder import Places

_MANIFESTS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".jsonl.zst")
_LISTS = (".tsv", ".tsv.gz", ".tsv.xz", ".tsv.zst")
_CSV = (".csv", ".csv.gz", ".csv.zst")


# -- inputs


def inputs(patterns: list[str], audio: str | None = None, transcripts: str | None = None) -> list[InputFile]:
    """The input files of paths, globs, URLs and folders, each with the files that are read along with it.

    `transcripts` chooses among lists of transcripts, by a glob of their names or of paths. A change of a list, of Common Voice's clips
    or of the folder of recordings is a change of the input.
    """
    if audio and not Path(audio).is_dir():
        raise UsageError(f"--audio {audio}: there is no such folder")
    found: list[InputFile] = []
    below: dict[str, Path] = {}  # the folder that an input was found in
    for pattern in patterns:
        path = Path(pattern)
        if not is_url(pattern) and path.is_dir():
            of_folder = _folder(path, transcripts)
            below |= {file.url: path for file in of_folder}
            found += of_folder
        else:
            found += resolve([pattern])
    if len({file.url for file in found}) < len(found):
        raise UsageError("an input is given twice")
    found = [_with_clips(_with_recordings(file)) for file in _with_lists(found, below, transcripts)]
    recordings = {place for file in found if file.url.lower().endswith(_MANIFESTS) for place in file.beside}
    found = told_apart([file for file in found if file.url not in recordings])
    if audio:
        of_audio = identity(regular_files(Path(audio)), Path(audio))
        found = [replace(file, identity=f"{file.identity}+audio-{of_audio}") for file in found]
    return found


def _described(path: Path) -> InputFile:
    return resolve([str(path)])[0]


def _digest(files: list[InputFile]) -> str:
    return hashlib.blake2b("\n".join(f"{f.name}\0{f.identity}" for f in files).encode(), digest_size=8).hexdigest()


def _chosen(files: list[InputFile], transcripts: str | None) -> list[InputFile]:
    """Those of some lists that the manifest names, which may be others altogether: a path."""
    if transcripts is None:
        return files
    named = [file for file in files if fnmatch(file.name, transcripts)]
    if named or not ("/" in transcripts or Path(transcripts).is_file()):
        if not named:
            there = ", ".join(file.name for file in files[:20]) or "none"
            raise UsageError(f"source.transcripts = {transcripts!r}: no list of transcripts is called so. There are: {there}")
        return named
    found = resolve([transcripts])
    if others := [file.url for file in found if not _lists([Path(file.url)])]:
        raise UsageError(f"source.transcripts = {transcripts!r}: {others[0]} is no list of transcripts (TSV: name, transcript)")
    return found


def _folder(path: Path, transcripts: str | None) -> list[InputFile]:
    """What a folder as an input stands for: Common Voice, tars, tables of recordings, manifests, or the recordings in it."""
    if (path / "manifest.lock.toml").is_file() and (path / "data").is_dir():
        path /= "data"  # a corpus that Seimai built: its shards, not its ledger
    if common := [
        here for depth in ("", "*/", "*/*/") for here in sorted(path.glob(depth) if depth else [path]) if _is_common(here)
    ]:
        return [replace(f, name=_below(f, path)) for here in common for f in _common_voice(here, transcripts)]
    files = regular_files(path)
    for there in (
        [p for p in files if tars.is_tar_name(p.name)],
        [p for p in files if p.suffix == ".parquet"],
        [p for p in files if p.suffix == ".arrow"],
        _manifests(files),
        [p for p in files if p.name.lower().endswith(_CSV) and (head := beginning(p)) and tables.is_csv(head[0])],
    ):
        if there:
            return [replace(_described(p), name=str(p.relative_to(path))) for p in there]
    if not any(rows.is_audio_name(p.name) for p in files):
        raise UsageError(
            f"{path} holds neither tars, tables (Parquet, Arrow, CSV), manifests (JSON lines) nor recordings; symbolic links in it are not "
            f"followed, but a glob such as '{path}/*.tar' takes them"
        )
    if not str(path.resolve()).isprintable():
        raise UsageError(
            f"--input {str(path)!r}: ids and reports need a folder name of printable characters; rename the folder"
        )
    size = sum(p.stat().st_size for p in files)
    return [InputFile(path.resolve().name or "audio", str(path.resolve()), size, identity(files, path))]


def _below(file: InputFile, path: Path) -> str:
    return str(Path(file.url).relative_to(path.resolve()))


def _is_common(path: Path) -> bool:
    return (path / "clips").is_dir() and any(path.glob("*.tsv"))


def _common_voice(path: Path, transcripts: str | None) -> list[InputFile]:
    """The lists of a Common Voice folder: validated.tsv, else train, dev and test, a clip in several of them once."""
    there = [_described(p) for p in sorted(path.glob("*.tsv")) if p.is_file()]
    if transcripts is not None:
        found = _chosen(there, transcripts)
    else:
        by_name = {file.name: file for file in there}
        found = [by_name[name] for name in tables.common_lists(by_name)]
        if not found:
            raise UsageError(
                f"{path} has neither validated.tsv nor train.tsv, dev.tsv or test.tsv but {', '.join(by_name)}: "
                "say which lists to read with --set source.transcripts=NAME"
            )
    return [replace(file, beside=tuple(f.url for f in found[:i])) for i, file in enumerate(found)]


def _manifests(files: list[Path]) -> list[Path]:
    """Manifests among the files of a folder. lhotse's cuts say what its recordings and supervisions say, so these are left out."""
    stems = {p.with_suffix("") for p in files if rows.is_audio_name(p.name)}
    named = [p for p in files if p.name.lower().endswith(_MANIFESTS) and p.with_suffix("") not in stems]
    kinds = {p: kind for p in named if (kind := manifests.kind_of(p))}
    for best in ("row", "cut", "supervision"):
        if best in kinds.values():
            return [p for p, kind in kinds.items() if kind == best]
    return [*kinds]


def _with_recordings(file: InputFile) -> InputFile:
    """lhotse's supervisions with the recordings beside them."""
    path = Path(file.url)
    if is_url(file.url) or "supervisions" not in path.name or manifests.kind_of(path) != "supervision":
        return file
    beside = path.with_name(path.name.replace("supervisions", "recordings"))
    if not beside.is_file():
        raise UsageError(f"{path} has no recordings beside it: there is no {beside.name}. Give lhotse's cuts, or put it there")
    described = _described(beside)
    return replace(file, beside=(described.url,), identity=f"{file.identity}+recordings-{described.identity}")


def _with_clips(file: InputFile) -> InputFile:
    clips = Path(file.url).parent / "clips"
    if is_url(file.url) or not file.url.lower().endswith((*_LISTS, *_CSV)) or not clips.is_dir():
        return file
    earlier = "".join(f"+{_described(Path(place)).identity}" for place in file.beside)
    return replace(file, identity=f"{file.identity}+clips-{identity(regular_files(clips), clips)}{earlier}")


def _with_lists(found: list[InputFile], below: dict[str, Path], transcripts: str | None) -> list[InputFile]:
    """Tars with their lists of transcripts. The last tar that has the same lists is followed by what is in no tar."""
    archives = [file for file in found if tars.is_tar_name(file.url)]
    if not archives:
        return found
    given = [f for f in found if not is_url(f.url) and _lists([Path(f.url)])]
    cache: dict[tuple[Path | None, Path | None], list[InputFile]] = {}
    groups: dict[tuple[str, ...], list[InputFile]] = {}
    lists: dict[tuple[str, ...], list[InputFile]] = {}
    for file in archives:
        here = (None if is_url(file.url) else Path(file.url).parent, below.get(file.url))
        if here not in cache:
            cache[here] = _chosen(given or _lists_beside(*here), transcripts)
        key = tuple(f.url for f in cache[here])
        groups.setdefault(key, []).append(file)
        lists[key] = cache[here]
    made: dict[str, InputFile] = {}
    for key, members in groups.items():
        if not key:
            continue
        stems = [tars.stem(file.url) for file in members]
        if len(set(stems)) < len(stems):
            twice = next(s for s in stems if stems.count(s) > 1)
            raise UsageError(f"two tars called {twice} have the same lists of transcripts: build from one of them at a time")
        for file in members:
            beside, of_lists = key, f"{file.identity}+transcripts-{_digest(lists[key])}"
            if file is members[-1]:
                beside, of_lists = (*key, *(f.url for f in members)), f"{of_lists}-{_digest(members)}"
            made[file.url] = replace(file, beside=beside, identity=of_lists)
    used = {place for key in groups for place in key}
    return [made.get(file.url, file) for file in found if file.url not in used]


def _lists_beside(parent: Path | None, root: Path | None) -> list[InputFile]:
    """Lists of transcripts beside the tars of a folder, in the folder NAME-tsv, or else anywhere in the folder that is the input."""
    if parent is None:
        return []
    named = parent.with_name(f"{parent.name}-tsv")
    near = [path for place in (parent, named) if place.is_dir() for path in sorted(place.iterdir()) if path.is_file()]
    return _lists(near) or (_lists(regular_files(root)) if root else [])


def _lists(files: list[Path]) -> list[InputFile]:
    named = [p for p in files if p.name.lower().endswith(_LISTS)]
    return [_described(p) for p in named if not p.stat().st_size or is_list(beginning(p))]


# -- cut


def _frames(file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
    """The rows of an input file, in frames of `rows.SCHEMA`."""
    if path.is_dir():
        yield folder.read(path)
        return
    with open(path, "rb") as opened:
        head = opened.read(512)
    if not head:
        raise InputError("is empty")
    if is_tar(head) or file.url.split("?")[0].endswith(".tar"):
        yield from tars.read(file, path, state)
        return
    whole, first = state.damage is None, beginning(path)[:1]
    if not is_parquet(head) and not is_arrow(head) and first and first[0].lstrip().startswith("{"):
        found = manifests.frames(path, whole, state.columns, file.beside)
        earlier: set[str] = set()
    else:
        found = tables.frames(path, head, whole, state.columns)
        earlier = _paths(file.beside, state)
    places = _places(file, state)
    count, seen = 0, set[str]()
    for frame in found:
        if earlier:
            frame = frame.filter(~pl.col("path").is_in(list(earlier)).fill_null(False))
        frame = tables.located(frame, count, seen)
        count += len(frame)
        yield _placed(frame, places, file, state)


def _paths(beside: tuple[str, ...], state: CutState) -> set[str]:
    """The recordings of lists that were read before."""
    found: set[str] = set()
    for place in beside:
        for frame in tables.frames(Path(place), b"", True, state.columns):
            found |= set(frame["path"].drop_nulls())
    return found


def _places(file: InputFile, state: CutState) -> Places:
    parent = [] if is_url(file.url) else [Path(file.url).parent]
    clips = [p / "clips" for p in parent if (p / "clips").is_dir()]
    return Places([*clips, *parent], Path(state.content) if state.content else None)


def _placed(frame: pl.DataFrame, places: Places, file: InputFile, state: CutState) -> pl.DataFrame:
    """`frame` with what says where its recordings are: in it, or in a file that it names."""
    inside = pl.col("blob").is_not_null() if "blob" in frame.columns else pl.lit(False)
    if "path" not in frame.columns:
        frame = frame.with_columns(path=pl.lit(None, pl.String))
    wanted = frame.select(pl.when(~inside).then("path")).to_series()
    if is_url(file.url) and not state.content and wanted.is_not_null().any():
        raise UsageError(f"{file.url} names recordings without holding them: say with --audio which folder they are in")
    there = places.locate(wanted)
    frame = frame.with_columns(there.select("place", "at", "size", "lacking").get_columns())
    own = frame["path"].str.replace(r"^.*/", "") if "path" in frame.columns else pl.Series([None] * len(frame), dtype=pl.String)
    if {"start", "path"} <= set(frame.columns):  # a stretch is of what it was cut from
        stretch = pl.when(pl.col("start").is_not_null()).then("path")
        frame = frame.with_columns(programme=pl.coalesce("programme", stretch) if "programme" in frame.columns else stretch)
    problem = pl.col(PROBLEM) if PROBLEM in frame.columns else pl.lit(None, pl.String)
    return rows.finished(frame.with_columns(name=own, problem=pl.coalesce(problem, pl.when(~inside).then("lacking"))))


class SpeechSource(PointerSource):
    """Recordings with transcripts, in whatever form they come."""

    name: ClassVar[str] = "speech"
    modality: ClassVar[str] = "speech"
    options: ClassVar[tuple[str, ...]] = ("audio", "transcripts")
    columns: ClassVar[tuple[str, ...]] = (
        "audio", "id", "path", "transcript", "second", "speaker", "programme", "start", "end", "duration", "license",
    )  # fmt: skip
    row_kind: ClassVar[RowKind] = RowKind("audio", "transcript", rows.LONGEST, shared=True)

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        return inputs(patterns, **options)

    def frames(self, file: InputFile, path: Path, state: CutState) -> Iterator[pl.DataFrame]:
        return _frames(file, path, state)
